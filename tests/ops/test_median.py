"""The median filter is SciPy's, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chunkwise import _kernels
from chunkwise.ops.median import median

Array = np.ndarray[Any, Any]
DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


@pytest.fixture
def level_of_before() -> Iterator[None]:
    before = _kernels.simd_level()
    yield
    _kernels.set_simd_level(before)


def assert_same_bytes(found: Array, expected: Array) -> None:
    """Also of zeros with a minus, which are equal to those without."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def noise(dtype: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """All the numbers that a type has, its ends more often."""
    rng = np.random.default_rng(seed)
    if dtype.startswith("f"):
        return (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-30, 30, shape)).astype(dtype)
    info = np.iinfo(dtype)
    # SciPy rounds larger integers: these have a test of their own.
    low, high = max(int(info.min), -(2**53)), min(int(info.max), 2**53)
    volume = rng.integers(low, high, shape, dtype, endpoint=True)
    volume[rng.random(shape) < 0.1], volume[rng.random(shape) < 0.1] = low, high
    return volume


@given(data=st.data(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=300, deadline=None)
def test_equal_to_scipy(data: st.DataObject, dtype: str) -> None:
    # Whatever a type holds; few different values among them, so that some are equal.
    kind = np.dtype(dtype)
    elements: Any = (
        st.floats(width=8 * kind.itemsize, allow_nan=False)  # type: ignore[call-overload]
        if kind.kind == "f"
        else st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) | st.integers(0, 3)
    )
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=9))
    volume = data.draw(arrays(dtype, shape, elements=elements))
    size = data.draw(st.integers(1, 7) | st.tuples(*[st.sampled_from((1, 2, 3, 5, 9)) for _ in shape]))
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    inner = tuple(slice(b, data.draw(st.integers(b + 1, n))) for b, n in zip(begin, shape, strict=True))
    expected = scipy.ndimage.median_filter(volume, size)
    assert_same_bytes(median(volume, size), expected)
    assert_same_bytes(median(volume, size, inner), expected[inner])


@pytest.mark.usefixtures("level_of_before")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((7, 9, 300), 3),
        ((7, 9, 70), (1, 3, 5)),
        ((6, 8, 150), 5),
        ((2, 9, 40), 7),  # deeper than the volume; more neighbours than 8 bits count
        ((21, 131), 3),
        ((30, 150), (9, 15)),
    ],
)
def test_every_level_gives_scipy_s_bytes(dtype: str, shape: tuple[int, ...], size: Any) -> None:
    volume = noise(dtype, shape)
    expected = scipy.ndimage.median_filter(volume, size)
    for level in _kernels.simd_levels():
        _kernels.set_simd_level(level)
        assert_same_bytes(median(volume, size), expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("size", [(3, 5, 17), (1, 16, 16), (7, 7, 7)])
@pytest.mark.parametrize("share", [0.03, 0.97])
def test_counts_do_not_overflow_at_8_bits(dtype: str, size: tuple[int, ...], share: float) -> None:
    """Of 255, 256 and 343 neighbours nearly all, or nearly none, lie below a candidate."""
    volume = (noise(dtype, (3, 20, 40)) & 3) + (np.random.default_rng(1).random((3, 20, 40)) < share) * np.int8(100)
    volume = volume.astype(dtype)
    assert_same_bytes(median(volume, size), scipy.ndimage.median_filter(volume, size))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.97])
@pytest.mark.parametrize("size", [(1, 255, 257), (1, 256, 256), (3, 151, 151)])
def test_counts_do_not_overflow_at_16_bits(dtype: str, size: tuple[int, ...], share: float) -> None:
    volume = (noise(dtype, (2, 3, 60)) & 3) + (np.random.default_rng(1).random((2, 3, 60)) < share) * np.int8(100)
    volume = volume.astype(dtype)
    # SciPy would take long, and may be wrong (below): all neighbours of two voxels are sorted.
    mirrored = np.pad(volume, [(n // 2, n // 2) for n in size], mode="symmetric")
    z, y, x = size
    expected = [np.sort(mirrored[1 : 1 + z, 1 : 1 + y, i : i + x], axis=None)[z * y * x // 2] for i in (20, 21)]
    assert median(volume, size, (slice(1, 2), slice(1, 2), slice(20, 22))).ravel().tolist() == expected


@pytest.mark.parametrize("odd", [np.nan, -np.nan, -0.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_without_an_order_are_left_to_scipy(dtype: str, odd: float) -> None:
    rng = np.random.default_rng(3)
    volume = rng.integers(-1, 2, (6, 20, 30)).astype(dtype)  # many zeros
    volume[rng.random(volume.shape) < 0.3] = odd
    expected = scipy.ndimage.median_filter(volume, 3)
    assert_same_bytes(median(volume, 3), expected)
    # A block gives what the whole gives, also where it alone has such numbers.
    assert_same_bytes(
        median(volume[:, 3:17, 3:22], 3, (slice(0, 6), slice(1, 13), slice(1, 18))), expected[:, 4:16, 4:21]
    )


@pytest.mark.parametrize("odd", [np.nan, -0.0])
def test_mutant_ordering_them_by_their_bits_is_caught(odd: float) -> None:
    volume = np.random.default_rng(3).integers(-1, 2, (20, 30)).astype("float32")
    volume[np.random.default_rng(4).random(volume.shape) < 0.3] = odd
    bits = volume.view(np.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    found = scipy.ndimage.median_filter(ordered, 3)
    with pytest.raises(AssertionError):
        assert_same_bytes(
            (found ^ ((found >> 31) & 0x7FFFFFFF)).view("float32"), scipy.ndimage.median_filter(volume, 3)
        )


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_scipy_rounds_are_left_to_it(dtype: str) -> None:
    info = np.iinfo(dtype)
    volume = np.random.default_rng(5).integers(info.min, info.max, (9, 20), dtype, endpoint=True)
    volume[:4] = 2**53 + np.arange(20)
    expected = scipy.ndimage.median_filter(volume, 3)
    assert_same_bytes(median(volume, 3), expected)
    assert (expected[1] % 2 == 0).all()  # rounded, or the test would say nothing


def block_is_whole(reach: int, low: int = 0) -> None:
    volume = noise("uint16", (12, 40, 40))
    whole = scipy.ndimage.median_filter(volume, 5)
    high = min(40, low + 10 + reach)
    begin = max(0, low - reach)
    block = volume[:, begin:high, begin:high]
    part = slice(low - begin, low - begin + 10)
    assert_same_bytes(median(block, 5, (slice(0, 12), part, part)), whole[:, low : low + 10, low : low + 10])


def test_the_halo_is_enough() -> None:
    for low in (0, 15, 30):
        block_is_whole(2, low)


def test_mutant_halo_one_too_small_is_caught() -> None:
    with pytest.raises(AssertionError):
        block_is_whole(1, 15)


@pytest.mark.parametrize("rank", [12, 14])
def test_mutant_rank_beside_the_middle_is_caught(rank: int) -> None:
    volume = noise("uint8", (9, 9, 9))
    with pytest.raises(AssertionError):
        assert_same_bytes(median(volume, 3), scipy.ndimage.rank_filter(volume, rank, 3))


@pytest.mark.parametrize("mode", ["nearest", "mirror", "wrap"])
def test_mutant_other_edge_is_caught(mode: Any) -> None:
    volume = noise("uint8", (9, 9, 9))
    with pytest.raises(AssertionError):
        assert_same_bytes(median(volume, 5), scipy.ndimage.median_filter(volume, 5, mode=mode))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0)])
def test_an_empty_volume_stays_empty(shape: tuple[int, ...]) -> None:
    assert median(np.zeros(shape, np.uint16), 3).shape == shape


def test_boxes_far_longer_than_an_axis_see_the_mirrored_image() -> None:
    # SciPy 1.17 is wrong here, so it is given the mirrored image.
    volume = noise("uint16", (2, 5))
    mirrored = np.pad(volume, ((10, 10), (0, 0)), mode="symmetric")
    expected = scipy.ndimage.median_filter(mirrored, (21, 1))[10:12]
    assert_same_bytes(median(volume, (21, 1)), expected)


def test_strided_volumes_are_taken_as_they_are() -> None:
    volume = noise("uint16", (8, 30, 40))[::2, ::-1].transpose(2, 0, 1)
    assert_same_bytes(median(volume, 3), scipy.ndimage.median_filter(volume, 3))


@pytest.mark.parametrize(
    ("shape", "size", "words"),
    [
        ((5, 5), 0, "one positive number"),
        ((5, 5), (3, 3, 3), "one for each axis"),
        ((5, 5), (3, -1), "one positive number"),
        ((5,), 3, "2 or 3 axes, not 1"),
    ],
)
def test_refusals_say_why(shape: tuple[int, ...], size: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        median(np.zeros(shape, np.uint8), size)
