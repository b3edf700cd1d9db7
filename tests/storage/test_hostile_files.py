"""Whatever is opened is a plain file of a bounded size: a pipe does not hang a job, and nothing endless is read.

Each case runs in a process of its own with little memory and little time, so that a hang or a gulp fails the test.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zarr
from numcodecs import LZ4

from chunkwise.blocks.journal import read_lines
from chunkwise.blocks.run import Run
from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.files import open_file, read_file
from chunkwise.provenance.attachments import check_crate, read_manifest
from chunkwise.provenance.biology import read_source_crate
from chunkwise.provenance.claims import read_statement
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.details import read_about
from chunkwise.provenance.galaxy.archive import open_archive
from chunkwise.provenance.validate import read_metadata
from chunkwise.storage import remote
from chunkwise.storage.arrays import open_array
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location
from chunkwise.storage.objects import object_status, read_objects
from chunkwise.storage.zipped import archive_of
from made_stores import write

GIB = 2**30


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(20 * GIB)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (_pipe, "a pipe"),
    "zeros": (_zeros, "a device"),
    "huge": (_huge, "has 2147"),
}


def run(*words: str, site: Path | None = None) -> tuple[int, str]:
    """Run a command; it has 8 GiB of addresses and a minute."""
    environment = os.environ | ({"CHUNKWISE_SITE": str(site)} if site is not None else {})
    done = subprocess.run(
        [sys.executable, "-m", "chunkwise.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, 8 * GIB)),
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [pytest.param("zarr.json", marks=pytest.mark.slow), "0/zarr.json"])
def test_metadata(tmp_path: Path, bad: str, place: str) -> None:
    image = write(tmp_path / "i.ome.zarr")
    (image / place).unlink()
    put, said = BAD[bad]
    put(image / place)
    code, words = run("inspect", str(image))
    assert code == 2
    assert said in words
    assert str(image / place) in words


@pytest.mark.parametrize("bad", BAD)
def test_the_site_file(tmp_path: Path, bad: str) -> None:
    put, said = BAD[bad]
    put(tmp_path / "site.toml")
    code, words = run("inspect", str(tmp_path), site=tmp_path / "site.toml")
    assert code == 2
    assert said in words


COMMANDS: dict[str, Callable[[str, str], list[str]]] = {
    "open": lambda file, out: ["open", file, "--output", f"{out}/o.json"],
    "crate": lambda file, out: ["crate", "build", "--from", file, "--output", f"{out}/o.zip"],
    "crate validate": lambda file, out: ["crate", "validate", file],
    "verify": lambda file, out: ["verify", file],
}


@pytest.mark.parametrize("bad", ["pipe", *(pytest.param(bad, marks=pytest.mark.slow) for bad in BAD if bad != "pipe")])
@pytest.mark.parametrize("name", COMMANDS)
def test_what_commands_are_given(tmp_path: Path, bad: str, name: str) -> None:
    put, _ = BAD[bad]
    put(tmp_path / "given")
    code, words = run(*COMMANDS[name](str(tmp_path / "given"), str(tmp_path)))
    assert code in (2, 3), words
    assert words.count("\n") <= 4  # one sentence, or the usage and a sentence


DOORS: dict[str, Callable[[Path], object]] = {
    "about": read_about,
    "records": read_records,
    "source crate": read_source_crate,
    "crate": check_crate,
    "metadata": read_metadata,
    "manifest": read_manifest,
    "claims": lambda path: read_statement(str(path), None),
    "keys of S3": lambda path: remote._check_keys(str(path), "default"),
    "Galaxy's archive": lambda path: list(open_archive(path).__enter__().entries),
    "object of a store": lambda path: list(read_objects(Location(str(path.parent)), [path.name])),
    "stat of an object": lambda path: object_status(Location(str(path.parent)), path.name),
    "journal": lambda path: list(read_lines(str(path.parent), "run")),
    "inputs of a run": lambda path: Run(
        str(path.rename(path.with_name("inputs.json")).parent), Location(str(path.parent)), "hash"
    ).noted_inputs(),
    "store in a zip file": lambda path: archive_of(Location(str(path), archive=str(path))),
}


@pytest.mark.parametrize("bad", ["pipe", "zeros"])
@pytest.mark.parametrize("name", DOORS)
def test_every_door(tmp_path: Path, bad: str, name: str) -> None:
    path = tmp_path / "given.jsonl"
    BAD[bad][0](path)

    def too_long(*_: object) -> None:
        raise AssertionError("it hangs")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(10)
    try:
        with pytest.raises(InputError, match=r"not a regular file but|cannot be read|is not|is no "):
            DOORS[name](path)
    finally:
        signal.alarm(0)


def test_the_limit_is_the_sites(tmp_path: Path) -> None:
    image = write(tmp_path / "i.ome.zarr")
    site = tmp_path / "site.toml"
    site.write_text(f'[roots.all]\npath = "{tmp_path}"\n[limits]\ndocument = "1KiB"\n')
    content = json.loads((image / "zarr.json").read_text())
    content["attributes"]["more"] = "x" * 2000
    (image / "zarr.json").write_text(json.dumps(content))
    code, words = run("inspect", str(image), site=site)
    assert code == 2
    assert "1024 are allowed; the key 'document' of [limits] in the site file" in words
    site.write_text(f'[roots.all]\npath = "{tmp_path}"\n[limits]\ndocument = "100KiB"\n')
    assert run("inspect", str(image), site=site)[0] == 0


def test_files_are_what_their_handles_say(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"12345")
    assert read_file(plain, largest=5) == b"12345"
    with pytest.raises(InputError, match="5 bytes or more, and 4 are allowed"):
        read_file(plain, largest=4)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "none")):
        open_file(tmp_path / "none")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(plain)
    inside = Location(str(tmp_path / "inside"), "r", str(tmp_path / "inside"), str(tmp_path / "inside"))
    with pytest.raises(PolicyError, match="not allow"):
        open_file(tmp_path / "inside" / "link", inside.allows)
    with pytest.raises(PolicyError):
        read_key(inside, "link")
    open_files = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(PolicyError):
            open_file(tmp_path / "inside" / "link", inside.allows)
    assert len(os.listdir("/proc/self/fd")) == open_files
    # /proc says of its files that they have no bytes.
    with pytest.raises(InputError, match="10 are allowed"):
        read_file("/proc/self/status", largest=10)


#: Puts a link in the place of a chunk or of its folder and takes it away again, as fast as it can.
SWAPPER = """
import os, sys
here, there, spare, link = sys.argv[1:]
while os.path.exists(spare + ".go"):
    os.path.islink(link) or os.symlink(there, link)
    os.rename(here, spare)
    os.rename(link, here)
    os.rename(here, link)
    os.rename(spare, here)
"""


@contextmanager
def swapping(here: Path, there: Path, spare: Path) -> Iterator[None]:
    go = Path(f"{spare}.go")
    go.touch()
    with subprocess.Popen([sys.executable, "-c", SWAPPER, str(here), str(there), str(spare), f"{spare}.link"]) as other:
        try:
            yield
        finally:
            go.unlink()
            assert other.wait(30) == 0


def _arrays(tmp_path: Path, zarr_format: Any) -> tuple[Location, str]:
    """An array of ones below a root, and one of 99 outside of it."""
    root = tmp_path / "root"
    key: Any = {"name": "v2" if zarr_format == 2 else "default", "separator": "/"}
    more: Any = {"compressors": LZ4()} if zarr_format == 2 else {}
    for place, value in ((root / "a", 1), (tmp_path / "secret", 99)):
        array: Any = zarr.create_array(
            place, shape=(8, 8), chunks=(8, 8), dtype="uint8", zarr_format=zarr_format, chunk_key_encoding=key, **more
        )
        array[...] = value
    return Location(str(root / "a"), "root", str(root), str(root)), "0/0" if zarr_format == 2 else "c/0/0"


def _tried(location: Location, seconds: float = 2) -> Counter[str]:
    """Read for a while; how often one's own voxels came, absent ones, the secret, and a refusal."""
    seen: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            voxels = open_array(location).read((slice(0, 8), slice(0, 8)))
        except ChunkwiseError:
            seen["refused"] += 1
            continue
        assert voxels.min() == voxels.max()
        seen[{1: "own", 0: "absent", 99: "secret"}[int(voxels.flat[0])]] += 1
    return seen


@pytest.mark.parametrize("what", ["chunk", "folder"])
@pytest.mark.parametrize("zarr_format", [2, 3])  # that of zarr-python, and that of tensorstore
def test_a_swap_while_it_is_read(tmp_path: Path, zarr_format: int, what: str) -> None:
    location, chunk = _arrays(tmp_path, zarr_format)
    name = chunk if what == "chunk" else os.path.dirname(chunk)
    with swapping(Path(location.address) / name, tmp_path / "secret" / name, tmp_path / "root" / "spare"):
        seen = _tried(location)
    assert not seen["secret"]
    assert seen["own"]
    assert seen["refused"], "the swap was never met, so that nothing was tried"


def test_mutant_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by the name and opened by the name, as where there is no /proc: now and then the secret comes."""
    monkeypatch.setattr("chunkwise.files.BY_HANDLE", False)
    location, chunk = _arrays(tmp_path, 3)
    with swapping(Path(location.address) / chunk, tmp_path / "secret" / chunk, tmp_path / "root" / "spare"):
        seen: Counter[str] = Counter()
        for _ in range(10):
            seen += _tried(location, 2)
            if seen["secret"]:
                break
    assert seen["secret"]


def test_a_swap_of_documents(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "zarr.json").write_text("secret")
    (root / "a" / "zarr.json").write_text("own")
    location = Location(str(root), "root", str(root), str(root))
    seen: Counter[Any] = Counter()
    with swapping(root / "a" / "zarr.json", tmp_path / "zarr.json", root / "spare"):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                seen[read_key(location, "a/zarr.json")] += 1
            except ChunkwiseError:
                seen["refused"] += 1
    assert set(seen) == {b"own", None, "refused"}


def test_a_swap_of_zip_files(tmp_path: Path) -> None:
    (tmp_path / "root" / "in").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    here, there = tmp_path / "root" / "in" / "i.ozx", tmp_path / "out" / "i.ozx"
    for file, content in ((here, "own"), (there, "secret")):
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("zarr.json", content)
    root = str(tmp_path / "root")
    location = Location(str(here), "root", root, root, archive=str(here))
    seen: Counter[Any] = Counter()
    with swapping(here.parent, there.parent, tmp_path / "root" / "spare"):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                seen[read_key(location, "zarr.json")] += 1
            except ChunkwiseError:
                seen["refused"] += 1
    assert set(seen) == {b"own", "refused"}


def test_crates(tmp_path: Path) -> None:
    for name in ("records", "sub"):
        (tmp_path / "crate" / name).mkdir(parents=True)
    (tmp_path / "crate" / "ro-crate-metadata.json").write_text('{"@graph": []}')
    os.mkfifo(tmp_path / "crate" / "records" / "1.json")
    code, words = run("crate", "build", "--from", str(tmp_path / "crate"), "--output", str(tmp_path / "o.zip"))
    assert code == 2
    assert words.count("\n") == 1
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("ro-crate-metadata.json", '{"@graph": []}')
    (tmp_path / "link.zip").symlink_to("/dev/zero")
    assert run("crate", "build", "--from", str(tmp_path / "link.zip"), "--output", str(tmp_path / "o.zip"))[0] == 2
