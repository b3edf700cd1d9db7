"""Pages: what they say survives, pictures beside or inside them, nothing unescaped."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from lxml import html

from chunkwise.errors import InputError
from chunkwise.report.page import Page, Picture, Section, Table, write_page

PICTURE = Picture("channel 0/DAPI <x>", np.zeros((4, 4), np.uint8), "DAPI <script>alert(1)</script>", "level 0")
PAGE = Page(
    "nuclei & more",
    "Chunkwise inspection",
    ["An image."],
    [Section("Axes", ["Text."], [("Size", 4)], [Table(["Axis", "Size"], [("y", 4)], "Caption.")], [PICTURE])],
)


def test_pictures_inside(tmp_path: Path) -> None:
    write_page(PAGE, tmp_path / "page.html")
    tree = html.fromstring((tmp_path / "page.html").read_bytes())
    assert tree.xpath("string(//h1)") == "nuclei & more"
    assert tree.xpath("//h2/text()") == ["Axes"]
    assert tree.xpath("//img/@src")[0].startswith("data:image/png;base64,")
    assert tree.xpath("//img/@alt") == ["DAPI <script>alert(1)</script>"]
    assert [cell.text for cell in tree.xpath("//tbody//td")] == ["4", "4"]
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]


def test_pictures_beside(tmp_path: Path) -> None:
    write_page(PAGE, tmp_path / "page.html", tmp_path / "pictures")
    text = (tmp_path / "page.html").read_text()
    source = html.fromstring(text).xpath("//img/@src")[0]
    assert source == "pictures/channel-0-DAPI-x.png"
    assert (tmp_path / source).read_bytes().startswith(b"\x89PNG")
    (tmp_path / "flat").mkdir()
    write_page(PAGE, tmp_path / "flat" / "page.html", tmp_path / "flat")
    assert 'src="channel-0-DAPI-x.png"' in (tmp_path / "flat" / "page.html").read_text()


def test_what_a_sanitiser_would_leave_as_stray_text_is_not_there(tmp_path: Path) -> None:
    write_page(PAGE, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert not re.search(r"<(script|style)\b", text)
    assert "http://" not in text
    assert "https://" not in text
    assert 'rel="stylesheet" href="data:text/css;base64,' in text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_page(PAGE, tmp_path / "page.html")
    with pytest.raises(InputError, match="exists already"):
        write_page(PAGE, tmp_path / "page.html")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made"):
        write_page(PAGE, tmp_path / "other.html", tmp_path / "file")
    assert not (tmp_path / "other.html").exists()
