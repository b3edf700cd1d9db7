"""From a table or GeoJSON of points and shapes to labels on the grid of an image."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import Selection, select
from chunkwise.ops.local import LocalVolumes
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.shape_files import FIELDS, Asked, read_shapes
from chunkwise.ops.shapes import Shapes, draw
from chunkwise.provenance.files import describe_file
from chunkwise.running.chains.local import BASE
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.stores import StoreRun
from chunkwise.storage.location import resolve
from chunkwise.storage.writer import put_object

__all__ = ["run"]

Array = np.ndarray[Any, Any]

FOLDER: Final = "scratch/shapes"


def run(request: Request) -> Result:
    """Draw points and shapes as labels; see :func:`chunkwise.running.run.run`."""
    values, opened = request.values, request.open("image")
    image = opened.image
    one = "0" if len(image.channels) > 1 else None  # only its size counts
    selection = select(image, values["level"], one, values["time"], values["region"])
    source = selection.source
    given = request.inputs["points"]
    assert isinstance(given, str)
    place = resolve(given, request.site)
    if place.is_url:
        raise InputError(f"The points {given} have to be a file; fetch it first.")
    check_files(request)
    sizes = dict(zip(image.axis_names, selection.level.shape, strict=True))
    needed = "".join(axis for axis in "tzyx" if axis in "yx" or sizes.get(axis, 1) > 1)
    asked = Asked(given, needed, _columns(values["columns"]), not values["no_header"], values["radius"])
    shapes, columns = read_shapes(place.address, place.allows, asked)
    count = len(shapes.rows)
    there = shapes.inside(sizes.get("t", 1), tuple(sizes[axis] for axis in image.spatial))
    outside = _outside(shapes.only(~there), count, image, given, values["outside"] == "fail")
    shapes = shapes.only(there)
    hidden = shapes.only(shapes.hidden())
    dtype = "uint64" if len(shapes.rows) and shapes.rows["label"].max() >= 2**32 else "uint32"
    drawn = _drawn(shapes, selection)

    def projected(grid: Grid) -> int:
        # Labels as they are drawn, and as they are written; the shapes, and those of a block once more.
        item = np.dtype(dtype).itemsize
        return projected_memory(grid, outer=item, unit=2 * item, base=BASE + 2 * drawn.nbytes)

    grid, resources = fit_blocks(request, selection, projected)
    known = describe_file(place.address)
    volumes = DrawnVolumes(source, grid, (source.channel,), dtype, shapes=drawn)
    beside = str(known.get("fingerprint", {}).get("value", ""))
    work = StoreRun(request, opened, selection, grid, request.recorded(), beside=beside)
    output = work.label_image(dtype)
    work.recorder.input("points", "table", place, **known)
    work.write(volumes, output, resources)
    facts = {"drawn": len(drawn.rows), "labels": len(np.unique(drawn.rows["label"])), "outside": outside}
    work.recorder.result("shapes", facts | {"hidden": len(hidden.rows)})
    if len(hidden.rows):
        first = hidden.rows[0]
        print(
            f"warning: {_shapes(len(hidden.rows))} of {given} in the same voxel as a later one of another label, "
            f"which the voxel shows: {_where(first, image)}{_others(hidden)}.",
            file=sys.stderr,
        )
    labels = f"{facts['labels']} label{'s' * (facts['labels'] != 1)}"
    lines = [f"{_shapes(facts['drawn'])} as {labels}: {work.written(output)}"]
    if columns:
        work.recorder.result("columns", columns)
        lines.append("  " + ", ".join(f"{what} from '{column}'" for what, column in columns.items()))
    if facts["drawn"] < len(shapes.rows):
        lines.append(f"  {len(shapes.rows) - facts['drawn']} in other parts of the image")
    return work.finish(output, lines)


@dataclass(frozen=True)
class DrawnVolumes(LocalVolumes):
    """Volumes whose size alone counts: what is written is drawn."""

    shapes: Shapes | None = None
    """As long as the run has not begun; workers open them in ``folder``."""
    folder: str = ""

    def prepared(self, job: Job) -> Self:
        """The same, with the shapes in the run's folder."""
        shapes = self.shapes
        assert shapes is not None
        shapes.save(lambda name, array: put_object(job.run.folder, f"{FOLDER}/{name}", rows_bytes(array)))
        return replace(self, shapes=None, folder=job.run.path(FOLDER))

    def compute(self, number: int) -> Array:
        """Draw a block."""
        volume, block = self.place(number)
        box = zip(self.grid.block_box(block), self.source.origin, strict=True)
        wide = tuple(slice(part.start + first, part.stop + first) for part, first in box)
        return draw(Shapes.load(self.folder), self.source.first_time + volume, wide, self.dtype)


def _columns(text: str | None) -> dict[str, str]:
    """Read ``x=NAME,y=NAME``."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        what, _, name = (one.strip() for one in part.partition("="))
        if what not in FIELDS or what in found or not name:
            raise InputError(
                f"--columns {text} has to be a list such as x=NAME,y=NAME, each of {', '.join(FIELDS)} once at most."
            )
        found[what] = name
    return found


def _drawn(shapes: Shapes, selection: Selection) -> Shapes:
    """Those that reach into the part of the image that is written."""
    source, rows = selection.source, shapes.rows
    begin = np.array((0,) * (3 - len(source.origin)) + source.origin)
    end = begin + np.array((1,) * (3 - len(source.shape)) + source.shape)
    here = ((rows["low"] < end) & (rows["high"] > begin)).all(1)
    here &= (rows["t"] >= source.first_time) & (rows["t"] < source.first_time + source.volumes)
    return shapes.only(here).by_time()


def _outside(those: Shapes, count: int, image: Image, given: str, fail: bool) -> int:
    """Refuse or name what lies outside of the image."""
    if len(those.rows):
        said = (
            f"{len(those.rows)} of the {count} shapes of {given} lie outside of the image: "
            f"{_where(those.rows[0], image)}{_others(those)}"
        )
        if fail:
            raise InputError(
                f"{said}; give places in voxels of the level, or leave such shapes out with --outside drop."
            )
        print(f"warning: {said}, and so left out.", file=sys.stderr)
    return len(those.rows)


def _where(row: Any, image: Image) -> str:
    """Name a shape by its number, and where it is."""
    centre = row["low"] if row["rings"] else row["centre"]
    places = [f"{axis} {place}" for axis, place in zip("zyx", centre, strict=True) if axis in image.spatial or place]
    time = [f"t {row['t']}"] if row["t"] or "t" in image.axis_names else []
    return f"number {row['number']} at {', '.join(time + places)}"


def _others(those: Shapes) -> str:
    count = len(those.rows) - 1
    return f", and {count} more" if count else ""


def _shapes(count: int) -> str:
    return f"{count} shape{'' if count == 1 else 's'}"
