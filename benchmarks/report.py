"""Write the tables of docs/performance.md from the figures of the last runs.

    .venv/bin/python benchmarks/report.py [--only convert,read]

Takes of .bench/results.jsonl the last run of every benchmark and setting: rows of two runs never stand in one table.
With --only, the tables of other benchmarks stay as they are on the page.
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
    "convert": "Bring an image in",
    "pyramid": "Pyramid",
    "read": "Read every chunk",
    "floor": "The floor: decode, one pass, encode",
    "catalogue": "Every operation beside the call that it equals, in memory",
    "smoothing": "Smoothing alone, by kind of SIMD",
    "small work": "Small work: one process, its threads, two workers",
    "blocks": "A pass over many blocks with an empty kernel",
    "merge": "The merge alone",
    "linear": "Cost and memory at growing sizes",
    "start": "Start-up",
}


def tables(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Markdown of the last figures of everything, by title."""
    last = {(row["benchmark"], row["settings"]): row["when"] for row in rows}
    found = {}
    for benchmark, title in TITLES.items():
        mine = [
            row for row in rows if row["benchmark"] == benchmark and row["when"] == last[benchmark, row["settings"]]
        ]
        if not mine:
            continue
        parts = dict.fromkeys(row["settings"] for row in mine)
        found[title] = "\n".join(_table([row for row in mine if row["settings"] == one], one) for one in parts)
    return found


def _on_the_page(content: str) -> dict[str, str]:
    """The tables that stand on the page, by title."""
    sections = (section.partition("\n\n") for section in f"\n{content}".split("\n### ")[1:])
    return {title: f"{text.strip()}\n" for title, _, text in sections}


def _table(rows: list[dict[str, Any]], settings: str) -> str:
    last = rows[-1]
    about = f"`{last['command']}` at commit {last['commit']}, {last['when'][:10]}"
    about += f"; {last['processor']}; load before: {last['load']}"
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
    parser.add_argument("--only", metavar="NAME,NAME", help=f"some of {', '.join(TITLES)}; leave the other tables")
    args = parser.parse_args()
    with open(args.json, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    there, _, after = rest.partition(END)
    one = rows[-1]
    machine = (
        f"Machine: {one['processor']}, {one['cores']} cores, {one['memory'] / 2**30:.0f} GiB; Python {one['python']}."
    )
    found = tables([row for row in rows if args.only is None or row["benchmark"] in args.only.split(",")])
    if args.only:
        machine, found = there.strip().partition("\n")[0], _on_the_page(there) | found
    sections = "\n".join(f"### {title}\n\n{found[title]}" for title in TITLES.values() if title in found)
    content = f"{BEGIN}\n{machine}\n\n{sections}\n{END}"
    if args.print:
        print(content)
        return
    PAGE.write_text(before + content + after)
    print(f"{len(rows)} figures in {PAGE.relative_to(harness.ROOT)}")


if __name__ == "__main__":
    main()
