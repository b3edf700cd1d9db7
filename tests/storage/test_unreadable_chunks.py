"""What is there and cannot be read is an error that names the chunk; what is not there is the fill value."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import LZ4, Blosc

from chunkwise.errors import InputError, PolicyError
from chunkwise.storage import arrays
from chunkwise.storage.arrays import open_array
from chunkwise.storage.chunk_files import chunk_stats
from chunkwise.storage.location import Location

VOXELS = np.arange(1, 65, dtype="uint16").reshape(8, 8)
WHOLE = (slice(0, 8), slice(0, 8))


def _v3(path: Path) -> str:
    _fill(zarr.create_array(path, shape=(8, 8), chunks=(4, 4), dtype="uint16", fill_value=7))
    return "c/1/0"


def _sharded(path: Path) -> str:
    _fill(zarr.create_array(path, shape=(8, 8), chunks=(2, 2), shards=(4, 4), dtype="uint16", fill_value=7))
    return "c/1/0"


def _v2(path: Path) -> str:
    _fill(
        zarr.create_array(
            path, shape=(8, 8), chunks=(4, 4), dtype="uint16", fill_value=7, zarr_format=2, compressors=Blosc()
        )
    )
    return "1.0"


def _v2_folders(path: Path) -> str:
    key: Any = {"name": "v2", "separator": "/"}
    _fill(
        zarr.create_array(
            path,
            shape=(8, 8),
            chunks=(4, 4),
            dtype=">u2",
            fill_value=7,
            zarr_format=2,
            chunk_key_encoding=key,
            compressors=None,
        )
    )
    return "1/0"


def _v2_lz4(path: Path) -> str:
    """One that zarr-python reads, because tensorstore does not know its codec."""
    key: Any = {"name": "v2", "separator": "/"}
    _fill(
        zarr.create_array(
            path,
            shape=(8, 8),
            chunks=(4, 4),
            dtype="uint16",
            fill_value=7,
            zarr_format=2,
            chunk_key_encoding=key,
            compressors=LZ4(),
        )
    )
    return "1/0"


def _fill(array: Any) -> None:
    array[...] = VOXELS


KINDS = [_v3, _sharded, _v2, _v2_folders, _v2_lz4]


def _socket(chunk: Path) -> None:
    here = os.getcwd()
    os.chdir(chunk.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(chunk.name)
    finally:
        os.chdir(here)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "dangling link": (lambda chunk: chunk.symlink_to("../.git/annex/objects/xy"), "where there is nothing"),
    "loop": (lambda chunk: chunk.symlink_to(chunk.name), "symbolic links"),
    "folder": (lambda chunk: chunk.mkdir(), "a folder"),
    "link to a folder": (lambda chunk: chunk.symlink_to("/"), "a folder"),
    "pipe": (lambda chunk: os.mkfifo(chunk), "a pipe"),
    "link to a device": (lambda chunk: chunk.symlink_to("/dev/full"), "a device"),
    "endless device": (lambda chunk: chunk.symlink_to("/dev/zero"), "a device"),
    "socket": (_socket, "a socket"),
}


@pytest.mark.parametrize("site", [False, True], ids=["shell", "site"])
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("make", KINDS)
def test_what_is_there_and_is_no_plain_file(tmp_path: Path, make: Callable[[Path], str], bad: str, site: bool) -> None:
    key = make(tmp_path / "a")
    (tmp_path / "a" / key).unlink()
    put, said = BAD[bad]
    put(tmp_path / "a" / key)
    reader = open_array(_location(tmp_path / "a", site))
    with pytest.raises((InputError, PolicyError), match=f"chunk {tmp_path}/a/{key} ") as error:
        reader.read(WHOLE)
    assert said in str(error.value) or site
    np.testing.assert_array_equal(reader.read((slice(0, 4), slice(0, 8))), VOXELS[:4])  # the others are as they were


def _location(path: Path, site: bool = False) -> Location:
    return Location(str(path), "images", str(path.parent), str(path.parent)) if site else Location(str(path))


@pytest.mark.parametrize("make", KINDS)
def test_what_is_not_there_is_the_fill_value(tmp_path: Path, make: Callable[[Path], str]) -> None:
    key = make(tmp_path / "a")
    (tmp_path / "a" / key).unlink()
    expected = VOXELS.copy()
    expected[4:, :4] = 7
    np.testing.assert_array_equal(open_array(_location(tmp_path / "a")).read(WHOLE), expected)


@pytest.mark.parametrize("make", KINDS)
def test_any_chunks_may_be_absent(tmp_path: Path, make: Callable[[Path], str]) -> None:
    make(tmp_path / "a")
    chunks = {
        path: VOXELS[_part(path)]
        for path in (tmp_path / "a").rglob("*")
        if path.name[-1].isdecimal() and path.is_file()
    }
    away = {path: path.rename(tmp_path / f"{number}") for number, path in enumerate(chunks)}
    for choice in range(2 ** len(chunks)):
        expected = np.full_like(VOXELS, 7)
        there = [path for number, path in enumerate(chunks) if choice >> number & 1]
        for path in there:
            path.hardlink_to(away[path])
            expected[_part(path)] = chunks[path]
        np.testing.assert_array_equal(open_array(_location(tmp_path / "a")).read(WHOLE), expected)
        for path in there:
            path.unlink()


def _part(path: Path) -> tuple[slice, slice]:
    text = f"{path.parent.name}.{path.name}".split(".")
    first, second = int(text[-2]) * 4, int(text[-1]) * 4
    return slice(first, first + 4), slice(second, second + 4)


@pytest.mark.parametrize("make", [_v3, _v2_folders, _v2_lz4])
def test_a_folder_of_chunks_that_cannot_be_looked_into(tmp_path: Path, make: Callable[[Path], str]) -> None:
    key = make(tmp_path / "a")
    folder = (tmp_path / "a" / key).parent
    away = tmp_path / "away"
    folder.rename(away)
    reader = open_array(_location(tmp_path / "a"))
    expected = VOXELS.copy()
    expected[4:] = 7
    np.testing.assert_array_equal(reader.read(WHOLE), expected)
    folder.write_text("a file")
    with pytest.raises(InputError, match=f"chunk {tmp_path}/a/{key} cannot be read: there is a file where"):
        reader.read(WHOLE)
    folder.unlink()
    folder.symlink_to("nowhere")
    with pytest.raises(InputError, match=f"chunk {tmp_path}/a/{key} cannot be read: the symbolic link {folder} leads"):
        reader.read(WHOLE)
    folder.unlink()
    folder.symlink_to(away)
    np.testing.assert_array_equal(reader.read(WHOLE), VOXELS)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("what", ["chunk", "folder"])
def test_what_may_not_be_read(make: Callable[[Path], str], what: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        key = make(folder / "a")
        chunk = folder / "a" / key
        if what == "folder" and chunk.parent == folder / "a":
            pytest.skip("the array's own folder")
        locked = chunk if what == "chunk" else chunk.parent
        locked.chmod(0)
        try:
            said = _as_nobody(
                "from chunkwise.storage.location import Location\n"
                f"open_array(Location({str(folder / 'a')!r})).read((slice(0, 8), slice(0, 8)))\n"
            )
        finally:
            locked.chmod(0o755)
    assert f"{folder}/a/{key}" in said
    assert "ermission" in said
    assert "/proc/self" not in said


def _as_nobody(code: str) -> str:
    """Run Python without the rights of root, for whom nothing is locked, and return the error that it ends with."""
    # Python itself may lie where others cannot look; so all is imported before.
    caught = "import os\nimport numcodecs.lz4, numpy, tensorstore, zarr\nimport chunkwise.storage.zarr_store\n"
    caught += "from chunkwise.storage.arrays import open_array\nfrom chunkwise.errors import InputError\n"
    caught += "if os.getuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\ntry:\n"
    caught += "".join(f"    {line}\n" for line in code.splitlines())
    caught += "except InputError as error:\n    print(error)\nelse:\n    print('voxels')\n"
    done = subprocess.run([sys.executable, "-c", caught], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_files_of_chunks_are(tmp_path: Path) -> None:
    for make in KINDS:
        folder = tmp_path / make.__name__
        key = make(folder)
        (folder / key).unlink()
        reader = open_array(_location(folder))
        keys = [reader.key((y, x)) for y in range(2) for x in range(2)]
        seen = {key: status and status.st_ino for key, status in chunk_stats(_location(folder), keys)}
        assert len(seen) == 4
        assert seen[key] is None
        assert all(number == (folder / other).stat().st_ino for other, number in seen.items() if number is not None)


@pytest.mark.parametrize("make", KINDS)
def test_boxes_of_more_chunks_than_files_may_be_open(
    tmp_path: Path, make: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "a")
    monkeypatch.setattr(arrays, "AT_ONCE", 2)
    for box in (WHOLE, (slice(1, 7), slice(3, 8)), (slice(3, 5), slice(5, 6)), (slice(0, 8), slice(7, 8))):
        np.testing.assert_array_equal(open_array(_location(tmp_path / "a")).read(box), VOXELS[box])


@pytest.mark.parametrize("make", KINDS)
def test_a_huge_chunk_is_refused_unread(tmp_path: Path, make: Callable[[Path], str]) -> None:
    key = make(tmp_path / "a")
    with open(tmp_path / "a" / key, "r+b") as file:
        file.truncate(20 * 2**30)  # takes no room
    with pytest.raises(InputError, match=f"chunk {tmp_path}/a/{key} has 21474836480 bytes"):
        open_array(_location(tmp_path / "a")).read(WHOLE)
