"""Write the tables of docs/performance.md from the figures of the last runs.

    .venv/bin/python benchmarks/report.py

Takes of .bench/results.jsonl the last run of every benchmark and setting: rows of two runs never stand in one table.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import harness

PAGE = harness.ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

TITLES = {
    "segment": "Segment: Gaussian 1, Otsu, components with corners, written without a pyramid",
    "split": "Split by distance",
    "measure": "Measure",
    "pyramid": "Pyramid",
    "read": "Read every chunk",
    "floor": "The floor: decode, one pass, encode",
    "smoothing": "Smoothing alone, by kind of SIMD",
    "small work": "Small work: one process, its threads, two workers",
    "blocks": "A pass over many blocks with an empty kernel",
    "merge": "The merge alone",
    "linear": "Cost and memory at growing sizes",
    "start": "Start-up",
}


def tables(rows: list[dict[str, Any]]) -> str:
    """Markdown of the last figures of everything."""
    last = {(row["benchmark"], row["settings"]): row["when"] for row in rows}
    text = []
    for benchmark, title in TITLES.items():
        mine = [
            row for row in rows if row["benchmark"] == benchmark and row["when"] == last[benchmark, row["settings"]]
        ]
        if not mine:
            continue
        text.append(f"### {title}\n")
        for settings in dict.fromkeys(row["settings"] for row in mine):
            text.append(_table([row for row in mine if row["settings"] == settings], settings))
    return "\n".join(text)


def _table(rows: list[dict[str, Any]], settings: str) -> str:
    last = rows[-1]
    about = f"`{last['command']}` at commit {last['commit']}, {last['when'][:10]}; load before: {last['load']}"
    if any(row["voxels"] for row in rows):
        about = f"{settings}, {rows[0]['voxels'] / 2**20:.3g} x 2^20 voxels. {about}"
    elif settings:
        about = f"{settings}. {about}"
    head = ["", "CPU-s", "Mvoxel/s/core", "wall s", "memory, all MiB", "largest MiB", "times our CPU-s", "remarks"]
    lines = [about, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        name = f"**{row['name']}**" if row["ours"] else row["name"]
        if row["failed"]:
            lines.append(f"| {name} | | | | | | | {row['failed']} |")
            continue
        said = [f"{key} {_plain(value)}" for key, value in row["said"].items() if not isinstance(value, dict | list)]
        cells = [
            name,
            f"{row['cpu']:.2f}",
            f"{row['voxels'] / row['cpu'] / 1e6:.1f}" if row["voxels"] else "",
            f"{row['wall']:.2f}",
            *(f"{row[size] / 2**20:.0f}" if size in row else "" for size in ("rss_sum", "rss_largest")),
            f"{row['ratio']:.2f}" if row["ratio"] is not None else "",
            "; ".join(part for part in (", ".join(said), row["note"]) if part),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", default=str(harness.BENCH / "results.jsonl"), help="figures to take")
    parser.add_argument("--print", action="store_true", help="print the tables, change nothing")
    args = parser.parse_args()
    with open(args.json, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    one = rows[-1]
    machine = (
        f"Machine: {one['processor']}, {one['cores']} cores, {one['memory'] / 2**30:.0f} GiB; Python {one['python']}."
    )
    content = f"{BEGIN}\n{machine}\n\n{tables(rows)}\n{END}"
    if args.print:
        print(content)
        return
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + content + rest.partition(END)[2])
    print(f"{len(rows)} figures in {PAGE.relative_to(harness.ROOT)}")


if __name__ == "__main__":
    main()
