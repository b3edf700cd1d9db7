"""Where the store is in a zip file: at the top, as RFC-9 wants it, or in a folder, where many programs put it."""

from __future__ import annotations

from chunkwise.ngff.model import Finding
from chunkwise.ngff.zarr_json import read_node
from chunkwise.storage.location import Location
from chunkwise.storage.objects import zipped_sizes
from chunkwise.storage.zipped import key_in

__all__ = ["inside_zip", "say_nothing_in_zip"]

#: What macOS puts beside the folder that it was told to pack.
NO_STORES = {"__MACOSX", ".DS_Store"}


def inside_zip(location: Location) -> tuple[Location, tuple[Finding, ...]]:
    """Find the store in a zip file.

    Returns
    -------
    Location
        Of the store; the same where it is in no zip file, or where none is found.
    tuple of Finding
        A remark where it is not at the top.
    """
    if location.archive is None:
        return location, ()
    tops = _tops(location.zip_top())
    if tops.intersection(("zarr.json", ".zgroup", ".zarray")):
        return location, ()
    if location.address != location.archive:
        return location, (_remark(key_in(location).partition("/")[0]),)
    if len(tops) == 1:
        inside = location.child(next(iter(tops)))
        if read_node(inside) is not None:
            return inside, (_remark(inside.name),)
    return location, ()


def say_nothing_in_zip(location: Location) -> str:
    """Say that there is no Zarr at a place in a zip file, and what there is."""
    tops = sorted(_tops(location))
    if not tops:
        return f"There is nothing at {location.address}; the zip file {location.archive} has no such entry."
    named = ", ".join(tops[:8]) + (f" and {len(tops) - 8} more" if len(tops) > 8 else "")
    return (
        f"{location.address} is not a Zarr store: the zip file has neither zarr.json nor .zgroup there, but {named}; "
        f"name a store in it as {location.address}/NAME."
    )


def _tops(location: Location) -> set[str]:
    return {key.partition("/")[0] for key in zipped_sizes(location)} - NO_STORES


def _remark(top: str) -> Finding:
    wanted = "the specification of zipped OME-Zarr (RFC-9) requires it at the top"
    return Finding("deviation", "zip file", f"has the store in the folder '{top}', and {wanted}")
