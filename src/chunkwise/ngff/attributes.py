"""Attributes that no program here knows: whoever writes an image anew takes them along."""

from __future__ import annotations

import json
from typing import Any, Final

from chunkwise.ngff.model import Image
from chunkwise.ngff.validation import ome_block, validate
from chunkwise.ngff.zarr_json import read_node

__all__ = ["attributes_of", "clean", "merge"]

#: What of a multiscale is said anew, and what of it tells how its own lower levels were made.
_MULTISCALE: Final = ("name", "axes", "datasets", "coordinateTransformations", "version")
_MADE: Final = ("type", "metadata")
_CHANNEL: Final = ("label", "color", "window")


def attributes_of(image: Image, left: list[str]) -> dict[str, Any]:
    """Return what the metadata of an image say and the house does not know, in the places that 0.5 has for it.

    Parameters
    ----------
    image : Image
        As it was opened.
    left : list of str
        Sentences about what stays behind are added to it.

    Returns
    -------
    dict
        To be put under what is written by :func:`merge`.
    """
    node = read_node(image.location)
    attributes = {} if node is None else node.attributes
    block = ome_block(attributes, image.version)
    block = block if isinstance(block, dict) else {}
    where = image.location.name
    multiscale, *more = block.get("multiscales") or [{}]
    if more:
        left.append(f"{where} has {len(more)} further multiscales, of which none is taken.")
    if any(name in multiscale for name in _MADE):
        left.append(f"What {where} says of how its lower levels were made is not taken, for they are made anew.")
    known = ("ome", "multiscales", "omero", "image-label", "labels", "version")
    old = image.version == "0.4"
    if old and "ome" in attributes:
        left.append(f"{where} has a block 'ome', which OME-Zarr 0.4 does not know, and it is not taken.")
    carried = clean(attributes, known if old else ("ome",), where, left)
    ome = {} if old else clean(block, known, where, left)
    entry = clean(multiscale, (*_MULTISCALE, *_MADE), where, left)
    axes = [clean(axis, ("name", "type", "unit"), where, left) for axis in multiscale.get("axes", [])]
    ome["multiscales"] = [entry | {"axes": axes}]
    omero = block.get("omero")
    if isinstance(omero, dict):
        channels = omero.get("channels")
        channels = channels if isinstance(channels, list) else []
        ome["omero"] = clean(omero, ("channels", "version"), where, left)
        ome["omero"]["channels"] = [clean(one, _CHANNEL, where, left) for one in channels]
    if image.kind == "labels":
        ome["image-label"] = _image_label(block.get("image-label"), where, left)
    first = read_node(image.location.child(image.levels[0].path))
    if first is not None and set(first.attributes) - {"_ARRAY_DIMENSIONS"}:
        left.append(f"Attributes of the array {where}/{image.levels[0].path} are not taken.")
    return {**carried, "ome": ome}


def _image_label(label: Any, where: str, left: list[str]) -> dict[str, Any]:
    """Colours, properties and source of a label image, as far as they follow the specification."""
    kept = clean(label, ("version",), where, left)
    for name in ("colors", "properties", "source"):
        if name in kept:
            alone = {"ome": {"version": "0.5", "image-label": {name: kept[name]}}}
            if any(finding.severity == "error" for finding in validate(alone, "label", "0.5")):
                left.append(f"The {name} of {where} break the specification, and are not taken.")
                del kept[name]
    return kept


def clean(entry: Any, known: tuple[str, ...], where: str, left: list[str]) -> dict[str, Any]:
    """Return what of an object is not known, without numbers that JSON does not have.

    Parameters
    ----------
    entry : object
        Parsed JSON; what is no object has nothing.
    known : tuple of str
        Names of what is said anew.
    where : str
        What sentences call it.
    left : list of str
        Sentences about what stays behind are added to it.
    """
    kept = {}
    for name, value in entry.items() if isinstance(entry, dict) else ():
        if name in known:
            continue
        try:
            json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
        except ValueError:
            left.append(
                f"The attribute {name[:40]!r} of {where} has a value that JSON does not know, and is not taken."
            )
            continue
        kept[name] = value
    return kept


def merge(ours: Any, theirs: Any) -> Any:
    """Put what is written over what was there: objects key by key, lists of the same length entry by entry.

    What is written wins, but for whether a channel is shown.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        shown = {"active": theirs["active"]} if isinstance(theirs.get("active"), bool) and "window" in ours else {}
        more = {key: value for key, value in theirs.items() if key not in ours}
        return {key: merge(value, theirs.get(key)) for key, value in ours.items()} | more | shown
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [merge(one, other) for one, other in zip(ours, theirs, strict=True)]
    return ours
