"""Every block of code in docs/python.md runs, one after the other."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test-data").symlink_to(ROOT / "test-data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == PAGE.read_text().count("```") // 2, "a block that does not run"
    names: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(blocks):
        file = f"<python.md, block {number}>"
        linecache.cache[file] = (len(block), None, block.splitlines(keepends=True), file)  # as notebooks do
        exec(compile(block, file, "exec"), names)
    printed = capsys.readouterr().out
    promised = re.findall(r"^ *print\(.*\)  # (.*?)(?: \.\.\..*)?$", PAGE.read_text(), re.MULTILINE)
    assert len(promised) == 4
    for said in promised:
        assert said in printed
