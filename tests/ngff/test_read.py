"""Opening stores: real ones of several writers, and ones made here that are wrong in one way."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.errors import InputError, PolicyError
from chunkwise.ngff.model import Collection, Image, Plate
from chunkwise.ngff.read import open_image, open_store
from chunkwise.site import Root, Site
from chunkwise.storage.location import resolve
from made_stores import change_json, multiscale, write

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real images in ../shared are not there")


def image_at(path: Path) -> Image:
    return open_image(resolve(str(path), None))


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        open_image(resolve(str(path), None))
    sentence = str(caught.value)
    assert str(path).rstrip("/") in sentence
    assert "\n" not in sentence
    return sentence


REAL = {
    "omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr": ("czyx", (3, 1, 1080, 1280), 3, "uint16", "0.4"),
    "omezarr_galaxy_image_analysis/coins.ome.zarr": ("tczyx", (1, 1, 1, 480, 640), 3, "uint8", "0.4"),
    "omezarr_galaxy_image_analysis/cyx_uint8.zarr": ("cyx", (3, 16, 20), 1, "uint8", "0.5"),
    "omezarr_galaxy_image_analysis/image-03.zarr": ("zyx", (2, 100, 100), 1, "float64", "0.4"),
    "omezarr_galaxy_image_analysis/input10.zarr": ("cyx", (2, 64, 64), 5, "uint8", "0.5"),
    "omezarr_galaxy_image_analysis/input13.zarr": ("yx", (265, 329), 1, "uint8", "0.5"),
    "omezarr_ngio_axes/test_image_c1yx.zarr": ("czyx", (2, 1, 64, 64), 2, "uint8", "0.4"),
    "omezarr_ngio_axes/test_image_czyx.zarr": ("czyx", (2, 3, 64, 64), 2, "uint8", "0.4"),
    "omezarr_ngio_axes/test_image_tczyx.zarr": ("tczyx", (4, 2, 3, 64, 64), 2, "uint8", "0.4"),
    "omezarr_ngio_axes/test_image_tzyx.zarr": ("tzyx", (4, 3, 64, 64), 2, "uint8", "0.4"),
    "omezarr_ngio_axes/test_image_zyx.zarr": ("zyx", (3, 64, 64), 2, "uint8", "0.4"),
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_images(name: str) -> None:
    image = image_at(DATA / name)
    first = image.levels[0]
    assert (image.axis_names, first.shape, len(image.levels), first.dtype, image.version) == REAL[name]
    assert not [finding for finding in image.findings if finding.severity == "error"]
    for label in image.labels:
        labels = image_at(DATA / name / "labels" / label)
        assert labels.kind == "labels"
        assert labels.levels[0].shape == tuple(
            size for axis, size in zip(image.axis_names, first.shape, strict=True) if axis != "c"
        )


@needs_data
def test_real_channels_units_and_scale() -> None:
    image = image_at(DATA / "omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr")
    assert [channel.name for channel in image.channels] == ["DAPI", "nanog", "Lamin B1"]
    assert image.channels[0].color == "00FFFF"
    assert image.channels[0].window == (0.0, 700.0)
    assert [axis.unit for axis in image.axes] == [None, "micrometer", "micrometer", "micrometer"]
    assert image.levels[2].scale == (1.0, 1.0, 2.6, 2.6)
    assert image.levels[0].codecs == ("blosc (lz4)",)
    assert image.labels == ("nuclei",)


@needs_data
def test_seconds_mean_second_with_a_remark() -> None:
    image = image_at(DATA / "omezarr_ngio_axes/test_image_tzyx.zarr")
    assert image.axes[0].unit == "second"
    assert any("seconds" in finding.message for finding in image.findings)


@needs_data
def test_capital_axes_are_read_small() -> None:
    image = image_at(DATA / "omezarr_galaxy_image_analysis/cyx_uint8.zarr")
    assert image.axis_names == "cyx"
    assert image.name == "cyx_uint8"


@needs_data
def test_real_plate() -> None:
    place = resolve(str(DATA / "omezarr_hcs_metadata_only/hcs_example.ome.zarr"), None)
    plate = open_store(place)
    assert isinstance(plate, Plate)
    assert [(well.path, well.row, well.column, well.fields) for well in plate.wells] == [("B/03", "B", "03", ("0",))]
    assert "is a plate" in refusal(place.address)
    assert "B/03/0" in refusal(place.address)
    assert "is a well" in refusal(place.address + "/B/03")
    assert image_at(Path(place.address) / "B/03/0").axis_names == "czyx"


@needs_data
def test_real_collection_of_one() -> None:
    place = resolve(str(DATA / "omezarr_galaxy_image_analysis/coins.ome.zarr"), None)
    store = open_store(place)
    assert isinstance(store, Collection)
    assert store.series == ("0",)
    assert open_image(place).location == place.child("0")
    assert "folder above" in refusal(place.address + "/OME")
    level = refusal(place.address + "/0/1")
    assert "single array" in level
    table = refusal(DATA / "omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr/tables/nuclei_ROI_table/X")
    assert "no image names it" in table
    assert place.address + "/0," in level


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(("axes", "shape"), [("yx", (16, 20)), ("czyx", (2, 3, 16, 20)), ("tcyx", (2, 3, 16, 20))])
def test_both_versions_read_alike(tmp_path: Path, version: str, axes: str, shape: tuple[int, ...]) -> None:
    image = image_at(write(tmp_path / "i.ome.zarr", version, axes, shape))
    assert (image.version, image.axis_names, image.levels[0].shape) == (version, axes, shape)
    assert image.levels[1].scale == tuple(2.0 if axis in "yx" else 1.0 for axis in axes)
    assert image.levels[0].zarr_format == (2 if version == "0.4" else 3)
    assert len(image.channels) == (shape[axes.index("c")] if "c" in axes else 1)
    assert [channel.name for channel in image.channels] == [str(i) for i in range(len(image.channels))]


def test_a_sharded_array_shows_its_inner_chunks(tmp_path: Path) -> None:
    level = image_at(write(tmp_path / "i.zarr", shards=(16, 16))).levels[0]
    assert (level.chunks, level.shards) == ((8, 8), (16, 16))
    assert "sharding_indexed" not in level.codecs
    assert "zstd" in level.codecs


@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4", "|b1", "<i8"])
def test_byte_order_is_no_part_of_the_type(tmp_path: Path, dtype: str) -> None:
    level = image_at(write(tmp_path / "i.zarr", "0.4", dtype=dtype)).levels[0]
    assert level.dtype == np.dtype(dtype).newbyteorder("=").name


def test_scale_and_translation_of_level_and_multiscale_are_composed(tmp_path: Path) -> None:
    entry = multiscale(levels=1)
    entry["datasets"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [2, 3]},
        {"type": "translation", "translation": [10, 20]},
    ]
    entry["coordinateTransformations"] = [
        {"type": "scale", "scale": [0.5, 10]},
        {"type": "translation", "translation": [1, 2]},
    ]
    level = image_at(write(tmp_path / "i.zarr", entry=entry)).levels[0]
    assert level.scale == (1.0, 30.0)
    assert level.translation == (0.5 * 10 + 1, 10 * 20 + 2)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("um", "micrometer"), ("µm", "micrometer"), ("μm", "micrometer"), ("micron", "micrometer"), ("nm", "nanometer"),
     ("Micrometers", "micrometer"), ("millimetre", "millimeter"), ("angstrom", "angstrom"), ("Mm", "megameter")],
)  # fmt: skip
def test_other_spellings_of_units(tmp_path: Path, unit: str, expected: str) -> None:
    entry = multiscale()
    entry["axes"][0]["unit"] = unit
    assert image_at(write(tmp_path / "i.zarr", entry=entry)).axes[0].unit == expected


@pytest.mark.parametrize(
    ("axes", "shape", "why"),
    [("xy", (16, 16), "axes x, y"), ("yxz", (16, 16, 3), "axes y, x, z"), ("zx", (16, 16), "axes z, x"),
     ("ctyx", (2, 2, 16, 16), "comes too late"), ("yxc", (16, 16, 3), "RGB")],
)  # fmt: skip
def test_an_unknown_axis_order_is_refused(tmp_path: Path, axes: str, shape: tuple[int, ...], why: str) -> None:
    assert why in refusal(write(tmp_path / "i.zarr", axes=axes, shape=shape))


@pytest.mark.parametrize(
    "axis", [{"name": "angle", "type": "custom"}, {"name": "angle"}, {"name": "t", "type": "space"}]
)
def test_an_unknown_axis_beside_the_channels_is_refused(tmp_path: Path, axis: dict[str, Any]) -> None:
    entry = multiscale("czyx")
    entry["axes"][1] = axis
    sentence = refusal(write(tmp_path / "i.zarr", axes="czyx", shape=(2, 3, 16, 16), entry=entry))
    assert f"axis '{axis['name']}'" in sentence


def test_an_axis_named_rgb_is_refused_as_rgb(tmp_path: Path) -> None:
    entry = multiscale("cyx")
    entry["axes"][0]["name"] = "rgb"
    assert "is an RGB image" in refusal(write(tmp_path / "i.zarr", axes="cyx", shape=(3, 16, 16), entry=entry))


@pytest.mark.parametrize(
    ("version", "dtype", "why"),
    [("0.4", [("r", "u1"), ("g", "u1"), ("b", "u1")], "RGB"), ("0.4", "<c8", "complex64"),
     ("0.5", "complex128", "complex128"), ("0.4", "<M8[s]", "datetime64"), ("0.4", [("p", "u1"), ("q", "u1")], "p, q")],
)  # fmt: skip
def test_voxels_that_are_no_numbers_are_refused(tmp_path: Path, version: str, dtype: Any, why: str) -> None:
    assert why in refusal(write(tmp_path / "i.zarr", version, dtype=np.dtype(dtype)))


def test_labels_have_to_be_integers(tmp_path: Path) -> None:
    whole = image_at(write(tmp_path / "a.zarr", dtype="uint32", extra={"image-label": {}}))
    assert whole.kind == "labels"
    assert "labels have to be integers" in refusal(
        write(tmp_path / "b.zarr", dtype="float32", extra={"image-label": {}})
    )


def test_a_missing_level_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "i.zarr")
    (path / "1" / "zarr.json").unlink()
    assert "level '1'" in refusal(path)


def test_levels_have_to_fit_the_axes_and_go_from_fine_to_coarse(tmp_path: Path) -> None:
    entry = multiscale("zyx")
    path = write(tmp_path / "a.zarr", axes="zyx", shape=(3, 16, 16), entry=entry)
    change_json(path / "zarr.json", lambda content: _drop_axis(content["attributes"]["ome"]["multiscales"][0]))
    assert "3 dimensions for 2 axes" in refusal(path)
    entry = multiscale()
    entry["datasets"].reverse()
    path = write(tmp_path / "b.zarr", entry=entry)
    change_json(
        path / "zarr.json", lambda content: content["attributes"]["ome"]["multiscales"][0]["datasets"].reverse()
    )
    assert "larger than the level before" in refusal(path)


def _drop_axis(entry: dict[str, Any]) -> None:
    del entry["axes"][0]
    for dataset in entry["datasets"]:
        del dataset["coordinateTransformations"][0]["scale"][0]


def test_an_image_without_voxels_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "i.zarr", entry=multiscale(levels=1))
    change_json(path / "0/zarr.json", lambda content: content.update(shape=[0, 16]))
    assert "has no voxels" in refusal(path)


@pytest.mark.parametrize("value", [0, -0.5])
def test_voxels_need_a_size(tmp_path: Path, value: float) -> None:
    entry = multiscale(levels=1)
    entry["datasets"][0]["coordinateTransformations"][0]["scale"][1] = value
    assert "along x" in refusal(write(tmp_path / "i.zarr", entry=entry))


def test_a_time_step_of_zero_is_one_with_a_remark(tmp_path: Path) -> None:
    entry = multiscale("tyx", levels=1)
    entry["datasets"][0]["coordinateTransformations"][0]["scale"][0] = 0
    image = image_at(write(tmp_path / "i.zarr", axes="tyx", shape=(2, 16, 16), entry=entry))
    assert image.levels[0].scale[0] == 1.0
    assert any("along t" in finding.message for finding in image.findings)


def test_dimension_names_have_to_agree(tmp_path: Path) -> None:
    assert "dimension_names x, y" in refusal(write(tmp_path / "i.zarr", names=["x", "y"]))


def test_omero_is_matched_by_index(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "DAPI", "color": "#0000ff", "window": {"start": 1, "end": 2, "min": 0, "max": 9}}]}
    image = image_at(write(tmp_path / "i.zarr", axes="cyx", shape=(2, 16, 16), extra={"omero": omero}))
    assert [(c.name, c.color, c.window) for c in image.channels] == [("DAPI", "0000FF", (1.0, 2.0)), ("1", None, None)]
    assert any(finding.where == "omero.channels" for finding in image.findings)


def test_what_is_no_ome_zarr(tmp_path: Path) -> None:
    assert "There is nothing" in refusal(tmp_path / "absent")
    (tmp_path / "file.tif").write_bytes(b"II*\0")
    assert "is a TIFF, not an OME-Zarr" in refusal(tmp_path / "file.tif")
    (tmp_path / "file.txt").write_bytes(b"text")
    assert "is a file" in refusal(tmp_path / "file.txt")
    write(tmp_path / "one.zarr")
    assert "contains one.zarr" in refusal(tmp_path)
    zarr.open_group(tmp_path / "plain.zarr", mode="w", zarr_format=3)
    assert "not an OME-Zarr" in refusal(tmp_path / "plain.zarr")
    zarr.open_group(tmp_path / "plain2.zarr", mode="w", zarr_format=2)
    assert "not an OME-Zarr" in refusal(tmp_path / "plain2.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(4, 4), dtype="u1")
    alone = refusal(tmp_path / "array.zarr")
    assert "single array" in alone
    assert "no image names it" in alone


def test_other_versions_are_named(tmp_path: Path) -> None:
    assert "version 0.6" in refusal(write(tmp_path / "a.zarr", "0.6"))
    entry = {**multiscale(), "version": "0.3"}
    assert "version 0.3" in refusal(write(tmp_path / "b.zarr", "0.4", entry=entry))
    path = write(tmp_path / "c.zarr")
    change_json(path / "zarr.json", lambda content: content.update(attributes=content["attributes"]["ome"]))
    assert "need Zarr v2" in refusal(path)
    path = write(tmp_path / "d.zarr", "0.4")
    change_json(path / ".zattrs", lambda content: content.update(ome={"multiscales": content.pop("multiscales")}))
    assert "requires Zarr v3" in refusal(path)


@pytest.mark.parametrize("damage", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"", b'{"zarr_format": 3}'])
def test_damaged_metadata_are_named(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path / "i.zarr")
    (path / "zarr.json").write_bytes(damage)
    assert "zarr.json are damaged" in refusal(path)
    path = write(tmp_path / "j.zarr")
    (path / "0/zarr.json").write_bytes(damage)
    with pytest.raises(InputError, match=r"0/zarr\.json are damaged"):
        image_at(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codecs": []}, "codecs is empty"),
        ({"fill_value": None}, "fill_value is null"),
        ({"fill_value": ...}, "'fill_value' is missing"),
    ],
)
def test_an_array_that_no_library_reads_is_refused_at_the_door(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    # What zarrita writes unless it is told otherwise; it was found out by the first voxel.
    path = write(tmp_path / "i.ome.zarr")

    def apply(document: dict[str, Any]) -> None:
        document.update(change)
        for key in [key for key, value in document.items() if value is ...]:
            del document[key]

    change_json(path / "0" / "zarr.json", apply)
    assert f"0/zarr.json are damaged: {said}" in refusal(path)


@pytest.mark.parametrize("change", [{"shape": "16"}, {"shape": [-1, 2]}, {"chunks": [0, 8]}, {"chunks": [8]},
                                    {"shape": [10**9, 10**10]}, {"dtype": 5}, {"compressor": "zstd"},
                                    {"filters": 1}, {"filters": [None]}, {"shape": None}])  # fmt: skip
def test_damaged_v2_arrays_are_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write(tmp_path / "i.zarr", "0.4")
    change_json(path / "0/.zarray", lambda content: content.update(change))
    with pytest.raises(InputError, match=r"0/\.zarray are damaged") as caught:
        image_at(path)
    assert "object has no" not in str(caught.value)
    assert "object is not" not in str(caught.value)


@pytest.mark.parametrize("key", ["shape", "chunk_grid", "codecs", "data_type"])
@pytest.mark.parametrize("value", [None, 3, [None], {"name": "regular", "configuration": 5}, {"name": None}, {}])
def test_damaged_v3_arrays_are_named_in_plain_words(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path / "i.zarr")
    change_json(path / "0/zarr.json", lambda content: content.update({key: value}))
    with pytest.raises(InputError, match=r"i\.zarr") as caught:
        image_at(path)
    assert not re.search("NoneType|object is not|has no attribute|indices must be", str(caught.value))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_metadata_that_break_the_specification(tmp_path: Path, version: str) -> None:
    entry = multiscale()
    del entry["datasets"][0]["coordinateTransformations"]
    sentence = refusal(write(tmp_path / "i.zarr", version, entry=entry))
    assert f"breaks the OME-Zarr {version} specification" in sentence
    assert "datasets[0].coordinateTransformations is missing" in sentence


def test_ome_blocks_of_any_shape_get_a_sentence(tmp_path: Path) -> None:
    for index, ome in enumerate([1, [], {}, {"version": "0.5"}, {"version": "0.5", "multiscales": 1},
                                 {"version": "0.5", "multiscales": [{"axes": [1]}]}, {"version": "0.5", "plate": 1},
                                 {"version": "0.5", "well": 1}, {"version": 5, "multiscales": []}]):  # fmt: skip
        group = zarr.open_group(tmp_path / f"{index}.zarr", mode="w", zarr_format=3)
        group.attrs["ome"] = ome
        refusal(tmp_path / f"{index}.zarr")


def test_paths_in_metadata_stay_inside(tmp_path: Path) -> None:
    write(tmp_path / "secret.zarr")
    for path in ("../secret.zarr/0", "/../secret.zarr/0", "0/../../secret.zarr/0"):
        entry = multiscale(levels=1)
        store = write(tmp_path / "open.zarr", entry=entry)
        change_json(
            store / "zarr.json",
            lambda content, path=path: content["attributes"]["ome"]["multiscales"][0]["datasets"][0].update(path=path),
        )
        with pytest.raises(PolicyError, match="is not inside it"):
            image_at(store)
        (tmp_path / "open.zarr" / "0" / "zarr.json").unlink()


def test_a_linked_level_stays_inside_the_root(tmp_path: Path) -> None:
    write(tmp_path / "secret.zarr")
    store = write(tmp_path / "root" / "open.zarr", entry=multiscale(levels=1))
    os.rename(store / "0", store / "moved")
    os.symlink(tmp_path / "secret.zarr" / "0", store / "0")
    site = Site(tmp_path / "site.toml", {"images": Root("images", str(tmp_path / "root"), None, False)})
    with pytest.raises(PolicyError, match="symbolic link"):
        open_image(resolve(str(store), site))


def test_label_names_stay_inside(tmp_path: Path) -> None:
    store = write(tmp_path / "i.zarr")
    group = zarr.open_group(store / "labels", mode="w", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "labels": ["../../.."]}
    with pytest.raises(PolicyError):
        image_at(store)
    group.attrs["ome"] = {"version": "0.5", "labels": "nuclei"}
    image = image_at(store)
    assert image.labels == ()
    assert any(finding.where.startswith("labels") for finding in image.findings)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_collection_lists_its_images(tmp_path: Path, version: str) -> None:
    top = zarr.open_group(tmp_path / "c.zarr", mode="w", zarr_format=2 if version == "0.4" else 3)
    layout = {"bioformats2raw.layout": 3}
    top.attrs.update(layout if version == "0.4" else {"ome": {"version": version, **layout}})
    for name in ("0", "1"):
        write(tmp_path / "c.zarr" / name, version)
    store = open_store(resolve(str(tmp_path / "c.zarr"), None))
    assert isinstance(store, Collection)
    assert store.series == ("0", "1")
    assert "holds 2 images" in refusal(tmp_path / "c.zarr")
    inner = top.create_group("OME")
    series = {"series": ["1"]}
    inner.attrs.update(series if version == "0.4" else {"ome": {"version": version, **series}})
    assert image_at(tmp_path / "c.zarr").location.name == "1"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_with_wells_not_yet_there(tmp_path: Path, version: str) -> None:
    top = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2 if version == "0.4" else 3)
    plate = {
        "plate": {
            "name": "p",
            "rows": [{"name": "A"}],
            "columns": [{"name": "1"}, {"name": "2"}],
            "wells": [
                {"path": "A/1", "rowIndex": 0, "columnIndex": 0},
                {"path": "A/2", "rowIndex": 0, "columnIndex": 1},
            ],
        }
    }
    top.attrs.update(plate if version == "0.4" else {"ome": {"version": version, **plate}})
    well = top.create_group("A/1")
    images = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    well.attrs.update(images if version == "0.4" else {"ome": {"version": version, **images}})
    store = open_store(resolve(str(tmp_path / "p.zarr"), None))
    assert isinstance(store, Plate)
    assert [well.fields for well in store.wells] == [("0", "1"), ()]
    assert any(finding.where == "A/2" for finding in store.findings)


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf")])
def test_numbers_that_no_float_holds_are_refused(tmp_path: Path, value: float) -> None:
    entry = multiscale()
    store = write(tmp_path / "i.ome.zarr", entry=entry)

    def change(content: dict[str, Any]) -> None:
        first = content["attributes"]["ome"]["multiscales"][0]["datasets"][0]
        first["coordinateTransformations"].append({"type": "translation", "translation": [value, 0]})

    change_json(store / "zarr.json", change)
    assert "has to be a list of numbers" in refusal(store)


@pytest.mark.parametrize(("name", "said"), [("\ud800", "are damaged"), ("\0", "zero byte")])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str, said: str) -> None:
    entry = multiscale()
    store = write(tmp_path / "i.ome.zarr", entry=entry)
    change_json(
        store / "zarr.json",
        lambda content: content["attributes"]["ome"]["multiscales"][0]["datasets"][0].update(path=name),
    )
    assert said in refusal(store)
