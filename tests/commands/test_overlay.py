"""``chunkwise overlay``: what it draws, against scikit-image on the whole image, and what it refuses."""

from __future__ import annotations

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
