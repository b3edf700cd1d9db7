"""Passes: every block once, failures named, the rest finished, killers told from their neighbours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from begun import begun
from chunkwise.blocks.job import Job, Workers
from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.cluster.local import open_local
from chunkwise.cluster.resources import Resources
from chunkwise.errors import InputError, ResumableError


def _map(context: Path, block: int) -> BlockResult:
    """Fail for block 5 until a file says that the cause is mended; die for block 7 likewise."""
    with (context / "calls").open("a") as file:
        file.write(f"{block}\n")
    if not (context / "mended").exists():
        if block == 5:
            raise InputError("The chunk 0/5 is truncated.")
        if block == 7 and (context / "killer").exists():
            os._exit(9)
    return BlockResult(data=block * 10)


def _value(context: Any, block: int) -> int:
    if block == 5:
        raise InputError("The chunk 0/5 is truncated.")
    return block


def _add(a: int, b: int) -> int:
    return a + b


def test_a_block_that_fails_is_named_and_the_rest_is_finished(tmp_path: Path) -> None:
    run = begun(tmp_path)
    said = r"1 of 9 blocks failed.*block 5: The chunk 0/5 is truncated.*same command"
    with pytest.raises(ResumableError, match=said):
        map_pass(Job(InlineExecutor(), run), "pass", _map, tmp_path, 9)
    assert len((tmp_path / "calls").read_text().split()) == 9
    assert set(np.flatnonzero(run.done("pass", 9)[0])) == set(range(9)) - {5}
    (tmp_path / "mended").touch()
    assert map_pass(Job(InlineExecutor(), run), "pass", _map, tmp_path, 9) == {n: n * 10 for n in range(9)}
    assert (tmp_path / "calls").read_text().split()[9:] == ["5"], "blocks that were done were done again"


def test_a_block_that_kills_workers_is_named_and_the_rest_is_finished(tmp_path: Path) -> None:
    run, workers = begun(tmp_path), Workers()
    (tmp_path / "killer").touch()
    with (
        open_local(Resources(2, 2**30), 40) as executor,
        pytest.raises(ResumableError, match=r"2 of 40 blocks failed.*block 5: .*block 7: workers died on it again"),
    ):
        map_pass(Job(executor, run, workers), "pass", _map, tmp_path, 40)
    assert set(np.flatnonzero(run.done("pass", 40)[0])) == set(range(40)) - {5, 7}
    assert all(row["peak_rss_bytes"] > 10**7 for row in workers.rows())


def test_a_reduction_without_one_of_its_blocks_is_no_result(tmp_path: Path) -> None:
    run = begun(tmp_path)
    groups = [range(0, 4), range(4, 8)]
    with pytest.raises(ResumableError, match="block 5: The chunk"):
        reduce_pass(Job(InlineExecutor(), run), "sum", _value, _add, None, groups, lambda _, total: total)
    assert run.done("sum", 2)[1] == {0: 6}


def test_two_runs_on_one_output(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match="Another run is working")
    with begun(tmp_path).locked(), refused, begun(tmp_path).locked():
        pass
    with begun(tmp_path).locked():
        pass
    assert not list(tmp_path.glob("*.lock"))
