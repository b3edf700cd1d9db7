"""The blockwise segmentation is the whole-image one: voxels, objects and numbers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import made_stores
from chunkwise.blocks import merge
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops import find_threshold, smooth
from chunkwise.ops import labelling as module
from chunkwise.ops import segment as segment_module
from chunkwise.ops.gaussian import radius
from whole_image import Array, blockwise_segment, reference_segment


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def check(volumes: Array, block: tuple[int, ...], shard: tuple[int, ...], **options: Any) -> None:
    """Assert that blocks give what the whole image gives."""
    with _folder() as folder:
        found = blockwise_segment(folder, volumes, block, shard, **options)
    for volume, labels in zip(volumes, found, strict=True):
        np.testing.assert_array_equal(labels, reference_segment(volume, **options))


def blobs(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Smooth bright blobs of many sizes, holes among them, on a noisy ground."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=shape)
    wide = gaussian_filter(noise, 2.0)
    return ((wide - wide.min()) / np.ptp(wide) * 60000).astype(np.uint16)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.sampled_from((2, 3)))
    side = 14 if ndim == 2 else 8
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(1, side)) for _ in range(ndim)))
    return {
        # Few grey values and no smoothing make many small objects that meet at edges and corners.
        "volumes": draw(arrays("uint8", shape, elements=st.sampled_from((0, 9)))),
        "block": tuple(draw(st.integers(1, 5)) for _ in range(ndim)),
        "shard": tuple(draw(st.integers(1, 6)) for _ in range(ndim)),
        "sigma": draw(st.sampled_from((0, 0, 0, 0.6))),
        "threshold": draw(st.sampled_from((4, "otsu", "mean"))),
        "foreground": draw(st.sampled_from(("bright", "dark"))),
        "connectivity": draw(st.integers(1, ndim)),
        "fill_holes": draw(st.booleans()),
        "min_size": draw(st.sampled_from((0, 0, 2, 5))),
    }


@given(case=cases())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_shape_block_and_connectivity(case: dict[str, Any]) -> None:
    check(**case)


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_diagonal_contacts_across_every_border(connectivity: int) -> None:
    """A checkerboard of voxels: whether they join is decided at block edges and corners only."""
    volume = (np.indices((6, 6, 6)).sum(axis=0) % 2 * 9).astype(np.uint8)
    check(volume[None], (1, 1, 1), (2, 2, 2), sigma=0, threshold=4, connectivity=connectivity)
    check(volume[None], (3, 2, 4), (6, 2, 4), sigma=0, threshold=4, connectivity=connectivity)


@pytest.mark.parametrize("method", ["otsu", "li", "triangle", "yen", "isodata", "mean"])
@pytest.mark.parametrize("shape", [(1, 61, 47), (2, 9, 30, 26)])
def test_every_threshold(method: str, shape: tuple[int, ...]) -> None:
    volumes = np.stack([blobs(shape[1:], seed) for seed in range(shape[0])])
    check(volumes, (7, 11, 13)[-len(shape) + 1 :], (8, 12, 16)[-len(shape) + 1 :], threshold=method, fill_holes=True)


@pytest.mark.parametrize("method", ["otsu", "li", "triangle", "yen", "isodata", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_wide_types(method: str, dtype: str) -> None:
    volume = (blobs((50, 40)) / 100).astype(dtype)
    check(volume[None], (17, 13), (20, 20), threshold=method, sigma=1.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_li_by_passes(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    """As for volumes with too many distinct values to be counted one by one."""
    monkeypatch.setattr(find_threshold, "MAX_DISTINCT", 10)
    volume = (blobs((60, 50)) / 7).astype(dtype)
    check(volume[None], (17, 13), (20, 20), threshold="li", sigma=1.5)


@pytest.mark.parametrize("method", ["li", "mean"])
def test_thresholds_of_floats_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(find_threshold, "MAX_DISTINCT", 10)
    volume = (blobs((60, 50)) / 7).astype(np.float32)
    found = set()
    real = find_threshold.find_thresholds

    def note(*args: Any) -> Any:
        result = real(*args)
        found.add(float(result[0]).hex())
        return result

    monkeypatch.setattr(segment_module, "find_thresholds", note)
    for block in ((60, 50), (7, 50), (13, 11)):
        check(volume[None], block, (20, 20), threshold=method)
    assert len(found) == 1


def test_holes_that_span_blocks_are_filled_and_bays_are_not() -> None:
    volume = np.zeros((20, 20), np.uint8)
    volume[2:12, 2:12] = 9
    volume[4:10, 4:10] = 0  # enclosed
    volume[14:19, 3:18] = 9
    volume[15:20, 5:8] = 0  # open to the volume's edge
    check(volume[None], (3, 3), (6, 6), sigma=0, threshold=4, fill_holes=True, connectivity=1)


def test_empty_and_full() -> None:
    check(np.zeros((1, 9, 9), np.uint8), (4, 4), (8, 8))
    check(np.zeros((1, 9, 9), np.uint8), (4, 4), (8, 8), foreground="dark")


def test_a_chunk_that_is_missing_is_its_fill_value(tmp_path: Path) -> None:
    import zarr

    from chunkwise.storage.arrays import open_array
    from chunkwise.storage.location import Location

    array = zarr.create_array(tmp_path / "a", shape=(8, 8), chunks=(4, 4), dtype="uint16", fill_value=7)
    array[:4, :4] = 3
    read = open_array(Location(str(tmp_path / "a"))).read((slice(0, 8), slice(2, 8)))
    np.testing.assert_array_equal(read, array[:, 2:8])
    assert read[7, 5] == 7


class Shuffled(InlineExecutor):
    """Runs calls in another order every time."""

    workers = 3

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        listed = list(calls)
        self._random.shuffle(listed)
        yield from super().run(function, listed)


def test_the_order_of_blocks_changes_no_byte() -> None:
    volumes = np.stack([blobs((40, 37)), blobs((40, 37), 1)])
    digests = set()
    for executor in (InlineExecutor(), Shuffled(1), Shuffled(2)):
        with _folder() as folder:
            blockwise_segment(folder, volumes, (9, 7), (12, 12), fill_holes=True, min_size=3, executor=executor)
            digests.add(made_stores.digest(folder / "out.ome.zarr"))
    assert len(digests) == 1


def test_every_block_is_read_once_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """For its rims, for the histogram, for its labels; the final labels come from the mask."""
    asked: list[tuple[slice, ...]] = []
    real = VolumeSource.read

    def read(self: VolumeSource, volume: int, box: tuple[slice, ...]) -> Array:
        asked.append(box)
        return real(self, volume, box)

    monkeypatch.setattr(VolumeSource, "read", read)
    with _folder() as folder:
        blockwise_segment(folder, blobs((36, 36))[None], (12, 12), (12, 12), fill_holes=True)
    assert len(asked) == 3 * 9
    assert {(part.stop - part.start) for box in asked for part in box} == {12}


def test_more_objects_than_32_bits_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids begin where 2**33 objects came before: nothing wraps around on the way into the store."""
    before = 2**33
    real = merge.Components.number

    def number(self: merge.Components, volumes: Array, keep_from: int, path: str) -> list[int]:
        counts = real(self, volumes, keep_from, path)
        table = np.load(path)
        np.save(path, np.where(table > 0, table + np.uint64(before), np.uint64(0)))
        return [count + before for count in counts]

    monkeypatch.setattr(merge.Components, "number", number)
    volume = blobs((30, 30))
    with _folder() as folder:
        found = blockwise_segment(folder, volume[None], (9, 9), (12, 12))[0]
    expected = reference_segment(volume)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, np.where(expected > 0, expected + np.uint64(before), np.uint64(0)))


# --- Every exactness test above is worth something only if it fails when the code is wrong. ---


def _caught(volumes: Array, block: tuple[int, ...], shard: tuple[int, ...], **options: Any) -> None:
    with pytest.raises(AssertionError):
        check(volumes, block, shard, **options)


def test_mutant_halo_one_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    # Noise, small blocks, and a sigma whose outermost weight is large: some voxels lie so close to the
    # threshold that this weight decides.
    noise = np.random.default_rng(0).integers(0, 60000, (1, 72, 80)).astype(np.uint16)
    check(noise, (6, 5), (24, 20), sigma=1.12)
    monkeypatch.setattr(smooth, "radius", lambda sigma: radius(sigma) - 1)
    _caught(noise, (6, 5), (24, 20), sigma=1.12)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_mutant_missing_join(monkeypatch: pytest.MonkeyPatch, missing: int) -> None:
    """Without faces (1), edges (2) or corners (3), contacts that only they see are lost."""
    volume = (np.indices((6, 6, 6)).sum(axis=0) % 2 * 9).astype(np.uint8)
    if missing == 1:
        volume[...] = 9
    if missing == 3:
        volume[...] = 0
        volume[0::2, 0::2, 0::2] = volume[1::2, 1::2, 1::2] = 9
    check(volume[None], (1, 1, 1), (2, 2, 2), sigma=0, threshold=4, connectivity=missing)
    real = merge.touching_pairs

    def without(here: Array, there: Array, direction: tuple[int, ...], connectivity: int) -> Array:
        if sum(1 for d in direction if d) == missing:
            return np.empty((0, 2), np.int64)
        return real(here, there, direction, connectivity)

    monkeypatch.setattr(module, "touching_pairs", without)
    _caught(volume[None], (1, 1, 1), (2, 2, 2), sigma=0, threshold=4, connectivity=missing)


def test_mutant_threshold_per_block(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = np.concatenate([blobs((20, 30)) // 4, blobs((20, 30), 1)])
    check(volume[None], (10, 10), (10, 10))
    monkeypatch.setattr(find_threshold, "_add", lambda a, b: a)
    _caught(volume[None], (10, 10), (10, 10))


def test_mutant_numbering_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers in the order of blocks instead of voxels."""
    volume = blobs((40, 40))
    check(volume[None], (9, 9), (12, 12))
    real = merge.Components.describe

    def by_block(self: merge.Components, start: int, sizes: Array, firsts: Array) -> None:
        real(self, start, sizes, np.arange(start, start + len(firsts)))

    monkeypatch.setattr(merge.Components, "describe", by_block)
    _caught(volume[None], (9, 9), (12, 12))


def test_mutant_holes_of_each_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Background pieces of different blocks that are not joined: a bay that crosses a border is taken for a hole."""
    volume = np.full((12, 12), 9, np.uint8)
    volume[2:10, 2:4] = 0
    volume[8:10, 2:12] = 0
    check(volume[None], (4, 4), (4, 4), sigma=0, threshold=4, fill_holes=True)
    monkeypatch.setattr(merge.Components, "join", lambda self, pairs: None)
    _caught(volume[None], (4, 4), (4, 4), sigma=0, threshold=4, fill_holes=True)
