"""Other formats at the door: each file of this folder reads one, and nothing else in the house knows it.

A reader turns a file into the OME-Zarr that it would be: documents that say what the image is, and arrays that read
boxes of it. Everything behind the door then works as with any other store, without a second pipeline.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from chunkwise.errors import InputError, PolicyError
from chunkwise.storage.foreign import format_of, say_unread
from chunkwise.storage.location import Foreign, Location

__all__ = ["as_store"]


def as_store(location: Location, said: Mapping[str, str]) -> Location | None:
    """See a file of another format as a store.

    Parameters
    ----------
    location : Location
        As the policy allowed it.
    said : mapping
        What a person said of the file because it does not, by the names of the options.

    Returns
    -------
    Location or None
        None where it is no file of another format.

    Raises
    ------
    InputError
        If its format is known, and not read here.
    """
    if location.is_url:
        return None
    if "pattern" in said:
        return _folder(location, said)
    found = format_of(location.address)
    if found is None:
        return None
    if not found.reader:
        raise InputError(say_unread(location.address, found))
    return replace(
        location,
        archive=None,
        foreign=Foreign(
            found.reader,
            location.address,
            os.path.dirname(location.address),
            found.media_type,
            tuple(sorted(said.items())),
        ),
    )


def _folder(location: Location, said: Mapping[str, str]) -> Location:
    """See a folder as a store; any file in it stands for it, because Galaxy's file browser gives no folders."""
    given = location.address
    if not os.path.exists(given):
        raise InputError(f"--pattern says how the files in a folder are named, and there is no folder {given}.")
    folder = given if os.path.isdir(given) else os.path.dirname(given)
    if not location.allows(folder):
        raise PolicyError(f"Only {given} itself may be read, not what lies beside it, so --pattern cannot be used.")
    foreign = Foreign("folder", folder, folder, "image/tiff", tuple(sorted(said.items())))
    return replace(location, address=folder, archive=None, foreign=foreign)
