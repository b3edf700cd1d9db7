"""What a store's own crate says of its image goes with the run records, and from there into the crate of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chunkwise.errors import ChunkwiseError
from chunkwise.provenance.biology import METADATA_FILE, Biology, biology_of
from chunkwise.provenance.details import biology_from
from chunkwise.provenance.entities import data_id
from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import RunRecord
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location
from chunkwise.storage.objects import object_status

__all__ = ["ABOUT", "carried_by", "images_of"]

#: The key in the description of an image that a run read.
ABOUT: Final = "about"

_LARGEST: Final = 2**20  # bytes of such metadata; more is not taken along


def carried_by(location: Location) -> dict[str, Json]:
    """Return what the store's own ``ro-crate-metadata.json`` says, for the description of an image in a run record.

    The store is open already, so that the site allows it. Nothing depends on what is found here: whatever cannot be
    read or understood is not there.
    """
    try:
        # A pipe would never end, and a file may be larger than the memory.
        is_file = not location.is_url and location.archive is None and location.foreign is None
        if is_file and object_status(location, METADATA_FILE).st_size > _LARGEST:
            return {}
        content = read_key(location, METADATA_FILE)
        if content is None or len(content) > _LARGEST:
            return {}
        found = biology_of(parse_json(content))
    except (ChunkwiseError, OSError, ValueError, RecursionError):
        return {}
    return {ABOUT: found.to_dict()} if found else {}


def images_of(records: Sequence[RunRecord]) -> dict[str, Biology]:
    """Return what runs began with: images that were read and not written before, and what is known of each.

    Raises
    ------
    InputError
        If a record was damaged.
    """
    made: set[str] = set()
    images: dict[str, Biology] = {}
    for record in records:
        for resource in record.inputs:
            if resource.kind == "image" and data_id(resource) not in made:
                about = resource.description.get(ABOUT)
                known = biology_from(about, "A description in the run record") if about else Biology()
                images[data_id(resource)] = images.get(data_id(resource), Biology()).or_else(known)
        made |= {data_id(resource) for resource in record.outputs}
    return images
