"""TIFFs that lie, are cut, or are broken at random: equal values or one sentence, and nothing under the final name."""

from __future__ import annotations

import json
import logging
import random
import re
import struct
import subprocess
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import made_stores
from chunkwise.cli import main
from chunkwise.cluster.resources import Resources
from chunkwise.errors import ChunkwiseError, ResumableError
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.running.fitting import check_chunks
from chunkwise.storage.foreign import foreign_store, format_of
from foreign_files import full, noise, opened, voxels


def _patch(path: Path, at: int, content: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)


def _set(path: Path, tag: int, value: int, kind: str = "I", *, count: bool = False) -> None:
    """Overwrite the value of a tag of the first page, or how many values it says it has."""
    with tifffile.TiffFile(path) as file:
        entry, order = file.pages.first.tags[tag], file.byteorder
    _patch(path, entry.offset + 4 if count else entry.valueoffset, struct.pack(order + kind, value))


def _tiles(path: Path) -> None:
    tifffile.imwrite(path, noise((64, 64), "uint16"), tile=(16, 16), compression="zlib")


def _planes(path: Path, **how: Any) -> None:
    tifffile.imwrite(path, noise((4, 64, 64), "uint16"), photometric="minisblack", metadata={"axes": "ZYX"}, **how)


def _cut(path: Path) -> None:
    _tiles(path)
    path.write_bytes(path.read_bytes()[:4000])


def _no_first_page(path: Path) -> None:
    _tiles(path)
    _patch(path, 4, struct.pack("<I", 10**8))


def _page_in_the_header(path: Path) -> None:
    _tiles(path)
    _patch(path, 4, struct.pack("<I", 9))


def _tags(*changes: tuple[Any, ...], make: Callable[[Path], None] = _tiles, **how: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        make(path)
        for change in changes:
            _set(path, *change, **how)

    return damage


def _strips(path: Path) -> None:
    tifffile.imwrite(path, noise((64, 64), "uint16"), rowsperstrip=16, compression="zlib")


def _plain(path: Path) -> None:
    tifffile.imwrite(path, noise((64, 64), "uint16"))


def _page_of_other_bytes(path: Path) -> None:
    _planes(path, compression="zlib")
    with tifffile.TiffFile(path) as file:
        at = file.pages[2].dataoffsets[0]
    _patch(path, at, b"\xff" * 64)


def _says(old: bytes, new: bytes, **how: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        _planes(path, **how)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))

    return damage


def _complex(path: Path) -> None:
    tifffile.imwrite(path, np.ones((64, 64), np.complex64))


WIDTH, LENGTH, COMPRESSION, OFFSETS, COUNTS, TILE_WIDTH = 256, 257, 259, 324, 325, 322

DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (_cut, "broken off"),
    "first page beyond the end": (_no_first_page, "holds no image"),
    "first page inside the header": (_page_in_the_header, "holds no image"),
    "a tile beyond the end": (_tags((OFFSETS, 2**31)), "broken off"),
    "a tile longer than the file": (_tags((COUNTS, 2**32 - 1)), "broken off"),
    "10^12 voxels in tiles": (_tags((WIDTH, 10**6), (LENGTH, 10**6)), "lists 16 tiles, and its size takes 3906250000"),
    "10^12 voxels in strips": (
        _tags((WIDTH, 10**6), (LENGTH, 10**6), make=_strips),
        "lists 4 strips, and its size takes 62500",
    ),
    "10^12 voxels, plain": (
        _tags((WIDTH, 10**6), (LENGTH, 10**6), (278, 10**6), make=_plain),
        "needs 2000000000.* and has",
    ),
    "too few tiles": (_tags((OFFSETS, 3), count=True), "lists 3 tiles, and its size takes 16"),
    "a count of tiles that is forged": (_tags((OFFSETS, 2**32 - 1), count=True), "lists 0 tiles"),
    "planes without width": (_tags((WIDTH, 0)), "holds no image|cannot be read"),
    "tiles of 60000": (_tags((TILE_WIDTH, 60000)), "cannot be read|lists 16 tiles"),
    "tiles of no width": (_tags((TILE_WIDTH, 0)), "cannot be read"),
    "a compression that nobody knows": (_tags((COMPRESSION, 12345, "H")), r"compressed with 12345 .*not read here"),
    "not JPEG 2000": (_tags((COMPRESSION, 34712, "H")), "cannot be read at|is not read here"),
    "not JPEG XR": (_tags((COMPRESSION, 22610, "H")), "cannot be read at|is not read here"),
    "not WebP": (_tags((COMPRESSION, 50001, "H")), "cannot be read at|is not read here"),
    "not LZMA": (_tags((COMPRESSION, 34925, "H")), "cannot be read at|is not read here"),
    "a page that does not decode": (_page_of_other_bytes, "cannot be read at z 0:4"),
    "complex numbers": (_complex, "of the type complex64"),
    "more planes than there are": (_says(b"[4, 64, 64]", b"[9, 64, 64]"), "cannot be read"),
    "ImageJ says more planes": (
        _says(b"images=4\nslices=4", b"images=9\nslices=9", imagej=True),
        "does not say what the 4 planes",
    ),
    "OME-XML says more planes": (_says(b'SizeZ="4"', b'SizeZ="7"', ome=True), "3 of them are not there"),
    "OME-XML says other planes": (_says(b'SizeX="64"', b'SizeX="99"', ome=True), "does not say what the 4 planes"),
    "OME-XML of no order": (_says(b'"XYCZT"', b'"QQQQQ"', ome=True), "cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_named_and_leaves_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damage, words = DAMAGED[name]
    path, output = tmp_path / ("a.ome.tif" if "OME" in name else "a.tif"), tmp_path / "o.ome.zarr"
    damage(path)
    assert main(["convert", str(path), "--output", str(output), "--workers", "1"]) in (2, 4)
    said = [line for line in capsys.readouterr().err.splitlines() if "Traceback" in line or "error: " in line]
    assert len(said) == 1, said
    assert path.name in said[0]
    assert re.search(words, said[0]), said[0]
    assert not output.exists()


def test_a_full_disk(tmp_path: Path, make_disk: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Said, resumable, and in the end the same bytes."""
    tifffile.imwrite(tmp_path / "a.tif", noise((1024, 1024), "uint16"), tile=(64, 64))
    words = ["convert", str(tmp_path / "a.tif"), "--shard", "128,128", "--workers", "1", "--check", "no"]
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    disk = make_disk("1500k")
    command = [*words, "--output", str(disk / "o.ome.zarr")]
    capsys.readouterr()
    assert main(command) == ResumableError.exit_code
    said = capsys.readouterr().err
    assert "no space left to write" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not (disk / "o.ome.zarr").exists()
    subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
    assert main(command) == 0
    assert "were already done" in capsys.readouterr().err
    assert made_stores.digest(disk / "o.ome.zarr") == made_stores.digest(tmp_path / "whole.ome.zarr")


KINDS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (16, 16), "compression": "zlib", "photometric": "minisblack"},
    "strips": {"rowsperstrip": 16, "byteorder": ">", "photometric": "minisblack"},
    "big": {"bigtiff": True, "tile": (16, 16), "compression": "lzw", "photometric": "minisblack"},
    "ome": {"ome": True, "photometric": "minisblack"},
    "imagej": {"imagej": True},
}

#: Broken files of each kind, and bytes that reading one of them may take: one is 12 KiB.
CASES, MEMORY = 40, 32 * 2**20


def _broken(kind: str, path: Path) -> Iterator[bytes]:
    """Cut the file, or change bytes of its header, its lists of tags or its descriptions; always in the same way."""
    tifffile.imwrite(path, noise((3, 48, 40), "uint16"), metadata={"axes": "ZYX"}, **KINDS[kind])
    whole, chance = path.read_bytes(), random.Random(kind)
    with tifffile.TiffFile(path) as file:
        spans = [zip(page.dataoffsets, page.databytecounts, strict=True) for page in file.pages]
        pixels = {at for span in spans for start, count in span for at in range(start, start + count)}
    places = [at for at in range(len(whole)) if at not in pixels]
    for _ in range(CASES):
        content = bytearray(whole)
        if chance.random() < 0.15:
            del content[chance.randrange(4, len(content)) :]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            at = chance.choice(places)
            if 4 <= at < len(content):  # it says that it is a TIFF
                content[at] = chance.choice((0, 1, 2, 255, chance.randrange(256)))
        yield bytes(content)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what tifffile logs and warns of; and with memory counted."""
    logger = logging.getLogger("tifffile")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tracemalloc.stop()
        logger.setLevel(before)


def _outcome(path: Path, read: Callable[..., Any]) -> str:
    """What becomes of a file: ``equal``, ``said``, or a fault in words."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        image = opened(path)
        foreign_store(image.location).check()
        check_chunks(select(image, 0, EVERY), Resources(1, MEMORY // 2))
        found = read(image)
    except ChunkwiseError as error:
        found, outcome = None, "said"
        if "\n" in str(error) or "llocate" in str(error):
            outcome = f"no sentence for people: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if tracemalloc.get_traced_memory()[1] - before > MEMORY:
        return f"it took {(tracemalloc.get_traced_memory()[1] - before) >> 20} MiB"
    if found is None:
        return outcome
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        expected = full(series.asarray(), series.axes.lower())
    return "equal" if np.array_equal(found, expected) else f"other values: {found.shape}, {expected.shape}"


def fuzz(folder: Path, kind: str, read: Callable[..., Any] = voxels, cases: int = CASES) -> Counter[str]:
    path = folder / ("a.ome.tif" if kind == "ome" else "a.tif")
    outcomes: Counter[str] = Counter()
    with _quiet():
        for content in islice(_broken(kind, path), cases):
            path.write_bytes(content)
            assert format_of(str(path)) is not None
            outcomes[_outcome(path, read)] += 1
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_files_broken_at_random_are_equal_or_said(tmp_path: Path, kind: str) -> None:
    outcomes = fuzz(tmp_path, kind)
    print(json.dumps({kind: outcomes}))
    assert set(outcomes) <= {"equal", "said"}
    assert min(outcomes["equal"], outcomes["said"]) > CASES // 10


def test_mutant_the_fuzz_sees_other_values_and_tracebacks(tmp_path: Path) -> None:
    def other(image: Any) -> Any:
        found = voxels(image)
        found.flat[-1] += 1
        return found

    def failing(image: Any) -> Any:
        raise ValueError("no")

    def large(image: Any) -> Any:
        return voxels(image) + 0 * np.ones(2 * MEMORY, np.uint8)[:1]

    for read, words in ((other, "other values"), (failing, "ValueError"), (large, "it took")):
        assert any(outcome.startswith(words) for outcome in fuzz(tmp_path, "imagej", read, 12))
