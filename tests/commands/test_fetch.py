from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from chunkwise.cli import main
from made_stores import multiscale, write

DATA = Path(__file__).parents[3] / "shared" / "data"
CARDIO = DATA / "omezarr_fractal_cardio" / "cardio_B03_mip_levels1to4.zarr"
COINS = DATA / "omezarr_galaxy_image_analysis" / "coins.ome.zarr"
FLOATS = DATA / "omezarr_galaxy_image_analysis" / "image-03.zarr"


def need(store: Path) -> Path:
    if not store.is_dir():
        pytest.skip(f"the image is not at {store}")
    return store


def voxels(store: Path, level: str = "0") -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / level, mode="r")[...])


def ome(store: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((store / "zarr.json").read_text())
    return dict(content["attributes"]["ome"])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Time, channels and planes, in odd sizes; a chunk is missing."""
    omero = {
        "omero": {
            "channels": [
                {"label": name, "color": color, "window": {"min": 0, "max": 65535, "start": 5, "end": 900}}
                for name, color in (("DAPI", "0000FF"), ("GFP", "00FF00"), ("RFP", "FF0000"))
            ]
        }
    }
    entry = multiscale("tczyx", 1)
    entry["datasets"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [30.0, 1.0, 0.5, 0.25, 0.25]},
        {"type": "translation", "translation": [0.0, 0.0, 7.0, 0.0, 3.0]},
    ]
    store = write(tmp_path / "made.ome.zarr", "0.5", "tczyx", (2, 3, 9, 35, 44), "uint16", entry, omero)
    array = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 60000, array.shape).astype(np.uint16)
    next(path for path in (store / "0" / "c").rglob("3") if path.is_file()).rename(tmp_path / "lost")
    return store


def test_a_cut_with_time_channels_and_region(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "piece.ome.zarr"
    cut = ["--time", "1", "--region", "2:9,1:34,10:40", "--channel", "RFP", "--channel", "0"]
    assert main(["fetch", str(made), "--output", str(output), *cut, "--block", "4,7,9", "--shard", "4,16,16"]) == 0
    np.testing.assert_array_equal(voxels(output), voxels(made)[1:2, [2, 0], 2:9, 1:34, 10:40])
    found = ome(output)
    steps = found["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps[0]["scale"] == [30.0, 1.0, 0.5, 0.25, 0.25]
    assert steps[1]["translation"] == [30.0, 0.0, 8.0, 0.25, 5.5]
    assert [axis.get("unit") for axis in found["multiscales"][0]["axes"]] == ["second", None, *["micrometer"] * 3]
    channels = found["omero"]["channels"]
    assert [(entry["label"], entry["color"]) for entry in channels] == [("RFP", "FF0000"), ("DAPI", "0000FF")]
    assert (channels[0]["window"]["start"], channels[0]["window"]["end"]) == (5, 900)
    Image.from_zarr(zarr.open_group(output, mode="r"))


def test_a_real_image_with_its_own_pyramid(tmp_path: Path) -> None:
    output = tmp_path / "piece.ome.zarr"
    assert main(["fetch", str(need(CARDIO)), "--output", str(output), "--region", "0:1,0:1001,3:1280"]) == 0
    source = voxels(CARDIO, "1")[:, :, 0:1001, 3:1280]
    np.testing.assert_array_equal(voxels(output), source)
    # The second level by NumPy, where both axes are even.
    fours = source[:, :, :1000, :1276].reshape(3, 1, 500, 2, 638, 2).astype(np.uint32).sum(axis=(3, 5))
    np.testing.assert_array_equal(voxels(output, "1")[:, :, :500, :638], (fours + 2) // 4)
    np.testing.assert_array_equal(
        voxels(output, "1")[:, :, 500, :638],
        (source[:, :, 1000, :1276:2].astype(int) + source[:, :, 1000, 1:1276:2] + 1) // 2,
    )
    assert ome(output)["multiscales"][0]["type"] == "mean"
    Image.from_zarr(zarr.open_group(output, mode="r"))


def test_labels_stay_labels(tmp_path: Path) -> None:
    output = tmp_path / "piece.ome.zarr"
    source = need(CARDIO) / "labels" / "nuclei"
    reference = tmp_path / "piece.json"
    arguments = ["--region", "0:1,9:900,0:1000", "--reference", str(reference)]
    assert main(["fetch", str(source), "--output", str(output), *arguments]) == 0
    piece = voxels(source, "1")[:, 9:900, :1000]
    np.testing.assert_array_equal(voxels(output), piece)
    np.testing.assert_array_equal(voxels(output, "1"), piece[:, ::2, ::2])
    assert "image-label" in ome(output)
    assert ome(output)["multiscales"][0]["type"] == "nearest"
    assert json.loads(reference.read_text())["kind"] == "labels"
    ImageLabel.from_zarr(zarr.open_group(output, mode="r"))


@pytest.mark.parametrize("kind", ["bool", "float16", "float64", "int64", "uint64", "int8"])
def test_voxels_of_every_type(kind: str, tmp_path: Path) -> None:
    store = write(tmp_path / "made.ome.zarr", dtype=kind, shape=(30, 20), entry=multiscale("yx", 1))
    pixels = np.random.default_rng(0).integers(0, 2, (30, 20)).astype(kind)
    zarr.open_array(store / "0", mode="r+")[...] = pixels
    output = tmp_path / "piece.ome.zarr"
    assert main(["fetch", str(store), "--output", str(output)]) == 0
    found = voxels(output)
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)
    Image.from_zarr(zarr.open_group(output, mode="r"))


def test_workers_blocks_and_a_restart_change_no_byte(made: Path, tmp_path: Path) -> None:
    trees = []
    for number, spread in enumerate((["--workers", "1"], ["--workers", "2", "--block", "3,20,11"])):
        output = tmp_path / f"{number}.ome.zarr"
        arguments = ["fetch", made, "--output", output, "--shard", "8,16,16", *spread]
        subprocess.run([sys.executable, "-m", "chunkwise.cli", *arguments], check=True)
        trees.append({str(p.relative_to(output)): p.read_bytes() for p in output.rglob("*") if p.is_file()})
    assert trees[0] == trees[1]
    np.testing.assert_array_equal(voxels(tmp_path / "0.ome.zarr"), voxels(made))


def test_ome_tiff_holds_the_same_voxels(made: Path, tmp_path: Path) -> None:
    output = tmp_path / "dataset_4.dat"
    output.touch()
    cut = ["--region", "1:8,0:35,2:44", "--channel", "GFP", "--channel", "DAPI", "--format", "ome-tiff"]
    assert main(["fetch", str(made), "--output", str(output), *cut]) == 0
    with tifffile.TiffFile(output) as file:
        (series,) = file.series
        assert series.axes == "TCZYX"
        np.testing.assert_array_equal(series.asarray(), voxels(made)[:, [1, 0], 1:8, :, 2:44])
        pixels = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]["Pixels"]
    assert [channel["Name"] for channel in pixels["Channel"]] == ["GFP", "DAPI"]
    assert (pixels["PhysicalSizeZ"], pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.5, 0.25, "µm")
    assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (30, "s")
    assert (pixels["Plane"][0]["PositionZ"], pixels["Plane"][0]["PositionX"]) == (7.5, 3.5)
    assert not list(tmp_path.glob("*.run"))


def test_ome_tiff_is_the_same_whoever_writes_it(made: Path, tmp_path: Path) -> None:
    def written(name: str, *options: str) -> bytes:
        assert main(["fetch", str(made), "--output", str(tmp_path / name), *options]) == 0
        return (tmp_path / name).read_bytes()

    def identifier(content: bytes) -> uuid.UUID:
        return uuid.UUID(re.findall(rb'UUID="(urn:uuid:[0-9a-f-]{36})"', content)[0].decode())

    one = written("one.ome.tiff", "--workers", "1")
    assert one == written("two.ome.tiff", "--workers", "2")
    # A UUID of version 1 would tell the network address of the machine, and when it was.
    assert identifier(one).version == 5
    assert identifier(one) != identifier(written("piece.ome.tiff", "--region", "1:8,0:35,2:44"))


def test_ome_tiff_of_real_labels(tmp_path: Path) -> None:
    output, source = tmp_path / "labels.ome.tiff", need(CARDIO) / "labels" / "nuclei"
    crate = tmp_path / "crate.zip"
    assert main(["fetch", str(source), "--output", str(output), "--level", "2", "--crate", str(crate)]) == 0
    found = tifffile.imread(output)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(np.squeeze(found), np.squeeze(voxels(source, "3")))
    assert main(["crate", "validate", str(crate)]) == 0


def test_ome_tiff_of_a_large_plane_in_little_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "made.ome.zarr", shape=(1300, 1100), dtype="float32", entry=multiscale("yx", 1))
    pixels = np.random.default_rng(0).normal(size=(1300, 1100)).astype(np.float32)
    zarr.open_array(store / "0", mode="r+")[...] = pixels
    output = tmp_path / "piece.ome.tif"
    assert main(["fetch", str(store), "--output", str(output), "--memory", "368MiB"]) == 0
    np.testing.assert_array_equal(tifffile.imread(output), pixels)
    assert main(["fetch", str(store), "--output", str(tmp_path / "b.ome.tif"), "--memory", "300M"]) == 2
    assert "give a larger --memory" in capsys.readouterr().err


def test_one_image_of_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", str(need(COINS)), "--output", str(tmp_path / "a.ome.zarr")]) in (0, 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err


def test_floats_of_another_writer(tmp_path: Path) -> None:
    output = tmp_path / "piece.ome.zarr"
    assert main(["fetch", str(need(FLOATS)), "--output", str(output), "--region", "1:2,:,50:"]) == 0
    np.testing.assert_array_equal(voxels(output), voxels(FLOATS)[1:2, :, 50:])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--level", "7"], "has no level 7"),
        (["--channel", "YFP"], "has no channel 'YFP'"),
        (["--channel", "GFP", "--channel", "1"], "more than once"),
        (["--time", "2"], "not entirely inside"),
        (["--region", "0:1,0:99,0:1"], "not entirely inside"),
        (["--region", "3:3,0:1,0:1"], "selects nothing"),
        (["--block", "8,8"], "--block needs 3 sizes"),
    ],
)
def test_what_is_not_there(
    made: Path, options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", str(made), "--output", str(tmp_path / "a.ome.zarr"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("a.*"))


def test_what_ome_tiff_cannot_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "made.ome.zarr", dtype="uint64")
    assert main(["fetch", str(store), "--output", str(tmp_path / "a.ome.tiff")]) == 2
    assert "cannot hold uint64" in capsys.readouterr().err
    (tmp_path / "b.ome.tiff").write_text("mine")
    assert main(["fetch", str(write(tmp_path / "b.ome.zarr")), "--output", str(tmp_path / "b.ome.tiff")]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert not list(tmp_path.glob("a.*"))


def test_a_chunk_that_cannot_be_read_leaves_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = next(path for path in (made / "0" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:10])
    for name in ("a.ome.zarr", "a.ome.tiff"):
        assert main(["fetch", str(made), "--output", str(tmp_path / name)]) != 0
        said = capsys.readouterr().err
        assert "cannot be read" in said
        assert str(chunk) in said
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("command", ["fetch", "convert", "math", "spots"])
@pytest.mark.parametrize("option", ["output", "record", "run-dir"])
def test_nothing_is_written_into_what_is_read(
    command: str, option: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(made.rglob("*"))
    ending = {"math": ".ome.zarr", "spots": ".tsv"}.get(command, ".tiff")
    places = {"output": tmp_path / f"o{ending}", option: made / f"labels{ending}"}
    if command == "math":  # of several images, the last
        other = write(
            tmp_path / "other.ome.zarr", "0.5", "tczyx", (2, 3, 9, 35, 44), "uint16", ome(made)["multiscales"][0]
        )
        words = [str(other), "--b", str(made), "--expression", "a + b"]
    else:
        words = [str(made), *(["--sigma", "1", "--threshold", "1"] if command == "spots" else [])]
    assert main([command, *words, *(f"--{name}={place}" for name, place in places.items())]) == 2
    assert "which is only read" in capsys.readouterr().err
    assert sorted(made.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fetch", "o.jpg"),
        ("convert", "o.csv"),
        ("filter --method median", "o.tif"),
        ("spots --channel GFP", "o.csv"),
        ("spots --channel GFP", "o.xlsx"),
    ],
)
def test_a_name_that_says_another_format_is_refused(
    command: str, name: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), str(made), "--output", str(tmp_path / name)]) == 2
    assert f"ends in {name[1:]}, and what is written is ." in capsys.readouterr().err
    assert not (tmp_path / name).exists()
