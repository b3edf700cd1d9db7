"""Zeiss CZI: mosaics of tiles, scenes and colours, against the arrays that they were written from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from pylibCZIrw import czi

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.formats.described import COLORS
from chunkwise.storage.foreign import foreign_store, forget_files
from foreign_files import full, made_czi, noise, opened, voxels


@pytest.mark.parametrize("compression", ["uncompressed:", "zstd0:ExplicitLevel=3", "zstd1:ExplicitLevel=3"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_mosaic(dtype: str, compression: str, tmp_path: Path) -> None:
    array = noise((2, 3, 2, 70, 90), dtype)
    image = opened(made_czi(tmp_path / "a.czi", array, compression=compression))
    np.testing.assert_array_equal(voxels(image, parts=3), array)
    colours = {"DAPI": "FF0000", "GFP": "00FF00", "RFP": "0000FF"}
    assert {one.name: one.color for one in image.channels} == colours
    assert image.levels[0].scale[2:] == (1.0, 0.25, 0.25)
    assert foreign_store(image.location).attached["OME/METADATA.czi.xml"].startswith(b"<?xml")
    assert not any("tiles" in remark for remark in foreign_store(image.location).remarks)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_are_red_green_and_blue(dtype: str, tmp_path: Path) -> None:
    array = noise((1, 1, 1, 70, 90, 3), dtype)
    image = opened(made_czi(tmp_path / "a.czi", array, names=()))
    expected = full(array[0, 0, 0], "yxs")
    np.testing.assert_array_equal(voxels(image, parts=3), expected)
    assert [(one.name, one.color) for one in image.channels] == list(COLORS.items())


def test_mutant_colours_in_the_order_of_the_file_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = noise((1, 1, 1, 70, 90, 3), "uint8")
    path = made_czi(tmp_path / "a.czi", array, names=())
    read = czi.CziReader.read
    monkeypatch.setattr(czi.CziReader, "read", lambda *words, **more: read(*words, **more)[..., ::-1])
    assert not np.array_equal(voxels(opened(path), parts=3), full(array[0, 0, 0], "yxs"))


@pytest.fixture
def scenes(tmp_path: Path) -> tuple[Path, dict[int, np.ndarray[Any, Any]]]:
    """Two scenes of different sizes, apart from each other."""
    planes = {0: noise((40, 50), "uint16"), 1: noise((30, 20), "uint16") + 7}
    with czi.create_czi(str(tmp_path / "s.czi")) as file:
        for scene, plane in planes.items():
            file.write(plane[..., np.newaxis], location=(200 * scene, 0), scene=scene)
        file.write_metadata("made", scale_x=0.5e-6, scale_y=0.5e-6)
    return tmp_path / "s.czi", planes


def test_each_scene_is_an_image(scenes: tuple[Path, dict[int, np.ndarray[Any, Any]]]) -> None:
    path, planes = scenes
    with pytest.raises(InputError, match=r"holds 2 scenes; choose one with --series: 0 \(40x50\), 1 \(30x20\)\."):
        opened(path)
    for scene, plane in planes.items():
        np.testing.assert_array_equal(voxels(opened(path, series=str(scene)))[0, 0, 0], plane)
    with pytest.raises(InputError, match="has no scene 2; it has 0, 1"):
        opened(path, series="2")


def test_voxels_without_a_tile_are_said(tmp_path: Path) -> None:
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for place in ((0, 0), (60, 60)):
            file.write(noise((20, 20, 1), "uint8") | 1, location=place)
        file.write_metadata("made")
    image = opened(tmp_path / "a.czi")
    assert (voxels(image)[0, 0, 0, :20, 60:] == 0).all()
    assert any("the tiles do not cover the whole image" in remark for remark in foreign_store(image.location).remarks)


def test_other_axes_and_types_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_czi(tmp_path / "a.czi", noise((1, 1, 1, 20, 20), "uint8"))
    with monkeypatch.context() as patch:  # pylibCZIrw writes no such axes
        box = czi.CziReader(str(path)).total_bounding_box | {"V": (0, 2)}
        patch.setattr(czi.CziReader, "total_bounding_box", box)
        with pytest.raises(InputError, match=r"has the axes V \(2\) besides time, channel and space"):
            opened(path)
    with czi.create_czi(str(tmp_path / "b.czi")) as file:
        for channel, dtype in enumerate(("uint8", "uint16")):
            file.write(noise((8, 8, 1), dtype), plane={"C": channel})
        file.write_metadata("made")
    with pytest.raises(InputError, match=r"have different types \(Gray16, Gray8\)"):
        opened(tmp_path / "b.czi")
    with pytest.raises(InputError, match="--axes is for TIFFs"):
        opened(tmp_path / "b.czi", axes="yx")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_a_file_that_was_broken_off(kept: float, tmp_path: Path) -> None:
    path = made_czi(tmp_path / "a.czi", noise((1, 2, 1, 200, 200), "uint16"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    forget_files()
    with pytest.raises(InputError, match=r"The CZI .*a\.czi (cannot be read|holds no image)"):
        voxels(opened(path))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_czi(tmp_path / "a.czi", noise((1, 1, 1, 20, 20), "uint8"))
    monkeypatch.setitem(sys.modules, "pylibCZIrw.czi", None)
    with pytest.raises(InputError, match=r"needs pylibCZIrw: install .*'chunkwise\[czi\]'.*bioformats2raw a\.czi"):
        opened(path)


def test_it_is_brought_in_by_two_workers_and_used_where_it_lies(tmp_path: Path) -> None:
    array = noise((2, 3, 2, 70, 90), "uint16")
    path, output = made_czi(tmp_path / "a.czi", array), tmp_path / "a.ome.zarr"
    assert main(["convert", str(path), "--output", str(output), "--workers", "2"]) == 0
    np.testing.assert_array_equal(np.asarray(zarr.open_array(output / "0", mode="r")[...]), array)
    assert (output / "OME" / "METADATA.czi.xml").is_file()
    again = tmp_path / "maximum.ome.zarr"
    words = ["--method", "maximum", "--size", "1", "--channel", "GFP", "--workers", "1", "--output", str(again)]
    assert main(["filter", str(path), *words]) == 0
    np.testing.assert_array_equal(np.squeeze(zarr.open_array(again / "0", mode="r")[...]), array[:, 1])
