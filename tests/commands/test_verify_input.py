"""What cannot be verified gets one sentence: what was edited, is something else, or lies where nobody may look."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import made_stores
from chunkwise.cli import main
from verifying import ask, complaint, manifest_of


def rewrite(path: str, change: Callable[[Any], None]) -> None:
    made_stores.change_json(Path(path), change)


def replaced(crate: str, target: str, name: str, content: bytes) -> None:
    """Copy a crate with one of its files replaced, or added."""
    with zipfile.ZipFile(crate) as old, zipfile.ZipFile(target, "w") as new:
        for other in old.namelist():
            new.writestr(other, content if other == name else old.read(other))
        if name not in old.namelist():
            new.writestr(name, content)


def test_a_reference_that_was_edited(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path("l.json").read_text()
    rewrite("l.json", lambda content: content["fingerprint"].update({"value": "0" * 64}))
    assert "give different fingerprints for it" in complaint(capsys, "l.json")
    Path("l.json").write_text(whole)
    for change in ({"value": "short"}, {"level": "all"}, {"algorithm": "md5"}, {"level": "sample", "sample": 0}):
        rewrite("l.json", lambda content, change=change: content["fingerprint"].update(change))
        assert "does not know the kind of fingerprint" in complaint(capsys, "l.json")
        Path("l.json").write_text(whole)
    rewrite("l.json", lambda content: content["store"].update({"path": str(labels.parent / "i.ome.zarr")}))
    assert ask(capsys, "l.json")[0] == 1
    rewrite("l.json", lambda content: content["store"].update({"path": "/etc"}))
    assert main(["verify", "l.json"]) == 3


def test_a_crate_that_was_edited(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("l.zip") as crate:
        record = crate.read("records/segment-1.json")
        damaged = crate.read("manifest-1.tsv.gz")[:-5]
    replaced("l.zip", "a.zip", "records/segment-1.json", record.replace(b'"sigma": 1.0', b'"sigma": 2.0'))
    assert "is not the file that the crate describes" in complaint(capsys, "a.zip")
    replaced("l.zip", "b.zip", "manifest-1.tsv.gz", damaged)
    assert "is not the file that the crate describes" in complaint(capsys, "b.zip")
    replaced("l.zip", "c.zip", "records/segment-2.json", record)
    assert "files that its metadata do not describe" in complaint(capsys, "c.zip")
    replaced("l.zip", "d.zip", "ro-crate-metadata.json", b"{")
    assert "are not those of a crate" in complaint(capsys, "d.zip")
    with zipfile.ZipFile("e.zip", "w") as other:
        other.writestr("hello.txt", "hello")
    assert "is not a crate" in complaint(capsys, "e.zip")
    Path("f.zip").write_bytes(Path("l.zip").read_bytes()[:-30])
    assert main(["verify", "f.zip"]) == 2
    # Unpacked it is a crate, too.
    with zipfile.ZipFile("l.zip") as archive:
        archive.extractall("unpacked")
    assert ask(capsys, "unpacked")[0] == 0


def test_other_input_gets_one_sentence(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"a": 1}')
    Path("empty.json").write_text("")
    assert "is not JSON" in complaint(capsys, "broken.json")
    assert "is not JSON" in complaint(capsys, "empty.json")
    assert "not a reference, run record or crate" in complaint(capsys, "other.json")
    assert "There is nothing at nothing.zip" in complaint(capsys, "nothing.zip")
    assert "Nothing says what l.ome.zarr should be" in complaint(capsys, "l.ome.zarr")
    assert "no file nothing.zip" in complaint(capsys, "l.ome.zarr", "--against", "nothing.zip")
    assert "takes one" in complaint(capsys, "l.ome.zarr", "--against", "l.zip", "l.json")
    assert "is a manifest" in complaint(capsys, "l.ome.zarr.run/manifest.tsv.gz")
    Path("m.tsv.gz").write_bytes(manifest_of("l.ome.zarr.run")[:-9])
    assert "is not a manifest" in complaint(capsys, "l.ome.zarr", "--against", "m.tsv.gz")
    main(["open", "i.ome.zarr", "--output", "i.json", "--fingerprint", "full", "--manifest", "i.tsv.gz"])
    assert "belongs to another store" in complaint(capsys, "l.json", "--against", "i.tsv.gz")
    assert "add --fingerprint full" in _open_complaint(capsys, "--manifest", "x.tsv.gz")
    assert "add --fingerprint full" in _open_complaint(capsys, "--dandi", "--fingerprint", "stat")
    Path("unreadable").mkdir()
    reference = json.loads(Path("i.json").read_text()) | {"fingerprint": {}}
    Path("none.json").write_text(json.dumps(reference))
    assert "no fingerprint of it was taken" in complaint(capsys, "none.json")


def _open_complaint(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    capsys.readouterr()
    assert main(["open", "i.ome.zarr", "--output", "x.json", *more]) == 2
    assert not Path("x.json").exists()
    return capsys.readouterr().err


def test_places_outside_are_not_looked_at(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a site file, what a file names is looked at below the working directory only; what is typed, anywhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for source in ("../l.json", "../l.zip", "../r.json"):
        assert main(["verify", source]) == 3
        assert "is outside the working directory" in capsys.readouterr().err
    assert ask(capsys, "../l.ome.zarr", "--against", "../l.zip")[0] == 0
