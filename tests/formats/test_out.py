"""What other programs read goes out: OME-TIFF, ImageJ TIFF and PNG, held to what tifffile and Pillow read of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from lxml import etree
from PIL import Image
from skimage import transform

from chunkwise.cli import main
from chunkwise.ops import tiff
from chunkwise.ops.cut import Cut
from chunkwise.running import one_file
from killing import start
from made_stores import multiscale, write

#: By the Open Microscopy Environment (Creative Commons Attribution 3.0), as the package ome-types brings it.
SCHEMA = Path(__file__).parent / "ome-2016-06.xsd"
untyped: Any = transform
SHARED = Path(__file__).parents[3] / "shared" / "data"
SCALE, PLACE = [30.0, 1.0, 0.5, 0.2125, 0.25], [0.0, 0.0, 7.0, 0.0, 3.0]
COLORS = {"DAPI": "0000FF", "GFP": "00FF00", "RFP": "FF8000"}


def image(path: Path, axes: str, voxels: np.ndarray[Any, Any], channels: bool = False) -> Path:
    """A store in odd sizes, with a place and sizes; with names, colours and contrast of channels."""
    entry = multiscale(axes, 1)
    kept = ["tczyx".index(axis) for axis in axes]
    entry["datasets"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [SCALE[n] for n in kept]},
        {"type": "translation", "translation": [PLACE[n] for n in kept]},
    ]
    window = {"min": 0, "max": 65535, "start": 5, "end": 900}
    entries = [{"label": name, "color": color, "window": window} for name, color in COLORS.items()]
    store = write(
        path, "0.5", axes, voxels.shape, str(voxels.dtype), entry, {"omero": {"channels": entries}} if channels else {}
    )
    zarr.open_array(store / "0", mode="r+")[...] = voxels
    return store


def noise(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).integers(0, 250, shape).astype(dtype)


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    voxels = noise((2, 3, 3, 1037, 70))
    return image(tmp_path_factory.mktemp("movie") / "movie.ome.zarr", "tczyx", voxels, channels=True), voxels


def test_an_ome_tiff_has_a_pyramid_and_says_what_the_image_says(
    movie: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, voxels = movie
    output = tmp_path / "dataset_7.dat"
    assert main(["convert", str(store), "--to", "ome-tiff", "--output", str(output)]) == 0
    assert "an OME-TIFF has no place for: contrast." in capsys.readouterr().out
    with tifffile.TiffFile(output) as file:
        (series,) = file.series
        assert (series.axes, series.kind) == ("TCZYX", "ome")
        assert [level.shape[-2:] for level in series.levels] == [(1037, 70), (519, 35), (260, 18)]
        page = file.pages.first
        assert (page.tile, int(page.compression), len(page.subifds or ())) == ((512, 80), 8, 2)
        np.testing.assert_array_equal(series.asarray(), voxels)
        # scikit-image's mean, where no pixel is left without a partner; halves are rounded upwards.
        whole = untyped.downscale_local_mean(voxels[..., :1036, :].astype(float), (1, 1, 1, 2, 2))
        np.testing.assert_array_equal(series.levels[1].asarray()[..., :518, :], np.floor(whole + 0.5))
        text = (file.ome_metadata or "").encode()
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    assert schema.validate(etree.fromstring(text)), schema.error_log
    pixels = tifffile.xml2dict(text.decode())["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"] == SCALE[2:]
    assert (pixels["PhysicalSizeXUnit"], pixels["TimeIncrement"]) == ("µm", 30)
    said = {one["Name"]: (one["Color"] & 0xFFFFFFFF) >> 8 for one in pixels["Channel"]}
    assert said == {name: int(color, 16) for name, color in COLORS.items()}
    assert not list(tmp_path.glob("*.run")) + list(tmp_path.glob(".*"))


def test_mutant_an_ome_xml_that_breaks_the_schema_is_seen(movie: tuple[Path, np.ndarray[Any, Any]]) -> None:
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    text = b'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels/></Image></OME>'
    assert not schema.validate(etree.fromstring(text))


def test_labels_in_the_pyramid_are_labels(tmp_path: Path) -> None:
    voxels = noise((600, 700), "uint32") * 1000
    store = write(
        tmp_path / "l.ome.zarr", "0.5", "yx", voxels.shape, "uint32", multiscale("yx", 1), {"image-label": {}}
    )
    zarr.open_array(store / "0", mode="r+")[...] = voxels
    assert main(["convert", str(store), "--output", str(tmp_path / "l.ome.tif")]) == 0
    with tifffile.TiffFile(tmp_path / "l.ome.tif") as file:
        np.testing.assert_array_equal(file.series[0].levels[0].asarray(), voxels)
        np.testing.assert_array_equal(file.series[0].levels[1].asarray(), voxels[::2, ::2])


def test_mutant_means_of_labels_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = tiff._tiles
    monkeypatch.setattr(tiff, "_tiles", lambda rows, tile, below, labels: original(rows, tile, below, False))
    with pytest.raises(AssertionError):
        test_labels_in_the_pyramid_are_labels(tmp_path)


def test_slabs_of_any_size_make_the_same_bytes(
    movie: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, set[bytes]] = {".ome.tiff": set(), ".tiff": set(), ".png": set()}
    for size in (2**14, 2**27):
        monkeypatch.setattr(one_file, "LARGEST_SLAB", size)
        for ending, found in made.items():
            output = tmp_path / f"{size}{ending}"
            cut = ["--time", "1", "--region", "2:3,:,:"] if ending == ".png" else []
            assert main(["fetch", str(movie[0]), "--output", str(output), *cut]) == 0
            found.add(output.read_bytes())
    assert [len(found) for found in made.values()] == [1, 1, 1]


def test_an_imagej_tiff_is_a_hyperstack(movie: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    store, voxels = movie
    assert main(["convert", str(store), "--output", str(tmp_path / "a.tif")]) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), voxels.transpose(0, 2, 1, 3, 4))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert (file.series[0].axes, file.series[0].kind) == ("TZCYX", "imagej")
        said, page = file.imagej_metadata or {}, file.pages.first
        sizes = [page.tags[name].value[1] / page.tags[name].value[0] for name in ("YResolution", "XResolution")]
    np.testing.assert_allclose(sizes, SCALE[3:], rtol=1e-9)
    assert (said["unit"], said["spacing"], said["finterval"], said["mode"]) == ("um", 0.5, 30, "composite")
    assert (said["xorigin"], said["zorigin"]) == (-PLACE[4] / SCALE[4], -PLACE[2] / SCALE[2])
    assert said["Labels"] == list(COLORS) * 6
    assert said["Ranges"] == (5.0, 900.0) * 3
    assert ["".join(f"{part[255]:02X}" for part in one) for one in said["LUTs"]] == list(COLORS.values())


def test_mutant_planes_in_another_order_are_seen(
    movie: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an OME-TIFF has them: channels before planes."""
    original = Cut.read
    monkeypatch.setattr(Cut, "read", lambda cut, channel, *place: original(cut, (channel + 1) % 3, *place))
    with pytest.raises(AssertionError):
        test_an_imagej_tiff_is_a_hyperstack(movie, tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_png_of_a_plane(channels: int, dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels = noise((channels, 201, 133), dtype) * np.dtype(dtype).type(np.iinfo(dtype).max // 250)
    store = image(tmp_path / "a.ome.zarr", "cyx", voxels, channels=channels == 3)
    assert main(["convert", str(store), "--output", str(tmp_path / "a.png")]) == 0
    said = capsys.readouterr().out
    assert ("DAPI is red, GFP is green, RFP is blue" in said) == (channels == 3)
    assert "a PNG has no place for: voxel size, position" in said
    whole = voxels[0] if channels == 1 else voxels.transpose(1, 2, 0)
    if (channels, dtype) == (3, "uint16"):  # Pillow reads the upper eight bits only
        whole = (whole >> 8).astype(np.uint8)
        from imagecodecs import imread  # the libpng of scikit-image's and imageio's TIFF reader

        np.testing.assert_array_equal(imread(str(tmp_path / "a.png")), voxels.transpose(1, 2, 0))
    with Image.open(tmp_path / "a.png") as picture:
        picture.verify()
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), whole)


def test_a_mask_is_a_png_of_one_bit_and_comes_back(tmp_path: Path) -> None:
    voxels = noise((65, 83)) > 120
    store = image(tmp_path / "a.ome.zarr", "yx", voxels)
    assert main(["convert", str(store), "--output", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "1"
        np.testing.assert_array_equal(np.asarray(picture), voxels)
    assert main(["convert", str(tmp_path / "a.png"), "--output", str(tmp_path / "b.ome.zarr")]) == 0
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.ome.zarr" / "0", mode="r")[...], voxels)


def test_a_level_goes_out(tmp_path: Path) -> None:
    voxels = noise((600, 700))
    store = image(tmp_path / "a.ome.zarr", "yx", voxels)
    assert main(["convert", str(store), "--output", str(tmp_path / "b.ome.zarr")]) == 0
    words = ["convert", str(tmp_path / "b.ome.zarr"), "--level", "1", "--output"]
    half = zarr.open_array(tmp_path / "b.ome.zarr" / "1", mode="r")[...]
    for name in ("c.png", "c.tif", "c.ome.tif"):
        assert main([*words, str(tmp_path / name)]) == 0
        found = np.asarray(Image.open(tmp_path / name)) if name == "c.png" else tifffile.imread(tmp_path / name)
        np.testing.assert_array_equal(found, half)
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        x = file.pages.first.tags["XResolution"].value
    assert x[1] / x[0] == pytest.approx(2 * SCALE[4])


def test_a_tiff_becomes_another_and_comes_back(tmp_path: Path) -> None:
    """Real: the published input of a workflow."""
    source = SHARED / "iwc_nuclei" / "input_image.tiff"
    if not source.exists():
        pytest.skip(f"the image is not at {source}")
    assert main(["convert", str(source), "--output", str(tmp_path / "a.ome.tiff")]) == 0
    assert main(["convert", str(tmp_path / "a.ome.tiff"), "--output", str(tmp_path / "a.tiff")]) == 0
    for name in ("a.ome.tiff", "a.tiff"):
        np.testing.assert_array_equal(np.squeeze(tifffile.imread(tmp_path / name)), np.squeeze(tifffile.imread(source)))


def test_what_a_format_cannot_hold_is_refused(
    movie: tuple[Path, np.ndarray[Any, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = str(image(tmp_path / "l.ome.zarr", "yx", noise((40, 50), "uint32")))
    longs = str(image(tmp_path / "i.ome.zarr", "yx", noise((40, 50), "int64")))
    sentences = {
        (labels, "a.png"): "A PNG cannot hold uint32 voxels; choose another --format: ome-tiff or zarr.",
        (labels, "a.tif"): "An ImageJ TIFF cannot hold uint32 voxels; choose another --format: ome-tiff or zarr.",
        (longs, "a.ome.tif"): "An OME-TIFF cannot hold int64 voxels; choose another --format: zarr.",
        (str(movie[0]), "a.png"): "this piece has 2 time points, 3 channels and 3 planes; choose with --time",
    }
    for (store, name), sentence in sentences.items():
        assert main(["convert", store, "--output", str(tmp_path / name)]) == 2
        assert sentence in capsys.readouterr().err
    monkeypatch.setattr(tiff, "LARGEST_IMAGEJ", 2**18)
    assert main(["convert", str(movie[0]), "--output", str(tmp_path / "a.tif")]) == 2
    assert "An ImageJ TIFF has less than 4 GiB" in capsys.readouterr().err
    assert main(["convert", labels, "--to", "png", "--to-workspace", "a"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.ome.zarr", "l.ome.zarr"]


@pytest.mark.parametrize("name", ["a.ome.tiff", "a.tiff"])
def test_killed_it_leaves_no_file_of_that_name(
    movie: tuple[Path, np.ndarray[Any, Any]], name: str, tmp_path: Path
) -> None:
    command = ["convert", str(movie[0]), "--output", str(tmp_path / name), "--record", str(tmp_path / "r.json")]
    process = start(command)
    while process.poll() is None and not any(path.stat().st_size > 0 for path in tmp_path.glob(".*.part")):
        pass
    process.kill()
    process.communicate()
    assert not (tmp_path / name).exists()
    assert main(command) == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == [name, "r.json"]
    (read,) = json.loads((tmp_path / "r.json").read_text())["outputs"]
    assert read["media_type"] == "image/tiff"
