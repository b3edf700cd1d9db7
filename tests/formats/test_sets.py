"""Images in several files: OME-TIFF sets against tifffile's own whole array, folders against a stack of its arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.formats import as_store
from chunkwise.formats import ome_set as sets
from chunkwise.ngff.read import open_image
from chunkwise.site import load_site
from chunkwise.storage.foreign import foreign_store
from chunkwise.storage.location import resolve
from foreign_files import full, noise, ome_set, opened, voxels

ORDERS = ["XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    order=st.sampled_from(ORDERS),
    per_file=st.integers(1, 5),
    dtype=st.sampled_from(["uint8", ">u2", "float32"]),
    data=st.data(),
)
def test_a_set_is_what_tifffile_reads(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    order: str,
    per_file: int,
    dtype: str,
    data: st.DataObject,
) -> None:
    array = noise((*shape, 21, 34), np.dtype(dtype).newbyteorder("=").name)
    files = ome_set(tmp_path_factory.mktemp("set"), array, order, per_file=per_file)
    with tifffile.TiffFile(files[0]) as file:
        whole = full(file.asarray(), file.series[0].axes.lower())
    image = opened(data.draw(st.sampled_from(files)))
    np.testing.assert_array_equal(voxels(image), whole)
    np.testing.assert_array_equal(whole, array)


@pytest.mark.parametrize("given", [0, 3], ids=["companion", "member"])
def test_a_companion_file(tmp_path: Path, given: int) -> None:
    array = noise((2, 2, 3, 21, 34), "uint16")
    files = ome_set(tmp_path, array, "XYCZT", companion=True)
    image = opened(files[given])
    np.testing.assert_array_equal(voxels(image), array)
    assert [one.name for one in image.channels] == ["dye0", "dye1"]
    assert image.levels[0].scale == (1.0, 1.0, 2.0, 0.5, 0.5)
    store = foreign_store(image.location)
    store.check()
    assert sorted(store.files) == sorted(path.name for path in files)
    assert store.attached["OME/METADATA.ome.xml"] == files[0].read_bytes()


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_in_a_set(tmp_path: Path, planar: str) -> None:
    array = noise((2, 21, 34, 3), "uint8")
    stored = array if planar == "contig" else np.moveaxis(array, -1, 1)
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint8" SizeT="1" SizeC="3" SizeZ="2" SizeY="21" SizeX="34">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
    )
    for n in range(2):
        tifffile.imwrite(tmp_path / f"p{n}.tif", stored[n], photometric="rgb", planarconfig=planar, metadata=None)
        xml += f'<TiffData FirstZ="{n}"><UUID FileName="p{n}.tif">urn:uuid:{n}</UUID></TiffData>'
    (tmp_path / "a.companion.ome").write_text(f"{xml}</Pixels></Image></OME>")
    image = opened(tmp_path / "a.companion.ome")
    np.testing.assert_array_equal(voxels(image), full(array, "zyxs"))
    assert [one.name for one in image.channels] == ["red", "green", "blue"]


def _rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def _other(path: Path, array: np.ndarray[Any, Any], **options: Any) -> None:
    tifffile.imwrite(path, array, ome=False, metadata=None, photometric="minisblack", **options)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda at: (at / "part01.ome.tif").unlink(), r"lie in 'part01\.ome\.tif', which is not beside it"),
    "shape": (
        lambda at: _other(at / "part01.ome.tif", noise((2, 21, 30), "uint16")),
        r"Plane 0 of part01\.ome\.tif has 21x30 pixels of uint16, and the other planes .* have 21x34",
    ),
    "type": (
        lambda at: _other(at / "part01.ome.tif", noise((2, 21, 34), "uint8")),
        r"Plane 0 of part01\.ome\.tif has 21x34 pixels of uint8, and .* 21x34 pixels of uint16",
    ),
    "pages": (
        lambda at: _other(at / "part01.ome.tif", noise((21, 34), "uint16")),
        r"plane 1 of part01\.ome\.tif, counted from 0, which has 1",
    ),
    "swapped": (
        lambda at: os.replace(at / "part02.ome.tif", at / "part01.ome.tif"),
        r"part01\.ome\.tif calls itself urn:uuid:.*2: it is of another set|lie in 'part02",
    ),
    "silent": (
        lambda at: _rewrite(at / "set.companion.ome", 'SizeT="2"', 'SizeT="3"'),
        r"does not say where 6 of its 18 planes lie, the first being c 0, t 2, z 0",
    ),
    "too much": (
        lambda at: _rewrite(at / "set.companion.ome", 'SizeT="2"', 'SizeT="1"'),
        r"names planes in part03\.ome\.tif that the image does not have",
    ),
    "twice": (
        lambda at: _rewrite(at / "set.companion.ome", 'FirstZ="2"', 'FirstZ="1"'),
        r"says of some planes in part01\.ome\.tif that they lie elsewhere, too",
    ),
    "nowhere": (
        lambda at: _rewrite(at / "set.companion.ome", ' FileName="part01.ome.tif"', ""),
        r"does not say in which file its planes lie",
    ),
    "broken off": (
        lambda at: (at / "part01.ome.tif").write_bytes((at / "part01.ome.tif").read_bytes()[:3500]),
        r"part01\.ome\.tif (is broken off|cannot be read)",
    ),
    "no XML": (lambda at: (at / "set.companion.ome").write_text("<?xml?><OME"), "OME-XML of .* cannot be read"),
    "size": (
        lambda at: _rewrite(at / "set.companion.ome", 'SizeX="34"', 'SizeX="0"'),
        "does not say legibly how large",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_set_is_named(tmp_path: Path, fault: str) -> None:
    files = ome_set(tmp_path, noise((2, 2, 3, 21, 34), "uint16"), companion=True)
    break_it, words = FAULTS[fault]
    break_it(tmp_path)
    with pytest.raises(InputError, match=words):
        foreign_store(opened(files[0]).location).check()


@pytest.mark.parametrize("name", ["../secret.tif", "{secret}", "sub/secret.tif", "link.tif", ".."])
def test_a_set_is_one_folder(tmp_path: Path, name: str) -> None:
    """Whoever wrote a file names the others, and nobody asked for those."""
    secret, folder = tmp_path / "secret.tif", tmp_path / "set"
    files = ome_set(folder, noise((1, 1, 4, 21, 34), "uint16"), companion=True)
    _other(secret, np.full((2, 21, 34), 4242, "uint16"))
    (folder / "sub").mkdir()
    _other(folder / "sub" / "secret.tif", np.full((2, 21, 34), 4242, "uint16"))
    (folder / "link.tif").symlink_to(secret)
    _rewrite(files[0], "part01.ome.tif", name.format(secret=secret))
    with pytest.raises(PolicyError, match=r"not the name of a file beside it|is a link to another folder"):
        foreign_store(opened(files[0]).location).check()


@pytest.mark.parametrize("named", ["true", "false"])
def test_a_set_where_only_the_file_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """Galaxy hands over datasets that nobody may name; what lies beside them is other people's."""
    files = ome_set(tmp_path / "datasets", noise((1, 1, 4, 21, 34), "uint16"))
    site = tmp_path / "site.toml"
    site.write_text(f'[roots.datasets]\npath = "{tmp_path / "datasets"}"\naccess = "read"\nnamed_by_users = {named}\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    location = as_store(resolve(str(files[0]), load_site()), {})
    assert location is not None
    if named == "true":
        assert open_image(location).levels[0].shape == (4, 21, 34)
        return
    with pytest.raises(PolicyError, match="lies where nothing but the named file may be read"):
        foreign_store(location).check()


def test_mutant_planes_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison sees planes that were counted in the wrong order."""
    array = noise((2, 2, 2, 21, 34), "uint16")
    files = ome_set(tmp_path, array, "XYCTZ", per_file=8, companion=True)
    parse = sets.parse_xml

    def turned(text: Any) -> Any:
        root = parse(text)
        for node in root.iter():
            if node.get("DimensionOrder"):
                node.set("DimensionOrder", "XYZTC")
        return root

    monkeypatch.setattr(sets, "parse_xml", turned)
    assert not np.array_equal(voxels(opened(files[0])), array)


def _folder(folder: Path, names: dict[str, np.ndarray[Any, Any]], **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in names.items():
        tifffile.imwrite(folder / name, array, photometric="minisblack", **options)
    return folder


@pytest.mark.parametrize(("channels", "order"), [(["DAPI", "GFP"], [0, 1]), (["10", "9"], [1, 0])])
def test_a_folder_is_the_stack_of_its_files(tmp_path: Path, channels: list[str], order: list[int]) -> None:
    """Numbers are put in order as numbers: 9 comes before 10, with and without zeros in front."""
    array = noise((2, 2, 11, 21, 34), "uint16")
    at = tmp_path / "plate one"
    for t, c, z in np.ndindex(2, 2, 11):
        _folder(at, {f"img_{channels[c]}_t{t + 5:02}_z{z}.tif": array[t, c, z]}, tile=(16, 16), compression="zlib")
    (at / "notes.txt").write_text("not an image")
    names = [[[f"img_{channels[c]}_t{t + 5:02}_z{z}.tif" for z in range(11)] for c in order] for t in range(2)]
    whole = np.stack([[[tifffile.imread(at / n) for n in row] for row in time] for time in names])
    image = opened(at, pattern="img_{c}_t{t}_z{z}.tif", voxel_size="2,0.5,0.5")
    np.testing.assert_array_equal(voxels(image), whole)
    np.testing.assert_array_equal(whole, array[:, order])
    assert [one.name for one in image.channels] == [channels[n] for n in order]
    store = foreign_store(image.location)
    store.check()
    (remark,) = store.remarks
    assert "1 file does not fit the pattern" in remark
    assert "notes.txt" in remark


def test_a_folder_where_only_the_file_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file of a folder stands for it, unless the others are none of this person's business: they are not named."""
    at = _folder(tmp_path / "datasets", {f"t{n}.tif": ONE + n for n in range(2)})
    np.testing.assert_array_equal(voxels(opened(at / "t1.tif", pattern="t{t}.tif"))[1, 0, 0], ONE + 1)
    site = tmp_path / "site.toml"
    site.write_text(f'[roots.datasets]\npath = "{at}"\naccess = "read"\nnamed_by_users = false\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    with pytest.raises(PolicyError, match=r"Only .*t1\.tif itself may be read, not what lies beside it"):
        as_store(resolve(str(at / "t1.tif"), load_site()), {"pattern": "t{t}.tif"})


def test_a_folder_of_stacks(tmp_path: Path) -> None:
    array = noise((3, 5, 21, 34), "uint8")
    at = _folder(tmp_path / "stacks", {f"t{n}.tif": array[n] for n in range(3)}, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(voxels(opened(at, pattern="t{t}.tif")), full(array, "tzyx"))
    np.testing.assert_array_equal(voxels(opened(at, pattern="t{t}.tif", axes="cyx")), full(array, "tcyx"))
    with pytest.raises(InputError, match=r"every file is one plane \({z}\), and .* holds 5 of them"):
        opened(at, pattern="t{z}.tif")


ONE = np.zeros((8, 9), "uint8")


@pytest.mark.parametrize(
    ("names", "pattern", "words"),
    [
        (["a_1.tif", "a_01.tif"], "a_{z}.tif", r"a_01\.tif and a_1\.tif in .* have the same numbers"),
        (["a_1.tif", "a_2.tif", "a_4.tif"], "a_{z}.tif", "No file in .* has z 3 by the pattern"),
        (["c1_z1.tif", "c1_z2.tif", "c2_z2.tif"], "c{c}_z{z}.tif", "1 of 4 files are missing .* that of c 2, z 1"),
        (["a.tif"], "b{z}.tif", r"No file in .* fits the pattern b{z}\.tif; its files are a\.tif"),
        (["a_1.tif"], "a.tif", "cannot be used"),
        (["a_1.tif"], "../{z}.tif", "cannot be used"),
        (["a_1.tif"], "{z}_{z}.tif", "cannot be used"),
        (["a_1.tif"], "a_{q}.tif", "cannot be used"),
        (["a_12.tif"], "a_{t}{z}.tif", "two parts side by side"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, names: list[str], pattern: str, words: str) -> None:
    at = _folder(tmp_path / "folder", dict.fromkeys(names, ONE))
    with pytest.raises(InputError, match=words):
        opened(at, pattern=pattern)


@pytest.mark.parametrize("other", [np.zeros((8, 10), "uint8"), np.zeros((8, 9), "uint16")])
def test_files_of_another_kind_are_named(tmp_path: Path, other: np.ndarray[Any, Any]) -> None:
    at = _folder(tmp_path / "folder", {"z1.tif": ONE, "z2.tif": ONE, "z3.tif": other})
    with pytest.raises(InputError, match=r"z3\.tif has 8x.* and z1\.tif has 8x9 pixels of uint8"):
        foreign_store(opened(at, pattern="z{z}.tif").location).check()
    (at / "z3.tif").write_text("no TIFF")
    with pytest.raises(ChunkwiseError, match=r"z3\.tif cannot be read"):
        foreign_store(opened(at, pattern="z{z}.tif").location).check()


def test_even_steps_are_said(tmp_path: Path) -> None:
    at = _folder(tmp_path / "folder", {f"t{n}.tif": ONE for n in (0, 10, 20)})
    remarks = foreign_store(opened(at, pattern="t{t}.tif", voxel_size="1,1").location).remarks
    assert any("along t go in steps of 10" in remark for remark in remarks)
