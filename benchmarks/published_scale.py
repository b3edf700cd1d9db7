"""The published workflow for counting nuclei on a mosaic of its image, by Galaxy, Pulsar and Slurm.

    .venv/bin/python benchmarks/published_scale.py [--size 2] [--whole 10000]

Mirrors the published image on and on to a plane of --size GiB, and to a smaller one of --whole voxels along each edge.
Starts the Galaxy, Pulsar and Slurm of deploy/cluster (as root) unless they run, and invokes
workflows/nuclei-counting by Galaxy's API: every job goes through Pulsar to Slurm, and every image stays in the site's
workspace. What comes of the smaller plane is compared with literal calls of SciPy and scikit-image on the whole of it.
What comes of the larger one is compared, file by file, with the same steps by the command line on the same Slurm, with
other blocks and numbers of workers (--runs). Writes the tables of docs/scale.md.

Two GiB want 20 GB of disk below .galaxy and .bench, which are freed at the end, and a quarter of an hour of two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import zarr
from harness import BENCH, ROOT, machine

# What the tests do with the same servers and the same workflow.
sys.path.insert(0, str(ROOT / "tests"))

from mosaic_runs import BLOCKS, RUN, STEPS, STORES, Run, added, by_galaxy, by_hand, files_of, mosaic, whole, wrong

PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- mosaic: written by benchmarks/published_scale.py -->", "<!-- end of mosaic -->"


@contextlib.contextmanager
def servers() -> Iterator[None]:
    """Slurm, Pulsar and Galaxy; what ran before is left running."""
    alive = ["bash", "-c", ". deploy/galaxy/common.sh; alive gunicorn"]
    ran = subprocess.run(alive, cwd=ROOT, check=False).returncode == 0
    subprocess.run([ROOT / "deploy" / "cluster" / "up.sh"], check=True)
    try:
        yield
    finally:
        if not ran:
            subprocess.run([ROOT / "deploy" / "cluster" / "down.sh"], check=True)


def mib(size: int) -> str:
    """Bytes in MiB; a dash where they are not known."""
    return f"{size / 2**20:,.0f}" if size else "–"


def table(*rows: list[str]) -> str:
    """Of Markdown; the first row is its head."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def page(small: dict[str, Any], runs: list[Run], bytes_of: dict[str, tuple[int, int]], edge: int) -> str:
    """The tables."""
    about, galaxy, held = small["about"], runs[0], mib(small["held"])
    same = all(run.digests == galaxy.digests for run in runs)
    over = [f"{run.name}: {step}" for run in runs for step in STEPS if run.steps[step].peak > run.planned[step]]
    lines = [
        f"`{about['command']}` at commit {about['commit']}, {about['when'][:10]}; {about['processor']}, "
        f"{about['cores']} cores; load before: {about['load']}.",
        f"**{small['edge']:,} x {small['edge']:,} voxels, against the whole image in memory.** By Galaxy, Pulsar and "
        f"Slurm, blocks of {shape(BLOCKS['B'])}, {small['wall']:.0f} s; {small['objects']:,} nuclei. Every voxel of "
        f"{', '.join(STORES.values())}, and number, size, box and intensities of every nucleus: "
        f"{'all are equal' if not small['wrong'] else '**not equal: ' + ', '.join(small['wrong']) + '**'}. The "
        f"literal calls took {small['literal']:.0f} s and {held} MiB; our largest worker {mib(small['peak'])} MiB.",
        f"**{edge:,} x {edge:,} voxels, {len(runs)} runs.** Compared: all files of every level of every image, and "
        f"both tables ({len(galaxy.digests)} digests): {'the same bytes' if same else '**not the same bytes**'}. "
        f"Workers that took more memory than planned: {', '.join(over) or 'none'}.",
    ]
    rows = [["run", "blocks", "workers", "wall s", "CPU-s", "largest worker, MiB", "planned for it, MiB"]]
    for run in runs:
        worst = max(STEPS, key=lambda step: run.steps[step].peak)
        figures = [f"{max(one.workers for one in run.steps.values())}", f"{run.wall:,.0f}"]
        figures.append(f"{sum(one.cpu for one in run.steps.values()):,.0f}")
        peak = [f"{mib(run.steps[worst].peak)} ({worst})", mib(run.planned[worst])]
        rows.append([run.name, shape(run.block), *figures, *peak])
    steps = [["step, by Galaxy", "blocks", "wall s", "CPU-s", "largest worker, MiB", "planned, MiB", "driver, MiB"]]
    for name, one in galaxy.steps.items():
        figures = [f"{one.blocks:,}", f"{one.wall:,.0f}", f"{one.cpu:,.0f}"]
        steps.append([name, *figures, mib(one.peak), mib(galaxy.planned[name]), mib(one.driver)])
    moved = [["what", "files", "bytes"]]
    moved += [[name, f"{files:,}", f"{size:,}"] for name, (files, size) in (bytes_of | galaxy.moved).items()]
    return "\n\n".join([*lines, table(*rows), table(*steps), table(*moved)])


def shape(block: str) -> str:
    """Of blocks."""
    return block.replace(",", " x ") or "as chosen"


def main() -> None:
    """Make, run, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=2, metavar="GiB", help="of the larger mosaic (default: 2)")
    parser.add_argument(
        "--whole", type=int, default=10000, metavar="N", help="edge of the smaller one (default: 10000)"
    )
    parser.add_argument(
        "--runs",
        default="A3,B1",
        help=f"by the command line: blocks, {BLOCKS}, and the number of workers (default: A3,B1)",
    )
    parser.add_argument("--limit", type=int, default=3600, metavar="S", help="for one workflow (default: 3600)")
    args = parser.parse_args()
    edge, work = int((args.size * 2**29) ** 0.5), BENCH / "mosaic"
    with servers():
        small = compare(args.whole, args.limit)
        print(small, flush=True)
        store = RUN / "images" / f"mosaic-{edge}.ome.zarr"
        voxels = mosaic(store, edge)
        runs = [by_galaxy(store, f"m{int(time.time())}", "", args.limit)]
        print(runs[0].wall, runs[0].moved, runs[0].steps, flush=True)
        for one in args.runs.split(","):
            run = by_hand(store, work / one, BLOCKS[one[0]], int(one[1:]))
            print(one, run.wall, run.steps, run.planned, run.digests == runs[0].digests, flush=True)
            shutil.rmtree(work / one)
            runs.append(run)
        runs[0].planned = runs[1].chosen
        results = [files_of(folder) for folder in runs[0].stores.values()]
        bytes_of = {
            f"the image, where it lies ({voxels:,} bytes before compression)": added([files_of(store)]),
            "the five images made of it, in the workspace": added(results),
        }
        written = page(small, runs, bytes_of, edge)
        for folder in (store, *runs[0].stores.values()):
            shutil.rmtree(folder)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{rest.partition(END)[2]}")
    print(written)


def compare(edge: int, limit: int) -> dict[str, Any]:
    """The workflow by Galaxy on a mosaic that fits into memory, beside the literal calls."""
    about, store = machine(), RUN / "images" / f"mosaic-{edge}.ome.zarr"
    mosaic(store, edge)
    run = by_galaxy(store, f"w{int(time.time())}", BLOCKS["B"], limit)
    image, begin = zarr.open_array(store / "0", mode="r")[...], time.monotonic()
    expected = whole(image)
    literal = time.monotonic() - begin
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    differing = wrong(run, expected)
    for folder in (store, *run.stores.values()):
        shutil.rmtree(folder)
    return {
        "about": about,
        "edge": edge,
        "wrong": differing,
        "objects": run.tables["Table of nuclei"].count(b"\n") - 1,
        "wall": run.wall,
        "peak": max(one.peak for one in run.steps.values()),
        "literal": literal,
        "held": held,
    }


if __name__ == "__main__":
    main()
