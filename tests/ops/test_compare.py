"""The comparison of blocks is the comparison of whole volumes, worked out here from the definitions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import skimage.metrics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from begun import begun
from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult
from chunkwise.blocks.run import Run
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.errors import ResumableError
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops import compare as module
from chunkwise.ops import row_files
from chunkwise.ops import scores as scores_module
from chunkwise.ops.compare import COLUMNS, Compared, compare
from chunkwise.ops.overlap import count_overlaps
from chunkwise.ops.scores import SCALE, THRESHOLDS, Tally, count_matches, scores, total
from whole_image import Array, write_array

DATA = Path(__file__).parents[3] / "shared" / "data"


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def source(folder: Path, name: str, data: Array) -> VolumeSource:
    shape = data.shape[1:]
    return VolumeSource(
        array=write_array(folder / name, data),
        axes="t" + "zyx"[-len(shape) :],
        channel=0,
        origin=(0,) * len(shape),
        shape=shape,
        first_time=0,
        volumes=len(data),
        dtype=data.dtype.name,
    )


def prepare(folder: Path, truth: Array, predicted: Array, block: tuple[int, ...]) -> Compared:
    grid = Grid.fit(truth.shape[1:], block, block)
    return Compared(source(folder, "truth", truth), source(folder, "predicted", predicted), grid)


def work(compared: Compared, run: Run, batch: int = 2**18, share: float = 0.1) -> tuple[list[Tally], dict[str, Array]]:
    """Counts of every volume, and the whole table."""
    pieces: list[dict[str, Array]] = []
    tallies = compare(compared, Job(InlineExecutor(), run), THRESHOLDS, share, pieces.append, batch)
    return tallies, {c.name: np.concatenate([piece[c.name] for piece in pieces] or [np.empty(0)]) for c in COLUMNS}


def blockwise(
    truth: Array, predicted: Array, block: tuple[int, ...], batch: int = 2**18, share: float = 0.1
) -> tuple[list[Tally], dict[str, Array]]:
    with folder_of_its_own() as folder:
        return work(prepare(folder, truth, predicted, block), begun(folder), batch, share)


# The definitions, once more, in plain Python on the whole volume.


def pairs_of(truth: Array, predicted: Array) -> dict[tuple[int, int], int]:
    """The contingency table by NumPy: (label in truth, label in predicted) to voxels."""
    both = np.stack([np.maximum(side, 0).astype(np.uint64).ravel() for side in (truth, predicted)], axis=-1)
    pairs, counts = np.unique(both, axis=0, return_counts=True)
    return {(a, b): n for (a, b), n in zip(pairs.tolist(), counts.tolist(), strict=True) if a or b}


def whole(truth: Array, predicted: Array, share: Fraction = Fraction(1, 10)) -> tuple[dict[str, Any], list[Any]]:
    """Counts and table of one volume, in exact fractions; matched by the Hungarian method."""
    pairs = pairs_of(truth, predicted)
    sizes_t: dict[int, int] = {}
    sizes_p: dict[int, int] = {}
    for (a, b), n in pairs.items():
        sizes_t[a] = sizes_t.get(a, 0) + n
        sizes_p[b] = sizes_p.get(b, 0) + n
    sizes_t.pop(0, None)
    sizes_p.pop(0, None)
    overlaps = {(a, b): n for (a, b), n in pairs.items() if a and b}
    iou = {(a, b): Fraction(n, sizes_t[a] + sizes_p[b] - n) for (a, b), n in overlaps.items()}
    rows, columns = {a: i for i, a in enumerate(sorted(sizes_t))}, {b: i for i, b in enumerate(sorted(sizes_p))}
    matches, sums = [], []
    for threshold in THRESHOLDS:
        limit = Fraction(str(threshold))
        gain = np.zeros((len(rows), len(columns)))
        for (a, b), value in iou.items():
            if value > limit:
                gain[rows[a], columns[b]] = 1 + float(value) / 1e6  # as many matches as there can be, then the best
        chosen = [
            (a, b)
            for a, b in zip(*scipy.optimize.linear_sum_assignment(gain, maximize=True), strict=True)
            if gain[a, b]
        ]
        matches.append(len(chosen))
        names_t, names_p = sorted(sizes_t), sorted(sizes_p)
        sums.append(sum((iou[names_t[a], names_p[b]] for a, b in chosen), Fraction(0)))
    counts = {
        "truth_objects": len(sizes_t),
        "predicted_objects": len(sizes_p),
        "truth_voxels": int((truth > 0).sum()),
        "predicted_voxels": int((predicted > 0).sum()),
        "overlap_voxels": int(((truth > 0) & (predicted > 0)).sum()),
        "splits": sum(
            sum(o[0] == a and Fraction(n, sizes_t[a]) >= share for o, n in overlaps.items()) > 1 for a in sizes_t
        ),
        "merges": sum(
            sum(o[1] == b and Fraction(n, sizes_p[b]) >= share for o, n in overlaps.items()) > 1 for b in sizes_p
        ),
        "matches": tuple(matches),
        "sums": sums,
    }
    table = []
    for a in sorted(sizes_t):
        best = max(((v, -b) for (x, b), v in iou.items() if x == a), default=(Fraction(0), 0))
        b = -best[1]
        n = overlaps.get((a, b), 0)
        table.append((a, sizes_t[a], b, sizes_p.get(b, 0), n, float(best[0]), int(best[0] > Fraction(1, 2))))
    for b in sorted(sizes_p):
        best = max(((v, -a) for (a, x), v in iou.items() if x == b), default=(Fraction(0), 0))
        if best[0] <= Fraction(1, 2):
            table.append((0, 0, b, sizes_p[b], overlaps.get((-best[1], b), 0), float(best[0]), 0))
    return counts, table


def check(truth: Array, predicted: Array, block: tuple[int, ...], batch: int = 2**18) -> None:
    """Assert that blocks give what the definitions give on whole volumes."""
    tallies, table = blockwise(truth, predicted, block, batch)
    assert len(tallies) == len(truth)
    expected_rows = []
    for time, tally in enumerate(tallies):
        counts, rows = whole(truth[time], predicted[time])
        expected_rows += [(time, *row) for row in rows]
        sums = counts.pop("sums")
        assert {name: getattr(tally, name) for name in counts} == counts
        for found, exact in zip(tally.iou_sums, sums, strict=True):
            # Each IoU is rounded once, to float64; the sum not at all.
            assert abs(Fraction(found, SCALE) - exact) <= Fraction(tally.matches[0] + 1, SCALE)
    found_rows = list(zip(*(table[column.name].tolist() for column in COLUMNS), strict=True))
    assert found_rows == expected_rows


def crowded(shape: tuple[int, ...], seed: int = 0) -> tuple[Array, Array]:
    """True objects that cross many blocks; and predictions that moved, were joined, were cut, or are missing."""
    rng = np.random.default_rng(seed)
    places = np.meshgrid(*[np.arange(n) for n in shape[1:]], indexing="ij")

    def cells(step: int, offset: int) -> Array:
        index = np.zeros(shape[1:], np.int64)
        for place in places:
            index = index * 40 + (place + offset) // step
        return index + 1

    truth = np.stack([np.where(rng.random(shape[1:]) < 0.05, 0, cells(9, 0)) for _ in range(shape[0])])
    joined = np.where(cells(9, 0) % 5 == 0, cells(18, 1), cells(9, 1))
    predicted = np.stack(
        [np.where((cells(6, 0) % 7 == time) | (joined % 6 == 1), 0, joined) for time in range(shape[0])]
    )
    predicted[:, : shape[1] // 3] *= 1000003
    right = np.s_[..., shape[-1] * 2 // 3 :]
    predicted[right] = np.where(truth[right] > 0, truth[right] + 500_000, 0)
    return truth.astype(np.uint32), predicted.astype(np.uint64)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, tuple[int, ...], int]:
    ndim = draw(st.sampled_from((2, 3)))
    side = 10 if ndim == 2 else 5
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(1, side)) for _ in range(ndim)))
    sides = []
    for _ in range(2):
        kind = draw(st.sampled_from(("uint8", "uint32", "int16", "uint64")))
        labels = (0, 0, 1, 2, 3, 7) + ((-1,) if kind == "int16" else ()) + ((2**64 - 2,) if kind == "uint64" else ())
        sides.append(draw(arrays(kind, shape, elements=st.sampled_from(labels))))
    if draw(st.booleans()):
        # Much the same labels, so that there are matches too.
        sides[1] = np.where(sides[1] > 2, sides[1], sides[0].astype(sides[1].dtype))
    return sides[0], sides[1], tuple(draw(st.integers(1, 5)) for _ in range(ndim)), draw(st.sampled_from((1, 3, 2**18)))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_labels_and_block(case: tuple[Array, Array, tuple[int, ...], int]) -> None:
    check(*case)


@pytest.mark.parametrize(("block", "batch"), [((7, 5), 50), ((64, 64), 2**18), ((30, 1), 700)])
def test_planes(block: tuple[int, ...], batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "SMALLEST_PIECE", 3)
    check(*crowded((2, 61, 47)), block, batch)


@pytest.mark.parametrize("block", [(4, 5, 6), (25, 25, 25), (1, 8, 25)])
def test_volumes(block: tuple[int, ...]) -> None:
    check(*crowded((1, 19, 25, 22)), block)


def test_the_example_has_everything() -> None:
    """What is not in the example is not tested by it."""
    tally = total(blockwise(*crowded((2, 61, 47)), (16, 16))[0])
    assert tally.splits > 3
    assert tally.merges > 3
    assert 0 < tally.matches[-1] < tally.matches[0] < min(tally.truth_objects, tally.predicted_objects)


def test_the_table_of_overlaps_is_that_of_scikit_image() -> None:
    truth, predicted = crowded((1, 61, 47))
    truth, predicted = truth[0].astype(np.int64), np.unique(predicted[0], return_inverse=True)[1].reshape(61, 47)
    matrix = np.zeros((truth.max() + 1, predicted.max() + 1), np.int64)
    a, b, n = count_overlaps(truth, predicted)
    matrix[a.astype(int), b.astype(int)] = n
    expected = skimage.metrics.contingency_table(truth, predicted).toarray()
    expected[0, 0] = 0
    np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize("seed", range(3))
def test_many_pairs_in_a_block(seed: int) -> None:
    """The kernel's table has to grow, with labels all over 64 bits."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2**64, (80, 90), np.uint64) >> rng.choice([0, 20, 60], (80, 90)).astype(np.uint64)
    predicted = rng.integers(-5, 2**40, (80, 90)) >> rng.choice([0, 38], (80, 90))
    a, b, n = count_overlaps(truth, predicted)
    found = dict(zip(zip(a.tolist(), b.tolist(), strict=True), n.tolist(), strict=True))
    assert found == pairs_of(truth, predicted)
    assert (np.diff(b.astype(object)) >= 0).all()


def real_pairs() -> list[Any]:
    pairs = [pytest.param(f"mitocheck_{time}", id=f"mitocheck-{time}") for time in ("t1", "t70")]
    return pairs + [pytest.param(f"dsb_{n}", id=f"dsb2018-{n}") for n in range(4)]


@pytest.mark.parametrize("name", real_pairs())
def test_real_nuclei_and_a_threshold(name: str) -> None:
    """People's outlines against connected components, which join what touches."""
    import skimage.filters
    import skimage.measure
    import tifffile

    if not DATA.is_dir():
        pytest.skip(f"the images are not at {DATA}")
    if name.startswith("mitocheck"):
        stem = DATA / "mitocheck" / f"xy_8bit__mitocheck_incenp_{name.partition('_')[2]}"
        image, truth = tifffile.imread(f"{stem}.tif"), tifffile.imread(f"{stem}_labels.tif")
    else:
        folder = DATA / "dsb2018_nuclei2d"
        file = sorted((folder / "masks").iterdir())[int(name.partition("_")[2]) * 7]
        truth, image = tifffile.imread(file), tifffile.imread(folder / "images" / file.name)
        image = image if image.ndim == 2 else image[..., 0]
    smooth = skimage.filters.gaussian(image, 1)
    predicted = skimage.measure.label(smooth > skimage.filters.threshold_otsu(smooth))
    for block in ((50, 70), (1000, 1000)):
        check(truth[None], predicted[None].astype(np.uint32), block)


def test_ids_do_not_matter() -> None:
    truth, predicted = crowded((1, 61, 47))
    rng = np.random.default_rng(5)
    other = []
    for side in (truth, predicted):
        names, index = np.unique(side, return_inverse=True)
        new = np.concatenate(([0], rng.permutation(10 * len(names))[1 : len(names)] + 1))
        other.append(new[index].reshape(side.shape))
    assert blockwise(truth, predicted, (16, 16))[0] == blockwise(other[0], other[1], (9, 30))[0]


def test_the_same_labels_are_perfect() -> None:
    truth, _ = crowded((1, 61, 47))
    found = scores(blockwise(truth, truth, (16, 16))[0][0], THRESHOLDS)
    assert found["mean_average_precision"] == 1
    assert found["foreground"]["dice"] == found["foreground"]["iou"] == 1
    assert found["splits"] == found["merges"] == 0
    assert {row["panoptic_quality"] for row in found["thresholds"]} == {1.0}


# What the counts mean.


def test_scores_from_the_definitions() -> None:
    """Two matches of IoU 0.8 and 0.6, one object missed, two too many."""
    matches, sums = count_matches(np.array([0.8, 0.6, 0.3]), (0.5, 0.75))
    found = scores(Tally(3, 4, 100, 120, 90, 1, 2, matches, sums), (0.5, 0.75))
    half, three_quarters = found["thresholds"]
    assert half == {
        "threshold": 0.5,
        "true_positives": 2,
        "false_positives": 2,
        "false_negatives": 1,
        "precision": 2 / 4,
        "recall": 2 / 3,
        "f1": 4 / 7,
        "average_precision": 2 / 5,
        "mean_matched_iou": pytest.approx(0.7, rel=1e-15),
        "panoptic_quality": pytest.approx(1.4 / 3.5, rel=1e-15),
    }
    assert three_quarters["average_precision"] == 1 / 6
    assert found["mean_average_precision"] == pytest.approx((2 / 5 + 1 / 6) / 2)
    assert found["foreground"]["iou"] == 90 / 130
    assert found["foreground"]["dice"] == 180 / 220


@pytest.mark.parametrize(("here", "there", "value"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0)])
def test_empty_images(here: int, there: int, value: float) -> None:
    truth, predicted = (np.full((1, 5, 6), side, np.uint8) for side in (here, there))
    found = scores(blockwise(truth, predicted, (2, 3))[0][0], THRESHOLDS)
    assert found["objects"] == {"truth": here, "predicted": there}
    for row in found["thresholds"]:
        for name in ("precision", "recall", "f1", "average_precision", "panoptic_quality"):
            assert row[name] == value
        assert row["mean_matched_iou"] is None
    assert found["foreground"]["iou"] == found["foreground"]["dice"] == value
    assert found["mean_average_precision"] == value


def test_an_iou_on_the_threshold_is_no_match() -> None:
    """Greater, not equal; and 0.1 + 0.2 is not in the way."""
    for part, of in ((1, 2), (3, 5), (7, 10), (13, 20), (19, 20)):
        truth = np.zeros((1, 1, 40), np.uint8)
        truth[0, 0, : 40 * part // of * of // part] = 1
        size = int(truth.sum())
        predicted = np.zeros_like(truth)
        predicted[0, 0, : size * part // of] = 1
        assert Fraction(int(predicted.sum()), size) == Fraction(part, of)
        tally = blockwise(truth, predicted, (1, 7))[0][0]
        assert tally.matches == tuple(int(Fraction(part, of) > Fraction(str(t))) for t in THRESHOLDS)


def test_a_share_that_is_just_reached_counts() -> None:
    truth = np.full((1, 1, 30), 4, np.uint8)
    predicted = np.repeat([[[1] * 3 + [2] * 27]], 1, axis=0).astype(np.uint8)
    assert blockwise(truth, predicted, (1, 4))[0][0].splits == 1
    assert blockwise(truth, predicted, (1, 4), share=0.11)[0][0].splits == 0
    assert blockwise(predicted, truth, (1, 4))[0][0].merges == 1
    assert blockwise(predicted, truth, (1, 4), share=0.11)[0][0].merges == 0


def test_sums_do_not_depend_on_their_order_and_do_not_overflow() -> None:
    iou = np.random.default_rng(0).uniform(0.5, 1, 30_000)
    iou[:3000] = 1
    counts, sums = count_matches(iou, THRESHOLDS)
    assert (counts, sums) == count_matches(iou[::-1], THRESHOLDS)
    for threshold, found in zip(THRESHOLDS, sums, strict=True):
        assert Fraction(found, SCALE) == sum((Fraction(value) for value in iou[iou > threshold].tolist()), Fraction(0))


def test_one_object_over_everything_comes_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of an object are merged together, also where there are more than a piece of a file holds."""
    monkeypatch.setattr(row_files, "SMALLEST_PIECE", 2)
    truth = np.arange(1, 601, dtype=np.uint16).reshape(1, 20, 30)
    check(truth, np.full_like(truth, 9), (20, 30), batch=4)
    check(np.full_like(truth, 9), truth, (20, 15), batch=4)


# Each mutant makes a mistake that a blockwise comparison can have; the test has to see it.


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predicted = crowded((2, 40, 40))
    with pytest.raises(AssertionError):
        check(truth, predicted, (16, 16))
    monkeypatch.undo()
    check(truth, predicted, (16, 16))


def test_mutant_table_of_one_block_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = module._Merge.run
    monkeypatch.setattr(module._Merge, "run", lambda self, hits, *rest: honest(self, hits[:-1], *rest))
    broken(monkeypatch)


def test_mutant_missed_voxels_of_one_block_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = module._Merge.run
    monkeypatch.setattr(module._Merge, "run", lambda self, hits, missed, *rest: honest(self, hits, missed[1:], *rest))
    broken(monkeypatch)


def test_mutant_labels_of_another_time_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = module._Merge.run
    seen: list[Any] = []

    def joined(self: Any, hits: list[Any], missed: list[Any], thresholds: Any) -> Tally:
        seen.extend(hits)
        return honest(self, list(seen), missed, thresholds)

    monkeypatch.setattr(module._Merge, "run", joined)
    broken(monkeypatch)


def test_mutant_parts_of_a_pair_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block's overlap of two objects on its own."""
    honest = module.starts_of
    monkeypatch.setattr(module, "starts_of", lambda *keys: np.arange(len(keys[0])) if len(keys) == 2 else honest(*keys))
    broken(monkeypatch)


def test_mutant_threshold_reached_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = scores_module.count_matches
    monkeypatch.setattr(
        module, "count_matches", lambda iou, thresholds: honest(iou, [np.nextafter(t, 0) for t in thresholds])
    )
    with pytest.raises(AssertionError):
        test_an_iou_on_the_threshold_is_no_match()


# Going on after a stop.


class Counting:
    """Counts the blocks that are compared, and fails at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.seen: list[int] = []
        self._fail_at, self._honest = fail_at, module._compare_block

    def __call__(self, work: Any, number: int) -> BlockResult:
        if number == self._fail_at:
            raise ResumableError("stopped")
        self.seen.append(number)
        return self._honest(work, number)


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = crowded((2, 40, 40))
    compared, run = prepare(tmp_path, *images, (16, 16)), begun(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_compare_block", Counting(fail_at=7))
        with pytest.raises(ResumableError):
            work(compared, run)
    victim = tmp_path / "run" / "scratch" / "predicted" / "0" / "3.npy"
    victim.write_bytes(victim.read_bytes()[:-8])
    again = Counting()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_compare_block", again)
        tallies, table = work(compared, begun(tmp_path))
    assert again.seen == [3, *range(7, 18)]
    whole_tallies, whole_table = blockwise(*images, (16, 16))
    assert tallies == whole_tallies
    for name in whole_table:
        np.testing.assert_array_equal(table[name], whole_table[name])


def test_a_merge_that_was_stopped_leaves_nothing_that_counts(tmp_path: Path) -> None:
    images = crowded((1, 40, 40))
    compared, run = prepare(tmp_path, *images, (16, 16)), begun(tmp_path)

    def stop(_: Any) -> None:
        raise ResumableError("no space")

    with pytest.raises(ResumableError):
        compare(compared, Job(InlineExecutor(), run), THRESHOLDS, 0.1, stop, 20)
    assert any((tmp_path / "run" / "scratch" / "merge").rglob("*.npy"))
    tallies, _ = work(compared, begun(tmp_path), batch=2**18)
    assert tallies == blockwise(*images, (16, 16))[0]
    assert not any((tmp_path / "run" / "scratch" / "merge").rglob("*.npy"))
