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
from chunkwise.ops.gaussian import gaussian, radius, smoothed_counts, smoothed_mask

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
    np.testing.assert_array_equal(gaussian(volume, 0), volume)
    assert radius(0) == 0


@given(data=st.data(), dtype=st.sampled_from(DTYPES), sigma=st.sampled_from((0, 0.7, 2)), dark=st.booleans())
@settings(max_examples=150, deadline=None)
def test_masks_and_counts_are_those_of_the_smoothed_volume(
    data: st.DataObject, dtype: str, sigma: float, dark: bool
) -> None:
    elements: Any = st.floats(-9, 9, width=32) if dtype[0] == "f" else st.integers(0 if dtype[0] == "u" else -9, 9)
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=9))
    volume = data.draw(arrays(dtype, shape, elements=elements))
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    inner = tuple(slice(b, data.draw(st.integers(b + 1, n))) for b, n in zip(begin, shape, strict=True))
    smooth = scipy.ndimage.gaussian_filter(volume, sigma) if sigma else volume
    threshold = data.draw(
        st.sampled_from([3, -1, 2.5, 1e30, -1e30, float("inf"), np.int64(4), np.float64(0.1), np.dtype(dtype).type(2)])
    )
    if np.dtype(dtype).kind == "u" and not isinstance(threshold, (float, np.generic)):
        threshold = abs(threshold)  # NumPy refuses to compare unsigned arrays with negative Python integers
    expected = smooth[inner] <= threshold if dark else smooth[inner] > threshold
    np.testing.assert_array_equal(smoothed_mask(volume, sigma, threshold, dark, inner), expected)
    np.testing.assert_array_equal(gaussian(volume, sigma, inner), smooth[inner])
    if np.dtype(dtype).itemsize <= 2 and dtype[0] != "f":
        low = int(np.iinfo(dtype).min)
        counts = np.bincount(
            smooth[inner].ravel().astype(np.int64) - low, minlength=2 ** (8 * np.dtype(dtype).itemsize)
        )
        np.testing.assert_array_equal(smoothed_counts(volume, sigma, inner), counts)


def test_not_a_number_is_neither_above_nor_below() -> None:
    volume = np.array([[np.nan, 1.0], [0.0, 2.0]])
    assert smoothed_mask(volume, 0, 0.5).tolist() == [[False, True], [False, True]]
    assert smoothed_mask(volume, 0, 0.5, dark=True).tolist() == [[False, False], [True, False]]


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
