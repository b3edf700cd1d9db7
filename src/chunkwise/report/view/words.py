"""What of an image is not in a view, in sentences for people."""

from __future__ import annotations

from collections.abc import Sequence

from chunkwise.ngff.volumes import Selection
from chunkwise.report.view.fill import View
from chunkwise.report.view.scene import Layer, Window

__all__ = ["left_out", "ranges_table"]


def left_out(
    space: Selection, layers: Sequence[Layer], view: View, depth: int, times: int, window: Window | None
) -> list[str]:
    """Say what is not in the page: nothing, where all of the image is."""
    found = []
    height, width = space.source.shape[-2:]
    if window is not None:
        size = " × ".join(f"{part.stop - part.start:,}" for part in window)
        found.append(
            f"The smallest level of {space.image.name} is too large to be read for a page; only the central {size} of "
            f"{height:,} × {width:,} pixels are shown."
        )
    found += [_resolution(layer, number, view, several=len(layers) > 1) for number, layer in enumerate(layers)]
    found += [_counted(len(view.planes), depth, "planes"), _counted(len(view.times), times, "time points")]
    others = [frame for frame in ((t, z) for t in view.times for z in view.planes) if frame != view.first]
    if others:
        steps = [_step(layer, view.finest(number, others[0])) for number, layer in enumerate(layers)]
        firsts = [_step(layer, view.finest(number, view.first)) for number, layer in enumerate(layers)]
        coarser = max(range(len(layers)), key=lambda n: steps[n] / firsts[n])
        if steps[coarser] > firsts[coarser]:
            found.append(f"{_all_but(view)} are in the page at 1/{steps[coarser]:.3g} of the resolution.")
    return [sentence for sentence in found if sentence]


def _resolution(layer: Layer, number: int, view: View, several: bool) -> str:
    """Say at which resolution a layer is shown, if that is not the full one."""
    finest = view.finest(number, view.first)
    step = _step(layer, finest)
    if finest is None or step <= 1:
        return ""
    full, shown = layer.sheets[-1].shape, layer.sheets[finest].shape
    what = layer.name if several else "The image"
    return (
        f"{what} has {full[0]:,} × {full[1]:,} pixels at full resolution; the page has 1/{step:.4g} of that along each "
        f"axis, {shown[0]:,} × {shown[1]:,}."
    )


def _step(layer: Layer, sheet: int | None) -> float:
    return 1.0 if sheet is None else max(layer.sheets[sheet].step[1:])


def _counted(shown: int, there: int, what: str) -> str:
    return f"Of {there:,} {what}, {shown:,} {'is' if shown == 1 else 'are'} in the page." if shown < there else ""


def _all_but(view: View) -> str:
    if len(view.planes) > 1:
        first = f"plane {view.first[1]}" + (" of the first time point" if len(view.times) > 1 else "")
    else:
        first = "the first one"
    what = "Planes and time points" if min(len(view.planes), len(view.times)) > 1 else ""
    what = what or ("Planes" if len(view.planes) > 1 else "Time points")
    return f"{what} other than {first}"


def ranges_table(layers: Sequence[Layer], view: View) -> list[tuple[str, ...]]:
    """Of every channel that was squeezed into bytes: its ends, the step, and what is black and white at first."""
    rows = []
    for (layer, number), found in sorted(view.ranges.items()):
        if found.exact:
            continue
        channel = layers[layer].channels[number]
        numbers = (found.low, found.high, (found.high - found.low) / 255, found.black, found.white)
        rows.append((channel.name, *(f"{value:.6g}" for value in numbers)))
    return rows
