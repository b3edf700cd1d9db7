"""What a run of a million blocks over a hundred workers costs beside the work itself. The workers are simulated.

.venv/bin/python benchmarks/simulated_cluster.py dask      # Dask's scheduler with 100 workers that compute nothing
.venv/bin/python benchmarks/simulated_cluster.py array     # the same pass as an array of 100 jobs on the real Slurm
.venv/bin/python benchmarks/simulated_cluster.py driver    # journal, resume, merge and block table of 10^6 blocks
.venv/bin/python benchmarks/simulated_cluster.py all

Real are: the scheduler with TLS, the client, ``map_pass`` with its batches, the merge, and where it is said the journal
and Slurm. Simulated are Dask's workers: a hundred live in one process, on a machine of a few cores, and give back after
a moment what a batch would; and the blocks: there is no image. So the figures say what a run costs its driver,
scheduler and file system, and nothing of how fast blocks are computed. Every figure is of a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPAWN = get_context("spawn")

#: Of a block of 2-D or 3-D nuclei: provisional labels, and pairs of them that touch those of its neighbours.
LABELS, PAIRS = 30, 12


def canned(seconds: float, block: int) -> Any:
    """What a block of the pass 'label' gives back: two objects with their hashes, and a number of labels."""
    from chunkwise.blocks.passes import BlockResult
    from chunkwise.storage.writer import StoredObject

    if seconds:
        time.sleep(seconds)
    digest = hashlib.sha256(b"%d" % block).hexdigest()
    stored = StoredObject(f"scratch/objects/{block // 1000}/{block}.npz", digest, 4711)
    return BlockResult((stored, StoredObject(f"scratch/objects/{block // 1000}/{block}.mask", digest, 1174)), LABELS)


def canned_batch(_function: Any, _context: Any, _run: Any, _name: str, blocks: list[int]) -> Any:
    """What a batch gives back to the driver, after a moment; its lines of the journal are not written."""
    from chunkwise.blocks.job import Report

    time.sleep(0.05)
    return Report(f"simulated-{os.getpid()}", peak() << 20, cpu(), [(block, LABELS) for block in blocks])


def nothing(block: int) -> int:
    """A call without content."""
    return block


def peak() -> int:
    """VmHWM of this process in MiB."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM:"))


def cpu() -> float:
    """Seconds of processor of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process; its result."""
    with SPAWN.Pool(1) as pool:
        return pool.apply(function, arguments)


def begun(folder: str) -> Any:
    """A run that has begun in a folder."""
    from chunkwise.blocks.plan import Plan
    from chunkwise.blocks.run import Run

    plan = Plan("simulated", {}, {}, {})
    run = Run.at(plan, folder, os.path.join(folder, "scratch"))
    run.begin(plan, os.path.join(folder, "none"))
    return run


def show(title: str, rows: list[tuple[str, Any]]) -> None:
    """Print a table, for docs/scale.md."""
    print(f"\n### {title}\n\n| | |\n|---|---|")
    for name, value in rows:
        text = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
        print(f"| {name} | {f'{text:,}' if isinstance(text, int) else text} |", flush=True)


# --- Dask


def scheduler(security: Any, pipe: Any) -> None:
    """A scheduler as a driver has it, in a process of its own, so that its memory is seen."""
    import dask

    from chunkwise.cluster.executor import CONFIGURATION
    from chunkwise.cluster.processes import QuietScheduler

    async def serve() -> None:
        async with QuietScheduler(host="127.0.0.1", protocol="tls://", security=security, dashboard=False) as made:
            pipe.send(made.address)
            while True:
                while not pipe.poll():
                    await asyncio.sleep(0.05)
                if pipe.recv() == "stop":
                    return
                pipe.send((peak(), cpu(), len(made.workers), len(made.tasks)))

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(CONFIGURATION):
        asyncio.run(serve())


def crowd(address: str, security: Any, count: int, pipe: Any) -> None:
    """Many workers in one process."""
    import dask

    from chunkwise.cluster.executor import CONFIGURATION
    from chunkwise.cluster.processes import QuietWorker

    async def work(folder: str) -> None:
        options = {"nthreads": 1, "memory_limit": 0, "security": security, "local_directory": folder}
        workers = [QuietWorker(address, name=f"w{n}", host="127.0.0.1", **options) for n in range(count)]
        for some in range(0, count, 10):
            await asyncio.gather(*workers[some : some + 10])
        pipe.send("there")
        while not pipe.poll():
            await asyncio.sleep(0.2)
        await asyncio.gather(*(worker.close() for worker in workers), return_exceptions=True)

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, dask.config.set(CONFIGURATION):
        asyncio.run(work(folder))


def drive(address: str, security: Any, workers: int, blocks: int, calls: int, folder: str) -> dict[str, Any]:
    """What the driver does: one pass of batches; and, for the scheduler's limit, calls without content."""
    import dask
    import simulated_cluster as here  # functions travel by name
    from dask.distributed import Client

    from chunkwise.blocks import passes
    from chunkwise.blocks.job import Job
    from chunkwise.blocks.passes import map_pass
    from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor

    run = begun(folder)
    connect: Any = Client
    with dask.config.set(CONFIGURATION), connect(address, security=security) as client:
        executor = DaskExecutor(client, workers)
        list(executor.run(here.nothing, ((n,) for n in range(workers * 3))))
        # A hundred workers write their lines of the journal on a hundred nodes, and not in one process.
        passes._map_batch = here.canned_batch  # type: ignore[assignment]
        before, began, used = peak(), time.monotonic(), cpu()
        map_pass(Job(executor, run), "label", here.canned, 0.0, blocks)
        took, used = time.monotonic() - began, cpu() - used
        after, began = peak(), time.monotonic()
        for _ in executor.run(here.nothing, ((n,) for n in range(calls))):
            pass
        return {
            "pass": took,
            "cpu": used,
            "before": before,
            "peak": after,
            "calls_s": calls / (time.monotonic() - began),
        }


def dask_way(args: argparse.Namespace, folder: str) -> None:
    from distributed.security import Security

    security = Security.temporary()  # type: ignore[no-untyped-call]
    ours, theirs = SPAWN.Pipe()
    serving = SPAWN.Process(target=scheduler, args=(security, theirs), daemon=True)
    serving.start()
    address = ours.recv()
    mine, others = SPAWN.Pipe()
    working = SPAWN.Process(target=crowd, args=(address, security, args.workers, others), daemon=True)

    def ask() -> Any:
        ours.send("say")
        return ours.recv()

    empty, _, _, _ = ask()
    working.start()
    mine.recv()
    full, used, there, _ = ask()
    assert there == args.workers
    said = in_a_process(drive, address, security, args.workers, args.blocks, args.calls, folder)
    top, spent, _, left = ask()
    mine.send("stop")
    working.join(60)
    ours.send("stop")
    serving.join(60)
    batches = -(-args.blocks // min(256, args.blocks // (args.workers * 8)))
    show(
        f"Dask: {args.blocks:,} blocks over {args.workers} simulated workers",
        [
            ("batches, which are Dask's tasks", batches),
            ("scheduler: peak memory without workers, MiB", empty),
            ("scheduler: with the workers connected, MiB", full),
            ("scheduler: at the end of everything below, MiB", top),
            ("scheduler: tasks it still knows at the end", left),
            ("scheduler: processor time of everything below, s", spent - used),
            ("driver: peak memory before the pass, MiB", said["before"]),
            ("driver: peak memory of the pass, MiB", said["peak"]),
            ("driver: processor time of the pass, s", said["cpu"]),
            ("the pass, all workers on this machine, s", said["pass"]),
            ("blocks a second", args.blocks / said["pass"]),
            (f"tasks a second, of {args.calls:,} without content", said["calls_s"]),
        ],
    )


# --- Array


def lead(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """The same pass as an array on a real Slurm."""
    import simulated_cluster as here

    from chunkwise.blocks.job import Job
    from chunkwise.blocks.passes import map_pass
    from chunkwise.cluster.array import open_array
    from chunkwise.cluster.resources import Resources
    from chunkwise.site.model import Cluster

    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    run = begun(folder)
    cluster, most = Cluster("array", kind="array", walltime=3600), 0
    with open_array(cluster, Resources(args.workers, 2**29), args.blocks, folder) as executor:
        began, used = time.monotonic(), cpu()
        counted = executor.run

        def counting(*given: Any) -> Any:
            nonlocal most
            yield from counted(*given)
            most = sum(len(files) for _, _, files in os.walk(os.path.join(folder, "array")))

        # Files are counted in the last moment before the pass removes them.
        executor.run = counting  # type: ignore[method-assign,assignment]
        keep, shutil.rmtree = shutil.rmtree, lambda *_, **__: None  # type: ignore[assignment]
        try:
            map_pass(Job(executor, run), "label", here.canned, 0.0, args.blocks)
        finally:
            shutil.rmtree = keep
        took, used = time.monotonic() - began, cpu() - used
        calls = sum(
            os.path.getsize(os.path.join(top, name))
            for top, _, names in os.walk(os.path.join(folder, "array"))
            for name in names
            if name in ("calls", "offsets.npy")
        )
        segments = len(os.listdir(run.journal))
        return {"pass": took, "cpu": used, "peak": peak(), "files": most, "calls": calls, "segments": segments}


def array_way(args: argparse.Namespace, folder: str) -> None:
    if not os.environ.get("SLURM_CONF"):
        print("array: needs a Slurm; start one with deploy/slurm/up.sh and set SLURM_CONF.", file=sys.stderr)
        return
    said = in_a_process(lead, args, folder)
    show(
        f"Array: {args.blocks:,} blocks, an array of {args.workers} real jobs of Slurm that compute nothing",
        [
            ("jobs: one array of so many elements", args.workers),
            ("the pass, on this machine, s", said["pass"]),
            ("leader: peak memory, MiB", said["peak"]),
            ("leader: processor time, s", said["cpu"]),
            ("files of the pass: calls, claims, results, logs", said["files"]),
            ("calls written down, MiB", said["calls"] / 2**20),
            ("segments of the journal", said["segments"]),
        ],
    )


# --- Driver


def resume(folder: str, blocks: int, what: str) -> tuple[float, int, int]:
    """Time, memory, and size of what comes out, of one thing that the driver does with the journal."""
    from chunkwise.blocks.journal import read_entries

    run = begun(folder)
    began = time.monotonic()
    if what == "read":
        size = sum(1 for _ in read_entries(run.journal, run.hash))
    elif what == "done":
        done, data = run.done("label", blocks)
        size = len(done) + len(data)
    else:
        size = len(run.table()[0])
    return time.monotonic() - began, peak(), size


def write_journal(folder: str, blocks: int) -> None:
    """A journal as a hundred workers leave it."""
    import simulated_cluster as here

    from chunkwise.blocks.journal import Entry
    from chunkwise.blocks.plan import Plan

    mark = Plan("simulated", {}, {}, {}).hash
    os.makedirs(os.path.join(folder, "journal"))
    for worker in range(100):
        with open(os.path.join(folder, "journal", f"node{worker:03d}-4711.jsonl"), "wb") as file:
            for block in range(worker, blocks, 100):
                made, now = here.canned(0.0, block), 1.7e9 + block
                entry = Entry(
                    mark, "label", block, "done", made.objects, made.data, f"node{worker:03d}-4711", now, now + 2
                )
                file.write(entry.line())


def merge(folder: str, blocks: int) -> dict[str, float]:
    """Join and number the labels of all blocks, as the driver does between two passes."""
    from chunkwise.blocks.merge import Components

    small = Components(os.path.join(folder, "small"), 2)
    small.describe(0, np.ones(2, np.int64), np.arange(2))
    small.join(np.array([[1, 2]]))
    small.number(np.array([0, 2]), 0, os.path.join(folder, "small", "table.npy"))
    count = blocks * LABELS
    before, began = peak(), time.monotonic()
    components = Components(os.path.join(folder, "joined"), count)
    sizes, firsts = np.arange(1, LABELS + 1), np.arange(LABELS) * 99
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(1, LABELS + 1, PAIRS), rng.integers(1, LABELS + 1, PAIRS)], axis=1)
    for block in range(1, blocks):
        components.join(pairs + np.array([block * LABELS, (block - 1) * LABELS]))
    joined = time.monotonic()
    for block in range(blocks):
        components.describe(block * LABELS, sizes, firsts + block * 4096)
    described = time.monotonic()
    counts = components.number(np.array([0, count]), 0, os.path.join(folder, "table.npy"))
    done = time.monotonic()
    disk = sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(folder) for name in names)
    return {
        "labels": count,
        "objects": counts[0],
        "join": joined - began,
        "describe": described - joined,
        "number": done - described,
        "own": peak() - before,
        "disk": disk / 2**20,
    }


def small_files(folder: str, files: int) -> float:
    """Seconds that the driver takes for one small file of each block: sizes, first voxels and faces."""
    import io

    content = {
        "sizes": np.arange(LABELS),
        "firsts": np.arange(LABELS),
        **{f"face{axis}{side}": np.zeros((64, 64), np.uint32) for axis in range(3) for side in (-1, 1)},
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **content)  # type: ignore[arg-type]
    for number in range(files):
        with open(os.path.join(folder, f"{number}.npz"), "wb") as file:
            file.write(buffer.getvalue())
    began = time.monotonic()
    for number in range(files):
        with np.load(os.path.join(folder, f"{number}.npz")) as made:
            assert len(made["sizes"]) == len(made["firsts"]) == LABELS
    return (time.monotonic() - began) / files


def driver(args: argparse.Namespace, folder: str) -> None:
    write_journal(folder, args.blocks)
    with open(os.path.join(folder, "plan.json"), "wb") as file:
        from chunkwise.blocks.plan import Plan
        from chunkwise.storage.writer import json_bytes

        file.write(json_bytes(Plan("simulated", {}, {}, {}).document()))
    journal = os.path.join(folder, "journal")
    size = sum(os.path.getsize(os.path.join(journal, name)) for name in os.listdir(journal))
    rows: list[tuple[str, Any]] = [
        ("journal of one pass, MiB", size / 2**20),
        ("bytes a line", size / args.blocks),
    ]
    for what, words in (
        ("read", "reading it"),
        ("done", "what is done, of files that are gone"),
        ("table", "table of blocks"),
    ):
        seconds, memory, made = in_a_process(resume, folder, args.blocks, what)
        rows += [(f"{words}, s", seconds), (f"{words}: peak memory, MiB", memory)]
        if what == "table":
            rows.append(("table of blocks, MiB", made / 2**20))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        merged = in_a_process(merge, place, args.blocks)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        each = in_a_process(small_files, place, 5000)
    rows += [
        ("provisional labels", merged["labels"]),
        ("objects", merged["objects"]),
        ("merge: joining, s", merged["join"]),
        ("merge: sizes and first voxels, s", merged["describe"]),
        ("merge: numbering, s", merged["number"]),
        ("merge: memory, pages of its tables among it, MiB", merged["own"]),
        ("merge: tables on disk, MiB", merged["disk"]),
        ("opening one small file of a block, from the cache, ms", 1000 * each),
        (f"opening {args.blocks:,} of them one after the other, s", each * args.blocks),
    ]
    show(f"Driver: {args.blocks:,} blocks, {LABELS} labels each", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("dask", "array", "driver", "all"))
    parser.add_argument("--blocks", type=int, default=10**6, help="number of blocks (default: 1000000)")
    parser.add_argument("--workers", type=int, default=100, help="simulated workers (default: 100)")
    parser.add_argument("--calls", type=int, default=30_000, help="calls without content (default: 30000)")
    args = parser.parse_args()
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], **vars(args)}))
    os.makedirs(os.path.join(ROOT, ".bench"), exist_ok=True)
    for name, function in {"dask": dask_way, "array": array_way, "driver": driver}.items():
        if args.what in (name, "all"):
            with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".bench"), prefix="scale-") as folder:
                function(args, folder)


if __name__ == "__main__":
    main()
