"""The table of blocks is the table of scikit-image on the whole volume."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from begun import begun
from chunkwise.blocks.passes import BlockResult
from chunkwise.errors import ResumableError
from chunkwise.ops import measure as module
from chunkwise.ops import moments
from chunkwise.ops.row_files import RowFile, rows_bytes, sorted_batches
from measuring import blockwise, check, crowded, folder_of_its_own, prepare, table
from whole_image import Array

STARDIST = Path(__file__).parents[3] / "shared" / "data" / "stardist_nuclei"


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array | None, tuple[int, ...]]:
    ndim = draw(st.sampled_from((2, 3)))
    side = 12 if ndim == 2 else 7
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(1, side)) for _ in range(ndim)))
    labels = draw(
        arrays(draw(st.sampled_from(("uint8", "uint32", "int16"))), shape, elements=st.sampled_from((0, 0, 1, 2, 3, 7)))
    )
    image = None
    if draw(st.booleans()):
        kind = draw(st.sampled_from(("uint8", "uint16", "int16", "uint32", "float32", "float64")))
        span: Any = (-1e6, 1e6) if kind[0] == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
        elements: Any = st.floats(*span, width=32) if kind[0] == "f" else st.integers(*map(int, span))
        image = draw(arrays(kind, (shape[0], draw(st.integers(1, 2)), *shape[1:]), elements=elements))
    return labels, image, tuple(draw(st.integers(1, 5)) for _ in range(ndim))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_labels_image_and_block(case: tuple[Array, Array | None, tuple[int, ...]]) -> None:
    check(*case)


@pytest.mark.parametrize("block", [(7, 5), (64, 64), (30, 1)])
def test_planes(block: tuple[int, ...]) -> None:
    check(*crowded((2, 61, 47)), block)


@pytest.mark.parametrize("block", [(4, 5, 6), (25, 25, 25), (1, 8, 25)])
def test_volumes(block: tuple[int, ...]) -> None:
    check(*crowded((1, 19, 25, 22)), block)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "uint32", "int64", "float16", "float32", "bool"])
def test_intensities_of_every_type(kind: str) -> None:
    labels, image = crowded((1, 40, 30))
    values = image.astype(np.int64) - 2**15 if kind.startswith(("int", "float")) else image
    if kind == "float16":
        values = values / 1024
    check(labels, (values > 2**14 if kind == "bool" else values).astype(kind), (16, 7))


def test_nuclei() -> None:
    if not STARDIST.is_dir():
        pytest.skip(f"the nuclei are not at {STARDIST}")
    import tifffile

    labels, image = tifffile.imread(STARDIST / "mask2d.tif"), tifffile.imread(STARDIST / "img2d.tif")
    for block in ((50, 70), (128, 128), (1000, 1000)):
        check(labels[None], image[None, None], block)


def test_labels_near_the_end_of_64_bits_come_in_order() -> None:
    labels, image = crowded((1, 30, 30))
    far = np.where(labels > 0, np.uint64(2**64 - 2000) + labels.astype(np.uint64), np.uint64(0))
    near, moved = blockwise(labels, image, (8, 8)), blockwise(far, image, (8, 8))
    assert moved["label"].tolist() == [label + 2**64 - 2000 for label in near["label"].tolist()]
    for name in set(near) - {"label"}:
        np.testing.assert_array_equal(moved[name], near[name])


def test_labels_below_zero_are_background_as_in_scikit_image() -> None:
    labels = np.array([[[-1, -1, 2, 0], [1, -1, 2, 2]]], np.int16)
    assert blockwise(labels, None, (1, 2))["label"].tolist() == [1, 2]
    check(labels, None, (1, 2))


def test_sums_of_wide_integers_are_exact() -> None:
    labels = np.repeat(np.array([[[1, 2, 2, 3]]], np.uint8), 5, axis=1)
    image = np.zeros((1, 1, 5, 4), np.uint64)
    image[..., 0], image[..., 1:3], image[..., 3] = 2**64 - 1, 2**60 + 1, 2**62
    found = blockwise(labels, image, (2, 1))
    assert found["intensity_sum-0"].tolist() == [5 * (2**64 - 1), 10 * (2**60 + 1), 5 * 2**62]
    assert found["intensity_max-0"].tolist() == [2**64 - 1, 2**60 + 1, 2**62]
    lowest = blockwise(labels, np.full((1, 1, 5, 4), -(2**63)), (2, 1))
    assert lowest["intensity_sum-0"].tolist() == [-5 * 2**63, -10 * 2**63, -5 * 2**63]


def test_a_small_spread_on_a_high_ground_is_not_lost() -> None:
    labels = np.ones((1, 200, 200), np.uint8)
    image = np.random.default_rng(0).normal(1e7, 1e-3, (1, 1, 200, 200))
    found = blockwise(labels, image, (30, 30))
    assert found["intensity_std-0"][0] == pytest.approx(np.std(image), rel=1e-9)


@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_spread_of_integers_is_rounded_at_the_end(kind: str) -> None:
    """An object so large, and of such values, that products of its sums go beyond 64 bits, beside a small one."""
    ends, size = np.iinfo(kind), (1, 300, 400)
    image = np.random.default_rng(1).choice([ends.min, ends.max - 3, ends.max], (1, *size)).astype(kind)
    labels = np.ones(size, np.uint8)
    labels[:, 100:103, 200:203] = 2
    parted = [blockwise(labels, image, block)["intensity_std-0"] for block in ((300, 400), (70, 90))]
    assert parted[0].tobytes() == parted[1].tobytes()
    for number, found in enumerate(parted[0], 1):
        inside = [int(value) for value in image[0][labels == number]]
        total, squares, n = sum(inside), sum(value * value for value in inside), len(inside)
        assert found == pytest.approx(np.sqrt((n * squares - total * total) / (n * n)), rel=1e-15)


def test_not_a_number_spreads_as_in_numpy() -> None:
    labels = np.repeat(np.array([[[1, 2, 3]]], np.uint8), 4, axis=1)
    image = np.ones((1, 1, 4, 3))
    image[0, 0, 2, 0], image[0, 0, 3, 1] = np.nan, np.inf
    found = blockwise(labels, image, (1, 1))
    assert np.isnan([found[f"{name}-0"][0] for name in ("intensity_mean", "intensity_min", "intensity_std")]).all()
    assert found["intensity_max-0"].tolist()[1:] == [np.inf, 1.0]
    assert found["intensity_mean-0"].tolist()[1:] == [np.inf, 1.0]
    assert np.isnan(found["intensity_std-0"][1])
    assert found["intensity_std-0"][2] == 0


def test_physical_columns() -> None:
    labels = np.zeros((1, 4, 4, 4), np.uint8)
    labels[0, 1:3, 2, 0:4] = 5
    found = blockwise(labels, None, (2, 2, 2))
    assert found["area_physical"].tolist() == [8 * 0.5 * 0.25 * 2.0]
    assert [found[f"centroid_physical-{axis}"].item() for axis in "zyx"] == [10 + 1.5 * 0.5, 2 * 0.25, -3 + 1.5 * 2]


def test_no_object_gives_no_row() -> None:
    assert len(blockwise(np.zeros((2, 5, 5), np.uint8), None, (2, 2))["label"]) == 0


# Each mutant makes a mistake that a blockwise table can have; the comparison has to see it.


def broken(monkeypatch: pytest.MonkeyPatch, kind: str = "uint16") -> None:
    labels, image = crowded((1, 40, 40))
    check(labels, image.astype(kind), (16, 16))
    monkeypatch.undo()


def test_mutant_one_block_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sorted_batches", lambda files: sorted_batches(files[:-1]))
    with pytest.raises(AssertionError):
        broken(monkeypatch)


def test_mutant_origin_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = moments.BlockMoments

    def without(labels: Array, origin: tuple[int, ...], *rest: Any) -> Any:
        return honest(labels, (0,) * len(origin), *rest)

    monkeypatch.setattr(module, "BlockMoments", without)
    with pytest.raises(AssertionError, match="centroid"):
        broken(monkeypatch)


def test_mutant_means_of_blocks_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(rows: Array) -> Array:
        merged = moments.merge_rows(rows)
        starts = np.flatnonzero(np.concatenate(([True], rows["label"][1:] != rows["label"][:-1])))
        merged["squares"] = np.add.reduceat(rows["squares"], starts, axis=0)
        return merged

    monkeypatch.setattr(module, "merge_rows", without)
    with pytest.raises(AssertionError, match="intensity_std"):
        broken(monkeypatch, "float32")


def test_mutant_squares_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "SAFE", np.inf)
    with pytest.raises((AssertionError, RuntimeWarning)):
        test_spread_of_integers_is_rounded_at_the_end("uint16")


def test_mutant_corner_of_the_first_block_as_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_SMALLEST", ("min",))
    monkeypatch.setattr(moments, "_LARGEST", ("first", "last", "max"))
    with pytest.raises(AssertionError, match="bbox"):
        broken(monkeypatch)


# Rows on disk.


def row_files(folder: Path, tables: list[list[int]]) -> list[RowFile]:
    files = []
    for number, labels in enumerate(tables):
        rows = np.zeros(len(labels), moments.row_type(2, None, 0))
        rows["label"], rows["count"] = labels, number
        path = folder / f"{number}.npy"
        path.write_bytes(rows_bytes(rows))
        files.append(RowFile(str(path), len(rows), labels[0]))
    return files


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sets(st.integers(1, 60) | st.integers(2**64 - 9, 2**64 - 1), min_size=1), min_size=1, max_size=6),
    st.integers(1, 30),
    st.integers(1, 8),
)
def test_files_are_read_in_the_order_of_labels(tables: list[set[int]], rows: int, piece: int) -> None:
    from chunkwise.ops import row_files as files_module

    before = files_module.SMALLEST_PIECE
    files_module.SMALLEST_PIECE = piece
    try:
        with folder_of_its_own() as folder:
            files = row_files(folder, [sorted(labels) for labels in tables])
            batches = [batch[["label", "count"]].tolist() for batch in sorted_batches(files, rows)]
    finally:
        files_module.SMALLEST_PIECE = before
    expected = sorted((label, number) for number, labels in enumerate(tables) for label in labels)
    assert [row for batch in batches for row in batch] == expected
    for batch, following in pairwise(batches):
        assert batch[-1][0] < following[0][0]


def test_few_rows_lie_in_memory(tmp_path: Path) -> None:
    """Blocks of a slab share labels, those of the next slab have later ones."""
    tables = [list(range(slab * 1000 + 1 + k, slab * 1000 + 1001, 2)) for slab in range(50) for k in (0, 1)]
    sizes = [len(batch) for batch in sorted_batches(row_files(tmp_path, tables), 2000)]
    assert sum(sizes) == 50_000
    assert max(sizes) <= 4000


# Going on after a stop.


class Counting:
    """Counts the blocks that are measured, and fails at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.seen: list[int] = []
        self._fail_at, self._honest = fail_at, module._measure_block

    def __call__(self, work: Any, number: int) -> BlockResult:
        if number == self._fail_at:
            raise ResumableError("stopped")
        self.seen.append(number)
        return self._honest(work, number)


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, image = crowded((2, 40, 40))
    measured, run = prepare(tmp_path, labels, image, (16, 16)), begun(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_measure_block", Counting(fail_at=7))
        with pytest.raises(ResumableError):
            table(measured, run)
    again = Counting()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_measure_block", again)
        found = table(measured, begun(tmp_path))
    assert again.seen == list(range(7, 18))
    whole = blockwise(labels, image, (16, 16))
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])


def test_a_damaged_row_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, run = prepare(tmp_path, *crowded((1, 40, 40)), (16, 16)), begun(tmp_path)
    whole = table(measured, run)
    victim = tmp_path / "run" / "scratch" / "rows" / "0" / "4.npy"
    victim.write_bytes(victim.read_bytes()[:-8])
    again = Counting()
    monkeypatch.setattr(module, "_measure_block", again)
    found = table(measured, begun(tmp_path))
    assert again.seen == [4]
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name])
