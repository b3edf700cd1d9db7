"""What voxels add up to, gathered from parts: against plain numpy and Python on the whole array."""

from __future__ import annotations

import json
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chunkwise.ops import content
from chunkwise.ops.content import Content, combine, summarise, zeros
from whole_content import whole_content

DTYPES = ["bool", *(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64))]
FLOATS = ["float16", "float32", "float64"]


def values(dtype: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """Any bits at all, so also the ends of every type, infinities and what is not a number."""
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    array = np.frombuffer(raw, "u1" if dtype == "bool" else dtype).reshape(shape)
    return array % 2 == 1 if dtype == "bool" else array


def gathered(array: NDArray[Any], block: tuple[int, ...], seed: int = 0) -> Content:
    """Add up blocks in some order, through the form that they have in the journal."""
    starts = list(product(*(range(0, n, b) for n, b in zip(array.shape, block, strict=True))))
    np.random.default_rng(seed).shuffle(starts)
    boxes = [
        tuple(slice(i, min(i + b, n)) for i, b, n in zip(start, block, array.shape, strict=True)) for start in starts
    ]
    parts = [summarise(array[box], box, array.shape) for box in boxes]
    return reduce(combine, [Content.from_json(json.loads(json.dumps(part.to_json()))) for part in parts])


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[int, ...], int]:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=5)))
    block = tuple(draw(st.integers(1, n)) for n in shape)
    return draw(st.sampled_from(DTYPES + FLOATS)), shape, block, draw(st.integers(0, 2**32))


@given(case=cases())
@settings(max_examples=300, deadline=None)
def test_any_array_in_any_parts(case: tuple[str, tuple[int, ...], tuple[int, ...], int]) -> None:
    dtype, shape, block, seed = case
    array = values(dtype, shape, seed)
    found = gathered(array, block, seed)
    assert found == gathered(array, shape)
    assert found.facts() == whole_content(array)
    json.dumps(found.facts(), allow_nan=False)


@pytest.mark.parametrize("dtype", DTYPES + FLOATS)
def test_more_rows_than_are_gone_over_at_once(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "AT_ONCE", 64)
    array = values(dtype, (13, 7, 11), 1)
    array = np.where(np.isfinite(array), array, array.dtype.type(1))
    assert gathered(array, array.shape).facts() == gathered(array, (5, 7, 4)).facts() == whole_content(array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_values_do_not_overflow(dtype: str) -> None:
    for end in (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype != "bool" else (False, True):
        array = np.full((3, 70_000), end, dtype)
        assert gathered(array, (2, 40_000)).facts() == whole_content(array)


@pytest.mark.parametrize("dtype", DTYPES + FLOATS)
def test_zeros_need_no_voxels(dtype: str) -> None:
    array = np.zeros((4, 5), dtype)
    assert zeros(dtype, array.size).facts() == gathered(array, (2, 5)).facts() == whole_content(array)


def test_where_nothing_is_finite() -> None:
    array = np.array([np.nan, np.inf, -np.inf], np.float32)
    found = summarise(array, (slice(0, 3),), (3,))
    assert found.facts() == whole_content(array)
    assert combine(found, zeros("float32", 2)).facts() == whole_content(np.append(array, np.zeros(2, "f4")))


def test_the_sign_of_zero_does_not_depend_on_the_order() -> None:
    array = np.array([0.0, -0.0])
    for part in (array, array[::-1]):
        assert json.dumps(gathered(part, (1,)).facts()["minimum"]) == "0.0"


def test_float_sums_do_not_depend_on_the_parts() -> None:
    """Nor are they what adding in order gives: that is the mutant."""
    array = np.random.default_rng(1).normal(size=(50, 40)) * 10.0 ** np.random.default_rng(2).integers(-9, 9, (50, 40))
    assert {gathered(array, block, seed).facts()["sum"] for seed, block in enumerate([(50, 40), (7, 3), (1, 40)])} == {
        whole_content(array)["sum"]
    }
    assert sum(array.ravel().tolist()) != sum(array.ravel()[::-1].tolist())


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "float32"])
def test_mutant_two_voxels_swapped(dtype: str) -> None:
    """The sum does not see it; the position-sensitive one does."""
    array = np.arange(1, 61).reshape(3, 4, 5).astype(dtype)
    swapped = array.copy()
    swapped[0, 1, 2], swapped[2, 3, 4] = array[2, 3, 4], array[0, 1, 2]
    before, after = gathered(array, (2, 2, 2)).facts(), gathered(swapped, (2, 2, 2)).facts()
    assert before.pop("position_sum") != after.pop("position_sum")
    assert before == after


def test_mutant_a_block_in_another_place() -> None:
    """As if its box were wrong by one voxel along one axis."""
    array = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    right = summarise(array[:2], (slice(0, 2), slice(0, 4), slice(0, 5)), (9, 9, 9))
    for axis in range(3):
        box = tuple(
            slice(part + (axis == i), part + (axis == i) + n) for i, (part, n) in enumerate([(0, 2), (0, 4), (0, 5)])
        )
        assert summarise(array[:2], box, (9, 9, 9)).position_sum != right.position_sum
