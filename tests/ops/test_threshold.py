"""Thresholds from summaries of blocks are scikit-image's on the whole volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.filters
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chunkwise.errors import InputError
from chunkwise.ops.threshold import METHODS, count_values, decode, encode, threshold_of_values


def _whole(method: str, volume: np.ndarray[Any, Any]) -> Any:
    """scikit-image's threshold, or None where it has none."""
    with np.errstate(all="ignore"):
        try:
            value = getattr(skimage.filters, f"threshold_{method}")(volume.copy())
        except (IndexError, ValueError, RuntimeError):
            return None
    return value if np.isfinite(value) else None


def _blockwise(method: str, volume: np.ndarray[Any, Any]) -> Any:
    parts = [count_values(part) for part in np.array_split(volume.reshape(-1), 3) if part.size]
    histogram = parts[0]
    for part in parts[1:]:
        histogram = part + histogram
    try:
        return threshold_of_values(method, histogram, volume.dtype.name)
    except InputError:
        return None


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*RGB.*:UserWarning")
@pytest.mark.parametrize("method", METHODS)
@given(data=st.data(), dtype=st.sampled_from(("uint8", "uint16", "int8", "int16", "int32")))
@settings(max_examples=60, deadline=None)
def test_integers_to_the_bit(method: str, data: st.DataObject, dtype: str) -> None:
    low = data.draw(st.integers(max(-50, int(np.iinfo(dtype).min)), 20))
    high = data.draw(st.integers(max(low, 0), 120))
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
    volume = data.draw(arrays(dtype, shape, elements=st.integers(max(low, 0) if dtype[0] == "u" else low, high)))
    expected, found = _whole(method, volume), _blockwise(method, volume)
    assert (expected is None) == (found is None)
    if expected is not None:
        assert found == expected
        np.testing.assert_array_equal(volume > found, volume > expected)


@pytest.mark.parametrize("method", METHODS)
def test_mutant_threshold_per_block_is_caught(method: str) -> None:
    volume = np.concatenate([np.arange(100), np.arange(0, 1000, 10)]).astype(np.uint16)
    per_block = threshold_of_values(method, count_values(volume[:100]), "uint16")
    assert per_block != _whole(method, volume)
    assert _blockwise(method, volume) == _whole(method, volume)


@pytest.mark.parametrize("value", [3, 0.5, np.int64(160), np.uint8(7), np.float32(0.1), np.float64(1 / 3)])
def test_a_threshold_keeps_its_type_in_json(value: Any) -> None:
    import json

    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert type(back) is type(value)


def test_none_found_is_one_sentence() -> None:
    # isodata of this image has no fixed point in scikit-image
    volume = np.array([[0, 255]], np.uint8)
    if _whole("isodata", volume) is None:
        with pytest.raises(InputError, match="No threshold was found by 'isodata'"):
            threshold_of_values("isodata", count_values(volume), "uint8")
