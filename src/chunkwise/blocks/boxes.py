"""Boxes of voxels: sizes, one inside another, and groups of them that are read at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from chunkwise.blocks.grid import Box

__all__ = ["around", "groups_that_fit", "inside", "voxels"]


def voxels(box: Box) -> int:
    """Number of voxels."""
    return prod(part.stop - part.start for part in box)


def inside(box: Box, outer: Box) -> Box:
    """A box as it lies in an array of another."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))


def around(a: Box, b: Box) -> Box:
    """The smallest box that holds both."""
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True))


def groups_that_fit(
    boxes: list[Box], order: Iterable[int], read: int, work: int, room: int
) -> Iterator[tuple[list[int], Box]]:
    """Part boxes into groups: each is read at once, and its boxes are worked on one after the other.

    Parameters
    ----------
    boxes : list of Box
    order : iterable of int
        Indices of the boxes in the order in which they are taken.
    read, work : int
        Bytes for a voxel that is read, and for one that is worked on.
    room : int
        Bytes that there are.

    Yields
    ------
    group : list of int
        Indices. A box that does not fit alone is in no group.
    reach : Box
        Around all of them.
    """
    group: list[int] = []
    reach: Box = ()
    largest = 0
    for index in order:
        size = voxels(boxes[index])
        if size * (read + work) > room:
            continue
        wide = around(reach, boxes[index]) if group else boxes[index]
        if group and voxels(wide) * read + max(largest, size) * work > room:
            yield group, reach
            group, wide, largest = [], boxes[index], 0
        group.append(index)
        reach, largest = wide, max(largest, size)
    if group:
        yield group, reach
