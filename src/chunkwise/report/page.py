"""Pages to read: sections of facts, tables and pictures, as one HTML file.

Galaxy shows HTML through a sanitiser that strips scripts, styles, ``data:`` links and several tags but
keeps their text. The page therefore says everything with headings, lists and tables, has no script, and
brings its style as a link (whose removal leaves no text behind). Pictures that lie beside the page survive
there; embedded ones are for a single file to send to somebody.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.report.pictures import enlarge, png_bytes
from chunkwise.storage.outputs import check_output_file, write_atomically

__all__ = ["Page", "Picture", "Section", "Table", "write_page"]


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    name: str
    """Of its file, without ``.png``; other letters than plain ones become ``-``."""
    data: np.ndarray[Any, Any]
    """uint8, shape (y, x) or (y, x, 3); tiny ones are enlarged."""
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column holds the headings of its rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    heading: str
    text: Sequence[str] = ()
    """Paragraphs."""
    facts: Sequence[tuple[str, object]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Page:
    """A page; ``title`` is its main heading, ``kind`` says above it what kind of page it is."""

    title: str
    kind: str
    text: Sequence[str]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    """What nobody may overlook; they stand before the sections."""


def write_page(page: Page, path: Path | str, pictures: Path | str | None = None) -> None:
    """Write a page, and its pictures as files beside it or inside it.

    Parameters
    ----------
    page : Page
        What it says.
    path : Path or str
        The HTML file.
    pictures : Path or str, optional
        Folder for the pictures, made if need be; the page refers to them relative to itself. Without it they
        are embedded.

    Raises
    ------
    InputError
        If a file exists already, or a folder cannot be made.
    """
    import jinja2

    path = check_output_file(path)
    folder = None if pictures is None else Path(pictures)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None
    sources: dict[str, str] = {}
    for section in page.sections:
        for picture in section.pictures:
            sources[picture.name] = _place(picture, path, folder)
    here = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = base64.b64encode((here / "page.css").read_bytes()).decode()
    text = environment.get_template("page.html.j2").render(page=page, sources=sources, style=style)
    write_atomically(path, text.encode())


def _place(picture: Picture, page: Path, folder: Path | None) -> str:
    """Write a picture, or turn it into a ``data:`` link, and return what the page says as its source."""
    content = png_bytes(enlarge(picture.data))
    if folder is None:
        return "data:image/png;base64," + base64.b64encode(content).decode()
    file = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "-", picture.name).strip("-.") + ".png")
    write_atomically(file, content)
    return Path(os.path.relpath(file.resolve(), page.parent.resolve())).as_posix()
