"""``chunkwise predict --rescale``: interpolated by SciPy, run whole by bioimageio.core, interpolated back by SciPy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from chunkwise.cli import main
from chunkwise.models import rescale
from chunkwise.models.rescale import back_on_voxels, box_around, rescaled_shape
from made_models import image_store, make_package, noise, percentiles, predict, whole_image

MODEL = 0.5  # micrometres, in made_models


def resampled(volume: Any, factors: tuple[float, ...], shape: tuple[int, ...]) -> Any:
    """The literal reference: linear interpolation between voxel centres, the edge's values beyond them."""
    places = [(np.arange(n) + 0.5) / factor - 0.5 for n, factor in zip(shape, factors, strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    return map_coordinates(volume.astype(np.float64), grid, order=1, mode="nearest")


def reference(model: Path, voxels: Any, factors: tuple[float, ...], extended: tuple[int, ...] | None) -> Any:
    seen = resampled(voxels, factors, rescaled_shape(voxels.shape, factors)).astype(np.float32)
    maps = whole_image(model, seen[None, None], extended)[0]
    back = tuple(1 / factor for factor in factors)
    return np.stack([resampled(one, back, voxels.shape) for one in maps])


def with_voxels(store: Path, size: float | None, unit: str = "micrometer") -> Path:
    """Say another voxel size, the same along y and x, or none."""
    group = zarr.open_group(store)
    ome = dict(group.attrs["ome"])
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    scale[-2:] = [size or 1.0] * 2
    for axis in ome["multiscales"][0]["axes"]:
        if axis["type"] == "space":
            axis.pop("unit", None)
            if size is not None:
                axis["unit"] = unit
    group.attrs["ome"] = ome
    return store


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("models") / "tiny", before=percentiles(1, 99.8))


#: Voxel size of the image, its shape, what the model sees of it once that is extended.
CASES = [
    (0.65, (70, 92), (92, 120)),
    (0.3, (131, 90), (80, 56)),
    (1.7, (24, 30), (84, 104)),
]


@pytest.mark.parametrize(("size", "shape", "extended"), CASES)
def test_as_interpolated_and_predicted_whole(
    model: Path, tmp_path: Path, size: float, shape: Any, extended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = noise(shape, "uint16")
    store = with_voxels(image_store(tmp_path, voxels, "yx"), size)
    expected = reference(model, voxels, (size / MODEL,) * 2, extended)
    found = []
    for number, words in enumerate((["--block", "16,24", "--shard", "32,24"], ["--workers", "2", "--shard", "48,48"])):
        record = tmp_path / f"{number}.json"
        out = tmp_path / f"maps-{number}.ome.zarr"
        found.append(predict(store, model, out, "--rescale", "--record", str(record), *words))
        assert json.loads(record.read_text())["results"]["model"]["rescaled_by"] == [size / MODEL] * 2
    # Percentiles of float32 images, and weights of the interpolation, round at the last bits.
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])
    assert np.ptp(expected) > 0.05
    # Mutant: corners of voxels in the place of their centres.
    monkeypatch.setattr(rescale, "_places", lambda part, f, n: np.clip(np.arange(part.start, part.stop) * f, 0, n - 1))
    moved = predict(store, model, tmp_path / "moved.ome.zarr", "--rescale", "--workers", "1")
    assert np.abs(moved - expected).max() > 1e-3


def test_planes_of_a_volume(model: Path, tmp_path: Path) -> None:
    voxels = noise((3, 40, 52))
    store = with_voxels(image_store(tmp_path, voxels, "zyx"), 0.75)
    maps = predict(store, model, tmp_path / "maps.ome.zarr", "--rescale", "--block", "1,16,16", "--shard", "2,32,32")
    for z in range(3):
        expected = reference(model, voxels[z], (1.5, 1.5), (60, 80))
        np.testing.assert_allclose(maps[:, z], expected, rtol=0, atol=1e-5)


def test_voxels_of_the_model_s_size_are_left_alone(model: Path, tmp_path: Path) -> None:
    voxels = noise((40, 52))
    store = with_voxels(image_store(tmp_path, voxels, "yx"), MODEL)
    maps = predict(store, model, tmp_path / "maps.ome.zarr", "--rescale")
    np.testing.assert_array_equal(maps, whole_image(model, voxels[None, None])[0])


def test_units_are_converted(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels = noise((40, 52))
    found = []
    for name, size, unit in (("a", 1.0, "micrometer"), ("b", 1000.0, "nanometer")):
        (tmp_path / name).mkdir()
        store = with_voxels(image_store(tmp_path / name, voxels, "yx"), size, unit)
        found.append(predict(store, model, tmp_path / f"{name}.ome.zarr", "--rescale"))
        capsys.readouterr()
        predict(store, model, tmp_path / f"{name}-plain.ome.zarr")
        said = f"was made for voxels of {size / 2:g} {unit} along y, and these have {size:g}; the nearest"
        assert said in capsys.readouterr().err
    np.testing.assert_array_equal(*found)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(*[st.floats(0.2, 4)] * 2), st.data())
def test_any_box_is_part_of_the_whole(shape: Any, factors: Any, data: Any) -> None:
    rng = np.random.default_rng(0)
    seen_shape = rescaled_shape(shape, factors)
    maps = rng.normal(size=(2, *seen_shape))
    box = []
    for n in shape:
        start = data.draw(st.integers(0, n - 1))
        box.append(slice(start, data.draw(st.integers(start + 1, n))))
    seen = box_around(tuple(box), factors, seen_shape)
    part = back_on_voxels(maps[(slice(None), *seen)], seen, tuple(box), factors, seen_shape)
    expected = np.stack([resampled(one, tuple(1 / f for f in factors), shape) for one in maps])
    np.testing.assert_allclose(part, expected[(slice(None), *box)], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (
            None,
            r"was made for voxels of 0\.5 micrometer along y, and those of \S+ are 1 of no stated unit, which cannot",
        ),
        (0.01, r"differ from those that Tiny model was made for by a factor of more than 16"),
    ],
)
def test_what_cannot_be_rescaled(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: float | None, sentence: str
) -> None:
    store = with_voxels(image_store(tmp_path, noise((40, 52)), "yx"), size)
    out = tmp_path / "maps.ome.zarr"
    assert main(["predict", str(store), "--model", str(model), "--output", str(out), "--rescale"]) != 0
    said = capsys.readouterr().err
    assert re.search(sentence, said), said
    assert not out.exists()


def test_a_model_without_a_voxel_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = with_voxels(image_store(tmp_path, noise((40, 52)), "yx"), 0.5)
    words = ["predict", str(store), "--model", "nuclei", "--output", str(tmp_path / "maps.ome.zarr"), "--rescale"]
    assert main(words) != 0
    assert "does not say which voxel size it was made for (along y, x)" in capsys.readouterr().err
