"""``chunkwise convert``: files of other formats become OME-Zarr, voxel for voxel, and nothing half-written stays."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models.v05.image import Image

import made_stores
from chunkwise.cli import main
from chunkwise.formats.tiff_planes import OpenFile
from chunkwise.running import copying
from foreign_files import damage_tile, full, noise, ome_set
from killing import start, wait_for

SHARED = Path(__file__).parents[3] / "shared" / "data"
#: Real files: the published test cases of galaxy-image-analysis, and a published label image.
REAL = sorted({*SHARED.glob("gia_cases/**/*.tif*"), *SHARED.glob("iwc_nuclei/*.tif*")})


def level(store: Path, path: str = "0") -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / path, mode="r")[...])


def axes_of(store: Path) -> str:
    (entry,) = json.loads((store / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    return "".join(axis["name"] for axis in entry["axes"])


LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "samples side by side": ((300, 310, 3), {"photometric": "rgb", "tile": (48, 48)}),
    "samples in planes": ((3, 300, 310), {"photometric": "rgb", "planarconfig": "separate", "tile": (48, 48)}),
    "strips": ((5, 300, 310), {"photometric": "minisblack", "rowsperstrip": 8, "metadata": {"axes": "ZYX"}}),
    "strips of colours": ((300, 310, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"], "rowsperstrip": 8}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    """Each tile and strip is read once, when channels are apart in the result, and shards lie side by side."""
    shape, how = LAYOUTS[layout]
    path, output = tmp_path / "a.tif", tmp_path / "o.ome.zarr"
    tifffile.imwrite(path, noise(shape, "uint8"), compression="zlib", **how)
    with tifffile.TiffFile(path) as file:
        stored = sorted(offset for page in file.pages for offset in page.dataoffsets)
        whole = full(file.asarray(), file.series[0].axes.lower())
    seen: list[int] = []
    read = OpenFile.bytes_at

    def noted(file: OpenFile, offset: int, count: int) -> bytes:
        seen.append(offset)
        return read(file, offset, count)

    monkeypatch.setattr(OpenFile, "bytes_at", noted)
    shard = "5,48,48" if len(whole[0, 0]) > 1 else "48,48"
    words = ["convert", str(path), "--output", str(output), "--shard", shard, "--check", "no", "--workers", "1"]
    assert main(words) == 0
    np.testing.assert_array_equal(full(level(output), axes_of(output)), whole)
    if how.get("rowsperstrip"):  # a strip may lie in two rows of shards
        assert len(seen) < 1.2 * len(stored)
        assert set(seen) == set(stored)
    else:
        assert sorted(seen) == stored


def test_mutant_samples_that_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_TOGETHER", 1)
    with pytest.raises(AssertionError):
        test_nothing_is_decoded_twice(tmp_path, monkeypatch, "samples side by side")


def test_mutant_blocks_that_cut_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "WIDEST", 0)
    with pytest.raises(AssertionError):
        test_nothing_is_decoded_twice(tmp_path, monkeypatch, "strips")


def _one_file(at: Path) -> list[str]:
    tifffile.imwrite(at / "a.tif", noise((300, 310), "uint16"), tile=(48, 48), compression="zlib")
    return [str(at / "a.tif")]


def _several(at: Path) -> list[str]:
    return [str(ome_set(at / "set", noise((1, 2, 1, 300, 310), "uint16"), per_file=1, companion=True)[0])]


def _a_folder(at: Path) -> list[str]:
    (at / "folder").mkdir()
    for n in range(2):
        tifffile.imwrite(at / "folder" / f"t{n}.tif", noise((300, 310), "uint16") + n, tile=(16, 16))
    return [str(at / "folder"), "--pattern", "t{t}.tif"]


@pytest.mark.skipif(not REAL, reason="the published cases are not beside the checkout")
def test_every_published_tiff_comes_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a file does not say what an axis is, the sentence says how to say it, and that is done."""
    asked = set()
    for number, path in enumerate(REAL):
        output = tmp_path / f"{number}.ome.zarr"
        words = ["convert", str(path), "--output", str(output), "--workers", "1"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if main(words):
                example = re.search(r"--axes, such as (\w+)", capsys.readouterr().err)
                assert example, path
                asked.add(path.name)
                assert main([*words, "--axes", example.group(1)]) == 0
                letters = example.group(1)
            else:
                with tifffile.TiffFile(path) as file:
                    letters = file.series[0].axes.lower()
            whole = tifffile.imread(path, series=0)
        kept = [n for n, axis in enumerate(letters) if axis in "tczyxs"]
        whole = whole.reshape([whole.shape[n] for n in kept])
        found = full(level(output), axes_of(output))
        np.testing.assert_array_equal(found, full(whole, "".join(letters[n] for n in kept)), str(path))
        assert found.dtype == whole.dtype
        Image.from_zarr(zarr.open_group(output, mode="r"))
        capsys.readouterr()
    print(f"{len(REAL)} files, of which {len(asked)} had to be told their axes: {sorted(asked)}")


def test_what_the_file_says_goes_along(tmp_path: Path) -> None:
    known = {
        "axes": "CZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "PhysicalSizeZ": 0.4,
        "Channel": {"Name": ["DAPI", "GFP"], "Color": [65535, 16711935]},
    }
    array = noise((2, 5, 300, 280), "uint16")
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata=known, tile=(128, 128), compression="zlib")
    output = tmp_path / "a.ome.zarr"
    assert main(["convert", str(tmp_path / "a.ome.tif"), "--output", str(output)]) == 0
    about = json.loads((output / "zarr.json").read_text())["attributes"]["ome"]
    assert [channel["label"] for channel in about["omero"]["channels"]] == ["DAPI", "GFP"]
    assert [channel["color"] for channel in about["omero"]["channels"]] == ["0000FF", "00FF00"]
    (entry,) = about["multiscales"]
    assert entry["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 0.4, 0.1, 0.1]
    assert [axis.get("unit") for axis in entry["axes"]] == [None, "micrometer", "micrometer", "micrometer"]
    np.testing.assert_array_equal(level(output), array)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert (output / "OME" / "METADATA.ome.xml").read_text() == file.ome_metadata


def test_the_record_knows_the_file_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", noise((64, 70), "uint8"))
    assert main(["convert", "a.tif", "--output", "a.ome.zarr", "--crate", "c.zip"]) == 0
    assert main(["crate", "validate", "c.zip"]) == 0
    assert main(["verify", "c.zip"]) == 0
    assert main(["crate", "rerun", "c.zip", "--output", "again"]) == 0
    tifffile.imwrite("a.tif", 255 - noise((64, 70), "uint8"))
    assert main(["verify", "c.zip"]) != 0


@pytest.mark.parametrize("name", ["dataset_7.dat", "a.tif"])
def test_a_file_of_any_name_is_known_by_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Galaxy's datasets have names that tell nothing."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(name, noise((64, 70), "uint8"))
    assert main(["convert", name, "--output", "a.ome.zarr", "--crate", "c.zip", "--record", "r.json"]) == 0
    (read,) = json.loads(Path("r.json").read_text())["inputs"]
    assert read["media_type"] == "image/tiff"
    assert read["fingerprint"]["value"] == hashlib.sha256(Path(name).read_bytes()).hexdigest()
    assert any("gives no voxel size" in remark for remark in read["description"]["remarks"])
    assert main(["verify", "c.zip"]) == 0


@pytest.mark.parametrize("make", [_several, _a_folder])
def test_the_record_knows_every_file(
    tmp_path: Path, make: Callable[[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, crate = make(tmp_path), str(tmp_path / "c.zip")
    assert main(["convert", *words, "--output", str(tmp_path / "o.ome.zarr"), "--crate", crate]) == 0
    assert main(["crate", "validate", crate]) == 0
    assert main(["verify", crate]) == 0
    one = sorted(path for path in tmp_path.glob("*/*.tif"))[1]
    whole = one.read_bytes()
    one.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert main(["verify", crate]) == 1
    one.unlink()
    assert main(["verify", crate]) == 1


def test_a_plan_does_not_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((64, 70), "uint8"))
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert main(["convert", str(tmp_path / "a.tif"), "--output", str(tmp_path / "o.ome.zarr"), "--plan"]) == 0


def test_a_file_that_lacks_planes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise((4, 16, 16), "uint16"), metadata={"axes": "ZYX"}, photometric="minisblack")
    path.write_bytes(path.read_bytes().replace(b'SizeZ="4"', b'SizeZ="7"'))
    assert main(["convert", str(path), "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert "3 of them are not there" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [path]


def test_what_follows_takes_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.zeros((64, 70), "uint8")
    array[5:20, 6:30] = 200
    array[30:40, 40:60] = 220
    tifffile.imwrite("a.tif", array)
    assert main(["convert", "a.tif", "--output", "a.ome.zarr", "--reference", "a.json"]) == 0
    assert main(["segment", "a.json", "--sigma", "0", "--output", "l.ome.zarr", "--record", "r.json"]) == 0
    assert json.loads(Path("r.json").read_text())["results"]["objects"] == [2]
    assert level(Path("l.ome.zarr")).astype(bool).sum() == (array > 0).sum()


def test_a_region_and_a_channel(tmp_path: Path) -> None:
    array = noise((3, 60, 70), "uint16")
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata={"axes": "CYX"}, photometric="minisblack")
    words = ["convert", str(tmp_path / "a.ome.tif"), "--output", str(tmp_path / "o.ome.zarr")]
    assert main([*words, "--channel", "1", "--region", "5:40,7:70"]) == 0
    np.testing.assert_array_equal(level(tmp_path / "o.ome.zarr"), array[1:2, 5:40, 7:70])


def test_an_older_ome_zarr_is_written_anew(tmp_path: Path) -> None:
    store = Path(__file__).parents[2] / "test-data" / "cells_zyx_v04.ome.zarr"
    assert main(["convert", str(store), "--output", str(tmp_path / "o.ome.zarr")]) == 0
    np.testing.assert_array_equal(level(tmp_path / "o.ome.zarr"), level(store))
    assert json.loads((tmp_path / "o.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]["version"] == "0.5"
    assert main(["convert", str(store), "--output", str(tmp_path / "x.ome.zarr"), "--axes", "zyx"]) != 0


@pytest.mark.parametrize("block", ["16,16", "64,64", "32,96"])
def test_blocks_do_not_change_the_bytes(tmp_path: Path, block: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((200, 210), "uint16"), tile=(48, 48), compression="zlib")
    words = ["convert", str(tmp_path / "a.tif"), "--shard", "64,64"]
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    assert main([*words, "--output", str(tmp_path / "blocks.ome.zarr"), "--block", block, "--workers", "2"]) == 0
    assert made_stores.digest(tmp_path / "whole.ome.zarr") == made_stores.digest(tmp_path / "blocks.ome.zarr")


def _colours(at: Path) -> list[str]:
    tifffile.imwrite(at / "a.tif", noise((300, 310, 3), "uint8"), photometric="rgb", tile=(48, 48), compression="zlib")
    return [str(at / "a.tif")]


@pytest.mark.parametrize(
    ("make", "first"), [(_one_file, "copy"), (_several, "copy"), (_a_folder, "copy"), (_colours, "copy-3")]
)
def test_killed_and_gone_on_with(tmp_path: Path, make: Callable[[Path], list[str]], first: str) -> None:
    words = ["convert", *make(tmp_path), "--shard", "32,32", "--workers", "1"]
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    output, run = tmp_path / "killed.ome.zarr", tmp_path / "killed.ome.zarr.run"
    command = [*words, "--output", str(output)]
    killed = []
    for phase in (first, "level-1"):
        process = start(command)
        if wait_for(process, run, phase, 8):
            process.kill()
            killed.append(phase)
        process.communicate()
    assert killed == [first, "level-1"]
    assert not output.exists()
    assert main(command) == 0
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_a_file_that_changed_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((300, 310), "uint16"), tile=(48, 48), compression="zlib")
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    command = ["convert", str(tmp_path / "a.tif"), "--shard", "32,32", "--workers", "1", "--output", str(output)]
    process = start(command)
    assert wait_for(process, run, "copy", 8)
    process.kill()
    process.communicate()
    tifffile.imwrite(tmp_path / "a.tif", 7 + noise((300, 310), "uint16"), tile=(48, 48), compression="zlib")
    assert main(command) != 0
    assert "chang" in capsys.readouterr().err
    assert not output.exists()


def test_a_tile_that_cannot_be_decoded_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / "a.tif", tmp_path / "o.ome.zarr"
    tifffile.imwrite(path, noise((64, 64), "uint16"), tile=(16, 16), compression="zlib")
    damage_tile(path, 5)
    assert main(["convert", str(path), "--output", str(output)]) != 0
    said = capsys.readouterr().err
    assert "cannot be read at y 0:64, x 0:64" in said
    assert "Traceback" not in said
    assert not output.exists()


def test_a_member_that_changed_meanwhile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", *_several(tmp_path), "--shard", "32,32", "--workers", "1"]
    output, run = tmp_path / "o.ome.zarr", tmp_path / "o.ome.zarr.run"
    process = start([*words, "--output", str(output)])
    assert wait_for(process, run, "copy", 8)
    process.kill()
    process.communicate()
    last = sorted((tmp_path / "set").glob("*.tif"))[-1]
    shutil.copy(last, tmp_path / "again.tif")
    os.replace(tmp_path / "again.tif", last)  # the same bytes, and another file
    assert main([*words, "--output", str(output)]) != 0
    assert "is not what it was when this run began" in capsys.readouterr().err
    assert not output.exists()


def test_a_set_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (companion,) = _several(tmp_path)
    folder = _a_folder(tmp_path)[0]
    for place, words in (
        (companion, "is an OME-XML companion file, not an OME-Zarr; bring it in first, with 'chunkwise convert'"),
        (folder, "is a folder with 2 TIFFs, such as t0.tif, not an OME-Zarr; bring one of them in with"),
    ):
        assert main(["open", place, "--output", str(tmp_path / "o.json")]) == 2
        assert words in capsys.readouterr().err
    assert main(["convert", folder, "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert "by the pattern of their names (--pattern)" in capsys.readouterr().err
    assert main(["inspect", companion, "--json", str(tmp_path / "s.json")]) == 0
    assert "set.companion.ome is an image in 3 files, read where they lie" in capsys.readouterr().out


def test_a_reference_to_a_file_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((64, 64), "uint16"))
    assert main(["open", str(tmp_path / "a.tif"), "--output", str(tmp_path / "o.json")]) == 2
    said = capsys.readouterr().err
    assert "is a TIFF, not an OME-Zarr; bring it in first, with 'chunkwise convert' or, in Galaxy, the tool" in said
    assert not (tmp_path / "o.json").exists()
