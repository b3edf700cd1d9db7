"""The table of blocks of unusual runs."""

from __future__ import annotations

import gzip
from pathlib import Path

from chunkwise.blocks.journal import Journal
from chunkwise.blocks.table import make_table


def test_a_run_may_have_hundreds_of_passes(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "abc")
    for number in range(300):
        journal.append(f"decide-{number}", 0, 0.0, 1.0)
    table, sums = make_table(str(tmp_path), "abc")
    rows = gzip.decompress(table).decode().splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == sorted(f"decide-{number}" for number in range(300))
    assert sums == {"total": 300, "done": 300, "retried": 0, "failed": 0}
