"""Every run has a record, whatever its end: kill -9, a signal, a block that fails, a full disk; and goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.blocks.run import Run
from chunkwise.cli import main
from chunkwise.provenance.record import RunRecord
from closed_runs import check_table, close, objects_of, objects_there


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of many small blocks."""
    store = made_stores.write(tmp_path_factory.mktemp("image") / "i.ome.zarr", "0.5", "yx", (112, 112))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (112, 112))
    return store


@pytest.fixture(scope="module")
def undisturbed(image: Path) -> str:
    """Digest of the labels of a run that nothing befell."""
    output = image.parent / "undisturbed.ome.zarr"
    assert main(words(image, output)) == 0
    return made_stores.digest(output)


def words(image: Path, output: Path) -> list[str]:
    return ["segment", str(image), "--block", "8,8", "--shard", "16,16", "--workers", "1", "--output", str(output)]


def start(command: list[str]) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "chunkwise.cli", *command]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], run: Path, name: str, lines: int) -> None:
    """Wait until a pass has got so far."""
    mark = b'"pass":"%s"' % name.encode()
    while sum(segment.read_bytes().count(mark) for segment in (run / "journal").glob("*.jsonl")) < lines:
        assert process.poll() is None, "the run was over before it could be disturbed"
        time.sleep(0.002)


def resume(image: Path, output: Path, undisturbed: str) -> dict[str, Any]:
    """Go on, to the bytes of a run that nothing befell; gives the record."""
    assert main(words(image, output)) == 0
    assert made_stores.digest(output) == undisturbed
    record: dict[str, Any] = json.loads(Path(f"{output}.run/record.json").read_text())
    assert record["status"] == "completed"
    assert RunRecord.from_dict(record).to_dict() == record
    return record


def test_killed_closed_by_the_next_command_and_resumed(image: Path, undisturbed: str, tmp_path: Path) -> None:
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    process = start(words(image, output))
    wait_for(process, run, "write", 20)
    process.kill()
    process.communicate()
    assert not (run / "record.json").exists()
    record, rows = close(run, tmp_path / "killed.zip", strictly=True)
    assert record.status == "failed"
    assert "without an error message" in str(record.error)
    assert record.parameters["threshold"] == "otsu"
    assert [item.name for item in record.inputs] == ["image"]
    check_table(rows, output)
    done = [row for row in rows if row["status"] == "done"]
    last = max(float(row["end"]) for row in done)
    assert datetime.fromisoformat(record.end).timestamp() == pytest.approx(last, abs=0.002)
    assert record.blocks is not None
    assert record.blocks["done"] == len(done) < record.blocks["total"]
    # Closed once, found closed by whoever asks again.
    assert close(output, tmp_path / "again.zip")[0] == record
    content = resume(image, output, undisturbed)
    assert content["blocks"]["resumed"] == 1
    (attempt,) = content["attempts"]
    assert attempt == {key: record.to_dict()[key] for key in ("id", "start", "end", "status", "error")}
    after, rows = close(run, tmp_path / "completed.zip")
    assert (after.status, len(rows)) == ("completed", after.blocks["total"] if after.blocks else 0)


def test_an_object_that_is_not_what_was_written_is_not_counted(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    process = start(words(image, output))
    wait_for(process, run, "write", 12)
    process.kill()
    process.communicate()
    store = tmp_path / "o.ome.zarr.partial"
    gone, changed, truncated = sorted(path for path in store.rglob("c/*/*") if path.is_file())[3:6]
    gone.unlink()
    content = changed.read_bytes()
    changed.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    truncated.write_bytes(truncated.read_bytes()[:-1])
    record, rows = close(run, tmp_path / "crate.zip")
    said, there = objects_of(rows), objects_there(output)
    assert {key: there.get(key) for key in said} == said
    lost = [row["objects"] for row in rows if row["status"] == "lost"]
    assert sorted(lost) == [path.relative_to(store).as_posix() for path in (gone, changed, truncated)]
    assert record.blocks is not None
    assert record.blocks["lost"] == 3
    # The check has teeth: a closer that believes the log counts what is not there.
    believing = Run.table
    monkeypatch.setattr(Run, "table", lambda self, sure=True, named=False: believing(self))
    _, rows = close(run, tmp_path / "mutant.zip")
    with pytest.raises(AssertionError):
        check_table(rows, output)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_stopped_by_a_signal(image: Path, undisturbed: str, tmp_path: Path, number: signal.Signals, name: str) -> None:
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    process = start(words(image, output))
    wait_for(process, run, "label", 30)
    process.send_signal(number)
    process.communicate(timeout=60)
    written = json.loads((run / "record.json").read_text())
    assert written["status"] == "failed"
    assert written["error"] == f"The run was interrupted ({name}); the same command resumes it."
    record, rows = close(run, tmp_path / "crate.zip", strictly=name == "SIGTERM")
    assert (record.id, record.error, record.end) == (written["id"], written["error"], written["end"])
    check_table(rows, output)
    assert [attempt["error"] for attempt in resume(image, output, undisturbed)["attempts"]] == [written["error"]]


def test_a_block_that_fails(image: Path, undisturbed: str, tmp_path: Path) -> None:
    """Twice, so that two attempts are told; a chunk that cannot be read, then mended."""
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    chunk = next(path for path in sorted((image / "0").rglob("c/*/*")) if path.is_file())
    content = chunk.read_bytes()
    try:
        chunk.write_bytes(content[: len(content) // 2])
        for crate in ("first.zip", "second.zip"):
            assert main(words(image, output)) == 4
            record, rows = close(run, tmp_path / crate)
            assert record.status == "failed"
            assert "blocks failed in the pass" in str(record.error)
            check_table(rows, output)
            failed = [row for row in rows if row["status"] == "failed"]
            assert failed
            assert all(row["error"] for row in failed)
            assert record.workers[0]["peak_rss_bytes"]
    finally:
        chunk.write_bytes(content)
    record_after = resume(image, output, undisturbed)
    assert [attempt["status"] for attempt in record_after["attempts"]] == ["failed", "failed"]
    assert record_after["blocks"]["resumed"] == 2
    assert len({record_after["id"], *(attempt["id"] for attempt in record_after["attempts"])}) == 3


def test_a_run_directory_behind_a_link_and_moved(image: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    output = tmp_path / "link" / "o.ome.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkwise.running.stores.StoreRun.complete", _stop)
        assert main([*words(image, output), "--run-dir", str(tmp_path / "link" / "elsewhere")]) == 130
    (tmp_path / "real").rename(tmp_path / "moved")
    _, rows = close(tmp_path / "moved" / "elsewhere", tmp_path / "c.zip")
    check_table(rows, tmp_path / "moved" / "o.ome.zarr", tmp_path / "moved" / "elsewhere")
    assert {row["status"] for row in rows} == {"done"}


def test_a_run_at_work_is_not_closed(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    process = start(words(image, output))
    wait_for(process, run, "rims", 3)
    process.send_signal(signal.SIGSTOP)
    try:
        assert main(["crate", "build", "--from", str(run), "--output", str(tmp_path / "c.zip")]) == 2
    finally:
        process.kill()
        process.communicate()
    assert "Another run is working on" in capsys.readouterr().err
    assert not (tmp_path / "c.zip").exists()
    assert not (run / "record.json").exists()


def test_a_full_disk(image: Path, undisturbed: str, tmp_path: Path, make_disk: Callable[[str], Path]) -> None:
    """Not even the record can be written: the next command closes the run when there is room."""
    small_disk = make_disk("16m")
    output, run = small_disk / "o.ome.zarr", small_disk / "o.ome.zarr.run"
    process = start(words(image, output))
    wait_for(process, run, "rims", 100)
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    process.communicate(timeout=60)
    assert process.returncode == 4
    (small_disk / "filler").unlink()
    record, rows = close(run, tmp_path / "crate.zip")
    assert record.status == "failed"
    check_table(rows, output)
    assert resume(image, output, undisturbed)["blocks"]["resumed"] == 1


def test_measure_has_a_record_of_its_failure_too(image: Path, undisturbed: str, tmp_path: Path) -> None:
    labels = tmp_path / "labels.ome.zarr"
    assert main(words(image, labels)) == 0
    output = tmp_path / "a.tsv"
    command = ["measure", "--labels", str(labels), "--block", "16,16", "--workers", "1", "--output", str(output)]
    chunk = next(path for path in sorted((labels / "0").rglob("c/*/*")) if path.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-5])
    assert main(command) == 4
    record, rows = close(output, tmp_path / "crate.zip")
    assert (record.command, record.status) == ("measure", "failed")
    assert {row["status"] for row in rows} == {"done", "failed"}
    chunk.write_bytes(content)
    assert main(command) == 0
    again = json.loads((tmp_path / "a.tsv.run/record.json").read_text())
    assert [attempt["id"] for attempt in again["attempts"]] == [record.id]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("begun.json", "[", "is damaged: it is not JSON"),
        ("begun.json", "{}", "is not what a run of this chunkwise writes"),
        (
            "begun.json",
            '{"chunkwise_begun": 1, "table": "t", "resumed": "often"}',
            "is not what a run of this chunkwise",
        ),
        ("begun.json", '{"chunkwise_begun": 1, "table": "t", "record": {}}', "is damaged: This is not a run record"),
        ("begun.json", None, "ended before it began its work"),
        ("plan.json", "{}", "is not the plan of a run"),
        ("record.json", "[]", "not a run record"),
    ],
)
def test_a_damaged_run_directory_is_one_sentence(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, said: str
) -> None:
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkwise.running.chains.segment.segment", _stop)
        assert main(words(image, output)) == 130
    if content is None:
        (run / name).unlink()
        (run / "record.json").unlink()
    else:
        (run / name).write_text(content)
    capsys.readouterr()
    assert main(["crate", "build", "--from", str(run), "--output", str(tmp_path / "c.zip")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "c.zip").exists()


def test_ended_between_the_name_of_the_store_and_the_record(image: Path, undisturbed: str, tmp_path: Path) -> None:
    """The store is whole and has its name; what only passes needed is gone; nobody wrote the record."""
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkwise.running.stores.StoreRun.finish", _stop)
        assert main(words(image, output)) == 130
    assert made_stores.digest(output) == undisturbed
    record, rows = close(output, tmp_path / "c.zip")
    assert record.status == "failed"
    assert {row["status"] for row in rows} == {"done"}
    next(path for path in sorted(output.rglob("c/*/*")) if path.is_file()).unlink()
    _, rows = close(run, tmp_path / "hurt.zip")
    assert [row["status"] for row in rows].count("lost") == 1


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_would_fail_again_leaves_its_record_alone(
    image: Path, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that is refused in the middle: what was computed goes, and another command may begin there."""
    from chunkwise.errors import InputError
    from chunkwise.ops import segment as operation

    def refuse(*_: object) -> Callable[..., Any]:
        raise InputError("There are more objects than labels can number.")

    monkeypatch.setattr(operation, "write_labels", refuse)
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    assert main(words(image, output)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.ome.zarr.run"]
    assert sorted(path.name for path in run.iterdir()) == ["plan.json", "record.json"]
    crate = tmp_path / "c.zip"
    assert main(["crate", "build", "--from", str(run), "--output", str(crate)]) == 0
    record = json.loads((run / "record.json").read_text())
    assert (record["status"], record["error"]) == ("failed", "There are more objects than labels can number.")
    monkeypatch.undo()
    assert "attempts" not in resume(image, output, undisturbed)
