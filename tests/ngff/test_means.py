"""Levels by mean: exact for integers of every width, and in the right place."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chunkwise.ngff import pyramid
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.model import Axis
from chunkwise.ngff.pyramid import block_means

TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(TYPES), array_shapes(min_dims=2, max_dims=3, max_side=5))
def test_integers_are_rounded_halves_upwards(data: st.DataObject, kind: str, shape: tuple[int, ...]) -> None:
    voxels = data.draw(arrays(kind, shape))
    factors = data.draw(st.tuples(*[st.sampled_from((1, 2))] * len(shape)))
    found = block_means(voxels, factors)
    assert found.dtype == voxels.dtype
    assert found.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    for index in np.ndindex(found.shape):
        part = voxels[tuple(slice(i * f, i * f + f) for i, f in zip(index, factors, strict=True))]
        mean = Fraction(sum(map(int, part.ravel())), part.size)
        assert int(found[index]) == floor(mean + Fraction(1, 2))


def test_floats_are_means_too() -> None:
    voxels = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    expected = voxels.astype(np.float64).reshape(2, 2, 3, 2).mean(axis=(1, 3)).astype(np.float32)
    np.testing.assert_allclose(block_means(voxels, (2, 2)), expected, rtol=1e-7)


def image(**changes: Any) -> OutputImage:
    axes = (Axis("c", "channel"), Axis("y", "space"), Axis("x", "space"))
    known: dict[str, Any] = {
        "name": "made",
        "axes": axes,
        "shape": (3, 1000, 600),
        "dtype": "uint16",
        "scale": (1.0, 0.5, 0.5),
        "translation": (0.0, 10.0, 0.0),
        "labels": False,
    }
    return OutputImage(**known | changes)


@pytest.mark.parametrize(("downsampling", "moved"), [("nearest", 0.0), ("mean", 0.25)])
def test_a_mean_lies_in_the_middle_of_its_voxels(downsampling: str, moved: float) -> None:
    document = image(downsampling=downsampling).document()
    (entry,) = document["attributes"]["ome"]["multiscales"]
    assert entry["type"] == downsampling
    second = entry["datasets"][1]["coordinateTransformations"]
    assert second[0]["scale"] == [1.0, 1.0, 1.0]
    assert second[1]["translation"] == [0.0, 10.0 + moved, moved]


def test_volumes_are_numbered_channels_first() -> None:
    axes = (Axis("t", "time"), *image().axes)
    made = image(axes=axes, shape=(2, 3, 40, 40), scale=(1.0,) * 4, translation=(0.0,) * 4)
    assert made.n_volumes == 6
    box = (slice(0, 5), slice(5, 9))
    assert made.place_box(4, box) == (slice(1, 2), slice(1, 2), *box)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([(1, 2), (2, 2)]), st.integers(1, 40))
def test_some_planes_at_a_time_are_the_means_of_all(height: int, width: int, factors: Any, at_once: int) -> None:
    voxels = np.random.default_rng(0).random((height, width)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "AT_ONCE", at_once)
        parts = pyramid.means(voxels, factors)
    np.testing.assert_array_equal(parts, block_means(voxels, factors))
