"""The validation judged by the official conformance suites, and by cases they leave out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chunkwise.ngff.validation import validate

CONFORMANCE = Path(__file__).parents[3] / "shared" / "data" / "ngff_conformance"
VERSIONS = ("0.4", "0.5")
KIND_OF_SCHEMA = {
    "image": "image",
    "label": "label",
    "plate": "plate",
    "well": "well",
    "bf2raw": "bioformats2raw",
    "ome": "series",
}
needs_suites = pytest.mark.skipif(not CONFORMANCE.exists(), reason="the conformance suites in ../shared are not there")


def _kind(schema: str) -> tuple[str, bool]:
    name = Path(schema).stem
    return KIND_OF_SCHEMA[name.removeprefix("strict_")], name.startswith("strict_")


def _judge(attributes: Any, schema: str, version: str) -> tuple[bool, str]:
    kind, strict = _kind(schema)
    findings = validate(attributes, kind, version)
    bad = [finding for finding in findings if strict or finding.severity == "error"]
    return not bad, "; ".join(f"{finding.where} {finding.message}" for finding in findings)


def _suite_cases() -> Iterator[Any]:
    for version in VERSIONS:
        for file in sorted((CONFORMANCE / version / "tests").glob("*_suite.json")):
            suite = json.loads(file.read_text())
            for test in suite["tests"]:
                name = test.get("formerly") or test.get("description")
                yield pytest.param(version, suite["schema"]["id"], test, id=f"{version}-{file.stem}-{name}")


def _example_cases() -> Iterator[Any]:
    for version in VERSIONS:
        for file in sorted((CONFORMANCE / version / "examples").glob("*/[!.]*.json")):
            schema = json.loads((file.parent / ".config.json").read_text())["schema"]
            yield pytest.param(version, schema, file, id=f"{version}-{file.parent.name}-{file.stem}")


@needs_suites
def test_the_suites_are_found() -> None:
    assert len(list(_suite_cases())) > 80
    assert len(list(_example_cases())) > 15


@needs_suites
@pytest.mark.parametrize(("version", "schema", "test"), list(_suite_cases()))
def test_suite(version: str, schema: str, test: dict[str, Any]) -> None:
    valid, remarks = _judge(test["data"], schema, version)
    assert valid == test["valid"], remarks


@needs_suites
@pytest.mark.parametrize(("version", "schema", "file"), list(_example_cases()))
def test_example(version: str, schema: str, file: Path) -> None:
    # The examples carry comments, which JSON does not know.
    content = json.loads(re.sub(r"^(.*?)\s//.*$", r"\1", file.read_text(), flags=re.MULTILINE))
    valid, remarks = _judge(content["attributes"] if version == "0.5" else content, schema, version)
    assert valid, remarks


IMAGE: dict[str, Any] = {
    "multiscales": [
        {
            "version": "0.4",
            "name": "image",
            "type": "mean",
            "metadata": {},
            "axes": [
                {"name": "t", "type": "time", "unit": "second"},
                {"name": "c", "type": "channel"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.5, 0.5]}]},
                {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1.0, 1.0]}]},
            ],
        }
    ]
}
PLATE: dict[str, Any] = {
    "plate": {
        "version": "0.4",
        "name": "plate",
        "rows": [{"name": "A"}, {"name": "B"}],
        "columns": [{"name": "1"}],
        "wells": [{"path": "B/1", "rowIndex": 1, "columnIndex": 0}],
    }
}
LABEL: dict[str, Any] = {"image-label": {"version": "0.4", "colors": [{"label-value": 1, "rgba": [1, 2, 3, 255]}]}}
WELL: dict[str, Any] = {"well": {"version": "0.4", "images": [{"path": "0", "acquisition": 0}]}}
WHOLE = {
    "image": IMAGE,
    "plate": PLATE,
    "label": LABEL,
    "well": WELL,
    "bioformats2raw": {"bioformats2raw.layout": 3},
    "series": {"series": ["0"]},
    "labels": {"labels": ["nuclei"]},
}
M = "multiscales"
D = (M, 0, "datasets", 0)
T = (*D, "coordinateTransformations")
REMOVE = object()


def _changed(whole: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(whole)
    inner: Any = result
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


def _as_version(attributes: dict[str, Any], version: str) -> dict[str, Any]:
    return attributes if version == "0.4" else {"ome": {"version": "0.5", **attributes}}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", WHOLE)
def test_whole_metadata_have_no_remarks(kind: str, version: str) -> None:
    assert validate(_as_version(WHOLE[kind], version), kind, version) == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "path", "value", "where"),
    [
        ("image", (M,), REMOVE, "multiscales"),
        ("image", (M,), {}, "multiscales"),
        ("image", (M,), ["0"], "multiscales[0]"),
        ("image", (M,), IMAGE[M] * 2, "multiscales[1]"),
        ("image", (M, 0, "name"), 1, "multiscales[0].name"),
        ("image", (M, 0, "axes"), "yx", "multiscales[0].axes"),
        ("image", (M, 0, "axes", 2, "name"), REMOVE, "multiscales[0].axes[2].name"),
        ("image", (M, 0, "axes", 2, "name"), 3, "multiscales[0].axes[2].name"),
        ("image", (M, 0, "axes", 2, "name"), "x", "multiscales[0].axes[3].name"),
        ("image", (M, 0, "axes", 2, "type"), 3, "multiscales[0].axes[2].type"),
        ("image", (M, 0, "axes", 2, "unit"), None, "multiscales[0].axes[2].unit"),
        ("image", (M, 0, "axes", 0), {"name": "z", "type": "space"}, "multiscales[0].axes[1]"),
        ("image", (M, 0, "axes"), [*IMAGE[M][0]["axes"], {"name": "z", "type": "space"}] * 2, "multiscales[0].axes"),
        ("image", (M, 0, "datasets"), "0", "multiscales[0].datasets"),
        ("image", D, 0, "multiscales[0].datasets[0]"),
        ("image", (*D, "path"), "1", "multiscales[0].datasets[1].path"),
        ("image", (M, 0, "coordinateTransformations"), [], "multiscales[0].coordinateTransformations"),
        ("image", (*T, 0, "scale"), [1, 1, 1], "multiscales[0].datasets[0].coordinateTransformations[0].scale"),
        ("image", (*T, 0, "scale"), [1, 1, "1", 1], "multiscales[0].datasets[0].coordinateTransformations[0].scale"),
        ("image", (*T, 0, "scale"), [1, 1, True, 1], "multiscales[0].datasets[0].coordinateTransformations[0].scale"),
        ("image", (*T, 0), {"type": "identity"}, "multiscales[0].datasets[0].coordinateTransformations[0].type"),
        (
            "image",
            (*T, 0),
            {"type": "scale", "path": "s"},
            "multiscales[0].datasets[0].coordinateTransformations[0].scale",
        ),
        ("image", T, [{"type": "translation", "translation": [0] * 4}, {"type": "scale", "scale": [1] * 4}], None),
        ("image", ("omero",), {}, "omero.channels"),
        ("image", ("omero",), {"channels": {}}, "omero.channels"),
        ("image", ("omero",), {"channels": [1]}, "omero.channels[0]"),
        ("image", ("omero",), {"channels": [{"window": {}, "color": "ff"}]}, "omero.channels[0].window.start"),
        ("image", ("omero",), {"channels": [{"active": 1}]}, "omero.channels[0].active"),
        ("label", ("image-label",), [], "image-label"),
        ("label", ("image-label", "colors"), {}, "image-label.colors"),
        ("label", ("image-label", "colors", 0, "label-value"), "1", "image-label.colors[0].label-value"),
        ("label", ("image-label", "colors", 0, "rgba"), [0, 0, 0], "image-label.colors[0].rgba"),
        ("label", ("image-label", "colors", 0, "rgba"), [0, 0, 0, 256], "image-label.colors[0].rgba"),
        ("label", ("image-label", "colors", 0, "rgba"), [0, 0, 0, 0.5], "image-label.colors[0].rgba"),
        ("label", ("image-label", "properties"), [], "image-label.properties"),
        ("label", ("image-label", "properties"), [{"label-value": 1.5}], "image-label.properties[0].label-value"),
        ("label", ("image-label", "source"), "../..", "image-label.source"),
        ("label", ("image-label", "source"), {"image": 1}, "image-label.source.image"),
        ("plate", ("plate",), [], "plate"),
        ("plate", ("plate", "name"), 1, "plate.name"),
        ("plate", ("plate", "field_count"), 0, "plate.field_count"),
        ("plate", ("plate", "rows"), REMOVE, "plate.rows"),
        ("plate", ("plate", "columns"), REMOVE, "plate.columns"),
        ("plate", ("plate", "columns"), [{"name": "1"}, {"name": "1"}], "plate.columns[1]"),
        ("plate", ("plate", "columns", 0, "name"), "1-2", "plate.columns[0].name"),
        ("plate", ("plate", "columns", 0, "name"), "1\n", "plate.columns[0].name"),
        ("plate", ("plate", "wells", 0, "columnIndex"), REMOVE, "plate.wells[0].columnIndex"),
        ("plate", ("plate", "wells", 0, "rowIndex"), -1, "plate.wells[0].rowIndex"),
        ("plate", ("plate", "wells", 0, "rowIndex"), "1", "plate.wells[0].rowIndex"),
        ("plate", ("plate", "wells", 0, "rowIndex"), 2, "plate.wells[0]"),
        ("plate", ("plate", "wells"), PLATE["plate"]["wells"] * 2, "plate.wells[1]"),
        ("plate", ("plate", "acquisitions"), [{"name": "x"}], "plate.acquisitions[0].id"),
        ("plate", ("plate", "acquisitions"), [{"id": 1}, {"id": 1}], "plate.acquisitions[1].id"),
        (
            "plate",
            ("plate", "acquisitions"),
            [{"id": 1, "maximumfieldcount": 0}],
            "plate.acquisitions[0].maximumfieldcount",
        ),
        ("plate", ("plate", "acquisitions"), [{"id": 1, "endtime": -1}], "plate.acquisitions[0].endtime"),
        ("plate", ("plate", "acquisitions"), [{"id": 1, "name": 1}], "plate.acquisitions[0].name"),
        ("plate", ("plate", "acquisitions"), [{"id": 1, "description": 1}], "plate.acquisitions[0].description"),
        ("well", ("well",), 1, "well"),
        ("well", ("well", "images"), REMOVE, "well.images"),
        ("well", ("well", "images", 0, "path"), REMOVE, "well.images[0].path"),
        ("well", ("well", "images", 0, "path"), "a/b", "well.images[0].path"),
        ("well", ("well", "images", 0, "acquisition"), "0", "well.images[0].acquisition"),
        ("bioformats2raw", ("bioformats2raw.layout",), 2, "bioformats2raw.layout"),
        ("bioformats2raw", ("bioformats2raw.layout",), "3", "bioformats2raw.layout"),
        ("series", ("series",), "0", "series"),
        ("series", ("series",), [0], "series[0]"),
        ("labels", ("labels",), ["a", 1], "labels[1]"),
    ],
)
def test_one_fault_is_one_error_at_its_place(kind: str, path: Any, value: Any, where: str | None, version: str) -> None:
    findings = validate(_as_version(_changed(WHOLE[kind], path, value), version), kind, version)
    errors = [finding.where for finding in findings if finding.severity == "error"]
    assert errors
    assert where is None or where in errors


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_other_version_is_an_error(version: str) -> None:
    wrong = _changed(IMAGE, (M, 0, "version"), "0.5") if version == "0.4" else {"ome": {"version": "0.4", **IMAGE}}
    assert [f.where.rsplit(".")[-1] for f in validate(wrong, "image", version) if f.severity == "error"] == ["version"]


@pytest.mark.parametrize("kind", WHOLE)
def test_05_needs_the_ome_block_and_its_version(kind: str) -> None:
    for attributes in (WHOLE[kind], {"ome": WHOLE[kind]}, {"ome": []}, [], {"ome": {"version": "0.5"}}):
        assert any(finding.severity == "error" for finding in validate(attributes, kind, "0.5"))


def test_channels_need_window_and_color_in_04_only() -> None:
    omero = {**IMAGE, "omero": {"channels": [{"label": "DAPI"}]}}
    assert {f.where for f in validate(omero, "image", "0.4")} == {"omero.channels[0].color", "omero.channels[0].window"}
    assert validate(_as_version(omero, "0.5"), "image", "0.5") == ()


def test_a_well_path_against_its_row_and_column() -> None:
    other = _changed(PLATE, ("plate", "wells", 0, "path"), "A/1")
    assert [f.severity for f in validate(other, "plate", "0.4")] == ["warning"]
    assert [f.severity for f in validate(_as_version(other, "0.5"), "plate", "0.5")] == ["error"]


@pytest.mark.parametrize("unit", ["micron", "bananas", "seconds"])
def test_units_outside_the_list_are_warnings(unit: str) -> None:
    findings = validate(_changed(IMAGE, (M, 0, "axes", 2, "unit"), unit), "image", "0.4")
    assert [(f.severity, f.where) for f in findings] == [("warning", "multiscales[0].axes[2].unit")]
