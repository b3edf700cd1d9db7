"""What is in the page of a view: pixels, numbers of objects, how much of an image, and nothing that a name brought."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from lxml import html
from skimage.measure import regionprops_table

from chunkwise.cli import main
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.report.view import fill, make, objects, page, scene, tiles
from made_stores import multiscale
from view_pages import made_image, plane_of, scene_in, viewed

TEST_DATA = Path(__file__).parents[2] / "test-data"


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(4).normal(3000, 400, (700, 900)).astype(np.uint16)


def bytes_of(values: np.ndarray, channel: Any) -> np.ndarray:
    """What values become, literally."""
    scaled = (values.astype(np.float64) - channel["low"]) * 255 / (channel["high"] - channel["low"])
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def halved(values: np.ndarray) -> np.ndarray:
    """Means of two by two voxels, halves rounded upwards, literally."""
    blocks = values.astype(np.int64).reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2)
    return (blocks.sum(axis=(1, 3)) + 2) // 4


def check_image(path: Path, data: np.ndarray) -> None:
    layer = scene_in(viewed(path))["layers"][0]
    channel = layer["channels"][0]
    assert [sheet["shape"] for sheet in layer["sheets"]] == [[350, 450], [700, 900]]
    assert (plane_of(layer, 1, "0,0") == bytes_of(data, channel)).all()
    assert (plane_of(layer, 0, "0,0") == bytes_of(halved(data), channel)).all()


def test_an_image_without_a_pyramid_gets_one_of_means(tmp_path: Path, noise: np.ndarray) -> None:
    check_image(made_image(tmp_path / "i.zarr", "yx", noise), noise)


def test_mutant_every_second_voxel_in_the_place_of_means(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.Sheet, "halve", lambda self, pixels: pixels[::2, ::2])
    with pytest.raises(AssertionError):
        check_image(made_image(tmp_path / "i.zarr", "yx", noise), noise)


def test_levels_of_the_store_are_taken_as_they_are(tmp_path: Path, noise: np.ndarray) -> None:
    layer = scene_in(viewed(made_image(tmp_path / "i.zarr", "yx", noise, levels=3)))["layers"][0]
    assert [sheet["step"] for sheet in layer["sheets"]] == [[4, 4], [2, 2], [1, 1]]
    for number, sheet in enumerate(layer["sheets"]):
        every = int(sheet["step"][0])
        assert (plane_of(layer, number, "0,0") == bytes_of(noise[::every, ::every], layer["channels"][0])).all()


def test_a_large_plane_is_read_by_parts(tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_image(tmp_path / "i.zarr", "yx", noise, levels=2, chunk=100)
    held = viewed(path).read_text()
    monkeypatch.setattr(fill, "HELD", 400_000)  # of level 1, not of level 0
    (tmp_path / "i.inspect.html").unlink()
    assert viewed(path).read_text() == held


def test_small_whole_numbers_keep_their_values(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1000, 1200, (50, 60)).astype(np.int32)
    layer = scene_in(viewed(made_image(tmp_path / "i.zarr", "yx", data)))["layers"][0]
    channel = layer["channels"][0]
    assert channel["exact"]
    assert (plane_of(layer, 0, "0,0") + channel["low"] == data).all()


def labelled(path: Path) -> np.ndarray:
    """Labels of more numbers than a byte holds in a tile, and larger ones than JavaScript can tell apart."""
    data = np.arange(300 * 400, dtype=np.uint64).reshape(300, 400) // 40
    data[data > 2000] += 2**60
    data[:90, :90] = 0
    extra = {"image-label": {"version": "0.5"}}
    made_image(path, "yx", data, extra=extra)
    return data


def check_labels(path: Path, data: np.ndarray) -> None:
    layer = scene_in(viewed(path))["layers"][0]
    assert (layer["kind"], layer["style"]) == ("labels", "filled")
    assert (plane_of(layer, 0, "0,0") == data.astype(object)).all()


def test_numbers_of_objects_are_exact(tmp_path: Path) -> None:
    check_labels(tmp_path / "l.zarr", labelled(tmp_path / "l.zarr"))


def test_mutant_numbers_beyond_two_to_the_53_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled(tmp_path / "l.zarr")
    monkeypatch.setattr(tiles, "_number", lambda value: int(float(value)))  # as JavaScript reads them
    with pytest.raises(AssertionError):
        check_labels(tmp_path / "l.zarr", data)


def test_tiles_of_labels_know_their_neighbours() -> None:
    plane = np.random.default_rng(1).integers(0, 5, (600, 300))
    found = tiles.tiles_of(plane, labels=True)
    assert (tiles.stitched(found, (600, 300), True) == plane).all()
    sizes = [tiles._pixels(tile["png"]).shape for tile in found]
    assert sizes == [(257, 257), (257, 45), (258, 257), (258, 45), (89, 257), (89, 45)]


def test_planes_and_times(tmp_path: Path) -> None:
    data = np.random.default_rng(2).integers(0, 255, (3, 2, 9, 40, 30)).astype(np.uint8)
    found = scene_in(viewed(made_image(tmp_path / "i.zarr", "tczyx", data, chunk=4)))
    assert (found["first"], found["times"], found["planes"]) == ([0, 4], [0, 1, 2], list(range(9)))
    for t in range(3):
        for z in range(9):
            for c in range(2):
                assert (plane_of(found["layers"][0], 0, f"{t},{z}", c) == data[t, c, z]).all()


def test_of_many_planes_some_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = np.random.default_rng(2).integers(0, 255, (200, 40, 30)).astype(np.uint8)
    found = scene_in(viewed(made_image(tmp_path / "i.zarr", "zyx", data)))
    assert len(found["planes"]) == fill.MOST_FRAMES
    assert 100 in found["planes"]
    for z in found["planes"]:
        assert (plane_of(found["layers"][0], 0, f"0,{z}") == data[z]).all()
    assert "Of 200 planes, 64 are in the page." in capsys.readouterr().out


def check_bounded(path: Path, most: int, capsys: pytest.CaptureFixture[str]) -> None:
    made = viewed(path)
    assert made.stat().st_size <= most
    out = capsys.readouterr().out
    finest = scene_in(made)["layers"][0]["sheets"][-1]
    step = int(finest["step"][0])
    height, width = finest["shape"]
    assert step == 2
    sentence = "The image has 700 × 900 pixels at full resolution; the page has 1/2 of that along each axis, "
    sentence += f"{height} × {width}."
    assert sentence in out
    assert sentence in html.fromstring(made.read_text()).text_content()


def test_a_page_is_no_larger_than_it_may_be(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "LARGEST_PAGE", 800_000)
    check_bounded(made_image(tmp_path / "i.zarr", "yx", noise), 800_000, capsys)


def test_mutant_tiles_are_not_counted(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "LARGEST_PAGE", 800_000)
    monkeypatch.setattr(fill, "size_of", lambda tile: 0)
    with pytest.raises(AssertionError):
        check_bounded(made_image(tmp_path / "i.zarr", "yx", noise), 800_000, capsys)


def huge(path: Path, levels: int) -> Path:
    """A store of 10^10 voxels, of which few chunks are there."""
    group = zarr.open_group(path, mode="w")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale("yx", levels)]}
    for level in range(levels):
        size = -(-100_000 // 2**level)
        array = group.create_array(str(level), shape=(size, size), chunks=(512, 512), dtype="uint16")
        array[size // 2 :: size, size // 2 - 100 : size // 2 + 100] = 1000
    return path


@pytest.mark.parametrize(("levels", "says"), [(8, "100,000 × 100,000 pixels at full"), (1, "only the central 11,")])
def test_of_a_huge_image_little_is_read(
    tmp_path: Path, levels: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes: list[int] = []
    honest = VolumeSource.read
    monkeypatch.setattr(
        VolumeSource,
        "read",
        lambda self, n, box: sizes.append(2 * int(np.prod([p.stop - p.start for p in box]))) or honest(self, n, box),
    )
    made = viewed(huge(tmp_path / "i.zarr", levels))
    assert sum(sizes) <= fill.MOST_READ + scene.LARGEST_PLANE
    assert max(sizes) <= 2 * scene.AT_ONCE
    assert made.stat().st_size <= make.LARGEST_PAGE
    assert says in capsys.readouterr().out


def test_a_cut_lies_where_it_lies_in_every_level(tmp_path: Path, noise: np.ndarray) -> None:
    path = made_image(tmp_path / "i.zarr", "yx", noise, levels=3)
    cut = ("--region", "101:501,203:803", "--threshold", "3000", "--workers", "1", "--output", str(tmp_path / "l.zarr"))
    found = scene_in(viewed(path, *cut, command="segment"))
    assert found["size"] == [1, 400, 600]
    image = found["layers"][0]
    for number, (every, top, left) in enumerate([(4, 100, 200), (2, 100, 202), (1, 101, 203)]):
        sheet = image["sheets"][number]
        assert sheet["offset"] == [top - 101, left - 203]
        height, width = sheet["shape"]
        there = noise[top::every, left::every][:height, :width]
        assert (plane_of(image, number, "0,0") == bytes_of(there, image["channels"][0])).all()
        assert height * every + top >= 501
        assert width * every + left >= 803
    labels = zarr.open_array(tmp_path / "l.zarr" / "0")[...]
    assert (plane_of(found["layers"][1], -1, "0,0") == labels.astype(object)).all()


def rows_of(table: dict[str, Any]) -> np.ndarray:
    import zlib

    values = np.frombuffer(zlib.decompress(base64.b64decode(table["columns"])), "<f8")
    return values.reshape(len(objects.COLUMNS), table["rows"]).T


def check_rows(made: Path, labels: np.ndarray) -> None:
    rows = rows_of(scene_in(made)["layers"][-1]["objects"]["0"])
    expected = regionprops_table(labels, properties=("label", "num_pixels", "centroid", "bbox"))
    literal = np.array([expected[name] for name in expected]).T
    assert rows.shape == literal.shape
    assert np.allclose(rows, literal, rtol=1e-12, atol=0)


def test_sizes_and_places_are_those_of_scikit_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "AT_ONCE", 2000)  # objects lie in several blocks
    path = TEST_DATA / "cells_zyx_v04.ome.zarr"
    page_made, out = tmp_path / "v.html", tmp_path / "l.zarr"
    assert main(["segment", str(path), "--workers", "1", "--output", str(out), "--view", str(page_made)]) == 0
    check_rows(page_made, zarr.open_array(out / "0")[...])


def test_mutant_objects_not_joined_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_joined", lambda one, other: one)
    with pytest.raises(AssertionError):
        test_sizes_and_places_are_those_of_scikit_image(tmp_path, monkeypatch)


def test_of_many_voxels_no_sizes_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(objects, "MOST_VOXELS", 100_000)
    made = tmp_path / "v.html"
    assert main(["inspect", str(TEST_DATA / "coins_2d_labels.ome.zarr"), "--view", str(made)]) == 0
    assert scene_in(made)["layers"][0]["objects"] == {}
    assert "are not in the page, because it has many voxels" in capsys.readouterr().out


def test_a_comparison_shows_what_was_found_and_missed(tmp_path: Path) -> None:
    truth = np.zeros((40, 60), np.uint16)
    truth[5:15, 5:15], truth[5:15, 30:40], truth[25:35, 5:15] = 1, 2, 3
    predicted = np.zeros((40, 60), np.uint16)
    predicted[5:15, 6:15], predicted[5:15, 30:33], predicted[25:35, 40:50] = 7, 8, 9
    for name, data in (("truth", truth), ("predicted", predicted)):
        made_image(tmp_path / f"{name}.zarr", "yx", data, extra={"image-label": {"version": "0.5"}})
    words = [str(tmp_path / "predicted.zarr"), "--output", str(tmp_path / "c.json"), "--workers", "1"]
    found = scene_in(viewed(tmp_path / "truth.zarr", *words, command="compare"))
    kinds = [
        {number: layer["classes"][kind]["name"] for number, kind in layer["classOf"]["0"].items()}
        for layer in found["layers"]
    ]
    hit, missed = "In the truth, and found", "In the truth, and missed"
    assert kinds[0] == {"1": hit, "2": missed, "3": missed}
    right, extra = "Predicted, and in the truth", "Predicted, without a match"
    assert kinds[1] == {"7": right, "8": extra, "9": extra}
    for layer, data in zip(found["layers"], (truth, predicted), strict=True):
        assert (plane_of(layer, -1, "0,0") == data.astype(object)).all()


def test_labels_in_an_image_lie_over_it_or_it_is_said_why_not(
    tmp_path: Path, noise: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made_image(tmp_path / "i.zarr", "yx", noise)
    group = zarr.open_group(path, mode="a").require_group("labels")
    group.attrs["ome"] = {"version": "0.5", "labels": ["good", "small"]}
    objects_there = (noise > 3500).astype(np.uint8)
    extra = {"image-label": {"version": "0.5"}}
    made_image(path / "labels" / "good", "yx", objects_there, extra=extra)
    made_image(path / "labels" / "small", "yx", objects_there[:100], extra=extra)
    found = scene_in(viewed(path))
    assert [layer["name"] for layer in found["layers"]] == ["made", "good"]
    assert (plane_of(found["layers"][1], -1, "0,0") == objects_there.astype(object)).all()
    assert "The label image small is not shown: " in capsys.readouterr().out


NASTY = "</script><img src=x onerror=alert(1)><!--<script>'\"&"


def check_names(made: Path) -> None:
    tree = html.fromstring(made.read_text())
    assert len(tree.xpath("//script")) == 2
    assert not tree.xpath("//*[@onerror]")
    assert len(tree.xpath("//img")) == 1
    assert tree.xpath("string(//h1)") == NASTY
    assert scene_in(made)["layers"][0]["channels"][0]["name"] == NASTY


def nasty(path: Path) -> Path:
    entry = multiscale("cyx", 1) | {"name": NASTY}
    channels = [{"label": NASTY, "color": "FF0000", "window": {"start": 0, "end": 9, "min": 0, "max": 9}}] * 2
    data = np.random.default_rng(0).integers(0, 99, (2, 30, 40)).astype(np.uint8)
    return made_image(path, "cyx", data, entry=entry, extra={"omero": {"channels": channels}})


def test_a_name_stays_a_name(tmp_path: Path) -> None:
    check_names(viewed(nasty(tmp_path / "i.zarr")))


def test_mutant_names_not_escaped_in_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(str):
        def replace(self, *_: Any) -> str:  # type: ignore[override]
            return str(self)

    monkeypatch.setattr(page.json, "dumps", lambda *a, _dumps=json.dumps, **k: Careless(_dumps(*a, **k)))
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        check_names(viewed(nasty(tmp_path / "i.zarr")))


def test_the_policy_allows_its_own_script_and_style_alone(tmp_path: Path, noise: np.ndarray) -> None:
    text = viewed(made_image(tmp_path / "i.zarr", "yx", noise)).read_text()
    tree = html.fromstring(text)
    policy = tree.xpath("string(//meta[@http-equiv='Content-Security-Policy']/@content)")
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == "data:"
    assert (parts["base-uri"], parts["form-action"]) == ("'none'", "'none'")
    for name, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
        (inner,) = re.findall(pattern, text, re.S)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert parts[name] == f"'sha256-{digest}'"
    assert not re.search(r"https?://", text)
    assert not tree.xpath("//@style|//link")


def test_a_plate_has_pictures_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate = Path(__file__).parents[3] / "shared/data/omezarr_hcs_metadata_only/hcs_example.ome.zarr"
    if not plate.exists():
        pytest.skip("the shared plate is not here")
    assert main(["inspect", str(plate), "--view", str(tmp_path / "v.html")]) == 0
    text = (tmp_path / "v.html").read_text()
    assert "Wells" in text
    assert "<script" not in text
    assert "a view of one of them is made by naming it" in capsys.readouterr().out


def test_the_same_image_gives_the_same_page(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        made.append(tmp_path / f"{number}.html")
        assert main(["inspect", str(TEST_DATA / "cells_tczyx.ome.zarr"), "--view", str(made[-1])]) == 0
    assert made[0].read_bytes() == made[1].read_bytes()
