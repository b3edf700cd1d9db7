"""What a place holds that is no image to work on, in the words of somebody who looks for theirs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from chunkwise.errors import ChunkwiseError
from chunkwise.ngff.in_zip import say_nothing_in_zip
from chunkwise.ngff.zarr_json import Node, read_node
from chunkwise.storage.foreign import format_of, say_unread
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.kv import list_keys, read_key
from chunkwise.storage.location import Location

__all__ = ["say_not_ome", "say_not_zarr", "say_single_array", "some_of"]

#: Groups above an array that are looked at for the image that it belongs to.
STEPS_UP = 4


def say_not_zarr(location: Location) -> str:
    """Say what is at a place where there is no Zarr store."""
    address = location.address
    if location.archive is not None:
        return say_nothing_in_zip(location)
    if location.is_url:
        if location.s3 is not None:
            list_keys(location, "zarr.json")  # says so where there is no such bucket
        return f"{address} is not a Zarr store: neither zarr.json nor .zgroup can be read there."
    if not os.path.exists(address):
        return f"There is nothing at {address}."
    if not os.path.isdir(address):
        known = format_of(address)
        if known is not None:
            return say_unread(address, known)
        return f"{address} is a file that is neither an image that can be read here nor a reference to one."
    names = sorted(os.listdir(address))
    tiffs = [name for name in names if name.lower().endswith((".tif", ".tiff"))]
    inside = [name for name in names if name.endswith(".zarr")]
    if tiffs and not inside and format_of(os.path.join(address, tiffs[0])):
        return (
            f"{address} is a folder with {len(tiffs)} TIFFs, such as {tiffs[0]}, not an OME-Zarr; bring one of them in "
            "with 'chunkwise convert' (of an OME-TIFF of several files, any of them), or all as one image by the "
            "pattern of their names (--pattern); in Galaxy, the tool 'Bring an image in' does both."
        )
    hint = f"; it contains {some_of(inside)}: give the path of one of them" if inside else ""
    return f"{address} is not a Zarr store: it has neither zarr.json nor .zgroup{hint}."


def say_single_array(location: Location) -> str:
    """Name the image that an array is a level of, where one is above it."""
    address = location.address
    above = _image_above(location)
    if above is None:
        return (
            f"{address} is a single array, not an OME-Zarr image, and no image names it as one of its levels; an "
            "image is a group whose metadata say what its axes are: write it again as OME-Zarr."
        )
    return (
        f"{address} is a single array, not an OME-Zarr image; give the image that it belongs to, {above}, and choose "
        "the resolution with --level."
    )


def _image_above(location: Location) -> str | None:
    """Find the group that names an array as one of its levels."""
    here, path = location, ""
    for _ in range(STEPS_UP):
        upper, _, last = here.address.rstrip("/").rpartition("/")
        path = f"{last}/{path}" if path else last
        if not upper or not here.allows(upper):
            return None
        here = replace(here, address=upper)
        try:
            node = read_node(here)
        except ChunkwiseError:
            return None
        if node is not None and path in _level_paths(node):
            return upper
    return None


def _level_paths(node: Node) -> set[str]:
    """Paths that the metadata of an image name; whatever is malformed names none."""
    block = node.attributes.get("ome", node.attributes)
    try:
        return {str(level["path"]).lstrip("/") for entry in block["multiscales"] for level in entry["datasets"]}
    except (LookupError, TypeError, AttributeError):
        return set()


def say_not_ome(node: Node, block: dict[str, Any] | None) -> str:
    """Say what a Zarr group is that is no image, plate or collection.

    Parameters
    ----------
    node : Node
        The group.
    block : dict or None
        Its OME metadata; None where there are none.
    """
    address = node.location.address
    if "spatialdata_attrs" in node.attributes:
        inside = _elements(node.location)
        which = f"give the path of one of its images: {some_of(inside)}" if inside else "it holds no images"
        return f"{address} is a SpatialData store, which is a collection of several elements; {which}."
    if block is None:
        return f"{address} is a Zarr store but not an OME-Zarr: its attributes have no 'ome' block."
    if isinstance(block.get("labels"), list):
        names = some_of([str(name) for name in block["labels"]])
        return f"{address} is a list of label images; give the path of one of them: {names or 'it is empty'}."
    if "series" in block:
        return f"{address} describes a collection of images; give the path of the folder above it."
    return f"{address} is a Zarr store but not an OME-Zarr: its metadata name no multiscales, plate or collection."


def _elements(location: Location) -> list[str]:
    """Names of the images and labels of a SpatialData store, by its consolidated metadata, else by its folders."""
    found: set[str] = set()
    for key, holder in (("zarr.json", "consolidated_metadata"), (".zmetadata", None), ("zmetadata", None)):
        try:
            content = parse_json(read_key(location, key) or b"{}")
            names = (content[holder] if holder else content)["metadata"]
            found |= {"/".join(str(name).split("/")[:2]) for name in names if str(name).count("/") >= 1}
        except (ChunkwiseError, LookupError, TypeError, ValueError, RecursionError):
            continue
    if not location.is_url:
        for kind in ("images", "labels"):
            folder = os.path.join(location.address, kind)
            if os.path.isdir(folder) and location.allows(os.path.realpath(folder)):
                found |= {f"{kind}/{name}" for name in os.listdir(folder)}
    return sorted(
        name
        for name in found
        if name.startswith(("images/", "labels/")) and not name.split("/")[1].startswith((".z", "zarr.json"))
    )


def some_of(names: list[str], most: int = 8) -> str:
    """List names, the first ones of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
