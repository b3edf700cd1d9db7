"""Whether a source is still what it was when a result was made of it: what was read of it, and what hangs on it."""

from __future__ import annotations

import json
import os
from typing import Any

from chunkwise.blocks.run import INPUTS, PLAN
from chunkwise.errors import InputError
from chunkwise.files import read_file
from chunkwise.ngff.beside import Beside
from chunkwise.ngff.hierarchy import Hierarchy
from chunkwise.ngff.model import Image
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.reference import OpenedInput, metadata_paths
from chunkwise.running.inputs import Input, is_as_noted
from chunkwise.running.request import Request
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.location import Location

__all__ = ["is_unchanged", "notes_of"]

#: Bytes of what was noted; a plate of a million images has fewer.
LARGEST = 2**30


def notes_of(folder: str) -> dict[str, Any]:
    """What a run noted of its inputs in its directory; nothing where that cannot be read."""
    try:
        plan = json.loads(read_file(os.path.join(folder, PLAN)))
        noted = json.loads(read_file(os.path.join(folder, INPUTS), largest=LARGEST))
        return {
            "plan": plan["inputs"],
            "beside": plan["layout"].get("beside", ""),
            "inputs": dict(noted.get("inputs", {})),
            "images": dict(noted.get("images", {})),
        }
    except (OSError, InputError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}


def is_unchanged(request: Request, opened: OpenedInput, made: Location, notes: dict[str, Any]) -> bool:
    """Whether a source is what a run noted of it.

    Parameters
    ----------
    request : Request
        Says which part of an image was read.
    opened : OpenedInput
        The source.
    made : Location
        What was made of it.
    notes : dict
        As :func:`notes_of` gives them.

    Raises
    ------
    InputError
        If one of the two cannot be read.
    """
    store = opened.store
    if isinstance(store, Image):
        return _is_image_unchanged(request, opened, made, notes)
    hierarchy, images = Hierarchy.of(store), notes.get("images", {})
    known = {"group": store.location.address, "fingerprint": fingerprint(store.location, "none", metadata_paths(store))}
    if notes.get("plan") != {"image": known} or notes["beside"] != hierarchy.state:
        return False
    if set(images) != set(hierarchy.images):
        return False
    for path in hierarchy.images:
        image = open_image(store.location.child(path))
        if not _is_image_unchanged(request, OpenedInput(image.location, image), made.child(path), images[path]):
            return False
    return True


def _is_image_unchanged(request: Request, opened: OpenedInput, made: Location, notes: dict[str, Any]) -> bool:
    values, image = request.values, opened.image
    selection = select(image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
    inputs = [Input("image", opened, selection.level.path, selection.sources)]
    if notes.get("beside"):
        levels = len(open_image(made).levels)
        beside = Beside.of(image, ("zarr.json", *map(str, range(levels))))
        if beside.state != notes["beside"]:
            return False
        for number, labels in enumerate(beside.labels.values(), start=1):
            whole = select(labels, 0, EVERY)
            inputs.append(
                Input(f"labels-{number}", OpenedInput(labels.location, labels), whole.level.path, whole.sources)
            )
    if notes.get("plan") != {one.name: one.planned(one.metadata()) for one in inputs}:
        return False
    return all(is_as_noted(one, notes["inputs"].get(one.name)) for one in inputs)
