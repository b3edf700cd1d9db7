"""A worker whose time is over hands back the rest of its batch: nothing is lost, and there is always some progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from begun import begun
from chunkwise.blocks import deadline
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.cluster.inline import InlineExecutor

BLOCKS = 64


@pytest.fixture(autouse=True)
def _no_deadline() -> Iterator[None]:
    yield
    deadline.set_deadline(None)


class Counting(InlineExecutor):
    """Says how many calls there were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def run(self, function: Any, calls: Any) -> Iterator[Any]:
        for call in calls:
            self.calls += 1
            yield function(*call)


def _block(context: int, block: int) -> BlockResult:
    return BlockResult(data=context * block)


def _value(context: int, block: int) -> int:
    return context * block


def _add(one: int, other: int) -> int:
    return one + other


@pytest.mark.parametrize("over", [False, True])
def test_a_map_pass_is_done_by_others(tmp_path: Path, over: bool) -> None:
    deadline.set_deadline(time.time() + (-1 if over else 3600))
    executor, run = Counting(), begun(tmp_path)
    found = map_pass(Job(executor, run), "test", _block, 3, BLOCKS)
    assert found == {block: 3 * block for block in range(BLOCKS)}
    assert executor.calls == (BLOCKS if over else 8)
    assert run.table()[1] == {"total": BLOCKS, "done": BLOCKS, "retried": 0, "failed": 0}


@pytest.mark.parametrize("over", [False, True])
def test_a_reduce_pass_counts_every_block_once(tmp_path: Path, over: bool) -> None:
    deadline.set_deadline(time.time() + (-1 if over else 3600))
    executor = Counting()
    groups = [list(range(40)), list(range(40, BLOCKS))]
    found = reduce_pass(Job(executor, begun(tmp_path)), "test", _value, _add, 3, groups, lambda _, value: value)
    assert found == {0: 3 * sum(groups[0]), 1: 3 * sum(groups[1])}
    assert executor.calls == (BLOCKS if over else 8)
