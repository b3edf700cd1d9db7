"""TIFFs of every kind that tifffile writes, read in boxes, against tifffile's own whole image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.formats import tiff_array
from chunkwise.formats.tiff_metadata import facts_of
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.storage.array_reader import Box
from chunkwise.storage.foreign import foreign_store
from foreign_files import damage_tile, full, noise, opened, voxels

TYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"]
COMPRESSIONS = [None, "zlib", "zstd", "lzw", "packbits", "lzma"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(TYPES),
    compression=st.sampled_from(COMPRESSIONS),
    order=st.sampled_from("<>"),
    tile=st.sampled_from([None, (16, 16), (32, 48)]),
    rows=st.sampled_from([None, 1, 7]),
    big=st.booleans(),
    axes=st.sampled_from(["YX", "ZYX", "TYX", "CYX", "TZCYX", "CZYX", "TCYX", "YXS", "ZYXS"]),
    separate=st.booleans(),
    kind=st.sampled_from(["ome", "shaped"]),
)
def test_every_layout(
    tmp_path: Path,
    dtype: str,
    compression: str | None,
    order: str,
    tile: tuple[int, int] | None,
    rows: int | None,
    big: bool,
    axes: str,
    separate: bool,
    kind: str,
) -> None:
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 37, "X": 53, "S": 3}
    if separate and axes.endswith("S"):  # planes of one sample each
        axes = axes.replace("YXS", "SYX")
    array = noise(tuple(sizes[axis] for axis in axes), dtype)
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    options: dict[str, Any] = {"photometric": "rgb" if "S" in axes else "minisblack"}
    if "S" in axes:
        options["planarconfig"] = "separate" if separate else "contig"
    if tile is None and rows is not None:
        options["rowsperstrip"] = rows
    tifffile.imwrite(
        path,
        array,
        ome=kind == "ome",
        bigtiff=big,
        byteorder=order,
        compression=compression,
        tile=tile,
        metadata={"axes": axes},
        **options,
    )
    with tifffile.TiffFile(path) as file:
        whole, letters = file.asarray(), file.series[0].axes
    image = opened(path)
    assert image.levels[0].dtype == dtype
    np.testing.assert_array_equal(voxels(image), full(whole, letters.lower()))


@pytest.mark.parametrize("axes", ["ZYX", "TZCYX", "TYX", "CYX"])
def test_imagej_hyperstacks(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": 20, "X": 31}
    array = noise(tuple(sizes[axis] for axis in axes), "uint16")
    known = {"axes": axes, "spacing": 0.7, "unit": "um", "finterval": 30.0}
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, resolution=(4.0, 5.0), metadata=known)
    image = opened(tmp_path / "a.tif")
    np.testing.assert_array_equal(voxels(image), full(array, axes.lower()))
    scale = dict(zip(image.axis_names, image.levels[0].scale, strict=True))
    assert (scale["x"], scale["y"]) == (0.25, 0.2)
    assert scale.get("z", 0.7) == 0.7
    assert scale.get("t", 30.0) == 30.0
    assert {axis.unit for axis in image.axes if axis.type == "space"} == {"micrometer"}


def test_a_pyramid_of_sub_images(tmp_path: Path) -> None:
    array = noise((3, 128, 160), "uint8")
    known = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(array, subifds=1, tile=(64, 64), photometric="minisblack", metadata=known)
        file.write(array[:, ::2, ::2], subfiletype=1, tile=(64, 64), photometric="minisblack")
    image = opened(tmp_path / "a.ome.tif")
    assert [level.shape for level in image.levels] == [(3, 128, 160), (3, 64, 80)]
    assert [level.scale for level in image.levels] == [(1.0, 0.5, 0.5), (1.0, 1.0, 1.0)]
    np.testing.assert_array_equal(voxels(image, 1)[0, :, 0], array[:, ::2, ::2])


def test_what_ome_xml_says(tmp_path: Path) -> None:
    known = {
        "axes": "TCZYX",
        "Name": "embryo",
        "PhysicalSizeX": 100.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.1,
        "PhysicalSizeZ": 0.4,
        "TimeIncrement": 2.0,
        "TimeIncrementUnit": "min",
        "Channel": {"Name": ["DAPI", "GFP"], "Color": [65535, 16711935]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", noise((2, 2, 3, 8, 9), "uint16"), metadata=known)
    image = opened(tmp_path / "a.ome.tif")
    assert image.name == "embryo"
    assert [(axis.name, axis.unit) for axis in image.axes] == [
        ("t", "minute"),
        ("c", None),
        ("z", "micrometer"),
        ("y", "micrometer"),
        ("x", "nanometer"),
    ]
    assert image.levels[0].scale == (2.0, 1.0, 0.4, 0.1, 100.0)
    # 65535 is 0x0000FFFF: blue and opaque; 16711935 is 0x00FF00FF: green and opaque.
    assert [(one.name, one.color) for one in image.channels] == [("DAPI", "0000FF"), ("GFP", "00FF00")]


def test_what_a_person_says(tmp_path: Path) -> None:
    array = noise((4, 9, 10), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", metadata=None)
    with pytest.raises(InputError, match=r"does not say what the 4 planes along its axis 0 are; say it with --axes"):
        opened(tmp_path / "a.tif")
    image = opened(tmp_path / "a.tif", axes="zyx", voxel_size="2,0.5,0.25", unit="nanometer")
    assert image.axis_names == "zyx"
    assert image.levels[0].scale == (2.0, 0.5, 0.25)
    assert {axis.unit for axis in image.axes} == {"nanometer"}
    image = opened(tmp_path / "a.tif", axes="cyx", channel_name="a\nb\nc\nd")
    assert [one.name for one in image.channels] == ["a", "b", "c", "d"]
    (remark,) = foreign_store(image.location).remarks
    assert "gives no voxel size along y, x" in remark


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"axes": "yx"}, "does not fit"),
        ({"axes": "qyx"}, "does not fit"),
        ({"axes": "zzx"}, "does not fit"),
        ({"axes": "zyx", "voxel_size": "1,2"}, "has to be 3 numbers above 0"),
        ({"axes": "zyx", "voxel_size": "1,2,0"}, "has to be 3 numbers above 0"),
        ({"axes": "zyx", "voxel_size": "1,2,x"}, "has to be 3 numbers above 0"),
        ({"axes": "cyx", "channel_name": "a\nb"}, "has 4 channels, and --channel-name was given 2 times"),
        ({"axes": "zyx", "series": "3"}, "has no image 3; it holds 1, counted from 0"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, said: dict[str, str], words: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((4, 9, 10), "uint16"), photometric="minisblack")
    with pytest.raises(InputError, match=words):
        opened(tmp_path / "a.tif", **said)


def test_of_several_images_one_is_chosen(tmp_path: Path) -> None:
    first, second = noise((8, 9), "uint8"), noise((3, 10, 11), "uint16")
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(first, metadata={"axes": "YX"})
        file.write(second, metadata={"axes": "ZYX"}, photometric="minisblack")
    with pytest.raises(InputError, match=r"holds 2 images; choose one with --series: 0 \(8x9 YX\), 1 \(3x10x11 ZYX\)"):
        opened(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(voxels(opened(tmp_path / "a.ome.tif", series="1"))[0, 0], second)


def test_colours_are_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((8, 9, 3), "uint8"), photometric="rgb")
    image = opened(tmp_path / "a.tif")
    assert [(one.name, one.color) for one in image.channels] == [
        ("red", "FF0000"),
        ("green", "00FF00"),
        ("blue", "0000FF"),
    ]


def broken_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lying(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'SizeZ="4"', b'SizeZ="7"'))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_file_that_is_broken_off(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    how: dict[str, Any] = {"tile": (16, 16), "compression": compression, "photometric": "minisblack"}
    tifffile.imwrite(path, noise((4, 64, 64), "uint16"), metadata={"axes": "ZYX"}, **how)
    broken_off(path)
    with pytest.raises(InputError, match="broken off"):
        foreign_store(opened(path).location).check()


@pytest.mark.parametrize("kind", ["plain", "ImageJ", "OME"])
def test_a_file_that_is_broken_off_and_reads_as_a_smaller_one(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array, path = noise((10, 16, 20), "uint16"), tmp_path / "a.tif"
    if kind == "plain":  # plane by plane
        first, *others = map(Image.fromarray, array)
        first.save(path, save_all=True, append_images=others)
    else:
        tifffile.imwrite(path, array, **{kind.lower(): True}, metadata={"axes": "ZYX"})
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tables = [page.offset for page in file.pages]
    path.write_bytes(whole[: tables[1]])
    with pytest.raises(InputError, match="is broken off: after 1 of its planes"):
        foreign_store(opened(path).location).check()
    assert capsys.readouterr().err == ""  # nothing of what a library says


def test_planes_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise((4, 16, 16), "uint16"), metadata={"axes": "ZYX"}, photometric="minisblack")
    lying(path)
    with pytest.raises(InputError, match="has 7 planes, and 3 of them are not there, the first being plane 4"):
        foreign_store(opened(path).location).check()


def test_a_tile_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((64, 64), "uint16"), tile=(16, 16), compression="zlib")
    damage_tile(path, 5)
    (source,) = select(opened(path), 0, EVERY).sources
    source.read(0, (slice(0, 16), slice(0, 64)))  # the others are whole
    with pytest.raises(InputError, match="cannot be read at y 0:32, x 0:32 "):
        source.read(0, (slice(0, 32), slice(0, 32)))


SECRET = "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize("place", ["private/secret.ome.tif", "{folder}/private/secret.ome.tif", "a.ome.tif"])
@pytest.mark.parametrize("own", [True, False], ids=["named", "nameless"])
def test_planes_in_other_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, own: bool
) -> None:
    """Whoever wrote a file names the others, and nobody asked the policy about those; tifffile would open them."""
    monkeypatch.chdir(tmp_path)
    Path("private").mkdir()
    secret = np.full((16, 16), 4242, "uint16")
    tifffile.imwrite("private/secret.ome.tif", secret, metadata={"axes": "YX", "UUID": SECRET})
    array = noise((2, 16, 16), "uint16")
    tifffile.imwrite("a.ome.tif", array, metadata={"axes": "ZYX"}, photometric="minisblack")
    with tifffile.TiffFile("a.ome.tif") as file:
        text = str(file.ome_metadata)
    planes = '<TiffData IFD="0" PlaneCount="2"/>'
    assert planes in text
    one = f'<UUID FileName="{place.format(folder=tmp_path)}">urn:uuid:{SECRET}</UUID></TiffData>'
    text = text.replace(planes, f'<TiffData FirstZ="0" IFD="0">{one}<TiffData FirstZ="1" IFD="1">{one}')
    if not own:
        text = re.sub(r' UUID="[^"]*"', "", text, count=1)
    tifffile.imwrite("a.ome.tif", array, description=text, metadata=None, photometric="minisblack")
    if not own and place == "a.ome.tif":  # it only says its own name
        np.testing.assert_array_equal(voxels(opened(Path("a.ome.tif")))[0, 0], array)
        return
    with pytest.raises(ChunkwiseError, match=r"not the name of a file beside it|it is of another set"):
        foreign_store(opened(Path("a.ome.tif")).location).check()


def test_ome_xml_of_other_planes_is_not_believed(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(noise((8, 9), "uint8"), metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5})
        file.write(noise((10, 11), "uint8"), metadata={"axes": "YX", "PhysicalSizeX": 0.7, "PhysicalSizeY": 0.7})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        right, wrong = (facts_of(file, file.series[0], number) for number in (0, 1))
    assert right.sizes["x"] == (0.5, "micrometer")
    assert not wrong.sizes
    assert "describes planes of another size" in wrong.dropped[0]


def test_colours_by_number_are_said(tmp_path: Path) -> None:
    table = np.zeros((3, 256), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", noise((16, 20), "uint8"), photometric="palette", colormap=table)
    image = opened(tmp_path / "a.tif")
    assert any("the table of colours is not carried" in remark for remark in foreign_store(image.location).remarks)


def test_not_a_tiff_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"\xff" * 50)
    with pytest.raises(InputError, match=r"The TIFF .*a\.tif (cannot be read|holds no image)"):
        opened(tmp_path / "a.tif")
    (tmp_path / "a.nd2").write_bytes(b"\xda\xce\xbe\x0a" + b"\0" * 50)
    with pytest.raises(InputError, match=r"is a Nikon ND2 file, a format .* does not read; .*bioformats2raw"):
        opened(tmp_path / "a.nd2")


def test_the_comparison_catches_axes_that_were_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = noise((3, 3, 37, 53), "uint16")
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata={"axes": "TZYX"}, photometric="minisblack")
    monkeypatch.setattr(tiff_array, "LETTERS", tiff_array.LETTERS | {"T": "z", "Z": "t"})
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(voxels(opened(tmp_path / "a.ome.tif")), full(array, "tzyx"))


def test_the_comparison_catches_samples_that_count_before_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = noise((2, 37, 53, 3), "uint16")
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata={"axes": "CYXS"}, photometric="rgb")
    np.testing.assert_array_equal(voxels(opened(tmp_path / "a.ome.tif")), full(array, "cyxs"))
    read = tiff_array.TiffArray.read

    def swapped(self: tiff_array.TiffArray, box: Box) -> np.ndarray[Any, Any]:
        sample, channel = divmod(box[0].start, 2)
        number = channel * 3 + sample
        return read(self, (slice(number, number + 1), *box[1:]))

    monkeypatch.setattr(tiff_array.TiffArray, "read", swapped)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(voxels(opened(tmp_path / "a.ome.tif")), full(array, "cyxs"))
