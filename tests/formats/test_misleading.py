"""Metadata that mislead: names and numbers in OME-XML and ImageJ's that say something else than meets the eye."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from chunkwise.cli import main
from chunkwise.formats.tiff_metadata import facts_of
from chunkwise.ngff.read import open_image
from chunkwise.ngff.units import SPACE_UNITS, TIME_UNITS, short_unit
from chunkwise.storage.foreign import foreign_store
from chunkwise.storage.location import resolve
from foreign_files import opened
from made_stores import multiscale, write

SPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'

PHYSICAL = 'PhysicalSizeX="0.5" PhysicalSizeY="0.5"'


def pixels(planes: int, tiff_data: str, more: str = "") -> str:
    return (
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="6" SizeY="5" SizeZ="{planes}" SizeC="1" '
        f'SizeT="1" {more}><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{tiff_data}</Pixels>'
    )


def file_with(path: Path, xml: str, *values: int) -> Path:
    """A TIFF whose pages hold one number each, with OME-XML of somebody."""
    with tifffile.TiffWriter(path) as writer:
        for number, value in enumerate(values):
            plane = np.full((5, 6), value, "uint8")
            writer.write(plane, metadata=None, contiguous=False, description=xml if number == 0 else None)
    return path


def converted(source: Path, tmp_path: Path) -> Any:
    output = tmp_path / "o.ome.zarr"
    assert main(["convert", str(source), "--output", str(output), "--workers", "1"]) == 0
    return np.asarray(zarr.open_array(output / "0", mode="r")[...])


def refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_one_xml_in_both_files_of_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second calls itself by the UUID of the first: its planes are not read twice, as if they were the first's."""
    data = "".join(
        f'<TiffData FirstZ="{n}" IFD="0" PlaneCount="1"><UUID FileName="f{n}.ome.tif">urn:uuid:{n}</UUID></TiffData>'
        for n in range(2)
    )
    xml = f'<OME {SPACE} UUID="urn:uuid:0"><Image ID="Image:0">{pixels(2, data)}</Image></OME>'
    for n in range(2):
        file_with(tmp_path / f"f{n}.ome.tif", xml, 10 + n)
    for n in range(2):
        code = main(["convert", str(tmp_path / f"f{n}.ome.tif"), "--output", str(tmp_path / f"{n}"), "--workers", "1"])
        if code == 0:
            found = np.asarray(zarr.open_array(tmp_path / f"{n}" / "0", mode="r")[...])
            assert found[:, 0, 0].tolist() == [10, 11]
        else:
            assert "it is of another set" in capsys.readouterr().err


def test_two_files_with_one_uuid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "".join(
        f'<TiffData FirstZ="{n}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:0</UUID></TiffData>'
        for n, name in enumerate(("one.ome.tif", "gone.ome.tif"))
    )
    xml = f'<OME {SPACE} UUID="urn:uuid:0"><Image ID="Image:0">{pixels(2, data)}</Image></OME>'
    source = file_with(tmp_path / "one.ome.tif", xml, 10, 11)
    words = ["convert", str(source), "--output", str(tmp_path / "o")]
    refused(words, "gives the files one.ome.tif and gone.ome.tif the same UUID", capsys)


def test_an_image_without_planes_comes_first(tmp_path: Path) -> None:
    """tifffile counts images with planes only; sizes and names are those of the image that is read."""
    none = pixels(1, "<MetadataOnly/>", 'PhysicalSizeX="9" PhysicalSizeY="9"')
    real = pixels(1, '<TiffData IFD="0" PlaneCount="1"/>', 'PhysicalSizeX="0.5" PhysicalSizeY="0.5"')
    xml = (
        f'<OME {SPACE}><Image ID="Image:0" Name="wrong">{none}</Image>'
        f'<Image ID="Image:1" Name="right">{real.replace(":0", ":1")}</Image></OME>'
    )
    source = file_with(tmp_path / "two.ome.tif", xml, 7)
    assert (converted(source, tmp_path) == 7).all()
    made = open_image(resolve(str(tmp_path / "o.ome.zarr"), None))
    assert (made.name, made.levels[0].scale[-2:]) == ("right", (0.5, 0.5))


def test_units_of_their_own_in_imagej(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "unit": "um", "zunit": "nm", "spacing": 300}
    source = tmp_path / "stack.tif"
    voxels = np.arange(3 * 5 * 6, dtype="uint8").reshape(3, 5, 6)
    tifffile.imwrite(source, voxels, imagej=True, resolution=(2, 2), metadata=about)
    np.testing.assert_array_equal(converted(source, tmp_path), tifffile.imread(source))
    made = open_image(resolve(str(tmp_path / "o.ome.zarr"), None))
    units = {axis.name: axis.unit for axis in made.axes}
    assert units == {"z": "nanometer", "y": "micrometer", "x": "micrometer"}
    assert made.levels[0].scale == (300.0, 0.5, 0.5)


def test_every_unit_of_ome_xml_is_read(tmp_path: Path) -> None:
    for units, axis, name in ((SPACE_UNITS, "x", "PhysicalSizeX"), (TIME_UNITS, "t", "TimeIncrement")):
        for unit in units:
            known = {"axes": "TYX", name: 3.0, f"{name}Unit": short_unit(unit)}
            tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((2, 5, 6), "uint8"), metadata=known)
            with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
                facts = facts_of(file, file.series[0], 0)
            assert facts.sizes == {axis: (3.0, unit)}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"unit": "um", "spacing": -0.5}, "'-0.5 um' along z is not taken, because it is no length above 0"),
        ({"unit": "um", "spacing": 1.0, "finterval": 2.0, "tunit": "frames"}, "'2.0 frames' along t is not taken"),
    ],
)
def test_sizes_that_are_none_are_said(known: dict[str, Any], words: str, tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, np.zeros((2, 3, 5, 6), "uint8"), imagej=True, metadata={"axes": "TZYX"} | known)
    assert any(words in remark for remark in foreign_store(opened(source).location).remarks)


def test_ome_xml_that_is_broken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml = f'<OME {SPACE}><Image ID="Image:0">{pixels(1, "<TiffData/>", PHYSICAL)}</Image></O'
    one = file_with(tmp_path / "one.ome.tif", xml, 7)
    assert any("its OME-XML is broken" in remark for remark in foreign_store(opened(one).location).remarks)
    two = file_with(tmp_path / "two.ome.tif", xml, 7, 8)
    refused(["convert", str(two), "--output", str(tmp_path / "o")], "its OME-XML is broken", capsys)


@pytest.mark.parametrize("page", ["4294967296", "1" + "0" * 30, str(2**64), "-1"])
def test_pages_that_no_file_has(page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f'<TiffData IFD="{page}" PlaneCount="1"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'
    file_with(tmp_path / "a.tif", "", 1)
    companion = tmp_path / "set.companion.ome"
    companion.write_text(f'<OME {SPACE}><Image ID="Image:0">{pixels(1, data)}</Image></OME>')
    refused(["convert", str(companion), "--output", str(tmp_path / "o")], "that the image does not have", capsys)


def test_ome_xml_without_a_namespace(tmp_path: Path) -> None:
    data = '<TiffData IFD="0" PlaneCount="1"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'
    file_with(tmp_path / "a.tif", "", 3)
    companion = tmp_path / "set.companion.ome"
    companion.write_text(f'<OME><Image ID="Image:0">{pixels(1, data)}</Image></OME>')
    assert (converted(companion, tmp_path) == 3).all()


def test_a_link_to_a_file_opens_no_door_to_what_lies_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Galaxy gives links to its datasets: what one of them names beside it is somebody else's."""
    data = "".join(
        f'<TiffData FirstZ="{n}" IFD="0" PlaneCount="1"><UUID FileName="dataset_{n}.dat">urn:uuid:{n}</UUID></TiffData>'
        for n in range(2)
    )
    xml = f'<OME {SPACE} UUID="urn:uuid:0"><Image ID="Image:0">{pixels(2, data)}</Image></OME>'
    files, job = tmp_path / "files", tmp_path / "job"
    files.mkdir()
    job.mkdir()
    file_with(files / "dataset_0.dat", xml, 10)
    file_with(files / "dataset_1.dat", "", 77)
    os.symlink(files / "dataset_0.dat", job / "mine.ome.tif")
    words = ["convert", str(job / "mine.ome.tif"), "--output", str(tmp_path / "o"), "--workers", "1"]
    assert main(words) in (2, 3)
    assert not (tmp_path / "o").exists()
    assert main([*words, "--pattern", "dataset_{z}.dat"]) in (2, 3)
    assert not (tmp_path / "o").exists()


def test_many_files_missing_are_counted_and_not_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(60):
        tifffile.imwrite(tmp_path / f"a{n}_{n}_{n}.tif", np.zeros((4, 4), "uint8"))
    words = ["convert", str(tmp_path), "--pattern", "a{c}_{t}_{z}.tif", "--output", str(tmp_path.parent / "none")]
    refused(words, f"{60**3 - 60} of {60**3} files are missing", capsys)


def test_a_name_that_xml_cannot_hold(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "bad\x01name", "window": {"start": 0, "end": 1, "min": 0, "max": 1}}]}
    store = write(tmp_path / "i.ome.zarr", "0.5", "cyx", (1, 8, 8), entry=multiscale("cyx", 1), extra={"omero": omero})
    output = tmp_path / "o.ome.tif"
    assert main(["fetch", str(store), "--output", str(output), "--workers", "1"]) == 0
    with tifffile.TiffFile(output) as file:
        assert file.ome_metadata is not None
        ElementTree.fromstring(file.ome_metadata)
        assert "bad\ufffdname" in file.ome_metadata
