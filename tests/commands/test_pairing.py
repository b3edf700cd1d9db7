"""``measure`` and ``compare`` pair two images by what both say of shape, scale, unit and place."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
import zarr

from chunkwise.cli import main
from chunkwise.ngff import match
from chunkwise.ngff.units import SPACE_UNITS, TIME_UNITS, conversion
from chunkwise.ngff.volumes import VolumeSource
from made_stores import AXES, write

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 60000, (40, 64)).astype(np.uint16)
LABELS = np.zeros((40, 64), np.uint16)
LABELS[5:15, 5:20], LABELS[20:30, 30:60] = 1, 2
NAMES = ("label", "num_pixels", "centroid", "bbox", "intensity_mean", "intensity_max")


def make(
    path: Path,
    axes: str,
    pixels: Array,
    scale: list[float],
    origin: list[float] | None = None,
    unit: str | None = "micrometer",
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write an image of one level, in chunks of 16; ``unit`` is that of its spatial axes."""
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if origin is not None:
        steps.append({"type": "translation", "translation": origin})
    told = [{k: v for k, v in AXES[axis].items() if k != "unit" or axis == "t"} for axis in axes]
    told = [entry | ({"unit": unit} if unit and entry["type"] == "space" else {}) for entry in told]
    entry = {"name": "made", "axes": told, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    made = write(path, "0.5", axes, pixels.shape, pixels.dtype, entry, extra, chunk=16)
    zarr.open_array(made / "0", mode="r+")[...] = pixels
    return made


def rows(table: Path) -> list[dict[str, float]]:
    with table.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file, dialect="excel-tab")]


def same(table: Path, labels: Array, image: Array, **where: float) -> list[dict[str, float]]:
    """Assert that a table holds what scikit-image finds in whole arrays; gives its rows."""
    found = [row for row in rows(table) if all(row[name] == value for name, value in where.items())]
    expected = skimage.measure.regionprops_table(labels, image, properties=NAMES)
    assert len(found) == len(expected["label"]) > 0
    for name, values in expected.items():
        column = f"{name}-0" if name.startswith("intensity") else name
        np.testing.assert_array_equal([row[column] for row in found], values, err_msg=name)
    return found


@pytest.fixture
def measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run ``measure``; gives exit code, table, and what was said."""
    count = 0

    def call(labels: Path, image: Path, *more: str) -> tuple[int, Path, str]:
        nonlocal count
        count += 1
        table = tmp_path / f"table-{count}.tsv"
        words = ["--labels", str(labels), "--image", str(image), "--output", str(table), "--workers", "1", *more]
        capsys.readouterr()
        code = main(["measure", *words])
        said = capsys.readouterr().err
        assert table.exists() == (code == 0)
        return code, table, said

    return call


@pytest.fixture
def compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run ``compare``; gives exit code, scores, and what was said."""
    count = 0

    def call(truth: Path, predicted: Path, *more: str) -> tuple[int, dict[str, Any], str]:
        nonlocal count
        count += 1
        output = tmp_path / f"scores-{count}.json"
        capsys.readouterr()
        code = main(["compare", str(truth), str(predicted), "--output", str(output), "--workers", "1", *more])
        said = capsys.readouterr().err
        assert output.exists() == (code == 0)
        return code, json.loads(output.read_text()) if code == 0 else {}, said

    return call


def test_labels_of_another_tile_are_refused(measure: Any, compare: Any, tmp_path: Path) -> None:
    here = make(tmp_path / "a.zarr", "yx", LABELS, [0.5, 0.5], [0.0, 0.0])
    image = make(tmp_path / "b.zarr", "yx", IMAGE, [0.5, 0.5], [0.0, 320.0])
    there = make(tmp_path / "c.zarr", "yx", LABELS, [0.5, 0.5], [0.0, 320.0])
    for code, _, said in (measure(here, image), compare(here, there)):
        assert code == 2
        assert f"{here} begins at x 0 micrometer and {tmp_path}/" in said
        assert "x 320 micrometer, 640 voxels apart along x" in said
        assert "say so with --same-voxels" in said
    # Somebody who knows better: the place is that of the image.
    code, table, said = measure(here, image, "--same-voxels")
    assert (code, "warning" in said) == (0, False)
    found = same(table, LABELS, IMAGE)
    assert [row["centroid_physical-x"] for row in found] == [320 + 0.5 * row["centroid-1"] for row in found]
    code, scores, _ = compare(here, there, "--same-voxels")
    assert scores["pooled"]["mean_average_precision"] == 1
    assert measure(there, image)[0] == 0
    assert compare(there, there)[0] == 0


def test_mutant_place_not_compared(measure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = make(tmp_path / "a.zarr", "yx", LABELS, [0.5, 0.5], [0.0, 0.0])
    there = make(tmp_path / "b.zarr", "yx", IMAGE, [0.5, 0.5], [0.0, 320.0])
    monkeypatch.setattr(match, "APART", np.inf)
    assert measure(here, there)[0] == 0


def test_mutant_axis_of_length_one_put_last(measure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make(tmp_path / "i.zarr", "zyx", IMAGE[np.newaxis], [1.0, 0.5, 0.5])
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [0.5, 0.5])
    read = VolumeSource.read

    def turned(source: VolumeSource, volume: int, box: Any) -> Array:
        voxels = read(source, volume, box)
        return voxels if source.seen_as is None or "z" not in source.axes else voxels.T.reshape(voxels.shape)

    monkeypatch.setattr(VolumeSource, "read", turned)
    code, table, _ = measure(labels, image)
    assert code == 0
    with pytest.raises(AssertionError):
        same(table, LABELS, IMAGE)


@pytest.mark.parametrize(
    ("origin", "unit", "fits"),
    [
        ([123456.25, 7.0], "micrometer", True),  # half a voxel, as the lower levels of pyramids have it
        ([123456.5, 7.5], "micrometer", True),  # a whole one
        ([123456.0, 7.51], "micrometer", False),
        ([123454.0, 7.0], "micrometer", False),
        ([123456250.0, 7000.0], "nanometer", True),
        ([123457000.0, 7000.0], "nanometer", False),
        ([123.45625, 0.007], "millimeter", True),
    ],
)
def test_origins_may_lie_a_voxel_apart(
    origin: list[float], unit: str, fits: bool, measure: Any, compare: Any, tmp_path: Path
) -> None:
    size = {"micrometer": 0.5, "nanometer": 500.0, "millimeter": 0.0005}[unit]
    image = make(tmp_path / "i.zarr", "yx", IMAGE, [0.5, 0.5], [123456.0, 7.0])
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [size, size], origin, unit)
    other = make(tmp_path / "o.zarr", "yx", LABELS, [0.5, 0.5], [123456.0, 7.0])
    assert (measure(labels, image)[0], compare(other, labels)[0]) == ((0, 0) if fits else (2, 2))


def test_one_side_without_a_place_is_a_warning(measure: Any, compare: Any, tmp_path: Path) -> None:
    placed = make(tmp_path / "i.zarr", "yx", IMAGE, [0.5, 0.5], [10.0, 320.0])
    plain = make(tmp_path / "p.zarr", "yx", IMAGE, [0.5, 0.5])
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [0.5, 0.5])
    there = make(tmp_path / "t.zarr", "yx", LABELS, [0.5, 0.5], [10.0, 320.0])
    record = tmp_path / "record.json"
    code, table, said = measure(labels, placed, "--record", str(record))
    warned = f"{labels} does not say where it is, and {placed} begins at y 10 micrometer, x 320 micrometer"
    assert code == 0
    assert f"warning: {warned}" in said
    assert warned in json.loads(record.read_text())["results"]["remarks"][0]
    # What is known of the place is in the table.
    assert [row["centroid_physical-y"] for row in rows(table)] == [
        10 + 0.5 * row["centroid-0"] for row in same(table, LABELS, IMAGE)
    ]
    code, table, said = measure(there, plain)
    assert code == 0
    assert f"{plain} does not say where it is" in said
    assert rows(table)[0]["centroid_physical-y"] == 10 + 0.5 * 9.5
    code, _, said = compare(labels, there)
    assert code == 0
    assert f"{labels} does not say where it is" in said
    assert "warning" not in measure(labels, plain)[2]
    # Labels that lie inside the image are its own.
    inside = make(placed / "labels" / "nuclei", "yx", LABELS, [0.5, 0.5], extra={"image-label": {}})
    code, table, said = measure(inside, placed)
    assert (code, "warning" in said) == (0, False)
    assert rows(table)[0]["centroid_physical-y"] == 10 + 0.5 * 9.5


def test_labels_inside_another_image_are_a_warning(measure: Any, compare: Any, tmp_path: Path) -> None:
    """Such as those of another field of a plate, where no field says where it lies."""
    fields = [make(tmp_path / str(n) / "0", "yx", IMAGE, [0.5, 0.5]) for n in (1, 2)]
    labels = [make(field / "labels" / "nuclei", "yx", LABELS, [0.5, 0.5]) for field in fields]
    for code, _, said in (measure(labels[0], fields[1]), compare(*labels)):
        assert code == 0
        assert f"warning: {labels[0]} is inside another image than {tmp_path / '2' / '0'}" in said
    other = make(tmp_path / "o.zarr", "yx", LABELS, [0.5, 0.5])
    for code, _, said in (
        measure(labels[0], fields[0]),
        measure(labels[0], fields[1], "--same-voxels"),
        measure(other, fields[1]),
        compare(other, labels[1]),
    ):
        assert (code, "warning" in said) == (0, False)


@pytest.mark.parametrize("origin", [None, [100.0, 50.0, 30.0]])
def test_labels_of_a_cut_belong_to_that_cut(origin: list[float] | None, measure: Any, tmp_path: Path) -> None:
    frames = np.stack([np.roll(IMAGE, 5 * n, axis=0) for n in range(4)])
    image = make(tmp_path / "i.zarr", "tyx", frames, [2.0, 0.5, 0.5], origin)
    labels = tmp_path / "l.ome.zarr"
    cut = ["--time", "1:3", "--region", "4:24,10:40"]
    assert main(["segment", str(image), "--output", str(labels), *cut, "--workers", "1"]) == 0
    code, table, said = measure(labels, image, *cut)
    assert (code, "warning" in said) == (0, False)
    made = np.asarray(zarr.open_array(labels / "0", mode="r")[...])
    for time in (0, 1):
        same(table, made[time], frames[1 + time, 4:24, 10:40], t=time)
    code, _, said = measure(labels, image, "--time", "1:3", "--region", "0:20,0:30")
    assert (code, "4 voxels apart along y" in said) == (2, True)
    code, _, said = measure(labels, image, "--time", "2:4", "--region", "4:24,10:40")
    assert (code, "1 time point apart along t" in said) == (2, True)


@pytest.mark.parametrize("origin", [None, [0.0, 0.0], [1.0, 2.0]])
def test_what_is_made_says_where_it_lies_where_its_source_does(origin: list[float] | None, tmp_path: Path) -> None:
    image = make(tmp_path / "i.zarr", "yx", IMAGE, [0.5, 0.5], origin)
    for name, words in (("l", ["segment"]), ("f", ["fetch"])):
        made = tmp_path / f"{name}.ome.zarr"
        assert main([*words, str(image), "--output", str(made), "--workers", "1"]) == 0
        (level,) = json.loads((made / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]["datasets"]
        told = [step["translation"] for step in level["coordinateTransformations"] if step["type"] == "translation"]
        assert told == ([] if origin is None else [origin])


def test_time_is_held_against_time_where_both_state_it(measure: Any, compare: Any, tmp_path: Path) -> None:
    frames, marked = np.stack([IMAGE] * 3), np.stack([LABELS] * 3)
    image = make(tmp_path / "i.zarr", "tyx", frames, [30.0, 0.5, 0.5])
    same_time = make(tmp_path / "s.zarr", "tyx", marked, [30.0, 0.5, 0.5])
    other_time = make(tmp_path / "o.zarr", "tyx", marked, [20.0, 0.5, 0.5])
    assert measure(same_time, image)[0] == 0
    for code, _, said in (measure(other_time, image), compare(same_time, other_time)):
        assert (code, "--same-voxels" in said) == (2, True)
    assert measure(other_time, image, "--same-voxels")[0] == 0
    for store, change in ((other_time, [1.0, 0.5, 0.5]),):  # a step of 1 without a unit is nobody's statement
        content = json.loads((store / "zarr.json").read_text())
        multiscale = content["attributes"]["ome"]["multiscales"][0]
        del multiscale["axes"][0]["unit"]
        multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] = change
        (store / "zarr.json").write_text(json.dumps(content))
    assert measure(other_time, image)[0] == 0


@pytest.mark.parametrize(
    ("of_labels", "of_image"),
    [("yx", "zyx"), ("zyx", "yx"), ("yx", "tczyx"), ("tyx", "yx"), ("cyx", "zyx"), ("tczyx", "yx")],
)
def test_axes_of_length_one_may_be_absent(
    of_labels: str, of_image: str, measure: Any, compare: Any, tmp_path: Path
) -> None:
    def store(name: str, axes: str, pixels: Array) -> Path:
        scale = [{"y": 0.5, "x": 0.25, "z": 3.0}.get(axis, 1.0) for axis in axes]
        return make(tmp_path / name, axes, pixels.reshape((1,) * (len(axes) - 2) + pixels.shape), scale)

    labels, image = store("l.zarr", of_labels, LABELS), store("i.zarr", of_image, IMAGE)
    code, table, _ = measure(labels, image, "--block", "1,16,16" if "z" in of_labels else "16,16")
    assert code == 0
    # Columns are those of the labels' own axes.
    lead = (1,) * ("z" in of_labels)
    found = same(table, LABELS.reshape(lead + LABELS.shape), IMAGE.reshape(lead + IMAGE.shape))
    assert [row["area_physical"] for row in found] == [150 * 0.125 * 3.0 ** len(lead), 300 * 0.125 * 3.0 ** len(lead)]
    # And of two label images, where both are cut.
    moved = np.roll(LABELS, 2, axis=1)
    other = store("o.zarr", of_image, moved)
    code, scores, _ = compare(labels, other, "--region", "0:1,2:40,0:50" if "z" in of_labels else "2:40,0:50")
    assert code == 0
    share = np.logical_and(LABELS, moved)[2:40, :50].sum()
    assert scores["pooled"]["foreground"]["overlap_voxels"] == share


def test_a_plane_of_a_stack_is_chosen_by_its_region(measure: Any, compare: Any, tmp_path: Path) -> None:
    stack = np.stack([np.roll(IMAGE, 3 * z, axis=1) for z in range(5)])
    image = make(tmp_path / "i.zarr", "zyx", stack, [2.0, 0.5, 0.5])
    flat = make(tmp_path / "l.zarr", "yx", LABELS, [0.5, 0.5])
    assert measure(flat, image)[0] == 2
    code, table, _ = measure(flat, image, "--region", "3:4,:,:")
    assert code == 0
    same(table, LABELS, stack[3])
    marked = np.stack([np.roll(LABELS, z, axis=1) for z in range(5)])
    truth = make(tmp_path / "t.zarr", "zyx", marked, [2.0, 0.5, 0.5])
    assert compare(truth, flat)[0] == 2
    code, scores, _ = compare(truth, flat, "--region", "2:3,:,:")
    assert code == 0
    assert scores["pooled"]["foreground"]["overlap_voxels"] == np.logical_and(marked[2], LABELS).sum()


def test_units_are_converted_before_they_are_compared(measure: Any, compare: Any, tmp_path: Path) -> None:
    image = make(tmp_path / "i.zarr", "yx", IMAGE, [0.325, 0.325], [1.0, 2.0])
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [325.0, 325.0], [1000.0, 2000.0], "nanometer")
    columns = tmp_path / "columns.tsv"
    code, table, said = measure(labels, image, "--dictionary", str(columns))
    assert (code, "warning" in said) == (0, False)
    # In the image's units.
    assert [row["area_physical"] for row in same(table, LABELS, IMAGE)] == [150 * 0.325**2, 300 * 0.325**2]
    assert rows(table)[0]["centroid_physical-x"] == 2 + 0.325 * 12
    assert "area_physical\tmicrometer^2\t" in columns.read_text()
    assert compare(labels, make(tmp_path / "o.zarr", "yx", LABELS, [0.325, 0.325], [1.0, 2.0]))[0] == 0
    # The same numbers in another unit are other voxels.
    wrong = make(tmp_path / "w.zarr", "yx", LABELS, [0.325, 0.325], [1.0, 2.0], "nanometer")
    code, _, said = measure(wrong, image)
    assert (code, "0.325 x 0.325 nanometer" in said, "--same-voxels" in said) == (2, True, True)
    code, table, _ = measure(wrong, image, "--same-voxels")
    assert rows(table)[0]["area_physical"] == 150 * 0.325**2


def test_split_takes_axes_in_different_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = np.zeros((12, 40, 40), np.uint16)
    z, y, x = np.ogrid[:12, :40, :40]
    for centre in (14, 25):
        stack[(3 * (z - 6)) ** 2 + (y - 20) ** 2 + (x - centre) ** 2 < 64] = 900
    found = []
    for name, scale, unit in (("a", 1.5, "micrometer"), ("b", 1500.0, "nanometer"), ("c", 1.5, None)):
        image = make(tmp_path / f"{name}.zarr", "zyx", stack, [scale, 0.5, 0.5])
        content = json.loads((image / "zarr.json").read_text())
        content["attributes"]["ome"]["multiscales"][0]["axes"][0] = {"name": "z", "type": "space", "unit": unit}
        if unit is None:
            del content["attributes"]["ome"]["multiscales"][0]["axes"][0]["unit"]
        (image / "zarr.json").write_text(json.dumps(content))
        output = tmp_path / f"{name}.ome.zarr"
        words = ["--split", "distance", "--split-min-distance", "3", "--sigma", "0", "--workers", "1"]
        code = main(["segment", str(image), "--output", str(output), *words])
        if unit is None:
            assert code == 2
            assert "different units (z in no unit, y in micrometer, x in micrometer)" in capsys.readouterr().err
        else:
            assert code == 0
            found.append(np.asarray(zarr.open_array(output / "0", mode="r")[...]))
    np.testing.assert_array_equal(*found)
    assert found[0].max() == 2


def test_a_plane_of_labels_keeps_its_thickness_in_the_units_of_the_image(measure: Any, tmp_path: Path) -> None:
    image = make(tmp_path / "i.zarr", "yx", IMAGE, [0.5, 0.5])
    labels = make(tmp_path / "l.zarr", "zyx", LABELS[np.newaxis], [2000.0, 500.0, 500.0], None, "nanometer")
    code, table, _ = measure(labels, image)
    assert code == 0
    assert rows(table)[0]["area_physical"] == 150 * 0.5 * 0.5 * 2


def test_a_scale_that_nobody_set_is_taken_from_the_other(measure: Any, compare: Any, tmp_path: Path) -> None:
    image = make(tmp_path / "i.zarr", "yx", IMAGE, [0.5, 0.25])
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [1.0, 1.0], None, None)
    record = tmp_path / "record.json"
    code, table, said = measure(labels, image, "--record", str(record))
    assert code == 0
    assert f"warning: {labels} does not say how large its voxels are; they are taken to be those of {image}" in said
    assert "0.5 x 0.25 micrometer" in json.loads(record.read_text())["results"]["remarks"][0]
    found = same(table, LABELS, IMAGE)
    assert [row["area_physical"] for row in found] == [150 * 0.125, 300 * 0.125]
    assert found[0]["centroid_physical-x"] == 12 * 0.25
    truth = make(tmp_path / "t.zarr", "yx", LABELS, [0.5, 0.25])
    assert compare(truth, labels)[1]["pooled"]["mean_average_precision"] == 1
    # A micrometer that is stated is no default.
    stated = make(tmp_path / "s.zarr", "yx", LABELS, [1.0, 1.0])
    for code, _, said in (measure(stated, image), compare(truth, stated)):
        assert (code, "say so with --same-voxels" in said) == (2, True)
    # Nor does the image's lack of a scale take the labels' away.
    bare = make(tmp_path / "b.zarr", "yx", IMAGE, [1.0, 1.0], None, None)
    assert rows(measure(truth, bare)[1])[0]["area_physical"] == 150 * 0.125


def test_labels_of_one_time_point_hold_for_all_if_one_says_so(measure: Any, tmp_path: Path) -> None:
    frames = np.stack([np.roll(IMAGE, 7 * n, axis=1) for n in range(4)])
    image = make(tmp_path / "i.zarr", "tyx", frames, [1.0, 0.5, 0.5])
    for name, axes, marked in (("l", "yx", LABELS), ("k", "tyx", LABELS[np.newaxis])):
        labels = make(tmp_path / f"{name}.zarr", axes, marked, [1.0, 0.5, 0.5][-len(axes) :])
        code, _, said = measure(labels, image)
        assert code == 2
        assert "Say with --time which time points" in said
        assert "or with --same-voxels that they hold for all" in said
        code, table, _ = measure(labels, image, "--time", "2")
        assert code == 0
        same(table, LABELS, frames[2])
        code, table, _ = measure(labels, image, "--time", "1:4", "--same-voxels", "--block", "16,16")
        assert code == 0
        assert len(rows(table)) == 6
        for time in (1, 2, 3):
            same(table, LABELS, frames[time], t=time)


def test_same_voxels_is_about_two_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = make(tmp_path / "l.zarr", "yx", LABELS, [0.5, 0.5])
    assert main(["measure", "--labels", str(labels), "--output", str(tmp_path / "t.tsv"), "--same-voxels"]) == 2
    assert "give them with --image or --parents" in capsys.readouterr().err


def test_units_in_one_another() -> None:
    assert conversion("nanometer", "micrometer") == 0.001
    assert conversion("inch", "micrometer") == 25400
    assert conversion("angstrom", "nanometer") == 0.1
    assert conversion("mile", "yard") == 1760
    assert conversion("hour", "minute") == 60
    assert conversion("millisecond", "second") == 0.001
    assert conversion("meter", "second") is None
    for known in (SPACE_UNITS, TIME_UNITS):
        for unit in known:
            for other in known:
                there, back = conversion(unit, other), conversion(other, unit)
                assert there is not None
                assert back is not None
                assert there * back == pytest.approx(1)
