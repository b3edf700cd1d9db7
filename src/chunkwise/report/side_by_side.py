"""Pictures side by side, with a title each, a scale bar, and sentences below: for a look at a result."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Final

import numpy as np

from chunkwise.ngff.units import short_unit
from chunkwise.report.pictures import contrast, overlay, png_bytes, to_gray

__all__ = ["Panel", "draw_panels"]

Array = np.ndarray[Any, Any]

#: Pixels of a panel's longer edge, at least; and between panels.
EDGE: Final = 512
GAP: Final = 12
#: Pixels of a line of text, and of a letter.
LINE: Final = 20
LETTER: Final = 7.5
#: Share of a true voxel's own colour in the picture of a mask.
TINT: Final = 0.35
TRUE: Final = (255, 140, 0)


@dataclass(frozen=True)
class Panel:
    """One of the pictures."""

    title: str
    plane: Array
    """Shape (y, x), or (y, x, 3): uint8, colours as they are."""
    over: Array | None = None
    """Labels, whose outlines are drawn, or a mask, which is laid over it; of the same shape."""
    window_of: Array | None = None
    """Whose contrast it has; its own without it."""


def draw_panels(panels: Sequence[Panel], lines: Sequence[str], pixel: tuple[float, str] | None = None) -> bytes:
    """Draw them.

    Parameters
    ----------
    panels : sequence of Panel
        From the left; all of one shape.
    lines : sequence of str
        Sentences below.
    pixel : tuple of float and str, optional
        Edge of a voxel along x and its unit, by the specification's name; without it there is no scale bar.

    Returns
    -------
    bytes
        As PNG.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=15)
    pictures = [_drawn(panel) for panel in panels]
    factor = max(1, -(-EDGE // max(pictures[0].shape[:2])))
    pictures = [picture.repeat(factor, axis=0).repeat(factor, axis=1) for picture in pictures]
    height, each = pictures[0].shape[:2]
    wide = max(each, EDGE // 2)
    width = len(pictures) * wide + (len(pictures) + 1) * GAP
    rows = [row for line in lines for row in textwrap.wrap(_plain(line), int((width - 2 * GAP) / LETTER)) or [""]]
    sheet = Image.new("RGB", (width, height + LINE * (len(rows) + 1) + 4 * GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (panel, picture) in enumerate(zip(panels, pictures, strict=True)):
        left = GAP + number * (wide + GAP)
        title = textwrap.shorten(_plain(panel.title), int(wide / LETTER), placeholder="...")
        draw.text((left, GAP), title, "black", font)
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, GAP + LINE + GAP // 2))
    if pixel is not None:
        _draw_bar(draw, font, pixel, factor, each, GAP + LINE + GAP // 2 + height)
    for number, row in enumerate(rows):
        draw.text((GAP, height + LINE * (number + 1) + 3 * GAP), row, "black", font)
    return png_bytes(np.asarray(sheet))


def _plain(text: str) -> str:
    """Write text in the letters that the font has, which are those of ASCII: ``um`` for micrometers."""
    apart = unicodedata.normalize("NFKD", text.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u"))
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode()


def _drawn(panel: Panel) -> Array:
    if panel.plane.ndim == 3:
        return panel.plane
    plane = panel.plane.astype(np.uint8) if panel.plane.dtype == bool else panel.plane
    window = contrast(plane if panel.window_of is None else panel.window_of)
    if panel.over is None:
        return np.repeat(to_gray(plane, *window)[..., None], 3, axis=2)
    drawn = overlay(plane, panel.over.astype(np.uint8) if panel.over.dtype == bool else panel.over, window)
    if panel.over.dtype == bool:
        gray = np.repeat(to_gray(plane, *window)[..., None], 3, axis=2)
        tinted = (1 - TINT) * gray[panel.over] + TINT * np.array(TRUE)
        drawn[panel.over] = tinted.round().astype(np.uint8)
    return drawn


def _draw_bar(draw: Any, font: Any, pixel: tuple[float, str], factor: int, width: int, bottom: int) -> None:
    """Draw a bar of a round length, about a fifth of a panel, into the first panel."""
    size, unit = pixel
    about = size * width / factor / 5
    power = 10.0 ** floor(log10(about))
    length = max(step * power for step in (1, 2, 5) if step * power <= about)
    pixels, left, top = round(length / size * factor), GAP + 10, bottom - 14
    words = _plain(f"{length:g} {short_unit(unit)}")
    box = draw.textbbox((left, top - 22), words, font)
    draw.rectangle((left - 5, top - 26, max(left + pixels, box[2]) + 5, top + 9), fill="black")
    draw.text((left, top - 22), words, "white", font)
    draw.rectangle((left, top, left + pixels - 1, top + 4), fill="white")
