"""The grid tiles every voxel once, whatever the three shapes."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.blocks.grid import Grid


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    ndim = draw(st.integers(2, 3))
    sizes = st.tuples(*[st.integers(1, 13)] * ndim)
    return Grid.fit(draw(sizes), draw(sizes), draw(sizes))


@given(grid=grids())
@settings(max_examples=200, deadline=None)
def test_blocks_and_units_tile_the_volume(grid: Grid) -> None:
    by_block = np.zeros(grid.shape, int)
    for block in range(grid.n_blocks):
        by_block[grid.block_box(block)] += 1
        assert grid.block_id(grid.index(block)) == block
        assert all(0 < part.stop - part.start <= b for part, b in zip(grid.block_box(block), grid.block, strict=True))
    assert (by_block == 1).all()
    by_unit = np.zeros(grid.shape, int)
    seen = []
    for unit in range(grid.n_units):
        box = grid.unit_box(unit)
        by_unit[box] += 1
        inside = np.zeros(grid.shape, int)
        for block in grid.blocks_of_unit(unit):
            inside[grid.block_box(block)] += 1
            seen.append(block)
        assert inside.sum() == inside[box].sum() == inside[box].size
    assert (by_unit == 1).all()
    assert sorted(seen) == list(range(grid.n_blocks))


@given(grid=grids())
@settings(max_examples=60, deadline=None)
def test_every_pair_of_neighbours_comes_once(grid: Grid) -> None:
    found = {(block, other) for block in range(grid.n_blocks) for _, other in grid.neighbours(block)}
    expected = set()
    for a, b in product(range(grid.n_blocks), repeat=2):
        apart = [abs(i - j) for i, j in zip(grid.index(a), grid.index(b), strict=True)]
        if a < b and max(apart) == 1:
            expected.add((a, b))
    assert found == expected


def test_units_are_whole_shards_that_hold_a_block() -> None:
    grid = Grid.fit((1000, 1000), (64, 128), (100, 100))
    assert grid.unit == (128, 128)
    assert grid.block == (100, 100)


def test_a_million_blocks_are_arithmetic() -> None:
    grid = Grid.fit((6400, 6400, 6400), (64, 64, 64), (64, 64, 64))
    assert grid.n_blocks == 10**6
    assert grid.block_box(10**6 - 1) == (slice(6336, 6400),) * 3
