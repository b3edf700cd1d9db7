"""The one log: a line counts when its checksum fits, and a block when its objects have its hashes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from chunkwise.blocks.journal import Entry, Journal, read_entries
from chunkwise.blocks.run import Plan, Run
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
    journal = Journal(run.journal, "abc")
    item = StoredObject("0/c/0", "f" * 64, 7)
    journal.append("write", 5, 1.5, 2.5, (item, item))
    journal.append("write", 6, 2.5, 3.5, error="one\tsentence")
    journal.append("write", 5, 3.5, 4.5, (item,))
    journal.append("label", 5, 4.5, 5.5)
    header, *rows = [line.split("\t") for line in gzip.decompress(run.block_table()).decode().splitlines()]
    assert [row[header.index("pass")] for row in rows] == ["write", "write", "write", "label"]
    assert rows[0] == [
        *("write", "5", "done", journal.worker, "1.500000", "2.500000"),
        *("0/c/0,0/c/0", f"{'f' * 64},{'f' * 64}", "14", ""),
    ]
    assert rows[1][-1] == "one sentence"
    assert run.summary() == {"total": 2, "done": 2, "retried": 1, "failed": 1}


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
    plan = Plan("test", {}, {"p": parameter}, {})
    return Run.start(plan, str(folder / "run"), str(folder / "out"), str(folder / "out.partial"))


def test_a_block_counts_only_with_its_bytes(tmp_path: Path) -> None:
    run = _run(tmp_path)
    item = put_object(run.store, "0/c/0", b"voxels")
    Journal(run.journal, run.hash).append("write", 0, 0, 1, (item,))
    assert run.done("write", 2)[0].tolist() == [True, False]
    (tmp_path / "out.partial/0/c/0").write_bytes(b"voxelz")
    assert run.done("write", 2)[0].tolist() == [False, False]
    (tmp_path / "out.partial/0/c/0").unlink()
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
