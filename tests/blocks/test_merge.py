"""Joining and numbering, on labels made by hand and against scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.blocks.merge import Components, face, touching_pairs


def test_faces_edges_corners() -> None:
    labels = np.arange(27).reshape(3, 3, 3)
    assert face(labels, (1, 0, 0)).tolist() == [labels[2].tolist()]
    assert face(labels, (-1, 1, 0)).ravel().tolist() == labels[0, 2].tolist()
    assert face(face(labels, (1, 0, 0)), (1, -1, 1)).item() == labels[2, 0, 2]


@pytest.mark.parametrize(("connectivity", "expected"), [(1, []), (2, [[1, 2]])])
def test_diagonal_steps_across_a_face(connectivity: int, expected: list[list[int]]) -> None:
    here, there = np.array([[1, 0, 0]]), np.array([[0, 2, 0]])
    assert touching_pairs(here, there, (1, 0), connectivity).tolist() == expected


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_numbers_follow_the_first_voxel_and_begin_anew_in_each_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(Components, "BATCH", batch)
    # labels 1..5; 1 and 4 are one component; 3 is small; 5 lies in the second volume
    components = Components(str(tmp_path / "joined"), 5)
    components.describe(0, np.array([5, 9]), np.array([50, 10]))
    components.describe(2, np.array([1, 5, 7]), np.array([0, 5, 3]))
    components.join(np.array([[4, 1]]))
    counts = components.number(np.array([0, 4, 5, 5]), 2, str(tmp_path / "table.npy"))
    assert np.load(tmp_path / "table.npy").tolist() == [0, 1, 2, 0, 1, 1]
    assert counts == [2, 1, 0]


@given(data=st.data(), count=st.integers(0, 60), batch=st.integers(1, 9))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_joining(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    data: st.DataObject,
    count: int,
    batch: int,
) -> None:
    """Against the definition, by plain Python sets."""
    monkeypatch.setattr(Components, "BATCH", batch)
    folder = tmp_path_factory.mktemp("joined")
    label = st.integers(1, max(count, 1))
    pairs = data.draw(st.lists(st.tuples(label, label), max_size=40)) if count else []
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    firsts = data.draw(st.permutations(range(0, 7 * count, 7)))
    components = Components(str(folder), count)
    components.describe(0, np.array(sizes, np.int64), np.array(firsts, np.int64))
    for half in (pairs[:20], pairs[20:]):
        components.join(np.array(half, np.int64).reshape(-1, 2))
    groups = [{k} for k in range(1, count + 1)]
    for a, b in pairs:
        one, other = (next(g for g in groups if k in g) for k in (a, b))
        if one is not other:
            groups.remove(other)
            one |= other
    large = [g for g in groups if sum(sizes[k - 1] for k in g) >= 4]
    expected = np.zeros(count + 1, int)
    for number, group in enumerate(sorted(large, key=lambda g: min(firsts[k - 1] for k in g)), 1):
        expected[list(group)] = number
    assert components.number(np.array([0, count]), 4, str(folder / "table.npy")) == [len(large)]
    assert np.load(folder / "table.npy").tolist() == expected.tolist()


def test_ids_beyond_32_bits_do_not_wrap() -> None:
    """Pairs carry global ids as int64: offsets of many blocks may lie beyond 2**32."""
    pairs = touching_pairs(np.array([[1]], np.uint32), np.array([[2]], np.uint32), (1, 0), 1)
    assert (pairs + np.array([2**33, 2**34])).tolist() == [[2**33 + 1, 2**34 + 2]]


def test_roots_of_a_long_chain_given_backwards(tmp_path: Path) -> None:
    n = 100_000
    chain = Components(str(tmp_path), n)
    chain.join(np.stack([np.arange(n, 1, -1), np.arange(n - 1, 0, -1)], axis=1))
    assert (chain.roots() == 0).all()
