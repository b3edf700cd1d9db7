"""What every operation that is declared by a kernel is held to, also one of another package.

``check(operation)`` does all of it in memory; ``check_run(operation, folder)`` does it with stores, as a command does.
Both raise an AssertionError that says what does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.filters
import zarr

import made_stores
from chunkwise.errors import InputError
from chunkwise.operations.model import Image, Operation
from chunkwise.ops.local import apply_kernel
from chunkwise.ops.threshold import EXACT_SPAN, METHODS
from chunkwise.running.request import Destination, Result, Spread
from chunkwise.running.run import run
from operations.reference import foreign_names, reference, reference_result

__all__ = [
    "by_blocks", "cases", "caught", "check", "check_blocks", "check_reach", "check_run", "check_text", "dtypes",
    "images", "padding_is_caught", "per_block_statistics_are_caught", "residue", "run_on", "same", "write_image",
]  # fmt: skip

Array = np.ndarray[Any, Any]

DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
#: A volume, and blocks of a few voxels that do not divide it.
VOLUMES = (((23, 31), (7, 9)), ((9, 13, 17), (4, 7, 6)))
#: How far a case may reach that is tried.
NEAR = 8


def dtypes(operation: Operation) -> list[str]:
    """The types that it takes, of those that are tried."""
    return [dtype for dtype in DTYPES if np.dtype(dtype).kind in operation.takes["image"].kinds]


def cases(operation: Operation) -> list[dict[str, Any]]:
    """Values to try: the defaults or those of the first example, and others of each parameter in turn."""
    given = [dict(one.values) for one in operation.examples] or [{}]
    own = [operation.own(operation.check(values)) for values in given]
    found = _varied(operation, own[0])
    small = [values for values in found if 0 < max(operation.reach_of(values, 3)) <= NEAR]
    if small:
        found += _varied(operation, small[0])
    unique = [values for number, values in enumerate(found) if values not in found[:number]]
    # Beyond that the references themselves take long.
    small = [values for values in unique if max(operation.reach_of(values, 3)) <= NEAR]
    assert small, f"{operation.name}: no case has a reach of {NEAR} or less; give it an example that has"
    return small


def _varied(operation: Operation, first: dict[str, Any]) -> list[dict[str, Any]]:
    """Values, and the same with each in turn set to others."""
    found = [first]
    for name, parameter in operation.parameters.items():
        if parameter.choices:
            others: list[Any] = list(parameter.choices)
        elif parameter.type is bool:
            others = [False, True]
        elif parameter.type in (int, float):
            least = -2 if parameter.least is None else parameter.least
            steps = (0, 2, 4) if parameter.type is int else (0, 0.7, 1.6)
            others = [parameter.type(least + step) for step in steps]
            others = [other for other in others if parameter.most is None or other <= parameter.most]
        else:
            others = []
        found += [first | {name: operation.check(first | {name: value})[name]} for value in others]
    return found


def images(shape: tuple[int, ...], dtype: str, seeds: int = 2, extent: int = 1) -> Iterator[Array]:
    """Volumes that tell filters apart: noise, impulses bright and dark on flat, noisy and ramped ground, and ramps."""
    kind = np.dtype(dtype).kind
    low, high = (-900.0, 900.0) if kind != "u" else (0.0, 250.0)
    ramp = np.add.reduce(np.meshgrid(*(np.arange(n) * (axis + 1.0) for axis, n in enumerate(shape)), indexing="ij"))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        grounds = [rng.uniform(low, high, shape), ramp if seed % 2 else ramp.max() - ramp]
        for number, ground in enumerate([*grounds, np.full(shape, (low + high) / 2)]):
            if number < 2:
                yield ground.astype(dtype)
            for share in (0.02, 0.5):
                spots = rng.random(shape) < share
                yield np.where(spots, np.where(rng.random(shape) < 0.5, low, high), ground).astype(dtype)
    # All on one side of 0, which is what padding mostly is.
    yield np.random.default_rng(seeds).uniform(high / 2, high, shape).astype(dtype)
    if low < 0:
        yield np.random.default_rng(seeds).uniform(low, low / 2, shape).astype(dtype)
    if kind in "iu":  # the whole range
        info = np.iinfo(dtype)
        yield np.random.default_rng(seeds).integers(info.min, info.max, shape, dtype, endpoint=True)


def statistics(operation: Operation, volume: Array) -> dict[str, Any]:
    """What the kernel needs to know of the whole volume."""
    ways: dict[str, Any] = {"minimum": np.min, "maximum": np.max}
    ways |= {name: getattr(skimage.filters, f"threshold_{name}") for name in METHODS}
    return {argument: ways[way](volume) for argument, way in operation.needs.items()}


def countable(operation: Operation, volume: Array) -> bool:
    """Whether there is a reference: for a threshold, scikit-image makes a bin for every whole number in between."""
    if set(METHODS).isdisjoint(operation.needs.values()):
        return True
    if volume.dtype.kind != "f" and int(volume.max()) - int(volume.min()) >= EXACT_SPAN:
        return False
    with np.errstate(all="ignore"):  # where there is no threshold, a run says so
        return all(np.isfinite(value) for value in statistics(operation, volume).values())


def by_blocks(
    operation: Operation,
    volume: Array,
    values: Mapping[str, Any],
    block: tuple[int, ...],
    reach: tuple[int, ...] | None = None,
    *,
    pad: bool = False,
    local: bool = False,
) -> Array:
    """Apply a kernel to blocks with their halo, cut at the true edge.

    Parameters
    ----------
    operation : Operation
        With a kernel.
    volume : ndarray
        2-D or 3-D.
    values : mapping
        Of its parameters.
    block : tuple of int
        Edges of the blocks.
    reach : tuple of int, optional
        Instead of the declared one.
    pad : bool
        A mutant: beyond the true edge there are zeros.
    local : bool
        A mutant: statistics are of each block.
    """
    reach = operation.reach_of(values, volume.ndim) if reach is None else reach
    image: Image = operation.gives  # type: ignore[assignment]
    dtype = str(volume.dtype) if image.dtype == "same" else image.dtype
    out = np.empty(volume.shape, dtype)
    known = statistics(operation, volume)
    assert operation.kernel is not None
    edge = reach if pad else (0,) * volume.ndim
    source = np.pad(volume, [(far, far) for far in edge])
    for corner in product(*(range(0, n, b) for n, b in zip(volume.shape, block, strict=True))):
        box = tuple(slice(c, min(c + b, n)) for c, b, n in zip(corner, block, volume.shape, strict=True))
        outer = tuple(
            slice(max(0, one.start + e - far), one.stop + e + far) for one, far, e in zip(box, reach, edge, strict=True)
        )
        inner = tuple(
            slice(one.start + e - far.start, one.stop + e - far.start)
            for one, far, e in zip(box, outer, edge, strict=True)
        )
        found = statistics(operation, source[outer]) if local else known
        voxels = np.ascontiguousarray(source[outer])
        out[box] = apply_kernel(operation.kernel, voxels, {**values, **found}, False, dtype, str(corner))[inner]
    return out


def tolerance(operation: Operation, dtype: Any) -> float | None:
    """How far a result may be from the reference, of the volume's largest value; None for not at all."""
    kind = next((kind for letters, kind in operation.exact.items() if np.dtype(dtype).kind in letters), None)
    assert kind is not None, f"{operation.name} takes {dtype} and does not say how exact it is with it"
    if kind == "bit":
        return None
    assert re.fullmatch(r"rtol [0-9.e-]+", kind), f"{operation.name}: '{kind}' is neither 'bit' nor 'rtol' and a number"
    return float(kind.removeprefix("rtol "))


def residue(found: Array, expected: Array) -> float:
    """The largest difference, of the largest value."""
    one, other = found.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(one - other).max() / (np.abs(other).max() or 1.0))


def same(operation: Operation, dtype: Any, found: Array, expected: Array) -> bool:
    """Whether a result is as equal as is declared."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    allowed = tolerance(operation, dtype)
    return np.array_equal(found, expected) if allowed is None else residue(found, expected) <= allowed


def check_text(operation: Operation) -> None:
    """The reference is a call of NumPy, SciPy or scikit-image, and of nothing else."""
    assert operation.equals, f"{operation.name} has no literal reference"
    foreign = foreign_names(operation)
    assert not foreign, f"the reference of {operation.name} names {', '.join(sorted(foreign))}"


def check_blocks(operation: Operation, dtype: str) -> float:
    """Blocks give what the reference gives on the whole; returns the largest residue."""
    largest = 0.0
    for (shape, block), values in product(VOLUMES, cases(operation)):
        if len(shape) == 3 and max(operation.reach_of(values, 3)) > 4:
            continue
        for volume in filter(partial(countable, operation), images(shape, dtype, seeds=1)):
            expected = reference(operation, volume, values)
            found = by_blocks(operation, volume, values, block)
            largest = max(largest, residue(found, expected))
            assert same(operation, dtype, found, expected), (
                f"{operation.name} {values} of {dtype} {shape} in blocks of {block} is not {operation.equals}: "
                f"residue {residue(found, expected):g}"
            )
    return largest


def caught(operation: Operation, values: Mapping[str, Any], ndim: int, **mutant: Any) -> bool:
    """Whether some image tells a mutant of :func:`by_blocks` from the reference."""
    reach = mutant.get("reach") or operation.reach_of(values, ndim)
    far = max(operation.reach_of(values, ndim))
    edge = max(4, min(far + 2, 8))
    shape = (far + 2 * edge,) * ndim if ndim == 3 else (2 * far + 2 * edge, 2 * far + 2 * edge + 1)
    for dtype in dict.fromkeys([*reversed(dtypes(operation))]):
        given = (witness(shape, dtype, **values) for witness in operation.witnesses)
        for volume in filter(partial(countable, operation), (*given, *images(shape, dtype, seeds=4))):
            found = by_blocks(operation, volume, values, (edge,) * ndim, **{**mutant, "reach": reach})
            if not same(operation, dtype, found, reference(operation, volume, values)):
                return True
    return False


def least_reach(operation: Operation, values: Mapping[str, Any], ndim: int) -> tuple[int, ...]:
    """How far the kernel looks at least."""
    return replace(operation, reach=operation.least_reach or operation.reach).reach_of(values, ndim)


def check_reach(operation: Operation) -> list[str]:
    """One voxel less than the reach is caught, along every axis; returns what there is to say of it."""
    said = []
    for ndim, values in product((2, 3), cases(operation)):
        reach = least_reach(operation, values, ndim)
        if not any(reach):
            said.append(f"{operation.name} {values}: looks at the voxel alone")
        elif operation.reach_is == "bounded":
            said.append(f"{operation.name} {values}: bounded by {reach}")
        elif operation.reach_is == "upper" and operation.least_reach is None:
            raise AssertionError(f"{operation.name}: an upper bound has to come with a lower one")
        elif max(reach) <= (NEAR if ndim == 2 else 4):
            for axis in range(ndim):
                less = tuple(far - (at == axis) for at, far in enumerate(reach))
                if less[axis] < 0:
                    continue
                assert caught(operation, values, ndim, reach=less), (
                    f"{operation.name} {values}: no image tells a reach of {less} from {reach}; either it is smaller, "
                    "or the declaration has to give a witness"
                )
            said.append(f"{operation.name} {values}: reach {reach}, one less is caught along each axis")
    return said


def padding_is_caught(operation: Operation) -> bool:
    """Whether a halo that is padded, instead of cut at the image's true edge, shows in every case with a reach."""
    with_reach = [values for values in cases(operation) if max(least_reach(operation, values, 2)) > 0]
    return all(caught(operation, values, 2, pad=True) for values in with_reach)


def per_block_statistics_are_caught(operation: Operation) -> bool:
    """Whether statistics of each block, instead of the volume, show."""
    return all(caught(operation, values, 2, local=True) for values in cases(operation)[:1])


def check(operation: Operation) -> list[str]:
    """Hold an operation to all that can be held in memory; returns what there is to say of it."""
    check_text(operation)
    said = []
    for dtype in dtypes(operation):
        largest = check_blocks(operation, dtype)
        if tolerance(operation, dtype) is not None or operation.reach_is == "bounded":
            said.append(f"{operation.name} of {dtype}: residue {largest:.1e}")
    said += check_reach(operation)
    assert operation.reach_is == "bounded" or padding_is_caught(operation), f"{operation.name}: padding is not seen"
    assert not operation.needs or per_block_statistics_are_caught(operation), f"{operation.name} needs no statistics"
    return said


def write_image(path: Path, voxels: Array, axes: str, *, labels: bool = False) -> Path:
    """Write an image of one level."""
    extra = {"image-label": {"version": "0.5"}} if labels else None
    entry = made_stores.multiscale(axes, 1)
    made_stores.write(path, axes=axes, shape=voxels.shape, dtype=voxels.dtype, entry=entry, extra=extra)
    array: Any = zarr.open_array(path / "0", mode="r+")
    array[...] = voxels
    return path


def run_on(
    operation: Operation, image: Path, output: Path, values: Mapping[str, Any], block: tuple[int, ...], **spread: Any
) -> Result:
    """Run an operation on a store, as a command does."""
    # A shard is a multiple of a block here, so that units hold several.
    shard = tuple(2 * edge for edge in block)
    to = Destination(output=str(output), shard=shard, pyramid=False)
    return run(operation, {"image": str(image)}, values, to, Spread(workers=1, block=block, **spread), None)


def check_run(operation: Operation, folder: Path) -> None:
    """The chain gives what the reference gives: time points, channels, planes, a region."""
    values = min(cases(operation), key=lambda one: max(operation.reach_of(one, 3)) or NEAR)
    far = max(operation.reach_of(values, 3))
    block = (max(3, far),) * 3
    tries: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("yx", (17, 22), {}),
        ("tczyx", (2, 2, 9, 11, 13), {}),
        ("tczyx", (2, 2, 9, 11, 13), {"planes": True, "channel": ["1"], "time": "1"}),
        ("zyx", (9, 14, 17), {"region": "1:9,2:13,3:16"}),
    ]
    for number, (axes, shape, part) in enumerate(tries):
        dtype = dtypes(operation)[number % len(dtypes(operation))]
        volume = next(images(shape, dtype))
        image, output = folder / f"{number}.ome.zarr", folder / f"{number}.out.ome.zarr"
        write_image(image, volume, axes)
        if "planes" in part and operation.needs:
            with pytest.raises(InputError, match="cannot treat each plane alone"):
                run_on(operation, image, output, {**values, **part}, block)
            continue
        spatial = 2 if "z" not in axes else 3
        run_on(operation, image, output, {**values, **part}, block[-spatial:])
        if part.get("planes"):
            volume, spatial = volume[1:2, 1:2], 2 if part["planes"] else 3
        if "region" in part:
            volume = volume[1:9, 2:13, 3:16]
        found = np.asarray(zarr.open_array(output / "0", mode="r")[...])
        expected = reference_result(operation, volume, values, spatial)
        assert same(operation, dtype, found, expected), f"{operation.name} {values} of {dtype} {axes} {part}"
