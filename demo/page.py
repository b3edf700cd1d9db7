"""The demo's page: pictures, numbers, the chain of commands, and the first rows of the table."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import check
import numpy as np
import tissue
from terminal import Step

from chunkwise import __version__
from chunkwise.report.pictures import composite, label_colors, to_gray, write_png

__all__ = ["Facts", "pixels_of", "write"]

Array = np.ndarray[Any, Any]

#: Pixels on the page for each pixel of the image, so that outlines are thin.
ZOOM = 2

#: From little to much, for the picture of measured values.
RAMP = ((38, 52, 110), (90, 90, 170), (190, 110, 150), (240, 150, 80), (255, 225, 130))

SHOWN = (
    "label",
    "num_pixels",
    "centroid-0",
    "centroid-1",
    "intensity_mean-hematoxylin",
    "intensity_mean-DAB",
    "intensity_max-DAB",
)


@dataclass
class Facts:
    """What the page tells."""

    parameters: check.Parameters
    block: int
    steps: list[Step]
    again: str
    """A command that gives the same labels from other blocks."""
    labels: Array = field(default_factory=lambda: np.zeros((0, 0), np.uint32))
    channels: dict[str, Array] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    crossing: int = 0
    pieces: int = 0
    equal_labels: bool = False
    equal_table: bool = False
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether everything equals the whole-image result."""
        return self.equal_labels and self.equal_table


def pixels_of(array: Any) -> Array:
    """Read a whole Zarr array."""
    return np.asarray(array[...])


def write(folder: Path, facts: Facts) -> str:
    """Write ``index.html`` and its pictures.

    Returns
    -------
    str
        What was written, for the terminal.
    """
    import jinja2

    pictures = folder / "pictures"
    pictures.mkdir()
    for name, picture in _pictures(facts).items():
        write_png(picture, pictures / f"{name}.png")
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    areas = np.array([int(row["num_pixels"]) for row in facts.rows])
    stain = np.array([float(row["intensity_mean-DAB"]) for row in facts.rows])
    text = environment.get_template("index.html.j2").render(
        facts=facts,
        record=facts.record,
        style=(here / "style.css").read_text(),
        credit=tissue.CREDIT,
        sizes=histogram(areas, (30, 100, 300, 1000, 3000)),
        stains=histogram(np.maximum(stain, 1), (100, 300, 1000, 3000, 10000)),
        median=float(np.median(areas)),
        largest=int(areas.max()),
        low=float(np.percentile(stain, 2)),
        high=float(np.percentile(stain, 98)),
        covered=float((facts.labels > 0).mean() * 100),
        files=sum(1 for path in (folder / "nuclei.ome.zarr").rglob("*") if path.is_file()),
        blocks=math.prod(-(-n // facts.block) for n in facts.labels.shape),
        shown=SHOWN,
        again=facts.again,
        version=__version__,
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    (folder / "index.html").write_text(text, encoding="utf-8")
    return "index.html"


def _pictures(facts: Facts) -> dict[str, Array]:
    rgb, labels = tissue.photograph(), facts.labels
    large = labels.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    stains = [to_gray(facts.channels[name], 0, white) for name, _, white in tissue.CHANNELS]
    pictures = {
        "photograph": _enlarged(rgb),
        "stains": _enlarged(composite(stains, [color for _, color, _ in tissue.CHANNELS])),
        "outlines": _outlined(_enlarged(rgb), large),
        "labels": _with_grid(label_colors(large), large, facts.block * ZOOM),
        "stain": _by_value(large, facts),
    }
    pictures["strip"] = _strip([pictures[name] for name in ("photograph", "outlines", "labels", "stain")])
    return pictures


def _strip(pictures: Sequence[Array], top: int = 440, left: int = 330, edge: int = 520) -> Array:
    """Show one part of each picture side by side, in few colours so that the file is small."""
    from PIL import Image

    parts = []
    for picture in pictures:
        part = Image.fromarray(picture[top : top + edge, left : left + edge])
        part = part.resize((edge // 2, edge // 2), Image.Resampling.LANCZOS)
        parts.append(np.asarray(part.quantize(24, dither=Image.Dither.NONE).convert("RGB")))
        parts.append(np.full((edge // 2, 6, 3), 255, np.uint8))
    return np.concatenate(parts[:-1], axis=1)


def _enlarged(picture: Array) -> Array:
    from PIL import Image

    height, width = picture.shape[:2]
    image = Image.fromarray(picture).resize((width * ZOOM, height * ZOOM), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _outlined(picture: Array, labels: Array) -> Array:
    """Draw outlines that are seen on pale, blue and brown tissue alike: bright, with a dark rim."""
    from skimage import segmentation

    untyped: Any = segmentation
    drawn = picture.copy()
    drawn[untyped.find_boundaries(labels, mode="outer")] = (20, 30, 30)
    drawn[untyped.find_boundaries(labels, mode="inner")] = (90, 255, 170)
    return drawn


def _with_grid(picture: Array, labels: Array, step: int) -> Array:
    """Draw the borders of the blocks, white on objects."""
    drawn = picture.copy()
    for axis in range(2):
        for line in range(step, labels.shape[axis], step):
            place = (slice(line - 1, line + 1), slice(None)) if axis == 0 else (slice(None), slice(line - 1, line + 1))
            drawn[place] = np.where(labels[place][..., None] > 0, 255, 60)
    return drawn


def _by_value(labels: Array, facts: Facts) -> Array:
    """Colour each object by its mean DAB, as the table gives it."""
    values = np.array([0.0, *(float(row["intensity_mean-DAB"]) for row in facts.rows)])
    low, high = np.percentile(values[1:], (2, 98))
    place = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (len(RAMP) - 1)
    ramp = np.array(RAMP, np.float64)
    colors = np.stack([np.interp(place, np.arange(len(RAMP)), ramp[:, i]) for i in range(3)], axis=1)
    colors[0] = (14, 16, 22)
    return np.asarray(colors.round().astype(np.uint8)[labels])


def histogram(values: Array, ticks: Sequence[int], bins: int = 18) -> dict[str, Any]:
    """Bars on a logarithmic scale, for an SVG of 600 x 190.

    Parameters
    ----------
    values : ndarray
        One of each object, more than 0.
    ticks : sequence of int
        Values to write below the axis, where they lie on it.

    Returns
    -------
    dict
        ``bars`` (x, y, width, height, count, from, to), ``ticks`` (x, text) and ``top``, the highest count.
    """
    edges = np.geomspace(values.min(), values.max() * 1.0001, bins + 1)
    counts, _ = np.histogram(values, edges)
    width, top = 600 / bins, max(1, int(counts.max()))
    bars = [
        {
            "x": round(i * width + 1.5, 1),
            "y": round(150 - 140 * count / top, 1),
            "width": round(width - 3, 1),
            "height": round(140 * count / top, 1),
            "count": int(count),
            "from": f"{edges[i]:.0f}",
            "to": f"{edges[i + 1]:.0f}",
        }
        for i, count in enumerate(counts)
    ]
    low, high = math.log(edges[0]), math.log(edges[-1])
    marks = [
        {"x": round((math.log(value) - low) / (high - low) * 600, 1), "text": str(value)}
        for value in ticks
        if edges[0] <= value <= edges[-1]
    ]
    return {"bars": bars, "ticks": marks, "top": top}


def _number(text: str) -> str:
    """Shorten a number of the table for reading."""
    value = float(text)
    return str(int(value)) if value.is_integer() else f"{value:.1f}"
