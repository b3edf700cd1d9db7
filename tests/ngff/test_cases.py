"""Small stores that stopped the whole once, made and opened by the commands in their own READMEs."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main

CASES = Path(__file__).parents[3] / "shared" / "cases"

#: What each command says, in the order of the README; one that is refused is refused with this.
EXPECTED = {
    "02-unit-pixel": ["'pixel', which is not among", "' ', which is not among", "axes[0].unit has to be text"],
    "03-axes-without-type": ["c 1, y 40, x 64", "c 1, z 1, y 40, x 64", "z 1, y 40, x 64"],
    "04-one-broken-well-stops-the-plate": [
        "2 wells, 1 field", "2 wells, 1 field", "2 wells, 1 field", "one of its fields: A/1/0.", "y 40, x 64"
    ],
    "09-omero-without-display-values": ["color is missing", "window is missing", "window.start is missing"],
    "11-level-path-with-leading-slash": ["is read as '0', inside the group"],
    "12-ome-zarr-py-labels-not-listed": ["labels: ome.version is missing; it is read as 0.5", ""],
}  # fmt: skip
REFUSED = {("04-one-broken-well-stops-the-plate", 3)}


@pytest.mark.skipif(not CASES.exists(), reason="the cases in ../shared are not there")
@pytest.mark.parametrize("name", EXPECTED)
def test_the_commands_of_a_case(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name.startswith("12"):
        pytest.importorskip("ome_zarr", reason="the case is made by ome-zarr-py")
    folder = tmp_path / name
    shutil.copytree(CASES / name, folder)
    folder.chmod(0o755)
    monkeypatch.chdir(folder)
    subprocess.run([sys.executable, "make.py"], check=True, capture_output=True)
    lines = [line.partition("#")[0] for line in Path("README").read_text().splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("chunkwise ")]
    assert len(commands) == len(EXPECTED[name])
    for number, (words, expected) in enumerate(zip(commands, EXPECTED[name], strict=True)):
        assert main(words) == (2 if (name, number) in REFUSED else 0), words
        told = capsys.readouterr()
        assert expected in told.out + told.err
    if name.startswith("12"):
        summary = json.loads(Path("x.json").read_text())
        assert [label["name"] for label in summary["labels"]] == ["nuc"]
        document: Any = json.loads(Path("oz.ome.zarr/labels/zarr.json").read_text())
        assert document["attributes"]["ome"] == {"version": "0.5", "labels": ["nuc", "mine"]}
