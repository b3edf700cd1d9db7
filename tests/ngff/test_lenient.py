"""One small part does not stop the whole: it is treated as absent, or is read as it is meant, and a finding says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.errors import InputError, PolicyError
from chunkwise.ngff.model import Collection, Finding, Image, Plate, Store
from chunkwise.ngff.read import check_strictly, open_image, open_store
from chunkwise.storage.location import resolve
from made_stores import change_json, multiscale, write


def image_at(path: Path) -> Image:
    return open_image(resolve(str(path), None))


def store_at(path: Path) -> Store:
    return open_store(resolve(str(path), None))


def deviations(store: Store) -> list[Finding]:
    return [finding for finding in store.findings if finding.severity == "deviation"]


def refused_strictly(store: Store) -> str:
    with pytest.raises(InputError, match="breaks the OME-Zarr") as caught:
        check_strictly(store)
    return str(caught.value)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("unit", ["pixel", "", " ", "bananas", "second", "unknown"])
def test_a_unit_that_is_none_counts_as_absent(tmp_path: Path, unit: str, version: str) -> None:
    entry = multiscale()
    entry["axes"][0]["unit"] = unit
    image = image_at(write(tmp_path / "i.zarr", version, entry=entry))
    assert [axis.unit for axis in image.axes] == [None, "micrometer"]
    said = [finding.text for finding in image.findings if finding.where == "multiscales[0].axes[0].unit"]
    assert len(said) == 1
    assert repr(unit) in said[0]
    assert "having no unit" in said[0]
    check_strictly(image)  # the specification recommends its units, and no more


@pytest.mark.parametrize("unit", [None, 5, ["micrometer"]])
def test_a_unit_that_is_no_text_counts_as_absent(tmp_path: Path, unit: Any) -> None:
    entry = multiscale()
    entry["axes"][0]["unit"] = unit
    image = image_at(write(tmp_path / "i.zarr", entry=entry))
    assert image.axes[0].unit is None
    assert "axes[0].unit has to be text" in refused_strictly(image)


def test_units_is_read_as_unit(tmp_path: Path) -> None:
    entry = multiscale()
    entry["axes"][0]["units"] = entry["axes"][0].pop("unit")
    image = image_at(write(tmp_path / "i.zarr", entry=entry))
    assert image.axes[0].unit == "micrometer"
    assert any(finding.where.endswith("axes[0].units") for finding in image.findings)


@pytest.mark.parametrize("kind", [None, "custom"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("cyx", (2, 16, 16)), ("czyx", (2, 3, 16, 16)), ("zyx", (3, 16, 16)), ("tczyx", (1, 2, 3, 8, 8))],
)
def test_names_tell_what_axes_are(tmp_path: Path, axes: str, shape: tuple[int, ...], kind: str | None) -> None:
    entry = multiscale(axes)
    for axis in entry["axes"]:
        axis.pop("type")
        if kind is not None:
            axis["type"] = kind
    image = image_at(write(tmp_path / "i.zarr", axes=axes, shape=shape, entry=entry))
    assert image.axis_names == axes
    assert [axis.type for axis in image.axes] == [{"t": "time", "c": "channel"}.get(name, "space") for name in axes]
    assert [axis.unit for axis in image.axes][-1] == "micrometer"
    assert any(".type" in finding.where for finding in image.findings)


def test_the_count_of_axes_says_what_was_counted(tmp_path: Path) -> None:
    entry = multiscale("czyx")
    for axis in entry["axes"]:
        del axis["type"]
    path = write(tmp_path / "i.zarr", axes="czyx", shape=(2, 3, 16, 16), entry=entry)
    assert "has 4 axes of type 'space' or of no type" in refused_strictly(image_at(path))


@pytest.mark.parametrize("axis", [{"name": "angle", "type": "custom"}, {"name": "lambda"}])
def test_an_axis_that_is_neither_time_nor_space_holds_channels(tmp_path: Path, axis: dict[str, Any]) -> None:
    entry = multiscale("cyx")
    entry["axes"][0] = axis
    image = image_at(
        write(tmp_path / "i.zarr", axes="cyx", shape=(3, 16, 16), entry=entry, names=[axis["name"], *"yx"])
    )
    assert image.axis_names == "cyx"
    assert len(image.channels) == 3
    assert any("read as a channel" in finding.text for finding in image.findings)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ({"label": "DAPI"}, ("DAPI", None, None)),
        ({"label": "DAPI", "color": "0000FF"}, ("DAPI", "0000FF", None)),
        ({"label": "DAPI", "color": "0000FF", "window": {"min": 0, "max": 10}}, ("DAPI", "0000FF", None)),
        ({"label": "DAPI", "color": "0000FF", "window": {"start": 1, "end": 2}}, ("DAPI", "0000FF", (1.0, 2.0))),
        ({"label": 7, "color": 255, "window": None}, ("7", None, None)),
        ({"label": None, "color": "blue", "window": []}, ("0", None, None)),
        ({"window": {"start": "a", "end": True, "min": 0, "max": 1}}, ("0", None, None)),
        (None, ("0", None, None)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_display_values_that_lack_count_as_absent(
    tmp_path: Path, version: str, channel: Any, expected: tuple[Any, ...]
) -> None:
    extra = {"omero": {"channels": [channel]}}
    image = image_at(write(tmp_path / "i.zarr", version, axes="cyx", shape=(1, 16, 16), extra=extra))
    assert [(c.name, c.color, c.window) for c in image.channels] == [expected]
    broken = {"label", "color", "window"} != set(channel or {}) or "min" not in (channel["window"] or {})
    if version == "0.4" and broken:
        assert "omero.channels[0]" in refused_strictly(image)


@pytest.mark.parametrize("omero", [None, 1, [], {}, {"channels": None}, {"channels": {}}, {"channels": []}])
def test_an_omero_block_of_any_shape_leaves_the_image_whole(tmp_path: Path, omero: Any) -> None:
    image = image_at(write(tmp_path / "i.zarr", axes="cyx", shape=(2, 16, 16), extra={"omero": omero}))
    assert [channel.name for channel in image.channels] == ["0", "1"]
    assert any(finding.where.startswith("omero") for finding in image.findings)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_identity_is_a_scale_of_one(tmp_path: Path, version: str) -> None:
    entry = multiscale(levels=1)
    entry["coordinateTransformations"] = [{"type": "identity"}]
    entry["datasets"][0]["coordinateTransformations"] = [{"type": "identity"}]
    image = image_at(write(tmp_path / "i.zarr", version, entry=entry))
    assert image.levels[0].scale == (1.0, 1.0)
    assert [finding.read for finding in deviations(image)] == ["it is read as a scale of 1"] * 2
    assert "is 'identity'" in refused_strictly(image)


def test_identity_before_a_scale_changes_nothing(tmp_path: Path) -> None:
    entry = multiscale(levels=1)
    entry["datasets"][0]["coordinateTransformations"] = [
        {"type": "identity"}, {"type": "scale", "scale": [2, 3]}, {"type": "translation", "translation": [4, 5]}
    ]  # fmt: skip
    level = image_at(write(tmp_path / "i.zarr", entry=entry)).levels[0]
    assert (level.scale, level.translation) == ((2.0, 3.0), (4.0, 5.0))


@pytest.mark.parametrize("kind", ["affine", "rotation", "mapAxis"])
def test_what_would_move_voxels_is_not_guessed(tmp_path: Path, kind: str) -> None:
    entry = multiscale(levels=1)
    entry["datasets"][0]["coordinateTransformations"].append({"type": kind, kind: [[1, 0], [0, 1]]})
    with pytest.raises(InputError, match="breaks the OME-Zarr"):
        image_at(write(tmp_path / "i.zarr", entry=entry))


def test_spatialdata_is_read_and_named(tmp_path: Path) -> None:
    entry = multiscale("cyx", levels=1)
    system = {"name": "cyx", "axes": entry["axes"]}
    entry["coordinateTransformations"] = [
        {"type": "sequence", "input": system, "output": {"name": "global"}, "transformations": []},
        {"type": "identity", "input": system, "output": {"name": "other"}},
    ]
    path = write(
        tmp_path / "s.zarr/images/cells", axes="cyx", shape=(2, 16, 16), entry=entry,
        extra={"omero": {"channels": [{"label": 0}, {"label": 1}]}},
    )  # fmt: skip
    change_json(path / "zarr.json", lambda c: c["attributes"]["ome"].update(version="0.5-dev-spatialdata"))
    image = image_at(path)
    assert (image.version, image.levels[0].scale, image.channels[1].name) == ("0.5", (1.0, 1.0, 1.0), "1")
    assert any("'0.5-dev-spatialdata'" in f.text and "written by SpatialData" in f.text for f in deviations(image))
    assert any("coordinate systems" in finding.text for finding in deviations(image))
    refused_strictly(image)
    root = zarr.open_group(tmp_path / "s.zarr", mode="a", zarr_format=3)
    root.attrs["spatialdata_attrs"] = {"version": "0.2"}
    with pytest.raises(InputError, match=r"is a SpatialData store.*images/cells"):
        store_at(tmp_path / "s.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_leading_slash_means_the_group(tmp_path: Path, version: str) -> None:
    path = write(tmp_path / "i.zarr", version)
    name = ".zattrs" if version == "0.4" else "zarr.json"

    def slash(content: dict[str, Any]) -> None:
        block = content if version == "0.4" else content["attributes"]["ome"]
        for dataset in block["multiscales"][0]["datasets"]:
            dataset["path"] = f"/{dataset['path']}"

    change_json(path / name, slash)
    image = image_at(path)
    assert [level.path for level in image.levels] == ["0", "1"]
    assert len(deviations(image)) == 2
    assert "'/0'" in refused_strictly(image)


def test_a_damaged_meaning_of_labels_leaves_the_labels_whole(tmp_path: Path) -> None:
    image = image_at(write(tmp_path / "i.zarr", extra={"image-label": {"colors": [], "properties": {}}}))
    assert image.kind == "labels"
    assert {finding.where for finding in deviations(image)} == {"image-label.colors", "image-label.properties"}


def test_without_a_version_the_block_is_05(tmp_path: Path) -> None:
    path = write(tmp_path / "i.zarr")
    change_json(path / "zarr.json", lambda content: content["attributes"]["ome"].pop("version"))
    assert image_at(path).version == "0.5"
    assert "version is missing" in refused_strictly(image_at(path))


def test_what_is_wrong_with_a_second_multiscale_leaves_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "i.zarr")
    for second in (5, {"axes": []}, multiscale()):
        change_json(
            path / "zarr.json", lambda c, second=second: c["attributes"]["ome"]["multiscales"].insert(1, second)
        )
        image = image_at(path)
        assert (image.name, len(image.levels)) == ("made", 2)
        assert any(finding.where.startswith("multiscales") for finding in image.findings)
    assert "multiscales[1]" in refused_strictly(image)


def test_a_plate_and_a_well_that_name_an_older_version_are_read(tmp_path: Path) -> None:
    path = _plate(tmp_path / "p.zarr", "0.4", WELLS)
    change_json(path / ".zattrs", lambda content: content["plate"].update(version="0.3"))
    change_json(path / "A/2/.zattrs", lambda content: content["well"].update(version="0.1"))
    plate = store_at(path)
    assert isinstance(plate, Plate)
    assert [well.fields for well in plate.wells] == [("0",)] * 3
    assert {finding.where for finding in deviations(plate)} == {"plate.version", "A/2: well.version"}


def _plate(path: Path, version: str, wells: list[Any], **more: Any) -> Path:
    top = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    plate = {
        "name": "p",
        "rows": [{"name": "A"}],
        "columns": [{"name": str(n)} for n in (1, 2, 3)],
        "wells": wells,
        **more,
    }
    top.attrs.update(_block({"plate": plate}, version))
    for column in "123":
        well = top.create_group(f"A/{column}")
        well.attrs.update(_block({"well": {"images": [{"path": "0"}]}}, version))
        write(path / "A" / column / "0", version, entry=multiscale(levels=1))
    return path


def _block(content: dict[str, Any], version: str) -> dict[str, Any]:
    return content if version == "0.4" else {"ome": {"version": version, **content}}


WELLS = [{"path": f"A/{n + 1}", "rowIndex": 0, "columnIndex": n} for n in range(3)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "well",
    [{}, {"well": {"images": []}}, {"well": {"images": [{"path": "0/mask"}]}}, {"well": []}, {"well": {}}, None],
)  # fmt: skip
def test_a_damaged_well_counts_as_absent(tmp_path: Path, version: str, well: Any) -> None:
    path = _plate(tmp_path / "p.zarr", version, WELLS)
    name = ".zattrs" if version == "0.4" else "zarr.json"
    if well is None:
        (path / "A/2" / name).write_text('{"a')
    elif version == "0.4":
        (path / "A/2/.zattrs").write_text(json.dumps(well))
    else:
        change_json(path / "A/2/zarr.json", lambda content: content.update(attributes=_block(well, version)))
    plate = store_at(path)
    assert isinstance(plate, Plate)
    assert [well.fields for well in plate.wells] == [("0",), (), ("0",)]
    assert any(finding.where == "A/2" and "is treated as absent" in finding.text for finding in deviations(plate))
    refused_strictly(plate)


def test_one_field_of_a_well_counts_as_absent(tmp_path: Path) -> None:
    path = _plate(tmp_path / "p.zarr", "0.5", WELLS)
    images = [{"path": "0"}, {"path": "0/mask"}, {"path": "/1", "acquisition": "x"}]
    change_json(path / "A/2/zarr.json", lambda content: content["attributes"]["ome"].update(well={"images": images}))
    plate = store_at(path)
    assert isinstance(plate, Plate)
    assert plate.wells[1].fields == ("0", "1")
    assert {finding.where.split(": ")[0] for finding in deviations(plate)} == {"A/2"}


@pytest.mark.parametrize(
    ("wells", "expected"),
    [
        ([*WELLS[:2], {"path": "A/3"}], ["A/1", "A/2"]),
        ([*WELLS[:2], {"path": "../A/3", "rowIndex": 0, "columnIndex": 2}], ["A/1", "A/2"]),
        ([*WELLS[:2], {"path": "A/3", "rowIndex": 0, "columnIndex": 7}], ["A/1", "A/2"]),
        ([*WELLS[:2], 3], ["A/1", "A/2"]),
        ([*WELLS[:2], WELLS[1]], ["A/1", "A/2"]),
        ([*WELLS[:2], {"path": "/A/3", "rowIndex": 0, "columnIndex": 2}], ["A/1", "A/2", "A/3"]),
        ([*WELLS[:2], {"path": "/A/x", "rowIndex": 0, "columnIndex": 2}], ["A/1", "A/2"]),
    ],
)  # fmt: skip
def test_one_damaged_entry_of_a_plate_counts_as_absent(tmp_path: Path, wells: list[Any], expected: list[str]) -> None:
    plate = store_at(_plate(tmp_path / "p.zarr", "0.5", wells))
    assert isinstance(plate, Plate)
    assert [well.path for well in plate.wells] == expected
    assert "plate.wells[2]" in refused_strictly(plate)


def test_what_of_a_plate_nobody_needs_counts_as_absent(tmp_path: Path) -> None:
    path = _plate(tmp_path / "p.zarr", "0.5", WELLS, name=None, field_count=0, acquisitions=[{"name": 3}])
    plate = store_at(path)
    assert isinstance(plate, Plate)
    assert (plate.name, len(plate.wells)) == ("p", 3)
    assert len(deviations(plate)) >= 3
    with pytest.raises(InputError, match=r"plate\.wells has to be a list"):
        store_at(_plate(tmp_path / "q.zarr", "0.5", {}))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_well_can_be_opened(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _plate(tmp_path / "p.zarr", version, WELLS)
    well = store_at(path / "A/2")
    assert isinstance(well, Collection)
    assert (well.kind, well.series, deviations(well)) == ("well", ("0",), [])
    assert main(["open", "p.zarr/A/2", "--output", "well.json", "--fingerprint", "stat"]) == 0
    assert "1 field," in capsys.readouterr().out
    reference = json.loads(Path("well.json").read_text())
    assert (reference["kind"], reference["description"]["series"]) == ("well", ["0"])
    assert main(["inspect", "well.json", "--json", "s.json", "--html", "s.html"]) == 0
    assert json.loads(Path("s.json").read_text())["kind"] == "well"
    assert "The fields of one well" in Path("s.html").read_text()
    assert main(["segment", "well.json", "--output", "o.ome.zarr"]) == 2
    assert "is a well of a plate; give the path of one of its fields: 0." in capsys.readouterr().err
    change_json(
        path / "A/2" / (".zattrs" if version == "0.4" else "zarr.json"),
        lambda content: content.get("attributes", {}).get("ome", content)["well"].update(version="0.4"),
    )
    shutil.rmtree(path / "A/2/0")
    gone = store_at(path / "A/2")
    assert isinstance(gone, Collection)
    assert gone.series == ()
    assert [finding.where for finding in gone.findings] == ["well.images[0]"]


def _collection(path: Path, series: Any) -> Path:
    top = zarr.open_group(path, mode="w", zarr_format=3)
    top.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    for name in "01":
        write(path / name, entry=multiscale(levels=1))
    top.create_group("OME").attrs["ome"] = {"version": "0.5", "series": series}
    return path


@pytest.mark.parametrize(
    ("series", "expected", "where"),
    [
        (["0", "7", "1"], ("0", "1"), "series[1]"),
        (["/0", 5, "1"], ("0", "1"), "OME: series[1]"),
        ("0", ("0", "1"), "OME"),
        (["0", "0"], ("0",), "series[1]"),
        (["7"], (), "series[0]"),
    ],
)  # fmt: skip
def test_a_collection_lists_what_is_there(tmp_path: Path, series: Any, expected: tuple[str, ...], where: str) -> None:
    path = _collection(tmp_path / "c.zarr", series)
    store = store_at(path)
    assert isinstance(store, Collection)
    assert store.series == expected
    assert where in {finding.where for finding in store.findings}
    if len(expected) == 1:  # the image that stands for the collection carries what was said of it
        assert where in {finding.where for finding in image_at(path).findings}
    if not expected:
        with pytest.raises(InputError, match="that contains no image"):
            image_at(path)


def test_a_damaged_list_of_a_collection_leaves_its_images(tmp_path: Path) -> None:
    path = _collection(tmp_path / "c.zarr", ["0"])
    (path / "OME/zarr.json").write_text("{")
    store = store_at(path)
    assert isinstance(store, Collection)
    assert store.series == ("0", "1")
    assert "OME" in {finding.where for finding in deviations(store)}


def _with_labels(path: Path, document: Any) -> Path:
    write(path)
    write(path / "labels/nuc", dtype="uint32", extra={"image-label": {}})
    (path / "labels/zarr.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def _list(attributes: Any) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


@pytest.mark.parametrize(
    ("document", "labels"),
    [
        (_list({"ome": {"labels": ["nuc"]}}), ("nuc",)),  # ome-zarr-py 0.18
        (_list({"ome": {"version": "0.5-dev-spatialdata", "labels": ["nuc"]}}), ("nuc",)),
        (_list({"labels": ["nuc"]}), ("nuc",)),
        (_list({"ome": {"version": "0.5", "labels": ["/nuc", 7, "", "gone", "nuc"]}}), ("nuc",)),
        (_list({"ome": {"version": "0.5", "labels": "nuc"}}), ()),
        (_list({}), ()),
        ("{", ()),
    ],
)  # fmt: skip
def test_label_lists_of_other_writers_are_used_with_a_remark(tmp_path: Path, document: Any, labels: Any) -> None:
    image = image_at(_with_labels(tmp_path / "i.zarr", document))
    assert image.labels == labels
    assert any(finding.where.startswith("labels") for finding in image.findings)


def test_label_names_still_stay_inside(tmp_path: Path) -> None:
    for name in ("../../..", "/../../x", "/etc"):
        with pytest.raises(PolicyError):
            image_at(_with_labels(tmp_path / "i.zarr", _list({"ome": {"labels": [name]}})))
        shutil.rmtree(tmp_path / "i.zarr")


@pytest.mark.parametrize("depth", [100, 300, 450, 900])
def test_nesting_without_end_gets_a_sentence(tmp_path: Path, depth: int) -> None:
    entry = multiscale()
    entry["name"] = 1  # so that the metadata have to be mended
    path = write(tmp_path / "i.zarr", entry={**entry, "metadata": "DEEP"})
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"DEEP"', "[" * depth + "]" * depth))
    try:
        image = image_at(path)
    except InputError as error:
        sentence = str(error)
    else:
        sentence = refused_strictly(image)
    assert "\n" not in sentence


def test_remarks_are_shown_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    entry = multiscale(levels=1)
    entry["axes"][0]["unit"] = None
    path = write(tmp_path / "i.zarr", entry=entry)
    array: Any = zarr.open_array(path / "0", mode="a")
    array[4:9, 4:9] = np.uint16(100)
    for words in (["open", "i.zarr", "--output", "r.json"], ["inspect", "i.zarr", "--json", "s.json"]):
        assert main(words) == 0
        assert "deviation: multiscales[0].axes[0].unit has to be text; the axis is treated" in capsys.readouterr().out
    assert any(f["severity"] == "deviation" for f in json.loads(Path("s.json").read_text())["findings"])
    assert main(["open", "i.zarr", "--output", "x.json", "--strict"]) == 2
    assert "breaks the OME-Zarr 0.5 specification: multiscales[0].axes[0].unit has to be" in capsys.readouterr().err
    assert not Path("x.json").exists()
    change_json(path / "zarr.json", lambda c: c["attributes"]["ome"]["multiscales"][0]["axes"][0].update(unit="pixel"))
    assert main(["open", "i.zarr", "--output", "y.json", "--strict"]) == 0
    assert main(["open", "i.zarr", "--output", "z.json", "--strict-all"]) == 2
    words = ["segment", "i.zarr", "--output", "o.ome.zarr", "--workers", "1", "--sigma", "0", "--threshold", "50"]
    assert main([*words, "--record", "record.json"]) == 0
    remarks = json.loads(Path("record.json").read_text())["inputs"][0]["description"]["remarks"]
    assert any("unit is 'pixel'" in remark for remark in remarks)
