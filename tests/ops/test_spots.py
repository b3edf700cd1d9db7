"""``chunkwise spots``: the table against scikit-image on the whole image, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.feature import blob_dog, blob_log, peak_local_max

import made_models
from chunkwise.cli import main
from chunkwise.ops.spots import SpotVolumes

Array = np.ndarray[Any, Any]


def scene(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Spots of several sizes, some of which touch or lie at the border, on noise."""
    rng, grid = np.random.default_rng(seed), np.indices(shape)
    image = rng.normal(20, 2, shape)
    for _ in range(30):
        place, sigma = [rng.integers(0, n) for n in shape], rng.uniform(0.8, 3)
        squares = sum((axis - at) ** 2 for axis, at in zip(grid, place, strict=True))
        image += rng.uniform(60, 900) * np.exp(-squares / (2 * sigma**2))
    return image


def table_of(image: Array, folder: Path, *more: str, axes: str = "") -> Array:
    """Columns by their names, as floats."""
    store = made_models.image_store(folder, image, axes or "zyx"[3 - image.ndim :], "i.ome.zarr")
    to = folder / "spots.tsv"
    assert main(["spots", str(store), "--output", str(to), "--workers", "1", *more]) == 0
    return np.genfromtxt(to, names=True, delimiter="\t", ndmin=1)


def rows(table: Array, axes: str, *others: str) -> Array:
    return np.stack([table[name] for name in (*axes, *others)], axis=1)


def wanted(image: Array, method: str, border: int = 0) -> Array:
    """The literal references: places, then sigma."""
    image, blobs = (
        image.astype(float),
        {"threshold": 5, "threshold_rel": 0.05, "overlap": 0.3, "exclude_border": border},
    )
    if method == "log":
        found = blob_log(image, min_sigma=1, max_sigma=3, num_sigma=4, **blobs)
    elif method == "dog":
        found = blob_dog(image, min_sigma=1, max_sigma=4, sigma_ratio=1.4, **blobs)
    else:
        smooth, box = gaussian_filter(image, 1.5), np.ones((5,) * image.ndim)
        how = {"footprint": box, "threshold_abs": 5, "threshold_rel": 0.05, "exclude_border": border}
        found = peak_local_max(smooth, **how)
        found = np.hstack([found, np.full((len(found), 1), 1.5)])
    return np.asarray(found)


WORDS = {
    "log": "--max-sigma 3 --num-sigma 4",
    "dog": "--max-sigma 4 --sigma-ratio 1.4",
    "peaks": "--sigma 1.5 --distance 2",
}
COMMON = ("--threshold", "5", "--relative", "0.05")


def words(method: str) -> list[str]:
    return ["--method", method, *WORDS[method].split(), *COMMON, *(["--overlap", "0.3"] if method != "peaks" else [])]


@pytest.mark.parametrize("method", WORDS)
@pytest.mark.parametrize(
    ("shape", "dtype", "block"),
    [((70, 61), "uint16", "19,23"), ((14, 33, 40), "float32", "14,17,13"), ((1, 40, 30), "int16", "1,40,7")],
)
def test_any_block_gives_the_spots_of_the_whole_image(
    method: str, shape: tuple[int, ...], dtype: str, block: str, tmp_path: Path
) -> None:
    image, axes = scene(shape).astype(dtype), "zyx"[3 - len(shape) :]
    table, expected = table_of(image, tmp_path, *words(method), "--block", block), wanted(image, method)
    np.testing.assert_array_equal(rows(table, axes, "sigma"), expected)
    assert len(expected) > 5
    places = tuple(expected[:, :-1].astype(int).T)
    np.testing.assert_array_equal(table["intensity"], image[places].astype(float))
    np.testing.assert_array_equal(table["label"], np.arange(1, len(expected) + 1))


@pytest.mark.parametrize("method", WORDS)
def test_a_border_is_left_out_before_overlaps_are_looked_at(method: str, tmp_path: Path) -> None:
    image = scene((70, 61)).astype(np.uint16)
    table = table_of(image, tmp_path, *words(method), "--border", "5", "--block", "19,23")
    found, expected = rows(table, "yx", "sigma"), wanted(image, method, 5)
    np.testing.assert_array_equal(found, expected)
    assert 5 < len(found) > len(wanted(image, method, 6))  # that of a border one voxel wider is seen


@pytest.mark.parametrize("method", WORDS)
def test_mutant_a_short_halo_is_caught(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = scene((70, 61)).astype(np.float64)
    whole = table_of(image, tmp_path / "whole", *words(method))
    np.testing.assert_array_equal(table_of(image, tmp_path / "parts", *words(method), "--block", "19,7"), whole)
    reach = SpotVolumes.reach.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(SpotVolumes, "reach", property(lambda self: tuple(n // 3 for n in reach(self))))
    cut = table_of(image, tmp_path / "cut", *words(method), "--block", "19,7")
    assert len(cut) != len(whole) or (cut != whole).any()


def test_times_regions_and_the_units_of_the_image(tmp_path: Path) -> None:
    movie = np.stack([scene((40, 50), seed) for seed in range(3)]).astype(np.uint16)
    cut = ("--time", "1:3", "--region", "5:40,10:50")
    table = table_of(movie, tmp_path, *words("peaks"), *cut, axes="tyx")
    assert set(table["t"]) == {1, 2}
    for time in (1, 2):
        expected = wanted(movie[time, 5:, 10:], "peaks")[:, :2] + (5, 10)
        np.testing.assert_array_equal(rows(table[table["t"] == time], "yx"), expected)
    scale = table["y_physical"][table["y"] > 0] / table["y"][table["y"] > 0]
    np.testing.assert_allclose(scale, scale[0])


def test_plateaus_and_images_without_spots(tmp_path: Path) -> None:
    flat = np.full((12, 12), 7, np.uint8)
    how = ("--method", "peaks", "--sigma", "0", "--block", "5,5")
    assert len(table_of(flat, tmp_path / "a", *how)) == 0  # scikit-image: no peaks in a trivial image
    flat[3:9, 3:9] = 9
    table = table_of(flat, tmp_path / "b", *how)
    expected = peak_local_max(
        flat.astype(float), footprint=np.ones((3, 3)), threshold_abs=0, threshold_rel=0.1, exclude_border=False
    )
    np.testing.assert_array_equal(rows(table, "yx"), expected)
    assert len(table_of(np.zeros((1, 1), np.float32), tmp_path / "c")) == 0
    holes = scene((30, 30))
    holes[:4] = np.nan
    assert (table_of(holes, tmp_path / "d", *how)["y"] >= 4).all()


@pytest.mark.parametrize(
    ("more", "because"),
    [
        (["--min-sigma", "4"], "--min-sigma 4 has to be no larger than --max-sigma 3"),
        (["--min-sigma", "0"], "--min-sigma 0"),
        (["--distance", "0"], "--distance 0"),
        (["--relative", "2"], "--relative 2"),
        (["--channel", "9"], "no channel '9'"),
    ],
)
def test_it_refuses(more: list[str], because: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = made_models.image_store(tmp_path, np.zeros((9, 9), np.uint8), "yx", "i.ome.zarr")
    assert main(["spots", str(store), "--output", str(tmp_path / "s.tsv"), *more]) == 2
    assert because in capsys.readouterr().err
    assert not (tmp_path / "s.tsv").exists()


def test_masks_and_labels_are_no_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = made_models.image_store(tmp_path, np.zeros((9, 9), bool), "yx", "i.ome.zarr")
    assert main(["spots", str(store), "--output", str(tmp_path / "s.tsv")]) == 2
    assert "holds bool voxels" in capsys.readouterr().err


def test_what_is_no_number_hides_the_same_spots_whatever_the_blocks(tmp_path: Path) -> None:
    image = np.array([[6, 8, 8, np.nan, 8, 8, 8, 1]], np.float32)
    words = ["--method", "peaks", "--sigma", "0", "--distance", "1", "--threshold", "0.5", "--relative", "0"]
    found = []
    for block in ("1,8", "1,2", "1,1"):
        folder = tmp_path / block
        folder.mkdir()
        found.append(table_of(image, folder, *words, "--block", block)["x"].tolist())
    assert found == [[1, 5, 6]] * 3  # 2 and 4 lie beside it
