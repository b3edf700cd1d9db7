"""Components of one block are scikit-image's, up to their numbers; also where cc3d itself goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage.measure
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chunkwise.ops.components import label, sizes_and_firsts

Mask = np.ndarray[Any, Any]

#: cc3d 4.1.1 labels a background voxel of this image (8 neighbours, odd number of columns).
ODD_COLUMNS = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 1, 1]], bool)
#: cc3d 4.1.1 raises on this line (26 neighbours).
LINE = np.array([1, 0, 1, 0, 1], bool).reshape(1, 5, 1)


@given(
    mask=array_shapes(min_dims=2, max_dims=3, max_side=12).flatmap(lambda shape: arrays(bool, shape)),
    connectivity=st.integers(1, 3),
)
@example(mask=ODD_COLUMNS, connectivity=2)
@example(mask=LINE, connectivity=3)
@settings(max_examples=200, deadline=None)
def test_same_partition_as_scikit_image(mask: Mask, connectivity: int) -> None:
    connectivity = min(connectivity, mask.ndim)
    found = label(mask, connectivity)
    expected = skimage.measure.label(mask, connectivity=connectivity)
    np.testing.assert_array_equal(found > 0, mask)
    pairs = np.unique(np.stack([found[mask], expected[mask]]), axis=1)
    assert pairs.shape[1] == expected.max() == found.max()


@pytest.mark.parametrize("seed", range(20))
def test_odd_and_even_planes(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random(random.integers(50, 300, 2)) < random.uniform(0.2, 0.7)
    for connectivity in (1, 2):
        expected = skimage.measure.label(mask, connectivity=connectivity)
        assert label(mask, connectivity).max() == expected.max()


@given(mask=array_shapes(min_dims=2, max_dims=3, max_side=8).flatmap(lambda shape: arrays(bool, shape)))
@settings(max_examples=100, deadline=None)
def test_sizes_and_first_voxels(mask: Mask) -> None:
    labels = label(mask, 1)
    origin = (3, 5, 2)[-mask.ndim :]
    volume = tuple(o + n + 4 for o, n in zip(origin, mask.shape, strict=True))
    whole = np.zeros(volume, np.uint32)
    whole[tuple(slice(o, o + n) for o, n in zip(origin, mask.shape, strict=True))] = labels
    values, firsts, sizes = np.unique(whole, return_index=True, return_counts=True)
    found = sizes_and_firsts(labels, origin, volume)
    np.testing.assert_array_equal(found[0], sizes[values > 0])
    np.testing.assert_array_equal(found[1], firsts[values > 0])
