"""The published test cases of galaxy-image-analysis: what is asked, what its authors expect, and by which criterion.

The criteria are Galaxy's, which its ``image_diff`` has (galaxy.tool_util.verify), and the assertions about images. They
are written anew here because that package needs another environment; types of voxels are not compared: a mask is 0 and
255 there and a mask here.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image as Picture

__all__ = ["CASES", "Array", "Case", "cases", "distance", "image_of"]

Array = np.ndarray[Any, Any]

CASES = Path(__file__).parents[2] / "shared" / "data" / "gia_cases"

METRICS = {"intensity_image_diff": "rms", "binary_image_diff": "mae", "label_image_diff": "iou"}
"""The macros of their tests, and the metric that each stands for; what is above ``EPS`` fails."""
EPS = 0.01


@dataclass(frozen=True)
class Case:
    """One test of one of their tools."""

    folder: str
    number: int
    refused: bool
    """Their tool has to fail."""
    params: dict[str, str]
    output: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder}-{self.number}"

    @property
    def criterion(self) -> str:
        """What decides, in words."""
        if self.refused:
            return "fails"
        if metric := METRICS.get(self.macro):
            return f"{metric} ≤ {self.eps:g}" if metric != "iou" else f"1 - IoU ≤ {self.eps:g}"
        return "assertions" if self.output.get("asserts") else self.output.get("compare") or "the same file"

    @property
    def macro(self) -> str:
        return str(self.output.get("macro", "")).removeprefix("tests/")

    @property
    def eps(self) -> float:
        return float(self.output.get("eps") or EPS)

    def path(self, name: str) -> Path:
        """A file of the case; in place of a store there is a note of where in their repository it lies."""
        path = CASES / self.folder / name
        if path.suffix == ".zarr" and path.is_file():
            return CASES.parent / "omezarr_galaxy_image_analysis" / path.read_text().split("\n")[0].rpartition("/")[2]
        return path

    @cached_property
    def words(self) -> str:
        """Their parameters, without the files."""
        shown = {key.split("|")[-1]: value for key, value in self.params.items()}
        return ", ".join(f"{key}={value}" for key, value in shown.items() if not self.path(value).exists() or not value)

    def expected(self) -> Array:
        """The image that the authors expect."""
        return image_of(self.path(self.output["value"]))


def cases() -> Iterator[Case]:
    """All of them, in the order of their tools."""
    for file in sorted(CASES.glob("*/cases.json")):
        for told in json.loads(file.read_text()):
            params = {key: str(one.get("value")) for key, one in told["params"].items()}
            outputs = told["outputs"] or [{}]
            yield Case(file.parent.name, told["test"], told["expect_failure"], params, outputs[0])


def image_of(path: Path) -> Array:
    """A whole TIFF or PNG, samples as a first axis, as channels are here."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    if path.suffix.startswith(".tif"):
        with tifffile.TiffFile(path) as file:
            whole, axes = file.series[0].asarray(), file.series[0].axes
        last = axes[-1] in "SCQ"  # Q: an axis that the file has no name for
    else:
        whole = np.asarray(Picture.open(path))
        last = whole.ndim == 3
    return np.moveaxis(whole, -1, 0) if last else whole


def distance(case: Case, found: Array, wanted: Array) -> float:
    """How far the images are apart, by the criterion of the case."""
    assert found.shape == wanted.shape, f"{found.shape} for {wanted.shape}"
    metric = METRICS[case.macro]
    if metric == "iou":
        return 1 - overlap(found, wanted)
    if case.macro == "binary_image_diff":
        assert len(np.unique(found)) == 2, "not a mask of two values"
        found, wanted = found > found.min(), wanted > wanted.min()
    difference = found.astype(np.float64) - wanted.astype(np.float64)
    return float(np.abs(difference).mean() if metric == "mae" else np.sqrt(np.square(difference).mean()))


def overlap(found: Array, wanted: Array) -> float:
    """The smallest intersection over union of an object and the best of the other image; 0 stands for 0 alone."""
    pairs, counts = np.unique(np.stack([found.ravel(), wanted.ravel()]).astype(np.int64), axis=1, return_counts=True)
    sizes = [dict(zip(*np.unique(one, return_counts=True), strict=True)) for one in (found, wanted)]
    best: tuple[dict[int, float], dict[int, float]] = ({}, {})
    for (one, other), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        if (one == 0) == (other == 0):
            share = count / (sizes[0][one] + sizes[1][other] - count)
            best[0][one] = max(best[0].get(one, 0), share)
            best[1][other] = max(best[1].get(other, 0), share)
    return min(mine.get(int(label), 0) for mine, all in zip(best, sizes, strict=True) for label in all)


def assertions(case: Case, found: Array, axes: str) -> list[str]:
    """What does not hold of the assertions about an image; ``axes`` are those of the image found."""
    size = dict(zip(axes, found.shape, strict=True))
    wrong = []
    for told in case.output.get("asserts") or []:
        kind = told["is"].removeprefix("has_image_")
        if kind in ("width", "height", "depth", "channels", "frames"):
            seen: float = size.get({"width": "x", "height": "y", "depth": "z", "channels": "c", "frames": "t"}[kind], 1)
            right = seen == int(told[kind])
        elif kind == "n_labels":
            labels = {int(label) for label in np.unique(found)}
            only = {int(label) for label in re.findall(r"-?\d+", told.get("labels") or "")}
            less = {int(label) for label in re.findall(r"-?\d+", told.get("exclude_labels") or "")}
            seen = len((labels & only if only else labels) - less)
            right = seen == int(told["n"])
        elif kind == "mean_intensity":
            seen = float(found.mean())
            right = abs(seen - float(told["mean_intensity"])) <= float(told.get("eps", 0.01))
        else:
            raise AssertionError(f"{case.name}: {told['is']} is not known here")
        if not right:
            wrong.append(f"{told}: {seen}")
    return wrong
