"""Masks, whose voxels are ``bool``: labelled, measured, compared, and taken wherever labels are."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
import skimage.metrics
import zarr
from numcodecs import LZMA

from chunkwise.cli import main
from made_stores import multiscale, write
from whole_image import reference_split

Array = np.ndarray[Any, Any]


def blobs(shape: tuple[int, ...]) -> Array:
    """Blobs of all sizes that cross blocks, some of which meet at corners only."""
    noise = scipy.ndimage.gaussian_filter(np.random.default_rng(5).random(shape), 1)
    return np.asarray(noise > np.median(noise) + 0.02)


def make(path: Path, pixels: Array, labels: bool = False, version: str = "0.5") -> Path:
    axes = "zyx"[-pixels.ndim :]
    extra = {"image-label": {"version": version}} if labels else None
    write(path, version, axes, pixels.shape, pixels.dtype, multiscale(axes, 1), extra, chunk=16)
    zarr.open_array(path / "0", mode="r+")[...] = pixels
    return path


def voxels(store: Path) -> Array:
    return np.asarray(zarr.open_array(store / "0", mode="r")[...])


def rows(table: Path) -> list[dict[str, float]]:
    with table.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file, dialect="excel-tab")]


@pytest.mark.parametrize(
    ("shape", "block", "version"),
    [((61, 75), "16,16", "0.4"), ((61, 75), "61,75", "0.5"), ((20, 33, 40), "8,16,16", "0.5")],
)
@pytest.mark.parametrize("connectivity", [1, None])
def test_segment_labels_a_mask_as_it_is(
    shape: tuple[int, ...], block: str, version: str, connectivity: int | None, tmp_path: Path
) -> None:
    mask = blobs(shape)
    image, output = make(tmp_path / "m.zarr", mask, version=version), tmp_path / "l.ome.zarr"
    more = ["--connectivity", str(connectivity)] if connectivity else []
    words = ["segment", str(image), "--output", str(output), "--sigma", "0", "--block", block, "--workers", "1"]
    # A threshold is not needed, and does no harm.
    assert main([*words, *more, *(["--threshold", "0"] if version == "0.4" else [])]) == 0
    steps = connectivity or len(shape)
    found = voxels(output)
    np.testing.assert_array_equal(found, skimage.measure.label(mask, connectivity=steps))
    structure = scipy.ndimage.generate_binary_structure(len(shape), steps)
    np.testing.assert_array_equal(found, scipy.ndimage.label(mask, structure)[0])


def test_a_segmentation_in_steps_and_a_mask_between_them(tmp_path: Path) -> None:
    """Every step of ``segment`` is a command of its own; what comes in between is another."""
    coins = Path(__file__).parents[2] / "test-data" / "coins_2d.ome.zarr"

    def step(words: str, source: str, name: str) -> Array:
        image = coins if source == "coins" else tmp_path / source
        command, *more = shlex.split(words)
        spread = ["--block", "61,110", "--shard", "122,220", "--workers", "1", "--no-pyramid"]
        assert main([command, str(image), *more, "--output", str(tmp_path / name), *spread]) == 0
        return voxels(tmp_path / name)

    smooth = step("filter --method gaussian --sigma 1", "coins", "smooth")
    step("threshold --method otsu", "smooth", "above")
    step("morphology --method fill-holes", "above", "filled")
    found = step("label --method split --min-distance 10", "filled", "steps")
    at_once = step("segment --sigma 1 --fill-holes --split distance --split-min-distance 10", "coins", "at_once")
    assert np.array_equal(found, at_once)
    bright = np.asarray(smooth > 120)
    make(tmp_path / "allowed", np.indices(bright.shape).sum(axis=0) % 90 > 4)
    step("threshold --method value --threshold 120", "smooth", "bright")
    step(f"math --b {tmp_path / 'allowed'} --expression 'a and b' --same-voxels", "bright", "both")
    alone = skimage.measure.label(bright & voxels(tmp_path / "allowed"))
    expected = reference_split(alone, (1, 1), 10, 2)
    assert np.array_equal(step("label --method split --min-distance 10", "both", "within"), expected)


def test_a_mask_that_is_all_of_the_image_is_one_object(tmp_path: Path) -> None:
    """No method would find a threshold there."""
    image, output, record = make(tmp_path / "m.zarr", np.ones((20, 20), bool)), tmp_path / "l.ome.zarr", tmp_path / "r"
    words = ["--sigma", "0", "--threshold", "otsu", "--record", str(record), "--workers", "1"]
    assert main(["segment", str(image), "--output", str(output), *words]) == 0
    assert (voxels(output) == 1).all()
    content = json.loads(record.read_text())
    assert (content["parameters"]["threshold"], content["results"]["thresholds"]) == (0, [0])


def test_what_segment_does_with_masks_otherwise(tmp_path: Path) -> None:
    mask = blobs((50, 60))
    image, output, picture = make(tmp_path / "m.zarr", mask), tmp_path / "l.ome.zarr", tmp_path / "o.png"
    words = ["--sigma", "0", "--foreground", "dark", "--fill-holes", "--min-size", "9", "--overlay", str(picture)]
    assert main(["segment", str(image), "--output", str(output), *words, "--block", "16,16", "--workers", "1"]) == 0
    labels = skimage.measure.label(scipy.ndimage.binary_fill_holes(~mask), connectivity=2)
    sizes = np.bincount(labels.ravel())
    kept = np.where((sizes >= 9)[labels], labels, 0)
    np.testing.assert_array_equal(voxels(output) > 0, kept > 0)
    assert voxels(output).max() == len(np.unique(kept)) - 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_masks_are_not_smoothed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, half = make(tmp_path / "m.zarr", blobs((20, 20))), make(tmp_path / "h.zarr", np.zeros((9, 9), np.float16))
    for store, sigma, said in ((image, "1", "give --sigma 0"), (half, "0", "write the image as float32")):
        assert main(["segment", str(store), "--output", str(tmp_path / "l.ome.zarr"), "--sigma", sigma]) == 2
        sentence = capsys.readouterr().err
        assert said in sentence
        assert "cannot be smoothed" not in sentence
    assert not (tmp_path / "l.ome.zarr").exists()


@pytest.mark.parametrize("shape", [(61, 75), (20, 33, 40)])
@pytest.mark.parametrize("as_labels", [False, True])
def test_measure_takes_a_mask_for_one_object(shape: tuple[int, ...], as_labels: bool, tmp_path: Path) -> None:
    mask, pixels = blobs(shape), np.random.default_rng(1).integers(0, 900, shape).astype(np.uint16)
    labels, image = make(tmp_path / "m.zarr", mask, as_labels), make(tmp_path / "i.zarr", pixels)
    table = tmp_path / "t.tsv"
    words = ["--labels", str(labels), "--image", str(image), "--output", str(table), "--workers", "1"]
    names = ("label", "num_pixels", "centroid", "bbox", "euler_number", "solidity")
    names += ("intensity_mean", "intensity_max", "intensity_median")
    chosen = ["--properties", ",".join(names[1:]), "--block", ",".join(["16"] * len(shape))]
    assert main(["measure", *words, *chosen]) == 0
    (found,) = rows(table)
    expected = skimage.measure.regionprops_table(mask.astype(np.uint8), pixels, properties=names)
    for name, (value,) in expected.items():
        assert found[f"{name}-0" if name.startswith("intensity") else name] == value, name


def test_whatever_byte_stands_for_true_is_object_1(tmp_path: Path) -> None:
    image = make(tmp_path / "m.zarr", np.ones((16, 16), bool), version="0.4")
    document = json.loads((image / "0" / ".zarray").read_text())
    # With this codec zarr-python reads, which takes any byte for a bool; tensorstore names the chunk as damaged.
    (image / "0" / ".zarray").write_text(json.dumps(document | {"compressor": LZMA().get_config(), "filters": None}))
    (image / "0" / "0.0").write_bytes(LZMA().encode(bytes([0, 1, 255, 2] * 64)))
    table, output = tmp_path / "t.tsv", tmp_path / "l.ome.zarr"
    assert main(["measure", "--labels", str(image), "--output", str(table), "--workers", "1"]) == 0
    assert [(row["label"], row["num_pixels"]) for row in rows(table)] == [(1, 192)]
    assert main(["segment", str(image), "--sigma", "0", "--output", str(output), "--workers", "1"]) == 0
    assert set(np.unique(voxels(output))) == set(range(int(voxels(output).max()) + 1))


def test_compare_takes_masks_on_either_side(tmp_path: Path) -> None:
    mask = blobs((61, 75))
    other = np.roll(mask, 1, axis=0)
    sides = {
        "a": make(tmp_path / "a.zarr", mask),
        "b": make(tmp_path / "b.zarr", other, labels=True),
        "c": make(tmp_path / "c.zarr", other.astype(np.uint16)),
    }
    counts = skimage.metrics.contingency_table(mask.astype(int), other.astype(int)).toarray()
    for pair in ("ab", "ac"):
        output = tmp_path / f"{pair}.json"
        words = [*(str(sides[side]) for side in pair), "--output", str(output), "--block", "16,16", "--workers", "1"]
        assert main(["compare", *words]) == 0
        pooled = json.loads(output.read_text())["pooled"]
        assert pooled["objects"] == {"truth": 1, "predicted": 1}
        assert pooled["foreground"]["overlap_voxels"] == counts[1, 1]
        assert pooled["foreground"]["iou"] == counts[1, 1] / (counts.sum() - counts[0, 0])


def test_a_mask_in_place_of_labels_is_a_remark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = make(tmp_path / "i.zarr", np.zeros((20, 20), np.uint16))
    mask = make(image / "labels" / "mask", blobs((20, 20)), labels=True)
    assert main(["inspect", str(mask)]) == 0
    assert "is of type bool" in capsys.readouterr().out
    copy = tmp_path / "copy.ome.zarr"
    assert main(["fetch", str(mask), "--output", str(copy), "--workers", "1"]) == 0
    np.testing.assert_array_equal(voxels(copy), blobs((20, 20)))
    # What is written as labels is what the specification wants.
    assert voxels(copy).dtype == np.uint8


def test_a_mask_is_a_map_too(tmp_path: Path) -> None:
    mask, output = blobs((50, 60)), tmp_path / "l.ome.zarr"
    image = make(tmp_path / "m.zarr", mask)
    words = ["--method", "threshold", "--block", "16,16", "--workers", "1"]
    assert main(["objects", str(image), "--output", str(output), *words]) == 0
    np.testing.assert_array_equal(voxels(output), skimage.measure.label(mask, connectivity=2))
