"""Levels without data, and data that cannot be read, in every command: a warning or an error, never a quiet nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.storage import share
from chunkwise.storage.location import Location
from chunkwise.storage.share import chunk_share
from made_stores import multiscale, write


def _image(path: Path, levels: int = 3) -> Path:
    write(path, shape=(32, 32), entry=multiscale("yx", levels), chunk=8)
    for level in range(levels):
        array: Any = zarr.open_array(path / str(level), mode="r+")
        voxels = np.ones(array.shape, array.dtype)
        voxels[1:5, 1:5] = 100
        array[...] = voxels
    return path


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "segment": lambda image, to: ["segment", str(image), "--output", str(to / "o.ome.zarr"), "--sigma", "0"],
    "fetch": lambda image, to: ["fetch", str(image), "--output", str(to / "o.ome.zarr")],
    "fetch tiff": lambda image, to: ["fetch", str(image), "--output", str(to / "o.ome.tif")],
    "measure": lambda image, to: ["measure", "--labels", str(image), "--output", str(to / "o.tsv")],
    "compare": lambda image, to: ["compare", str(image), str(image), "--output", str(to / "o.json")],
    "filter": lambda image, to: ["filter", str(image), "--method", "median", "--output", str(to / "o.ome.zarr")],
    "threshold": lambda image, to: [
        *("threshold", str(image), "--method", "value", "--threshold", "7"),
        *("--output", str(to / "o.ome.zarr")),
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_level_without_a_chunk(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = _image(tmp_path / "i.ome.zarr")
    shutil.rmtree(image / "0" / "c")
    if name != "fetch tiff":
        record = ["--record", str(tmp_path / "record.json"), "--workers", "1"]
    else:
        record = ["--record", str(tmp_path / "record.json")]
    main([*COMMANDS[name](image, tmp_path), *record])
    said = capsys.readouterr().err
    assert f"WARNING: not one chunk of level 0 of {image} is there" in said
    assert "while levels 1, 2 have data" in said
    about = json.loads((tmp_path / "record.json").read_text())["inputs"][0]["description"]
    assert about["chunks_there"] == {"found": 0, "looked_for": 16, "total": 16}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("bad", ["link", "folder", "pipe"])
def test_a_chunk_that_cannot_be_read(tmp_path: Path, name: str, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = _image(tmp_path / "i.ome.zarr", 1)
    chunk = image / "0" / "c" / "1" / "2"
    chunk.unlink()
    if bad == "link":
        chunk.symlink_to("/nowhere/annex")
    elif bad == "folder":
        chunk.mkdir()
    else:
        os.mkfifo(chunk)
    assert main(COMMANDS[name](image, tmp_path)) != 0
    said = capsys.readouterr().err
    assert str(chunk) in said
    assert "Traceback" not in said
    assert not any((tmp_path / name).exists() for name in ("o.ome.zarr", "o.ome.tif", "o.tsv", "o.json"))


def test_inspect_says_how_much_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = _image(tmp_path / "i.ome.zarr")
    shutil.rmtree(image / "0" / "c")
    (image / "1" / "c" / "0" / "0").unlink()
    summary, page = tmp_path / "s.json", tmp_path / "p.html"
    assert main(["inspect", str(image), "--json", str(summary), "--html", str(page)]) == 0
    said = capsys.readouterr().out
    content = json.loads(summary.read_text())
    counts = [(level["chunks_found"], level["chunks_looked_for"]) for level in content["levels"]]
    assert counts == [(0, 16), (3, 4), (1, 1)]
    assert len(content["warnings"]) == 1
    assert "level 0" in content["warnings"][0]
    assert content["warnings"][0] in said
    assert "3 of 4" in page.read_text()
    assert "levels 1, 2 have data" in page.read_text()


def test_inspect_says_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = _image(tmp_path / "i.ome.zarr")
    for chunk in (image / "0" / "c" / "1").iterdir():
        chunk.unlink()
        chunk.symlink_to("../.git/annex/objects/1")
    assert main(["inspect", str(image), "--json", str(tmp_path / "s.json")]) == 0
    said = capsys.readouterr().out
    assert f"WARNING: 4 of 16 chunks looked for of level 0 of {image} are there and cannot be read; the first: " in said
    assert "git-annex" in said


def test_an_image_of_nothing_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = write(tmp_path / "i.ome.zarr", entry=multiscale("yx", 2))
    page = tmp_path / "i.html"
    assert main(["inspect", str(image), "--html", str(page)]) == 0
    assert capsys.readouterr().out.count("WARNING") == 1
    assert page.read_text().count('<p class="warning"><strong>Warning:</strong> not one chunk of ') == 1


def test_a_field_of_nothing_is_said_on_the_page_of_its_well(tmp_path: Path) -> None:
    write(tmp_path / "well" / "0")
    group: Any = zarr.open_group(tmp_path / "well", mode="a", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0"}]}}
    page = tmp_path / "w.html"
    assert main(["inspect", str(tmp_path / "well"), "--html", str(page)]) == 0
    assert f"Warning: not one chunk of {tmp_path}/well/0 is there" in page.read_text()


def test_coarse_levels_of_labels_may_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write(tmp_path / "l.ome.zarr", shape=(32, 32), entry=multiscale("yx", 2), extra={"image-label": {}})
    dots: Any = zarr.open_array(labels / "0", mode="r+")
    dots[3, 3] = 1
    assert main(["inspect", str(labels)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Label image")
    assert "WARNING" not in said
    shutil.rmtree(labels / "0" / "c")
    coarse: Any = zarr.open_array(labels / "1", mode="r+")
    coarse[...] = 1
    assert main(["inspect", str(labels)]) == 0
    assert "WARNING: not one chunk of level 0" in capsys.readouterr().out


def test_whole_images_are_not_remarked_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = _image(tmp_path / "i.ome.zarr")
    assert main(COMMANDS["fetch"](image, tmp_path)) == 0
    said = capsys.readouterr()
    assert "WARNING" not in said.err
    assert "chunks" not in said.err


def test_very_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array: Any = zarr.create_array(tmp_path / "a", shape=(64, 64), chunks=(2, 2), dtype="uint8")
    place = Location(str(tmp_path / "a"))
    monkeypatch.setattr(share, "MOST_FILES", 100)
    found = chunk_share(place)
    assert found is not None
    assert (found.found, found.looked_for, found.total) == (0, 100, 1024)
    array[62:, 62:] = 1  # one, that chance does not choose: it is come upon
    found = chunk_share(place)
    assert found is not None
    assert (found.found, found.looked_for) == (1, 101)
    array[:32] = 1
    found = chunk_share(place)
    assert found is not None
    assert 30 < found.found < 70
    assert found.looked_for == 100
    assert found.sentence == f"{found.found} of 100 chunks looked for, of 1024 are there"
