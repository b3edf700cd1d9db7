"""What every operation that is declared by a kernel is held to, also one of another package.

``check(operation)`` does all of it in memory; ``check_run(operation, folder)`` does it with stores, as a command does.
Both raise an AssertionError that says what does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import zarr

import made_stores
from chunkwise.errors import InputError
from chunkwise.operations.model import Image, Labels, Operation
from chunkwise.ops.clahe import tiles_of_volume, tiling_of
from chunkwise.ops.equalize import shares_of_volume
from chunkwise.ops.local import apply_kernel
from chunkwise.ops.multi_otsu import classes_of_volume
from chunkwise.ops.threshold import EXACT_SPAN, METHODS
from chunkwise.running.request import Destination, Request, Result, Spread
from chunkwise.running.run import run
from operations.reference import foreign_names, reference, reference_result

__all__ = [
    "by_blocks", "cases", "caught", "check", "check_blocks", "check_reach", "check_run", "check_text", "dtypes",
    "images", "padding_is_caught", "per_block_statistics_are_caught", "residue", "run_on", "same", "write_image",
]  # fmt: skip

Array = np.ndarray[Any, Any]

DTYPES = ("bool", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
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
        if operation.reduces and name == "axis":
            others: list[Any] = []  # to the kernel all stacks are alike
        elif name == "axis":
            others = [one for one in parameter.choices if one != "z"]  # of images of two axes, too
        elif parameter.choices:
            others = list(parameter.choices)
        elif parameter.type is bool:
            others = [False, True]
        elif name == "connectivity":
            others = [1, 2]  # of images of two axes, too
        elif parameter.type in (int, float):
            least = -2 if parameter.least is None else parameter.least
            steps = (0, 2, 4) if parameter.type is int else (0, 0.7, 1.6)
            others = [parameter.type(least + step) for step in steps]
            others = [other for other in others if parameter.most is None or other <= parameter.most]
        else:
            others = []
        for value in others:
            with suppress(InputError):  # two values that do not go together
                found.append(first | {name: operation.check(first | {name: value})[name]})
    return found


def images(shape: tuple[int, ...], dtype: str, seeds: int = 2, extent: int = 1) -> Iterator[Array]:
    """Volumes that tell filters apart: noise, impulses bright and dark on flat, noisy and ramped ground, and ramps."""
    kind = np.dtype(dtype).kind
    if kind == "b":  # few and many voxels, and what is smooth
        for seed, share in product(range(seeds), (0.03, 0.3, 0.5, 0.8, 0.97)):
            noise = np.random.default_rng(seed).random(shape)
            yield noise < share
            yield scipy.ndimage.uniform_filter(noise, 3) < np.float64(0.25 + share / 2)
        return
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
    if kind == "f":  # as some functions ask for
        yield np.random.default_rng(seeds).uniform(-1, 1, shape).astype(dtype)
    # All on one side of 0, which is what padding mostly is.
    yield np.random.default_rng(seeds).uniform(high / 2, high, shape).astype(dtype)
    if low < 0:
        yield np.random.default_rng(seeds).uniform(low, low / 2, shape).astype(dtype)
    if kind in "iu":  # the whole range
        info = np.iinfo(dtype)
        yield np.random.default_rng(seeds).integers(info.min, info.max, shape, dtype, endpoint=True)


def mixture(operation: Operation, volume: Array) -> Array:
    """A volume as the operation's kernel takes it: where it mixes channels, three are made of it."""
    if operation.mixes is None:
        return volume
    channels = np.stack([volume, np.flip(volume), np.roll(volume, 1, -1)])
    if volume.dtype.kind != "f":
        return channels
    low, high = channels.min(), channels.max()
    return ((channels - low) / ((high - low) or 1)).astype(volume.dtype)


def statistics(operation: Operation, volume: Array, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the kernel needs to know of the whole volume."""
    ways: dict[str, Any] = {"minimum": np.min, "maximum": np.max, "objects": objects_of}
    ways |= {f"percentile {name}": partial(np.percentile, q=value) for name, value in values.items()}
    ways |= {name: getattr(skimage.filters, f"threshold_{name}") for name in METHODS}
    if "shares" in operation.needs.values():
        ways["shares"] = partial(shares_of_volume, bins=values["bins"])
    if "classes" in operation.needs.values():
        ways["classes"] = partial(classes_of_volume, classes=values["classes"])
    if "tiles" in operation.needs.values():
        words = (values["kernel_size"], values["clip_limit"], values["bins"], False)
        ways["tiles"] = lambda volume: tiles_of_volume(volume, tiling_of(volume.shape, *words))

    def largest(measure: Any) -> list[float]:
        return [one.max().item() for one in measure(volume, **values)]

    return {argument: largest(way) if callable(way) else ways[way](volume) for argument, way in operation.needs.items()}


def objects_of(volume: Array) -> dict[str, Array]:
    """The objects of a whole volume, as a :class:`chunkwise.ops.object_table.ObjectTable` has them."""
    ids, sizes = np.unique(volume[volume != 0], return_counts=True)
    inner = np.zeros(volume.shape, bool)
    inner[tuple(slice(1, -1) if n > 1 else slice(None) for n in volume.shape)] = True
    ranks = np.empty(len(ids), np.int64)
    ranks[np.argsort(-sizes, kind="stable")] = np.arange(len(ids))
    return {"ids": ids, "sizes": sizes, "at_border": np.isin(ids, volume[~inner]), "ranks": ranks}


def countable(operation: Operation, volume: Array) -> bool:
    """Whether there is a reference: for a threshold, scikit-image makes a bin for every whole number in between."""
    if "tiles" in operation.needs.values():  # of floats, from -1 to 1
        return volume.dtype.kind != "f" or bool(np.abs(volume).max() <= 1)
    if "classes" in operation.needs.values():  # for up to five; scikit-image tries all of their thresholds
        bins = 256 if volume.dtype.kind == "f" else int(volume.max()) - int(volume.min()) + 1
        return bins <= 300 and np.count_nonzero(np.histogram(volume, bins)[0]) >= 5
    if {*METHODS, "shares"}.isdisjoint(operation.needs.values()):
        return True
    if volume.dtype.kind != "f" and int(volume.max()) - int(volume.min()) >= EXACT_SPAN:
        return False
    if "shares" in operation.needs.values():
        return True
    with np.errstate(all="ignore"):  # where there is no threshold, a run says so
        return all(np.isfinite(value) for value in statistics(operation, volume, {}).values())


def by_blocks(
    operation: Operation,
    volume: Array,
    values: Mapping[str, Any],
    block: tuple[int, ...],
    reach: tuple[int, ...] | None = None,
    *,
    pad: str = "",
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
    pad : str
        A mutant: beyond the true edge there are zeros (``zero``), or the largest value (``largest``).
    local : bool
        A mutant: statistics are of each block.
    """
    reach = operation.reach_of(values, volume.ndim) if reach is None else reach
    image: Image = operation.gives  # type: ignore[assignment]
    dtype = image.dtype_of(str(volume.dtype), values)
    assert operation.kernel is not None
    if operation.reduces:  # the planes of a volume, or the only one
        stack = volume if volume.ndim == 3 else volume[np.newaxis]
        flat = np.empty(stack.shape[1:], dtype)
        for corner in product(*(range(0, n, b) for n, b in zip(flat.shape, block[-2:], strict=True))):
            box = tuple(slice(c, c + b) for c, b in zip(corner, block[-2:], strict=True))
            voxels = np.ascontiguousarray(stack[(slice(None), *box)])
            flat[box] = apply_kernel(
                operation.kernel, voxels, values, False, dtype, str(corner), shape=voxels.shape[1:]
            )
        return flat.reshape((1,) * (volume.ndim - 2) + flat.shape)
    if operation.mixes is not None:  # channels first
        count = len(operation.channels(**values) if operation.channels else volume)
        mixed = np.empty((count, *volume.shape[1:]), dtype)
        for corner in product(*(range(0, n, b) for n, b in zip(volume.shape[1:], block, strict=True))):
            box = (slice(None), *(slice(c, c + b) for c, b in zip(corner, block, strict=True)))
            voxels, shape = np.ascontiguousarray(volume[box]), mixed[box].shape
            mixed[box] = apply_kernel(operation.kernel, voxels, values, False, dtype, str(corner), shape=shape)
        return mixed
    out = np.empty(volume.shape, dtype)
    known = statistics(operation, volume, values)
    edge = reach if pad else (0,) * volume.ndim
    source = np.pad(volume, [(far, far) for far in edge], constant_values=volume.max() if pad == "largest" else 0)
    for corner in product(*(range(0, n, b) for n, b in zip(volume.shape, block, strict=True))):
        box = tuple(slice(c, min(c + b, n)) for c, b, n in zip(corner, block, volume.shape, strict=True))
        outer = tuple(
            slice(max(0, one.start + e - far), one.stop + e + far) for one, far, e in zip(box, reach, edge, strict=True)
        )
        inner = tuple(
            slice(one.start + e - far.start, one.stop + e - far.start)
            for one, far, e in zip(box, outer, edge, strict=True)
        )
        found = statistics(operation, source[outer], values) if local else known
        voxels = np.ascontiguousarray(source[outer])
        place = {"corner": tuple(one.start - e for one, e in zip(outer, edge, strict=True))} if operation.places else {}
        given = {**values, **found, **place}
        if operation.crops:
            out[box] = apply_kernel(operation.kernel, voxels, given, False, dtype, str(corner), inner=inner)
        else:
            out[box] = apply_kernel(operation.kernel, voxels, given, False, dtype, str(corner))[inner]
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
        for one in filter(partial(countable, operation), images(shape, dtype, seeds=1)):
            volume = mixture(operation, one)
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
    """Whether a halo that is padded, instead of cut at the image's true edge, shows in every case with a reach.

    Zeros are background, out of which no object grows; other values then show.
    """
    with_reach = [values for values in cases(operation) if max(least_reach(operation, values, 2)) > 0]
    ways = ("zero", "largest") if isinstance(operation.takes["image"], Labels) else ("zero",)
    return all(any(caught(operation, values, 2, pad=way) for way in ways) for values in with_reach)


def per_block_statistics_are_caught(operation: Operation) -> bool:
    """Whether statistics of each block, instead of the volume, show."""
    return any(caught(operation, values, 2, local=True) for values in cases(operation))


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
    operation: Operation, image: Path, output: Path, values: Mapping[str, Any], block: tuple[int, ...], **more: Any
) -> Result:
    """Run an operation on a store, as a command does."""
    # A shard is a multiple of a block here, so that units hold several.
    shard = tuple(2 * edge for edge in block)
    to = Destination(output=str(output), shard=shard, pyramid=False)
    spread = Spread(workers=1, block=block, **more)
    return run(Request(operation, {"image": str(image)}, operation.check(values), to, spread))


def check_run(operation: Operation, folder: Path) -> None:
    """The chain gives what the reference gives: time points, channels, planes, a region."""
    values = min(cases(operation), key=lambda one: max(operation.reach_of(one, 3)) or NEAR)
    far = max(operation.reach_of(values, 3))
    block = (max(4, far),) * 3
    tries: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("yx", (17, 22), {}),
        ("tczyx", (2, 2, 9, 11, 13), {}),
        ("tczyx", (2, 2, 9, 11, 13), {"planes": True, "channel": ["1"], "time": "1"}),
        ("zyx", (9, 14, 17), {"region": "1:9,2:13,3:16"}),
    ]
    if isinstance(operation.takes["image"], Labels):  # they have no channels
        tries[1:3] = [("tzyx", (2, 9, 11, 13), {}), ("tzyx", (2, 9, 11, 13), {"planes": True, "time": "1"})]
    if operation.mixes is not None:
        chosen = {"channel": ["2", "0", "1"], "time": "1"}
        tries[0], tries[1] = ("cyx", (3, 17, 22), {}), ("tczyx", (2, 3, 9, 11, 13), {})
        tries[2:] = [("tczyx", (2, 4, 9, 11, 13), chosen), ("czyx", (3, 9, 14, 17), {"region": "1:9,2:13,3:16"})]
    for number, (axes, shape, part) in enumerate(tries):
        if "planes" in part and "planes" not in operation.part:
            continue
        dtype = dtypes(operation)[number % len(dtypes(operation))]
        volume = next(images(shape, dtype))
        if operation.mixes is not None and volume.dtype.kind == "f":
            volume = (volume - volume.min()) / np.ptp(volume)
        image, output = folder / f"{number}.ome.zarr", folder / f"{number}.out.ome.zarr"
        write_image(image, volume, axes)
        if "planes" in part and not operation.offers("planes"):
            with pytest.raises(InputError, match="cannot treat each plane on its own"):
                run_on(operation, image, output, {**values, **part}, block)
            continue
        spatial = 2 if "z" not in axes else 3
        run_on(operation, image, output, {**values, **part}, block[-spatial:])
        if part.get("planes"):
            volume, spatial = volume[(slice(1, 2),) * axes.count("t") + (slice(1, 2),) * axes.count("c")], 2
        if "region" in part:
            volume = volume[..., 1:9, 2:13, 3:16]
        if operation.mixes is not None and "channel" in part:
            volume = volume[1:, [2, 0, 1]]
        found = np.asarray(zarr.open_array(output / "0", mode="r")[...])
        expected = reference_result(operation, volume, values, spatial)
        assert same(operation, dtype, found, expected), f"{operation.name} {values} of {dtype} {axes} {part}"
