"""Call every kernel once on a small input; run by callgrind, which counts the instructions: see test_instructions.py.

    valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no python counted_calls.py COUNTER_SO

Imports little, because everything takes long here. The inputs are balls of one size in a lattice, in noise.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chunkwise import _kernels

SHAPE = (32, 64, 64)
VOXELS = 32 * 64 * 64
#: A Gaussian of sigma 1 reaches 4 voxels; instructions do not depend on the values.
WEIGHTS = np.array([0.4, 0.24, 0.05, 0.004, 0.0001])
LABELS = 50_000

Case = tuple[str, int, Callable[[], Any]]


def cases() -> Iterator[Case]:
    """Name, number of voxels (or labels, or pixels of polygons) and call; what a call changes is made for it alone."""
    yield "nothing", 1, lambda: None
    rng = np.random.default_rng(0)
    z, y, x = np.indices(SHAPE)
    inside = (z % 16 - 8) ** 2 + (y % 16 - 8) ** 2 + (x % 16 - 8) ** 2 <= 36
    labels = np.where(inside, 1 + x // 16 + 4 * (y // 16) + 16 * (z // 16), 0)
    objects = int(labels.max())
    image = rng.integers(0, 1000, SHAPE, np.uint16) + inside.astype(np.uint16) * 2000
    yield from smoothing(image)
    yield from tables_of_labels(labels.astype(np.uint32), objects)
    yield from sums_of_objects(labels, image, objects)
    yield from merging(rng)
    yield from splitting(inside)
    yield from polygons(rng)
    yield from tiles(image)


def smoothing(image: np.ndarray[Any, Any]) -> Iterator[Case]:
    """At the levels that callgrind can run: it knows no AVX-512."""
    box = (0, SHAPE[0], 0, SHAPE[1], 0, SHAPE[2])
    counts, mask = np.zeros(2**16, np.int64), np.zeros(SHAPE, bool)
    for level in [name for name in ("baseline", "avx2") if name in _kernels.simd_levels()]:
        _kernels.set_simd_level(level)
        for dtype in ("uint8", "uint16", "float32"):
            volume = image.astype(dtype)
            out = np.empty_like(volume)
            yield (
                f"gaussian_store {dtype} {level}",
                VOXELS,
                lambda volume=volume, out=out: _kernels.gaussian_store(volume, box, WEIGHTS, True, out),
            )
            yield (
                f"rank_filter {dtype} {level}",
                VOXELS,
                lambda volume=volume, out=out: _kernels.rank_filter(volume, box, (3, 3, 3), 13, out),
            )
        yield (
            f"gaussian_count uint16 {level}",
            VOXELS,
            lambda: _kernels.gaussian_count(image, box, WEIGHTS, True, True, 0, counts),
        )
        yield (
            f"gaussian_compare uint16 {level}",
            VOXELS,
            lambda: _kernels.gaussian_compare(image, box, WEIGHTS, True, True, 900, False, mask),
        )


def tables_of_labels(labels: np.ndarray[Any, Any], objects: int) -> Iterator[Case]:
    table = np.arange(objects + 1, dtype=np.uint32)
    sizes, firsts = np.zeros((2, objects), np.int64)
    known, out = np.arange(1, objects + 1, dtype=np.uint64), np.empty_like(labels)
    bits = np.random.default_rng(1).normal(0, 1, VOXELS).view(np.int64)
    parts, numbers = np.zeros((2, 2048), np.int64), np.zeros(objects, np.int64)
    index, corner = labels.astype(np.int32) - 1, np.arange(256)
    other = np.roll(labels, 2, axis=2)
    rows, begins = labels.reshape(-1, SHAPE[2]), np.arange(0, VOXELS, SHAPE[2], dtype=np.uint64)
    yield "content_sums", VOXELS, lambda: _kernels.content_sums(rows, begins)
    yield "look_up", VOXELS, lambda: _kernels.look_up(table, labels, out)
    yield "relabel", VOXELS, lambda: _kernels.relabel(labels.ravel(), known, table[1:], out.reshape(-1))
    yield "sizes_and_firsts", VOXELS, lambda: _kernels.sizes_and_firsts(labels, 0, 0, 0, *SHAPE[1:], sizes, firsts)
    yield "corners", VOXELS, lambda: _kernels.corners(index, corner, numbers)
    yield "accumulate", VOXELS, lambda: _kernels.accumulate(bits, parts)
    yield "count_overlaps", VOXELS, lambda: _kernels.count_overlaps(labels.ravel(), other.ravel())


def tiles(image: np.ndarray[Any, Any]) -> Iterator[Case]:
    bins, out = image % 256, np.empty_like(image)
    places = [np.stack((np.arange(n), np.arange(n) // 16, np.ones(n, np.int64))) for n in SHAPE]
    counts, maps = np.zeros((2, 4, 4, 256), np.int64), np.zeros((2, 4, 4, 256), np.uint16)
    histograms = np.random.default_rng(2).integers(0, 64, (128, 256))
    around = [each for one, n in zip(places, SHAPE, strict=True) for each in (one[[1, 1]], np.arange(n) % 16 / 16)]
    yield "count_tiles", VOXELS, lambda: _kernels.count_tiles(bins, *places, counts)
    flat = np.zeros((128, 256), np.uint16)
    yield "map_tiles", histograms.size, lambda: _kernels.map_tiles(histograms, 40, 1.0, 16383.0, flat)
    yield "between_tiles", VOXELS, lambda: _kernels.between_tiles(bins, maps, *around, out)


def sums_of_objects(labels: np.ndarray[Any, Any], image: np.ndarray[Any, Any], objects: int) -> Iterator[Case]:
    index = np.empty(SHAPE, np.int32)
    flat, voxels = index.reshape(-1), image.reshape(-1)
    firsts, count, total = np.zeros((3, objects), np.int64)
    sums, products = np.zeros((objects, 3), np.int64), np.zeros((objects, 6), np.int64)
    first, last = np.full((objects, 3), 2**40), np.full((objects, 3), -1)
    lowest, highest = np.empty((2, objects), np.uint16)
    means, squares, rest = np.ones((3, objects))
    moments = np.zeros((objects, 3))
    yield "number_objects", VOXELS, lambda: _kernels.number_objects(labels.ravel(), flat)
    yield "first_met", VOXELS, lambda: _kernels.first_met(flat, firsts)
    yield "places", VOXELS, lambda: _kernels.places(index, count, sums, first, last, products)
    yield "weighted", VOXELS, lambda: _kernels.weighted(index, image, moments)
    yield "sums", VOXELS, lambda: _kernels.sums(flat, voxels, total)
    yield "extremes", VOXELS, lambda: _kernels.extremes(flat, voxels, lowest, highest)
    yield "squares", VOXELS, lambda: _kernels.squares(flat, voxels, means, squares, rest)


def merging(rng: np.random.Generator) -> Iterator[Case]:
    """Every fourth label touches another one."""
    roots, counts = np.empty(LABELS, np.int64), np.zeros(64, np.int64)
    sizes, firsts = np.ones(LABELS, np.int64), np.arange(LABELS)
    pairs, table = rng.integers(1, LABELS, (LABELS // 4, 2)), np.arange(LABELS + 1, dtype=np.uint64)
    yield "begin", LABELS, lambda: _kernels.begin(roots)
    yield "join", LABELS, lambda: _kernels.join(roots, pairs)
    yield "resolve", LABELS, lambda: _kernels.resolve(roots)
    yield "gather", LABELS, lambda: _kernels.gather(roots, sizes, firsts)
    yield "spread", LABELS, lambda: _kernels.spread(roots, sizes, firsts, 0, 1, counts)
    yield "between", LABELS, lambda: _kernels.between(roots, sizes, firsts, 0, 1, 0, LABELS)
    yield "hand_down", LABELS, lambda: _kernels.hand_down(roots, table)


def splitting(inside: np.ndarray[Any, Any]) -> Iterator[Case]:
    """In a frame of background, as flooding wants it."""
    mask = inside.copy()
    mask[[0, -1]] = mask[:, [0, -1]] = mask[:, :, [0, -1]] = False
    heights, parts = np.zeros(SHAPE, np.int32), np.zeros(VOXELS, np.int32)
    following, ends = np.empty(VOXELS, np.int32), np.zeros(SHAPE, np.int64)
    yield "squared_distances", VOXELS, lambda: _kernels.squared_distances(mask, 1, 1, 1, heights)
    yield "local_maxima", VOXELS, lambda: _kernels.local_maxima(heights)
    seeds = _kernels.local_maxima(heights)
    yield "thin", VOXELS, lambda: _kernels.thin(seeds, *SHAPE, 5)
    numbers = np.arange(1, len(seeds) + 1, dtype=np.int32)
    plane, row = SHAPE[1] * SHAPE[2], SHAPE[2]
    steps, top = np.array([-plane, -row, -1, 1, row, plane]), int(heights.max())
    yield (
        "flood",
        VOXELS,
        lambda: _kernels.flood(heights.reshape(-1), seeds, numbers, steps, top, following, parts),
    )
    # Half a voxel towards the centre of each ball, which takes up to a dozen steps.
    moves = np.stack([-0.5 * np.sign(place % 16 - 8) for place in np.indices(SHAPE)]).astype(np.float32)
    yield "follow", VOXELS, lambda: _kernels.follow(mask, moves, 50, ends)
    octahedron = np.array([(a, b, c, -24.0) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) / 3**0.5
    low, high = np.full((64, 64), -np.inf), np.full((64, 64), np.inf)
    yield "intervals", 64 * 64, lambda: _kernels.intervals(octahedron, 1e-9, low, high)


def polygons(rng: np.random.Generator) -> Iterator[Case]:
    """Discs of radius 6 around candidates in a square, so near each other that most overlap."""
    edge, count, rays = 128, 200, 32
    angles = 2 * np.pi * np.arange(rays) / rays
    directions = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    stars = rng.integers(0, edge, (count, 2)), np.full((count, rays), 6, np.float32), directions, np.full(count, 7)
    state, whole = np.zeros(count, np.uint8), np.ones(count, bool)
    values, out = np.arange(1, count + 1, dtype=np.uint32), np.zeros((edge, edge), np.uint32)
    counts, firsts = np.zeros(count, np.int64), np.full(count, -1)
    pixels = count * 13 * 13
    yield "decide", pixels, lambda: _kernels.decide(*stars, state, whole, 0.3)
    yield "draw", pixels, lambda: _kernels.draw(*stars, values, out)
    yield "visible", pixels, lambda: _kernels.visible(*stars, edge, edge, whole, counts, firsts)


def main(counter: str) -> None:
    """Print name and number of what each case has; the dumps of callgrind carry the names."""
    callgrind = ctypes.CDLL(counter)
    callgrind.prepare()
    for name, size, call in cases():
        label = name.encode()
        callgrind.begin()
        call()
        callgrind.end(label)
        print(f"{name}\t{size}")


if __name__ == "__main__":
    main(sys.argv[1])
