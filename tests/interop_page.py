"""The tables of docs/interop.md, written from what a run found."""

from __future__ import annotations

import datetime
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from chunkwise import __version__
from interop_peers import ASPECTS, PEERS

__all__ = ["Row", "Table"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "interop.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
STEPS = ("open", *ASPECTS, "segment", "measure")


@dataclass
class Row:
    """What came of one store: a cell that is not ``equal``, ``done`` or ``not told`` says what was wrong."""

    what: str
    cells: dict[str, str] = field(default_factory=dict)
    remark: str = ""


@dataclass
class Table:
    """Rows by peer, of both directions."""

    versions: dict[str, str] = field(default_factory=dict)
    written: dict[str, list[Row]] = field(default_factory=dict)
    read: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether every peer was asked both ways: the page is written of whole runs only."""
        names = {peer.name for peer in PEERS}
        return set(self.written) == names and set(self.read) == names

    def markdown(self) -> str:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()
        lines = [
            f"`make test-interop` at commit {commit or 'unknown'}, {datetime.date.today()}: chunkwise {__version__},"
            f" Python {platform.python_version()}.",
            "",
            "### What they write, read by chunkwise",
            "",
            *_table(self.versions, self.written, STEPS),
            "",
            "### What chunkwise writes, read by them",
            "",
            *_table(self.versions, self.read, ASPECTS),
        ]
        return "\n".join(lines)

    def write(self) -> None:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{self.markdown()}\n{END}{rest.partition(END)[2]}")


def _table(versions: dict[str, str], rows: dict[str, list[Row]], columns: tuple[str, ...]) -> list[str]:
    lines = [f"| peer | store | {' | '.join(columns)} | remarks |", "|" + "---|" * (len(columns) + 3)]
    for peer in PEERS:
        for row in rows.get(peer.name, []):
            remark = row.remark
            cells = []
            for column in columns:
                word = row.cells.get(column, "")
                if word in ("", "equal", "done", "not told"):
                    cells.append("–" if word == "not told" else word)
                else:
                    cells.append("**no**")
                    remark = "; ".join(part for part in (remark, f"{column}: {word}") if part)
            text = " | ".join([versions.get(peer.name, peer.name), row.what, *cells, remark.replace("|", "\\|")])
            lines.append(f"| {text} |")
    return lines
