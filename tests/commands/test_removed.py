"""Folders that somebody removes while a command is at work in them: one sentence, and never a result with holes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import made_stores
from chunkwise.blocks.job import Workers
from chunkwise.cli import main

COMMANDS = {
    "segment": ["segment", "i.ome.zarr", "--shard", "32,32", "--workers", "1", "--output", "d/o.ome.zarr"],
    "fetch": ["fetch", "i.ome.zarr", "--shard", "32,32", "--workers", "1", "--output", "d/o.ome.zarr"],
    "measure": ["measure", "--labels", "l.ome.zarr", "--image", "i.ome.zarr", "--workers", "1", "--output", "d/o.tsv"],
    "compare": ["compare", "l.ome.zarr", "l.ome.zarr", "--workers", "1", "--output", "d/o.json"],
}


@pytest.mark.usefixtures("labels")
@pytest.mark.parametrize(
    ("command", "which"),
    [(command, which) for command in COMMANDS for which in ("all", "run")]
    + [(command, which) for command in ("segment", "fetch") for which in ("partial", "some")],
)
def test_what_is_removed_in_the_middle(
    tmp_path: Path, command: str, which: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, folder = COMMANDS[command], tmp_path / "d"
    output = folder / words[-1].removeprefix("d/")
    folder.mkdir()
    assert main(words) == 0
    whole = made_stores.digest(output) if output.is_dir() else output.read_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    note = Workers.add

    def remove(workers: Workers, report: Any) -> None:
        """When the first blocks are done; of a store that grows, when its voxels are written."""
        note(workers, report)
        partial = output.with_name(f"{output.name}.partial")
        written = sorted(path for path in partial.rglob("c/*/*") if path.is_file())
        if which in ("partial", "some") and not written:
            return
        monkeypatch.setattr(Workers, "add", note)
        if which == "some":
            written[0].unlink()
        else:
            shutil.rmtree({"all": folder, "run": f"{output}.run", "partial": partial}[which])

    monkeypatch.setattr(Workers, "add", remove)
    capsys.readouterr()
    assert main(words) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert ("was removed during the run" if which in ("all", "run") else "were removed by something else") in said
    assert not output.exists()
    folder.mkdir(exist_ok=True)
    assert main(words) == 0, capsys.readouterr().err
    assert whole == (made_stores.digest(output) if output.is_dir() else output.read_bytes())
