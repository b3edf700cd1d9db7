"""The checksum that the DANDI archive gives a Zarr: a tree of md5 sums, by the archive's own library.

It is equal to what ``zarrsum local PATH`` prints. Unlike a fingerprint it covers every file, those
named ``ro-crate-*`` included.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chunkwise.storage.objects import Seen

__all__ = ["DANDI", "dandi_checksum"]

#: What the checksum is called where several may stand.
DANDI = "dandi-zarr-checksum"


def dandi_checksum(objects: Iterable[Seen]) -> str:
    """Combine the md5 sums of all objects of a store into ``MD5-COUNT--SIZE``.

    Parameters
    ----------
    objects : iterable of Seen
        Every object, read with ``md5``; in any order.
    """
    from zarr_checksum.tree import ZarrChecksumTree

    tree = ZarrChecksumTree()
    for item in objects:
        tree.add_leaf(Path(item.key), item.size, item.md5 or "")
    return str(tree.process())
