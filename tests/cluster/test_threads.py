"""Small work stays in one process, whose threads work on blocks: same bytes, named failures, bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made_stores
from begun import begun
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.cluster.inline import InlineExecutor, ThreadsExecutor
from chunkwise.cluster.local import open_local
from chunkwise.cluster.resources import VOXELS_OF_ONE_PROCESS, Resources, find_resources, with_threads
from chunkwise.errors import InputError, ResumableError
from chunkwise.site.model import Cluster, Limits, Site
from chunkwise.storage import writer
from chunkwise.storage.writer import ArrayLayout, encode_shard
from whole_image import blockwise_segment

GIB = 2**30
SMALL = 10**6


@pytest.fixture(autouse=True)
def _galaxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_SLOTS", "4")
    for name in ("GALAXY_MEMORY_MB", "SLURM_CPUS_PER_TASK", "CHUNKWISE_CLUSTER"):
        monkeypatch.delenv(name, raising=False)


def test_threads_change_no_byte(tmp_path: Path) -> None:
    volumes = np.random.default_rng(5).integers(0, 60000, (2, 40, 44, 48), np.uint16)
    digests = set()
    for number, executor in enumerate((InlineExecutor(), ThreadsExecutor(2), ThreadsExecutor(4))):
        folder = tmp_path / str(number)
        folder.mkdir()
        blockwise_segment(folder, volumes, (9, 12, 10), (18, 12, 20), fill_holes=True, min_size=3, executor=executor)
        digests.add(made_stores.digest(folder / "out.ome.zarr"))
    assert len(digests) == 1


LAYOUT = ArrayLayout((64, 64), "uint16", (16, 16), (64, 64), ("y", "x"))


def _encoded_together() -> bool:
    """Whether threads that encode shards at the same time get the bytes that one alone gets."""
    shards = [np.random.default_rng(seed).integers(0, 9, (64, 64), np.uint16) for seed in range(8)]
    expected = [encode_shard(LAYOUT, shard) for shard in shards]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(200):
            try:
                if list(pool.map(lambda shard: encode_shard(LAYOUT, shard), shards)) != expected:
                    return False
            except Exception:  # such as an array that another thread has emptied
                return False
    return True


def test_threads_do_not_take_each_other_s_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _encoded_together()
    # With one array for all threads, as a process of one thread could have it, the same test fails.
    real = writer._memory_array
    monkeypatch.setattr(writer, "_memory_array", lambda *layout: real(*layout[:-1], 0))
    assert not _encoded_together()


def _map(context: Path, block: int) -> BlockResult:
    if block == 5 and not (context / "mended").exists():
        raise InputError("The chunk 0/5 is truncated.")
    return BlockResult(data=block * 10)


def test_a_block_that_fails_is_named_and_the_rest_is_finished(tmp_path: Path) -> None:
    run = begun(tmp_path)
    with pytest.raises(ResumableError, match=r"1 of 60 blocks failed.*block 5: The chunk 0/5 is truncated"):
        map_pass(Job(ThreadsExecutor(3), run), "pass", _map, tmp_path, 60)
    assert set(np.flatnonzero(run.done("pass", 60)[0])) == set(range(60)) - {5}
    (tmp_path / "mended").touch()
    assert map_pass(Job(ThreadsExecutor(3), run), "pass", _map, tmp_path, 60) == {n: n * 10 for n in range(60)}


def test_no_more_blocks_are_held_than_there_are_threads() -> None:
    lock, inside, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)
    drawn: list[int] = []

    def work(number: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        if number < 3:
            together.wait(30)  # three are at work at once, or the test fails
        with lock:
            inside -= 1
        return number

    def calls() -> Iterator[tuple[int]]:
        for number in range(50):
            drawn.append(number)
            yield (number,)

    results = set()
    for result in ThreadsExecutor(3).run(work, calls()):
        results.add(result)
        assert len(drawn) <= len(results) + 3 + 4, "calls are drawn before they are needed"
    assert results == set(range(50))
    assert most == 3


def test_after_an_error_nothing_new_is_begun() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        raise ResumableError("The disk is full.")

    with pytest.raises(ResumableError, match="disk is full"):
        list(ThreadsExecutor(2).run(work, ((number,) for number in range(50))))
    assert len(begun) <= 3


def test_small_work_in_four_slots_is_done_by_threads() -> None:
    found = find_resources(voxels=SMALL, threads=True)
    assert (found.workers, found.slots, found.threads) == (1, 4, 1)
    assert found.memory_per_worker >= 2 * GIB, "what four workers would have had, as far as this machine has it"
    found = with_threads(lambda count: count * GIB // 8, found)
    assert found.threads == 4
    with open_local(found, 100) as executor:
        assert isinstance(executor, ThreadsExecutor)
        assert executor.workers == 4
    with open_local(found, 3) as executor:
        assert executor.workers == 3, "there are no more threads than blocks"


def test_large_work_and_asked_for_workers_are_as_before() -> None:
    large = find_resources(voxels=VOXELS_OF_ONE_PROCESS, threads=True)
    assert (large.workers, large.slots) == (4, 1)
    for asked in (1, 2):
        found = find_resources(asked, voxels=SMALL, threads=True)
        assert (found.workers, found.slots) == (asked, 1)
    assert find_resources(voxels=SMALL).slots == 1, "work that threads may not do"


def test_bounds_of_workers_are_bounds_of_threads() -> None:
    profile = Cluster("c", "local", workers_max=3)
    bounded = Site(Path("s"), clusters={"c": profile}, default_cluster="c")
    assert find_resources(voxels=SMALL, site=bounded, threads=True).slots == 3
    limited = Site(Path("s"), clusters={"c": profile}, default_cluster="c", limits=Limits(2, GIB))
    found = find_resources(voxels=SMALL, site=limited, threads=True)
    assert (found.slots, found.memory_per_worker) == (2, GIB)


def test_threads_fit_into_the_memory_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def projected(count: int) -> int:
        return GIB // 4 + count * GIB // 2

    for memory, threads in ((2.25, 4), (1.9, 3), (1.3, 2), (1.2, 1), (0.1, 1)):
        resources = Resources(1, int(memory * GIB), slots=4)
        assert with_threads(projected, resources).threads == threads
    monkeypatch.setenv("GALAXY_MEMORY_MB", "1280")
    assert find_resources(voxels=SMALL, threads=True).memory_per_worker <= GIB


SCRIPT = """
import sys
import psutil
from chunkwise.cli import main
started = []

def note(event, arguments):
    # The record asks git about the sources, where they are a working copy.
    if event in ("subprocess.Popen", "os.fork", "os.posix_spawn") and not str(arguments[:1]).endswith("git',)"):
        started.append((event, *arguments))

sys.addaudithook(note)
code = main(sys.argv[1:])
assert not started, started
assert not psutil.Process().children()
assert "distributed" not in sys.modules
sys.exit(code)
"""


def _segmented(folder: Path, name: str, *words: str) -> tuple[str, dict[str, Any]]:
    command = ["segment", str(folder / "i.ome.zarr"), "--output", str(folder / f"{name}.ome.zarr"), *words]
    command += ["--block", "32,32", "--shard", "32,32", "--record", str(folder / f"{name}.json")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *command], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    return made_stores.digest(folder / f"{name}.ome.zarr"), json.loads((folder / f"{name}.json").read_text())


def test_a_small_image_in_four_slots_starts_no_process(tmp_path: Path) -> None:
    from verifying import fill

    fill(made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (96, 96)))
    threads, record = _segmented(tmp_path, "threads")
    assert record["cluster"]["threads"] == 4
    assert len(record["workers"]) == 1, "more than one process worked on blocks"
    alone, record = _segmented(tmp_path, "alone", "--workers", "1")
    assert "threads" not in record["cluster"]
    assert threads == alone
