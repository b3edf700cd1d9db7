"""Pictures: contrast, colours, outlines."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chunkwise.errors import InputError
from chunkwise.report.pictures import (
    composite,
    contrast,
    enlarge,
    label_colors,
    overlay,
    png_bytes,
    to_gray,
    write_png,
)


def test_contrast_ignores_the_brightest_thousandth() -> None:
    values = np.arange(100_000, dtype=np.uint32)
    values[-50:] = 4_000_000_000
    black, white = contrast(values)
    assert 50 < black < 150
    assert 99_800 < white < 99_950


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(9),
        np.full((3, 3), 7, np.uint16),
        np.array([np.nan, np.inf]),
        np.array([]),
        np.full(9, 2**63, np.uint64),
        np.full(9, -(2**62)),
        np.full(9, 1e20),
        np.full(9, np.finfo(float).max),
    ],
)
def test_contrast_of_a_flat_image(values: np.ndarray) -> None:
    black, white = contrast(values)
    assert np.isfinite([black, white]).all()
    assert white > black
    assert to_gray(values, black, white).shape == values.shape


def test_contrast_of_an_image_that_is_nearly_all_background() -> None:
    values = np.zeros(100_000, np.uint8)
    values[0] = 200
    assert contrast(values) == (0.0, 200.0)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float16, np.float32])
def test_gray_goes_from_black_to_white(dtype: type) -> None:
    plane = np.array([[0, 1]]).astype(dtype)
    assert to_gray(plane, 0, 1).tolist() == [[0, 255]]


def test_gray_clips_and_survives_what_is_no_number() -> None:
    assert to_gray(np.array([[-5.0, 0.5, 9.0, np.nan, np.inf]]), 0, 1).tolist() == [[0, 128, 255, 0, 255]]


def test_composite_adds_and_saturates() -> None:
    half, full = np.full((1, 1), 128, np.uint8), np.full((1, 1), 255, np.uint8)
    assert composite([full, half], ["FF0000", "00FF00"]).tolist() == [[[255, 128, 0]]]
    assert composite([full, full], ["FFFF00", "FF00FF"]).tolist() == [[[255, 255, 255]]]


def test_label_colors_depend_on_the_id_alone() -> None:
    some = label_colors(np.array([[0, 3], [500, 2**40]]))
    others = label_colors(np.array([[2**40, 7, 3, 0]]))
    assert some[0, 0].tolist() == [0, 0, 0]
    assert some[0, 1].tolist() == others[0, 2].tolist()
    assert some[1, 1].tolist() == others[0, 0].tolist()
    assert some.dtype == np.uint8


def test_neighbouring_ids_look_different() -> None:
    colors = label_colors(np.arange(1, 2000)).astype(int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 100
    assert colors.max(axis=1).min() > 100  # none is lost on the black background


def test_overlay_draws_the_outline_and_leaves_the_rest() -> None:
    image = np.arange(100, dtype=np.uint16).reshape(10, 10)
    labels = np.zeros((10, 10), np.uint32)
    labels[2:7, 2:7] = 5
    labels[2:7, 7:9] = 6
    drawn = overlay(image, labels, window=(0, 99))
    gray = np.repeat(to_gray(image, 0, 99)[..., None], 3, axis=2)
    changed = (drawn != gray).any(axis=2)
    expected = labels > 0
    expected[3:6, 3:6] = False
    assert (changed == expected).all()
    assert drawn[2, 2].tolist() == label_colors(np.array([5]))[0].tolist()
    assert drawn[2, 8].tolist() == label_colors(np.array([6]))[0].tolist()


def test_overlay_of_planes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="one shape"):
        overlay(np.zeros((3, 3)), np.zeros((3, 4), int))


def test_tiny_pictures_are_enlarged() -> None:
    assert enlarge(np.zeros((3, 10, 3), np.uint8)).shape == (78, 260, 3)
    assert enlarge(np.zeros((300, 10), np.uint8)).shape == (300, 10)


def test_png_comes_back(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png_bytes(picture)))) == picture).all()
    write_png(picture, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes() == png_bytes(picture)
    with pytest.raises(InputError, match="exists already"):
        write_png(picture, tmp_path / "p.png")
