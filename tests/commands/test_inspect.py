"""``chunkwise inspect``: the facts as JSON and as a page with pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import zarr
from lxml import html
from PIL import Image

from chunkwise.cli import main
from made_stores import multiscale, write

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real images in ../shared are not there")


@needs_data
def test_a_real_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = DATA / "omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr"
    outputs = [
        "--json",
        str(tmp_path / "s.json"),
        "--html",
        str(tmp_path / "r.html"),
        "--pictures",
        str(tmp_path / "p"),
    ]
    assert main(["inspect", str(store), *outputs]) == 0
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["kind"] == "image"
    assert summary["levels"][0]["bytes"] == 3 * 1080 * 1280 * 2
    on_disk = sum(os.stat(os.path.join(at, f)).st_size for at, _, files in os.walk(store / "1") for f in files)
    assert summary["levels"][0]["stored_bytes"] == on_disk
    assert summary["labels"] == [{"name": "nuclei", "shape": [1, 1080, 1280], "dtype": "uint32", "levels": 3}]
    assert {finding["severity"] for finding in summary["findings"]} == {"warning"}
    tree = html.fromstring((tmp_path / "r.html").read_bytes())
    text = tree.text_content()
    for word in ("DAPI", "nanog", "Lamin B1", "0.65 micrometer", "blosc (lz4)", "nuclei", "702 micrometer"):
        assert word in text
    for source in tree.xpath("//img/@src"):
        picture = np.asarray(Image.open(tmp_path / source))
        assert picture.std() > 10, f"{source} shows nothing"
    assert len(tree.xpath("//img")) == 5
    assert "c 3, z 1, y 1080, x 1280" in capsys.readouterr().out


@needs_data
@pytest.mark.parametrize(
    ("name", "words", "pictures"),
    [
        ("omezarr_hcs_metadata_only/hcs_example.ome.zarr", ["Wells", "B/03/0", "the value 0 everywhere"], 1),
        ("omezarr_galaxy_image_analysis/coins.ome.zarr", ["y 480, x 640", "(no unit)"], 1),
        ("omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr/labels/nuclei", ["Label image"], 1),
        ("omezarr_ngio_axes/test_image_tczyx.zarr", ["first time point", "second", "'seconds'"], 4),
    ],
)
def test_other_real_stores(tmp_path: Path, name: str, words: list[str], pictures: int) -> None:
    assert main(["inspect", str(DATA / name), "--html", str(tmp_path / "r.html")]) == 0
    tree = html.fromstring((tmp_path / "r.html").read_bytes())
    for word in words:
        assert word in tree.text_content()
    assert len(tree.xpath("//img")) == pictures


def test_a_collection_of_several(tmp_path: Path) -> None:
    top = zarr.open_group(tmp_path / "c.zarr", mode="w", zarr_format=3)
    top.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    write(tmp_path / "c.zarr" / "0")
    broken = write(tmp_path / "c.zarr" / "1")
    (broken / "1" / "zarr.json").unlink()
    outputs = ["--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "r.html")]
    assert main(["inspect", str(tmp_path / "c.zarr"), *outputs]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["series"] == ["0", "1"]
    tree = html.fromstring((tmp_path / "r.html").read_bytes())
    assert "names the level '1', but there is no array" in tree.text_content()
    assert len(tree.xpath("//img")) == 1


def test_level_0_is_not_read_where_a_smaller_one_is_enough(tmp_path: Path) -> None:
    store = write(tmp_path / "i.zarr", shape=(2048, 2048), entry=multiscale(levels=3))
    chunk = store / "0" / "c" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"not a chunk at all")
    assert main(["inspect", str(store), "--html", str(tmp_path / "r.html")]) == 0


def test_an_unreadable_chunk_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "i.zarr", entry=multiscale(levels=1))
    chunk = store / "0" / "c" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"not a chunk at all")
    outputs = ["--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "r.html")]
    assert main(["inspect", str(store), *outputs]) != 0
    said = capsys.readouterr().err
    assert "c/0/0" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "r.html").exists()
    assert not (tmp_path / "s.json").exists()


def test_a_damaged_label_does_not_hide_the_image(tmp_path: Path) -> None:
    store = write(tmp_path / "i.zarr")
    group = zarr.open_group(store / "labels", mode="w", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "labels": ["nuclei"]}
    group.create_group("nuclei")
    outputs = ["--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "r.html")]
    assert main(["inspect", str(store), *outputs]) == 0
    assert "not an OME-Zarr" in json.loads((tmp_path / "s.json").read_text())["labels"][0]["error"]
    assert "not an OME-Zarr" in (tmp_path / "r.html").read_text()


def test_pictures_need_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(write(tmp_path / "i.zarr")), "--pictures", str(tmp_path / "p")]) == 2
    assert "--html" in capsys.readouterr().err


def test_a_page_names_the_store_and_no_folder_of_the_server(tmp_path: Path) -> None:
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", (16, 16))
    page = tmp_path / "page.html"
    assert main(["inspect", str(store), "--html", str(page)]) == 0
    assert "Image i.ome.zarr: y 16, x 16" in page.read_text()
    assert str(tmp_path) not in page.read_text()
