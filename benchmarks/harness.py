"""Run programs side by side and say what each took: CPU-seconds, wall, memory, of the whole process tree.

Every figure comes from a fresh process, imports included. CPU time is what the kernel reports when a process is
reaped; this process is made the reaper of orphans, so that no worker of anybody is forgotten. Memory is sampled
as the sum of resident sizes (pages that processes share count in each) and, exactly, as the peak of the largest
process.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BENCH = ROOT / ".bench"
MEASURED = ROOT / "benchmarks" / "measured"
OURS = Path(sys.executable).parent
CHUNKWISE = str(OURS / "chunkwise")

#: Seconds between two looks at the memory, and at which processes there are.
MEMORY_EVERY, PROCESSES_EVERY = 0.05, 0.25
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Measurement:
    """What one program took."""

    cpu: float = 0.0
    wall: float = 0.0
    rss_sum: int = 0
    """Peak of the sum over the processes, bytes."""
    rss_largest: int = 0
    """Peak of the largest process, bytes."""
    rss_main: int = 0
    """Peak of the process that was started: the driver, where there are workers."""
    failed: str = ""
    """Why there is no result, where there is none."""
    said: dict[str, Any] = field(default_factory=dict)
    """The last line of standard output, where it is JSON."""


@dataclass(frozen=True)
class Candidate:
    """A program to measure."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], None] | None = None
    """Called before each run, outside what is measured: removes the output of the run before."""
    check: Callable[[], dict[str, Any]] | None = None
    """Called after the first run, outside what is measured: looks at the output."""
    note: str = ""
    ours: bool = False
    group: str = ""
    """Ratios are to our candidate of the same group."""
    environment: dict[str, str] = field(default_factory=dict)


def measure(
    command: Sequence[str],
    time_limit: float = 900.0,
    memory_limit: int | None = None,
    environment: dict[str, str] | None = None,
) -> Measurement:
    """Run a program to its end, or to its limit; every other child of this process is ended with it."""
    # PR_SET_CHILD_SUBREAPER: children of processes that end become ours.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    result = Measurement()
    # (What a process is given at its start counts as its own peak; so this one keeps small: it imports no NumPy.)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment() | (environment or {}),
        )
        tree, looked = [process.pid], 0.0
        code: int | None = None
        while True:
            now = time.monotonic()
            if now - looked > PROCESSES_EVERY:
                tree, looked = _tree(), now
            resident, main = _resident(tree, process.pid)
            result.rss_sum, result.rss_main = max(result.rss_sum, resident), max(result.rss_main, main)
            if not result.failed:
                if now - begin > time_limit:
                    result.failed = f"stopped after {time_limit:.0f} s"
                elif memory_limit and resident > memory_limit:
                    result.failed = f"stopped at {resident / 2**30:.1f} GiB of memory"
            # What outlives the program is given a moment, then ended.
            if result.failed or (code is not None and now - begin - result.wall > 5):
                for pid in _tree():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                time.sleep(MEMORY_EVERY)
                continue
            result.cpu += usage.ru_utime + usage.ru_stime
            result.rss_largest = max(result.rss_largest, usage.ru_maxrss * 1024)
            if pid == process.pid:
                code = process.returncode = os.waitstatus_to_exitcode(status)
                result.wall = time.monotonic() - begin
                looked = 0.0
        # What was too short for the samples.
        result.rss_sum = max(result.rss_sum, result.rss_largest)
        if code and not result.failed:
            err.seek(0)
            words = err.read().decode(errors="replace").strip().splitlines() or ["no words"]
            result.failed = f"exit {code}: {words[-1][:300]}"
        out.seek(0)
        lines = out.read().decode(errors="replace").strip().splitlines()
        if lines and lines[-1].startswith("{"):
            result.said = json.loads(lines[-1])
    return result


def _environment() -> dict[str, str]:
    """Without what would tell chunkwise how many workers to take."""
    told = ("GALAXY_", "SLURM_", "CHUNKWISE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(told)}


def _tree() -> list[int]:
    """All processes below this one."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(found - {os.getpid()})


def _resident(pids: list[int], main: int) -> tuple[int, int]:
    """Sum of what the processes hold now, and the peak of one of them so far."""
    total = peak = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                total += int(file.read().split()[1]) * PAGE
            if pid == main:
                with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                    peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
        except (OSError, IndexError):
            continue
    return total, peak


def peer(script: str, *arguments: str) -> list[str]:
    """Command of a script of ``measured/`` in the peers' environment."""
    return [str(peers() / "bin" / "python"), str(MEASURED / script), *arguments]


def ours(script: str, *arguments: str) -> list[str]:
    """Command of a script of ``measured/`` in chunkwise's environment."""
    return [sys.executable, str(MEASURED / script), *arguments]


def peers(name: str = "peers") -> Path:
    """The environment of a list of ``measured/``, made when it is missing or the list has changed."""
    folder, listed = BENCH / name, MEASURED / f"{name}.txt"
    wanted, mark = listed.read_text(), folder / listed.name
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {listed.name} into .bench/{name}", file=sys.stderr)
        uv = str(OURS / "uv")
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", "-p", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", str(listed)], check=True)
        mark.write_text(wanted)
    return folder


def volume_shape(gib: float) -> tuple[int, int, int]:
    """Shape of a uint16 volume of so many GiB, as cubic as powers of two allow."""
    exponent = round(gib * 2**29).bit_length() - 1
    if gib * 2**29 != 2**exponent:
        raise SystemExit(f"--size {gib}: sizes are powers of two, such as 0.0625, 0.25, 1, 4")
    z = exponent // 3
    y = (exponent - z) // 2
    return 2**z, 2**y, 2 ** (exponent - z - y)


def volume(shape: tuple[int, ...]) -> str:
    """Path of a synthetic volume of nuclei, made when it is missing."""
    path = BENCH / "data" / f"nuclei-{'x'.join(map(str, shape))}.ome.zarr"
    if not path.exists():
        print(f"making {path.name}", file=sys.stderr)
        part = path.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        script = str(ROOT / "benchmarks" / "synthetic.py")
        subprocess.run(
            [sys.executable, script, str(part), "--shape", ",".join(map(str, shape))],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        part.rename(path)
    return str(path)


def mosaic() -> tuple[str, tuple[int, ...]]:
    """A real 2-D mosaic of cell nuclei, mirrored on to 64 Mvoxel, as a plain OME-Zarr, and its shape."""
    source = ROOT.parent / "shared" / "data" / "omezarr_fractal_cardio" / "cardio_B03_mip_levels1to4.zarr"
    path = BENCH / "data" / "mosaic.ome.zarr"
    if not path.exists():
        if not source.exists():
            raise SystemExit(f"The mosaic {source} is not here.")
        subprocess.run(ours("ours.py", "mosaic", str(source), str(path)), check=True, stdout=subprocess.DEVNULL)
    return str(path), tuple(json.loads((path / "0" / "zarr.json").read_text())["shape"])


def labels_of(image: str, workers: int) -> str:
    """Labels of a volume, made with chunkwise when they are missing."""
    path = image.removesuffix(".ome.zarr") + "-labels.ome.zarr"
    if not os.path.exists(path):
        print(f"making {os.path.basename(path)}", file=sys.stderr)
        command = [CHUNKWISE, "segment", image, "--output", path, "--workers", str(workers)]
        subprocess.run(command, check=True, capture_output=True)
    return path


def warm(folder: str) -> None:
    """Read every file once, so that all find them in the page cache."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            path.read_bytes()


def fresh(*folders: str | Path) -> Callable[[], None]:
    """What removes outputs before a run."""

    def remove() -> None:
        for folder in folders:
            for path in (Path(folder), Path(f"{folder}.run"), Path(f"{folder}.partial")):
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.exists():
                    path.unlink()

    return remove


def scratch(name: str) -> str:
    """A place for an output."""
    (BENCH / "out").mkdir(parents=True, exist_ok=True)
    return str(BENCH / "out" / name)


def has_option(command: str, option: str) -> bool:
    """Whether this chunkwise knows an option."""
    done = subprocess.run([CHUNKWISE, command, "--help"], capture_output=True, text=True, check=False)
    return f"{option} " in done.stdout or f"{option}\n" in done.stdout


def parser(text: str | None, size: bool = True) -> argparse.ArgumentParser:
    """The options that the scripts share."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if size:
        made.add_argument("--size", type=float, default=0.25, metavar="GiB", help="of the volume (default: 0.25)")
    made.add_argument(
        "--repeat", type=int, default=3, help="runs of each; the one of least CPU time counts (default: 3)"
    )
    made.add_argument("--only", metavar="NAME,NAME", help="measure these and chunkwise alone")
    made.add_argument(
        "--workers",
        type=int,
        default=1,
        help="of chunkwise (default: 1, so that it works in one process, as the peers do)",
    )
    made.add_argument("--time-limit", type=float, default=900, metavar="S", help="for one run (default: 900)")
    made.add_argument(
        "--memory-limit", type=float, metavar="GiB", help="for the tree of one run (default: 80 %% of what is free)"
    )
    made.add_argument("--json", default=str(BENCH / "results.jsonl"), help="lines are added here")
    return made


def run(
    title: str, candidates: Sequence[Candidate], args: argparse.Namespace, voxels: int = 0, settings: str = ""
) -> list[dict[str, Any]]:
    """Measure all, print a table, add JSON lines.

    Rounds go over all candidates in turn, so that what disturbs the machine disturbs everybody.
    """
    names = args.only.split(",") if args.only else [candidate.name for candidate in candidates]
    groups = {candidate.group for candidate in candidates if candidate.name in names}
    chosen = [c for c in candidates if c.name in names or (c.ours and c.group in groups)]
    if not chosen:
        raise SystemExit(f"--only {args.only}: there are {', '.join(candidate.name for candidate in candidates)}")
    limit = int(args.memory_limit * 2**30) if args.memory_limit else int(_free() * 0.8)
    best: dict[str, Measurement] = {}
    seen: dict[str, dict[str, Any]] = {}
    runs: dict[str, list[float]] = {candidate.name: [] for candidate in chosen}
    for _ in range(args.repeat):
        for candidate in chosen:
            if candidate.name in best and best[candidate.name].failed:
                continue
            if candidate.prepare:
                candidate.prepare()
            if sys.stderr.isatty():
                print(f"\r\x1b[K  {candidate.name} ...", end="", file=sys.stderr, flush=True)
            found = measure(candidate.command, args.time_limit, limit, candidate.environment)
            if not found.failed:
                runs[candidate.name].append(round(found.cpu, 3))
                if candidate.check and candidate.name not in seen:
                    seen[candidate.name] = candidate.check()
            before = best.get(candidate.name)
            if before is None or found.failed or found.cpu < before.cpu:
                best[candidate.name] = found
            if candidate.prepare:
                candidate.prepare()
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    rows = []
    for candidate in chosen:
        found = best[candidate.name]
        own = next((best[c.name] for c in chosen if c.ours and c.group == candidate.group), None)
        fit = own is not None and not found.failed and not own.failed and not candidate.ours
        rows.append(
            {
                "benchmark": title,
                "settings": settings,
                "name": candidate.name,
                "group": candidate.group,
                "ours": candidate.ours,
                "voxels": voxels,
                "ratio": round(found.cpu / own.cpu, 2) if fit and own else None,
                "runs_cpu": runs[candidate.name],
                "note": candidate.note,
                **asdict(found),
                "said": found.said | seen.get(candidate.name, {}),
            }
        )
    _print(title, settings, rows)
    append(args.json, rows)
    return rows


def _print(title: str, settings: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}  {settings}")
    width = max(len(row["name"]) for row in rows)
    rate = any(row["voxels"] for row in rows)
    head = f"{'':{width}}  {'CPU-s':>8} {'wall s':>8} {'sum MiB':>8} {'largest':>8} {'main':>7}"
    print(head + (f" {'Mvox/s/core':>12}" if rate else "") + f" {'ratio':>7}  result")
    for row in rows:
        if row["failed"]:
            print(f"{row['name']:{width}}  {row['failed']}  {row['note']}")
            continue
        line = f"{row['name']:{width}}  {row['cpu']:8.2f} {row['wall']:8.2f} {row['rss_sum'] / 2**20:8.0f} "
        line += f"{row['rss_largest'] / 2**20:8.0f} {row['rss_main'] / 2**20:7.0f}"
        if rate:
            line += f" {row['voxels'] / row['cpu'] / 1e6:12.1f}"
        line += f" {row['ratio']:7.2f}" if row["ratio"] is not None else f" {'':7}"
        said = ", ".join(f"{name} {value}" for name, value in row["said"].items() if not isinstance(value, dict | list))
        print(f"{line}  {said}{'; ' if said and row['note'] else ''}{row['note']}")


def append(path: str, rows: list[dict[str, Any]]) -> None:
    """Add the figures of a run, and what they were measured on, to a file."""
    about = machine()
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row | about) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on, and with."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = [line.partition(":") for line in file.read().partition("\n\n")[0].splitlines()]
    cpu = {name.strip(): value.strip() for name, _, value in lines}
    model = cpu.get("model name", "unknown processor")
    # Rented machines hide the rest of the name; these tell the generation.
    if "cpu family" in cpu:
        model += f" (family {cpu['cpu family']}, model {cpu.get('model')})"
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PHYS_PAGES") * PAGE,
        "python": platform.python_version(),
        "commit": commit,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": round(os.getloadavg()[0], 2),
        "command": shlex.join([os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]),
    }


def _free() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def counts(array: str) -> Callable[[], dict[str, Any]]:
    """What counts the distinct labels of an array, in a process of its own so that this one stays small."""

    def count() -> dict[str, Any]:
        done = subprocess.run(ours("ours.py", "count", array), check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout))

    return count
