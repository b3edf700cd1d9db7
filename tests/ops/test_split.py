"""Splitting: blocks give the parts that SciPy and scikit-image give, component by component."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.feature
import skimage.measure
import skimage.segmentation
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import made_stores
from chunkwise.cli import main
from chunkwise.ops import split as kernel
from chunkwise.ops import split_passes as module
from chunkwise.ops import write_labels
from chunkwise.ops.split import may_split, relative_spacing, split
from chunkwise.ops.split_passes import SplitParameters
from whole_image import Array, blockwise_segment, reference_segment, reference_split, reference_split_one

SHARED = Path(__file__).parents[3] / "shared" / "data"

SCALES = [(1, 1, 1), (2, 1, 1), (1, 3, 2), (0.29, 0.13, 0.13), (0.3, 0.1, 0.1), (0.7, 0.7, 0.7)]


def blobs(shape: tuple[int, ...], seed: int, sigma: float, share: float) -> Array:
    """Bright blobs that touch, on a dark ground: 9 and 0."""
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return ((field > np.quantile(field, 1 - share)) * 9).astype(np.uint8)


@st.composite
def masks(draw: st.DrawFn, ndim: int) -> Array:
    side = 40 if ndim == 2 else 14
    shape = tuple(draw(st.integers(1, side)) for _ in range(ndim))
    return blobs(shape, draw(st.integers(0, 10**6)), draw(st.sampled_from((0, 0.7, 1.5, 3))), draw(st.floats(0.1, 1)))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.sampled_from((2, 3)))
    first = draw(masks(ndim))
    volumes = [first] if draw(st.booleans()) else [first, np.flip(first)]
    return {
        "volumes": np.stack(volumes),
        "block": tuple(draw(st.integers(2, 12)) for _ in range(ndim)),
        "shard": tuple(draw(st.integers(2, 16)) for _ in range(ndim)),
        "scale": draw(st.sampled_from(SCALES))[-ndim:],
        "min_distance": draw(st.integers(1, 6)),
        "connectivity": draw(st.integers(1, ndim)),
        "min_size": draw(st.sampled_from((0, 0, 3, 12))),
    }


def check(
    volumes: Array,
    block: tuple[int, ...],
    shard: tuple[int, ...] | None,
    scale: tuple[float, ...],
    min_distance: int,
    connectivity: int,
    min_size: int = 0,
    **options: Any,
) -> int:
    """Assert that blocks give what the whole image gives; returns how many objects the splitting added."""
    options = {"sigma": 0, "threshold": 4, "connectivity": connectivity, **options}
    with tempfile.TemporaryDirectory() as folder:
        found = blockwise_segment(
            Path(folder),
            volumes,
            block,
            shard,
            min_size=min_size,
            split=SplitParameters(relative_spacing(scale), min_distance),
            **options,
        )
    added = 0
    for volume, labels in zip(volumes, found, strict=True):
        components = reference_segment(volume, **options)
        np.testing.assert_array_equal(labels, reference_split(components, scale, min_distance, connectivity, min_size))
        added += int(labels.max(initial=0)) - int(components.max(initial=0))
    return added


@given(case=cases())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_shape_block_spacing_and_connectivity(case: dict[str, Any]) -> None:
    check(**case)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_component_in_its_box_or_in_the_whole_volume(data: st.DataObject) -> None:
    """A box padded by one voxel is as good as the volume; small boxes never have two parts."""
    ndim = data.draw(st.sampled_from((2, 3)))
    volume = data.draw(masks(ndim))
    scale = data.draw(st.sampled_from(SCALES))[-ndim:]
    min_distance, connectivity = data.draw(st.integers(1, 5)), data.draw(st.integers(1, ndim))
    labels = skimage.measure.label(volume, connectivity=connectivity)
    objects = scipy.ndimage.find_objects(labels)
    value = data.draw(st.integers(1, max(1, len(objects))))
    if not objects:
        return
    place = objects[value - 1]
    box = tuple(slice(max(0, p.start - 1), min(p.stop + 1, n)) for p, n in zip(place, labels.shape, strict=True))
    expected = reference_split_one(labels == value, scale, min_distance, connectivity)
    parts, count = split(labels[box] == value, relative_spacing(scale), min_distance, connectivity)
    np.testing.assert_array_equal(parts, expected[box])
    assert count == expected.max()
    if not may_split(np.array([[p.stop - p.start for p in place]]), min_distance)[0]:
        assert count == 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_crowded(ndim: int, scale: tuple[float, ...]) -> None:
    shape = (2, 120, 90) if ndim == 2 else (1, 20, 40, 36)
    volumes = np.stack([blobs(shape[1:], seed, 2.0, 0.45) for seed in range(shape[0])])
    added = check(volumes, (9, 17, 13)[-ndim:], (16, 32, 16)[-ndim:], scale[-ndim:], 2, ndim, 5)
    assert added > 5, "the image has nothing to split"


def test_a_volume_without_background_is_one_object() -> None:
    check(np.full((1, 9, 7, 8), 9, np.uint8), (4, 4, 4), (4, 4, 4), (1, 1, 1), 1, 3)
    check(np.zeros((1, 9, 9), np.uint8), (4, 4), (4, 4), (1, 1), 1, 2)


def test_time_points_with_nothing_in_them_and_labels_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    full = blobs((60, 50), 0, 2.0, 0.45)
    volumes = np.stack([full, np.zeros_like(full), np.flip(full)])
    assert check(volumes, (16, 16), (16, 16), (1, 1), 2, 2) > 0
    monkeypatch.setattr(write_labels, "label_type", lambda counts: "uint64")
    assert check(volumes, (16, 16), (16, 16), (1, 1), 2, 2) > 0


def test_thin_lines_have_as_many_seeds_as_scikit_image_gives_them() -> None:
    """Every voxel of a line is as far from its outside as the next."""
    volume = np.zeros((1, 30, 30), np.uint8)
    volume[0, 5, 2:28] = volume[0, 9:28, 15] = volume[0, 20:22, 3:12] = 9
    for min_distance in (1, 2, 5):
        assert check(volume, (7, 7), (8, 8), (1, 1), min_distance, 1) > 0


def test_parts_below_the_smallest_size_are_dropped_after_the_split() -> None:
    """Two disks, and one small; together they are large enough, alone it is not."""
    y, x = np.indices((40, 60))
    volume = (((y - 20) ** 2 + (x - 18) ** 2 < 150) | ((y - 20) ** 2 + (x - 33) ** 2 < 30)).astype(np.uint8) * 9
    assert check(volume[None], (16, 16), (16, 16), (1, 1), 5, 2) == 1
    assert check(volume[None], (16, 16), (16, 16), (1, 1), 5, 2, min_size=120) == 0


def test_distances_of_whole_numbers_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for scale in [(1, 1, 1), (3, 1, 2)]:
        mask = rng.random((30, 41, 37)) < 0.99
        heights = kernel._heights(mask, tuple(map(float, scale)))
        np.testing.assert_array_equal(np.sqrt(heights), scipy.ndimage.distance_transform_edt(mask, sampling=scale))


# --- Real images ---


def pictures() -> list[Path]:
    names = ["stardist_nuclei/img2d.tif", "mitocheck/xy_8bit__mitocheck_incenp_t1.tif"]
    return [SHARED / name for name in names] + sorted((SHARED / "dsb2018_nuclei2d" / "images").glob("*"))[:8:4]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")
@pytest.mark.parametrize("path", pictures(), ids=lambda path: path.name)
def test_real_nuclei(path: Path) -> None:
    import skimage.io

    image = skimage.io.imread(path)
    plane = np.ascontiguousarray(image[..., 0] if image.ndim == 3 else image)
    scale, options = (0.5, 0.5), {"sigma": 1, "threshold": "otsu", "fill_holes": True}
    check(plane[None], (100, 90), (128, 128), scale, 7, 2, 20, **options)
    check(plane[None], (64, 300), (64, 64), (2, 1), 4, 1, 0, **options)


# --- What does not fit ---


def test_a_component_too_large_for_memory_stays_one_object_and_is_named(tmp_path: Path) -> None:
    volume = blobs((64, 64), 1, 2, 0.4)
    volume[40:, :] = 0
    volume[50:60, 2:12] = volume[50:60, 13:23] = volume[55, 12] = 9  # two squares, joined
    components = reference_segment(volume, 0, 4, connectivity=1)
    parameters = SplitParameters((1.0, 1.0), 3)
    room = 12 * 23 * (8 + kernel.bytes_a_voxel((1.0, 1.0)))
    results: list[Any] = []
    found = blockwise_segment(
        tmp_path,
        volume[None],
        (16, 16),
        (16, 16),
        sigma=0,
        threshold=4,
        connectivity=1,
        split=parameters,
        memory=module.BASE + room,
        results=results,
    )[0]
    objects = scipy.ndimage.find_objects(components.astype(int))
    large = [
        place for place in objects if np.prod([min(p.stop + 1, 64) - max(p.start - 1, 0) for p in place]) > 12 * 23
    ]
    assert len(large) > 1
    named = results[0].unsplit
    assert results[0].n_unsplit == len(named) == len(large)
    assert {entry.box for entry in named} == {tuple((p.start, p.stop) for p in place) for place in large}
    for entry in named:
        box = tuple(slice(*ends) for ends in entry.box)
        mask = found[box] == entry.label
        assert mask.sum() == entry.voxels
        assert len(np.unique(components[box][mask])) == 1, "it is one component, and whole"
    assert len(np.unique(found[50:60, 2:23])) == 3, "what fits is split"


# --- As a command: bytes, workers, resuming, and what it says ---


def digest(path: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            found.update(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


def store(folder: Path, volume: Array, scale: tuple[float, ...] | None = None) -> Path:
    axes = "zyx"[-volume.ndim :]
    entry = made_stores.multiscale(axes, 1)
    if scale is not None:
        entry["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": list(scale)}]
    path = made_stores.write(folder / "image.ome.zarr", "0.5", axes, volume.shape, volume.dtype, entry)
    zarr.open_array(path / "0", mode="r+")[...] = volume
    return path


WORDS = ["--sigma", "0", "--threshold", "4", "--split", "distance", "--split-min-distance", "3", "--min-size", "4"]


def test_blocks_and_workers_change_no_byte_and_the_scale_counts(tmp_path: Path) -> None:
    volume, scale = blobs((20, 50, 60), 4, 2.0, 0.45), (0.6, 0.2, 0.2)
    image = store(tmp_path, volume, scale)
    digests = set()
    for block, workers in (("20,50,60", 1), ("7,9,11", 1), ("8,16,16", 2)):
        output = tmp_path / f"{workers}-{block}.ome.zarr"
        words = ["segment", str(image), "--output", str(output), "--shard", "8,16,16", "--block", block]
        assert main([*words, *WORDS, "--workers", str(workers)]) == 0
        digests.add(digest(output))
    assert len(digests) == 1
    components = reference_segment(volume, 0, 4)
    found = np.asarray(zarr.open_array(output / "0", mode="r")[...])
    np.testing.assert_array_equal(found, reference_split(components, scale, 3, 3, 4))
    assert (found != reference_split(components, (1, 1, 1), 3, 3, 4)).any()


UNITS = 15 * 15
TILED = ["--shard", "16,16", "--block", "16,16", "--workers", "1", *WORDS]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of many units, and its labels beside it."""
    folder = tmp_path_factory.mktemp("whole")
    image = store(folder, blobs((240, 240), 0, 3.0, 0.4))
    assert main(["segment", str(image), *TILED, "--output", str(folder / "whole.ome.zarr")]) == 0
    return folder


@pytest.mark.parametrize("phase", ["components", "boxes", "split", "write"])
def test_kill_9_then_the_same_command_gives_the_same_bytes(tmp_path: Path, undisturbed: Path, phase: str) -> None:
    words = ["segment", str(undisturbed / "image.ome.zarr"), *TILED, "--output", str(tmp_path / "killed.ome.zarr")]
    process = subprocess.Popen(
        [sys.executable, "-m", "chunkwise.cli", *words],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = tmp_path / "killed.ome.zarr.run" / "journal"

    def lines() -> list[bytes]:
        content = b"".join(file.read_bytes() for file in journal.glob("*.jsonl")) if journal.is_dir() else b""
        return [
            line
            for line in content.splitlines()
            if b'"pass":"%s"' % phase.encode() in line and b'"block":-1' not in line
        ]

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None and len(lines()) < 20:
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = len(lines())
    assert before < UNITS, "the pass was over before the run was killed"
    assert main(words) == 0
    assert digest(tmp_path / "killed.ome.zarr") == digest(undisturbed / "whole.ome.zarr")
    assert len(lines()) <= UNITS + 1, "units that were done were done again"


def test_too_large_objects_are_named_in_a_line_and_in_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store(tmp_path, blobs((64, 64), 1, 2, 0.4))
    monkeypatch.setattr(module, "bytes_a_voxel", lambda spacing: 10**6)
    words = ["segment", str(image), "--output", str(tmp_path / "l.ome.zarr"), "--record", str(tmp_path / "r.json")]
    assert main([*words, *WORDS, "--memory", "1GiB", "--workers", "1"]) == 0
    unsplit = json.loads((tmp_path / "r.json").read_text())["results"]["unsplit"]
    assert unsplit["count"] == len(unsplit["first"]) > 0
    first = unsplit["first"][0]
    labels = np.asarray(zarr.open_array(tmp_path / "l.ome.zarr" / "0", mode="r")[...])
    place = scipy.ndimage.find_objects(labels.astype(int))[first["object"] - 1]
    assert [list(ends) for ends in first["box"].values()] == [[part.start, part.stop] for part in place]
    said = capsys.readouterr().err
    assert f"object {first['object']} of time point 0 in the box {place[0].start}:{place[0].stop}," in said


def test_units_that_cannot_be_converted_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = store(tmp_path, blobs((32, 32), 1, 2, 0.4))
    words = ["segment", str(image), "--output", str(tmp_path / "l.ome.zarr"), *WORDS]
    assert main([*words, "--split-min-distance", "0"]) == 2
    assert "--split-min-distance 0" in capsys.readouterr().err
    document = json.loads((image / "zarr.json").read_text())
    multiscale = document["attributes"]["ome"]["multiscales"][0]
    del multiscale["axes"][0]["unit"]  # nanometers would be converted
    (image / "zarr.json").write_text(json.dumps(document))
    assert main(words) == 2
    assert "y in no unit, x in micrometer" in capsys.readouterr().err
    assert not (tmp_path / "l.ome.zarr.run").exists()


# --- Every exactness test above is worth something only if it fails when the code is wrong. ---


def crowd(shape: tuple[int, ...] = (90, 100), connectivity: int = 2) -> None:
    """Objects that touch each other, the edges of the image, and the borders of units."""
    for seed in range(3):
        check(blobs(shape, seed, 2.0, 0.45)[None], (16, 16), (16, 16), (1, 1), 2, connectivity)


def caught(**options: Any) -> None:
    with pytest.raises(AssertionError):
        crowd(**options)


def test_mutant_box_not_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd()
    monkeypatch.setattr(
        module._SplitPass,
        "box",
        lambda work, row: tuple(slice(int(a), int(b) + 1) for a, b in zip(row["first"], row["last"], strict=True)),
    )
    caught()


def test_mutant_outside_of_the_image_taken_for_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that is padded also where the image ends."""

    def beyond(mask: Array, *rest: Any) -> tuple[Array, int]:
        parts, count = split(np.pad(mask, 1), *rest)
        return np.ascontiguousarray(parts[1:-1, 1:-1]), count

    monkeypatch.setattr(module, "split", beyond)
    caught()


def test_mutant_box_cut_at_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what lies in the unit of the first voxel, and one voxel more, is looked at."""
    honest = module._SplitPass.box

    def cut(work: Any, row: Any) -> Any:
        unit = work.grid.unit_box(int(work.owners(row.reshape(1))[0]))
        return tuple(
            slice(max(part.start, edge.start - 1), min(part.stop, edge.stop + 1))
            for part, edge in zip(honest(work, row), unit, strict=True)
        )

    monkeypatch.setattr(module._SplitPass, "box", cut)
    caught()


def test_mutant_neighbours_not_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(connectivity=1)
    monkeypatch.setattr(module, "_alone", lambda labels, label: labels > 0)
    caught(connectivity=1)


def test_mutant_seeds_near_the_border_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = kernel._seeds

    def without(heights: Array, mask: Array, min_distance: int) -> Array:
        seeds = honest(heights, mask, min_distance)
        inner = np.zeros(mask.shape, bool)
        inner[(slice(min_distance, -min_distance),) * mask.ndim] = True
        kept = seeds[inner.ravel()[seeds]]
        return kept if len(kept) else seeds[:1]

    monkeypatch.setattr(kernel, "_seeds", without)
    caught()


def test_mutant_seeds_of_one_distance_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = kernel._kernels.flood

    def backwards(heights: Array, seeds: Array, *rest: Any) -> None:
        honest(heights, seeds[::-1].copy(), *rest)
        parts = rest[-1]
        parts[...] = np.where(parts > 0, len(seeds) + 1 - parts, 0)

    monkeypatch.setattr(kernel._kernels, "flood", backwards)
    caught()


def test_mutant_spacing_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = blobs((90, 100), 0, 2.0, 0.45)[None]
    check(volume, (16, 16), (16, 16), (2, 1), 2, 2)
    monkeypatch.setattr(module, "split", lambda mask, spacing, *rest: split(mask, (1.0, 1.0), *rest))
    with pytest.raises(AssertionError):
        check(volume, (16, 16), (16, 16), (2, 1), 2, 2)


def test_mutant_plain_watershed_of_the_whole_image() -> None:
    """Ties that a heap of all markers decides: objects that have nothing to do with each other change each other."""
    volume = blobs((200, 200), 0, 2.0, 0.45)
    components = reference_segment(volume, 0, 4).astype(int)
    distance = scipy.ndimage.distance_transform_edt(components > 0)
    peaks = skimage.feature.peak_local_max(distance, min_distance=2, labels=components, exclude_border=False)
    markers = np.zeros(volume.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    plain = skimage.segmentation.watershed(-distance, markers, connectivity=2, mask=components > 0)
    expected = reference_split(components, (1, 1), 2, 2)
    assert plain.max() == expected.max(), "the seeds are the same"
    pairs = np.unique(np.stack([plain.ravel(), expected.ravel().astype(int)]), axis=1)
    assert pairs.shape[1] > plain.max() + 1, "the parts would be the same"
