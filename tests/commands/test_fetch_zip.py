"""Pieces as one zip file: what RFC-9 asks for, the same bytes whenever they are written, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore as ts
import zarr

from chunkwise.cli import main
from chunkwise.commands import open as open_command
from chunkwise.running.stores import StoreRun
from chunkwise.storage import zip_writer
from made_stores import digest, write
from verifying import fill


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return fill(write(tmp_path / "i.ome.zarr", "0.4", "yx", (600, 500), chunk=100))


def fetch(output: str, *words: str) -> int:
    return main(["fetch", "i.ome.zarr", "--output", output, "--shard", "128,128", "--workers", "1", *words])


@pytest.mark.usefixtures("store")
def test_what_is_written_is_as_the_specification_recommends() -> None:
    assert fetch("p.ozx", "--reference", "p.json", "--crate", "c.zip") == 0
    assert fetch("p.ome.zarr") == 0
    with zipfile.ZipFile("p.ozx") as packed:
        entries, comment = packed.infolist(), packed.comment
        files = {entry.filename: packed.read(entry) for entry in entries}
    names = [entry.filename for entry in entries]
    documents = [name for name in names if name.endswith("zarr.json")]
    assert documents == ["zarr.json", "0/zarr.json", "1/zarr.json", "2/zarr.json"]
    assert names[: len(documents)] == documents
    assert [entry.header_offset for entry in entries] == sorted(entry.header_offset for entry in entries)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.extract_version for entry in entries} == {zipfile.ZIP64_VERSION}
    assert json.loads(comment) == {"ome": {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}}
    folder = Path("p.ome.zarr")
    assert files == {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    left = {"c.zip", "i.ome.zarr", "p.json", "p.ome.zarr", "p.ome.zarr.run", "p.ozx", "p.ozx.run"}
    assert set(os.listdir()) == left
    assert oct(os.stat("p.ozx").st_mode & 0o777) == oct(0o666 & ~_mask())


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_others_open_it_and_find_the_same_voxels(store: Path, tmp_path: Path) -> None:
    assert fetch("p.ozx", "--region", "7:590,0:500") == 0
    expected = np.asarray(zarr.open_array(store / "0", mode="r")[7:590])
    group: Any = zarr.open_group(zarr.storage.ZipStore(tmp_path / "p.ozx", mode="r"), mode="r")
    assert (group["0"][...] == expected).all()
    base = {"driver": "file", "path": str(tmp_path / "p.ozx")}
    spec = {"driver": "zarr3", "kvstore": {"driver": "zip", "base": base, "path": "0/"}}
    assert (ts.open(spec).result().read().result() == expected).all()
    assert main(["fetch", "p.ozx", "--output", "again.ome.zarr", "--format", "zarr", "--shard", "128,128"]) == 0
    assert (np.asarray(zarr.open_array("again.ome.zarr/0", mode="r")) == expected).all()


@pytest.mark.usefixtures("store")
def test_the_same_piece_has_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("a/p.ozx", ()),
        ("b/p.ozx", ("--block", "50,70")),
        ("c/p.ome.zarr.zip", ()),
        ("d/p", ("--format", "ozx")),
    ):
        os.makedirs(os.path.dirname(name))
        assert fetch(name, *words) == 0
        assert Path(name).read_bytes() == Path("a/p.ozx").read_bytes()
    capsys.readouterr()


@pytest.mark.usefixtures("store")
def test_what_stands_for_it_leads_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch("p.ozx", "--reference", "p.json", "--crate", "c.zip", "--record", "r.json") == 0
    assert main(["inspect", "p.json"]) == 0
    for data in ("p.json", "c.zip", "r.json"):
        assert main(["verify", data]) == 0
    assert main(["crate", "validate", "c.zip"]) == 0
    assert main(["segment", "p.json", "--output", "l.ozx", "--workers", "1", "--overlay", "o.png"]) == 0
    assert zipfile.is_zipfile("l.ozx")
    assert main(["segment", "i.ome.zarr", "--output", "l.ome.zarr", "--workers", "1"]) == 0
    group: Any = zarr.open_group(zarr.storage.ZipStore("l.ozx", mode="r"), mode="r")
    assert (group["0"][...] == np.asarray(zarr.open_array("l.ome.zarr/0", mode="r"))).all()
    # What is changed in it is named.
    whole = bytearray(Path("p.ozx").read_bytes())
    whole[whole.index(b'"scale"')] ^= 1
    Path("p.ozx").write_bytes(whole)
    capsys.readouterr()
    assert main(["verify", "p.json"]) == 2
    assert "The entry 'zarr.json' of the zip file" in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_a_full_disk_leaves_nothing_under_the_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copyfileobj

    def full(source: Any, target: Any, piece: int) -> None:
        if os.readlink(f"/proc/self/fd/{source.fileno()}").endswith("c/0/0"):
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target, piece)

    with monkeypatch.context() as patched:
        patched.setattr(zip_writer.shutil, "copyfileobj", full)
        assert fetch("p.ozx") == 4
    assert "p.ozx could not be written: No space left on device" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["i.ome.zarr", "p.ozx.partial", "p.ozx.run"]
    Path(".p.ozx.killed_1.part").write_bytes(b"what a killed run left")
    assert fetch("p.ozx") == 0
    assert json.loads(Path("p.ozx.run/record.json").read_text())["blocks"]["resumed"] == 1
    assert sorted(os.listdir()) == ["i.ome.zarr", "p.ozx", "p.ozx.run"]
    assert fetch("q.ozx") == 0
    assert Path("p.ozx").read_bytes() == Path("q.ozx").read_bytes()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_what_somebody_put_there_is_not_packed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Of a folder a link stays a link; packed, it would be what it leads to."""
    Path("secret").write_text("secret")
    listed = zip_writer._in_order

    def plant(folder: str) -> list[str]:
        place = Path(folder, "0", "x")
        if what == "link":
            place.symlink_to(Path("secret").resolve())
        elif what == "pipe":
            os.mkfifo(place)
        keys = listed(folder)
        if what == "folder":
            place.parent.rename("moved")
            place.parent.symlink_to(Path("moved").resolve())
        return keys

    monkeypatch.setattr(zip_writer, "_in_order", plant)
    assert fetch("p.ozx") == (2 if what == "pipe" else 3)
    assert capsys.readouterr().err.splitlines()[-1].startswith("chunkwise fetch: error: The file ")
    assert not Path("p.ozx").exists()


def test_where_none_is_written(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        f'[roots.here]\npath = "{tmp_path}"\naccess = "write"\n'
        '[roots.far]\nurl = "s3://bucket/x"\naccess = "write"\ncredentials = "anonymous"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    for words, said in (
        (["--to-workspace", "p.ozx"], "A zip file can be written only with --output"),
        (
            ["--output", "far:p.ozx"],
            "is a URL, and a zip file can be written only to a folder on this machine; give a path.",
        ),
    ):
        assert main(["fetch", str(store), *words]) == 2
        assert said in capsys.readouterr().err
    before = digest(store)
    assert main(["segment", str(store), "--into-source", "l.ozx"]) == 2
    assert digest(store) == before


@pytest.mark.usefixtures("store")
def test_a_run_that_was_killed_after_the_naming_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks are done: the file is there when all of it is."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StoreRun, "finish", killed)
        assert fetch("p.ozx") != 0
    assert zipfile.is_zipfile("p.ozx")
    assert main(["crate", "build", "--from", "p.ozx", "--output", "k.zip"]) == 0
    blocks = json.loads(Path("p.ozx.run/record.json").read_text())["blocks"]
    assert (blocks["total"], blocks["done"], blocks.get("lost", 0)) == (28, 28, 0)


@pytest.mark.usefixtures("store")
def test_one_with_a_folder_at_its_top_is_refused_strictly(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch("p.ome.zarr") == 0
    shutil.make_archive("p", "zip", ".", "p.ome.zarr")
    capsys.readouterr()
    assert main(["open", "p.zip", "--output", "p.json"]) == 0
    assert "(RFC-9) requires it at the top" in capsys.readouterr().out
    if "--strict" not in Path(open_command.__file__).read_text():
        pytest.skip("there is no --strict yet")
    assert main(["open", "p.zip", "--output", "s.json", "--strict"]) == 2
    assert "(RFC-9) requires it at the top" in capsys.readouterr().err
    assert fetch("p.ozx") == 0
    assert main(["open", "p.ozx", "--output", "s.json", "--strict"]) == 0
