"""Parents by overlap, and rows of time points, against NumPy on the whole label images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from begun import begun
from chunkwise.blocks.job import Job
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ops import parents as module
from chunkwise.ops.measure import measure
from chunkwise.ops.parents import CHILDREN, Parents
from measuring import folder_of_its_own, prepare, source
from whole_image import Array


def found(labels: Array, others: Array, block: tuple[int, ...], batch: int) -> tuple[list[Any], list[Any]]:
    """Objects with their parents, and parents with their children, as blocks give them."""
    with folder_of_its_own() as folder:
        measured, run = prepare(folder, labels, None, block), begun(folder)
        pieces: list[dict[str, Array]] = []
        related = source(folder, "others", others, measured.labels.axes)[0].as_numbers
        job = Job(InlineExecutor(), run, memory=2**30)
        parents = Parents(measured.labels, related, measured.grid, job, pieces.append, batch)
        rows: list[Any] = []
        for volume, part in measure(measured, job):
            more = parents.following(part["label"])
            columns = (part["label"], more["parent"], more["parent_overlap"])
            rows += [(volume, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        parents.close()
        table = [row for piece in pieces for row in zip(*(piece[c.name].tolist() for c in CHILDREN), strict=True)]
        return rows, table


def expected(labels: Array, others: Array) -> tuple[list[Any], list[Any]]:
    rows, table = [], []
    for time, (own, other) in enumerate(zip(labels, others, strict=True)):
        children = dict.fromkeys(np.unique(other[other > 0]).tolist(), 0)
        for label in np.unique(own[own > 0]).tolist():
            names, counts = np.unique(other[(own == label) & (other > 0)], return_counts=True)
            best = names[counts.argmax()].item() if len(names) else 0
            rows.append((time, label, best, counts.max(initial=0) / (own == label).sum()))
            if best:
                children[best] += 1
        table += [(label, time, (other == label).sum(), count) for label, count in children.items()]
    return rows, table


def pair(shape: tuple[int, ...], kind: str) -> tuple[Array, Array]:
    """Objects of a few voxels, so that ties are common, and parents that cross the blocks; one time without objects."""
    rng = np.random.default_rng(len(shape))
    labels = rng.integers(0, 40, shape) * (rng.random(shape) < 0.4)
    others = rng.integers(0, 6, shape) * (rng.random(shape) < 0.5)
    if kind[0] == "i":
        labels, others = labels - 3, others - 1
    labels[1] = 0
    others[-1] = 0
    return labels.astype(kind), others.astype(np.uint8 if kind == "uint64" else kind)


@pytest.mark.parametrize("kind", ["uint16", "int32", "uint64"])
@pytest.mark.parametrize(
    ("shape", "block"), [((3, 13, 11), (4, 5)), ((3, 13, 11), (13, 11)), ((3, 5, 7, 1), (2, 7, 1))]
)
def test_parents_are_those_of_the_whole_image(shape: tuple[int, ...], block: tuple[int, ...], kind: str) -> None:
    labels, others = pair(shape, kind)
    for batch in (3, 2**18):
        assert found(labels, others, block, batch) == expected(labels, others)


def test_without_objects_all_parents_are_there() -> None:
    labels, others = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    others[1, 1, 1:3] = 7
    assert found(labels, others, (2, 2), 9) == ([], [(7, 1, 2, 0)])


def test_mutants_of_ties_and_of_pairs_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, others = pair((3, 13, 11), "uint16")
    with monkeypatch.context() as patch:  # the pairs of each block are not added up
        patch.setattr(module, "merged_pairs", lambda rows: rows[np.lexsort((rows["other"], rows["label"]))])
        assert found(labels, others, (4, 5), 99)[0] != expected(labels, others)[0]
    honest = np.lexsort
    with monkeypatch.context() as patch:  # of equal ones the highest number
        turned = lambda keys: honest((-keys[0].astype(np.int64), *keys[1:]) if len(keys) == 3 else keys)  # noqa: E731
        patch.setattr(module.np, "lexsort", turned)
        assert found(labels, others, (4, 5), 99)[0] != expected(labels, others)[0]
    assert found(labels, others, (4, 5), 99) == expected(labels, others)


def test_the_folder_is_left_empty(tmp_path: Path) -> None:
    labels, others = pair((3, 9, 9), "uint16")
    measured, run = prepare(tmp_path, labels, None, (4, 4)), begun(tmp_path)
    related = source(tmp_path, "others", others, "tyx")[0]
    Parents(measured.labels, related, measured.grid, Job(InlineExecutor(), run), lambda columns: None).close()
    assert not list(tmp_path.glob("run/scratch/children/*"))
