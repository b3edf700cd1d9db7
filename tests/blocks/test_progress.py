"""The progress line: how far, how fast, how much longer; often at first, seldom later."""

from __future__ import annotations

from typing import Any

import pytest

from chunkwise.blocks import progress as module
from chunkwise.blocks.progress import Progress


def test_a_log_grows_slower_and_slower(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    line = Progress("label", 1000, voxels=2 * 10**9, skipped=100)
    for _ in range(900):
        now += 1.0
        line.advance(1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "label      100 of 1000 blocks were already done"
    assert said[1].split() == ["label", "101/1000", "blocks", "1.0", "blocks/s", "2.0", "Mvoxel/s", "left", "14:59"]
    assert said[-1].split()[-2:] == ["took", "15:00"]
    # After 1, 3, 7, 15, 31 seconds, and then every half minute.
    assert len(said) == 1 + 5 + (900 - 31) // 30 + 1
