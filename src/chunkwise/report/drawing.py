"""The histogram of a page, drawn as SVG: text that a reader of the screen reads, too, and no script."""

from __future__ import annotations

from html import escape
from math import ceil

from chunkwise.report.numbers import number_text
from chunkwise.report.sizes import Histogram, round_step

__all__ = ["histogram_svg"]

#: Of the drawing, and what is around the bars: left, top, right, bottom.
WIDTH, HEIGHT = 800, 300
LEFT, TOP, RIGHT, BOTTOM = 64, 16, 16, 52
#: Numbers along the axes, at most.
TICKS_X, TICKS_Y = 10, 5


def histogram_svg(histogram: Histogram, unit: str, title: str) -> str:
    """Draw a histogram of sizes.

    Parameters
    ----------
    histogram : Histogram
        To be drawn; what lies beyond the last edge is a hatched bar at the right.
    unit : str
        Of the sizes.
    title : str
        What the drawing shows, for who does not see it.
    """
    bars = list(histogram.counts) + ([histogram.beyond] if histogram.beyond else [])
    highest = max(bars)
    step = max(1, ceil(round_step(highest / TICKS_Y)))
    top = ceil(highest / step) * step
    across, up = (WIDTH - LEFT - RIGHT) / len(bars), (HEIGHT - TOP - BOTTOM) / top
    floor = HEIGHT - BOTTOM
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" font-size="13" '
        'fill="currentColor">',
        '<defs><pattern id="far" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="3" height="6" fill="#3572b0"/></pattern></defs>',
    ]
    for value in range(0, top + 1, step):
        y = floor - value * up
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8a94a3" '
            f'stroke-opacity="{1 if value == 0 else 0.35}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
        )
    for place, count in enumerate(bars):
        x, height, far = LEFT + place * across, count * up, place == len(histogram.counts)
        fill = "url(#far)" if far else "#3572b0"
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{floor - height:.1f}" width="{max(across - 2, 0.5):.1f}" '
            f'height="{height:.1f}" fill="{fill}"><title>{escape(_words(histogram, place, unit))}</title></rect>'
        )
    every = ceil(len(histogram.edges) / TICKS_X)
    for place in range(0, len(histogram.edges), every):
        x, text = LEFT + place * across, number_text(float(histogram.edges[place]))
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 5}" stroke="#8a94a3"/>'
            f'<text x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{text}</text>'
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">size of an object, {escape(unit)}</text>'
    )
    parts.append(
        f'<text x="16" y="{(TOP + floor) / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + floor) / 2:.0f})">objects</text></svg>'
    )
    return "".join(parts)


def bin_words(histogram: Histogram, place: int) -> str:
    """The sizes of a bar, in words."""
    low = number_text(float(histogram.edges[place]))
    if place == len(histogram.counts):
        return f"{low} and more"
    return f"{low} to {number_text(float(histogram.edges[place + 1]))}"


def _words(histogram: Histogram, place: int, unit: str) -> str:
    count = histogram.beyond if place == len(histogram.counts) else histogram.counts[place]
    return f"{bin_words(histogram, place)} {unit}: {count} object{'' if count == 1 else 's'}"
