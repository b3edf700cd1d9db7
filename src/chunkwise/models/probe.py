"""How far a network looks, found by touching its input: for graphs that cannot be read.

A voxel of a random image is changed, and the output is compared with the one before. What differs lies
within the network's reach. Several voxels are tried, one for every place that a voxel can have in the
network's stride, and the largest reach counts. It is a lower bound: a voxel may have an influence that
rounding or a dead unit hides. So a stride is added on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.models.network import Reach
from chunkwise.models.package import Package

__all__ = ["probe"]

Array = np.ndarray[Any, Any]
Forward = Callable[[list[Array]], list[Array]]

STRIDES = (1, 2, 4, 8, 16, 32, 64)
#: Edge of the images that are tried, the first that is large enough; of planes, and of volumes.
EDGES = {2: (256, 512, 1024), 3: (48, 96, 128)}
#: Below this, relative to the largest value, outputs count as equal.
TOLERANCE = 1e-6


def probe(package: Package, forward: Forward) -> Reach:
    """Measure stride and reach of a network.

    Parameters
    ----------
    package : Package
        Whose description says which sizes are allowed.
    forward : callable
        Runs the network on one array an input, without pre- and postprocessing.

    Raises
    ------
    InputError
        If it does not run on any size that the description allows.
    """
    ndim = len(package.spatial)
    edges = sorted({_allowed(package, edge) for edge in EDGES[ndim]})
    for edge in edges:
        rng = np.random.default_rng(20)
        base = [_noise(rng, tensor.axes, max(1, len(tensor.channels)), edge) for tensor in package.inputs]
        stride = _stride(package, forward, base, edge)
        before, after = _reach(package, forward, base, edge, stride)
        inside = all(b + after[i] + 3 * stride < edge // 2 for i, b in enumerate(before))
        if inside:
            more = stride
            return Reach((stride,) * ndim, tuple(b + more for b in before), tuple(a + more for a in after))
    return Reach((stride,) * ndim, tuple(before), tuple(after), ("something that reaches as far as the probes",))


def _allowed(package: Package, edge: int) -> int:
    """The length that every axis may have, next to a wanted one."""
    sizes = [size for tensor in package.inputs for size in tensor.sizes.values()]
    fixed = [size.least for size in sizes if size.step == 0]
    if fixed:
        return fixed[0]
    for length in range(edge, 2 * edge + 65):
        if all(size.fits(length) for size in sizes):
            return length
    raise InputError(
        f"The description of {package.name} allows no size near {edge} along all axes, so how far it looks cannot be "
        "tested."
    )


def _noise(rng: np.random.Generator, axes: str, channels: int, edge: int) -> Array:
    shape = [1 if axis == "b" else channels if axis == "c" else edge for axis in axes]
    return rng.normal(size=shape).astype(np.float32)


def _spatial(axes: str) -> tuple[int, ...]:
    return tuple(i for i, axis in enumerate(axes) if axis in "zyx")


def _stride(package: Package, forward: Forward, base: list[Array], edge: int) -> int:
    """The smallest shift of the input that the output follows."""
    plain = forward(base)
    for stride in STRIDES:
        shifted = [
            np.roll(array, (stride,) * len(package.spatial), axis=_spatial(tensor.axes))
            for array, tensor in zip(base, package.inputs, strict=True)
        ]
        middle = slice(edge // 2 - max(4, stride), edge // 2 + max(4, stride))
        there = slice(middle.start + stride, middle.stop + stride)
        moved = forward(shifted)
        if all(
            _equal(_cut(a, tensor.axes, middle), _cut(b, tensor.axes, there))
            for a, b, tensor in zip(plain, moved, package.outputs, strict=False)
        ):
            return stride
    return STRIDES[-1]


def _reach(
    package: Package, forward: Forward, base: list[Array], edge: int, stride: int
) -> tuple[list[int], list[int]]:
    ndim = len(package.spatial)
    before, after = [0] * ndim, [0] * ndim
    plain = forward(base)
    for offset in sorted({0, 1, stride // 2, stride - 1}):
        at = edge // 2 // stride * stride + offset
        touched = []
        for array, tensor in zip(base, package.inputs, strict=True):
            changed = array.copy()
            changed[tuple(at if axis in "zyx" else slice(None) for axis in tensor.axes)] += 25.0
            touched.append(changed)
        for a, b, tensor in zip(plain, forward(touched), package.outputs, strict=False):
            others = tuple(i for i, axis in enumerate(tensor.axes) if axis not in "zyx")
            differs = (np.abs(a - b) > TOLERANCE * max(1.0, float(np.abs(a).max()))).any(axis=others)
            for axis, places in enumerate(np.nonzero(differs)):
                if len(places):
                    # A voxel that the output looks back to lies before it.
                    before[axis] = max(before[axis], int(places.max()) - at)
                    after[axis] = max(after[axis], at - int(places.min()))
    return before, after


def _cut(array: Array, axes: str, part: slice) -> Array:
    return array[tuple(part if axis in "zyx" else slice(None) for axis in axes)]


def _equal(a: Sequence[float] | Array, b: Sequence[float] | Array) -> bool:
    one, other = np.asarray(a), np.asarray(b)
    return bool(np.abs(one - other).max() <= 1e-4 * max(1e-6, float(np.abs(one).max())))
