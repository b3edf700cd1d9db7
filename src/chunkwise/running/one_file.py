"""A piece of an image as one file of a format that other programs read; see :mod:`chunkwise.ops.cut`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import numpy as np

from chunkwise.cluster.resources import find_resources, size_words
from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection
from chunkwise.ops.cut import Cut
from chunkwise.ops.png import ROWS, write_png
from chunkwise.ops.tiff import TILE, level_shapes, write_imagej_tiff, write_ome_tiff
from chunkwise.provenance.files import describe_file
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.life import earlier_records, report_file
from chunkwise.running.places import check_size
from chunkwise.running.planned import Planned
from chunkwise.running.request import Request, Result
from chunkwise.storage.outputs import check_output_file

__all__ = ["FILES", "FileFormat", "line_of", "write_one_file"]

#: Bytes that the process takes beside the voxels: Python, NumPy, tensorstore, and what waits to be compressed.
BASE = 360 * 2**20
#: Bytes of a slab of voxels at most, and at least where memory is scarce; more would save nothing.
LARGEST_SLAB, SMALLEST_SLAB = 2**27, 2**20


@dataclass(frozen=True)
class FileFormat:
    """A format of single files."""

    called: str
    media_type: str
    write: Callable[..., None]
    """``write(path, cut, dtype, memory, workers, check)``"""
    rows: int
    """Rows that are read at once are a multiple of it."""
    types: Mapping[str, str]
    """Of the file's voxels, by those of an image; each holds every value."""
    lacks: tuple[str, ...] = ()
    """What of an image it has no place for, in words."""
    base: int = BASE
    """Bytes that the process takes beside the voxels."""


def _same(*names: str, **others: str) -> dict[str, str]:
    return {name: name for name in names} | others


#: By their names, as ``operations/_part.py`` has them.
FILES: Final = {
    "ome-tiff": FileFormat(
        "an OME-TIFF",
        "image/tiff",
        write_ome_tiff,
        TILE,
        _same(
            *("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"),
            bool="uint8",
            float16="float32",
        ),
        ("contrast",),
    ),
    "tiff": FileFormat(
        "an ImageJ TIFF",
        "image/tiff",
        write_imagej_tiff,
        TILE,
        _same("uint8", "uint16", "int16", "float32", bool="uint8", int8="int16", float16="float32"),
    ),
    "png": FileFormat(
        "a PNG",
        "image/png",
        write_png,
        ROWS,
        _same("bool", "uint8", "uint16"),
        ("voxel size", "position", "channel names", "colours", "contrast"),
        base=160 * 2**20,  # nothing waits to be compressed
    ),
}


def line_of(selection: Selection) -> str:
    """What there is to say of a piece, but for its place."""
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(selection.image.axes, selection.cut_shape, strict=True))
    return f"{sizes} voxels of {selection.level.dtype} in "


def write_one_file(request: Request, opened: OpenedInput, selection: Selection, form: str) -> Result:
    """Write a selection as one file, in this process; a run that was stopped leaves nothing, and starts over.

    Raises
    ------
    InputError
        If the format cannot hold it.
    """
    to, spread, image, known = request.to, request.spread, opened.image, FILES[form]
    if to.to_workspace or to.output is None:
        raise InputError(f"--to-workspace takes OME-Zarr only; give {known.called} a name with --output.")
    dtype = _type_of(selection.source.dtype, known)
    size = prod(selection.cut_shape) * np.dtype(selection.source.dtype).itemsize
    check_size(request.site, size)
    check_output_file(to.output)
    output = os.path.abspath(to.output)
    cut = Cut(
        name=image.name or "image",
        labels=image.kind == "labels",
        sources=selection.sources,
        channels=tuple(image.channels[c] for c in selection.channels),
        axes=image.axes,
        scale=selection.level.scale,
        translation=selection.translation,
        chunks=tuple(n for n, axis in zip(selection.level.chunks, image.axes, strict=True) if axis.type == "space"),
    )
    resources = find_resources(spread.workers, spread.memory, prod(selection.cut_shape), request.site, here=True)
    slab = min(LARGEST_SLAB, max(SMALLEST_SLAB, (resources.memory_per_worker - known.base) // 4))
    needed = known.base + cut.memory(known.rows, slab)
    if needed > resources.memory_per_worker:
        raise InputError(
            f"To write this file takes about {size_words(needed)}, and the process may use "
            f"{size_words(resources.memory_per_worker)}; give a larger --memory."
        )
    recorder = Recorder(request.operation.family, request.recorded(channel=selection.channel_names, format=form))
    inputs = Inputs(recorder, [Input("image", opened, selection.level.path, selection.sources)])
    if request.plan:
        levels = sum(map(prod, level_shapes(cut.shape))) / prod(cut.shape[-2:]) if form == "ome-tiff" else 1
        expected = {"shape": list(cut.shape), "block": None, "blocks": 1}
        written = {"bytes_written": round(size * levels), "files": 1 + len(to.files)}
        raise Planned(request, selection.sources, replace(resources, needed=needed), 1, expected | written)
    with inputs.held():
        known.write(output, cut, dtype, slab, resources.workers, inputs.check)
    lost = _lost(cut, known)
    description = {
        "shape": list(cut.shape),
        "dtype": dtype,
        "axes": [{"name": axis.name, "type": axis.type, "unit": axis.unit} for axis in image.axes],
        "scale": list(cut.scale),
        "translation": list(cut.translation),
        "channels": list(selection.channel_names),
    } | ({"remarks": list(lost)} if lost else {})
    recorder.output(
        "output", image.kind, output, media_type=known.media_type, description=description, **describe_file(output)
    )
    reference = report_file(to, recorder.finish(), earlier_records(opened.records), image.kind)
    colours = ""
    if form == "png" and len(cut.channels) == 3:
        pairs = zip(cut.channels, ("red", "green", "blue"), strict=True)
        colours = ": " + ", ".join(f"{one.name} is {colour}" for one, colour in pairs)
    return Result(reference, (f"{line_of(selection)}{output}{colours}", *(f"  {sentence}" for sentence in lost)))


def _type_of(dtype: str, known: FileFormat) -> str:
    """The type of the file's voxels: the image's, or one that holds each of its values.

    Raises
    ------
    InputError
        If there is none.
    """
    if dtype in known.types:
        return known.types[dtype]
    others = [name for name, other in FILES.items() if dtype in other.types]
    raise InputError(
        f"{known.called[:1].upper()}{known.called[1:]} cannot hold {dtype} voxels; choose another --format: "
        f"{' or '.join((*others, 'zarr'))}."
    )


def _lost(cut: Cut, known: FileFormat) -> tuple[str, ...]:
    """What the image says and the file does not, as a remark."""
    has = {
        "voxel size": any(axis.type == "space" and axis.unit for axis in cut.axes),
        "position": any(cut.translation),
        "channel names": any(one.name != str(one.index) for one in cut.channels),
        "colours": any(one.color for one in cut.channels),
        "contrast": any(one.window for one in cut.channels),
    }
    lost = [words for words in known.lacks if has[words]]
    if known.write is write_imagej_tiff:
        lost += _lost_of_imagej(cut)
    return (f"{known.called} has no place for: {', '.join(lost)}.",) if lost else ()


def _lost_of_imagej(cut: Cut) -> list[str]:
    """It has one unit for x, y and z, and none without a size along x and y; colours and contrast go together."""
    known = cut.sizes_in("micrometer")
    spatial = {axis.name for axis in cut.axes if axis.type == "space" and axis.unit}
    lost = ["voxel size"] if spatial and not {"x", "y"} <= set(known) else []
    if any(cut.translation) and not {"x", "y"} <= set(known):
        lost.append("position")
    if any(one.color for one in cut.channels) and not all(one.color for one in cut.channels):
        lost.append("colours of some channels")
    if any(one.window for one in cut.channels) and not all(one.window for one in cut.channels):
        lost.append("contrast of some channels")
    if len(cut.channels) == 1 and cut.channels[0].name != str(cut.channels[0].index):
        lost.append("the channel's name")
    return lost
