from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import made_stores
from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.storage.outputs import check_output_file, new_file, write_atomically
from verifying import fill


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
        with pytest.raises(InputError, match="not a regular file but a device"):
            write_atomically(path, b"text")
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)
    assert link.is_symlink()


def killed(path: Path) -> Path:
    """Be killed while a file is written, as the system kills a process that takes too much memory."""
    program = (
        "import os, signal, sys; from chunkwise.storage.outputs import new_file\n"
        "with new_file(sys.argv[1]) as temporary:\n"
        "    open(temporary, 'w').write('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = set(path.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    (left,) = set(path.parent.iterdir()) - before
    assert left.read_text() == "half"
    return left


def test_what_a_killed_process_left_of_a_file_is_swept_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    left, others = killed(out), killed(tmp_path / "out.tsv.gz")
    mine = [tmp_path / ".out.tsv.part", tmp_path / ".out.tsv.notes.part", tmp_path / ".out.tsv.abcdefgh.part.txt"]
    for path in mine:
        path.write_text("mine")
    (tmp_path / ".out.tsv.12345678.part").symlink_to(mine[0])
    with new_file(out) as at_work:
        write_atomically(out, b"x")
        assert Path(at_work).exists()
        assert not left.exists()
        out.unlink()
    assert others.exists()
    assert all(path.exists() for path in mine)
    assert (tmp_path / ".out.tsv.12345678.part").is_symlink()


COMMANDS = [
    ["measure", "--labels", "l.ome.zarr", "--workers", "1", "--output", "out.tsv"],
    ["measure", "--labels", "l.ome.zarr", "--workers", "1", "--output", "out.parquet"],
    ["fetch", "l.ome.zarr", "--workers", "1", "--output", "out.ome.tif"],
    ["compare", "l.ome.zarr", "l.ome.zarr", "--workers", "1", "--output", "more.json", "--table", "out.tsv"],
    ["inspect", "l.ome.zarr", "--html", "out.html"],
    ["open", "l.ome.zarr", "--output", "out.json"],
    ["verify", "l.ome.zarr", "--against", "l.zip", "--json", "out.json"],
    ["crate", "build", "--from", "l.zip", "--output", "out.zip"],
    ["crate", "report", "l.zip", "--html", "out.html"],
    ["segment", "l.ome.zarr", "--sigma", "0", "--workers", "1", "--output", "o.ome.zarr", "--overlay", "out.png"],
]


def test_every_command_sweeps_what_it_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (64, 64)))
    words = ["segment", "i.ome.zarr", "--sigma", "0", "--workers", "1", "--output", "l.ome.zarr", "--crate", "l.zip"]
    assert main(words) == 0
    for command in COMMANDS:
        left = killed(tmp_path / command[-1])
        assert main(command) == 0, command
        assert not left.exists(), command
        (tmp_path / command[-1]).unlink()
