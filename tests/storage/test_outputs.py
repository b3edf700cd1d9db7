from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chunkwise.errors import InputError
from chunkwise.storage.outputs import check_output_file, write_atomically


def test_a_new_file_has_the_usual_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "out.zip", b"content")
    assert (tmp_path / "out.zip").read_bytes() == b"content"
    assert stat.S_IMODE(os.stat(tmp_path / "out.zip").st_mode) == stat.S_IMODE(os.stat(plain).st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zip", "plain"]


def test_an_empty_file_may_be_replaced_and_a_full_one_not(tmp_path: Path) -> None:
    out = tmp_path / "out.zip"
    out.touch()
    write_atomically(out, b"first")
    with pytest.raises(InputError, match="exists already"):
        write_atomically(out, b"second")
    assert out.read_bytes() == b"first"


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check_output_file(tmp_path / "absent" / "out.zip")
    with pytest.raises(InputError, match="is a folder"):
        check_output_file(tmp_path)


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full: the write starts and then fails."""
    program = (
        "import resource, sys; from chunkwise.storage.outputs import write_atomically\n"
        "from chunkwise.errors import ChunkwiseError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(sys.argv[1], b'x' * 5000)\n"
        "except ChunkwiseError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "out.zip"], capture_output=True, text=True, check=True
    )
    assert "could not be written: File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/full")
    for path in (pipe, link):
        with pytest.raises(InputError, match="no plain file but a device"):
            write_atomically(path, b"text")
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)
    assert link.is_symlink()
