"""Labels inside their image: as many levels as the image has, of its shapes; the list of others is kept."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.ngff.layout import levels_like
from chunkwise.ngff.read import open_image
from chunkwise.storage.location import resolve
from made_stores import change_json, multiscale, write

Shape = tuple[int, ...]


def _image(path: Path, shapes: list[Shape], axes: str = "yx") -> Path:
    """An image with levels of these shapes and one bright square."""
    write(path, axes=axes, shape=shapes[0], entry=multiscale(axes, levels=1), chunk=64)
    entry = multiscale(axes, levels=len(shapes))
    for dataset, shape in zip(entry["datasets"], shapes, strict=True):
        factors = [a / b for a, b in zip(shapes[0], shape, strict=True)]
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": factors}]
    group: Any = zarr.open_group(path, mode="a")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    for level, shape in enumerate(shapes[1:], start=1):
        group.create_array(str(level), shape=shape, dtype="uint16", chunks=shape, dimension_names=list(axes))
    middle = tuple(slice(n // 4, n // 2) for n in shapes[0][-2:])
    group["0"][(..., *middle)] = 1000
    return path


def _segment(path: Path, name: str, *more: str) -> int:
    words = ["segment", str(path), "--into-source", name, "--workers", "1", "--sigma", "0", "--threshold", "500"]
    return main([*words, *more])


def _shapes(path: Path, name: str) -> list[Shape]:
    labels = open_image(resolve(str(path / "labels" / name), None))
    assert labels.kind == "labels"
    return [level.shape for level in labels.levels]


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        ([(65, 51), (33, 26), (17, 13)], "yx"),  # halves rounded up
        ([(65, 51), (32, 25), (16, 12)], "yx"),  # halves rounded down
        ([(64, 60), (16, 15), (4, 3)], "yx"),  # by four
        ([(60, 48), (20, 16)], "yx"),  # by three
        ([(5, 40, 44), (5, 20, 22), (5, 10, 11)], "zyx"),  # planes kept
        ([(40, 44)], "yx"),
    ],
)  # fmt: skip
def test_levels_are_those_of_the_image(tmp_path: Path, shapes: list[Shape], axes: str) -> None:
    path = _image(tmp_path / "i.ome.zarr", shapes, axes)
    assert _segment(path, "nuclei") == 0
    assert _shapes(path, "nuclei") == shapes
    above: Any = zarr.open_array(path / "labels/nuclei/0", mode="r")
    assert np.asarray(above).max() == 1
    labels = open_image(resolve(str(path / "labels/nuclei"), None))
    for number, (before, shape) in enumerate(itertools.pairwise(shapes), start=1):
        steps = tuple(round(n / m) for n, m in zip(before, shape, strict=True))
        below: Any = zarr.open_array(path / f"labels/nuclei/{number}", mode="r")
        every = tuple(slice(None, step * m, step) for step, m in zip(steps, shape, strict=True))
        np.testing.assert_array_equal(below[...], above[...][every])
        ratio = [a / b for a, b in zip(labels.levels[number].scale, labels.levels[number - 1].scale, strict=True)]
        assert ratio == list(steps)
        above = below


@pytest.mark.parametrize(
    ("shapes", "more", "expected"),
    [
        ([(60, 48), (40, 32), (20, 16)], (), [(60, 48), (30, 24), (15, 12)]),  # one and a half: not by whole voxels
        ([(64, 64), (32, 32), (16, 16)], ("--region", "0:40,0:64"), [(40, 64), (20, 32), (10, 16)]),
        ([(64, 64), (32, 32), (16, 16)], ("--level", "1"), [(32, 32), (16, 16), (8, 8)]),
    ],
)  # fmt: skip
def test_where_they_cannot_be_there_are_as_many(
    tmp_path: Path, shapes: list[Shape], more: tuple[str, ...], expected: list[Shape]
) -> None:
    path = _image(tmp_path / "i.ome.zarr", shapes)
    assert _segment(path, "nuclei", *more) == 0
    assert _shapes(path, "nuclei") == expected


def test_steps_that_are_too_wide_are_halved() -> None:
    class Fake:
        pass

    image: Any = Fake()
    level: Any = Fake()
    coarse: Any = Fake()
    axis: Any = Fake()
    axis.type = "space"
    level.shape, coarse.shape = (900, 900), (30, 30)
    image.axes, image.levels = (axis, axis), (level, coarse)
    assert levels_like(image, level, (900, 900)) == ((900, 900), (450, 450))


def test_other_programs_take_the_image_with_its_labels(tmp_path: Path) -> None:
    models: Any = pytest.importorskip("ome_zarr_models.v05.image")
    path = _image(tmp_path / "i.ome.zarr", [(64, 60), (32, 30), (16, 15)])
    assert _segment(path, "nuclei") == 0
    image = models.Image.from_zarr(zarr.open_group(path, mode="r"))
    assert image.labels is not None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"ome": {"labels": ["theirs"]}, "note": 1}, ["theirs", "mine"]),  # as ome-zarr-py 0.18 writes it
        ({"labels": ["theirs"]}, ["theirs", "mine"]),  # as version 0.4 has it
        ({"ome": {"version": "0.5", "labels": ["theirs"], "more": {"a": [1]}}}, ["theirs", "mine"]),
        ({}, ["mine"]),
        (None, ["mine"]),
    ],
)  # fmt: skip
def test_what_others_wrote_into_the_list_stays(tmp_path: Path, attributes: Any, expected: list[str]) -> None:
    path = _image(tmp_path / "i.ome.zarr", [(32, 32)])
    if attributes is not None:
        write(path / "labels/theirs", dtype="uint32", extra={"image-label": {}})
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes, "extra": True}
        (path / "labels/zarr.json").write_text(json.dumps(document))
    assert _segment(path, "mine") == 0
    written = json.loads((path / "labels/zarr.json").read_text())
    ome = written["attributes"]["ome"]
    assert (ome["version"], ome["labels"]) == ("0.5", expected)
    assert open_image(resolve(str(path), None)).labels == tuple(expected)
    if attributes:
        assert written["extra"] is True
        assert written["attributes"].get("note") == attributes.get("note")
        assert ome.get("more") == attributes.get("ome", {}).get("more")


@pytest.mark.parametrize("document", ["{", "[]", '{"node_type": "array"}', '{"node_type": "group", "attributes": 1}'])
def test_a_list_that_would_be_spoilt_is_refused_before_the_work(
    tmp_path: Path, document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _image(tmp_path / "i.ome.zarr", [(32, 32)])
    (path / "labels").mkdir()
    (path / "labels/zarr.json").write_text(document)
    assert _segment(path, "mine") == 2
    assert "labels/zarr.json is damaged" in capsys.readouterr().err
    assert (path / "labels/zarr.json").read_text() == document
    assert sorted(entry.name for entry in (path / "labels").iterdir()) == ["zarr.json"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["i.ome.zarr"]


def test_a_list_that_iohub_wrote_with_the_image_is_used_and_kept(tmp_path: Path) -> None:
    # iohub 0.3.11 writes labels/zarr.json without attributes, and empty colors and properties for each label image.
    path = _image(tmp_path / "i.ome.zarr", [(40, 44), (20, 22)])
    assert _segment(path, "cells") == 0
    change_json(path / "labels" / "zarr.json", lambda document: document.update(attributes={}))
    given = {"colors": [], "properties": [], "source": {"image": "../../"}}
    cells = path / "labels" / "cells" / "zarr.json"
    change_json(cells, lambda document: document["attributes"]["ome"].update({"image-label": given}))
    change_json(path / "zarr.json", lambda document: document["attributes"]["ome"].update(labels={"labels": ["cells"]}))

    image = open_image(resolve(str(path), None))
    assert image.labels == ("cells",)
    assert "labels" in [finding.where for finding in image.findings if finding.severity == "deviation"]
    assert _shapes(path, "cells") == [(40, 44), (20, 22)]
    assert _segment(path, "more") == 0
    assert open_image(resolve(str(path), None)).labels == ("cells", "more")
