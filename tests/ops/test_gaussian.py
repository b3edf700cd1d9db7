"""Gaussian smoothing is SciPy's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chunkwise.ops import gaussian as module
from chunkwise.ops.gaussian import gaussian, radius

DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


@given(data=st.data(), sigma=st.floats(0.1, 6), dtype=st.sampled_from(DTYPES))
@settings(max_examples=150, deadline=None)
def test_equal_to_scipy(data: st.DataObject, sigma: float, dtype: str) -> None:
    elements: Any = (
        st.floats(-1000, 1000, width=32)
        if dtype.startswith("float")
        else st.integers(max(-(2**40), int(np.iinfo(dtype).min)), min(2**40, int(np.iinfo(dtype).max)))
    )
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=20))
    volume = data.draw(arrays(dtype, shape, elements=elements))
    expected = scipy.ndimage.gaussian_filter(volume, sigma)
    found = gaussian(volume, sigma)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_zero_sigma_is_the_volume_itself() -> None:
    volume = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert gaussian(volume, 0) is volume
    assert radius(0) == 0


def _inner_block_is_whole(reach: int) -> None:
    volume = np.random.default_rng(1).integers(0, 60000, (40, 40)).astype(np.uint16)
    whole = scipy.ndimage.gaussian_filter(volume, 2)
    outer = gaussian(volume[15 - reach : 25 + reach, 15 - reach : 25 + reach], 2)
    np.testing.assert_array_equal(outer[reach : reach + 10, reach : reach + 10], whole[15:25, 15:25])


def test_the_halo_is_enough() -> None:
    _inner_block_is_whole(radius(2))


def test_mutant_halo_one_too_small_is_caught() -> None:
    with pytest.raises(AssertionError):
        _inner_block_is_whole(radius(2) - 1)


def test_mutant_cast_only_once_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = np.random.default_rng(1).integers(0, 60000, (40, 40)).astype(np.uint16)
    once = module.gaussian(volume.astype(np.float64), 1).astype(np.uint16)
    assert (once != scipy.ndimage.gaussian_filter(volume, 1)).mean() > 0.5
