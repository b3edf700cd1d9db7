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
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.report.pictures import enlarge, picture_bytes, png_bytes
from chunkwise.storage.outputs import check_output_file, write_atomically

if TYPE_CHECKING:
    import jinja2

__all__ = ["TEMPLATES", "Drawing", "Page", "Picture", "Section", "Table", "templates", "write_page"]

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    name: str
    """Of its file, without ``.png``; other letters than plain ones become ``-``."""
    data: np.ndarray[Any, Any]
    """uint8, shape (y, x) or (y, x, 3); tiny ones are enlarged."""
    title: str
    caption: str = ""
    wide: bool = False
    """Whether it has the page's width for itself."""
    most: int = 2**62
    """Bytes that it may take inside a page; a larger one loses what nobody sees (JPEG)."""


@dataclass(frozen=True)
class Drawing:
    """A drawing as SVG, with its caption; who makes it escapes what is not its own."""

    svg: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column holds the headings of its rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    folded: bool = False
    """Whether only its caption is shown until somebody opens it."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    heading: str
    text: Sequence[str] = ()
    """Paragraphs."""
    facts: Sequence[tuple[str, object]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    drawings: Sequence[Drawing] = ()


@dataclass(frozen=True)
class Page:
    """A page; ``title`` is its main heading, ``kind`` says above it what kind of page it is."""

    title: str
    kind: str
    text: Sequence[str]
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    """What nobody may overlook; they stand before the sections."""
    footer: str = "Made by chunkwise. The image was read in place; nothing was copied or changed."


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
    style = base64.b64encode((TEMPLATES / "page.css").read_bytes()).decode()
    text = templates().get_template("page.html.j2").render(page=page, sources=sources, style=style)
    write_atomically(path, text.encode())


def templates(*folders: Path) -> jinja2.Environment:
    """The templates of pages, and more of other folders; whatever they are given is escaped."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _place(picture: Picture, page: Path, folder: Path | None) -> str:
    """Write a picture, or turn it into a ``data:`` link, and return what the page says as its source."""
    if folder is None:
        kind, content = picture_bytes(enlarge(picture.data), picture.most)
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"
    content = png_bytes(enlarge(picture.data))
    file = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "-", picture.name).strip("-.") + ".png")
    write_atomically(file, content)
    return Path(os.path.relpath(file.resolve(), page.parent.resolve())).as_posix()
