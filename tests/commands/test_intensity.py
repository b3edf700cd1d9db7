"""What the harness over all declarations does not feed to intensities: no numbers, 64 bits, and the contrast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.operations import find
from made_stores import multiscale, write
from operations.harness import by_blocks, write_image


def test_what_is_no_number_becomes_no_integer() -> None:
    image = np.ones((4, 4), "float32")
    image[1, 2] = np.nan
    values: dict[str, Any] = {"low": None, "high": None}
    with pytest.raises(InputError, match="not numbers"):
        by_blocks(find("intensity", "window"), image, {**values, "dtype": "uint8"}, (4, 4))
    found = by_blocks(find("intensity", "window"), image, {**values, "dtype": "float32"}, (4, 4))
    np.testing.assert_array_equal(found, image)


def test_a_percentile_that_is_infinite_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).random((20, 20)).astype("float32")
    image[3, 4] = np.inf
    words = ["intensity", str(write_image(tmp_path / "i", image, "yx")), "--method", "rescale"]
    for to, name in (("--preview", "o.png"), ("--output", "o.ome.zarr")):
        assert main([*words, to, str(tmp_path / name)]) == 2
        assert "The percentile 100 of the image is not finite; choose percentiles" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
    place = tmp_path / "p.ome.zarr"
    assert main([*words, "--high-percentile", "99", "--output", str(place)]) == 0
    found = np.asarray(zarr.open_array(place / "0", mode="r")[...])
    high, low = np.percentile(image, 99), image.min()
    np.testing.assert_allclose(found, np.clip((image - low) / (high - low), 0, 1), rtol=1e-5)


@pytest.mark.parametrize("words", ["intensity --method rescale", "filter --method sato"])
def test_what_only_voxels_show_is_nothing_to_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    image = np.random.default_rng(0).random((20, 20)).astype("float32")
    image[3, 4] = np.nan
    command, *rest = words.split()
    source = write_image(tmp_path / "i", image, "yx")
    assert main([command, str(source), *rest, "--output", str(tmp_path / "o.ome.zarr")]) == 2
    said = capsys.readouterr().err
    assert "not numbers" in said
    assert "resume" not in said
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_the_largest_value_stays_under_gamma(dtype: str) -> None:
    top = np.iinfo(dtype).max
    image = np.array([[0, 1, top // 4, top]], dtype)
    found = by_blocks(find("intensity", "gamma"), image, {"gamma": 0.5}, (1, 4)).tolist()[0]
    assert (found[0], found[3]) == (0, top)
    assert abs(found[2] - top / 2) < 1e-6 * top


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("intensity --method invert", (0, 65535)),
        ("intensity --method gamma", (0, 65535)),
        ("intensity --method window --dtype uint16", (0, 65535)),
        ("intensity --method rescale --dtype uint16", (0, 65535)),
        ("intensity --method cast --dtype uint16", (5, 900)),
        ("intensity --method clip --low 3", (5, 900)),
        ("filter --method median", (5, 900)),
        ("project --method max", (5, 900)),
        ("project --method max --axis c", (0, 65535)),
        ("project --method median", (0, 1)),
        ("project --method argmax", (0, 3)),
        ("project --method argmax --axis t", (0, 1)),
    ],
)
def test_the_contrast_stays_where_it_still_suits(tmp_path: Path, words: str, expected: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 900, (4, 9, 9)).astype("uint16")
    shown = {"label": "DNA", "color": "00FF00", "window": {"min": 0, "max": 65535, "start": 5, "end": 900}}
    extra = {"omero": {"channels": [shown]}}
    store = write(tmp_path / "i.ome.zarr", "0.5", "zyx", image.shape, "uint16", multiscale("zyx", 1), extra)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = image
    command, *rest = words.split()
    assert main([command, str(store), *rest, "--workers", "1", "--output", str(tmp_path / "o.ome.zarr")]) == 0
    about = json.loads((tmp_path / "o.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    window = about["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == expected
    assert window["max"] <= 65535


@pytest.mark.parametrize("to", ["float32", "uint8"])
def test_half_floats_come_in(tmp_path: Path, to: str) -> None:
    image = np.random.default_rng(0).uniform(-9, 300, (20, 20)).astype("float16")
    source, place = write_image(tmp_path / "i", image, "yx"), tmp_path / "o.ome.zarr"
    assert main(["intensity", str(source), "--method", "cast", "--dtype", to, "--output", str(place)]) == 0
    found = np.asarray(zarr.open_array(place / "0", mode="r")[...])
    assert found.dtype == to
    expected = image.astype(to) if to == "float32" else np.rint(image).clip(0, 255)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("words", "dtype", "bad"),
    [
        ("intensity --method cast --dtype uint8", "float32", np.nan),
        ("intensity --method window --dtype uint8 --low 0 --high 1", "float64", np.nan),
        ("intensity --method clahe", "float32", 7),
        ("morphology --method dilate --radius 1", "int64", 2**53 + 1),
        ("channels --method grey", "float32", 1.5),
    ],
)
def test_values_that_are_not_taken_leave_no_voxels_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, dtype: str, bad: float
) -> None:
    image = np.ones((3, 20, 20), dtype)
    image[1, 3, 4] = bad
    family, *rest = words.split()
    source, place = write_image(tmp_path / "i", image, "cyx"), tmp_path / "o.ome.zarr"
    given = ["--block", "8,8", "--output", str(place)]
    assert main([family, str(source), *rest, *given]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert "blocks failed" not in said
    # of work that had begun, the record says that it failed
    assert {path.name for path in tmp_path.iterdir()} <= {"i", "o.ome.zarr.run"}
    assert {path.name for path in tmp_path.glob("*.run/*")} <= {"plan.json", "record.json"}
