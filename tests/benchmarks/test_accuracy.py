"""The figures of docs/accuracy.md: what computes them is right, and the model that ships is the one they are of."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import ndimage
from skimage.measure import label

from chunkwise.ops.objects import METHODS
from chunkwise.ops.seeds import part_by_boundary
from whole_image import reference_segment, reference_split

ROOT = Path(__file__).parents[2]
ACCURACY = ROOT / "benchmarks" / "accuracy"
PACKAGE = ROOT / "models" / "nuclei"
IMAGES = ROOT.parent / "shared" / "data" / "dsb2018_nuclei2d"


@pytest.fixture(autouse=True)
def _paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ACCURACY), str(ROOT / "training"), *sys.path])


def drawn(seed: int, shape: tuple[int, int] = (96, 120)) -> Any:
    """Blobs that touch, of whole numbers."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random(shape), 3)
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def same_objects(a: Any, b: Any) -> bool:
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]).astype(np.int64), axis=1).shape[1]
    return bool(((a > 0) == (b > 0)).all()) and pairs == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("seed", range(4))
def test_matches_are_those_of_every_pair_looked_at(seed: int) -> None:
    from decode import matches

    # Two thresholds of one image: objects shrink, join and vanish.
    image = drawn(seed)
    truth, found = label(image > 120), label(image > 132 + 4 * seed)
    for threshold, (hits, wrong, missed) in zip((0.5, 0.7, 0.9), matches(truth, found), strict=True):
        pairs = [
            (a, b)
            for a in range(1, truth.max() + 1)
            for b in range(1, found.max() + 1)
            if ((truth == a) & (found == b)).sum() > threshold * ((truth == a) | (found == b)).sum()
        ]
        assert (hits, wrong, missed) == (len(pairs), found.max() - len(pairs), truth.max() - len(pairs))


@pytest.mark.parametrize("dark", [False, True])
def test_the_classical_rows_are_what_segment_computes(dark: bool) -> None:
    import classical

    image = drawn(7)
    settings = classical.Settings(1.0, "otsu", True, 5, 20, dark)
    labels = reference_segment(image, 1, "otsu", "dark" if dark else "bright", 2, True)
    expected = reference_split(labels, (1.0, 1.0), 5, 2, 20)
    assert expected.max() > 5
    assert same_objects(classical.segment(image, settings), expected)


def test_objects_of_maps_are_those_of_the_command() -> None:
    from decode import by_boundary

    rng = np.random.default_rng(3)
    foreground = ndimage.gaussian_filter(rng.random((90, 110)), 4)
    foreground = ((foreground - foreground.min()) / np.ptp(foreground)).astype(np.float32)
    boundary = ndimage.gaussian_filter(rng.random((90, 110)), 1.5).astype(np.float32)
    boundary = (boundary - boundary.min()) / np.ptp(boundary)
    expected = np.zeros(foreground.shape, np.int64)
    components = label(foreground > 0.45, connectivity=2)
    several = 0
    for number in range(1, components.max() + 1):
        parts, count = part_by_boundary(components == number, foreground, boundary, 0.1, 2)
        several += count > 1
        expected += np.where(parts > 0, parts + expected.max(), 0)
    assert several == 2
    assert expected.max() == 30
    assert same_objects(by_boundary(foreground, boundary, 0.45, 0.1, 0), expected)


def test_the_page_has_the_figures_that_were_measured() -> None:
    import accuracy_page as page

    measured = json.loads((ACCURACY / "measured.json").read_text())
    text = (ROOT / "docs" / "accuracy.md").read_text()
    for table in (page._nuclei(measured["nuclei"]), page._ovule(measured["ovule"]), measured["tuned"]):
        assert table in text


def test_the_package_says_how_its_maps_become_objects() -> None:
    about = yaml.safe_load((PACKAGE / "rdf.yaml").read_text())
    objects = about["config"]["chunkwise"]["objects"]
    method = METHODS[objects["method"]]
    assert set(objects["channels"]) == set(method.channels)
    assert set(objects["parameters"]) <= set(method.defaults)
    channels = next(axis for axis in about["outputs"][0]["axes"] if axis["type"] == "channel")["channel_names"]
    assert [channels[index] for index in objects["channels"].values()] == list(objects["channels"])


def test_the_model_that_ships_is_the_one_that_was_measured() -> None:
    if not IMAGES.exists():
        pytest.skip(f"there are no images at {IMAGES}")
    import tifffile
    from networks import Network

    from decode import average_precision, matches, objects_of

    objects = yaml.safe_load((PACKAGE / "rdf.yaml").read_text())["config"]["chunkwise"]["objects"]
    network = Network(PACKAGE / "rdf.yaml")
    measured = json.loads((ACCURACY / "measured.json").read_text())["images"]
    small = [row for row in measured if row["group"] == "dark_256x256"][:4]
    for row in small:
        maps = network.maps(tifffile.imread(IMAGES / "images" / f"{row['name']}.tif"))
        chosen = {name: maps[index] for name, index in objects["channels"].items()}
        found = objects_of(chosen, objects["method"], objects["parameters"])
        truth = tifffile.imread(IMAGES / "masks" / f"{row['name']}.tif").astype(np.int32)
        # An object may change sides where another processor rounds another way.
        assert average_precision(matches(truth, found))[0] == pytest.approx(row["ap50"], abs=0.05)
