"""Sums of floats are exact: against Python's fractions, and whatever the parts and their order."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.ops.exact_sum import exact_sum

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300), min_size=1)


@given(numbers=NUMBERS, cut=st.integers(0, 50))
@settings(max_examples=200, deadline=None)
def test_the_mean_is_the_correctly_rounded_one(numbers: list[float], cut: int) -> None:
    exact = float(sum(Fraction(number) for number in numbers) / len(numbers))
    parts = [exact_sum(np.array(part)) for part in (numbers[:cut], numbers[cut:])]
    assert (parts[0] + parts[1]).mean() == (parts[1] + parts[0]).mean() == exact


def test_float32_and_integers() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert exact_sum(values).mean() == math.fsum(values.astype(float)) / 1000
    assert exact_sum(np.arange(11, dtype=np.uint32)).mean() == 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told(bad: float) -> None:
    assert math.isnan(exact_sum(np.array([1.0, bad])).mean())
    assert math.isnan(exact_sum(np.array([])).mean())


def test_mutant_adding_in_order_is_another_number() -> None:
    """What is held against: plain sums of the same numbers in two orders differ."""
    values = np.random.default_rng(1).normal(size=10_000) * 10.0 ** np.random.default_rng(2).integers(-9, 9, 10_000)
    assert sum(values.tolist()) != sum(sorted(values.tolist()))
    assert exact_sum(values).mean() == exact_sum(np.sort(values)).mean()
