"""Projections along every axis are NumPy's of the whole image, with channels, time points and places as they should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.ops.stacks import StackedVolumes
from made_stores import multiscale, write

Array = np.ndarray[Any, Any]

SHAPE = (3, 2, 5, 21, 26)
METHODS = ("max", "min", "mean", "sum", "median", "std", "argmax")


def made(folder: Path, dtype: str = "uint16", axes: str = "tczyx") -> Array:
    image = (np.random.default_rng(0).random(SHAPE[-len(axes) :]) * 4000).astype(dtype)
    omero = {"channels": [{"label": name, "color": "00FF00", "active": True} for name in ("DNA", "actin")]}
    extra = {"omero": omero} if "c" in axes else {}
    store = write(folder / "i.ome.zarr", "0.5", axes, image.shape, dtype, multiscale(axes, 1), extra)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = image
    return image


def projected(folder: Path, method: str, *words: str) -> tuple[Array, dict[str, Any]]:
    output = folder / "o.ome.zarr"
    spread = ["--workers", "1", "--output", str(output)]
    assert main(["project", str(folder / "i.ome.zarr"), "--method", method, *words, *spread]) == 0
    about = json.loads((output / "zarr.json").read_text())["attributes"]["ome"]
    return np.asarray(zarr.open_array(output / "0", mode="r")[...]), about


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("axis", "tcz")
@pytest.mark.parametrize("method", METHODS)
def test_every_axis(method: str, axis: str, dtype: str, tmp_path: Path) -> None:
    image = made(tmp_path, dtype)
    found, about = projected(tmp_path, method, "--axis", axis, "--block", "2,8,9", "--shard", "2,16,18")
    place = "tczyx".index(axis)
    expected = np.expand_dims(getattr(np, method)(image, axis=place), place)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    names = [one["label"] for one in about["omero"]["channels"]]
    assert names == ([f"{method} of 2 channels"] if axis == "c" else ["DNA", "actin"])
    # Mutants: in another order, and without the first.
    if method in ("argmax", "mean", "std", "sum") and axis != "c" and (dtype == "float32" or method == "argmax"):
        assert not np.array_equal(np.expand_dims(getattr(np, method)(np.flip(image, place), axis=place), place), found)
    less = np.take(image, range(1, SHAPE[place]), place)
    assert not np.array_equal(np.expand_dims(getattr(np, method)(less, axis=place), place), found)


def test_mutant_channels_of_another_time_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, right = made(tmp_path), StackedVolumes.read_box
    monkeypatch.setattr(StackedVolumes, "read_box", lambda self, volume, box: right(self, volume // 2, box))
    found, _ = projected(tmp_path, "max", "--axis", "c")
    assert not np.array_equal(found, image.max(1, keepdims=True))


def test_a_part_of_the_image(tmp_path: Path) -> None:
    image = made(tmp_path)
    words = ["--region", "1:4,2:20,3:26", "--time", "1:3", "--channel", "actin", "--dtype", "uint8"]
    found, about = projected(tmp_path, "mean", *words)
    expected = image[1:3, 1:, 1:4, 2:20, 3:26].mean(2, keepdims=True)
    np.testing.assert_array_equal(found, np.clip(np.rint(expected), 0, 255).astype("u1"))
    assert (found == 255).any()
    _, move = about["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert all(move["translation"][place] > 0 for place in (0, 2, 3, 4))


def test_an_image_without_the_axis_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = made(tmp_path, axes="yx")
    found, _ = projected(tmp_path, "max")
    np.testing.assert_array_equal(found, image)
    assert "has no axis z, so it was treated as having just one" in capsys.readouterr().out


def test_a_preview_is_of_all_planes_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    words = ["project", str(tmp_path / "i.ome.zarr"), "--method", "max", "--preview", str(tmp_path / "p.png")]
    assert main([*words, "--axis", "t"]) == 2
    assert "Only a projection of planes (z) has a preview; write the result instead." in capsys.readouterr().err
    assert not (tmp_path / "p.png").exists()
    assert main(words) == 0
    assert (tmp_path / "p.png").exists()
