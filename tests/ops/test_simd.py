"""The same bytes from every kind of SIMD that this processor has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from chunkwise import _kernels
from chunkwise.ops.gaussian import gaussian, smoothed_counts, smoothed_mask

DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


@pytest.fixture(autouse=True)
def level_of_before() -> Iterator[None]:
    before = _kernels.simd_level()
    yield
    _kernels.set_simd_level(before)


def volume_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The whole range of a type, its ends among neighbours, where a cast could overflow."""
    rng = np.random.default_rng(0)
    if dtype.startswith("f"):
        return rng.normal(0, 1e3, shape).astype(dtype)
    info = np.iinfo(dtype)
    volume = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    volume[:3], volume[3:6] = info.max, info.min
    return volume


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(9, 13, 67), (21, 131)])
@pytest.mark.parametrize("sigma", [0.6, 1, 3.3])
def test_every_level_gives_scipy_s_bytes(dtype: str, shape: tuple[int, ...], sigma: float) -> None:
    volume = volume_of(dtype, shape)
    expected = scipy.ndimage.gaussian_filter(volume, sigma)
    middle = expected.flat[len(expected) // 2]
    for level in _kernels.simd_levels():
        _kernels.set_simd_level(level)
        assert _kernels.simd_level() == level
        np.testing.assert_array_equal(gaussian(volume, sigma), expected, err_msg=level)
        np.testing.assert_array_equal(smoothed_mask(volume, sigma, middle), expected > middle, err_msg=level)
        if volume.dtype.itemsize <= 2 and volume.dtype.kind in "iu":
            values, counts = np.unique(expected, return_counts=True)
            found = smoothed_counts(volume, sigma)
            assert found.sum() == expected.size
            np.testing.assert_array_equal(found[values.astype(int) - int(np.iinfo(dtype).min)], counts, err_msg=level)


def test_plain_code_is_there_and_others_have_to_be() -> None:
    assert _kernels.simd_levels()[0] == "baseline"
    with pytest.raises(ValueError, match="no such level"):
        _kernels.set_simd_level("avx1024")


def test_arrays_are_not_converted_unasked() -> None:
    """What is silently copied would be computed, and thrown away."""
    with pytest.raises(TypeError):
        _kernels.accumulate(np.zeros(3, np.int64), np.zeros((2, 2048), np.int32))
    with pytest.raises(TypeError):
        _kernels.accumulate(np.zeros(3, np.int64), np.zeros((4, 2048), np.int64)[::2])
