"""What the harness over all declarations does not show of labels: scikit-image's own words for it, and many objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.morphology import remove_small_objects
from skimage.segmentation import clear_border, expand_labels, find_boundaries, relabel_sequential

from chunkwise.errors import InputError
from chunkwise.operations import find
from chunkwise.ops import object_table
from chunkwise.ops.expand import expand
from operations.harness import by_blocks, objects_of, run_on, write_image
from operations.reference import reference

COINS = Path(__file__).parents[2] / "test-data" / "coins_2d_labels.ome.zarr" / "0"


@pytest.fixture(scope="module")
def coins() -> Any:
    """Objects in one piece each; numbers with gaps, and one of them at the border."""
    return np.asarray(zarr.open_array(COINS, mode="r")[...]) * 7


def done(labels: Any, method: str, **values: Any) -> Any:
    return by_blocks(find("label", method), labels, values, (64, 50))


def test_by_the_words_of_scikit_image(coins: Any) -> None:
    assert np.array_equal(done(coins, "clear-border"), clear_border(coins))
    assert np.array_equal(done(coins, "renumber"), relabel_sequential(coins)[0])
    kept = done(coins, "size", min_size=1500, max_size=None)
    assert np.array_equal(kept, remove_small_objects(coins, max_size=1499))
    assert len(np.unique(kept)) < len(np.unique(coins))
    assert len(np.unique(done(coins, "largest", count=3))) == 4


@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_blocks_add_up_however_many_are_held_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_table, "AT_ONCE", at_once)
    labels = np.random.default_rng(0).integers(0, 400, (60, 80), "uint16")
    edge = objects_of(labels)
    parts = []
    for block in np.split(labels, 10):
        ids, sizes = np.unique(block[block != 0], return_counts=True)
        parts.append((ids, sizes, edge["at_border"][np.searchsorted(edge["ids"], ids)]))
    found = object_table.table_of(iter(parts))
    assert {name: column.tolist() for name, column in found.items()} == {
        name: column.tolist() for name, column in edge.items()
    }


def test_more_objects_than_the_type_has_numbers() -> None:
    """Numbers below 0 are objects, too, so that there may be more of them than there are above."""
    labels = np.arange(-128, 128, dtype="int8").reshape(16, 16)
    with pytest.raises(InputError, match="There are 255 objects, and int8 holds no number above 127"):
        done(labels, "renumber")


def test_a_volume_without_objects() -> None:
    none = np.zeros(0, np.uint32)
    found = object_table.table_of(iter([(none, none.astype(np.int64), none.astype(bool))] * 2))
    assert [len(column) for column in found.values()] == [0, 0, 0, 0]
    assert not expand(np.zeros((9, 9), "uint8"), 3).any()


@pytest.mark.parametrize("seed", range(4))
def test_objects_that_are_equally_near(seed: int) -> None:
    """Points on a lattice: most voxels between them are as far from one as from another."""
    labels = np.zeros((24, 36), "int32")
    labels[seed::4, seed::6] = np.random.default_rng(seed).permutation(36).reshape(6, 6) + 1
    assert np.array_equal(done(labels, "expand", distance=4.0), expand_labels(labels, 4.0))


@pytest.mark.parametrize(("dtype", "far"), [("uint64", 2**53), ("int64", 2**62), ("int64", -(2**62))])
def test_numbers_that_floats_cannot_tell_apart(dtype: str, far: int) -> None:
    lowest = -2 if far < 0 else 0
    small = np.random.default_rng(1).integers(lowest, lowest + 3, (8, 9), "int32").repeat(5, 0).repeat(4, 1)
    wide = np.where(small == 0, 0, small.astype("int64") + far).astype(dtype)

    def shrunk(labels: Any) -> Any:
        return np.where((minimum_filter(labels, 3) == labels) & (maximum_filter(labels, 3) == labels), labels, 0)

    alone = shrunk(small) != 0
    assert np.array_equal(done(wide, "shrink", radius=1), np.where(alone, wide, 0))
    assert not np.array_equal(shrunk(wide), np.where(alone, wide, 0)), "this is what SciPy does"
    for mode in ("thick", "inner", "outer"):
        assert np.array_equal(done(wide, "boundaries", mode=mode), find_boundaries(small, mode=mode))


def test_a_stack_of_one_plane_has_the_border_of_the_plane(coins: Any, tmp_path: Path) -> None:
    expected = clear_border(coins)
    assert 0 < len(np.unique(expected)) < len(np.unique(coins))
    write_image(tmp_path / "i", coins[None], "zyx", labels=True)
    run_on(find("label", "clear-border"), tmp_path / "i", tmp_path / "o", {}, (1, 100, 100))
    assert np.array_equal(zarr.open_array(tmp_path / "o" / "0", mode="r")[0], expected)
    assert np.array_equal(reference(find("label", "clear-border"), coins[None], {})[0], expected)


def test_a_range_of_sizes_without_any_is_refused() -> None:
    with pytest.raises(InputError, match="--min-size 10 is larger than --max-size 3"):
        find("label", "size").check({"min_size": 10, "max_size": 3})
    find("label", "size").check({"min_size": 3, "max_size": 3})
