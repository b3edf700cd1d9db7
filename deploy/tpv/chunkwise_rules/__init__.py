"""What Galaxy knows of a job, for the rules in ``chunkwise.yml``; runs inside Galaxy, needs nothing but Python.

The rules decide, this module only looks. It lies on Galaxy's ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

__all__ = ["gigabytes", "in_galaxy", "plain", "person"]

#: Galaxy puts values into a job script between double quotes, TPV reads them as Python templates, and an e-mail
#: address may hold back quotes, ``$`` and braces: what has other characters than these is left out.
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._%+@:-]{0,199}")

OWN_ROLES = ("private", "sharing")
STORES = ("zarr", "ome_zarr")
#: Images of other formats, which 'Bring an image in' reads.
FILES = ("tiff", "ome.tiff", "png", "jpg")
LARGEST_REFERENCE = 16 * 2**20
#: No image has more axes or a longer one. A product of numbers without bound would keep Galaxy busy for hours.
MOST_AXES, LONGEST = 8, 2**40
BYTES = {"8": 1, "16": 2, "32": 4, "64": 8}


def plain(text: str | None) -> str:
    """A name as it is, or nothing where it holds what a shell or a template could take for more than a name."""
    return text if text and PLAIN.fullmatch(text) else ""


def person(user: Any) -> dict[str, str]:
    """For whom the job runs: ``user``, ``groups`` and ``roles``, as ``CHUNKWISE_USER`` and its brothers want them."""
    if user is None:
        return {"user": "", "groups": "", "roles": ""}
    groups = [plain(membership.group.name) for membership in user.groups if not membership.group.deleted]
    # Everybody has a private role, and it may have the same name for all; whoever shares data makes a role, too.
    roles = [plain(role.name) for role in user.all_roles() if not role.deleted and role.type not in OWN_ROLES]
    return {
        "user": plain(user.email),
        "groups": ",".join(sorted(filter(None, groups))),
        "roles": ",".join(sorted(filter(None, roles))),
    }


def gigabytes(job: Any) -> float | None:
    """Size of the largest image that a job reads, before compression; None where only the job itself can tell.

    A reference says shape and type. Of a store that is a Galaxy dataset the bytes on disk are known. A deferred
    dataset is an address, and nothing more.
    """
    sizes = []
    for data in _inputs(job):
        if _deferred(data):
            return None
        if data.extension in STORES + FILES:
            sizes.append(float(data.dataset.get_total_size()))
        elif data.extension == "json":
            size = _described(data.get_file_name())
            if size is not None:
                sizes.append(size)
    return max(sizes) / 1e9 if sizes else None


def in_galaxy(job: Any) -> bool:
    """Whether a job reads or makes an image that Galaxy keeps itself, such as a store of thousands of files.

    Pulsar would move it, a store file by file: such a job has to run where Galaxy's own data folder is mounted.
    """
    if any(data.extension in STORES + FILES and not _deferred(data) for data in _inputs(job)):
        return True
    answers = {parameter.name: parameter.value for parameter in job.parameters}
    return '"where": "dataset"' in (answers.get("destination") or "") or answers.get("format") in ('"ome_zarr"',)


def _inputs(job: Any) -> list[Any]:
    return [entry.dataset for entry in job.input_datasets if entry.dataset]


def _deferred(data: Any) -> bool:
    return str(data.dataset.state) == "deferred"


def _described(path: str) -> float | None:
    """Bytes of the image that a reference describes; None where the file is none. Whoever wrote it may have lied."""
    try:
        if os.path.getsize(path) > LARGEST_REFERENCE:
            return None
        with open(path, encoding="utf-8") as file:
            description = json.load(file)["description"]
        width = next((size for bits, size in BYTES.items() if str(description["dtype"]).endswith(bits)), 1)
        shape = [int(size) for size in description["shape"][:MOST_AXES]]
        return float(math.prod(max(0, min(size, LONGEST)) for size in shape) * width)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
