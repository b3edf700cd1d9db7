"""Runs: what belongs to somebody else stays, and a result is never thrown away."""

from __future__ import annotations

from pathlib import Path

import pytest

from begun import begun
from chunkwise.blocks.run import RECORD
from chunkwise.errors import InputError, ResumableError


def test_a_folder_of_other_things_is_no_finished_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RECORD).write_text("a record that somebody keeps here")
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not empty"):
        begun(tmp_path)
    assert (tmp_path / "run" / "thesis.txt").exists()
    assert (tmp_path / "run" / RECORD).exists()


@pytest.mark.parametrize("ending", ["abandoned", "done"])
def test_what_somebody_put_into_the_run_directory_stays(tmp_path: Path, ending: str) -> None:
    run = begun(tmp_path)
    (tmp_path / "run" / "journal").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    if ending == "abandoned":
        run.abandon()
    else:
        (tmp_path / "run" / RECORD).write_text("{}")
        (tmp_path / "partial").rmdir()
        with pytest.raises(InputError, match="exists and is not empty"):
            begun(tmp_path)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_nothing_is_left_of_an_abandoned_run(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (tmp_path / "run" / "scratch").mkdir()
    run.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_result_whose_name_was_taken_is_kept_for_the_next_try(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(ResumableError, match="is kept in"):
        run.finish(str(tmp_path / "out"))
    assert (tmp_path / "partial").is_dir()
    (tmp_path / "out").rmdir()
    run.finish(str(tmp_path / "out"))
    assert (tmp_path / "out").is_dir()
