"""Percentiles are NumPy's on the whole volume, for every type, whatever the blocks; and the mutants that show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkwise.cli import main
from chunkwise.ops import percentiles
from operations.harness import write_image

Array = np.ndarray[Any, Any]

PERCENTS = ((0.0, 100.0), (1.0, 99.8), (2.5, 63.7), (49.9, 50.1))


def volumes(dtype: str) -> Array:
    """Two channels: close together, and spread over both signs."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype).kind
    if kind == "f":
        spread = rng.normal(size=(23, 31)) * 10.0 ** rng.integers(-30, 30, (23, 31))
        return np.stack([rng.normal(1, 1e-3, (23, 31)), spread]).astype(dtype)
    info = np.iinfo(dtype)
    near = rng.integers(max(info.min, -3), 4, (23, 31))
    # SciPy's percentile of 64 bits would overflow in between, and so would NumPy's.
    return np.stack([near.astype(dtype), rng.integers(info.min // 2, info.max // 2, (23, 31), dtype)])


def found(image: Array, low: float, high: float, folder: Path) -> list[dict[str, float]]:
    """What a run's record says of each volume."""
    if not (folder / "i").exists():
        write_image(folder / "i", image, "cyx")
    name = f"{low}-{high}"
    words = ["--method", "rescale", "--low-percentile", str(low), "--high-percentile", str(high), "--block", "7,9"]
    words += ["--workers", "1", "--output", str(folder / f"{name}.ome.zarr"), "--record", str(folder / f"{name}.json")]
    assert main(["intensity", str(folder / "i"), *words]) == 0
    known: list[dict[str, float]] = json.loads((folder / f"{name}.json").read_text())["results"]["statistics"]
    return known


def expected(image: Array, low: float, high: float) -> list[dict[str, float]]:
    return [
        {"low": np.percentile(one, low).item(), "high": np.percentile(one, high).item()}  # type: ignore[arg-type]
        for one in image
    ]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64"]
)
def test_they_are_those_of_numpy(dtype: str, tmp_path: Path) -> None:
    image = volumes(dtype)
    for low, high in PERCENTS:
        assert found(image, low, high, tmp_path) == expected(image, low, high)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_mutant_signs_are_not_minded(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = volumes(dtype).astype("int32" if dtype == "int16" else dtype)
    monkeypatch.setattr(percentiles, "_keys", lambda voxels: voxels.view(f"u{voxels.dtype.itemsize}"))
    assert found(image, 1.0, 99.8, tmp_path) != expected(image, 1.0, 99.8)


def test_mutant_the_place_among_the_rest_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = percentiles._next
    monkeypatch.setattr(percentiles, "_next", lambda bits, rank, counts: [right(bits, rank, counts)[0], 0])
    image = volumes("float32")
    assert found(image, 1.0, 99.8, tmp_path) != expected(image, 1.0, 99.8)


def test_voxels_that_are_no_numbers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = volumes("float32")
    image[1, 3, 4] = np.nan
    write_image(tmp_path / "i", image, "cyx")
    words = ["intensity", str(tmp_path / "i"), "--method", "rescale", "--output", str(tmp_path / "o.ome.zarr")]
    assert main([*words, "--workers", "1"]) != 0
    assert "has voxels that are not numbers" in capsys.readouterr().err
    assert not (tmp_path / "o.ome.zarr").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "clip", "--low", "5", "--high", "4"], "--low 5 is larger than --high 4."),
        (
            ["--method", "rescale", "--low-percentile", "60", "--high-percentile", "40"],
            "--low-percentile 60 has to be smaller than --high-percentile 40.",
        ),
    ],
)
def test_ranges_that_end_before_they_begin(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "i", volumes("uint8"), "cyx")
    assert main(["intensity", str(tmp_path / "i"), *words, "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert said in capsys.readouterr().err
    assert {one.name for one in tmp_path.iterdir()} == {"i"}
