"""The one log: a line counts when its checksum fits, and a block when its objects have its hashes."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

import pytest

from begun import begun
from chunkwise.blocks.journal import Entry, Journal, last_time, read_entries
from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run
from chunkwise.blocks.table import COLUMNS
from chunkwise.errors import InputError, ResumableError
from chunkwise.storage.location import Location
from chunkwise.storage.writer import StoredObject, put_object


def test_lines_come_back(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "abc")
    item = StoredObject("0/c/0", "f" * 64, 7)
    written = [journal.append("write", n, 1.5, 2.5, (item,), {"n": n}) for n in range(3)]
    written.append(journal.append("write", 3, 1.5, 2.5, error="a sentence\twith a tab"))
    assert list(read_entries(str(tmp_path), "abc")) == written
    assert list(read_entries(str(tmp_path), "another plan")) == []
    assert written[-1].status == "failed"


def test_lines_of_one_pass_alone(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "abc")
    journal.append("label", 0, 0, 1)
    wanted = journal.append("join", 1, 0, 1)
    journal.append("join-holes", 2, 0, 1, error='it said "pass":"join"')
    journal.append("label", 3, 0, 1, data={"pass": "join"})
    assert list(read_entries(str(tmp_path), "abc", "join")) == [wanted]
    assert list(read_entries(str(tmp_path), "abc", 'jo"in')) == []


def test_the_table_and_the_sums_of_a_run(tmp_path: Path) -> None:
    run = Run(str(tmp_path), Location(str(tmp_path / "store")), "abc")
    assert run.table()[1] == {"total": 0, "done": 0, "retried": 0, "failed": 0}
    journal = Journal(run.journal, "abc")
    item = StoredObject("0/c/0", "f" * 64, 7)
    journal.begin("write", {"count": 8, "grid": [[8, 5], [4, 4], [2, 4]], "each": "block"})
    journal.append("write", 6, 2.5, 3.5, error="one\tsentence")
    journal.append("write", 5, 1.5, 2.5, (item, item))
    journal.append("write", 5, 3.5, 4.5, (item,))
    journal.append("label", 5, 4.5, 5.5)
    content, sums = run.table()
    header, *rows = [line.split("\t") for line in gzip.decompress(content).decode().splitlines()]
    assert header == list(COLUMNS)
    # By pass, then by block, whoever wrote the line and when; the last line about a block is its row.
    assert [row[:6] for row in rows] == [
        ["label", "5", "", "", "done", "1"],
        ["write", "5", "0", "4:6,4:5", "done", "2"],
        ["write", "6", "0", "6:8,0:4", "failed", "1"],
    ]
    assert rows[1][6:] == [journal.worker, "3.500000", "4.500000", "0/c/0", "f" * 64, "7", ""]
    assert rows[2][-1] == "one sentence"
    assert sums == {"total": 9, "done": 2, "retried": 1, "failed": 1}


def test_the_rows_of_the_table_do_not_depend_on_who_did_what_and_when(tmp_path: Path) -> None:
    tables = []
    for number, workers in enumerate((1, 3, 200)):
        folder = tmp_path / str(number)
        lines = [Entry("abc", name, n, "done", (), None, "w", 0, 1) for name in ("z", "a") for n in range(300)]
        Random(number).shuffle(lines)
        (folder / "journal").mkdir(parents=True)
        for position, entry in enumerate(lines):
            with (folder / "journal" / f"w{position % workers}.jsonl").open("ab") as file:
                file.write(entry.line())
        tables.append(Run(str(folder), Location(str(folder)), "abc").table()[0])
    assert tables[0] == tables[1] == tables[2]
    rows = gzip.decompress(tables[0]).decode().splitlines()[1:]
    assert [row.split("\t")[:2] for row in rows] == [[name, str(n)] for name in "az" for n in range(300)]


def test_a_block_whose_object_is_gone_or_another_is_lost(tmp_path: Path) -> None:
    run = _run(tmp_path)
    journal = Journal(run.journal, run.hash)
    for block in range(3):
        journal.append("write", block, 0, 1, (put_object(run.store, f"0/c/{block}", b"voxels"),))
    journal.append("join", 0, 0, 1, (put_object(run.folder, "scratch/a", b"pairs"),))
    assert run.table(sure=False)[1] == {"total": 4, "done": 4, "retried": 0, "failed": 0}
    (tmp_path / "partial/0/c/0").unlink()
    (tmp_path / "partial/0/c/1").write_bytes(b"voxelz")
    (tmp_path / "run/scratch/a").unlink()
    content, sums = run.table(sure=False)
    assert sums == {"total": 4, "done": 1, "retried": 0, "failed": 0, "lost": 3}
    rows = [line.split("\t") for line in gzip.decompress(content).decode().splitlines()[1:]]
    assert [row[COLUMNS.index("status")] for row in rows] == ["lost", "lost", "lost", "done"]
    # The log alone, which a closer must not believe, would say otherwise.
    assert run.table()[1]["done"] == 4


def test_the_last_line_tells_when_a_run_was_last_alive(tmp_path: Path) -> None:
    assert last_time(str(tmp_path), "abc") is None
    journal = Journal(str(tmp_path), "abc")
    journal.append("write", 5, 1.5, 2.5)
    (tmp_path / "other.jsonl").write_bytes(Entry("abc", "label", 0, "done", (), None, "w", 3, 7.25).line() + b'{"torn')
    (tmp_path / "third.jsonl").write_bytes(Entry("another plan", "label", 0, "done", (), None, "w", 3, 99).line())
    assert last_time(str(tmp_path), "abc") == 7.25


@pytest.mark.parametrize("cut", [2, 9, 10, 40])
def test_a_torn_tail_is_left_out_and_the_next_line_counts(tmp_path: Path, cut: int) -> None:
    journal = Journal(str(tmp_path), "abc")
    first = journal.append("label", 0, 0, 1)
    journal.append("label", 1, 0, 1)
    segment = next(tmp_path.glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes()[:-cut])
    again = Journal(str(tmp_path), "abc").append("label", 1, 2, 3)
    assert list(read_entries(str(tmp_path), "abc")) == [first, again]


def test_a_changed_byte_is_left_out() -> None:
    line = Entry("abc", "label", 0, "done", (), None, "w", 0, 1).line()
    assert Entry.parse(line) is not None
    for position in (0, 20, len(line) - 4):
        assert Entry.parse(line[:position] + bytes([line[position] ^ 1]) + line[position + 1 :]) is None


def _run(folder: Path, parameter: int = 0) -> Run:
    return begun(folder, Plan("test", {}, {"p": parameter}, {}))


def test_a_block_counts_only_with_its_bytes(tmp_path: Path) -> None:
    run = _run(tmp_path)
    item = put_object(run.store, "0/c/0", b"voxels")
    Journal(run.journal, run.hash).append("write", 0, 0, 1, (item,))
    assert run.done("write", 2)[0].tolist() == [True, False]
    (tmp_path / "partial/0/c/0").write_bytes(b"voxelz")
    assert run.done("write", 2)[0].tolist() == [False, False]
    (tmp_path / "partial/0/c/0").unlink()
    assert run.done("write", 2)[0].tolist() == [False, False]


def test_a_run_goes_on_only_with_its_own_plan(tmp_path: Path) -> None:
    _run(tmp_path)
    assert _run(tmp_path).hash == _run(tmp_path).hash
    with pytest.raises(InputError, match="other parameters"):
        _run(tmp_path, 1)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists"):
        _run(tmp_path)


def test_writing_where_a_file_is_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResumableError, match="cannot be written"):
        put_object(str(tmp_path), "file/0", b"")
