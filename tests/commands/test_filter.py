"""What the harness over all declarations does not feed to filters: voxels that are no numbers, and wide integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.operations import find
from operations.harness import by_blocks, write_image


def filtered(folder: Path, image: np.ndarray[Any, Any], block: str) -> np.ndarray[Any, Any]:
    """The mean of the image, by blocks."""
    place, output = folder / "i", folder / f"{block}.ome.zarr"
    if not place.exists():
        write_image(place, image, "yx")
    words = ["--method", "mean", "--size", "5", "--block", block, "--workers", "1", "--output", str(output)]
    assert main(["filter", str(place), *words]) == 0
    return np.asarray(zarr.open_array(output / "0", mode="r")[...])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint64"])
def test_blocks_change_no_bit_of_a_mean(tmp_path: Path, dtype: str) -> None:
    """SciPy's running sums would: they are rounded on the way, and a voxel that is no number stays in them."""
    rng = np.random.default_rng(0)
    if dtype.startswith("float"):
        image = rng.normal(size=(40, 52)) * 10.0 ** rng.integers(-8, 8, (40, 52))
        image[7, 9], image[20, 33] = np.nan, np.inf
    else:
        image = rng.integers(2**58, 2**62, (40, 52))
    image = image.astype(dtype)
    whole = filtered(tmp_path, image, "40,52")
    np.testing.assert_array_equal(filtered(tmp_path, image, "9,11"), whole)
    if dtype.startswith("float"):
        assert np.isnan(whole).sum() == 25, "no further than the box"
        assert np.isinf(whole).sum() == 25
    parts = np.concatenate([uniform_filter(image[:, :26], 5)[:, :20], uniform_filter(image[:, 18:], 5)[:, 2:]], 1)
    assert parts.shape == whole.shape
    mutant = uniform_filter(image, 5)
    assert not np.array_equal(parts, mutant, equal_nan=dtype.startswith("float")), "this is what would be seen"


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_mean_of_whole_numbers_is_that_of_scipy(tmp_path: Path, dtype: str) -> None:
    image = np.random.default_rng(1).integers(0, 2**40, (40, 52)).astype(dtype)
    np.testing.assert_array_equal(filtered(tmp_path, image, "9,11"), uniform_filter(image, 5))


#: Methods and values that take the least, or the largest, of a box of 5.
EXTREMES: list[tuple[str, dict[str, float], Any]] = [
    ("minimum", {}, minimum_filter),
    ("maximum", {}, maximum_filter),
    ("percentile", {"percentile": 0.0}, minimum_filter),
    ("percentile", {"percentile": 3.9}, minimum_filter),
    ("percentile", {"percentile": 96.0}, maximum_filter),
    ("percentile", {"percentile": 100.0}, maximum_filter),
]


@pytest.mark.parametrize(("method", "more", "scipys"), EXTREMES)
def test_blocks_change_no_bit_of_an_extreme(method: str, more: dict[str, float], scipys: Any) -> None:
    """What SciPy gives where a voxel is no number depends on where the line starts."""
    rng = np.random.default_rng(3)
    image = rng.normal(size=(40, 40)).astype("float32")
    none = rng.random(image.shape) < 0.1
    image[none], image[5, 6] = np.nan, -0.0
    spoiled = maximum_filter(none, 5)
    filled = np.where(none, np.inf if scipys is minimum_filter else -np.inf, image)
    expected = np.where(spoiled, np.nan, scipys(filled, 5)).astype("float32")
    operation, values = find("filter", method), {"size": 5, **more}
    found = by_blocks(operation, image, values, (8, 8))
    assert not spoiled.all()
    np.testing.assert_array_equal(found, expected)
    assert found.tobytes() == by_blocks(operation, image, values, image.shape).tobytes()
    part = scipys(image[6:18, 6:18], 5)[2:10, 2:10]
    assert not np.array_equal(scipys(image, 5)[8:16, 8:16], part, equal_nan=True), "this is what would be seen"


@pytest.mark.parametrize(
    ("family", "method", "values"),
    [
        ("filter", "maximum", {"size": 3}),
        ("filter", "minimum", {"size": 3}),
        ("filter", "percentile", {"size": 3, "percentile": 50.0}),
        ("background", "rolling-ball", {"radius": 2}),
        ("background", "white-tophat", {"radius": 2}),
        ("background", "gaussian", {"sigma": 1.0}),
    ],
)
def test_whole_numbers_that_scipy_would_round_are_refused(family: str, method: str, values: dict[str, Any]) -> None:
    operation = find(family, method)
    image = np.full((9, 9), 2**53, "int64")
    constant = 0 if family == "background" else 2**53
    assert (by_blocks(operation, image, values, (4, 4)) == constant).all()
    for dtype, value in (("int64", 2**63 - 1), ("int64", -(2**63)), ("uint64", 2**53 + 1)):
        with pytest.raises(InputError, match="whole numbers beyond 9007199254740992"):
            by_blocks(operation, np.full((9, 9), value, dtype), values, (4, 4))


@pytest.mark.parametrize("method", ["median", "percentile"])
def test_a_zero_has_one_sign(method: str) -> None:
    image = np.random.default_rng(0).choice(np.array([-0.0, 0.0, 1.0, -1.0], "float32"), (20, 21))
    values = {"size": 3, "percentile": 40.0} if method == "percentile" else {"size": 3}
    found = by_blocks(find("filter", method), image, values, (7, 6))
    assert (found == 0).any()
    assert not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("method", ["frangi", "meijering"])
def test_what_no_float_holds_is_refused(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = write_image(tmp_path / "i", np.random.default_rng(0).normal(0, 1e200, (20, 20)), "yx")
    assert main(["filter", str(image), "--method", method, "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert "so large that no float holds what is calculated of them" in capsys.readouterr().err
    assert not (tmp_path / "o.ome.zarr").exists()


@pytest.mark.parametrize(
    "words", ["filter --method dog", "threshold --method niblack", "project --method std --axis c", "spots --channel 0"]
)
def test_nothing_is_printed_of_infinite_voxels(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    image = np.ones((2, 40, 40), "float32")
    image[:, 3, 4] = np.inf
    command, *rest = words.split()
    place = write_image(tmp_path / "i", image, "cyx")
    assert main([command, str(place), *rest, "--workers", "1", "--output", str(tmp_path / "o.ome.zarr")]) == 0
    assert not list(recwarn)
    assert "Warning" not in capsys.readouterr().err
