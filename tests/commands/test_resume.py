"""Commands with chains of their own: stopped in the middle, gone on with, and the same bytes as undisturbed.

Those of kernels are in ``tests/operations/test_runs.py``; segmentation is killed in every phase in ``test_kill.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import made_stores
from chain_runs import COMMANDS, made_by, words_of, write_world
from chunkwise.cli import main
from chunkwise.errors import ResumableError
from chunkwise.provenance.collect import read_records
from killing import at_line
from operations.harness import write_image


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_was_stopped_gives_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)

    def run(output: str, *more: str) -> int:
        return main([*words_of(name, output), "--workers", "1", *more])

    def stop() -> None:
        raise KeyboardInterrupt

    found, whole = made_by(name, tmp_path / "o"), made_by(name, tmp_path / "whole")
    with monkeypatch.context() as stopped:
        at_line(stopped, 4, stop)
        assert run("o") == 130
    assert not found.exists()
    assert run("o", "--record", "r.json") == 0
    assert json.loads(Path("r.json").read_text())["blocks"]["resumed"] > 0
    assert run("whole") == 0
    if found.is_dir():
        assert made_stores.digest(found) == made_stores.digest(whole)
    else:
        assert found.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("command", "other"),
    [("convert image --output o", "--shard=16,16"), ("measure --labels image --output o.tsv", "--properties=area")],
)
def test_reports_that_were_not_written_are_written_by_the_same_command(
    command: str,
    other: str,
    tmp_path: Path,
    make_disk: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "image", np.arange(48 * 56, dtype=np.uint16).reshape(48, 56), "yx")
    disk = make_disk("64k")
    (disk / "fill").write_bytes(bytes(60 * 1024))
    words = [*command.split(), "--workers", "1", "--record", "r.json", "--crate", str(disk / "c.zip")]
    assert main(words) == ResumableError.exit_code
    (disk / "fill").unlink()
    before = made_stores.digest(tmp_path / "o") if (tmp_path / "o").exists() else Path("o.tsv").read_bytes()
    capsys.readouterr()
    assert main([*words, "--reference", "ref.json"]) == 0
    assert "was whole already" in capsys.readouterr().out
    after = made_stores.digest(tmp_path / "o") if (tmp_path / "o").exists() else Path("o.tsv").read_bytes()
    assert before == after
    ids = {record.id for name in ("r.json", "ref.json", disk / "c.zip") for record in read_records(name)}
    assert ids == {json.loads(Path("r.json").read_text())["id"]}
    assert main(words) == 2  # nothing is lacking any more
    Path("r.json").unlink()
    assert main([*words, other]) == 2  # and this is another run
    assert not Path("r.json").exists()


@pytest.mark.parametrize("command", ["fetch image --output o.tiff", "overlay image --labels image --output o.png"])
def test_a_file_whose_reports_were_not_written_is_made_again(
    command: str, tmp_path: Path, make_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "image", np.arange(48 * 56, dtype=np.uint16).reshape(48, 56), "yx")
    disk = make_disk("64k")
    (disk / "fill").write_bytes(bytes(60 * 1024))
    words = [*command.split(), "--record", "r.json", "--crate", str(disk / "c.zip")]
    assert main(words) == ResumableError.exit_code
    (disk / "fill").unlink()
    assert main(words) == 0
    assert (disk / "c.zip").stat().st_size > 0
