"""``chunkwise convert`` of plates, collections and lists: every image, one failure at a time, and none done twice."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models.v05.hcs import HCS

import made_stores
from chunkwise.cli import main
from chunkwise.ngff.read import check_strictly, open_store
from chunkwise.storage.location import Location
from foreign_files import noise
from killing import at_line

SHARED = Path(__file__).parents[3] / "shared/data"
FIELDS = ("A/1/0", "A/1/1", "B/2/0", "B/2/1")


def voxels(store: Path, path: str) -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / path, mode="r")[...])


def group(path: Path, version: str, block: dict[str, Any], **others: Any) -> None:
    said = block if version == "0.4" else {"ome": {"version": "0.5", **block}}
    zarr.open_group(path, mode="a", zarr_format=2 if version == "0.4" else 3).attrs.update(said | others)


def image(path: Path, version: str) -> None:
    made_stores.write(path, version, "cyx", (2, 30, 40), entry=made_stores.multiscale("cyx", 1))
    array: Any = zarr.open_array(path / "0", mode="r+")
    array[...] = noise(array.shape, "uint16") % (7 + sum(map(ord, path.name)))


def plate(folder: Path, version: str = "0.4") -> Path:
    """Two wells of two fields; one field has labels, and the plate a file beside it."""
    store, named = folder / "plate.ome.zarr", {"version": "0.4"} if version == "0.4" else {}
    wells = [{"path": f"{row}/{n + 1}", "rowIndex": n, "columnIndex": n} for n, row in enumerate("AB")]
    names = {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}]}
    group(store, version, {"plate": {"name": "P", **names, "wells": wells, "robot": 3, **named}}, lab="here")
    for well in ("A/1", "B/2"):
        group(store / well, version, {"well": {"images": [{"path": "0"}, {"path": "1"}], **named}})
    for path in FIELDS:
        image(store / path, version)
    labels = store / "A/1/0/labels"
    group(labels, version, {"labels": ["cells"]})
    made_stores.write(
        labels / "cells", version, "yx", (30, 40), entry=made_stores.multiscale("yx", 1), extra={"image-label": {}}
    )
    (store / "notes.txt").write_text("of the plate")
    return store


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source, output = plate(tmp_path, version), tmp_path / "o.ome.zarr"
    reports = ["--crate", "c.zip", "--record", "r.json", "--reference", "p.json"]
    assert main(["convert", str(source), "--output", str(output), *reports]) == 0
    for path in FIELDS:
        np.testing.assert_array_equal(voxels(output, f"{path}/0"), voxels(source, f"{path}/0"), path)
    assert (output / "A/1/0/labels/cells/0/zarr.json").exists()
    assert (output / "notes.txt").read_text() == "of the plate"
    attributes = json.loads((output / "zarr.json").read_text())["attributes"]
    assert attributes["lab"] == "here"
    assert attributes["ome"]["plate"]["robot"] == 3
    assert attributes["ome"]["plate"]["version"] == "0.5"
    for path in ("", "A/1", "A/1/0", "B/2"):
        check_strictly(open_store(Location(str(output / path))))
    models = HCS.from_zarr(zarr.open_group(output, mode="r"))
    assert models.n_wells == 2
    results = json.loads(Path("r.json").read_text())["results"]
    compared = {name: count for name, count in results["compared"].items() if name != "blocks"}
    assert compared == {"voxels": 4 * 2400 + 1200, "different": 0, "images": 4}
    assert results["carried"] == {"label_images": 1, "files": 1}
    assert main(["crate", "validate", "c.zip"]) == 0
    assert main(["verify", "c.zip"]) == 0
    assert main(["inspect", "p.json"]) == 0
    (output / "B/2/0/0/zarr.json").write_text("{}")
    assert main(["verify", "c.zip"]) != 0


def test_a_field_that_fails_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = plate(tmp_path), tmp_path / "o.ome.zarr"
    whole = ["convert", str(source), "--output", str(tmp_path / "whole.ome.zarr")]
    assert main(whole) == 0
    spoilt = source / "A/1/1/0/.zarray"
    content = spoilt.read_bytes()
    spoilt.write_bytes(content[:20])
    assert main(["convert", str(source), "--output", str(output)]) == 4
    said = capsys.readouterr().err
    assert "1 of 4 images failed (A/1/1: The metadata " in said
    assert "4 of 4: B/2/1: written" in said
    assert not output.exists()
    spoilt.write_bytes(content)
    # What somebody did to an image that was done is not taken over.
    shard = next((tmp_path / "o.ome.zarr.partial/B/2/0/0/c").rglob("0"))
    next(path for path in [shard, *shard.rglob("*")] if path.is_file()).write_bytes(b"other")
    assert main(["convert", str(source), "--output", str(output)]) == 0
    said = capsys.readouterr().err
    assert [f"{path}: already there" in said for path in FIELDS] == [True, False, False, True]
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")
    assert not (tmp_path / "o.ome.zarr.partial").exists()


def test_a_plate_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    source, output = plate(tmp_path), tmp_path / "o.ome.zarr"
    with monkeypatch.context() as patch:
        at_line(patch, 9, stop)
        assert main(["convert", str(source), "--output", str(output)]) == 130
    assert not output.exists()
    assert main(["convert", str(source), "--output", str(output), "--shard", "16,16"]) == 2
    assert "holds an unfinished run with another input or other parameters" in capsys.readouterr().err
    assert main(["convert", str(source), "--output", str(output)]) == 0
    assert "A/1/0: already there" in capsys.readouterr().err
    assert main(["convert", str(source), "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_the_record_of_a_plate_may_be_written_later(
    tmp_path: Path, make_disk: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = make_disk("64k")
    (disk / "fill").write_bytes(bytes(60 * 1024))
    words = ["convert", str(plate(tmp_path)), "--output", str(tmp_path / "o"), "--crate", str(disk / "c.zip")]
    assert main(words) == 4
    (disk / "fill").unlink()
    assert main(words) == 0
    assert "was whole already" in capsys.readouterr().out
    assert (disk / "c.zip").stat().st_size > 0


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_collection(tmp_path: Path, version: str, count: int) -> None:
    """As bioformats2raw makes them; one image alone becomes an image."""
    source, output = tmp_path / "a.zarr", tmp_path / "o.ome.zarr"
    group(source, version, {"bioformats2raw.layout": 3})
    names = [str(number) for number in range(count)]
    group(source / "OME", version, {"series": names})
    (source / "OME/METADATA.ome.xml").write_text("<OME/>")
    for name in names:
        image(source / name, version)
    assert main(["convert", str(source), "--output", str(output)]) == 0
    assert (output / "OME/METADATA.ome.xml").read_text() == "<OME/>"
    made = open_store(Location(str(output)))
    check_strictly(made)
    assert made.version == "0.5"
    for name in names:
        path = "0" if count == 1 else f"{name}/0"
        np.testing.assert_array_equal(voxels(output, path), voxels(source, f"{name}/0"))
    if count > 1:
        assert getattr(made, "series", ()) == tuple(names)


@pytest.mark.skipif(not SHARED.exists(), reason="the published images are not beside the checkout")
def test_a_published_plate(tmp_path: Path) -> None:
    """Its voxels were not published, so that the result is empty; its metadata are those of a real plate."""
    source = SHARED / "omezarr_hcs_metadata_only/hcs_example.ome.zarr"
    output = tmp_path / "o.ome.zarr"
    assert main(["convert", str(source), "--output", str(output), "--level", "4"]) == 0
    check_strictly(open_store(Location(str(output))))
    assert HCS.from_zarr(zarr.open_group(output, mode="r")).n_wells == 1


def test_nothing_but_a_folder_takes_a_plate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = plate(tmp_path)
    for output, words in {
        "o.ozx": "is written as a folder",
        "o.ome.tiff": "give the path of one of its fields: A/1/0",
        "plate.ome.zarr/o.ome.zarr": "which is only read",
        "none/o.ome.zarr": "does not exist; make it first",
    }.items():
        assert main(["convert", str(source), "--output", str(tmp_path / output)]) == 2
        assert words in capsys.readouterr().err
    assert main(["convert", str(source), "--output", str(tmp_path / "o.ome.zarr"), "--plan"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plate.ome.zarr"]


def table(path: str) -> list[list[str]]:
    return [line.split("\t") for line in Path(path).read_text().splitlines()]


def test_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Images, plates and files; what fails is a line, and the same command does the rest."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    image(Path("a.ome.zarr"), "0.4")
    image(tmp_path / "outside.ome.zarr", "0.4")
    plate(Path())
    tifffile.imwrite("b.ome.tif", noise((40, 50), "uint8"))
    rows = {
        "a.ome.zarr": "a2.ome.zarr",
        "plate.ome.zarr": "p2.ome.zarr",
        "b.ome.tif": "b2.ome.zarr",
        "none.ome.zarr": "n2.ome.zarr",
        "../outside.ome.zarr": "o2.ome.zarr",
        "a.ome.zarr/.": "../elsewhere.ome.zarr",
    }
    Path("list.csv").write_text("note,source,output\n" + "".join(f"x,{s},{o}\n" for s, o in rows.items()))
    command = ["convert", "list.csv", "--output", "t.tsv"]
    assert main(command) == 4
    assert "3 of 6 stores failed (none.ome.zarr: There is nothing at " in capsys.readouterr().err
    head, *lines = table("t.tsv")
    assert [line[:3] for line in lines] == [
        [source, output, "written" if number < 3 else "failed"] for number, (source, output) in enumerate(rows.items())
    ]
    assert all("outside the working directory" in line[head.index("sentence")] for line in lines[4:])
    assert not (tmp_path / "elsewhere.ome.zarr").exists()
    assert voxels(Path("a2.ome.zarr"), "0").tolist() == voxels(Path("a.ome.zarr"), "0").tolist()
    Path("list.csv").write_text("source,output\n" + "".join(f"{s},{o}\n" for s, o in list(rows.items())[:4]))
    image(Path("none.ome.zarr"), "0.4")
    assert main([*command, "--record", "r.json", "--crate", "c.zip"]) == 0
    assert "4 stores, 3 already there, 1 written: t.tsv" in capsys.readouterr().out
    assert [line[2] for line in table("t.tsv")[1:]] == ["already there"] * 3 + ["written"]
    assert json.loads(Path("r.json").read_text())["results"]["stores"] == {"already_there": 3, "written": 1}
    assert main(["crate", "validate", "c.zip"]) == 0
    # What is there is not believed to be the result of a source that is another one now, or of other parameters.
    shutil.rmtree("a.ome.zarr")
    made_stores.write(Path("a.ome.zarr"), "0.4", "cyx", (2, 31, 40), entry=made_stores.multiscale("cyx", 1))
    tifffile.imwrite("b.ome.tif", noise((40, 51), "uint8"))
    assert main(command) == 4
    assert [line[2] for line in table("t.tsv")[1:]] == ["failed", "already there", "failed", "already there"]
    assert "a2.ome.zarr exists" in table("t.tsv")[1][5]


def add_seven(store: Path) -> None:
    """As many bytes as before, and the times of before: an array without compression."""
    for path in [path for path in (store / "0").rglob("*") if path.is_file() and not path.name.startswith((".z", "z"))]:
        before = path.stat()
        np.add(np.frombuffer(path.read_bytes(), "<u2"), 7, dtype="<u2").tofile(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size


def raw(path: Path, shift: int = 0) -> None:
    """An image of two channels whose chunks are not compressed."""
    made_stores.write(path, "0.4", "cyx", (2, 30, 40), entry=made_stores.multiscale("cyx", 1))
    shutil.rmtree(path / "0")
    array = zarr.create_array(
        path / "0", shape=(2, 30, 40), chunks=(1, 30, 40), dtype="<u2", zarr_format=2, compressors=None
    )
    array[...] = noise((2, 30, 40), "uint16") % 1000 + shift


class Listed:
    """A list of one line, and what a command with it says of that line."""

    def __init__(self, source: str, output: str) -> None:
        Path("list.csv").write_text(f"source,output\n{source},{output}\n")

    def __call__(self, *more: str) -> str:
        code = main(["convert", "list.csv", "--output", "t.tsv", *more])
        line = table("t.tsv")[1]
        assert code == (4 if line[2] == "failed" else 0)
        return line[5] or line[2]


def test_what_is_there_is_what_is_asked_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw(Path("a.ome.zarr"))
    do = Listed("a.ome.zarr", "o.ome.zarr")
    assert do("--channel", "1", "--check", "no") == "written"
    made = made_stores.digest(Path("o.ome.zarr"))
    assert do("--channel", "1") == "already there"
    assert "exists, and was made with another --channel; give another output" in do("--channel", "0")
    assert "exists, and was made with another --channel; give another output" in do()
    assert "exists, and was made with another --shard; give another output" in do("--channel", "1", "--shard", "16,16")
    assert "was not compared with its source, which --check yes" in do("--channel", "1", "--check", "yes")
    assert made_stores.digest(Path("o.ome.zarr")) == made
    shutil.rmtree("o.ome.zarr")
    assert do("--channel", "1", "--shard", "16,16", "--check", "yes") == "written"
    assert do("--channel", "1", "--shard", "16,16", "--check", "yes") == "already there"
    assert voxels(Path("o.ome.zarr"), "0").tolist() == voxels(Path("a.ome.zarr"), "0")[1:].tolist()


@pytest.mark.parametrize("output", ["o.ome.zarr", "o.ozx"])
def test_what_is_there_is_looked_at(tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw(Path("a.ome.zarr"))
    do = Listed("a.ome.zarr", output)
    assert [do(), do()] == ["written", "already there"]
    if output == "o.ozx":
        content, middle = Path(output).read_bytes(), Path(output).stat().st_size // 2
        Path(output).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    else:
        shutil.rmtree(Path(output, "0/c"))
    assert "files of it were changed or removed since it was made; remove it" in do()
    Path(output).unlink() if Path(output).is_file() else shutil.rmtree(output)
    assert [do(), do()] == ["written", "already there"]


@pytest.mark.parametrize("kind", ["store", "labels", "table", "file", "plate"])
def test_a_source_that_changed_unseen(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither documents, nor sizes and times of change tell it."""
    monkeypatch.chdir(tmp_path)
    source, below = Path("a.ome.zarr"), ""
    if kind == "plate":
        source, below = plate(Path()), "B/2/1"
        shutil.rmtree(source / below)
    if kind == "file":
        source = Path("a.tif")
        tifffile.imwrite(source, noise((30, 40), "uint16"))
    else:
        raw(source / below)
    labels = source / "labels/cells"
    if kind == "labels":
        group(source / "labels", "0.4", {"labels": ["cells"]})
        raw(labels)
    if kind == "table":
        Path(source, "table.csv").write_text("a")
    do = Listed(str(source), "o.ome.zarr")
    assert [do(), do()] == ["written", "already there"]
    if kind == "table":
        Path(source, "table.csv").write_text("b")
    elif kind == "file":
        before = source.stat()
        tifffile.imwrite(source, noise((30, 40), "uint16") + 7)
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert source.stat().st_size == before.st_size
    else:
        add_seven(labels if kind == "labels" else source / below)
    assert "exists, and its source has changed since it was made; remove it" in do()
    shutil.rmtree("o.ome.zarr")
    assert [do(), do()] == ["written", "already there"]
    if kind in ("store", "plate"):
        assert voxels(Path("o.ome.zarr", below), "0").tolist() == voxels(source / below, "0").tolist()


def test_an_image_of_a_plate_that_changed_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = plate(tmp_path), tmp_path / "o.ome.zarr"
    shutil.rmtree(source / "B/2/0")
    raw(source / "B/2/0")
    spoilt = source / "A/1/1/0/.zarray"
    content = spoilt.read_bytes()
    spoilt.write_bytes(content[:20])
    assert main(["convert", str(source), "--output", str(output), "--check", "no"]) == 4
    spoilt.write_bytes(content)
    add_seven(source / "B/2/0")
    capsys.readouterr()
    assert main(["convert", str(source), "--output", str(output), "--check", "no"]) == 0
    said = capsys.readouterr().err
    assert [f"{path}: already there" in said for path in FIELDS] == [True, False, False, True]
    for path in FIELDS:
        np.testing.assert_array_equal(voxels(output, f"{path}/0"), voxels(source, f"{path}/0"), path)


def test_an_image_by_the_name_of_a_list_is_an_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.csv", noise((30, 40), "uint16"))
    assert main(["convert", str(tmp_path / "a.csv"), "--output", str(tmp_path / "o.ome.zarr")]) == 0
    assert voxels(tmp_path / "o.ome.zarr", "0").tolist() == noise((30, 40), "uint16").tolist()


def test_a_temporary_file_that_stays_behind_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw(tmp_path / "a.ome.zarr")
    (tmp_path / "a.ome.zarr/notes.tmp").write_text("x")
    assert main(["convert", str(tmp_path / "a.ome.zarr"), "--output", str(tmp_path / "o.ome.zarr")]) == 0
    assert "left behind: 'notes.tmp' is a temporary file by its name." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"source,target\na,b\n", "Row 2 of "),
        (b"source,output\na,\n", "lacks its output"),
        (b"source,output\na,c\nb,./c\n", "Rows 2 and 3 of "),
        (b"source,output\na,b.tif\n", "Row 2 of "),
        (b"source,output\na,c\nb,b.TIFF\n", "writes b.TIFF, which is no OME-Zarr"),
        (b"source,output\na,b/c\nb,d\na,./b\n", "Row 2 of "),
        (b"source,output\na,b/c\nb,d\na,./b\n", "writes into the output of row 4"),
        (b"source,output\na,t.tsv\n", "writes t.tsv, where the table is written"),
        (b"source,output\na,t.tsv/b\n", "writes t.tsv/b, where the table is written"),
        (b"source,output\n", "names no store"),
        (b"\xff\xfe\x00", "is not a comma-separated table (CSV)"),
    ],
)
def test_a_list_that_cannot_be_used(
    tmp_path: Path, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_bytes(content)
    assert main(["convert", str(tmp_path / "l.csv"), "--output", str(tmp_path / "t.tsv")]) == 2
    assert words in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "l.csv"), "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert "is a list of stores; give --output the name of a table" in capsys.readouterr().err
    (tmp_path / "t.tsv").write_text("somebody's own\n")
    (tmp_path / "l.csv").write_text("source,output\na,b\n")
    assert main(["convert", str(tmp_path / "l.csv"), "--output", str(tmp_path / "t.tsv")]) == 2
    assert "exists already and is not overwritten" in capsys.readouterr().err
