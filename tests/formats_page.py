"""The tables of docs/formats.md, from what a run found; ``.venv/bin/python tests/formats_page.py`` writes them."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import skimage
import tifffile
from PIL import Image as Picture

from chunkwise.errors import InputError
from chunkwise.ngff.model import Image
from chunkwise.storage.foreign import FORMATS, foreign_store
from foreign_files import full, made_czi, noise, ome_set, opened, voxels

__all__ = ["PAGE", "SHARED", "File", "Row", "fresh", "made_files", "page", "real_files", "rows"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "formats.md"
BEGIN, END = "<!-- formats: written by tests/formats_page.py -->", "<!-- end of formats -->"
SHARED = ROOT.parent / "shared" / "data"
REAL = ROOT / "tests" / "formats" / "real"
READERS = {
    "tiff": "tifffile",
    "picture": "Pillow",
    "ome_set": "tifffile, each file",
    "folder": "tifffile, each file",
    "czi": "pylibCZIrw (an extra)",
}


@dataclass
class File:
    """A file, or one of several that belong together, and what it holds by another reader."""

    format: str
    source: str
    path: Path
    whole: np.ndarray[Any, Any]
    axes: str
    """Of ``whole``: letters of ``tczyxs``, and ``-`` for an axis that means nothing."""
    said: dict[str, str] = field(default_factory=dict)


@dataclass
class Row:
    """What came of the files of one format."""

    reader: str = ""
    sources: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    types: set[str] = field(default_factory=set)
    asked: int = 0
    carried: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    @property
    def cells(self) -> list[str]:
        """Of the table."""
        sources = ", ".join(f"{name} ({count})" for name, count in sorted(self.sources.items()))
        asked = f"; {self.asked} had to be told their axes" if self.asked else ""
        lists = (sorted(one) for one in (self.types, self.carried, self.dropped))
        types, carried, dropped = ("; ".join(one) or "–" for one in lists)
        return [self.reader, f"{sources}{asked}", types.replace("; ", ", "), carried, dropped]


def _tiff(path: Path, source: str) -> File:
    """A real TIFF, as tifffile reads the whole of its first series."""
    with tifffile.TiffFile(path) as file:
        series, many = file.series[0], len(file.series) > 1
        page, axes = series.keyframe, series.axes.lower()
        kind = {"imagej": "ImageJ TIFF", "ome": "OME-TIFF", "lsm": "LSM"}.get(series.kind, "TIFF")
        kind = "BigTIFF" if file.is_bigtiff and kind == "TIFF" else kind
        kind += ", in tiles" if page.is_tiled else ""
    return File(kind, source, path, tifffile.imread(path, series=0), axes, {"series": "0"} if many else {})


def _picture(path: Path, source: str) -> File:
    with Picture.open(path) as picture:
        kind, array = picture.format or "", np.asarray(picture if picture.mode != "P" else picture.convert("RGB"))
    content = path.read_bytes()
    if kind == "PNG" and content[24] == 16 and content[25]:  # of several samples Pillow gives the first 8 bits
        array = imagecodecs.png_decode(content)
    return File(kind, source, path, array, "yxs" if array.ndim == 3 else "yx")


def real_files() -> Iterator[File]:
    """Files that other people's programs wrote: of scikit-image, of galaxy-data, and beside the checkout."""
    data = Path(skimage.__file__).parent / "data"
    for path in sorted({*data.glob("*.tif"), *REAL.glob("*.tif*")}):
        yield _tiff(path, "scikit-image" if path.parent == data else "galaxy-data")
    for path in sorted({*data.glob("*.png"), *data.glob("*.jpg")}):
        yield _picture(path, "scikit-image")
    folders = {
        "gia_cases": "galaxy-image-analysis",
        "iwc_nuclei": "a published workflow (IWC)",
        "mitocheck": "MitoCheck",
    }
    for folder, source in folders.items():
        for path in sorted((SHARED / folder).glob("**/*.tif*")):
            yield _tiff(path, source)
        for path in sorted((SHARED / folder).glob("**/*.png")):
            yield _picture(path, source)


def made_files(folder: Path) -> Iterator[File]:
    """Files that these tests make, of what no real file was at hand for."""
    array = noise((2, 3, 4, 40, 50), "uint16")
    tifffile.imwrite(folder / "big.tif", array[0, 0, 0], bigtiff=True)
    yield File("BigTIFF", "made by tifffile", folder / "big.tif", array[0, 0, 0], "yx")
    said = {"spacing": 0.5, "unit": "um", "finterval": 2.0, "axes": "TZCYX"}
    hyper = array.transpose(0, 2, 1, 3, 4)
    tifffile.imwrite(folder / "hyper.tif", hyper, imagej=True, resolution=(4, 4), metadata=said)
    yield File("ImageJ hyperstack", "made by tifffile", folder / "hyper.tif", hyper, "tzcyx")
    known = {"axes": "TCZYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 0.5, "TimeIncrement": 2.0}
    known |= {"Channel": {"Name": ["DAPI", "GFP", "RFP"], "Color": [65535, 16711935, -16776961]}}
    path = folder / "pyramid.ome.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(array, subifds=1, tile=(16, 16), photometric="minisblack", metadata=known)
        file.write(array[..., ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    yield File("OME-TIFF with a pyramid", "made by tifffile", path, array, "tczyx")
    files = ome_set(folder / "set", array)
    yield File("OME-TIFF in several files", "made by tifffile", files[1], array, "tczyx")
    files = ome_set(folder / "companion", array, companion=True)
    yield File("OME-TIFF with a companion file", "made by tifffile", files[0], array, "tczyx")
    yield File("Zeiss CZI", "made by pylibCZIrw", made_czi(folder / "mosaic.czi", array), array, "tczyx")
    (folder / "planes").mkdir()
    for place in np.ndindex(2, 3, 4):
        name = "t{}_c{}_z{}.tif".format(*place)
        tifffile.imwrite(folder / "planes" / name, array[place])
    pattern = {"pattern": "t{t}_c{c}_z{z}.tif"}
    yield File("Folder of TIFFs", "made by tifffile", folder / "planes", array, "tczyx", pattern)


def _remarks(image: Image) -> Iterator[str]:
    """What the reader says that it does not carry; that a size is not known is no loss."""
    for remark in foreign_store(image.location).remarks:
        text = remark.partition(": ")[2]
        if "does not say how large" not in remark and text:
            listed, is_list, _ = text.partition(": not carried into the result")
            yield from listed.split(", ") if is_list else [text.replace("; ", ", ")]


def _carried(image: Image) -> Iterator[str]:
    scale = {axis.type for axis in image.axes if axis.unit}
    if "space" in scale:
        yield "voxel size"
    if "time" in scale:
        yield "time step"
    if any(one.name != str(one.index) for one in image.channels):
        yield "names of channels"
    if any(one.color for one in image.channels):
        yield "colours"
    if foreign_store(image.location).attached:
        yield "the original metadata, word for word"


def rows(files: Iterator[File]) -> dict[str, Row]:
    """Read each file in boxes, hold it to the whole of the other reader, and collect what there is to say.

    Raises
    ------
    AssertionError
        If a voxel differs.
    """
    found: dict[str, Row] = defaultdict(Row)
    for file in files:
        row, said, axes = found[file.format], dict(file.said), file.axes
        try:
            image = opened(file.path, **said)
        except InputError as error:  # the file does not say what an axis is, and the sentence says how to say it
            example = re.search(r"--axes, such as (\w+)", str(error))
            if example is None:
                raise
            axes, row.asked = example.group(1), row.asked + 1
            image = opened(file.path, **said, axes=axes)
        kept = [n for n, axis in enumerate(axes) if axis in "tczyxs"]
        whole = file.whole.reshape([file.whole.shape[n] for n in kept])
        np.testing.assert_array_equal(voxels(image), full(whole, "".join(axes[n] for n in kept)), str(file.path))
        assert np.dtype(image.levels[0].dtype) == whole.dtype.newbyteorder("="), file.path
        foreign = image.location.foreign
        assert foreign is not None
        row.reader = READERS[foreign.reader]
        row.sources[file.source] += 1
        row.types.add(image.levels[0].dtype)
        row.carried |= set(_carried(image))
        row.dropped |= set(_remarks(image))
    return found


def page(real: dict[str, Row], made: dict[str, Row]) -> str:
    """The tables; a format is supported where a real file of it was read."""
    head = ["format", "reader", "files, and how many", "voxels", "carried", "not carried"]
    lines = ["### Supported: read from real files", ""]
    for rows_of, title in ((real, ""), (made, "### Read from made files only")):
        if title:
            lines += ["", title, "", "No file of another program was at hand, so these are not called supported.", ""]
        lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for name, row in sorted(rows_of.items()):
            lines.append(f"| {' | '.join([name, *row.cells])} |".replace("\n", " "))
    unread = sorted({one.name for one in FORMATS.values() if not one.reader})
    lines += [
        "",
        "### Not read",
        "",
        f"The error names the format, and a program that converts it: {', '.join(unread)}.",
    ]
    return "\n".join(lines)


def fresh() -> str:
    """The page as it would be written now."""
    warnings.simplefilter("ignore")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        text = page(rows(real_files()), rows(made_files(Path(folder))))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if not SHARED.is_dir():
        sys.exit(f"The real files are not at {SHARED}, and the page is written from all of them.")
    PAGE.write_text(fresh())
