"""Locks that many processes want at once."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from chunkwise.errors import ResumableError
from chunkwise.storage import lock

#: How often each process takes the lock, which is let go of at once.
OFTEN = 1000


def _take_and_let_go(path: str) -> list[str]:
    faults = []
    for _ in range(OFTEN):
        try:
            with lock.held(path, ResumableError("busy"), patience=60):
                pass
        except Exception as error:
            faults.append(repr(error))
    return faults


def test_a_lock_that_changes_hands_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at its name the file may go away: another had it, and has ended."""
    monkeypatch.setattr(lock, "AGAIN", 0.0)
    with multiprocessing.get_context("fork").Pool(6) as pool:
        assert pool.map(_take_and_let_go, [str(tmp_path / "x.lock")] * 6) == [[]] * 6
    assert not list(tmp_path.iterdir())
