"""What measure can do beyond its usual columns: second moments, Euler numbers, weighted centres, and by object."""

from __future__ import annotations

import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.morphology import convex_hull_image

from begun import begun
from chunkwise.errors import InputError, ResumableError
from chunkwise.ops import measure as module
from chunkwise.ops import moments, object_boxes, second
from chunkwise.ops.euler import euler_numbers
from chunkwise.ops.object_shapes import convex_hull, longest_diameter
from chunkwise.ops.properties import REGISTRY
from measuring import blockwise, check, crowded, prepare, table
from whole_image import Array

ALL = ("all", "all_moments")
PLANES = {entry.name for entry in REGISTRY if entry.planes}
STARDIST = Path(__file__).parents[3] / "shared" / "data" / "stardist_nuclei"


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array | None, tuple[int, ...]]:
    ndim = draw(st.sampled_from((2, 3)))
    side = 12 if ndim == 2 else 7
    shape = (draw(st.integers(1, 2)), *(draw(st.integers(1, side)) for _ in range(ndim)))
    labels = draw(
        arrays(draw(st.sampled_from(("uint8", "int32"))), shape, elements=st.sampled_from((0, 0, 1, 1, 2, 7)))
    )
    image = None
    if draw(st.booleans()):
        kind = draw(st.sampled_from(("uint8", "uint16", "uint32", "float32")))
        # Sums of both signs may be next to nothing, and a centre of mass is then anywhere.
        span = (1, 1e6) if kind[0] == "f" else (0, np.iinfo(kind).max)
        elements: Any = st.floats(*span, width=32) if kind[0] == "f" else st.integers(*map(int, span))
        image = draw(arrays(kind, (shape[0], draw(st.integers(1, 2)), *shape[1:]), elements=elements))
    return labels, image, tuple(draw(st.integers(1, 5)) for _ in range(ndim))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_any_labels_image_and_block(case: tuple[Array, Array | None, tuple[int, ...]]) -> None:
    check(*case, ALL)


@pytest.mark.parametrize("block", [(7, 5), (64, 64), (30, 1)])
def test_planes(block: tuple[int, ...]) -> None:
    check(*crowded((2, 43, 37)), block, ALL)


@pytest.mark.parametrize("block", [(4, 5, 6), (25, 25, 25), (1, 8, 25)])
def test_volumes(block: tuple[int, ...]) -> None:
    check(*crowded((1, 11, 20, 17)), block, ALL)


@pytest.mark.parametrize("kind", ["int8", "uint32", "float16", "float64", "bool"])
def test_intensities_of_every_type(kind: str) -> None:
    labels, image = crowded((1, 30, 30))
    check(labels, (image > 2**14 if kind == "bool" else image / 1024).astype(kind), (16, 7), ("intensity",))


def test_nuclei() -> None:
    if not STARDIST.is_dir():
        pytest.skip(f"the nuclei are not at {STARDIST}")
    import tifffile

    labels, image = tifffile.imread(STARDIST / "mask2d.tif"), tifffile.imread(STARDIST / "img2d.tif")
    check(labels[None], image[None, None], (100, 90), ALL)


def test_the_table_does_not_show_the_blocks() -> None:
    """Not even where scikit-image rounds otherwise: sums are exact before anything is rounded."""
    labels, image = crowded((1, 11, 20, 17))
    whole = blockwise(labels, image, (11, 20, 17), ALL)
    for block in ((3, 4, 5), (11, 1, 17)):
        parted = blockwise(labels, image, block, ALL)
        for name in whole:
            np.testing.assert_array_equal(parted[name], whole[name], err_msg=name)


def test_one_property_needs_no_other() -> None:
    """What is asked for alone has the same values as with all the others."""
    for shape in ((1, 20, 21), (1, 8, 9, 10)):
        labels, image = crowded(shape)
        whole = blockwise(labels, image, (8,) * (len(shape) - 1), ALL)
        for name in module.PROPERTIES + module.INTENSITIES:
            if len(shape) == 4 and name in PLANES:
                continue
            alone = blockwise(labels, image, (8,) * (len(shape) - 1), (name,))
            assert len(alone) > 2
            for column in alone:
                np.testing.assert_array_equal(alone[column], whole[column], err_msg=column)


# Euler numbers.


@pytest.mark.parametrize("ndim", [2, 3])
def test_euler_numbers_of_noise(ndim: int) -> None:
    """The table of corners is scikit-image's table of configurations, in sum."""
    rng = np.random.default_rng(ndim)
    for _ in range(100):
        mask = rng.random(rng.integers(1, 8, ndim)) < rng.random()
        _, numbers = euler_numbers(np.pad(mask.view(np.uint8), 1))
        assert numbers.sum() == skimage.measure.euler_number(mask, ndim)


def test_rings_shells_and_corners_over_blocks() -> None:
    ring = np.zeros((1, 9, 9, 9), np.uint8)
    ring[0, 4, 1:8, 1:8] = 1
    ring[0, 4, 3:6, 3:6] = 0
    shell = np.zeros_like(ring)
    shell[0, 1:8, 1:8, 1:8] = 2
    shell[0, 3:6, 3:6, 3:6] = 0
    touching = np.zeros_like(ring)
    touching[0, :4, :4, :4] = touching[0, 4:, 4:, 4:] = 3
    for labels, expected in ((ring, 0), (shell, 2), (touching, 1)):
        for block in ((4, 4, 4), (1, 9, 2), (9, 9, 9)):
            assert blockwise(labels, None, block, ("euler_number",))["euler_number"].tolist() == [expected]


# Second moments.


def test_products_beyond_64_bits_are_exact() -> None:
    """Two blocks of an object that reaches over 2**33 voxels along each axis, against Python's own integers."""
    rows = np.zeros(2, moments.row_type(2, None, 0, ("second",)))
    far = 2**33
    rows["label"], rows["count"] = 1, 2**20
    rows["corner"] = [[0, 5], [far, far]]
    sums, products_of = [3 * 2**20, 7 * 2**20], [2**25, 2**26, 2**27]
    rows["coordinates"] = rows["corner"] * 2**20 + np.array(sums)
    rows["first"], rows["last"] = rows["corner"], rows["corner"] + 2**10
    rows["products_low"] = products_of
    merged = moments.merge_rows(rows)
    assert merged["corner"].tolist() == [[0, 5]]
    points = [0, 0], [far, far - 5]
    for pair, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
        exact = sum(
            products_of[pair] + away[a] * sums[b] + away[b] * sums[a] + 2**20 * away[a] * away[b] for away in points
        )
        assert int(merged["products_high"][0, pair]) * 2**32 + int(merged["products_low"][0, pair]) == exact
        total = [sum(sums[axis] + 2**20 * away[axis] for away in points) for axis in (a, b)]
        expected = (exact - total[0] * total[1] / 2**21) / 2**21
        tensor = second.inertia(merged)[0]
        assert (-tensor[a, b] if a != b else tensor[1 - a, 1 - a]) == pytest.approx(expected, rel=1e-9)


def test_blocks_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(InputError, match="smaller --block"):
        moments.BlockMoments(np.broadcast_to(np.uint8(1), (1, 2**22)), (0, 0), None, 0, ("second",))


def test_a_point_has_no_extent() -> None:
    labels = np.zeros((1, 5, 5), np.uint8)
    labels[0, 3, 4] = 1
    found = blockwise(labels, None, (2, 2), ("shape",))
    for name in ("axis_major_length", "axis_minor_length", "eccentricity", "inertia_tensor-0-0"):
        assert found[name].tolist() == [0.0]
    check(labels, None, (2, 2), ("shape",))


# By object.


def test_objects_without_a_hull_have_no_number() -> None:
    labels = np.zeros((1, 5, 9, 9), np.uint8)
    labels[0, 2, 1:6, 1:6] = 1
    labels[0, 0, 8, 8] = 2
    labels[0, 1:5, 6:9, 0:3] = 3
    found = blockwise(labels, None, (2, 4, 4), ("area_convex", "solidity", "feret_diameter_max"))
    assert found["not_measured"].tolist() == [0, 0, 0]
    for name in ("area_convex", "solidity", "feret_diameter_max"):
        assert np.isnan(found[name]).tolist() == [True, True, False]


def test_the_hull_of_a_volume_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    ball = np.stack(np.meshgrid(*[np.linspace(-1, 1, 25)] * 3, indexing="ij"))
    shapes = [(ball**2).sum(axis=0) <= 1, np.abs(ball).sum(axis=0) <= 1.01, np.ones((1, 1, 5), bool)]
    shapes += [
        (ball * np.array([1, 2, 5])[:, None, None, None] ** 2).sum(axis=0) ** 2 <= 1,
        ball[0] + ball[1] > ball[2],
    ]
    shapes += [rng.random(rng.integers(1, 14, 3)) < rng.choice([0.02, 0.3, 1.0]) for _ in range(60)]
    for mask in shapes:
        if mask.any():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                expected = convex_hull_image(mask)
            np.testing.assert_array_equal(convex_hull(mask), expected)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_longest_diameter_is_that_of_all_pairs(ndim: int) -> None:
    rng = np.random.default_rng(ndim)
    for _ in range(10):
        mask = rng.random(rng.integers(4, 12, ndim)) < 0.2
        mask.ravel()[:3] = True
        mask[1, 1], mask[-1, -1] = True, True
        region = skimage.measure.regionprops(mask.astype(np.uint8))[0]
        assert longest_diameter(region.image_convex) == region.feret_diameter_max


def test_boxes_too_large_for_memory_are_flagged(tmp_path: Path) -> None:
    labels = np.zeros((1, 60, 60), np.uint8)
    labels[0, 2:5, 6:12] = 1
    labels[0, np.arange(60), np.arange(60)] = 4
    labels[0, 50:59, 2:9] = 6
    measured = prepare(tmp_path, labels, None, (20, 20), ("num_pixels", "perimeter", "solidity"))
    found = table(measured, begun(tmp_path), object_boxes.BASE + 18 * 2000)
    assert found["not_measured"].tolist() == [0, 1, 0]
    assert found["num_pixels"].tolist() == [18, 60, 63]
    for name in ("perimeter", "solidity"):
        assert np.isnan(found[name]).tolist() == [False, True, False]
    for name in ("perimeter", "solidity"):
        whole = blockwise(labels, None, (60, 60), (name,))[name]
        assert np.isfinite(whole).all()
        assert found[name][[0, 2]].tolist() == whole[[0, 2]].tolist()


@pytest.mark.parametrize("room", [3_000, 10_000, 100_000])
def test_how_many_are_read_at_once_changes_nothing(room: int, tmp_path: Path) -> None:
    labels, image = crowded((2, 40, 40))
    measured = prepare(tmp_path, labels, image, (16, 16), ("all",))
    found, whole = (
        table(measured, begun(tmp_path), object_boxes.BASE + room),
        blockwise(labels, image, (16, 16), ("all",)),
    )
    assert (found["not_measured"] == 0).all() or room == 3_000
    measured_ones = found["not_measured"] == 0
    assert measured_ones.any()
    for name in set(whole) - {"not_measured"}:
        np.testing.assert_array_equal(found[name][measured_ones], whole[name][measured_ones], err_msg=name)


def test_labels_near_the_end_of_64_bits() -> None:
    labels, image = crowded((1, 30, 30))
    far = np.where(labels > 0, np.uint64(2**64 - 2000) + labels.astype(np.uint64), np.uint64(0))
    near, moved = blockwise(labels, image, (8, 8), ALL), blockwise(far, image, (8, 8), ALL)
    for name in set(near) - {"label"}:
        np.testing.assert_array_equal(moved[name], near[name], err_msg=name)


def test_an_object_whose_box_begins_in_a_block_without_it() -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 0, 7] = labels[0, 7, 0] = 1
    labels[0, 1, 1] = 2
    check(labels, None, (4, 4), ALL)


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, image = crowded((2, 40, 40))
    measured, honest = prepare(tmp_path, labels, image, (16, 16), ALL), object_boxes._measure_objects
    seen: list[int] = []

    def until(stop: int | None) -> Any:
        def one(work: Any, number: int) -> Any:
            if number == stop:
                raise ResumableError("stopped")
            seen.append(number)
            return honest(work, number)

        return one

    with monkeypatch.context() as patch:
        patch.setattr(object_boxes, "_measure_objects", until(7))
        with pytest.raises(ResumableError):
            table(measured, begun(tmp_path))
    seen.clear()
    monkeypatch.setattr(object_boxes, "_measure_objects", until(None))
    found = table(measured, begun(tmp_path))
    assert seen == list(range(7, 18))
    monkeypatch.undo()
    whole = blockwise(labels, image, (16, 16), ALL)
    for name in whole:
        np.testing.assert_array_equal(found[name], whole[name], err_msg=name)


# Each mutant makes a mistake that a blockwise table can have; the comparison has to see it.


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    check(*crowded((1, 40, 40)), (16, 16), ALL)
    monkeypatch.undo()


def test_mutant_no_rim_for_the_euler_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(measured: Any, volume: int, box: Any) -> Array:
        return np.pad(measured.labels.read(volume, box), 1)

    monkeypatch.setattr(module, "_with_rim", without)
    with pytest.raises(AssertionError, match="euler_number"):
        broken(monkeypatch)


def test_mutant_corners_between_blocks_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rim on both sides gives the corners between two blocks to both."""

    def twice(measured: Any, volume: int, box: Any) -> Array:
        around = measured.grid.halo_box(box, (1, 1))
        rims = [(int(p.start == 0), int(p.stop == n)) for p, n in zip(box, measured.grid.shape, strict=True)]
        return np.pad(measured.labels.read(volume, around), rims)

    monkeypatch.setattr(module, "_with_rim", twice)
    with pytest.raises(AssertionError, match="euler_number"):
        broken(monkeypatch)


def test_mutant_objects_of_the_rim_alone_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(rows: Array, labels: Array, numbers: Array) -> Array:
        return moments.add_euler(rows, labels, np.where(np.isin(labels, rows["label"]), numbers, 0))

    monkeypatch.setattr(module, "add_euler", forgetful)
    with pytest.raises(AssertionError, match="euler_number"):
        # Objects that end where the block ends.
        check(*crowded((1, 40, 40)), (9, 9), ("euler_number",))


def test_mutant_products_not_moved_to_the_objects_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    def still(rows: Array, away: Array) -> tuple[Array, Array]:
        return rows["products_high"], rows["products_low"]

    monkeypatch.setattr(moments, "moved", still)
    with pytest.raises(AssertionError, match="inertia"):
        broken(monkeypatch)


@pytest.mark.parametrize("side", ["first", "last"])
def test_mutant_box_off_by_one(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(row: Any) -> Any:
        box = tuple(slice(int(a), int(b) + 1) for a, b in zip(row["first"], row["last"], strict=True))
        if side == "first":
            return tuple(slice(min(part.start + 1, part.stop - 1), part.stop) for part in box)
        return tuple(slice(part.start, max(part.stop - 1, part.start + 1)) for part in box)

    monkeypatch.setattr(object_boxes, "_box", off)
    with pytest.raises(AssertionError, match=r"area_convex|solidity|feret|perimeter|moments|median|percentile"):
        broken(monkeypatch)


def test_mutant_neighbours_in_the_box_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = object_boxes.shapes
    monkeypatch.setattr(object_boxes, "shapes", lambda mask, names: honest(np.ones_like(mask), names))
    with pytest.raises(AssertionError, match=r"area_convex|solidity|feret|perimeter|moments"):
        broken(monkeypatch)


def test_mutant_centre_of_mass_from_the_blocks_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(rows: Array) -> Array:
        merged = moments.merge_rows(rows)
        merged["weighted"] = np.add.reduceat(rows["weighted"], moments.label_starts(rows))[: len(merged)]
        return merged

    monkeypatch.setattr(object_boxes, "merge_rows", without)
    with pytest.raises(AssertionError, match="centroid_weighted"):
        broken(monkeypatch)


def test_every_pair_of_axes_has_its_place() -> None:
    """A rod along every diagonal, whose tensor has another sign in each place."""
    for signs in product((1, -1), repeat=2):
        labels = np.zeros((1, 12, 12, 12), np.uint8)
        for step in range(10):
            labels[0, 1 + step, (1 + step) * signs[0], (1 + step) * signs[1]] = 5
        check(labels, None, (5, 4, 7), ("shape", "num_pixels"))
