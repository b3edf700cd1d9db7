"""``convert --check``: source and result are read again when all is written, and one voxel that differs is noticed."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.ops import write_unit
from chunkwise.ops.check_copy import first_difference
from chunkwise.running.chains import convert
from chunkwise.storage.writer import StoredObject, write_box
from foreign_files import noise
from killing import start, wait_for

SHAPE = (2, 3, 40, 50)
#: Chunks of the store hold both channels, which are read and compared at once.
BLOCKS = {"tiff": 24, "zarr": 12}


def source(folder: Path, kind: str) -> Path:
    """The same voxels as a file of another format and as an OME-Zarr 0.4; none of them is 0."""
    voxels = noise(SHAPE, "uint16") | 1
    if kind == "tiff":
        how: dict[str, Any] = {"photometric": "minisblack", "tile": (16, 16)}  # so that a block is a shard
        tifffile.imwrite(folder / "a.ome.tif", voxels, metadata={"axes": "CZYX"}, **how)
        return folder / "a.ome.tif"
    store = made_stores.write(folder / "a.ome.zarr", "0.4", "czyx", SHAPE, entry=made_stores.multiscale("czyx", 1))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return store


def words(folder: Path, kind: str, *more: str) -> list[str]:
    made = ["--output", str(folder / "o.ome.zarr"), "--shard", "3,16,16", "--block", "3,16,16", "--workers", "1"]
    return ["convert", str(source(folder, kind)), *made, *more]


def one_voxel_more(objects: Callable[..., list[StoredObject]], *args: Any) -> list[StoredObject]:
    *before, full, data = args
    if full[0].start == 1 and full[2].start == 16 and full[3].start == 32:
        data = data.copy()
        data[0, 2, 7, 5] += 1
    return objects(*before, full, data)


def no_shard(objects: Callable[..., list[StoredObject]], *args: Any) -> list[StoredObject]:
    full = args[-2]
    return [] if full[0].start == 1 and full[2].start == 16 and full[3].start == 32 else objects(*args)


#: Writers that are broken on purpose, and the first voxel that each gets wrong.
BROKEN = {"one voxel more": (one_voxel_more, "c 1, z 2, y 23, x 37"), "no shard": (no_shard, "c 1, z 0, y 16, x 32")}


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
@pytest.mark.parametrize("broken", BROKEN)
def test_mutant_a_writer_that_loses_voxels_is_caught(
    tmp_path: Path, kind: str, broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    act, place = BROKEN[broken]
    monkeypatch.setattr(write_unit, "write_box", lambda *args: act(write_box, *args))
    command = words(tmp_path, kind)
    given = sorted(tmp_path.iterdir())
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"is not equal to {command[1]}" in said
    assert f" at {place}, where " in said
    assert f"1 of {BLOCKS[kind]} blocks differ" in said
    left = [path.name for path in sorted(tmp_path.iterdir()) if path not in given]
    assert left in ([], ["o.ome.zarr.run"])  # of which nothing is gone on with
    assert main([*command, "--check", "no"]) == 0  # so that nothing but the comparison noticed it
    monkeypatch.undo()
    assert main([word.replace("o.ome.zarr", "again.ome.zarr") for word in command]) == 0


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
def test_record_and_crate_say_what_was_compared(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = words(tmp_path, kind, "--record", str(tmp_path / "r.json"), "--crate", str(tmp_path / "c.zip"))
    assert main(command) == 0
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["results"]["compared"] == {"voxels": 12000, "blocks": BLOCKS[kind], "different": 0}
    assert record["parameters"]["check"] == "yes"
    assert "all 12000 voxels were read again, and are equal" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "c.zip") as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    (said,) = [entity for entity in graph if entity.get("name") == "compared"]
    assert json.loads(said["value"]) == record["results"]["compared"]


def test_above_a_size_it_is_done_only_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(convert, "CHECKED_BELOW", 2 * int(np.prod(SHAPE)))
    command = words(tmp_path, "tiff", "--record", str(tmp_path / "r.json"))
    assert main(command) == 0
    assert "were not compared" in capsys.readouterr().out
    record = json.loads((tmp_path / "r.json").read_text())
    assert "compared" not in record["results"]
    assert record["parameters"]["check"] == "no"
    again = [word.replace("o.ome", "p.ome").replace("r.json", "s.json") for word in command]
    assert main([*again, "--check", "yes"]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["results"]["compared"]["voxels"] == 12000


def test_it_goes_on_where_it_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((300, 310), "uint16"), tile=(48, 48), compression="zlib")
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    how = ["--shard", "32,32", "--block", "32,32", "--workers", "1"]
    command = ["convert", str(tmp_path / "a.tif"), *how, "--output", str(output)]
    process = start(command)
    assert wait_for(process, run, "check", 8)
    process.kill()
    process.communicate()
    assert not output.exists()
    assert main([*command, "--record", str(tmp_path / "r.json")]) == 0
    found = re.search(r"check +(\d+) of 100 blocks were already done", capsys.readouterr().err)
    assert found is not None
    assert int(found.group(1)) >= 8
    assert json.loads((tmp_path / "r.json").read_text())["results"]["compared"]["voxels"] == 300 * 310


def test_what_counts_as_equal() -> None:
    values = np.array([[0.0, np.nan], [1.5, -np.inf]], "float32")
    assert first_difference(values, np.array([[-0.0, -np.nan], [1.5, -np.inf]], "float32")) is None
    for place in np.ndindex(2, 2):
        other = values.copy()
        other[place] = 7
        assert first_difference(values, other) == place
    masks = np.array([True, False, True]), np.array([True, True, True])
    assert first_difference(*masks) == (1,)
