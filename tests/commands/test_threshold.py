"""Masks made by thresholds: what scikit-image or exact sums say of the whole image, whatever the blocks."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.filters
import tensorstore
import zarr

from chunkwise.cli import main
from chunkwise.operations import find
from chunkwise.ops.threshold import METHODS
from made_stores import multiscale, write
from operations.harness import by_blocks as harness_blocks
from operations.harness import write_image
from operations.reference import reference

Array = np.ndarray[Any, Any]
LOCAL = find("threshold", "local")


def literal(image: Array, **values: Any) -> Array:
    """What the declaration says that it equals."""
    return reference(LOCAL, image, LOCAL.check(values))


def by_blocks(image: Array, far: int, edge: int, **values: Any) -> Array:
    """The kernel on blocks that see ``far`` voxels around them."""
    assert LOCAL.kernel is not None
    out = np.zeros(image.shape, bool)
    for corner in product(*(range(0, n, edge) for n in image.shape)):
        block = tuple(slice(a, min(a + edge, n)) for a, n in zip(corner, image.shape, strict=True))
        outer = tuple(slice(max(0, b.start - far), b.stop + far) for b in block)
        inner = tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(block, outer, strict=True))
        out[block] = LOCAL.kernel(image[outer], **values)[inner]
    return out


def values_of(weights: str, size: int = 9, offset: float = 0.0, foreground: str = "bright") -> dict[str, Any]:
    return {"weights": weights, "size": size, "offset": offset, "foreground": foreground}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int64", "uint64", "float32", "float64"])
@pytest.mark.parametrize("weights", ["gaussian", "mean", "median"])
def test_blocks_are_the_whole_image(dtype: str, weights: str) -> None:
    rng = np.random.default_rng(3)
    for shape, low, offset in (((60, 70), 0, 0.0), ((14, 20, 24), 90, 1.5)):
        noise = rng.integers(low, 100, shape)
        image = (noise * 1.1 if dtype.startswith("f") else noise).astype(dtype)
        values = values_of(weights, offset=offset, foreground="dark" if low else "bright")
        expected, far = literal(image, **values), LOCAL.reach_of(values, image.ndim)[0]
        assert 0 < expected.sum() < expected.size
        assert np.array_equal(by_blocks(image, far, 7, **values), expected)


@pytest.mark.parametrize("weights", ["gaussian", "mean", "median"])
def test_nothing_less_than_the_reach_will_do(weights: str) -> None:
    # On a slope every voxel is its own threshold, so that the least change is seen; noise hides a Gaussian's end.
    slope = np.add.outer(np.arange(40), 2 * np.arange(50)).astype("uint8")
    values = values_of(weights)
    expected, far = literal(slope, **values), LOCAL.reach_of(values, 2)[0]
    assert np.array_equal(by_blocks(slope, far, 7, **values), expected)
    assert not np.array_equal(by_blocks(slope, far - 1, 7, **values), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32"])
def test_a_mean_of_integers_is_exact(dtype: str) -> None:
    # A flat ground lies not above its own mean; in scikit-image, rounding decides.
    image = np.full((40, 50), 77, dtype)
    image[20, 25] = 201
    window = np.lib.stride_tricks.sliding_window_view(np.pad(image, 3, mode="symmetric"), (7, 7))
    exact = image.astype(np.int64) * 49 > window.astype(np.int64).sum((-2, -1))
    assert exact.sum() == 1
    values = values_of("mean", 7)
    assert np.array_equal(literal(image, **values), exact)
    assert np.array_equal(by_blocks(image, 3, 8, **values), exact)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
@pytest.mark.parametrize("method", ["niblack", "sauvola"])
def test_thresholds_by_deviation_are_those_of_scikit_image(method: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    image = np.random.default_rng(5).integers(info.min, info.max, (40, 50), dtype)
    image[:20] = info.max // 3  # flat, so that a threshold is met exactly
    operation = find("threshold", method)
    for size, k, foreground in ((9, 0.2, "bright"), (5, -0.3, "dark"), (15, 0.0, "bright")):
        values = {"size": size, "k": k, "foreground": foreground}
        mask = image > getattr(skimage.filters, f"threshold_{method}")(image, size, k)
        expected = mask if foreground == "bright" else ~mask
        assert np.array_equal(harness_blocks(operation, image, values, (7, 9)), expected)
        other = image > getattr(skimage.filters, f"threshold_{method}")(image, size + 2, k)
        assert not np.array_equal(other if foreground == "bright" else ~other, expected)


def test_a_mask_is_an_image_for_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(4).integers(0, 5000, (2, 100, 300)).astype("uint16")
    block = multiscale("cyx", 1)
    omero = {"channels": [{"label": name, "color": "00FF00", "active": True} for name in ("DNA", "actin")]}
    write(Path("i.ome.zarr"), "0.5", "cyx", pixels.shape, "uint16", block, {"omero": omero})
    zarr.open_array("i.ome.zarr/0", mode="r+")[...] = pixels
    words = ["threshold", "i.ome.zarr", "--method", "local", "--size", "5", "--block", "16,16", "--workers", "1"]
    assert main([*words, "--output", "m.ome.zarr", "--record", "r.json"]) == 0
    expected = np.stack([literal(plane, **values_of("gaussian", 5)) for plane in pixels])
    for level, mask in enumerate((expected, expected[:, ::2, ::2])):
        found: Any = zarr.open_array(f"m.ome.zarr/{level}", mode="r")[...]
        assert found.dtype == bool
        assert np.array_equal(found, mask)
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / "m.ome.zarr" / "0")}}
    assert np.array_equal(tensorstore.open(spec).result().read().result(), expected)
    record = json.loads(Path("r.json").read_text())
    assert record["parameters"]["method"] == "local"
    # A channel is found by its name, and its mask is labelled as it is.
    words = ["segment", "m.ome.zarr", "--channel", "actin", "--sigma", "0", "--output", "l.ome.zarr", "--workers", "1"]
    assert main(words) == 0
    labels: Any = zarr.open_array("l.ome.zarr/0", mode="r")[...]
    assert np.array_equal(labels.squeeze() > 0, expected[1])
    assert main(["threshold", "i.ome.zarr", "--method", "value", "--threshold", "2500", "--output", "v.ome.zarr"]) == 0
    assert np.array_equal(zarr.open_array("v.ome.zarr/0", mode="r")[...], pixels > 2500)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "local", "--size", "4"], "--size 4 has to be an odd number from 3 to 255 voxels."),
        (
            ["--method", "otsu", "--planes"],
            "The Otsu threshold looks at a whole volume first and cannot treat each plane on its own; leave out "
            "--planes.",
        ),
        (["--method", "value"], "The method value needs --threshold."),
        (["--method", "value", "--threshold", "nan"], "--threshold nan has to be a finite number."),
    ],
)
def test_refusals(words: list[str], said: str, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["threshold", str(image), *words, "--output", "m.ome.zarr"]) == 2
    assert capsys.readouterr().err == f"chunkwise threshold: error: {said}\n"
    assert not Path("m.ome.zarr").exists()


@pytest.mark.parametrize("ends", [(1e8, 1e8 + 8), (-3e38, 3e38), (0, 1e-44)])
def test_bins_that_a_type_cannot_tell_apart(ends: tuple[float, float], tmp_path: Path, capsys: Any) -> None:
    """NumPy makes none; wider floats have them."""
    pixels = np.where(np.random.default_rng(0).random((9, 8)) < 0.5, *ends).astype("float32")
    with pytest.raises(ValueError, match="Too many bins"), np.errstate(all="ignore"):
        skimage.filters.threshold_otsu(pixels)
    image, mask = write_image(tmp_path / "i.ome.zarr", pixels, "yx"), tmp_path / "m.ome.zarr"
    for words in ("threshold --method triangle", "threshold --method multi-otsu", "intensity --method equalize"):
        command, *rest = words.split()
        assert main([command, str(image), *rest, "--output", str(mask)]) == 2
        assert "float32 cannot tell so many apart" in capsys.readouterr().err
        assert not mask.exists()
    wide = tmp_path / "w.ome.zarr"
    assert main(["intensity", str(image), "--method", "cast", "--dtype", "float64", "--output", str(wide)]) == 0
    assert main(["threshold", str(wide), "--method", "triangle", "--output", str(mask)]) == 0
    expected = pixels > skimage.filters.threshold_triangle(pixels.astype(float))
    assert np.array_equal(zarr.open_array(mask / "0", mode="r")[...], expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_one_threshold_for_each_volume(
    method: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    pixels = np.concatenate([rng.normal(300, 40, (2, 2, 40, 30)), rng.normal(700, 90, (2, 2, 40, 30))], 3).astype(dtype)
    pixels[:, 1] += np.array(500, dtype)  # channels differ, and so do time points
    pixels[1] += np.array(90, dtype)
    write(Path("i.ome.zarr"), "0.5", "tcyx", pixels.shape, dtype, multiscale("tcyx", 1))
    zarr.open_array("i.ome.zarr/0", mode="r+")[...] = pixels
    words = ["threshold", "i.ome.zarr", "--method", method, "--block", "16,16", "--workers", "1"]
    assert main([*words, "--output", "m.ome.zarr", "--record", "r.json"]) == 0
    find = getattr(skimage.filters, f"threshold_{method}")
    thresholds = [find(pixels[place]) for place in np.ndindex(2, 2)]
    known = [entry["threshold"] for entry in json.loads(Path("r.json").read_text())["results"]["statistics"]]
    if dtype == "float32" and method in ("li", "mean"):
        assert np.allclose(known, thresholds, rtol=1e-6)
    else:
        assert known == thresholds
    expected = np.reshape(
        [pixels[place] > found for place, found in zip(np.ndindex(2, 2), known, strict=True)], (2, 2, 40, 60)
    )
    assert np.array_equal(zarr.open_array("m.ome.zarr/0", mode="r")[...], expected)
    assert 0 < expected.mean() < 1
