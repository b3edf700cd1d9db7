"""Pictures of good and bad cases: the true outlines and those found, over the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["FOLDER", "outlined", "write_pictures"]

Array = np.ndarray[Any, Any]
FOLDER = Path(__file__).parents[2] / "docs" / "images"
SIDE = 256
ROWS, COLUMNS = 2, 4

TRUE, FOUND, BOTH = (0, 200, 90), (255, 60, 160), (255, 255, 255)


def edges(labels: Array) -> Array:
    """Pixels of objects that have another label beside them."""
    found = np.zeros(labels.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[one] != labels[other]
        found[one] |= differ
        found[other] |= differ
    return found & (labels > 0)


def outlined(image: Array, truth: Array, found: Array) -> Array:
    """The image in grey; outlines green where only true, magenta where only found, white where they agree."""
    low, high = np.percentile(image, (0.5, 99.8))
    shown = (200 * np.clip((image - low) / max(high - low, 1), 0, 1)).astype(np.uint8)
    colour = np.repeat(shown[..., None], 3, axis=2)
    a, b = edges(truth), edges(found)
    colour[a], colour[b], colour[a & b] = TRUE, FOUND, BOTH
    return colour


def write_pictures(pictures: list[Any], images: list[Array], found: list[Array], counts: Array) -> None:
    """accuracy-good.png and accuracy-bad.png: the best and worst of every group, at most eight squares each."""
    hits = counts[:, 0]
    score = hits[:, 0] / np.maximum(hits.sum(1), 1)
    enough = hits[:, 0] + hits[:, 2] >= 8
    for name, order in (("good", np.argsort(-score, kind="stable")), ("bad", np.argsort(score, kind="stable"))):
        fit = [int(i) for i in order if enough[i]]
        groups = list(dict.fromkeys(pictures[i].group for i in fit))
        # The first of every group, then the next ones, whatever their group.
        chosen = [next(i for i in fit if pictures[i].group == group) for group in groups]
        chosen = (chosen + [i for i in fit if i not in chosen])[: ROWS * COLUMNS]
        sheet = np.full((ROWS * (SIDE + 4), COLUMNS * (SIDE + 4), 3), 255, np.uint8)
        for place, i in enumerate(chosen):
            y, x = (place // COLUMNS) * (SIDE + 4), (place % COLUMNS) * (SIDE + 4)
            cut = _busiest(pictures[i].labels, found[i])
            tile = outlined(images[i][cut], pictures[i].labels[cut], found[i][cut])
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
            print(f"{name} {place}: {pictures[i].name} {pictures[i].group} {score[i]:.2f}")
        # Grey and three colours: 32 are enough for the eye, and a third of the bytes.
        few = Image.fromarray(sheet).quantize(32, dither=Image.Dither.NONE)
        few.save(FOLDER / f"accuracy-{name}.png", optimize=True)


def _busiest(truth: Array, found: Array) -> tuple[slice, slice]:
    """The square with the most pixels in an object of one and in none of the other."""
    wrong = ((truth > 0) != (found > 0)).astype(np.int64)
    sums = np.pad(wrong.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    h, w = (min(SIDE, n) for n in truth.shape)
    inside = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(y), int(y) + h), slice(int(x), int(x) + w)
