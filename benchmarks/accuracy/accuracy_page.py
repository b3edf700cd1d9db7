"""The tables of docs/accuracy.md from what was measured; the words around them are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_page"]

TILED = Path(__file__).parent / "tiled.json"
PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
GROUPS = ("all dark", "all of one channel", "all")


def _nuclei(rows: list[dict[str, Any]]) -> str:
    lines = ["| images | objects | method | AP@0.5 | AP@0.7 | AP@0.9 | per image 0.5 | 0.7 | 0.9 |", "|" + "---|" * 9]
    before = ""
    for row in rows:
        where = f"**{row['images']}**" if row["images"] in GROUPS else row["images"]
        first = f"{where} ({row['n']})" if row["images"] != before else ""
        count = str(row["objects"]) if row["images"] != before else ""
        before = row["images"]
        values = " | ".join(f"{v:.2f}" for v in (*row["pooled"], *row["mean"]))
        lines.append(f"| {first} | {count} | {row['method']} | {values} |")
    return "\n".join(lines)


def _ovule(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| crop | cells | method | smoothing, distance | adapted Rand error | precision | recall | split | merged |",
        "|" + "---|" * 9,
    ]
    for row in rows:
        values = " | ".join(f"{row[k]:.2f}" for k in ("rand_error", "precision", "recall", "split", "merged"))
        sigma, distance = row["settings"]
        lines.append(f"| {row['crop']} | {row['cells']} | {row['method']} | {sigma:g}, {distance} | {values} |")
    return "\n".join(lines)


def _tiled(found: dict[str, Any]) -> str:
    lines = ["| tiles | blocks of objects | workers | objects | maps differ by | labels |", "|" + "---|" * 6]
    for row in found["rows"]:
        same = "identical to the first row" if row["different_from_first"] == 0 else "**not those of the first row**"
        same += ", and the objects of scikit-image" if row["same_as_scikit_image"] else ", not quite scikit-image's"
        lines.append(
            f"| {row['tile']} x {row['tile']} | {row['block']} x {row['block']} | {row['workers']} | {row['objects']} "
            f"| {row['map_difference']:.1e} | {same} |"
        )
    return "\n".join(lines)


def write_page(measured: dict[str, Any]) -> None:
    """Replace what stands between the marks."""
    text = PAGE.read_text()
    parts = {"nuclei": _nuclei(measured["nuclei"]), "ovule": _ovule(measured["ovule"])}
    parts["tuned"] = f"`chunkwise segment {measured['tuned']}`"
    if TILED.exists():
        parts["tiled"] = _tiled(json.loads(TILED.read_text()))
    for name, content in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    PAGE.write_text(text)
