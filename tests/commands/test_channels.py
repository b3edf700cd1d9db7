"""Colours become what scikit-image makes of the whole image, in blocks of any shape; channels keep their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.color
import tifffile
import zarr

from chunkwise.cli import main
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.mixed import MixedVolumes
from made_stores import multiscale, write

Array = np.ndarray[Any, Any]

TISSUE = Path(__file__).parents[2] / "test-data" / "tissue_rgb.ome.zarr"


def run(image: Path, folder: Path, *words: str, name: str = "o.ome.zarr") -> tuple[Array, list[dict[str, Any]]]:
    """The result, and what it says of its channels."""
    assert main(["channels", str(image), *words, "--workers", "1", "--output", str(folder / name)]) == 0
    about = json.loads((folder / name / "zarr.json").read_text())["attributes"]["ome"]
    channels = about["omero"]["channels"] if "omero" in about else []
    return np.asarray(zarr.open_array(folder / name / "0", mode="r")[...]), channels


def stored(folder: Path, voxels: Array, axes: str, omero: Any = None) -> Path:
    extra = {"omero": {"channels": omero}} if omero else {}
    store = write(folder / "i.ome.zarr", "0.5", axes, voxels.shape, voxels.dtype, multiscale(axes, 1), extra)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return store


def tissue() -> Array:
    return np.asarray(zarr.open_array(TISSUE / "0", mode="r")[...])


def test_stains_have_their_names_and_the_same_bytes_in_every_block(tmp_path: Path) -> None:
    words = ["--method", "deconvolve", "--stains", "hdx", "--dtype", "float64"]
    found, channels = run(TISSUE, tmp_path, *words)
    expected = skimage.color.separate_stains(tissue(), skimage.color.hdx_from_rgb, channel_axis=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert [one["label"] for one in channels] == ["haematoxylin", "DAB", "residual"]
    assert all(one["window"] == {"min": 0, "max": 1, "start": 0, "end": 1} for one in channels)
    # The matrix product of scikit-image depends on how wide a block is; a sum in a fixed order does not.
    other, _ = run(TISSUE, tmp_path, *words, "--block", "37,5", "--shard", "74,10", name="other.ome.zarr")
    np.testing.assert_array_equal(other, found)
    # Mutants: another order of colours, and the stains of another matrix.
    for one in (tissue()[::-1], np.roll(tissue(), 1, 0)):
        assert (
            np.abs(skimage.color.separate_stains(one, skimage.color.hdx_from_rgb, channel_axis=0) - found).max() > 0.01
        )
    assert (
        np.abs(skimage.color.separate_stains(tissue(), skimage.color.hax_from_rgb, channel_axis=0) - found).max() > 0.01
    )


def test_mutant_of_a_channel_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = VolumeSource.read
    first = tissue()[[0, 0, 2]]

    def read(self: VolumeSource, volume: int, box: Any) -> Array:
        return first[min(self.channel, 2)][box] if self.channel == 1 else right(self, volume, box)

    monkeypatch.setattr(VolumeSource, "read", read)
    found, _ = run(TISSUE, tmp_path, "--method", "hsv")
    assert not np.array_equal(found, skimage.color.rgb2hsv(tissue(), channel_axis=0).astype("f4"))


def test_a_colour_tiff_is_read_in_place(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "slide.tif", np.moveaxis(tissue(), 0, -1), photometric="rgb")
    found, channels = run(tmp_path / "slide.tif", tmp_path, "--method", "lab")
    np.testing.assert_allclose(found, skimage.color.rgb2lab(tissue(), channel_axis=0), rtol=0, atol=1e-4)
    assert [(one["label"], one["window"]["start"], one["window"]["end"]) for one in channels] == [
        ("L*", 0, 100),
        ("a*", -128, 127),
        ("b*", -128, 127),
    ]
    grey, channels = run(tmp_path / "slide.tif", tmp_path, "--method", "grey", name="grey.ome.zarr")
    np.testing.assert_allclose(grey, skimage.color.rgb2gray(tissue(), channel_axis=0)[np.newaxis], rtol=1e-6)
    assert [one["label"] for one in channels] == ["grey"]


def test_one_plane_and_one_voxel(tmp_path: Path) -> None:
    voxels = np.zeros((2, 3, 1, 1, 1), "u2")
    voxels[1] = 65535
    found, _ = run(stored(tmp_path, voxels, "tczyx"), tmp_path, "--method", "deconvolve")
    assert found.shape == voxels.shape
    assert found[0].max() > 0.9  # black absorbs, white does not
    assert not found[1].any()


def test_channels_are_chosen_with_what_is_said_of_them(tmp_path: Path) -> None:
    window = {"min": 0, "max": 255, "start": 3, "end": 90}
    omero = [
        {"label": f"c{n}", "color": f"0000F{n}", "window": window | {"start": n}, "active": True} for n in range(4)
    ]
    voxels = np.random.default_rng(0).integers(0, 255, (2, 4, 5, 6), np.uint8)
    image = stored(tmp_path, voxels, "tcyx", omero)
    found, channels = run(image, tmp_path, "--method", "choose", "--channel", "c3", "--channel", "1", "--names", "a, b")
    np.testing.assert_array_equal(found, voxels[:, [3, 1]])
    assert [(one["label"], one["color"], one["window"]["start"]) for one in channels] == [
        ("a", "0000F3", 3),
        ("b", "0000F1", 1),
    ]
    kept, channels = run(image, tmp_path, "--method", "choose", "--channel", "c2", name="kept.ome.zarr")
    np.testing.assert_array_equal(kept, voxels[:, [2]])
    assert [one["label"] for one in channels] == ["c2"]


def test_masks_and_images_without_channels_are_renamed(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).random((5, 7)) < 0.5
    image = stored(tmp_path, voxels, "yx")
    found, channels = run(image, tmp_path, "--method", "choose", "--names", "cells")
    np.testing.assert_array_equal(found, voxels)
    assert [one["label"] for one in channels] == ["cells"]


def merged(folder: Path, *words: str, name: str = "o.ome.zarr") -> tuple[Array, list[tuple[str, str]]]:
    """Two images as one, in blocks of a few voxels; names and colours of its channels."""
    blocks = ["--block", "2,3,4", "--shard", "4,6,4"]
    found, channels = run(
        folder / "a" / "i.ome.zarr", folder, "--method", "merge", "--b", str(folder / "b" / "i.ome.zarr"), *words,
        *blocks, name=name,
    )  # fmt: skip
    return found, [(one["label"], one["color"]) for one in channels]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Array, Array]:
    """Two channels over time, and an image without a channel axis; both of 16 bits, on one grid."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 60000, shape, np.uint16) for shape in ((2, 2, 5, 7, 9), (2, 5, 7, 9)))
    window = {"min": 0, "max": 65535, "start": 5, "end": 900}
    omero = [{"label": name, "color": "0000FF", "window": window} for name in ("DNA", "actin")]
    for name, voxels, axes, said in (("a", a, "tczyx", omero), ("b", b, "tzyx", None)):
        (tmp_path / name).mkdir()
        stored(tmp_path / name, voxels, axes, said)
    return tmp_path, a, b


def test_merged_channels_are_those_of_numpy(pair: Any) -> None:
    folder, a, b = pair
    whole = np.concatenate((a, b[:, np.newaxis]), axis=1)
    found, channels = merged(folder)
    np.testing.assert_array_equal(found, whole)
    # Two have one colour, so that all have new ones; a channel without a name is called by its place.
    assert channels == [("DNA", "00A0FF"), ("actin", "FF8C00"), ("2", "FF40C0")]
    words = ["--channel", "a=actin", "--names", "one,two", "--colors", "ff0000, 00FF00"]
    found, channels = merged(folder, *words, "--time", "1", "--region", "1:4,2:7,0:9", name="cut.ome.zarr")
    np.testing.assert_array_equal(found, whole[1:, 1:, 1:4, 2:7])
    assert channels == [("one", "FF0000"), ("two", "00FF00")]


def test_mutant_channels_of_the_first_image_alone_are_caught(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, a, b = pair
    right = MixedVolumes.read_stack
    monkeypatch.setattr(MixedVolumes, "read_stack", lambda self, group, box: right(self, min(group, 1), box))
    assert not np.array_equal(merged(folder)[0], np.concatenate((a, b[:, np.newaxis]), axis=1))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--names a,b", "--names 'a,b' has 2 names, and the result has 3 channels"),
        ("--colors FF0000", "--colors 'FF0000' has to be 3 colours, one for each channel, of six hexadecimal"),
        ("--colors red,green,blue", "has to be 3 colours"),
        ("--channel c=0", "--channel c=0 is of the image c, which is not given"),
        ("--c {a}", "Several of the 5 channels are called DNA"),
        ("--c {bytes}", "The first image holds uint16 voxels and the image c uint8, and channels of one image"),
        ("--c {small}", "have to have the same shape and scale"),
    ],
)
def test_what_does_not_merge(pair: Any, words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _, b = pair
    for name, voxels in (("bytes", b.astype("u1")), ("small", b[..., :8])):
        (folder / name).mkdir()
        stored(folder / name, voxels, "tzyx")
    given = words.format(**{name: folder / name / "i.ome.zarr" for name in ("a", "bytes", "small")}).split()
    asked = ["channels", str(folder / "a" / "i.ome.zarr"), "--method", "merge", "--b", str(folder / "b" / "i.ome.zarr")]
    assert main([*asked, *given, "--output", str(folder / "o.ome.zarr")]) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "o.ome.zarr").exists()


FLOATS = "Colours that are floats have to be numbers from 0 to 1, and some are not"
BAD = [
    (
        np.zeros((2, 4, 4), "u1"),
        "--method hsv",
        "has 2 channels here, and the conversion to HSV takes three: red, green",
    ),
    (np.zeros((4, 4, 4), "u1"), "--method lab", "choose them with --channel, once for each."),
    (
        np.zeros((3, 4, 4), "i2"),
        "--method lab",
        "holds int16 voxels, and the conversion to Lab takes unsigned integers, f",
    ),
    (np.full((3, 4, 4), 1.5), "--method hsv", FLOATS),
    (np.full((3, 4, 4), -0.1), "--method grey", FLOATS),
    (np.full((3, 4, 4), np.nan, "f4"), "--method deconvolve", FLOATS),
    (
        np.zeros((3, 4, 4), "u1"),
        "--method choose --names a,b",
        "--names 'a,b' has 2 names, and the result has 3 channels",
    ),
    (np.zeros((3, 4, 4), "u1"), "--method choose --names a,b,a", "has an empty name, or one twice"),
    (np.zeros((3, 4, 4), "u1"), "--method choose --names a,,b", "has an empty name, or one twice"),
    (np.zeros((3, 4, 4), "u1"), "--method choose --channel 7", "has no channel '7'"),
]


@pytest.mark.parametrize(("voxels", "words", "said"), BAD)
def test_what_is_refused(
    voxels: Array, words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = stored(tmp_path, voxels, "cyx")
    spread = ["--workers", "1", "--output", str(tmp_path / "o.ome.zarr")]
    assert main(["channels", str(image), *words.split(), *spread]) in (2, 4)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last, last
    assert "Traceback" not in last
    assert not (tmp_path / "o.ome.zarr").exists()


def test_a_crate_is_enough_to_merge_again(pair: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    folder, _, _ = pair
    monkeypatch.chdir(folder)
    words = ["--method", "merge", "--b", "b/i.ome.zarr", "--channel", "a=actin", "--channel", "b=0"]
    assert main(["channels", "a/i.ome.zarr", *words, "--output", "o.ome.zarr", "--record", "r.json"]) == 0
    assert main(["crate", "build", "--publish", "--from", "r.json", "--output", "c.zip"]) == 0
    capsys.readouterr()
    there = ["--map", "image-1.ome.zarr=a/i.ome.zarr", "--map", "image-2.ome.zarr=b/i.ome.zarr"]
    assert main(["crate", "rerun", "c.zip", *there, "--output", "again"]) == 0
    assert "all of 1 output the same" in capsys.readouterr().out
