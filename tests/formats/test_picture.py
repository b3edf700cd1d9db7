"""PNG and JPEG against Pillow's whole image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chunkwise.errors import InputError
from chunkwise.formats import picture
from chunkwise.storage.foreign import foreign_store
from foreign_files import noise, opened, voxels

MODES = {"1": "bool", "L": "uint8", "RGB": "uint8", "RGBA": "uint8", "LA": "uint8", "I;16": "uint16"}


@pytest.mark.parametrize("mode", MODES)
def test_png(tmp_path: Path, mode: str) -> None:
    samples = {"RGB": (3,), "RGBA": (4,), "LA": (2,)}.get(mode, ())
    array = noise((37, 53, *samples), "uint16" if mode == "I;16" else "uint8")
    made = Image.fromarray(array > 127) if mode == "1" else Image.fromarray(array)
    assert made.mode == mode
    made.save(tmp_path / "a.png")
    image = opened(tmp_path / "a.png")
    assert image.levels[0].dtype == MODES[mode]
    whole = np.asarray(Image.open(tmp_path / "a.png"))
    expected = np.moveaxis(whole, -1, 0) if samples else whole[np.newaxis]
    np.testing.assert_array_equal(voxels(image)[0, :, 0], expected)


def test_jpeg(tmp_path: Path) -> None:
    Image.fromarray(noise((37, 53, 3), "uint8")).save(tmp_path / "a.jpg")
    image = opened(tmp_path / "a.jpg", voxel_size="0.5,0.5")
    whole = np.asarray(Image.open(tmp_path / "a.jpg"))
    np.testing.assert_array_equal(voxels(image)[0, :, 0], np.moveaxis(whole, -1, 0))
    assert [one.name for one in image.channels] == ["red", "green", "blue"]
    assert image.levels[0].scale == (1.0, 0.5, 0.5)


def test_colours_by_number(tmp_path: Path) -> None:
    Image.fromarray(noise((37, 53, 3), "uint8")).quantize(16).save(tmp_path / "a.png")
    whole = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    np.testing.assert_array_equal(voxels(opened(tmp_path / "a.png"))[0, :, 0], np.moveaxis(whole, -1, 0))


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise((37, 53), "uint8")).save(path)
    with pytest.raises(InputError, match="--axes is for TIFFs"):
        opened(path, axes="yx")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"The picture .*a\.png cannot be read"):
        opened(path)
    path.write_bytes(whole)
    monkeypatch.setattr(picture, "MOST_PIXELS", 1000)
    with pytest.raises(InputError, match="has 53 x 37 pixels; a picture of more than 1000 is not read"):
        opened(path)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise((8, 9), "uint8")), Image.fromarray(255 - noise((8, 9), "uint8"))]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="is an animation"):
        opened(tmp_path / "a.png")


def test_a_picture_that_asks_to_be_turned_says_so(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(noise((37, 53), "uint8")).save(tmp_path / "a.jpg", exif=turned)
    image = opened(tmp_path / "a.jpg")
    assert image.levels[0].shape == (37, 53)
    assert any("asks to be shown turned" in remark for remark in foreign_store(image.location).remarks)
