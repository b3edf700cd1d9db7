"""Files of other formats where an image is needed: read where they lie, as the OME-Zarr that they would be."""

from __future__ import annotations

import os
from dataclasses import replace

from chunkwise.errors import InputError
from chunkwise.formats import as_store
from chunkwise.ngff.model import Finding, Image, bare_name
from chunkwise.ngff.read import open_image
from chunkwise.storage.foreign import foreign_store, forget_files
from chunkwise.storage.location import Location

__all__ = ["open_in_place"]

BROUGHT_IN = "brought in first, with 'chunkwise convert' or, in Galaxy, the tool 'Bring an image in'"


def open_in_place(location: Location, typed: str = "") -> Image | None:
    """Open a file of another format; None where it is none.

    Parameters
    ----------
    location : Location
        As the policy allowed it.
    typed : str
        Path that stands for it: where it is a link, as to a dataset of Galaxy, the image is called by the link's name.

    Raises
    ------
    InputError
        If it cannot be read, or lacks what has to be said of it; the sentence says where that is asked.
    """
    called = bare_name(replace(location, address=typed)) if os.path.islink(typed) else ""
    found = as_store(location, {"name": called} if called else {})
    if found is None or found.foreign is None:
        return None
    forget_files()  # of a set, any file may have changed since it was opened
    try:
        store = foreign_store(found)
        store.check()
        image = open_image(found)
    except InputError as error:
        raise _where_it_is_said(error) from None
    name, count = found.foreign.media_type.partition("/")[2].upper(), len(store.files)
    what = f"a {name}, read where it lies" if count == 1 else f"an image in {count} files, read where they lie"
    remark = f"{found.address} is {what}; if you will use it again, it is better {BROUGHT_IN}"
    others = (
        text.replace("; give --voxel-size if you know it", "; say it when it is brought in") for text in store.remarks
    )
    return replace(image, findings=tuple(Finding("warning", "file", text) for text in (remark, *others)))


def _where_it_is_said(error: InputError) -> InputError:
    """Say of an option that a file lacks, such as its axes, which command has it."""
    text = str(error)
    lacks = text.partition("; ")[0].rstrip(".")
    return InputError(f"{lacks}; such a file has to be {BROUGHT_IN}.") if "--" in text else error
