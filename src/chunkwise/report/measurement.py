"""The page that ``chunkwise measure --report`` writes: picture, counts, sizes, first rows, and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.ops.columns import Column, dictionary
from chunkwise.report.drawing import bin_words, histogram_svg
from chunkwise.report.numbers import number_text, unit_text
from chunkwise.report.page import Drawing, Page, Picture, Section, Table
from chunkwise.report.pictures import contrast, drawn_large
from chunkwise.report.runs import place_words, run_section
from chunkwise.report.sizes import Histogram, Sizes
from chunkwise.report.tally import MOST_ROWS, Tally
from chunkwise.site.called import called

__all__ = ["View", "measurement_page"]

#: Columns of the table that a page shows, and runs that it tells of.
MOST_COLUMNS = 9
MOST_RUNS = 12
#: Objects of a picture up to which each has its number on it.
MOST_NUMBERED = 150
#: Bytes of the picture inside the page.
PICTURE = 150_000
#: Columns that are shown before others, by the property that they belong to.
FIRST = ("label", "t", "num_pixels", "area_physical", "intensity_mean", "centroid_physical")


@dataclass(frozen=True)
class View:
    """A plane to look at."""

    labels: np.ndarray[Any, Any]
    """Shape (y, x)."""
    image: np.ndarray[Any, Any] | None
    channel: str
    """Of the image; nothing where there is none."""
    box: tuple[slice, ...]
    """Where it lies in the volume."""
    shape: tuple[int, ...]
    """Of the volume."""
    time: int | None
    """Its time point, where there are several."""


def measurement_page(
    tally: Tally,
    view: View | None,
    scale: Sequence[float],
    units: Sequence[str | None],
    axes: str,
    run: Mapping[str, Any],
    earlier: Sequence[Mapping[str, Any]],
    remarks: Sequence[str] = (),
) -> Page:
    """Make the page.

    Parameters
    ----------
    tally : Tally
        What was gathered of the objects.
    view : View or None
        What is shown of them; None where there are none.
    scale, units, axes
        Of the spatial axes: size of a voxel, names of units as far as they are known, letters.
    run : mapping
        What the record of this run says so far.
    earlier : sequence of mapping
        Records of the runs that led to the labels and to the image, the oldest first.
    remarks : sequence of str
        What was taken for granted.
    """
    known = set(units)
    physical = len(known) == 1 and None not in known
    word = "pixels" if len(axes) == 2 else "voxels"
    unit = unit_text(f"{units[0]}^{len(axes)}") if physical else word
    voxel = prod(scale) if physical else 1.0
    named = {one["name"]: place_words(one) for one in run.get("inputs", ())}
    sections = [_short(tally, named, voxel, unit, word)]
    if view is not None:
        sections.append(
            Section(
                "Outlines of the objects" if view.image is not None else "The objects", pictures=[_picture(view, word)]
            )
        )
        sections.append(_sizes(tally.sizes, voxel, unit))
    if len(tally.times) > 1:
        sections.append(_times(tally, voxel, unit))
    if tally.rows:
        sections.append(_rows(tally, units, axes))
    sections += _runs(run, earlier)
    count = tally.sizes.total
    title = f"{count} object{'' if count == 1 else 's'} in {named.get('labels', 'a label image')}"
    footer = "Made by chunkwise. Images and labels were read in place; nothing was copied or changed."
    return Page(title, "Chunkwise report", [], sections, [called(one) for one in remarks], footer)


def _short(tally: Tally, named: Mapping[str, str], voxel: float, unit: str, word: str) -> Section:
    sizes = tally.sizes
    facts: list[tuple[str, object]] = [("Objects", sizes.total)]
    if len(tally.times) > 1:
        facts.append(("Time points", len(tally.times) + tally.left_out))
    if sizes.total:
        whole = tally.volume * (len(tally.times) + tally.left_out)
        share = f"{number_text(100 * sizes.voxels / whole)} % of the image"
        facts.append(("Total size", f"{number_text(sizes.voxels * voxel)} {unit}, {share}"))
        facts.append(("Median size", f"{number_text(sizes.median * voxel)} {unit}"))
        facts.append(("Mean size", f"{number_text(sizes.mean * voxel)} {unit}"))
        ends = (number_text(float(n * voxel)) for n in (sizes.smallest, sizes.largest))
        facts.append(("Sizes", f"{' to '.join(ends)} {unit}"))
    if unit != word:
        facts.append((f"Size of a {word[:-1]}", f"{number_text(float(voxel))} {unit}"))
    facts += [(name.capitalize(), place) for name, place in named.items()]
    text = [] if sizes.total else ["No objects were found: the table has only its header."]
    return Section("In short", text, facts)


def _picture(view: View, word: str) -> Picture:
    numbered = len(np.unique(view.labels)) <= MOST_NUMBERED
    window = None if view.image is None else contrast(view.image)
    drawn = drawn_large(view.image, view.labels, window, numbered)
    height, width = view.labels.shape
    said = []
    if view.time is not None:
        said.append(f"time point {view.time}")
    if len(view.shape) == 3 and view.shape[0] > 1:
        said.append(f"plane {view.box[0].start} of {view.shape[0]} (counted from 0), which most objects touch")
    if (height, width) != view.shape[-2:]:
        corner = f"y {view.box[-2].start}, x {view.box[-1].start}"
        said.append(
            f"the {height} × {width} {word} from {corner} of {view.shape[-2]} × {view.shape[-1]}, where most "
            "objects are"
        )
    else:
        said.append(f"{height} × {width} {word}")
    if view.image is not None and window:
        said.append(f"channel {view.channel}; black is {number_text(window[0])}, white is {number_text(window[1])}")
    numbers = "The numbers are those of the table." if numbered else "There are too many objects here for numbers."
    title = "The objects' outlines on the image" if view.image is not None else "The objects, each in its colour"
    return Picture("objects", drawn, title, f"{_sentence(said)} {numbers}", wide=True, most=PICTURE)


def _sentence(parts: Sequence[str]) -> str:
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _sizes(sizes: Sizes, voxel: float, unit: str) -> Section:
    histogram = Histogram.of(sizes, voxel)
    caption = "How many objects there are of each size; the left edge belongs to a bar, the right one to the next."
    if histogram.beyond:
        caption += " The hatched bar holds all that are larger."
    if sizes.rounded:
        caption += " There are so many different sizes that they were rounded, by less than a thousandth."
    title = f"Sizes of {sizes.total} object{'' if sizes.total == 1 else 's'}, in {unit}"
    bars = [*histogram.counts, *([histogram.beyond] if histogram.beyond else [])]
    table = Table(
        [f"Size, {unit}", "Objects"],
        [(bin_words(histogram, place), count) for place, count in enumerate(bars)],
        "The same as a table",
        folded=True,
    )
    drawing = Drawing(histogram_svg(histogram, unit, title), title, caption)
    return Section("Sizes", drawings=[drawing], tables=[table])


def _times(tally: Tally, voxel: float, unit: str) -> Section:
    columns = ["Time point", "Objects", f"Total size, {unit}", "Share of the image, %"]
    columns += [f"Median size, {unit}", f"Mean size, {unit}"]
    columns += [f"Smallest, {unit}", f"Largest, {unit}", *(f"Mean intensity, {channel}" for channel in tally.channels)]
    rows = []
    for one in tally.times:
        sizes = one.sizes
        if not sizes.total:
            rows.append((one.t, 0, *[""] * (len(columns) - 2)))
            continue
        total = (sizes.voxels * voxel, 100 * sizes.voxels / tally.volume)
        measured = (*total, sizes.median * voxel, sizes.mean * voxel, sizes.smallest * voxel, sizes.largest * voxel)
        means = (one.intensities.get(channel, 0.0) / sizes.total for channel in tally.channels)
        rows.append((one.t, sizes.total, *(number_text(float(value)) for value in (*measured, *means))))
    left = tally.left_out
    text = [f"The other {left} time points are in the table of objects only."] if left else []
    if tally.channels:
        text.append("Mean intensity: the mean over the objects of each one's mean intensity.")
    return Section("Time points", text, tables=[Table(columns, rows)])


def _rows(tally: Tally, units: Sequence[str | None], axes: str) -> Section:
    shown = _shown(tally.columns, len(tally.times) > 1)
    known = dict(line.split("\t")[:2] for line in dictionary(tally.columns, units, axes).splitlines())
    heads = []
    for column in shown:
        unit = unit_text(known[column.name])
        heads.append(f"{column.name} ({unit})" if unit and column.of not in ("label", "t") else column.name)
    places = [tally.columns.index(column) for column in shown]
    rows = [[number_text(row[place]) for place in places] for row in tally.rows]
    left = [f"{len(tally.columns) - len(shown)} more columns"] if len(shown) < len(tally.columns) else []
    left += [f"{tally.sizes.total - len(rows)} more rows"] if tally.sizes.total > len(rows) else []
    text = [
        "Four digits of each number; the table itself has all of them"
        + (f", and {' and '.join(left)}" if left else "")
        + "."
    ]
    return Section(
        f"The first {MOST_ROWS} rows" if tally.sizes.total > MOST_ROWS else "The table",
        text,
        tables=[Table(heads, rows)],
    )


def _shown(columns: Sequence[Column], times: bool) -> list[Column]:
    """The columns that a page shows, those that most people look for first."""
    of = {name: place for place, name in enumerate(FIRST)}
    wanted = [column for column in columns if times or column.of != "t"]
    return sorted(wanted, key=lambda column: of.get(column.of, len(of)))[:MOST_COLUMNS]


def _runs(run: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> list[Section]:
    """What was done, this run last."""
    told = list(earlier)[-MOST_RUNS:]
    text = []
    if len(told) < len(earlier):
        text.append(f"Of {len(earlier)} earlier runs, the last {len(told)} are told here.")
    if not earlier:
        text.append("How the labels were made is not known here: they came without a record of it.")
    text.append("The RO-Crate of the run holds every parameter, version and digest.")
    sections = [run_section(one) for one in (*told, run)]
    return [Section("What was done", text), *sections]
