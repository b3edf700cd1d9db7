"""Where the time of a segmentation goes: py-spy samples the driver and every worker.

    .venv/bin/python benchmarks/profile_segment.py --size 1

Prints the functions at the top of the most stacks (where the time is spent), and the functions of chunkwise that the
most stacks go through (what it is spent for); keeps the stacks in .bench/profile.txt (one a line, for any flame
graph). py-spy needs the right to trace: root, or kernel.yama.ptrace_scope = 0.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from math import prod
from pathlib import Path

import harness

#: Waiting, not working.
IDLE = re.compile(r"\b(_recv|poll|select|epoll_wait|wait|sleep|accept|recv|_worker|acquire)\b")

#: What a stack is about: the first of these that one of its frames has.
KINDS = {
    "imports": re.compile(r"importlib\._bootstrap"),
    "chunkwise: kernels and blocks": re.compile(r"\(chunkwise/ops/|\(chunkwise/blocks/"),
    "chunkwise: reading, writing, hashing": re.compile(r"\(chunkwise/(storage|ngff)/"),
    "Dask and its connections": re.compile(r"\((distributed|dask|tornado|asyncio|ssl)\b"),
}


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--rate", type=int, default=100, help="samples a second (default: 100)")
    parser.add_argument("--native", action="store_true", help="look into compiled libraries too (slower)")
    parser.add_argument("--top", type=int, default=25, help="lines to print (default: 25)")
    args = parser.parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    harness.warm(image)
    out, stacks = harness.scratch("profile.ome.zarr"), harness.BENCH / "profile.txt"
    harness.fresh(out)()
    quick = ["--no-pyramid"] if harness.has_option("segment", "--no-pyramid") else []
    spy = [str(harness.peers() / "bin" / "py-spy"), "record", "--subprocesses", "--format", "raw", "--full-filenames"]
    spy += ["--rate", str(args.rate), "--output", str(stacks), *(["--native"] if args.native else [])]
    command = [harness.CHUNKWISE, "segment", image, "--output", out, "--workers", str(args.workers), *quick]
    done = subprocess.run([*spy, "--", *command], capture_output=True, text=True, check=False)
    harness.fresh(out)()
    if not stacks.exists() or done.returncode:
        sys.exit(f"py-spy: {done.stderr.strip().splitlines()[-1:] or 'no words'}")
    show(stacks.read_text(), args.rate, args.top, prod(shape))


def show(text: str, rate: int, top: int, voxels: int) -> None:
    """Print the two tables."""
    at, through, kinds, total = Counter[str](), Counter[str](), Counter[str](), 0
    for line in text.splitlines():
        stack, _, number = line.rpartition(" ")
        # The first frames are the process and its parents, with their command lines in quotes.
        stack = re.sub(r'process \d+:"[^"]*"(;|$)', "", stack)
        frames = [_short(frame) for frame in stack.split(";") if frame]
        frames = frames or ["outside of Python: a process begins or ends"]
        if IDLE.search(frames[-1]):
            continue
        total += int(number)
        at[frames[-1]] += int(number)
        known = (kind for kind, pattern in KINDS.items() if any(map(pattern.search, frames)))
        kinds[next(known, "everything else")] += int(number)
        for frame in {frame for frame in frames if "chunkwise/" in frame}:
            through[frame] += int(number)
    if not total:
        sys.exit("py-spy has seen nothing at work: the run was too short.")
    print(f"{total / rate:.1f} s at work in all processes, {voxels / total * rate / 1e6:.1f} Mvoxel/s/core")
    for title, counted in (
        ("what for", kinds),
        ("in this function", at),
        ("in this function of chunkwise and what it calls", through),
    ):
        print(f"\n{title}")
        for frame, times in counted.most_common(top):
            print(f"  {times / rate:8.2f} s {100 * times / total:5.1f} %  {frame}")


def _short(frame: str) -> str:
    """``name (file:line)`` without the way to the file."""
    found = re.match(r"(.*) \((.*?)(:\d+)?\)$", frame)
    if not found:
        return frame
    path = found[2]
    for root in ("/src/", "/site-packages/", f"/lib/python{sys.version_info.major}.{sys.version_info.minor}/"):
        path = path.rpartition(root)[2]
    return f"{found[1]} ({Path(path)})"


if __name__ == "__main__":
    main()
