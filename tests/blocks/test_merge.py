"""Joining and numbering, on labels made by hand and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from chunkwise.blocks.merge import component_roots, face, number_components, touching_pairs


def test_faces_edges_corners() -> None:
    labels = np.arange(27).reshape(3, 3, 3)
    assert face(labels, (1, 0, 0)).tolist() == [labels[2].tolist()]
    assert face(labels, (-1, 1, 0)).ravel().tolist() == labels[0, 2].tolist()
    assert face(face(labels, (1, 0, 0)), (1, -1, 1)).item() == labels[2, 0, 2]


@pytest.mark.parametrize(("connectivity", "expected"), [(1, []), (2, [[1, 2]])])
def test_diagonal_steps_across_a_face(connectivity: int, expected: list[list[int]]) -> None:
    here, there = np.array([[1, 0, 0]]), np.array([[0, 2, 0]])
    assert touching_pairs(here, there, (1, 0), connectivity).tolist() == expected


def test_numbers_follow_the_first_voxel_and_begin_anew_in_each_volume() -> None:
    # labels 1..5; 1 and 4 are one component; 3 is small; 5 lies in the second volume
    numbering = number_components(
        np.array([[4, 1]]),
        sizes=np.array([5, 9, 1, 5, 7]),
        firsts=np.array([50, 10, 0, 5, 3]),
        volumes=np.array([0, 0, 0, 0, 1]),
        n_volumes=3,
        keep_from=2,
    )
    assert numbering.table.tolist() == [0, 1, 2, 0, 1, 1]
    assert numbering.counts.tolist() == [2, 1, 0]


def test_ids_beyond_32_bits_do_not_wrap() -> None:
    """Pairs carry global ids as int64: offsets of many blocks may lie beyond 2**32."""
    pairs = touching_pairs(np.array([[1]], np.uint32), np.array([[2]], np.uint32), (1, 0), 1)
    assert (pairs + np.array([2**33, 2**34])).tolist() == [[2**33 + 1, 2**34 + 2]]


def test_roots_of_a_long_chain_given_backwards() -> None:
    n = 100_000
    chain = np.stack([np.arange(n, 1, -1), np.arange(n - 1, 0, -1)], axis=1)
    assert (component_roots(chain, n) == 0).all()
    assert component_roots(np.empty((0, 2), np.int64), 3).tolist() == [0, 1, 2]
