"""Blocks put together from their own voxels and their neighbours' rims are the volume's, halo included."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.halo import Rims, reading_cost


def check(grid: Grid, reach: int | tuple[int, ...], volumes: int = 2) -> None:
    """Assert that every block with its halo is the volume's part, and that only the block itself was read."""
    reach = (reach,) * len(grid.shape) if isinstance(reach, int) else reach
    data = np.random.default_rng(0).integers(0, 60000, (volumes, *grid.shape)).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        rims = Rims(folder, grid, reach, "uint16")
        for number in range(volumes * grid.n_blocks):
            volume, block = divmod(number, grid.n_blocks)
            rims.write(number, data[volume][grid.block_box(block)])
        for number in range(volumes * grid.n_blocks):
            volume, block = divmod(number, grid.n_blocks)
            asked: list[Box] = []

            def read(box: Box, volume: int = volume, asked: list[Box] = asked) -> Any:
                asked.append(box)
                return data[volume][box]

            whole, outer = rims.read(number, read)
            assert asked == [grid.block_box(block)]
            assert outer == grid.halo_box(grid.block_box(block), reach)
            np.testing.assert_array_equal(whole, data[volume][outer])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Grid, tuple[int, ...]]:
    ndim = draw(st.integers(2, 3))
    sizes = st.tuples(*[st.integers(1, 14)] * ndim)
    return Grid.fit(draw(sizes), draw(sizes), draw(sizes)), draw(st.tuples(*[st.integers(0, 4)] * ndim))


@given(case=cases())
@settings(max_examples=150, deadline=None)
def test_any_grid(case: tuple[Grid, tuple[int, ...]]) -> None:
    grid, reach = case
    if Rims.possible(grid, reach):
        check(grid, reach)


def test_where_it_is_not_possible() -> None:
    """A halo that reaches beyond the next block; only the last of an axis may be thin, for there the image ends."""
    assert not Rims.possible(Grid.fit((20, 20), (8, 8), (2, 8)), (3, 3))
    assert not Rims.possible(Grid.fit((20, 20), (8, 8), (5, 8)), (4, 4)), "the rest of a unit is thinner than a block"
    assert Rims.possible(Grid.fit((17, 20), (8, 8), (8, 8)), (4, 4))
    check(Grid.fit((17, 20), (8, 8), (8, 8)), 4)


def test_mutant_rim_of_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid.fit((20, 20), (8, 8), (8, 8))
    check(grid, 2)
    real = Rims._slabs

    def swapped(self: Rims, index: tuple[int, ...]) -> Any:
        slabs = real(self, index)
        keys = list(slabs)
        return {key: slabs.get((key[0], -key[1]), slabs[key]) for key in keys}

    monkeypatch.setattr(Rims, "_slabs", swapped)
    with pytest.raises(AssertionError):
        check(grid, 2)


def test_what_reading_costs() -> None:
    """Blocks of one chunk, far from the edges of a large image, touch three chunks an axis instead of one."""
    grid = Grid.fit((2560, 2560), (256, 256), (256, 256))
    assert 2.7**2 < reading_cost(grid, (4, 4), (256, 256), (0, 0)) <= 9
    assert reading_cost(grid, (0, 0), (256, 256), (0, 0)) == 1
    assert reading_cost(grid, (4, 4), (4, 4), (0, 0)) < 1.1
    assert reading_cost(Grid.fit((9, 9), (16, 16), (16, 16)), (4, 4), (9, 9), (0, 0)) == 1
