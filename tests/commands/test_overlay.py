"""``chunkwise overlay``: what it draws, against scikit-image on the whole image, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from PIL import Image
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

import made_models
from chunkwise.cli import main
from chunkwise.ops.value_table import ObjectRows
from chunkwise.report.colormaps import palette
from chunkwise.report.paint import Paint
from chunkwise.report.pictures import label_colors

Array = np.ndarray[Any, Any]
SHAPE = (2, 3, 40, 50)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Array, Array]:
    """A movie of three planes, and blobs that touch each other and the border."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(3)
    image = rng.integers(0, 256, SHAPE).astype(np.uint8)
    labels = rng.integers(0, 5, (2, 3, 8, 10)).astype(np.int32).repeat(5, 2).repeat(5, 3)
    labels[labels == 4] = -1
    first = made_models.image_store(folder, image, "tzyx", "image.ome.zarr")
    return first, made_models.image_store(folder, labels, "tzyx", "labels.ome.zarr"), image, labels


def read(path: Path) -> Array:
    with Image.open(path) as picture:
        return np.asarray(picture)


def drawn(made: Any, to: Path, *more: str) -> Array:
    words = ["overlay", str(made[0]), "--labels", str(made[1]), "--output", str(to), "--black", "0", "--white", "255"]
    assert main([*words, *more]) == 0
    if to.suffix == ".png":
        return read(to)
    return np.moveaxis(np.asarray(zarr.open_array(to / "0", mode="r")[...]), 1, -1)


def outlines_of(image: Array, labels: Array, mode: str) -> Array:
    """The literal reference, of every plane."""
    expected = np.repeat(image[..., None], 3, axis=-1)
    for place in np.ndindex(SHAPE[:2]):
        edge = find_boundaries(np.maximum(labels[place], 0), connectivity=1, mode=mode)
        expected[place][edge] = (255, 0, 128)
    return expected


@pytest.mark.parametrize("mode", ["inner", "thick"])
@pytest.mark.parametrize("block", ["3,40,50", "1,7,9"])
def test_outlines_are_those_of_scikit_image(made: Any, mode: str, block: str, tmp_path: Path) -> None:
    more = ("--mode", mode, "--color", "FF0080", "--block", block, "--shard", "1,9,11", "--workers", "1")
    found = drawn(made, tmp_path / "o.ome.zarr", *more)
    np.testing.assert_array_equal(found, outlines_of(*made[2:], mode))


def test_mutant_without_a_halo_is_caught(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paint, "reach", 0)
    more = ("--color", "FF0080", "--block", "1,7,9", "--shard", "1,7,9", "--workers", "1")
    assert (drawn(made, tmp_path / "o.ome.zarr", *more) != outlines_of(*made[2:], "inner")).any()


def test_wide_outlines_do_not_depend_on_blocks(made: Any, tmp_path: Path) -> None:
    more = ("--width", "3", "--mode", "thick", "--opacity", "0.7", "--workers", "1")
    one = drawn(made, tmp_path / "a.ome.zarr", *more)
    np.testing.assert_array_equal(
        drawn(made, tmp_path / "b.ome.zarr", *more, "--block", "2,5,4", "--shard", "1,5,4"), one
    )
    plane = drawn(made, tmp_path / "c.png", *more, "--time", "1", "--z", "2")
    np.testing.assert_array_equal(plane, one[1, 2])


def test_filled_objects_are_blended_as_scikit_image_does(made: Any, tmp_path: Path) -> None:
    image, labels = made[2][0, 1], np.maximum(made[3][0, 1], 0)
    found = drawn(made, tmp_path / "a.png", "--style", "filled", "--opacity", "0.25", "--time", "0")
    colors = [tuple(label_colors(np.array(one)) / 255) for one in np.unique(labels[labels > 0])]
    with_background = label2rgb(labels, image / 255, colors=colors, alpha=0.25, bg_label=0, bg_color=None)
    np.testing.assert_allclose(found, with_background * 255, atol=0.51)
    assert len({tuple(one) for one in colors}) == 3


def test_the_level_of_a_picture_is_a_readable_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = np.tile(np.arange(3000, dtype=np.uint16), (20, 1))
    image = made_models.image_store(tmp_path, wide, "yx", "wide.ome.zarr")
    for name, source in (("i", image), ("l", image)):
        assert main(["convert", str(source), "--output", str(tmp_path / f"{name}.ome.zarr")]) == 0
    capsys.readouterr()
    words = ["overlay", str(tmp_path / "i.ome.zarr"), "--labels", str(tmp_path / "l.ome.zarr"), "--style", "filled"]
    assert main([*words, "--output", str(tmp_path / "a.png")]) == 0
    assert "1500 x 20 pixels" in (said := capsys.readouterr().out)
    assert "level 1 of the labels, 1 of the image" in said
    assert main([*words, "--output", str(tmp_path / "b.png"), "--level", "0"]) == 0
    assert "3000 x 20 pixels" in capsys.readouterr().out


def test_channels_are_added_up_and_numbers_make_tiny_pictures_larger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voxels = np.zeros((2, 8, 8), np.float32)
    voxels[0, :4], voxels[1, :, :4] = 1, 1
    image = made_models.image_store(tmp_path, voxels, "cyx", "c.ome.zarr")
    labels = made_models.image_store(tmp_path, np.eye(8, dtype=np.uint64) << 60, "yx", "l.ome.zarr")
    to = tmp_path / "a.png"
    words = ["overlay", str(image), "--labels", str(labels), "--output", str(to), "--black", "0", "--white", "1"]
    assert main([*words, "--opacity", "0"]) == 0
    assert read(to)[(0, 7, 7), (7, 0, 7)].tolist() == [[0, 160, 255], [255, 140, 0], [0, 0, 0]]
    to.unlink()
    assert main([*words, "--numbers", "--channel", "1"]) == 0
    assert read(to).shape == (800, 800, 3)
    assert "1: black is 0, white is 1" in capsys.readouterr().out


def test_numbers_that_would_cover_the_picture_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plane = np.arange(1, 100 * 100 + 1, dtype=np.uint32).reshape(100, 100).repeat(10, 0).repeat(10, 1)
    image = made_models.image_store(tmp_path, plane, "yx", "many.ome.zarr")
    words = ["overlay", str(image), "--labels", str(image)]
    found = []
    for number, more in enumerate(
        ([], ["--numbers"], ["--region", "0:100,0:100"], ["--region", "0:100,0:100", "--numbers"])
    ):
        record = tmp_path / f"{number}.json"
        assert main([*words, *more, "--output", str(tmp_path / f"{number}.png"), "--record", str(record)]) == 0
        said = ["too many objects" in text for text in (capsys.readouterr().err, record.read_text())]
        found.append((read(tmp_path / f"{number}.png"), said))
    assert [said for _, said in found] == [[False] * 2, [True] * 2, [False] * 2, [False] * 2]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[3][0].shape == (800, 800, 3)


#: What ``matplotlib.colormaps["viridis"](numpy.array([0, 64, 128, 192, 255]), bytes=True)`` gives.
VIRIDIS = {0: (68, 1, 84), 64: (58, 82, 139), 128: (32, 144, 140), 192: (94, 201, 97), 255: (253, 231, 36)}
#: By time point and object: one lacks a row, one a number, and one is in no image.
SIZES = {(0, 1): 3.0, (0, 2): 11.0, (0, 3): 6.5, (1, 1): np.nan, (1, 3): 9.25, (1, 8): 4.0}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [f"{label}\t{t}\t{'' if np.isnan(size) else size}" for (t, label), size in SIZES.items()]
    (tmp_path / "t.tsv").write_text("\n".join(["label\tt\tsize", *rows]) + "\n")
    return tmp_path / "t.tsv"


def by_size(image: Array, labels: Array, low: float = 3.0, high: float = 11.0) -> Array:
    """The literal reference, of all time points: a number for every voxel, and the colour that Matplotlib gives it."""
    values = np.full(labels.shape, np.nan)
    for (time, label), size in SIZES.items():
        values[time][labels[time] == label] = size
    steps = np.clip(np.nan_to_num((values - low) / (high - low)) * 256, 0, 255).astype(int)
    drawn = np.where(np.isnan(values)[..., None], np.uint8(128), palette("viridis")[steps])
    return np.where((labels > 0)[..., None], drawn, image[..., None])


def test_the_colours_are_those_of_matplotlib() -> None:
    assert {step: tuple(palette("viridis")[step].tolist()) for step in VIRIDIS} == VIRIDIS
    assert tuple(palette("magma")[128].tolist()) == (182, 54, 121)


@pytest.mark.parametrize("block", ["3,40,50", "2,7,9"])
def test_objects_are_coloured_by_a_column(made: Any, table: Path, block: str, tmp_path: Path, capsys: Any) -> None:
    words = ("--style", "filled", "--table", str(table), "--column", "size")
    spread = ("--block", block, "--shard", "2,14,18", "--workers", "1", "--record", str(tmp_path / "r.json"))
    found = drawn(made, tmp_path / "o.ome.zarr", *words, *spread)
    np.testing.assert_array_equal(found, by_size(*made[2:]))
    said = capsys.readouterr()
    assert "size: the first colour is 3, the last is 11" in said.out
    assert "warning: 2 objects without a number in size of" in said.err
    assert "and so grey: 1 at the time point 1" in said.err
    record = json.loads((tmp_path / "r.json").read_text())
    named = [{"time": 1, "object": 1}, {"time": 1, "object": 2}]
    assert record["results"]["without_a_row"] == {"count": 2, "first": named}
    assert record["results"]["range"] == [3, 11]
    assert [one["name"] for one in record["inputs"]] == ["image", "labels", "table"]
    plane = drawn(made, tmp_path / "o.png", *words, "--low", "5", "--high", "9", "--time", "1", "--z", "2")
    np.testing.assert_array_equal(plane, by_size(*made[2:], 5.0, 9.0)[1, 2])


def test_mutant_numbers_of_another_time_point_are_caught(
    made: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ObjectRows.of_time
    monkeypatch.setattr(ObjectRows, "of_time", lambda self, time, dtype: right(self, 0, dtype))
    words = ("--style", "filled", "--table", str(table), "--column", "size", "--workers", "1")
    assert (drawn(made, tmp_path / "o.ome.zarr", *words) != by_size(*made[2:])).any()


@pytest.mark.parametrize(
    ("more", "because"),
    [
        (["--table", "{table}"], "--table needs --column"),
        (["--column", "size"], "--column is of the table"),
        (["--high", "2"], "--high is of the table"),
        (["--table", "{table}", "--column", "size", "--color", "FF0000"], "--color is one colour for all"),
        (["--table", "{table}", "--column", "area"], "has no column 'area'; its columns are label, t, size"),
        (["--table", "{table}", "--column", "size", "--low", "12"], "would go from 12 to 11; --low has to be below"),
        (["--table", "{none}", "--column", "size"], "has no number in the column 'size' for any object"),
        (["--table", "{flat}", "--column", "size"], "has no column 't' to tell them apart"),
    ],
)
def test_what_gives_no_colours(
    made: Any, table: Path, more: list[str], because: str, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "none.tsv").write_text("label\tt\tsize\n1\t7\t3\n")
    (tmp_path / "flat.tsv").write_text("label\tsize\n1\t3\n")
    given = [word.format(table=table, none=tmp_path / "none.tsv", flat=tmp_path / "flat.tsv") for word in more]
    to = tmp_path / "o.ome.zarr"
    assert main(["overlay", str(made[0]), "--labels", str(made[1]), "--output", str(to), *given]) == 2
    assert because in capsys.readouterr().err
    assert not to.exists()


@pytest.mark.parametrize(
    ("more", "because"),
    [
        (["--output", "o.ome.zarr", "--numbers"], "--numbers writes a PNG only"),
        (["--output", "o.ome.zarr", "--z", "1"], "--z chooses the plane of a PNG only"),
        (["--output", "o.png", "--z", "3"], "planes go from 0 to 2"),
        (["--output", "o.png", "--color", "red"], "six hexadecimal digits"),
        (["--output", "o.png", "--black", "5", "--white", "5"], "--black 5 has to be below --white 5"),
        (["--output", "o.png", "--black", "300"], "give both --black and --white"),
        (["--output", "o.png", "--level", "7"], "has no level 7"),
        (["--output", "o.png", "--memory", "300MiB"], "larger --memory"),
        (["--to-workspace", "name", "--format", "png"], "takes OME-Zarr only"),
    ],
)
def test_it_refuses(
    made: Any, more: list[str], because: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["overlay", str(made[0]), "--labels", str(made[1]), *more]) != 0
    assert because in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_shape_and_labels_that_are_none_are_refused(made: Any, tmp_path: Path, capsys: Any) -> None:
    other = made_models.image_store(tmp_path, np.zeros((4, 5), np.float32), "yx", "o.ome.zarr")
    flat = made_models.image_store(tmp_path, np.ones((4, 5), np.uint8), "yx", "f.ome.zarr")
    for labels, because in ((flat, "shape"), (other, "whole numbers")):
        assert main(["overlay", str(made[0]), "--labels", str(labels), "--output", str(tmp_path / "o.png")]) == 2
        assert because in capsys.readouterr().err


def test_flat_labels_lie_on_the_chosen_plane_and_those_of_one_time_point_on_theirs(made: Any, tmp_path: Path) -> None:
    """As measure matches them: --region and --time are of the image, and labels without that axis have none of it."""
    _, _, image, labels = made
    stack = made_models.image_store(tmp_path, image[0], "zyx", "stack.ome.zarr")
    flat = made_models.image_store(tmp_path, labels[0, 1], "yx", "flat.ome.zarr")
    expected = outlines_of(image, labels, "inner")
    red = ("--color", "FF0080")
    found = drawn((stack, flat), tmp_path / "flat.png", "--region", "1:2,:,:", *red)
    np.testing.assert_array_equal(found, expected[0, 1])
    found = drawn((stack, flat), tmp_path / "cut.png", "--region", "1:2,0:20,5:30", *red)
    inside = found[:-1, 1:-1]  # at the edge of a cut, what lies beyond is not drawn
    np.testing.assert_array_equal(inside, expected[0, 1][:19, 6:29])
    later = made_models.image_store(tmp_path, labels[1], "zyx", "later.ome.zarr")
    found = drawn((made[0], later), tmp_path / "later.png", "--time", "1", "--z", "2", *red)
    np.testing.assert_array_equal(found, expected[1, 2])
