"""The page of ``chunkwise measure``: what it says is what the whole image says, whatever the blocks."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import skimage.measure
import skimage.segmentation
import zarr
from lxml import html
from PIL import Image

import chunkwise as cw
from chunkwise.cli import main
from chunkwise.report import sizes as sizes_module
from chunkwise.report import tally as tally_module
from chunkwise.report.numbers import number_text, unit_text
from chunkwise.report.pictures import contrast, label_colors, to_gray
from chunkwise.report.runs import place_words
from chunkwise.report.sizes import Histogram, Sizes
from chunkwise.report.tally import Boxes
from chunkwise.report.window import EDGE, fullest
from made_stores import multiscale, write

MADE = Path(__file__).parents[2] / "test-data"
COINS, LABELS = MADE / "coins_2d.ome.zarr", MADE / "coins_2d_labels.ome.zarr"
CELLS = MADE / "cells_tczyx.ome.zarr"
Tree = Any


def report(folder: Path, *words: str | Path) -> Tree:
    """Measure with a report; the page."""
    made = ["--output", folder / "objects.tsv", "--report", folder / "report.html"]
    assert main(["measure", *map(str, (*words, *made))]) == 0
    return html.fromstring((folder / "report.html").read_text())


def facts(tree: Tree, heading: str) -> dict[str, str]:
    """The facts below a heading."""
    rows = tree.xpath(f"//section[h2='{heading}']//table[@class='facts']//tr")
    return {row.findtext("th"): row.findtext("td") for row in rows}


def table(tree: Tree, heading: str) -> pandas.DataFrame:
    """The table below a heading, as texts."""
    (found,) = tree.xpath(f"//section[h2='{heading}']//div[@class='wide']/table")
    rows = [[cell.text_content() for cell in row] for row in found.xpath("./tbody/tr")]
    return pandas.DataFrame(rows, columns=[cell.text_content() for cell in found.xpath("./thead//th")])


def whole(store: Path, level: str = "0") -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / level, mode="r")[...])


def picture(tree: Tree) -> np.ndarray[Any, Any]:
    (source,) = tree.xpath("//img/@src")
    head, _, content = source.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB"))


def test_counts_and_sizes_are_those_of_the_whole_image(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS, "--image", COINS, "--block", "64,64")
    measured = pandas.DataFrame(skimage.measure.regionprops_table(whole(LABELS), properties=("label", "num_pixels")))
    area = measured["num_pixels"] * 0.5 * 0.5
    told = facts(tree, "In short")
    assert told["Objects"] == str(len(measured)) == "22"
    share = 100 * measured["num_pixels"].sum() / whole(LABELS).size
    assert told["Total size"] == f"{number_text(area.sum())} µm², {share:.4g} % of the image"
    assert told["Median size"] == f"{area.median():.4g} µm²"
    assert told["Mean size"] == f"{area.mean():.4g} µm²"
    assert told["Sizes"] == f"{area.min():.4g} to {area.max():.4g} µm²"
    assert tree.findtext(".//h1") == "22 objects in coins_2d_labels.ome.zarr"


def bars_of(tree: Tree) -> tuple[list[float], list[int], int]:
    """Edges and counts as the table says them, held to the drawing; and what is beyond."""
    rows = table(tree, "Sizes")
    beyond, words = 0, rows.iloc[:, 0].tolist()
    counts = rows["Objects"].astype(int).tolist()
    if words[-1].endswith("and more"):
        beyond = counts.pop()
        words.pop()
    ends = [tuple(map(float, text.split(" to "))) for text in words]
    edges = [low for low, _ in ends] + [ends[-1][1]]
    drawn = [int(re.findall(r": (\d+) object", text)[0]) for text in tree.xpath("//svg//rect/title/text()")]
    assert drawn == counts + ([beyond] if beyond else [])
    heights = [float(one) for one in tree.xpath("//svg/rect/@height")]
    np.testing.assert_allclose(heights, np.array(drawn) * max(heights) / max(drawn), atol=0.06)
    return edges, counts, beyond


def test_the_histogram_is_that_of_numpy(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS, "--block", "64,64")
    area = np.bincount(whole(LABELS).ravel())[1:] * 0.25
    edges, counts, beyond = bars_of(tree)
    assert counts == np.histogram(area[area < edges[-1]], edges)[0].tolist()
    assert beyond == (area >= edges[-1]).sum() == 1
    assert sum(counts) + beyond == 22


def test_time_points_and_intensities_are_those_of_the_whole_image(tmp_path: Path) -> None:
    labels = tmp_path / "labels.ome.zarr"
    assert main(["segment", str(CELLS), "--channel", "DAPI", "--min-size", "20", "--output", str(labels)]) == 0
    tree = report(tmp_path, "--labels", labels, "--image", CELLS, "--block", "4,16,16")
    rows, marked, pixels = table(tree, "Time points"), whole(labels)[:, 0], whole(CELLS)
    assert rows["Time point"].tolist() == ["0", "1"]
    for time in (0, 1):
        volume = np.moveaxis(pixels[time], 0, -1)
        names = ("num_pixels", "intensity_mean")
        expected = pandas.DataFrame(skimage.measure.regionprops_table(marked[time], volume, properties=names))
        size = expected["num_pixels"] * 0.5
        told = rows.iloc[time].tolist()[1:]
        share = 100 * expected["num_pixels"].sum() / marked[time].size
        texts = [f"{value:.4g}" for value in (size.sum(), share, size.median(), size.mean(), size.min(), size.max())]
        texts += [f"{expected[f'intensity_mean-{channel}'].mean():.4g}" for channel in (0, 1)]
        assert told == [str(len(expected)), *texts]
    assert facts(tree, "In short")["Objects"] == "11"
    assert list(rows)[1:] == [
        "Objects", "Total size, µm³", "Share of the image, %",
        "Median size, µm³", "Mean size, µm³", "Smallest, µm³", "Largest, µm³",
        "Mean intensity, DAPI", "Mean intensity, GFP",
    ]  # fmt: skip


def test_the_first_rows_are_the_tables_with_four_digits(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS, "--image", COINS, "--properties", "all")
    shown, full = table(tree, "The first 20 rows"), pandas.read_csv(tmp_path / "objects.tsv", sep="\t")
    assert len(shown) == 20
    assert list(shown)[:4] == ["label", "num_pixels (voxel)", "area_physical (µm²)", "intensity_mean-0 (intensity)"]
    for head in shown:
        values = full[head.partition(" ")[0]][:20]
        np.testing.assert_allclose(shown[head].astype(float), values, rtol=6e-4)
        assert not any(re.search(r"\d\.\d{8}", text) for text in shown[head])
    said = tree.xpath("string(//section[h2='The first 20 rows']/p)")
    assert f"{full.shape[1] - shown.shape[1]} more columns and 2 more rows" in said


def test_the_picture_shows_outlines_on_the_image_at_a_readable_size(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS, "--image", COINS)
    drawn, pixels, marked = picture(tree), whole(COINS), whole(LABELS)
    assert drawn.shape == (606, 768, 3)  # twice the image
    large, gray = marked.repeat(2, 0).repeat(2, 1), to_gray(pixels, *contrast(pixels)).repeat(2, 0).repeat(2, 1)
    edge = skimage.segmentation.find_boundaries(large, connectivity=1, mode="inner")
    exact = tree.xpath("//img/@src")[0].startswith("data:image/png")
    plain = np.abs(drawn.astype(int) - gray[..., None]).max(axis=-1) <= (0 if exact else 40)
    near = np.abs(drawn.astype(int) - label_colors(large)).max(axis=-1) <= (0 if exact else 90)
    assert near[edge].mean() > 0.95  # but where a number lies on it
    assert plain[~edge].mean() > 0.95
    assert tree.xpath("//img/@alt") == ["The objects' outlines on the image"]


def test_without_an_image_the_objects_are_shown(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS)
    drawn, large = picture(tree), whole(LABELS).repeat(2, 0).repeat(2, 1)
    assert (np.abs(drawn.astype(int) - label_colors(large)).max(axis=-1) == 0).mean() > 0.97


def test_it_is_one_page_for_itself(tmp_path: Path) -> None:
    tree = report(tmp_path, "--labels", LABELS, "--image", COINS)
    text = (tmp_path / "report.html").read_text()
    assert len(text) < 300_000
    assert not re.search(r"<(script|iframe|style|form)\b|https?://|\bon\w+=", text)
    addresses = tree.xpath("//@src | //@href")
    assert all(address.startswith("data:") for address in addresses)
    # A path of the machine is nowhere, not in what a reader sees and not behind it.
    assert str(tmp_path) not in text
    assert str(MADE) not in text


def test_places_are_called_as_the_user_did_and_runs_that_led_here_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site.toml"
    (tmp_path / "results").mkdir()
    site.write_text(
        f'[roots.images]\npath = "{MADE}"\naccess = "read"\n[roots.results]\npath = "{tmp_path}"\naccess = "write"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    labels = ["--output", f"results:{'labels.ome.zarr'}", "--reference", str(tmp_path / "labels.json")]
    words = ["segment", "images:coins_2d.ome.zarr", "--sigma", "0.5", "--fill-holes", "--min-size", "50", *labels]
    assert main(words) == 0
    tree = report(tmp_path, "--labels", tmp_path / "labels.json", "--image", "images:coins_2d.ome.zarr")
    assert facts(tree, "In short")["Objects"] == "24"
    assert facts(tree, "In short")["Labels"] == "results:labels.ome.zarr"
    told = facts(tree, "Segmentation")
    assert told["Image"] == "images:coins_2d.ome.zarr"
    assert [told[name] for name in ("Smoothing (sigma)", "Fill holes", "Threshold", "Threshold that was found")] == [
        "0.5 voxels", "yes", "otsu", "105"
    ]  # fmt: skip
    assert told["Software"].startswith("chunkwise ")
    assert "Measurement" in tree.xpath("//h2/text()")
    assert str(tmp_path) not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({"location": "a/b.ome.zarr", "root": "images"}, "images:a/b.ome.zarr"),
        ({"location": "/galaxy/objects/dataset_1_files/labels.ome.zarr"}, "labels.ome.zarr"),
        ({"location": "/data/image.ome.zarr/labels/nuclei"}, "image.ome.zarr/labels/nuclei"),
        ({"location": "/galaxy/objects/dataset_12.dat"}, "a file of the history"),
        ({"location": "/galaxy/objects/dataset_12_files", "description": {"name": "coins"}}, "coins"),
        ({"location": "https://me:secret@x.org/a.zarr?token=1"}, "https://x.org/a.zarr"),
    ],
)
def test_words_for_places(resource: dict[str, Any], said: str) -> None:
    assert place_words(resource) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(3314.0, "3314"), (0.123456, "0.1235"), (1234567.8, "1234568"), (12, "12"), (1.5e9, "1.500e+09"), (0.0, "0")],
)
def test_digits(number: float, said: str) -> None:
    assert number_text(number) == said


def test_units_have_symbols() -> None:
    assert [unit_text(one) for one in ("micrometer^2", "nanometer", "voxel", "1", "unit of the scale")] == [
        "µm²", "nm", "voxel", "", "unit of the scale"
    ]  # fmt: skip


def test_names_from_the_image_are_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    omero = {"omero": {"channels": [{"label": evil, "color": "00FF00", "window": {"min": 0, "max": 9}}]}}
    image = write(tmp_path / "image.ome.zarr", axes="cyx", shape=(1, 40, 32), extra=omero)
    labels = write(tmp_path / "labels.ome.zarr", shape=(40, 32), dtype="uint32", extra={"image-label": {}})
    zarr.open_array(labels / "0", mode="r+")[...] = np.arange(40 * 32).reshape(40, 32) // 96
    tree = report(tmp_path, "--labels", labels, "--image", image)
    assert tree.xpath("//script") == []
    assert evil in "".join(tree.itertext())


def many(folder: Path, times: int, shape: tuple[int, int], every: int) -> Path:
    """Labels with a square object at each corner of a lattice, more from time to time."""
    marked = np.zeros((times, *shape), np.uint32)
    for time in range(times):
        corners = [(y, x) for y in range(0, shape[0] - 3, every) for x in range(0, shape[1] - 3, every)]
        for number, (y, x) in enumerate(corners[: len(corners) - time % 3], 1):
            marked[time, y : y + 1 + number % 3, x : x + 2] = number
    store = folder / "many.ome.zarr"
    write(store, "0.5", "tyx", marked.shape, "uint32", multiscale("tyx", 1), {"image-label": {}})
    zarr.open_array(store / "0", mode="r+")[...] = marked
    return store


def test_many_time_points_and_objects_are_bounded_and_said(tmp_path: Path) -> None:
    store = many(tmp_path, 130, (60, 60), 4)
    tree = report(tmp_path, "--labels", store)
    rows = table(tree, "Time points")
    expected = [str(len(np.unique(volume)) - 1) for volume in whole(store)]
    assert rows["Objects"].tolist() == expected[:100]
    assert facts(tree, "In short")["Objects"] == str(sum(map(int, expected)))
    assert "The other 30 time points" in tree.xpath("string(//section[h2='Time points'])")
    assert "too many objects here for numbers" in tree.xpath("string(//figcaption)")
    assert len((tmp_path / "report.html").read_text()) < 300_000


def test_a_large_plane_is_shown_where_most_objects_are(tmp_path: Path) -> None:
    marked = np.zeros((1, 1500, 2300), np.uint32)
    marked[0, 1200:1210, 2000:2010], marked[0, 1300:1310, 2100:2110], marked[0, 5:9, 5:9] = 1, 2, 3
    store = tmp_path / "large.ome.zarr"
    write(store, "0.5", "tyx", marked.shape, "uint32", multiscale("tyx", 1), {"image-label": {}})
    zarr.open_array(store / "0", mode="r+")[...] = marked
    tree = report(tmp_path, "--labels", store)
    assert picture(tree).shape == (EDGE, EDGE, 3)
    said = tree.xpath("string(//figcaption)")
    top, left = map(int, re.findall(r"from y (\d+), x (\d+) of 1500 × 2300", said)[0])
    assert top <= 1200 <= 1310 <= top + EDGE
    assert left <= 2000 <= 2110 <= left + EDGE


def test_no_objects_and_one_object(tmp_path: Path) -> None:
    store = tmp_path / "none.ome.zarr"
    write(store, "0.5", "yx", (30, 30), "uint8", multiscale("yx", 1), {"image-label": {}})
    (tmp_path / "a").mkdir()
    tree = report(tmp_path / "a", "--labels", store)
    assert tree.findtext(".//h1") == "0 objects in none.ome.zarr"
    assert tree.xpath("//img | //svg") == []
    zarr.open_array(store / "0", mode="r+")[3:5, 3:9] = 7
    (tmp_path / "b").mkdir()
    tree = report(tmp_path / "b", "--labels", store)
    assert tree.findtext(".//h1") == "1 object in none.ome.zarr"
    assert bars_of(tree)[1] == [1]


def test_from_python(tmp_path: Path) -> None:
    made = cw.measure(str(LABELS), str(COINS), report=tmp_path / "r.html", quiet=True)
    assert "22 objects" in Path(made.files["report"]).read_text()


def test_a_report_that_is_there_already_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.html").write_text("mine")
    made = ["--output", str(tmp_path / "objects.tsv"), "--report", str(tmp_path / "report.html")]
    assert main(["measure", "--labels", str(LABELS), *made]) == 2
    assert "report.html" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "mine"


def drawn_sizes(seed: int, n: int = 5000) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).lognormal(6, 1, n).astype(np.int64) + 1


@pytest.mark.parametrize("voxel", [1.0, 0.25, 0.0123, 7.5e3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sizes_in_pieces_are_those_of_numpy(seed: int, voxel: float) -> None:
    values, sizes, other = drawn_sizes(seed), Sizes(), Sizes()
    for piece in np.array_split(values[:3000], 7):
        sizes.add(piece)
    other.add(values[3000:])
    sizes.join(other)
    assert (sizes.total, sizes.median, sizes.mean) == (len(values), np.median(values), values.sum() / len(values))
    assert (sizes.smallest, sizes.largest, sizes.rounded) == (values.min(), values.max(), False)
    histogram = Histogram.of(sizes, voxel)
    area = values * voxel
    inside = area[area < histogram.edges[-1]]
    assert list(histogram.counts) == np.histogram(inside, histogram.edges)[0].tolist()
    assert histogram.beyond == len(area) - len(inside)
    assert 5 <= len(histogram.counts) <= 60


def test_very_many_different_sizes_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes_module, "MOST", 500)
    values, sizes = drawn_sizes(1, 20000) * 1000 + np.arange(20000), Sizes()
    for piece in np.array_split(values, 9):
        sizes.add(piece)
    assert sizes.rounded
    assert sizes.total == len(values) == sizes.counts.sum()
    assert (sizes.smallest, sizes.largest, sizes.voxels) == (values.min(), values.max(), values.sum())
    assert abs(sizes.median - np.median(values)) < np.median(values) / 1000


def test_boxes_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_BOXES", 100)
    boxes, first = Boxes(2), np.arange(2000).reshape(1000, 2)
    for piece in np.array_split(first, 13):
        boxes.add(piece, piece + 1)
    kept = boxes.arrays()[0]
    assert 50 <= len(kept) <= 100
    assert np.diff(kept[:, 0]).min() == np.diff(kept[:, 0]).max()


def test_the_plane_is_one_that_most_objects_touch() -> None:
    boxes = Boxes(3)
    first = np.array([[0, 5, 5], [3, 9, 9], [4, 20, 30]])
    boxes.add(first, first + np.array([[4, 3, 3], [5, 3, 3], [1, 3, 3]]))
    plane, *window = fullest(boxes, (20, 50, 60))
    assert plane == slice(4, 5)
    assert window == [slice(0, 50), slice(0, 60)]


@pytest.mark.parametrize("mutant", ["last block alone", "right edges"])
def test_mutant_of_the_histogram(mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if mutant == "last block alone":
        add = Sizes.add

        def forgets(self: Sizes, values: Any, counts: Any = None) -> None:
            self.__init__()  # type: ignore[misc]
            add(self, values, counts)

        monkeypatch.setattr(Sizes, "add", forgets)
        store = many(tmp_path, 2, (60, 60), 4)
        tree = report(tmp_path, "--labels", store)
        assert int(facts(tree, "In short")["Objects"]) < sum(len(np.unique(volume)) - 1 for volume in whole(store))
    else:
        values, sizes, search = drawn_sizes(1), Sizes(), np.searchsorted
        sizes.add(values)
        monkeypatch.setattr(sizes_module.np, "searchsorted", lambda a, v, side: search(a, v, "left"))
        histogram = Histogram.of(sizes, 1.0)
        monkeypatch.undo()
        inside = values[values < histogram.edges[-1]]
        assert list(histogram.counts) != np.histogram(inside, histogram.edges)[0].tolist()
