"""Levels of an image without data: not one chunk is there, and all voxels read as background."""

from __future__ import annotations

from chunkwise.ngff.model import Image
from chunkwise.storage.share import Share, chunk_share

__all__ = ["say_empty", "share_of"]


def share_of(image: Image, path: str) -> Share | None:
    """Count the chunks of a level that are there; None where the server does not tell."""
    return chunk_share(image.location.child(path))


def say_empty(image: Image, path: str, share: Share | None) -> str | None:
    """Say that a level has no data, or has some that cannot be read; None where neither is so.

    Parameters
    ----------
    image : Image
        The image.
    path : str
        Of the level.
    share : Share or None
        As :func:`share_of` returns it.
    """
    if share is not None and share.unreadable:
        return (
            f"{share.unreadable} of {share.looked_for} chunks looked for of level {path} of {image.location.address} "
            f"{'is' if share.unreadable == 1 else 'are'} there and cannot be read; the first: {share.why}"
        )
    if share is None or share.found:
        return None
    shares = [(level.path, share_of(image, level.path)) for level in image.levels if level.path != path]
    full = [other for other, there in shares if there is not None and there.found]
    if not full:
        return f"not one chunk of {image.location.address} is there, on any level: every voxel is the fill value."
    order = [level.path for level in image.levels]
    if image.kind == "labels" and all(order.index(other) < order.index(path) for other in full):
        return None  # small objects are gone from coarse levels, and background is not written
    where = f"level {path} of {image.location.address}"
    none = "not one chunk" if share.looked_for == share.total else f"not one of {share.looked_for} chunks looked for"
    verb = "has" if len(full) == 1 else "have"
    return (
        f"{none} of {where} is there, so every voxel of it is the fill value, while level{'s' * (len(full) > 1)} "
        f"{', '.join(full)} {verb} data: was the copy complete, or was another --level meant?"
    )
