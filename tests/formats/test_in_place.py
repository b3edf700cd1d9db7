"""A TIFF, PNG or JPEG where an image is needed: read as it is, with the result of the OME-Zarr that it would be."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from scipy import ndimage
from skimage import filters, measure

import made_stores
from chunkwise.cli import main
from chunkwise.formats import tiff_array

DATA = Path(__file__).parents[2] / "test-data"
COINS = DATA / "coins_2d.tif"
SAYS = "read where it lies; if you will use it again, it is better brought in first, with 'chunkwise convert' or"


def test_segment_and_measure_of_a_tiff_equal_the_whole_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By scikit-image of what tifffile reads; and the same bytes as from the store."""
    monkeypatch.chdir(tmp_path)
    Path("coins.tif").write_bytes(COINS.read_bytes())
    how = ["--min-size", "50", "--sigma", "1", "--fill-holes"]
    assert main(["segment", "coins.tif", *how, "--output", "l.ome.zarr", "--reference", "l.json"]) == 0
    assert f"coins.tif is a TIFF, {SAYS}" in capsys.readouterr().err
    image = tifffile.imread("coins.tif")
    smooth = ndimage.gaussian_filter(image, 1)
    objects = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)), connectivity=2)
    sizes = np.bincount(objects.ravel())
    kept = [number for number in range(1, len(sizes)) if sizes[number] >= 50]
    table = np.zeros(len(sizes), np.uint32)
    table[kept] = np.arange(1, len(kept) + 1)
    np.testing.assert_array_equal(zarr.open_array("l.ome.zarr/0", mode="r")[...], table[objects])
    assert main(["segment", str(DATA / "coins_2d.ome.zarr"), *how, "--output", "s.ome.zarr"]) == 0
    # The store says how large a pixel is; the TIFF does not, and neither does what is made of it.
    assert made_stores.digest(Path("l.ome.zarr") / "0") == made_stores.digest(Path("s.ome.zarr") / "0")
    words = ["measure", "--labels", "l.json", "--image", "coins.tif", "--output", "t.tsv", "--reference", "t.json"]
    assert main([*words, "--record", "r.json"]) == 0
    with open("t.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    means = [one.intensity_mean for one in measure.regionprops(table[objects], image)]
    np.testing.assert_allclose([float(row["intensity_mean-0"]) for row in rows], means, rtol=1e-9)
    read = {one["name"]: one for one in json.loads(Path("r.json").read_text())["inputs"]}
    assert read["image"]["media_type"] == "image/tiff"
    assert main(["crate", "build", "--from", "t.json", "--output", "c.zip"]) == 0
    assert main(["verify", "c.zip"]) == 0
    assert main(["crate", "rerun", "c.zip", "--output", "again"]) == 0
    tifffile.imwrite("coins.tif", 255 - image)
    assert main(["verify", "c.zip"]) != 0


def test_mutant_a_pixel_beside_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = tiff_array.TiffArray.read
    monkeypatch.setattr(tiff_array.TiffArray, "read", lambda array, box: np.roll(original(array, box), 1))
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        test_segment_and_measure_of_a_tiff_equal_the_whole_image(tmp_path, monkeypatch, capsys)


def test_inspect_shows_a_file_and_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, facts = tmp_path / "p.html", tmp_path / "s.json"
    words = ["--html", str(page), "--view", str(tmp_path / "v.html"), "--json", str(facts)]
    assert main(["inspect", str(DATA / "cells_tczyx.ome.tif"), *words]) == 0
    said = capsys.readouterr().out
    assert "t 2, c 2, z 8, y 48, x 64 (uint16), 1 level, TIFF." in said
    assert SAYS in said
    assert "OME-Zarr 0.5" not in page.read_text()
    assert [one["name"] for one in json.loads(facts.read_text())["channels"]] == ["DAPI", "GFP"]


def test_a_picture_is_filtered_as_scipy_filters_it(tmp_path: Path) -> None:
    output = tmp_path / "o.ome.zarr"
    assert main(["filter", str(DATA / "coins_2d.png"), "--method", "median", "--output", str(output)]) == 0
    whole = ndimage.median_filter(tifffile.imread(COINS), 3)
    np.testing.assert_array_equal(zarr.open_array(output / "0", mode="r")[...], whole)


def test_an_image_behind_a_link_is_called_by_the_link(tmp_path: Path) -> None:
    """As Galaxy's tools give a dataset, whose own name tells nothing."""
    (tmp_path / "dataset_7.dat").write_bytes(COINS.read_bytes())
    (tmp_path / "My coins.tif").symlink_to(tmp_path / "dataset_7.dat")
    facts = tmp_path / "s.json"
    assert main(["inspect", str(tmp_path / "My coins.tif"), "--json", str(facts)]) == 0
    assert json.loads(facts.read_text())["name"] == "My coins"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segment", str(DATA / "planes.tif"), "--output", "o.ome.zarr"], "such a file has to be brought in first"),
        (
            ["segment", str(COINS), "--into-source", "cells"],
            "is no OME-Zarr, so it has no place for labels",
        ),
        (["open", str(COINS), "--output", "o.json"], "is a TIFF, not an OME-Zarr; bring it in first"),
    ],
)
def test_what_a_file_cannot_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(DATA.iterdir())
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())
    assert sorted(DATA.iterdir()) == before
