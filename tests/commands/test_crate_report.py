"""``chunkwise crate report``: a page with pictures of what can be found, and of nothing else."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.provenance.chain import in_order
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.crate import build_crate
from chunkwise.provenance.publishing.record import publish
from made_stores import multiscale, write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an image, its labels with an overlay, and their crate."""
    folder, before = tmp_path_factory.mktemp("made"), os.getcwd()
    os.chdir(folder)
    image = write(folder / "image.ome.zarr", "0.5", "yx", (96, 80), "uint16", multiscale("yx", 1))
    zarr.open_array(image / "0", mode="r+")[...] = np.add.outer(np.arange(96) % 32, np.arange(80) % 40).astype("u2")
    words = ["segment", "image.ome.zarr", "--output", "labels.ome.zarr", "--overlay", "overlay.png", "--workers", "1"]
    assert main([*words, "--min-size", "3", "--crate", "crate.zip", "--reference", "labels.json"]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def pictures(page: Path) -> int:
    return page.read_text().count("data:image/png;base64,")


@pytest.mark.parametrize("source", ["crate.zip", "labels.json"])
def test_the_page_shows_what_was_read_and_written(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    page = tmp_path / "report.html"
    assert main(["crate", "report", source, "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}: 1 run, 3 pictures of the data\n"
    text = page.read_text()
    assert "Run of chunkwise: segment" in text
    assert pictures(page) == 3
    for words in ("labels.ome.zarr", "as the run wrote it", "Step 1: segment", "<svg"):
        assert words in text
    rows = re.findall(r'<th scope="row">(\w+)</th>', text)
    assert rows.index("min_size") < rows.index("sigma"), "what was chosen comes first"
    assert rows.index("min_size") < text.count("<th")


def test_what_lies_elsewhere_is_not_opened(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["crate", "report", str(here / "crate.zip"), "--html", "report.html"]) == 0
    printed = capsys.readouterr()
    assert "0 pictures" in printed.out
    assert printed.err.count("note: no picture of") == 3
    assert "is outside the working directory" in printed.err
    assert pictures(tmp_path / "report.html") == 0


def test_a_picture_that_is_another_now_is_not_shown(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = here / "overlay.png"
    before = overlay.read_bytes()
    try:
        overlay.write_bytes(before + b"x")
        assert main(["crate", "report", "crate.zip", "--html", str(tmp_path / "report.html")]) == 0
    finally:
        overlay.write_bytes(before)
    assert "is not the picture that was written" in capsys.readouterr().err
    assert pictures(tmp_path / "report.html") == 2


def test_a_published_crate_has_no_pictures_and_names_no_place(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, _ = publish(in_order(read_records("crate.zip")))
    build_crate(records, tmp_path / "published.zip")
    assert main(["crate", "report", str(tmp_path / "published.zip"), "--html", str(tmp_path / "report.html")]) == 0
    assert "does not say where it is" in capsys.readouterr().err
    text = (tmp_path / "report.html").read_text()
    assert "labels-1.ome.zarr" in text
    assert str(here) not in text


def test_a_failed_run_is_told(here: Path, tmp_path: Path) -> None:
    (record,) = read_records("crate.zip")
    build_crate([replace(record, status="failed", outputs=(), error="The disk was full.")], tmp_path / "failed.zip")
    assert main(["crate", "report", str(tmp_path / "failed.zip"), "--html", str(tmp_path / "report.html")]) == 0
    assert "The disk was full." in (tmp_path / "report.html").read_text()


def test_bad_input_gets_a_sentence(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.json").write_text("{")
    with zipfile.ZipFile(here / "crate.zip") as archive, zipfile.ZipFile(tmp_path / "edited.zip", "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name).replace(b'"sigma": 1.0', b'"sigma": 2.0'))
    page = tmp_path / "report.html"
    for name in ("absent.zip", "broken.json", "edited.zip"):
        assert main(["crate", "report", str(tmp_path / name), "--html", str(page)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not page.exists()
    page.write_text("mine")
    assert main(["crate", "report", "crate.zip", "--html", str(page)]) == 2
    assert page.read_text() == "mine"
