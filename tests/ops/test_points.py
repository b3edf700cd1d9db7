"""Points and shapes in odd blocks, against SciPy's distances and scikit-image's polygons on the whole image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import zarr
from skimage.measure import regionprops

from chunkwise.cli import main
from chunkwise.ops import shapes
from chunkwise.running.chains import points
from operations.harness import write_image
from whole_shapes import whole_shapes

Array = np.ndarray[Any, Any]
#: A plane, its blocks and shards.
SHAPE, BLOCK, SHARD = (61, 83), "7,11", "14,22"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "i.ome.zarr", np.zeros(SHAPE, np.uint8), "yx")


def made(file: str, *words: str, image: str = "i.ome.zarr", code: int = 0, block: str = BLOCK) -> Array:
    """Run it in blocks of a few voxels."""
    number = len(list(Path().glob("o*.ome.zarr")))
    output = f"o{number}.ome.zarr"
    asked = ["points", image, "--points", file, "--output", output, "--workers", "1", "--record", f"{number}.json"]
    shard = ",".join(str(2 * int(one)) for one in block.split(","))
    assert main([*asked, "--block", block, "--shard", shard, *words]) == code
    if code:
        assert not Path(output).exists()
        return np.zeros(0)
    return np.asarray(zarr.open_array(f"{output}/0", mode="r")[...])


def circles(count: int, shape: tuple[int, ...], seed: int) -> pandas.DataFrame:
    """Many, of which some are single voxels, some have halves, and some lie over others."""
    rng = np.random.default_rng(seed)
    places = {
        axis: rng.integers(0, 2 * (n - 1), count) / 2 for axis, n in zip("zyx"[-len(shape) :], shape, strict=True)
    }
    radius = np.where(rng.random(count) < 0.4, 0, rng.random(count) * 12)
    return pandas.DataFrame(places | {"radius": radius, "label": rng.integers(1, 2**40, count)})


def drawn(table: pandas.DataFrame) -> list[tuple[int, Any, float]]:
    axes = [axis for axis in "zyx" if axis in table]
    places = table[axes].round().astype(int).to_numpy()
    return [(int(label), at, r) for label, at, r in zip(table["label"], places, table["radius"], strict=True)]


def polygons(count: int, seed: int) -> dict[str, Any]:
    """With corners on voxels, between them, and outside of the image; every third has a hole."""
    rng = np.random.default_rng(seed)
    features = []
    for number in range(count):
        corners = int(rng.integers(3, 40))
        rings = []
        for _ in range(1 + (number % 3 == 0)):
            ring = rng.random((corners, 2)) * (SHAPE[1] + 20, SHAPE[0] + 20) - 10
            rings.append((ring.round() if number % 2 else ring).tolist())
        features.append({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings}, "properties": {}})
    return {"type": "FeatureCollection", "features": features}


def test_circles_are_those_of_scipy() -> None:
    table = circles(60, SHAPE, 1)
    table.to_csv("t.csv", index=False)
    assert np.array_equal(made("t.csv"), whole_shapes(SHAPE, drawn(table)))


def test_balls_in_volumes_and_time_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "STRIP", 60)  # a few lines or planes at a time
    shape = (9, 20, 17)
    write_image(Path("v.ome.zarr"), np.zeros((3, *shape), np.uint8), "tzyx")
    table = circles(40, shape, 2)
    table["t"] = np.arange(40) % 3
    table.to_parquet("t.parquet")
    expected = np.stack([whole_shapes(shape, drawn(table[table["t"] == t])) for t in range(3)])
    assert np.array_equal(made("t.parquet", image="v.ome.zarr", block="4,7,5"), expected)
    cut = made("t.parquet", "--time", "1:3", "--region", "2:8,3:20,4:15", image="v.ome.zarr", block="4,7,5")
    assert np.array_equal(cut, expected[1:, 2:8, 3:20, 4:15])


@pytest.mark.parametrize("seed", range(2))
def test_polygons_are_those_of_scikit_image(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = polygons(12, seed)
    Path("p.geojson").write_text(json.dumps(content))
    expected = whole_shapes(
        SHAPE, [(n, one["geometry"]["coordinates"], 0) for n, one in enumerate(content["features"], 1)]
    )
    monkeypatch.setattr(shapes, "STRIP", 30)  # a few rows at a time
    assert np.array_equal(made("p.geojson"), expected)
    found = made("p.geojson", "--region", "5:50,9:70")
    assert np.array_equal(found, expected[5:50, 9:70])


def test_mutant_corners_are_left_out_too_near(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(ring: Array, first: int, last: int) -> Array:
        return ring[(ring[:, 1] >= first - 1) & (ring[:, 1] <= last + 1)]

    monkeypatch.setattr(shapes, "_near_lines", careless)
    with pytest.raises(AssertionError):
        test_polygons_are_those_of_scikit_image(0, monkeypatch)


@pytest.mark.parametrize("name", ["low", "high"])
def test_mutant_a_shape_that_ends_at_its_block(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = points.read_shapes

    def careless(*words: Any) -> Any:
        found, columns = real(*words)
        found.rows[name] = found.rows["centre"] + (name == "high")
        return found, columns

    monkeypatch.setattr(points, "read_shapes", careless)
    with pytest.raises(AssertionError):
        test_circles_are_those_of_scipy()


def test_mutant_an_earlier_shape_lies_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes.Shapes, "by_time", lambda self: self.only(np.arange(len(self.rows))[::-1]))
    with pytest.raises(AssertionError):
        test_circles_are_those_of_scipy()


def test_what_a_table_and_geojson_may_say(capsys: pytest.CaptureFixture[str]) -> None:
    Path("measured.tsv").write_text("label\tcentroid-0\tcentroid-1\tsize\n7\t5\t6.5\t2\n9\t40.5\t3\t\n")
    expected = whole_shapes(SHAPE, [(7, (5, 6), 2), (9, (40, 3), 4)])
    assert np.array_equal(made("measured.tsv", "--columns", "radius=size", "--radius", "4"), expected)
    said = capsys.readouterr().out
    assert "2 shapes as 2 labels: y 61, x 83 voxels of uint32" in said
    assert "x from 'centroid-1', y from 'centroid-0', label from 'label', radius from 'size'" in said
    Path("bare.csv").write_text("5,7\n6,8.5\n")
    assert np.array_equal(made("bare.csv", "--no-header"), whole_shapes(SHAPE, [(1, (7, 5), 0), (2, (8, 6), 0)]))
    found = made("bare.csv", "--no-header", "--columns", "x=2,y=1")
    assert np.array_equal(found, whole_shapes(SHAPE, [(1, (5, 7), 0), (2, (6, 8), 0)]))
    Path("boxes.csv").write_text("POS_X,POS_Y,WIDTH,HEIGHT\n5,7,10,3\n")
    box = np.zeros(SHAPE, np.uint32)
    box[7:10, 5:15] = 1
    assert np.array_equal(made("boxes.csv"), box)
    square = [[[0, 0], [9, 0], [9, 9], [0, 9]]]
    kinds = [
        {"geometry": {"type": "Point", "coordinates": [20, 30]}, "properties": {"name": "a", "radius": 3}},
        {"geometry": {"type": "MultiPolygon", "coordinates": [square]}, "properties": {"name": "1"}},
        {"geometry": {"type": "Polygon", "coordinates": square[0], "plane": {"z": 0, "t": 0}}, "properties": None},
    ]
    Path("list.json").write_text(json.dumps(kinds[:2]))
    assert np.array_equal(made("list.json"), whole_shapes(SHAPE, [(2, (30, 20), 3), (1, square, 0)]))
    for one in (kinds[2], kinds[2]["geometry"]):
        Path("one.json").write_text(json.dumps(one))
        assert np.array_equal(made("one.json"), whole_shapes(SHAPE, [(1, square, 0)]))
        assert "1 shape as 1 label: " in capsys.readouterr().out
    Path("null.json").write_text(json.dumps([kinds[0] | {"properties": {"radius": None}}]))
    assert np.array_equal(made("null.json", "--radius", "2"), whole_shapes(SHAPE, [(1, (30, 20), 2)]))


def test_measured_objects_come_back_as_points_of_geojson(capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros((2, 5, 20, 17), np.uint16)
    labels[0, 1:4, 2:9, 3:5], labels[1, 2, 10:20, 6:17], labels[1, 0, 0, 0] = 4, 9, 2
    write_image(Path("l.ome.zarr"), labels, "tzyx", labels=True)
    words = ["measure", "--labels", "l.ome.zarr", "--workers", "1", "--properties", "num_pixels"]
    assert main([*words, "--output", "no.geojson"]) == 2
    assert "GeoJSON needs a place for every object" in capsys.readouterr().err
    assert main([*words, "centroid", "eccentricity", "--output", "m.geojson"]) == 2  # of planes only
    assert main([*words, "centroid", "inertia_tensor_eigvals", "--output", "m.geojson", "--block", "2,7,5"]) == 0
    features = json.loads(Path("m.geojson").read_text())["features"]
    expected = np.zeros(labels.shape, np.uint32)
    found = []
    for t, volume in enumerate(labels):
        for one in regionprops(volume):
            expected[(t, *np.rint(one.centroid).astype(int))] = one.label
            found.append((str(one.label), t, list(one.centroid[::-1]), one.num_pixels))
    told = [(f["properties"], f["geometry"]) for f in features]
    pixels = [one["measurements"]["num_pixels"] for one, _ in told]
    assert [
        (one["name"], place["plane"]["t"], place["coordinates"], n)
        for (one, place), n in zip(told, pixels, strict=True)
    ] == found
    assert np.array_equal(made("m.geojson", image="l.ome.zarr", block="2,7,5"), expected)


def test_points_in_one_voxel_are_said_and_outside_is_refused_or_counted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text("x,y\n5,5\n82.4,60\n5.2,4.8\n83,2\n1e300,2\n")
    made("t.csv", code=2)
    said = "2 of the 5 shapes of t.csv lie outside of the image: number 4 at y 2, x 83, and 1 more"
    assert f"{said}; give places in voxels of the level" in capsys.readouterr().err
    found = made("t.csv", "--outside", "drop")
    assert np.array_equal(found, whole_shapes(SHAPE, [(3, (5, 5), 0), (2, (60, 82), 0)]))
    told = capsys.readouterr().err
    assert f"warning: {said}, and so left out." in told
    assert "warning: 1 shape of t.csv in the same voxel as a later one of another label" in told
    facts = json.loads(Path("0.json").read_text())["results"]["shapes"]
    assert facts == {"drawn": 3, "labels": 3, "outside": 2, "hidden": 1}


BAD = {
    "no column": (
        "a,y\n1,2\n",
        "t has no column for x (x, pos_x, POS_X, centroid-1); its columns are a, y. Give --columns x=NAME, or",
    ),
    "text": ("x,y\n1,many\n", "The column 'y' of t holds string, and numbers are needed."),
    "missing": ("x,y\n1,2\n3,\n,4\n", "t has no number in the column 'y' in row 2."),
    "no rows": ("x,y\n", "t has no rows."),
    "two sizes": ("x,y,radius,width,height\n1,2,3,4,5\n", "t has both a radius and a width and height in row 1."),
    "below 0": ("x,y,radius\n1,2,-1\n1,2,-2\n", "t has a size below 0 in row 1 and 1 more."),
    "label": ("x,y,label\n1,2,0\n", "t has a label below 1, which stands for background in row 1."),
    "half a label": ("x,y,label\n1,2,0.5\n", "The column 'label' of t has to hold a whole number in every row."),
    "no JSON": ("{", "t cannot be read as GeoJSON"),
    "no features": ('{"features": []}', "t has no features."),
    "no geometry": ('[{"geometry": null}]', "Feature 1 of t has no place: its geometry is null."),
    "no place": ('[{"geometry": {"type": "Polygon", "coordinates": []}}]', "Feature 1 of t has no place: its coordin"),
    "several": ('[{"geometry": {"type": "GeometryCollection", "geometries": []}}]', "Feature 1 of t is a GeometryCol"),
    "no GeoJSON": ('[{"geometry": {"type": "Point", "coordinates": [1, "x"]}}]', "Feature 1 of t is not GeoJSON."),
    "a line": ('[{"geometry": {"type": "LineString", "coordinates": []}}]', "Feature 1 of t is a LineString, and"),
    "two corners": (
        '[{"geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}}]',
        "Feature 1 of t has a ring of fewer than three corners.",
    ),
}


@pytest.mark.parametrize("way", BAD)
def test_a_file_that_is_none(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, said = BAD[way]
    Path("t").write_text(content)
    made("t", code=2)
    assert said in capsys.readouterr().err.strip().splitlines()[-1]


def test_what_the_image_has_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_image(Path("v.ome.zarr"), np.zeros((2, 4, 5, 6), np.uint8), "tzyx")
    Path("t.csv").write_text("x,y,z\n1,2,3\n")
    made("t.csv", image="v.ome.zarr", block="2,2,2", code=2)
    assert "t.csv has no column for t" in capsys.readouterr().err
    Path("p.json").write_text('[{"geometry": {"type": "Point", "coordinates": [1, 2], "plane": {"t": 1}}}]')
    made("p.json", image="v.ome.zarr", block="2,2,2", code=2)
    assert "Feature 1 of p.json does not say its z (geometry.plane.z)" in capsys.readouterr().err
    made("t.csv", "--columns", "x=z,up=y", code=2)
    assert "--columns x=z,up=y has to be a list such as x=NAME,y=NAME" in capsys.readouterr().err
    made("t.csv", code=2)  # a plane has no plane 3
    assert "outside of the image: number 1 at z 3, y 2, x 1" in capsys.readouterr().err
