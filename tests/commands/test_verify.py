"""Stores and files that were tampered with in every way: each is noticed, and the object is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import made_stores
from chunkwise.cli import main
from chunkwise.provenance import verify
from chunkwise.storage import kv
from chunkwise.storage.location import resolve
from chunkwise.storage.manifest import Manifest
from chunkwise.storage.objects import Seen
from s3_place import Place
from s3_server import S3
from verifying import DAMAGES, add, ask, complaint, delete, expected, fill, flip, manifest_of, rename, segment, truncate


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_to_what_a_run_wrote_is_named(
    labels: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["l.json"], ["l.zip"], ["r.json"], ["l.ome.zarr", "--against", "l.zip"]):
        code, printed = ask(capsys, *words)
        assert code == 0, printed
        assert printed[0].startswith("same ")
        assert "every byte" in printed[0]
    path = labels / "0" / "c" / "1" / "2"
    lines = expected(labels, path, *DAMAGES[damage](path))
    for words in (["l.json"], ["l.zip"], ["r.json", "--what", "outputs"], ["l.ome.zarr", "--against", "l.zip"]):
        code, printed = ask(capsys, *words)
        assert code == 1
        assert printed[0].startswith("CHANGED ")
        assert [line for line in printed if line.startswith("  ")] == lines
        assert re.fullmatch(r"1 of [12] differs", printed[-1])
    # Without a manifest it is seen all the same, and said that the object cannot be named.
    shutil.rmtree("l.ome.zarr.run")
    code, printed = ask(capsys, "l.json")
    assert code == 1
    assert "there is no manifest to name" in printed[0]
    with zipfile.ZipFile("l.zip") as crate:
        Path("m.tsv.gz").write_bytes(crate.read("manifest-1.tsv.gz"))
    code, printed = ask(capsys, "l.json", "--against", "m.tsv.gz")
    assert (code, printed[1:-1]) == (1, lines)


FORMS: dict[str, dict[str, Any]] = {
    "0.4": {"version": "0.4", "shape": (64, 64)},
    "0.5 in chunks": {"version": "0.5", "shape": (64, 64)},
    "0.5 in shards": {"version": "0.5", "shape": (64, 64), "shards": (32, 32)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_damage_to_an_image_is_named(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = fill(made_stores.write(tmp_path / "whole.ome.zarr", axes="yx", **FORMS[form]))
    words = ["open", "whole.ome.zarr", "--output", "whole.json", "--fingerprint", "full"]
    assert main([*words, "--manifest", "m.tsv.gz"]) == 0
    assert ask(capsys, "whole.json")[0] == 0
    chunks = [path for path in sorted(store.rglob("*")) if re.fullmatch(r"0/(c/)?1[./]1", str(path.relative_to(store)))]
    for damage, hurt in DAMAGES.items():
        copy = tmp_path / f"{damage}.ome.zarr"
        shutil.copytree(store, copy)
        (chunk,) = (copy / path.relative_to(store) for path in chunks)
        lines = expected(copy, chunk, *hurt(chunk))
        for against in (["m.tsv.gz"], ["whole.json", "m.tsv.gz"]):
            code, printed = ask(capsys, copy.name, "--against", *against)
            assert (code, printed[1:-1]) == (1, lines), damage


def test_metadata_documents_count_and_descriptions_do_not(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (labels / "ro-crate-metadata.json").write_text("{}")
    (labels / "0" / "ro-crate-preview.html").write_text("hello")
    assert ask(capsys, "l.json")[0] == 0
    made_stores.change_json(labels / "zarr.json", lambda content: content["attributes"].update({"note": "mine"}))
    code, printed = ask(capsys, "l.json")
    assert (code, [line.split() for line in printed[1:-1]]) == (1, [["truncated", "zarr.json"]])  # written compactly


def test_several_damages_and_the_report(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(labels / "0" / "c" / "0" / "0")
    delete(labels / "0" / "c" / "0" / "1")
    truncate(labels / "zarr.json")
    rename(labels / "0" / "c" / "2" / "2")
    code, printed = ask(capsys, "l.zip", "--json", "report.json")
    assert code == 1
    assert printed[0].endswith(": 1 changed, 1 truncated, 2 missing, 1 added")
    report = json.loads(Path("report.json").read_text())
    assert (report["same"], report["looked_at"], report["different"]) == (False, 2, 1)
    stated = {entry["role"]: entry for entry in report["data"]}
    assert stated["input of segment"]["status"] == "same"
    assert stated["input of segment"]["level"] == "metadata"
    found = stated["output of segment"]
    assert {key: found[key] for key in ("changed", "truncated", "missing", "added", "renamed")} == {
        "changed": ["0/c/0/0"],
        "truncated": ["zarr.json"],
        "missing": ["0/c/0/1", "0/c/2/2"],
        "added": ["0/c/2/99"],
        "renamed": {"0/c/2/99": "0/c/2/2"},
    }
    assert main(["verify", "l.zip", "--json", "report.json"]) == 2, "the report is overwritten"


def test_a_store_that_is_gone(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(labels)
    for words in (["l.json"], ["l.ome.zarr", "--against", "l.zip"]):
        code, printed = ask(capsys, *words)
        assert (code, printed[0].split()[0], printed[-1]) == (1, "MISSING", "1 of 1 differs")


def test_a_copy_elsewhere(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "--labels", "l.json", "--output", "o.tsv", "--workers", "1", "--crate", "o.zip"]) == 0
    shutil.copytree(labels, "copy.ome.zarr")
    shutil.copytree("i.ome.zarr", "other.ome.zarr")
    # Of several stores, the bytes tell which one it is where the name does not.
    assert ask(capsys, "copy.ome.zarr", "--against", "o.zip")[0] == 0
    assert ask(capsys, "o.tsv", "--against", "o.zip")[0] == 0
    # So do those objects that are left, where one was changed.
    assert main(["segment", "l.json", "--threshold", "0", "--output", "again.ome.zarr", "--crate", "again.zip"]) == 0
    assert main(["crate", "build", "--from", "l.zip", "again.zip", "--output", "both.zip"]) == 0
    flip(Path("copy.ome.zarr/0/c/0/1"))
    code, printed = ask(capsys, "copy.ome.zarr", "--against", "both.zip")
    assert (code, printed[1]) == (1, "  changed   0/c/0/1")
    assert re.search(r"/copy\.ome\.zarr \(compared with \S+/l\.ome\.zarr, output of segment\)", printed[0])
    Path("table.tsv").write_bytes(Path("o.tsv").read_bytes() + b"1")
    code, printed = ask(capsys, "table.tsv", "--against", "o.zip")
    assert (code, printed[-1]) == (1, "1 of 1 differs")
    assert "none of them has the name" in complaint(capsys, "other.ome.zarr", "--against", "both.zip")


def test_a_published_crate(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says nothing of places, and all that is needed of the bytes."""
    assert main(["crate", "build", "--from", "l.zip", "--output", "public.zip", "--publish"]) == 0
    assert "does not say where" in complaint(capsys, "public.zip")
    assert ask(capsys, "l.ome.zarr", "--against", "public.zip")[0] == 0
    flip(labels / "0" / "c" / "1" / "1")
    code, printed = ask(capsys, "l.ome.zarr", "--against", "public.zip")
    assert (code, printed[1]) == (1, "  changed   0/c/1/1")


def test_tables_and_chains(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", "--labels", "l.json", "--image", "i.ome.zarr", "--output", "o.tsv", "--workers", "1"]
    assert main([*words, "--reference", "o.json"]) == 0
    assert main(["crate", "build", "--from", "o.json", "l.zip", "--output", "all.zip"]) == 0
    code, printed = ask(capsys, "all.zip")
    assert code == 0
    assert [line.split()[1].rsplit("/", 1)[-1] for line in printed[:-1]] == ["l.ome.zarr", "o.tsv", "i.ome.zarr"]
    assert [ask(capsys, "all.zip", "--what", what)[1][-1] for what in ("result", "outputs", "inputs", "all")] == [
        "The same",
        "All 2 are the same",
        "The same, as far as was compared: not every byte",
        "All 3 are the same, as far as was compared: not every byte of 1",
    ]
    code, printed = ask(capsys, "o.json")
    assert (code, len(printed)) == (0, 2)
    os.truncate("o.tsv", 10)
    code, printed = ask(capsys, "o.json")
    assert code == 1
    assert "truncated: 10 bytes of" in printed[0]
    # The manifest came along from the crate of the first run.
    shutil.rmtree("l.ome.zarr.run")
    flip(labels / "0" / "c" / "1" / "1")
    code, printed = ask(capsys, "all.zip")
    assert (code, printed[1]) == (1, "  changed   0/c/1/1")
    assert printed[-1] == "2 of 3 differ"


@pytest.mark.parametrize("level", ["none", "stat", "sample", "full"])
def test_levels_compare_what_they_say(image: Path, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", "i.ome.zarr", "--output", "i.json", "--fingerprint", level]) == 0
    assert main(["segment", "i.json", "--output", "l.ome.zarr", "--workers", "1", "--record", "r.json"]) == 0
    words = {
        "none": "only its metadata documents",
        "stat": "not their bytes",
        "sample": "256 objects",
        "full": "every byte",
    }
    for source in (["i.json"], ["r.json", "--what", "inputs"]):
        code, printed = ask(capsys, *source)
        assert code == 0
        assert words[level] in printed[0]
    flip(image / "0" / "c" / "0" / "0")  # another time, the same size
    assert ask(capsys, "i.json")[0] == (0 if level == "none" else 1)
    assert ask(capsys, "r.json")[0] == (0 if level == "none" else 1)
    made_stores.change_json(image / "0" / "zarr.json", lambda content: content["attributes"].update({"a": 1}))
    assert ask(capsys, "i.json")[0] == 1
    assert ask(capsys, "r.json", "--what", "inputs")[0] == 1


def test_metadata_are_those_that_were_looked_at(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run looks at the level that it reads; another level's document is none of its business."""
    assert main(segment("l.ome.zarr", "--record", "r.json")) == 0
    assert main(["open", "i.ome.zarr", "--output", "i.json"]) == 0
    made_stores.change_json(image / "1" / "zarr.json", lambda content: content["attributes"].update({"a": 1}))
    assert ask(capsys, "r.json")[0] == 0
    assert ask(capsys, "i.json")[0] == 1


def test_the_checksum_of_dandi_is_noted_and_compared(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", "i.ome.zarr", "--output", "i.json", "--fingerprint", "full", "--dandi"]) == 0
    printed = capsys.readouterr().out
    program = Path(sys.executable).with_name("zarrsum")
    theirs = subprocess.run([program, "local", "i.ome.zarr"], capture_output=True, text=True, check=True).stdout.split()
    assert f"dandi-zarr-checksum: {theirs[-1]}" in printed
    assert main(["segment", "i.json", "--output", "m.ome.zarr", "--workers", "1", "--record", "m.json"]) == 0
    record = json.loads(Path("m.json").read_text())
    assert record["inputs"][0]["fingerprint"]["checksums"] == {"dandi-zarr-checksum": theirs[-1]}
    code, lines = ask(capsys, "m.json", "--dandi", "--what", "inputs")
    assert (code, lines[1]) == (0, f"  dandi-zarr-checksum {theirs[-1]}")
    # It covers what the fingerprint leaves out.
    Path("i.ome.zarr/ro-crate-metadata.json").write_text("{}")
    assert ask(capsys, "i.json")[0] == 0
    code, lines = ask(capsys, "i.json", "--dandi")
    assert code == 1
    assert lines[0].endswith("another checksum") or "no manifest" in lines[0]


# ---- on S3


@pytest.mark.s3
def test_on_s3(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(s3, tmp_path)
    monkeypatch.setenv("CHUNKWISE_SITE", str(place.file))
    monkeypatch.chdir(tmp_path)
    words = ["segment", "images:i.ome.zarr", "--output", "results:l.zarr", "--workers", "1", "--shard", "150,150"]
    assert main([*words, "--reference", "l.json", "--crate", "l.zip"]) == 0
    for source in (["l.json"], ["l.zip"], ["results:l.zarr", "--against", "l.zip", "--dandi"]):
        code, printed = ask(capsys, *source)
        assert code == 0, printed
    assert printed[1].split()[1] == dandi_of(place.files("l.zarr"))
    there = resolve("results:l.zarr", place.site, write=True)
    content = kv.read_key(there, "0/c/0/0") or b""
    kv.remove_keys(there, ["0/c/0/1"])
    kv.put_key(there, "0/c/0/0", content[:-1])
    kv.put_key(there, "0/c/9/9", b"new")
    lines = ["  truncated 0/c/0/0", "  missing   0/c/0/1", "  added     0/c/9/9"]
    for source in (["l.json"], ["l.zip"]):  # with the manifest of the run directory, and of the crate
        code, printed = ask(capsys, *source)
        assert (code, printed[1:4]) == (1, lines)
    kv.remove_keys(there, kv.list_keys(there))
    assert ask(capsys, "l.json")[1][0].startswith("MISSING")


def dandi_of(folder: Path) -> str:
    program = Path(sys.executable).with_name("zarrsum")
    return subprocess.run([program, "local", folder], capture_output=True, text=True, check=True).stdout.split()[-1]


# ---- seen to be caught: each of these would let a damage through


def test_mutant_that_trusts_sizes(
    labels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Manifest.from_bytes(manifest_of("l.ome.zarr.run"), "m").objects
    real = verify.read_objects

    def trusting(*args: Any, **named: Any) -> Any:
        for item in real(*args, **named):
            sha256, size = known.get(item.key, ("", -1))
            yield Seen(item.key, sha256 if size == item.size else item.sha256, item.size, item.md5)

    monkeypatch.setattr(verify, "read_objects", trusting)
    flip(labels / "0" / "c" / "1" / "2")
    assert ask(capsys, "l.json")[0] == 0, "the test of a flipped byte would not notice"


def test_mutant_that_looks_for_what_was_there_only(
    labels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Manifest.from_bytes(manifest_of("l.ome.zarr.run"), "m").objects
    real = verify.object_keys
    monkeypatch.setattr(verify, "object_keys", lambda *args, **named: [k for k in real(*args, **named) if k in known])
    add(labels / "0" / "c" / "1" / "2")
    assert ask(capsys, "l.json")[0] == 0, "the test of an added object would not notice"


def test_mutant_that_takes_any_manifest(
    labels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest of the store as it is now, put beside it, must not say that nothing differs."""
    flip(labels / "0" / "c" / "1" / "2")
    assert main(["open", "l.ome.zarr", "--output", "x.json", "--fingerprint", "full", "--manifest", "now.tsv.gz"]) == 0
    shutil.copy("now.tsv.gz", "l.ome.zarr.run/manifest.tsv.gz")
    code, printed = ask(capsys, "l.json")
    assert code == 1
    assert "there is no manifest to name" in printed[0]
    value = json.loads(Path("l.json").read_text())["fingerprint"]["value"]
    monkeypatch.setattr(Manifest, "digest", property(lambda self: value))
    assert ask(capsys, "l.json")[0] == 0
