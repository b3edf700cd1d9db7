"""Commands with chains of their own: stopped in the middle, gone on with, and the same bytes as undisturbed.

Those of kernels are in ``tests/operations/test_runs.py``; segmentation is killed in every phase in ``test_kill.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import made_stores
from chain_runs import COMMANDS, made_by, words_of, write_world
from chunkwise.cli import main
from killing import at_line


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
