"""What a result would look like, tried in a small region: a run of its own whose store is thrown away.

The same chain does it as does the full run, on the region and on what has to be read around it. What the full run
takes from the whole image, such as a threshold, is taken from a level of it that is small enough, and said.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.progress import Progress
from chunkwise.cluster.resources import size_words
from chunkwise.errors import InputError
from chunkwise.ngff.read import open_image
from chunkwise.ngff.units import SPACE_UNITS, short_unit
from chunkwise.ngff.volumes import EVERY, Selection, parse_region, select
from chunkwise.operations.model import Labels, Mask, Operation, Voxels
from chunkwise.report.pictures import to_gray
from chunkwise.report.side_by_side import Panel, draw_panels
from chunkwise.running.coarse import Coarse, cost_of, find_coarse
from chunkwise.running.request import Around, Destination, Request
from chunkwise.running.run import chain_of, run
from chunkwise.running.sizes import in_voxels
from chunkwise.site import Site
from chunkwise.storage.arrays import Box
from chunkwise.storage.location import resolve
from chunkwise.storage.outputs import check_output_file, write_atomically

__all__ = ["Preview", "preview"]

Array = np.ndarray[Any, Any]

#: Voxels of the edge of the region where none is asked for, and of any region at most.
EDGE: Final = 512
LARGEST: Final = 2048
SMALLEST: Final = 64

#: Bytes that are read for a region and what is around it, decoded chunks and all.
MOST: Final = 512 * 2**20

#: The same for statistics of the whole image.
MOST_FOR_STATISTICS: Final = 64 * 2**20

#: Maps of a model, or channels, that are shown.
SHOWN_MAPS: Final = 3

#: Channels of an image in colours.
COLOURS: Final = 3


@dataclass(frozen=True)
class Preview:
    """What came of it."""

    picture: bytes
    """As PNG."""
    image: Array
    """Voxels of the region; of colours with their axis first."""
    result: Array
    """What became of them, of the same shape; of several maps or channels with their axis first."""
    region: str
    """In voxels of the level, as ``--region`` takes it."""
    lines: tuple[str, ...]
    """What is shown, and where it may differ from the full run."""

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_png_(self) -> bytes:
        return self.picture


def _check_alone(request: Request) -> None:
    """Refuse what only a whole result has."""
    to = vars(request.to)
    given = [name for name in ("output", "to_workspace", "into_source", "run_dir") if to[name]]
    given += [*request.to.files, *(["plan"] if request.plan else [])]
    if given:
        raise InputError(f"--preview writes only a picture; leave out --{given[0].replace('_', '-')}.")


def preview(request: Request, path: str | bool | None, region: str | None = None) -> Preview:
    """Try what is asked for in a small region.

    Parameters
    ----------
    request : Request
        As for a run, without a place for a result.
    path : str or bool
        Of the picture that is written; True for none.
    region : str, optional
        Where to look, in voxels of the level; else in the middle.

    Raises
    ------
    InputError
        If the region is none, or too large to be read at once; else as a run.
    """
    if not path:
        raise InputError("--preview-region says where --preview looks; give --preview as well.")
    _check_alone(request)
    if isinstance(path, str):
        check_output_file(path)
    opened = request.open("image")
    operation, values = request.operation, request.values
    chain = chain_of(operation)
    if not hasattr(chain, "around"):
        raise InputError(f"There is no preview of {operation.phrase}; leave out --preview.")
    selection = _first(chain.selected(request, opened))
    inputs = {**request.inputs, "image": opened}
    request = replace(request, inputs=inputs, values={**values, "time": _time(selection)}, here=True)
    if operation.equals and operation.mixes is None:  # every channel is done alone, and one is shown
        request = replace(request, values={**request.values, "channel": [_channel(selection)]})
    around: Around = chain.around(request, selection)
    images = sum(role in inputs for role, taken in operation.takes.items() if isinstance(taken, Voxels))
    inner, outer = _boxes(selection, around, region, images)
    moved = _moved(selection, outer)

    def look() -> Coarse:
        known = find_coarse(selection, MOST_FOR_STATISTICS)
        if known is not None:
            return known
        voxels = selection.source.read(0, outer)
        where = "only this part, because the image has no level that is small enough"
        return Coarse(voxels, (1.0,) * voxels.ndim, where, False)

    words: list[str] = []
    if hasattr(chain, "settle"):
        request, words = chain.settle(request, selection, look)
    request = replace(request, values={**request.values, "region": _text(moved)})
    pixels = selection.source.read(0, inner)
    colours = [one.read(0, inner) for one in selection.sources] if operation.mixes == COLOURS else None
    with _scratch(path if isinstance(path, str) else None, request.site) as folder, _silent():
        store = os.path.join(folder, "result.ome.zarr")
        to = Destination(output=store, run_dir=os.path.join(folder, "run"), pyramid=False)
        done = run(replace(request, to=to))
        assert done.location is not None
        made = select(open_image(done.location), 0, EVERY)
        # Of a projection there is one plane only.
        sizes_made = zip(inside(inner, outer), made.source.shape, strict=True)
        cut = tuple(slice(0, 1) if size == 1 else part for part, size in sizes_made)
        maps = [source.read(0, cut) for source in made.sources]
    shown = _moved(selection, inner)
    sizes = in_voxels(request, selection).lines
    lines = [_where(operation, selection, shown), *_found(operation, maps), *words, *sizes]
    if outer != selection.source.bounds:
        lines += around.words
    panels = _panels(operation, made, pixels if colours is None else _painted(colours), maps)
    picture = draw_panels(panels, lines, _bar(selection))
    if isinstance(path, str):
        write_atomically(path, picture)
    result = maps[0] if len(maps) == 1 else np.stack(maps)
    image = pixels if colours is None else np.stack(colours)
    return Preview(picture, image, result, _text(shown), tuple(lines))


def _first(selection: Selection) -> Selection:
    """Its first time point."""
    return replace(selection, source=replace(selection.source, volumes=1))


def _time(selection: Selection) -> str | None:
    return str(selection.source.first_time) if "t" in selection.image.axis_names else None


def _channel(selection: Selection) -> str:
    """The first channel as an option names it: a name counts more than a number."""
    name = selection.channel_names[0]
    several = [channel.name for channel in selection.image.channels].count(name) > 1
    return str(selection.channels[0]) if several else name


def _boxes(selection: Selection, around: Around, asked: str | None, images: int) -> tuple[Box, Box]:
    """The region to show, and what is read for it, of so many images; both in voxels of the selection.

    Raises
    ------
    InputError
        If it does not lie in the image, or is too large.
    """
    source = selection.source
    if asked is not None:
        inner = _asked(selection, asked)
        sizes = [part.stop - part.start for part in inner]
        if max(sizes[-2:]) > LARGEST:
            raise InputError(
                f"--preview-region {asked} is too large for a preview; give at most {LARGEST} voxels along y and x."
            )
    else:
        sizes = [min(EDGE if axis >= len(source.shape) - 2 else 1, n) for axis, n in enumerate(source.shape)]
        inner = _middle(source.shape, sizes)
    outer = _outer(source.shape, inner, around)
    while (cost := images * _cost(selection, outer)) > MOST:
        longest = max(sizes[-2:])
        if asked is not None or longest <= SMALLEST:
            chunks = "x".join(map(str, selection.level.chunks))
            raise InputError(
                f"The region and its surroundings lie in {size_words(cost)} of chunks of {chunks} voxels, and a "
                f"preview reads at most {size_words(MOST)}; give a smaller --preview-region or a coarser --level."
            )
        sizes[-2:] = [n // 2 if n == longest else n for n in sizes[-2:]]
        inner = _middle(source.shape, sizes)
        outer = _outer(source.shape, inner, around)
    return inner, outer


def _asked(selection: Selection, text: str) -> Box:
    """The region that was asked for, in voxels of the level, as a box of the selection."""
    image, source = selection.image, selection.source
    sizes = tuple(n for axis, n in zip(image.axis_names, selection.level.shape, strict=True) if axis in "zyx")
    try:
        bounds = parse_region(text, image.spatial, sizes)
    except InputError as error:
        raise InputError(str(error).replace("--region", "--preview-region", 1)) from None
    box = tuple(slice(a - start, b - start) for (a, b), start in zip(bounds, source.origin, strict=True))
    if any(part.start < 0 or part.stop > size for part, size in zip(box, source.shape, strict=True)):
        raise InputError(f"--preview-region {text} is not entirely inside --region.")
    return box


def _middle(shape: tuple[int, ...], sizes: list[int]) -> Box:
    return tuple(slice((n - size) // 2, (n - size) // 2 + size) for n, size in zip(shape, sizes, strict=True))


def _outer(shape: tuple[int, ...], inner: Box, around: Around) -> Box:
    steps = around.step or (1,) * len(shape)
    return tuple(
        slice(max(0, part.start - far) // step * step, min(n, part.stop + far))
        for n, part, far, step in zip(shape, inner, around.voxels, steps, strict=True)
    )


def _cost(selection: Selection, box: Box) -> int:
    return cost_of(selection.image, selection.level, _moved(selection, box)) * len(selection.channels)


def _moved(selection: Selection, box: Box) -> Box:
    """A box of the selection, in voxels of the level."""
    return tuple(slice(o + p.start, o + p.stop) for o, p in zip(selection.source.origin, box, strict=True))


def _text(box: Box) -> str:
    return ",".join(f"{part.start}:{part.stop}" for part in box)


@contextmanager
def _scratch(path: str | None, site: Site | None) -> Iterator[str]:
    """A folder that is gone afterwards; beside the picture, where the policy allows to write."""
    if path is None and site is not None:
        raise InputError(f"{site.file} says where files may be written, so a preview needs a place: give its path.")
    beside = None if path is None else os.path.dirname(os.path.abspath(path))
    folder = tempfile.mkdtemp(prefix=".chunkwise-preview-", dir=beside)
    try:
        yield folder if site is None else resolve(folder, site, write=True).address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the run's progress to itself: it takes seconds."""
    before, Progress.shown = Progress.shown, False
    try:
        yield
    finally:
        Progress.shown = before


def _where(operation: Operation, selection: Selection, box: Box) -> str:
    """Say what is shown."""
    image, level = selection.image, selection.level
    index = next(number for number, one in enumerate(image.levels) if one.path == level.path)
    places = [f"{axis} {part.start}:{part.stop}" for axis, part in zip(image.spatial, box, strict=True)]
    others = [f"level {index}"]
    if len(image.channels) > 1:
        mixed = selection.channel_names if operation.mixes is not None else selection.channel_names[:1]
        others.insert(0, f"channel{'s' if len(mixed) > 1 else ''} {', '.join(mixed)}")
    if "t" in image.axis_names and level.shape[0] > 1:
        others.insert(0, f"time point {selection.source.first_time}")
    units = {axis.unit for axis in selection.spatial_axes}
    if len(units) == 1 and units <= SPACE_UNITS:
        sizes = " x ".join(f"{edge:g}" for edge in selection.spatial_scale)
        others.append(f"voxels of {sizes} {short_unit(units.pop() or '')}")
    first, last = box[0].start, box[0].stop
    stack = len(box) == 3 and last - first > 1
    plane = f", of which plane z {(first + last) // 2} is shown" if stack else ""
    return f"Preview of {operation.phrase}: {', '.join(places)} ({', '.join(others)}){plane}."


def _found(operation: Operation, maps: list[Array]) -> list[str]:
    """Say what is in the region, where it can be counted."""
    if isinstance(operation.gives, Labels):
        count = len(np.unique(maps[0][maps[0] > 0]))
        return [f"{count} object{'s' if count != 1 else ''} in the region."]
    if isinstance(operation.gives, Mask):
        return [f"{100 * float(maps[0].mean()):.3g} % of the region is true."]
    if len(maps) > SHOWN_MAPS:
        what = "maps" if operation.mixes is None else "channels"
        return [f"The first {SHOWN_MAPS} of {len(maps)} {what} are shown."]
    return []


def _plane(volume: Array) -> Array:
    """The middle one of a stack."""
    return volume if volume.ndim == 2 else volume[volume.shape[0] // 2]


def _panels(operation: Operation, made: Selection, pixels: Array, maps: list[Array]) -> list[Panel]:
    left = pixels if pixels.ndim == 3 and operation.mixes == COLOURS else _plane(pixels)
    if operation.mixes == 0:  # channels as they are
        return [Panel(name, _plane(one)) for name, one in zip(made.channel_names[:SHOWN_MAPS], maps, strict=False)]
    panels = [Panel("image", left)]
    if isinstance(operation.gives, Labels | Mask):
        kind = "outlines of objects" if isinstance(operation.gives, Labels) else "what is true"
        return [*panels, Panel(kind, left, _plane(maps[0]))]
    if len(maps) == 1:
        same = maps[0].dtype == pixels.dtype
        return [*panels, Panel(operation.phrase, _plane(maps[0]), window_of=left if same else None)]
    names = made.channel_names
    return panels + [Panel(name, _plane(one)) for name, one in zip(names[:SHOWN_MAPS], maps, strict=False)]


def _painted(channels: list[Array]) -> Array:
    """Red, green and blue as a picture, of the middle plane: fractions of the largest value that their type has."""
    planes = [_plane(one) for one in channels]
    most = 1.0 if planes[0].dtype.kind == "f" else float(np.iinfo(planes[0].dtype).max)
    return np.stack([to_gray(plane, 0.0, most) for plane in planes], axis=-1)


def _bar(selection: Selection) -> tuple[float, str] | None:
    """Size of a pixel along x and its unit, for the scale bar."""
    size, axis = selection.spatial_scale[-1], selection.spatial_axes[-1]
    return (size, axis.unit) if axis.unit in SPACE_UNITS and size > 0 else None
