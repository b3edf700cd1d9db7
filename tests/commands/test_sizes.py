"""``--sizes-in micrometres``: the literal calls of SciPy and scikit-image with the converted sizes, axis by axis."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.exposure
import skimage.filters
import skimage.restoration
import zarr

import chunkwise as cw
import made_stores
from chunkwise.cli import main
from chunkwise.running import sizes
from chunkwise.running.chains import local
from whole_image import reference_segment

Array = np.ndarray[Any, Any]

#: Of the made images: thick slices.
EDGES = (2.0, 0.5, 0.65)
SHAPE = (21, 70, 60)


def write(folder: Path, voxels: Array, edges: Sequence[float] = EDGES, unit: str | None = "micrometer") -> Path:
    axes = "zyx"[-voxels.ndim :]
    entry = made_stores.multiscale(axes, levels=1)
    entry["datasets"][0]["coordinateTransformations"][0]["scale"] = list(edges)
    for axis in entry["axes"]:
        axis.pop("unit")
        if unit is not None:
            axis["unit"] = unit
    store = made_stores.write(folder / "i.ome.zarr", "0.5", axes, voxels.shape, voxels.dtype, entry=entry, chunk=16)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return store


def volume(dtype: str = "uint16", seed: int = 0, shape: Sequence[int] = SHAPE) -> Array:
    rng = np.random.default_rng(seed)
    spots = scipy.ndimage.gaussian_filter((rng.random(tuple(shape)) > 0.995).astype(float), 2)
    return (200 * spots / spots.max() + rng.integers(0, 40, tuple(shape))).astype(dtype)


def run(folder: Path, *words: str, block: str = "8,16,16") -> Array:
    place = folder / "o.ome.zarr"
    spread = ["--shard", "16,32,32", "--block", block, "--workers", "1"]
    words = (*words, "--sizes-in", "micrometres", "--output", str(place), "--record", str(folder / "r.json"), *spread)
    assert main(list(words)) == 0
    return np.asarray(zarr.open_array(place / "0", mode="r")[...])


def odd(size: float) -> tuple[int, ...]:
    """The nearest odd numbers of voxels, by trying all."""
    return tuple(min(range(1, 99, 2), key=lambda n: (abs(n - size / edge), -n)) for edge in EDGES)


FILTERS: list[tuple[str, str, float, Callable[[Array], Array]]] = [
    ("gaussian", "sigma", 0.9, lambda image: scipy.ndimage.gaussian_filter(image, [0.9 / edge for edge in EDGES])),
    ("median", "size", 2.4, lambda image: scipy.ndimage.median_filter(image, odd(2.4))),
    ("mean", "size", 7, lambda image: scipy.ndimage.uniform_filter(image, odd(7))),
    ("maximum", "size", 4.6, lambda image: scipy.ndimage.maximum_filter(image, odd(4.6))),
    ("minimum", "size", 4, lambda image: scipy.ndimage.minimum_filter(image, odd(4))),
]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("method", "option", "size", "reference"), FILTERS)
def test_filters(tmp_path: Path, method: str, option: str, size: float, reference: Any, dtype: str) -> None:
    image = volume(dtype)
    store = write(tmp_path, image)
    found = run(tmp_path, "filter", str(store), "--method", method, f"--{option}", str(size))
    if (method, dtype) == ("mean", "float32"):
        np.testing.assert_allclose(found, reference(image), rtol=0, atol=1e-6 * image.max())
    else:
        np.testing.assert_array_equal(found, reference(image))


def test_a_ball_is_an_ellipsoid(tmp_path: Path) -> None:
    image = volume()
    found = run(tmp_path, "morphology", str(write(tmp_path, image)), "--method", "erode", "--radius", "2.1")
    z, y, x = np.ogrid[-1:2, -4:5, -3:4]  # 1.05, 4.2 and 3.23 voxels
    ball = z**2 / 1 + y**2 / 16 + x**2 / 9 <= 1
    assert 30 < ball.sum() < 100
    np.testing.assert_array_equal(found, scipy.ndimage.grey_erosion(image, footprint=ball))
    assert (found != scipy.ndimage.grey_erosion(image, footprint=np.ones((3, 9, 7)))).any()


def test_the_windows_are_odd() -> None:
    assert odd(2.4) == (1, 5, 3)
    assert odd(7) == (3, 15, 11)
    assert odd(4) == (3, 9, 7)  # of 1 and 3, as near, and of 7 and 9, the larger


@pytest.mark.parametrize("weights", ["gaussian", "mean", "median"])
def test_local_thresholds(tmp_path: Path, weights: str) -> None:
    image = volume()
    words = ["--method", "local", "--weights", weights, "--size", "6.6", "--offset", "-3"]
    found = run(tmp_path, "threshold", str(write(tmp_path, image)), *words)
    window = odd(6.6)
    assert window == (3, 13, 11)
    if weights == "mean":
        sums = image.astype(float)
        for axis, edge in enumerate(window):
            sums = scipy.ndimage.correlate1d(sums, np.ones(edge), axis)
        np.testing.assert_array_equal(found, image > sums / np.prod(window) + 3)
    else:
        np.testing.assert_array_equal(found, image > skimage.filters.threshold_local(image, window, weights, -3))


@pytest.mark.parametrize(("edges", "unit"), [(EDGES, "micrometer"), ([2000.0, 500.0, 650.0], "nanometer")])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_objects(tmp_path: Path, edges: Any, unit: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = volume(dtype)
    words = ["--sigma", "0.8", "--min-size", "31", "--fill-holes"]
    found = run(tmp_path, "segment", str(write(tmp_path, image, edges, unit)), *words)
    least = ceil(Fraction(31) / (Fraction("2") * Fraction("0.5") * Fraction("0.65")))
    sigma: Any = [0.8 / edge for edge in EDGES]
    expected = reference_segment(image, sigma, fill_holes=True, min_size=least)
    assert expected.max() > 3
    np.testing.assert_array_equal(found, expected)
    said = capsys.readouterr().out
    assert "voxels of 2 x 0.5 x 0.65 micrometres (zyx):\n" in said
    assert "  sigma 0.8 micrometres: 0.4 x 1.6 x 1.23077 voxels\n" in said
    assert f"  min size 31 cubic micrometres: {least} voxels\n" in said
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["parameters"]["sizes_in"] == "micrometres"
    assert record["parameters"]["sigma"] == 0.8
    assert record["results"]["sizes_in_voxels"] == {"voxel": list(EDGES), "sigma": sigma, "min_size": least}


def test_mutant_one_edge_for_all_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, right = volume(), sizes._edges
    monkeypatch.setattr(sizes, "_edges", lambda selection: (right(selection)[-1],) * 3)
    found = run(tmp_path, "segment", str(write(tmp_path, image)), "--sigma", "0.8")
    assert (found != reference_segment(image, [0.8 / edge for edge in EDGES])).any()  # type: ignore[arg-type]


def test_mutant_halo_one_too_small_along_one_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, right = volume(), local._reach
    monkeypatch.setattr(local, "_reach", lambda *given: (*right(*given)[:-1], right(*given)[-1] - 1))
    found = run(tmp_path, "filter", str(write(tmp_path, image)), "--method", "maximum", "--size", "4.6")
    assert (found != scipy.ndimage.maximum_filter(image, odd(4.6))).any()


def test_planes_alone(tmp_path: Path) -> None:
    image = volume()
    found = run(tmp_path, "filter", str(write(tmp_path, image)), "--method", "gaussian", "--sigma", "0.9", "--planes")
    expected = [scipy.ndimage.gaussian_filter(plane, [0.9 / edge for edge in EDGES[1:]]) for plane in image]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_planes_need_no_size_along_the_other_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a window of 1.6 micrometres there are three voxels along y and x, and less than one plane."""
    image = volume()
    words = ["threshold", str(write(tmp_path, image)), "--method", "local", "--weights", "median", "--size", "1.6"]
    assert main([*words, "--sizes-in", "micrometres", "--output", str(tmp_path / "v.ome.zarr")]) == 2
    assert "--size 1.6 micrometres is 1 voxel, and has to be an odd number from 3" in capsys.readouterr().err
    found = run(tmp_path, *words, "--planes")
    assert "size 1.6 micrometres: 3 x 3 voxels" in capsys.readouterr().out
    expected = [plane > skimage.filters.threshold_local(plane, 3, "median") for plane in image]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_a_size_that_is_left_out_stays_so(tmp_path: Path) -> None:
    image = volume("uint8")
    found = run(tmp_path, "intensity", str(write(tmp_path, image)), "--method", "clahe", "--dtype", "float64")
    np.testing.assert_array_equal(found, skimage.exposure.equalize_adapthist(image))


def test_a_level_has_its_own_voxels(tmp_path: Path) -> None:
    image = volume("uint16", shape=(64, 64))
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (64, 64), chunk=16)  # voxels of 1, then 2
    for level, data in enumerate((image, image[::2, ::2])):
        array: Any = zarr.open_array(store / str(level), mode="r+")
        array[...] = data
    words = ["filter", str(store), "--method", "gaussian", "--sigma", "3", "--level", "1", "--sizes-in", "micrometres"]
    assert main([*words, "--output", str(tmp_path / "o.ome.zarr")]) == 0
    found = zarr.open_array(tmp_path / "o.ome.zarr" / "0", mode="r")[...]
    np.testing.assert_array_equal(found, scipy.ndimage.gaussian_filter(image[::2, ::2], 1.5))


def test_splitting_where_voxels_are_cubes(tmp_path: Path) -> None:
    image = volume()
    store = str(write(tmp_path, image, (0.5, 0.5, 0.5)))
    same = {"fill_holes": True, "split": "distance", "shard": (16, 32, 32)}
    found = cw.segment(store, **same, sigma=0.75, split_min_distance=1.9, sizes_in="micrometres")
    other = cw.segment(store, **same, sigma=1.5, split_min_distance=4)
    np.testing.assert_array_equal(found.to_numpy(), other.to_numpy())
    fewer = cw.segment(store, **same, sigma=1.5, split_min_distance=2)
    assert fewer.to_numpy().max() != other.to_numpy().max()


def test_the_preview_says_it(tmp_path: Path) -> None:
    image = volume()
    store = str(write(tmp_path, image))
    region = "10:11,20:50,20:40"
    found = cw.filter(store, method="median", size=2.4, sizes_in="micrometres", preview=True, preview_region=region)
    np.testing.assert_array_equal(found.result, scipy.ndimage.median_filter(image, odd(2.4))[10:11, 20:50, 20:40])
    assert "  size 2.4 micrometres: 1 x 5 x 3 voxels" in found.lines


def test_the_recorded_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = str(write(tmp_path, volume()))
    words = ["segment", store, "--sigma", "0.8", "--min-size", "31", "--sizes-in", "micrometres"]
    assert main([*words, "--output", str(tmp_path / "o.ome.zarr"), "--crate", str(tmp_path / "c.zip")]) == 0
    assert main(["crate", "rerun", str(tmp_path / "c.zip"), "--output", str(tmp_path / "again")]) == 0


@pytest.mark.parametrize(
    ("words", "unit", "because"),
    [
        (["--method", "gaussian"], None, "does not say how large its voxels are along z (the unit is missing)"),
        (["--method", "median", "--size", "300"], "micrometer", "--size 300 micrometres is 601 voxels"),
        (["--method", "median", "--size", "-1"], "micrometer", "has to be a number of 0 or more micrometres"),
        (["--method", "gaussian", "--sigma", "600"], "micrometer", "is 1200 voxels, and has to be"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, words: list[str], unit: str | None, because: str, capsys: Any) -> None:
    store = str(write(tmp_path, volume(), unit=unit))
    place = tmp_path / "o.ome.zarr"
    assert main(["filter", store, *words, "--sizes-in", "micrometres", "--output", str(place)]) == 2
    said = capsys.readouterr().err
    assert because in said
    assert said.count("\n") == 1
    assert not place.exists()


def test_what_has_one_number_for_all_axes_is_refused_where_they_differ(tmp_path: Path, capsys: Any) -> None:
    store = str(write(tmp_path, volume()))
    words = ["segment", store, "--split", "distance", "--sizes-in", "micrometres", "--output", str(tmp_path / "o.zarr")]
    assert main(words) == 2
    assert "--split-min-distance is one number of voxels for all axes" in capsys.readouterr().err


def test_a_fraction_of_a_voxel_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, place = str(write(tmp_path, volume())), str(tmp_path / "o.ome.zarr")
    assert main(["filter", store, "--method", "median", "--size", "2.5", "--output", place]) == 2
    assert "--size 2.5 has to be an odd number" in capsys.readouterr().err
    assert main(["threshold", store, "--method", "otsu", "--sizes-in", "micrometres", "--output", place]) == 2
    assert "--sizes-in is not an option of the method otsu" in capsys.readouterr().err


def test_planes_need_pixels_that_are_square(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = volume()
    words = ["background", str(write(tmp_path, image, (2.0, 0.5, 0.5))), "--method", "rolling-ball", "--radius", "1.6"]
    found = run(tmp_path, *words, "--planes")
    expected = [plane - skimage.restoration.rolling_ball(plane, radius=3) for plane in image]
    np.testing.assert_array_equal(found, np.stack(expected))
    place = str(tmp_path / "p.ome.zarr")
    assert main([*words, "--sizes-in", "micrometres", "--output", place]) == 2
    assert "--radius is one number of voxels for all axes" in capsys.readouterr().err
