"""What commands that read or write label images have in common: what they take, in which blocks, what they warn of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Final

from chunkwise.blocks.grid import Grid
from chunkwise.cluster.resources import Resources, find_resources, fit_grid
from chunkwise.errors import InputError
from chunkwise.ngff.layout import SHARD_VOXELS, shard_of
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import Selection
from chunkwise.provenance.record import Recorder
from chunkwise.running.fitting import check_block, check_chunks
from chunkwise.running.request import Around, Request
from chunkwise.running.stores import StoreRun

if TYPE_CHECKING:  # SciPy is imported there
    from chunkwise.ops.write_labels import LabelResult

__all__ = [
    "by_time",
    "check_connectivity",
    "check_labels",
    "counted",
    "followed",
    "named_object",
    "reading_grid",
    "report_remarks",
    "report_unsplit",
    "time_of_labels",
    "where_words",
]

#: Voxels that a preview follows objects beyond the part that it shows: within a plane, and planes.
FOLLOWED: Final = 64
FOLLOWED_PLANES: Final = 16


def check_labels(image: Image, advice: str) -> None:
    """Refuse an image that cannot be a label image.

    Parameters
    ----------
    image : Image
        As opened.
    advice : str
        What to do, such as ``give the label image with --labels``.

    Raises
    ------
    InputError
        If its voxels are neither whole numbers nor bool, which is a mask: one object; or it has several channels.
    """
    dtype = image.levels[0].dtype
    if not dtype.startswith(("int", "uint", "bool")):
        raise InputError(
            f"{image.location.address} holds {dtype} voxels, and labels have to be whole numbers, or bool for a mask; "
            f"{advice}."
        )
    if len(image.channels) > 1:
        raise InputError(
            f"{image.location.address} has {len(image.channels)} channels, and a label image has only one; {advice}."
        )


def reading_grid(
    request: Request, selection: Selection, projected: Callable[[Grid], int], voxels: int
) -> tuple[Grid, Resources]:
    """Choose blocks of whole chunks, about a shard of them, that fit into a worker's memory.

    Parameters
    ----------
    request : Request
        With the block, the workers and the memory that were asked for.
    selection : Selection
        Of the labels.
    projected : callable
        Bytes that a worker needs at most, for a grid.
    voxels : int
        How much there is to do.

    Raises
    ------
    InputError
        If the block has another number of axes, or does not fit.
    """
    spread, shape = request.spread, selection.source.shape
    resources = find_resources(spread.workers, spread.memory, voxels, request.site)
    asked = spread.block
    check_block(asked, selection.image.spatial)
    check_chunks(selection, resources)
    _, shard = shard_of(shape)
    block = shard if asked is None else asked
    if asked is None:
        axes = selection.image.axes
        chunks = [size for size, axis in zip(selection.level.chunks, axes, strict=True) if axis.type == "space"]
        whole = tuple(min(n, max(1, s // c) * c) for s, c, n in zip(shard, chunks, shape, strict=True))
        block = whole if prod(whole) <= 2 * SHARD_VOXELS else shard
    single = (1,) * len(shape)  # no shards are written, so a unit is a block
    grid = fit_grid(projected, Grid.fit(shape, single, block), single, resources, fixed=asked is not None)
    return grid, replace(resources, needed=projected(grid))


def report_remarks(recorder: Recorder, remarks: tuple[str, ...]) -> None:
    """Say what was taken on trust where two images were paired, in the record and on standard error."""
    if remarks:
        recorder.result("remarks", list(remarks))
    for remark in remarks:
        print(f"warning: {remark}", file=sys.stderr)


def named_object(time: int, label: int, box: Mapping[str, tuple[int, int]], voxels: int) -> dict[str, Any]:
    """An object as a record names it; ``box`` is its begin and end by axis."""
    return {
        "time": time,
        "object": label,
        "box": {axis: list(ends) for axis, ends in box.items()},
        "num_pixels": voxels,
    }


def where_words(count: int, named: Sequence[Mapping[str, Any]]) -> str:
    """Say where the first of some objects is, and that the record names more."""
    one = named[0]
    box = ",".join(f"{a}:{b}" for a, b in one["box"].values())
    more = ", and others that the run record names" if count > 1 else ""
    return f"object {one['object']} of time point {one['time']} in the box {box}{more}"


def report_unsplit(work: StoreRun, result: LabelResult, first_time: int, axes: str) -> None:
    """Name the objects that were too large to be split, in the record and on standard error."""
    count = result.n_unsplit
    named = [
        named_object(first_time + entry.volume, entry.label, dict(zip(axes, entry.box, strict=True)), entry.voxels)
        for entry in result.unsplit
    ]
    work.recorder.result("unsplit", {"count": count, "first": named})
    if named:
        print(
            f"warning: {count} object{'s were' if count > 1 else ' was'} too large for --memory to be split, and "
            f"stayed whole: {where_words(count, named)}. A larger --memory splits more; a higher threshold may keep "
            "objects apart.",
            file=sys.stderr,
        )


def counted(objects: int) -> str:
    """Say how many objects there are."""
    return f"{objects} object{'s' if objects != 1 else ''}"


def by_time(counts: Sequence[int], where: str, first_time: int) -> list[str]:
    """Say how many objects there are, and of several time points how many at each."""
    lines = [f"{counted(sum(counts))} in {where}"]
    if len(counts) > 1:
        lines += [f"  time point {first_time + time}: {counted(count)}" for time, count in enumerate(counts)]
    return lines


def followed(reach: Sequence[int], least: int = 0, what: str = "Objects", numbered: bool = True) -> Around:
    """What a preview reads around a part whose objects are shown, so that those at its rim are whole.

    Parameters
    ----------
    reach : sequence of int
        How far a single voxel looks along each axis.
    least : int
        How far objects are followed at least.
    what : str
        What is followed.
    numbered : bool
        Whether they have numbers.
    """
    flat = len(reach) - 2
    far = tuple(r + max(least, FOLLOWED if axis >= flat else FOLLOWED_PLANES) for axis, r in enumerate(reach))
    sizes = " x ".join(map(str, far))
    words = f"{what} are followed {sizes} voxels beyond the region and cut there"
    return Around(far, words=(f"{words}; the full run numbers them otherwise." if numbered else f"{words}.",))


def check_connectivity(asked: int | None, ndim: int) -> int:
    """Give the connectivity, which is the number of axes unless something else is asked for."""
    connectivity = ndim if asked is None else asked
    if not 1 <= connectivity <= ndim:
        raise InputError(f"--connectivity {connectivity} has to be between 1 and {ndim}, the number of axes.")
    return connectivity


def time_of_labels(time: str | None, labels: Image, image: Image | None) -> str | None:
    """``--time`` chooses time points of the labels, unless the image has others: then it says which the labels are."""
    return None if image is not None and _times(labels) != _times(image) else time


def _times(image: Image) -> int:
    return int(dict(zip(image.axis_names, image.levels[0].shape, strict=True)).get("t", 1))
