"""PNG and JPEG against Pillow's whole image."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
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


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_png_of_16_bits_and_several_samples(samples: int, tmp_path: Path) -> None:
    array = noise((37, 53, samples), "uint16")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    image = opened(tmp_path / "a.png")
    assert len(image.channels) == samples
    np.testing.assert_array_equal(voxels(image)[0, :, 0], np.moveaxis(array, -1, 0))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(InputError, match="cannot be read"):
        opened(tmp_path / "a.png")


def test_grey_values_that_are_stretched_are_said(tmp_path: Path) -> None:
    rows = zlib.compress(b"\0\x01\x23" * 4)  # Pillow writes none of so few bits
    parts = (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 4, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "a.png").write_bytes(content)
    image = opened(tmp_path / "a.png")
    assert voxels(image)[0, 0, 0, 0].tolist() == [0, 17, 34, 51]
    assert any("stretched to 0 to 255" in remark for remark in foreign_store(image.location).remarks)


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
