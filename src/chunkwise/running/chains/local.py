"""An operation that is declared by its kernel: every channel and time point of an image, block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.volumes import EVERY, Selection, select
from chunkwise.operations.model import KINDS, Image, Labels, Voxels
from chunkwise.ops.clahe import Tiles, stretched, tiles_of_volume, tiling_of
from chunkwise.ops.equalize import Shares, shares_of_volume
from chunkwise.ops.local import LocalVolumes, no_kernel
from chunkwise.ops.multi_otsu import classes_of_volume
from chunkwise.ops.object_table import ObjectTable
from chunkwise.ops.percentiles import finite
from chunkwise.ops.threshold import threshold_of_volume
from chunkwise.running.coarse import Coarse
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.labels import check_labels, report_remarks
from chunkwise.running.life import check_files
from chunkwise.running.request import Around, Request, Result
from chunkwise.running.sizes import in_voxels
from chunkwise.running.stores import StoreRun, laid_out

if TYPE_CHECKING:
    from chunkwise.operations.model import Operation
    from chunkwise.reference import OpenedInput

__all__ = ["Beside", "BASE", "around", "check", "run", "run_with", "selected", "settle"]

#: Bytes that a worker takes before it reads a voxel, with NumPy, SciPy and what reads arrays (measured: 280 MB).
BASE = 290 * 10**6


def run(request: Request) -> Result:
    """Apply the kernel; see :func:`chunkwise.running.run.run`."""
    return run_with(request, LocalVolumes)


@dataclass(frozen=True)
class Beside:
    """What a chain does beside applying a kernel."""

    digest: str = ""
    """Of what else is read: a run that was stopped goes on only where it is the same."""
    begin: Callable[[StoreRun], None] = lambda _: None
    end: Callable[[StoreRun], list[str]] = lambda _: []
    """Gives lines for people; both may add to the record."""


def run_with(request: Request, of: Callable[..., LocalVolumes], beside: Beside | None = None) -> Result:
    """The same for volumes of another class, which say what is done to them."""
    beside = beside or Beside()
    operation, values = request.operation, request.values
    made, kernel = operation.gives, operation.kernel
    assert isinstance(made, Voxels)
    opened = request.open("image")
    selection = selected(request, opened)
    source, image = selection.source, opened.image
    check(request, selection)
    sizes, reach = in_voxels(request, selection), _reach(request, selection)
    own = operation.own(sizes.values)
    if values["planes"]:  # the kernel sees two axes
        own = {name: one[-2:] if isinstance(one, tuple) else one for name, one in own.items()}
    dtype = made.dtype_of(source.dtype, own)
    item_in, item_out = (np.dtype(one).itemsize for one in (source.dtype, dtype))

    def projected(grid: Grid, threads: int = 1) -> int:
        # Voxels with their halo, the kernel's working set, and its result, which is as large; the unit.
        outer = 2 * item_in + operation.working_bytes(own, item_in) + item_out
        return projected_memory(grid, outer=outer, reach=reach, unit=2 * item_out, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, selection, projected, threads=operation.threads)
    _check_reach(operation, reach, grid, fixed=request.spread.block is not None)
    channel = {"channel": selection.channel_names} if "channel" in operation.part else {}
    recorded = request.recorded(method=operation.name, **channel)
    channels = tuple(image.channels[c] for c in selection.channels)
    if (
        dtype != source.dtype or made.contrast != "same"
    ):  # the contrast was that of other voxels; names and colours stay
        channels = tuple(replace(channel, window=None) for channel in channels)
    output = laid_out(request, selection, dtype, channels)
    volumes = of(
        *(source, grid, selection.channels, dtype, kernel or no_kernel, own, reach, values["planes"], operation.needs),
        places=operation.places,
        crops=operation.crops,
    )
    work = StoreRun(request, opened, selection, grid, recorded, output=output, beside=beside.digest)
    beside.begin(work)
    if isinstance(operation.takes["image"], Labels) and image.kind != "labels":
        remark = (
            f"{image.name or 'The image'} does not say that it is a label image; its numbers were taken for objects."
        )
        report_remarks(work.recorder, (remark,))
    found = work.write(volumes, output, resources)
    if found:
        known = [{name: _in_record(one) for name, one in each.items()} for each in found]
        work.recorder.result("statistics", known)
    more = beside.end(work)
    if sizes.found:
        work.recorder.result("sizes_in_voxels", sizes.found)
    return work.finish(output, [work.written(output), *sizes.lines, *more])


def selected(request: Request, opened: OpenedInput) -> Selection:
    """What of the image is read."""
    values = request.values
    return select(opened.image, values["level"], values.get("channel") or EVERY, values["time"], values["region"])


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows; see :mod:`chunkwise.running.preview`."""
    words = ("Voxels farther away have a small effect, too.",) if request.operation.reach_is == "bounded" else ()
    return Around(_reach(request, selection), words=words)


def settle(request: Request, selection: Selection, look: Callable[[], Coarse]) -> tuple[Request, list[str]]:
    """Fix what the kernel needs to know of the whole volume; gives also where that comes from."""
    operation = request.operation
    check(request, selection)
    if not operation.needs:
        return request, []
    coarse = look()
    known: dict[str, Any] = {}
    words = []
    for argument, name in operation.needs.items():
        if callable(name):
            found = name(coarse.voxels, **operation.own(request.values))
            known[argument] = found.reshape(len(found), -1).max(axis=1).tolist()
        elif name in ("tiles", "shares"):
            of_tiles = name == "tiles"
            bins = request.values["bins"]
            known[argument] = _tiles(request, selection, coarse) if of_tiles else shares_of_volume(coarse.voxels, bins)
            words.append(coarse.words("Histograms of tiles" if of_tiles else "Histogram"))
            continue
        elif name == "classes":
            known[argument] = classes_of_volume(coarse.voxels, request.values["classes"])
        elif name.startswith("percentile "):
            percent = request.values[name.split()[1]]
            with np.errstate(invalid="ignore"):
                known[argument] = finite(percent, np.percentile(coarse.voxels, percent))
        else:
            extent = {"minimum": np.min, "maximum": np.max}.get(name)
            known[argument] = extent(coarse.voxels) if extent else threshold_of_volume(name, coarse.voxels)
        listed = known[argument] if isinstance(known[argument], list) else [known[argument]]
        words.append(coarse.words(f"{argument.capitalize()} {', '.join(f'{one:g}' for one in listed)}"))
    assert operation.kernel is not None
    return replace(request, operation=replace(operation, kernel=partial(operation.kernel, **known), needs={})), words


def _tiles(request: Request, selection: Selection, coarse: Coarse) -> Tiles:
    """What tiles say, of a level at which they are smaller."""
    values, source = in_voxels(request, selection).values, selection.source
    words = (values["clip_limit"], values["bins"], values["planes"])
    size = tiling_of(source.shape, values["kernel_size"], *words).size[-len(source.shape) :]
    less = tuple(max(1, round(edge / factor)) for edge, factor in zip(size, coarse.factors, strict=True))
    tiles = tiles_of_volume(coarse.voxels, tiling_of(coarse.voxels.shape, less, *words))
    return stretched(tiles, tiling_of(source.shape, size, *words), source.origin)


def _reach(request: Request, selection: Selection) -> tuple[int, ...]:
    """How far the kernel looks along each axis."""
    operation, values = request.operation, in_voxels(request, selection).values
    far = operation.reach_of(operation.own(values), len(selection.source.shape))
    return tuple(0 if values["planes"] and axis < len(far) - 2 else r for axis, r in enumerate(far))


def _in_record(statistic: Any) -> Any:
    """A statistic of a volume as JSON has it: of its objects, how many there are; of its tiles, how large they are."""
    if isinstance(statistic, Tiles):
        return list(statistic.tiling.size)
    return statistic.count if isinstance(statistic, ObjectTable | Shares) else np.asarray(statistic).tolist()


def check(request: Request, selection: Selection) -> None:
    """Refuse what the operation does not take."""
    operation, image, dtype = request.operation, selection.image, selection.source.dtype
    address = image.location.address
    if request.values.get("planes") and not operation.offers("planes"):
        raise InputError(
            f"The {operation.phrase} looks at a whole volume first and cannot treat each plane on its own; leave out "
            "--planes."
        )
    role = operation.takes["image"]
    takes, kind = role.kinds, "e" if dtype == "float16" else np.dtype(dtype).kind
    if isinstance(role, Labels) and kind == "b" and "b" not in takes:
        raise InputError(
            f"{address} is a mask, and the {operation.phrase} needs a label image; 'chunkwise label --method "
            "components' makes one of it."
        )
    if isinstance(role, Labels):
        made = "give a mask, such as 'chunkwise threshold' makes"
        check_labels(image, made if takes == "b" else "give a label image, such as 'chunkwise segment' makes")
    if kind == "e" and "f" in takes and kind not in takes:
        raise InputError(
            f"{address} holds float16 voxels, which the {operation.phrase} does not take; convert them first: "
            "'chunkwise intensity --method cast --dtype float32'."
        )
    if image.kind == "labels" and isinstance(role, Image):
        needs = "a mask, which 'chunkwise label --method mask' makes of it" if takes == "b" else "intensities"
        raise InputError(
            f"{address} is a label image, whose values only number the objects, and the {operation.phrase} needs "
            f"{needs}."
        )
    if kind not in takes:
        if takes == "b":
            raise InputError(
                f"{address} is no mask, which the {operation.phrase} needs; 'chunkwise label --method mask' makes one "
                "of labels, and 'chunkwise threshold --method value' of an image of 0 and 255."
            )
        known = ", ".join(words for letter, words in KINDS.items() if letter in takes)
        raise InputError(f"{address} holds {dtype} voxels, and the {operation.phrase} takes {known}.")


def _check_reach(operation: Operation, reach: tuple[int, ...], grid: Grid, fixed: bool) -> None:
    """Refuse blocks that are smaller than what the operation looks at around each: nearly all would be halo."""
    for far, block, size in zip(reach, grid.block, grid.shape, strict=True):
        if far > block and block < size:
            change = "a larger --block" if fixed else "a larger --memory or --shard"
            raise InputError(
                f"The {operation.phrase} looks {'x'.join(map(str, reach))} voxels around each voxel, which is "
                f"more than the blocks of {'x'.join(map(str, grid.block))} voxels hold; give {change}, or parameters "
                "that reach a shorter distance."
            )
