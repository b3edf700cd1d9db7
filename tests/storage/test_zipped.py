"""Stores in zip files: the same voxels as the folder has, and a sentence for every file that is not whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.ngff.read import open_image, open_store
from chunkwise.reference import metadata_paths
from chunkwise.site import Root, Site
from chunkwise.storage import zipped
from chunkwise.storage.arrays import open_array
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.kv import tags_of
from chunkwise.storage.location import Location, resolve
from killing import plain_store
from made_stores import write
from s3_place import Place
from s3_server import S3
from web_server import Web, running_nginx

SHAPE = (64, 64)
ALL = (slice(0, 64), slice(0, 64))


def fill(store: Path, dtype: str = "u2") -> np.ndarray[Any, Any]:
    """Voxels that do not compress, with one chunk left out."""
    voxels = np.random.default_rng(0).integers(1, 60000, SHAPE).astype(dtype)
    voxels[8:16, 8:16] = 0
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return voxels


def same(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    return info


def pack(
    store: Path, file: Path, method: int = 0, top: str = "", force: bool = False, change: Callable[[Any], Any] = same
) -> Path:
    """Put a folder into a zip file, as most programs do."""
    with zipfile.ZipFile(file, "w") as packed:
        for folder, _, names in os.walk(store):
            for name in names:
                path = Path(folder, name)
                info = zipfile.ZipInfo(top + path.relative_to(store).as_posix())
                info.compress_type = method
                with packed.open(change(info), "w", force_zip64=force) as entry:
                    entry.write(path.read_bytes())
    return file


def read(location: Location, box: tuple[slice, ...] = ALL) -> np.ndarray[Any, Any]:
    return open_array(location.child("0")).read(box)


def open_and_read(file: Path) -> np.ndarray[Any, Any]:
    location = resolve(str(file), None)
    open_store(location)
    return read(location)


KINDS = [("0.4", None), ("0.5", None), ("0.5", (32, 32))]


@pytest.fixture(scope="module", params=KINDS, ids=["v2", "v3", "sharded"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    version, shards = request.param
    store = write(tmp_path_factory.mktemp("made") / "i.ome.zarr", version, "yx", SHAPE, shards=shards)
    return store, fill(store)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_box_is_that_of_the_folder(made: tuple[Path, Any], tmp_path: Path, data: st.DataObject) -> None:
    store, voxels = made
    method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    force, top = data.draw(st.booleans()), data.draw(st.sampled_from(["", "i.ome.zarr/"]))
    file = pack(store, tmp_path / f"{method}-{force}-{len(top)}.zip", method, top, force)
    ends = [sorted(data.draw(st.tuples(st.integers(0, 64), st.integers(0, 64)))) for _ in range(2)]
    box = tuple(slice(a, b + (a == b)) for a, b in ends if a < 64)
    box = box if len(box) == 2 and max(part.stop for part in box) <= 64 else ALL
    image = open_image(resolve(str(file), None))
    assert (read(image.location, box) == voxels[box]).all()
    assert (read(image.location, box) == read(resolve(str(store), None), box)).all()
    assert any("folder 'i.ome.zarr'" in finding.message for finding in image.findings) == bool(top)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_large_entries_are_read_in_parts(
    made: tuple[Path, Any], tmp_path: Path, method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With limits so small that every shard is a large entry."""
    monkeypatch.setattr(zipped, "SMALL", 50)
    monkeypatch.setattr(zipped, "PIECE", 7)
    store, voxels = made
    location = resolve(str(pack(store, tmp_path / "i.zip", method)), None)
    for box in (ALL, (slice(3, 20), slice(30, 64))):
        assert (read(location, box) == voxels[box]).all()


def test_many_small_or_empty_stores(tmp_path: Path) -> None:
    """More entries than a small zip file can count, so that the large records are there."""
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    voxels = fill(store)
    file = pack(store, tmp_path / "i.zip")
    with zipfile.ZipFile(file, "a") as packed:
        for number in range(66000):
            packed.writestr(f"other/{number}", b"")
    assert (read(resolve(str(file), None)) == voxels).all()


def test_fingerprints_are_those_of_the_folder(made: tuple[Path, Any], tmp_path: Path) -> None:
    store, _ = made
    file = pack(store, tmp_path / "i.zip", zipfile.ZIP_DEFLATED)
    one, two = open_store(resolve(str(store), None)), open_store(resolve(str(file), None))
    for level in ("none", "sample", "full"):
        assert fingerprint(one.location, level, metadata_paths(one)) == fingerprint(
            two.location, level, metadata_paths(two)
        )
    before = fingerprint(two.location, "stat")
    assert fingerprint(two.location, "stat") == before
    os.utime(file, (1, 1))
    assert fingerprint(two.location, "stat") != before


def offset_of(file: Path, name: str) -> int:
    """Where the bytes of an entry begin."""
    with zipfile.ZipFile(file) as packed:
        at = packed.getinfo(name).header_offset
    head = file.read_bytes()[at : at + 30]
    return at + 30 + sum(struct.unpack("<2H", head[26:30]))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("small", [True, False])
def test_a_damaged_chunk_is_never_read(
    made: tuple[Path, Any], tmp_path: Path, method: int, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte anywhere in it, also in another chunk of the same shard than the one that is wanted."""
    if not small:
        monkeypatch.setattr(zipped, "SMALL", 10)
    store, voxels = made
    file = pack(store, tmp_path / "i.zip", method)
    with zipfile.ZipFile(file) as packed:
        name = next(n for n in packed.namelist() if re.fullmatch(r"0/(c/0/0|0[./]0)", n))
        size = packed.getinfo(name).compress_size
    start, content = offset_of(file, name), file.read_bytes()
    for at in (0, size // 2, size - 1):
        broken = tmp_path / f"{at}.zip"
        broken.write_bytes(content[: start + at] + bytes([content[start + at] ^ 1]) + content[start + at + 1 :])
        location, box = resolve(str(broken), None), (slice(0, 8), slice(0, 8))
        found, said = None, ""
        try:
            found = read(location, box)
        except InputError as error:
            said = str(error)
        if found is None:
            assert re.search(rf"The entry '{name}' of the zip file .* is damaged", said)
        else:
            # A bit that only says that nothing follows, or that nobody looks at.
            assert method == zipfile.ZIP_DEFLATED
            assert (found == voxels[box]).all()


def test_what_is_not_read(tmp_path: Path) -> None:
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    fill(store)
    chunk = "0/c/0/0"

    def changed(**values: Any) -> Callable[[Any], Any]:
        def change(info: Any) -> Any:
            if info.filename == chunk:
                for key, value in values.items():
                    setattr(info, key, value)
            return info

        return change

    lzma = pack(store, tmp_path / "lzma.zip", change=changed(compress_type=zipfile.ZIP_LZMA))
    link = pack(
        store, tmp_path / "link.zip", change=changed(create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16)
    )
    for file, said in ((lzma, "is compressed by method 14"), (link, "is a symbolic link")):
        with pytest.raises(InputError, match=f"The entry '{chunk}' of the zip file .* {said}"):
            read(resolve(str(file), None))


@pytest.mark.parametrize(
    ("gone", "there", "said"),
    [
        ("0/c/0/0", "0/c/0/0/", "it is not a file but a folder"),
        ("0/c/0/0", "0/c/0/0/x", "it is not a file but a folder"),
        ("0/c/0/", "0/c/0", "there is a file where one of its folders should be"),
    ],
)
def test_what_lies_in_the_place_of_a_chunk(tmp_path: Path, gone: str, there: str, said: str) -> None:
    """As with files: it is there and cannot be read, so it is not the fill value."""
    store = plain_store(tmp_path / "i", np.ones((64, 64), np.uint8))
    whole, file = pack(store, tmp_path / "whole.zip"), tmp_path / "i.zip"
    with zipfile.ZipFile(whole) as packed, zipfile.ZipFile(file, "w") as other:
        for name in packed.namelist():
            if not name.startswith(gone):
                other.writestr(name, packed.read(name))
        other.writestr(there, b"")
    with pytest.raises(InputError, match=f"The entry '0/c/0/0' of the zip file .* cannot be read: {said}"):
        read(resolve(str(file), None), (slice(0, 64), slice(0, 64)))


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "a//b", "./x", "a\\b", "C:/x", "a/./b"], ids=lambda name: repr(name)
)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    file = tmp_path / "i.zip"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("zarr.json", "{}")
        info = zipfile.ZipInfo("x")
        info.filename = name
        packed.writestr(info, b"")
    with pytest.raises(InputError, match="is not a plain path below its top"):
        open_store(resolve(str(file), None))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_are_not_whole_or_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    fill(store)
    whole = pack(store, tmp_path / "i.zip").read_bytes()
    end = whole.rindex(b"PK\5\6")
    directory = whole.index(b"PK\1\2")
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as packed:
        packed.writestr("zarr.json", "{}")
        packed.writestr("zarr.json", "{}")
    huge = struct.pack("<I", 2**31)
    cases = {
        "truncated": (whole[: end - 10], "it has no directory at its end"),
        "nothing": (b"", "it has no directory at its end"),
        "begin": (whole[100:], "its directory is not where it says"),
        "parts": (whole[: end + 4] + b"\1" + whole[end + 5 :], "is one part of a zip file in several parts"),
        "encrypted": (whole[: directory + 8] + b"\1" + whole[directory + 9 :], "is encrypted"),
        "directory": (whole[:directory] + b"x" + whole[directory + 1 :], "its directory is cut short"),
        "offset": (whole[: directory + 42] + b"\xff\0" + whole[directory + 44 :], "its entries overlap"),
        "twice": (twice.read_bytes(), "two entries named 'zarr.json'"),
        "size": (whole[: directory + 20] + huge + whole[directory + 24 :], "has two sizes"),
    }
    for name, (content, said) in cases.items():
        file = tmp_path / f"{name}.ozx"
        file.write_bytes(content)
        capsys.readouterr()
        assert main(["open", str(file), "--output", str(tmp_path / f"{name}.json")]) == 2
        error = capsys.readouterr().err
        assert said in error, name
        assert error.count("\n") == 1


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """Entries that unpack to far more than a chunk, or a document, can have."""
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    fill(store)
    zeros = bytes(200 * 2**20)
    for name in ("zarr.json", "0/c/0/0"):
        file = pack(store, tmp_path / "i.zip", change=lambda info, name=name: set_name(info, name))
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(name, zeros)
        with pytest.raises(InputError, match=f"The entry '{name}' .* says that it has 209715200 bytes"):
            open_and_read(file)
        # One that lies about its size is stopped there.
        content = bytearray(file.read_bytes())
        at = content.rindex(b"PK\1\2")
        content[at + 24 : at + 28] = struct.pack("<I", 1000)
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"The entry '{name}' .* holds more than the 1000 bytes that it states"):
            open_and_read(file)


def set_name(info: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    """Take an entry out of the way of another of the same name."""
    if info.filename == name:
        info.filename = f"{name}.old"
    return info


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4), cut=st.floats(0.7, 1.3)
)
def test_whatever_is_broken_is_a_sentence_or_the_same_voxels(tmp_path: Path, changes: Any, cut: float) -> None:
    store = tmp_path / "i.ome.zarr"
    if not store.exists():
        fill(write(store, "0.5", "yx", SHAPE, shards=(32, 32)))
        pack(store, tmp_path / "whole.zip", zipfile.ZIP_DEFLATED)
    content = bytearray((tmp_path / "whole.zip").read_bytes())
    for place, value in changes:
        content[min(int(place * len(content)), len(content) - 1)] = value
    file = tmp_path / "i.zip"
    file.write_bytes(content[: int(cut * len(content))])
    try:
        found = open_and_read(file)
    except ChunkwiseError:
        return
    # Names are under no checksum: a chunk whose name was changed is absent.
    wrong = found != read(resolve(str(store), None))
    assert not found[wrong].any()


def test_every_command_takes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    fill(store)
    pack(store, tmp_path / "i.ozx", top="a folder/")
    for name in ("i.ome.zarr", "i.ozx"):
        short = name.split(".")[1]
        assert (
            main(["open", name, "--output", f"{short}.json", "--fingerprint", "full", "--manifest", f"{short}.gz"]) == 0
        )
        assert main(["inspect", f"{short}.json", "--html", f"{short}.html", "--json", f"{short}-i.json"]) == 0
        assert main(["segment", name, "--output", f"{short}.l.ome.zarr", "--record", f"{short}-r.json"]) == 0
        words = ["--labels", f"{short}.l.ome.zarr", "--image", f"{short}.json", "--output", f"{short}.tsv"]
        assert main(["measure", *words]) == 0
        assert main(["fetch", f"{short}.json", "--output", f"{short}.p.ome.zarr", "--region", "3:40,0:64"]) == 0
    for words in (
        ["i.ozx", "--against", "ome.json"],
        ["i.ozx", "--against", "ome.gz"],
        ["i.ome.zarr", "--against", "ozx.gz"],
        ["ozx.json"],
    ):
        assert main(["verify", *words]) == 0
    assert Path("ome.gz").read_bytes() == Path("ozx.gz").read_bytes()
    assert Path("ome.tsv").read_bytes() == Path("ozx.tsv").read_bytes()
    for made in ("l", "p"):
        one, two = (np.asarray(zarr.open_array(f"{short}.{made}.ome.zarr/0")) for short in ("ome", "ozx"))
        assert (one == two).all()
    kept = json.loads(Path("ozx.json").read_text())
    assert kept["store"]["path"].endswith("i.ozx/a folder")
    assert json.loads(Path("ozx-i.json").read_text())["levels"][0]["stored_files"] > 60
    capsys.readouterr()
    assert list(tags_of(resolve("i.ozx/a folder", None), ["zarr.json", "zarr.xml"]))[1] is None
    assert main(["segment", "i.ozx", "--into-source", "l"]) == 2
    assert "i.ozx is a zip file, into which nothing can be written; use --output." in capsys.readouterr().err


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_nginx(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_by_http_little_more_than_the_chunks_is_asked_for(web: Web, tmp_path: Path, method: int) -> None:
    """A megabyte of other entries stays where it is."""
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE, shards=(32, 32))
    voxels = fill(store)
    (store / "1" / "c").mkdir(exist_ok=True)
    (store / "1" / "c" / "other").write_bytes(os.urandom(2**20))
    name = f"with space {method}.ome.zarr.zip"
    file = pack(store, web.files / name, method)
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, web.url, False)})
    web.requests()
    image = open_image(resolve(f"web:{name}", site))
    opened = web.requests()
    assert len(opened) <= 10
    assert {request.status for request in opened} == {206}
    assert (read(image.location, (slice(0, 8), slice(0, 8))) == voxels[:8, :8]).all()
    asked = web.requests()
    assert sum(request.sent for request in opened + asked) < 2**19 < file.stat().st_size
    assert len(asked) <= 4
    assert (read(image.location) == voxels).all()
    assert fingerprint(image.location, "full") == fingerprint(resolve(str(store), None), "full")
    (store / "1" / "c" / "other").unlink()
    small = pack(store, web.files / f"small {method}.OZX", method)
    assert small.stat().st_size < 2**16
    assert (read(open_image(resolve(f"web:{small.name}", site)).location) == voxels).all()
    with pytest.raises(InputError, match="There is nothing at"):
        open_image(resolve("web:no.ozx", site))
    (web.files / "cut.ozx").write_bytes(small.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"cut\.ozx is damaged: it has no directory at its end"):
        open_image(resolve("web:cut.ozx", site))


@pytest.mark.s3
def test_on_s3(s3: S3, tmp_path: Path) -> None:
    place = Place(s3, tmp_path)
    (tmp_path / "up").mkdir()
    pack(place.image, tmp_path / "up" / "i.ozx", zipfile.ZIP_DEFLATED)
    s3.upload(tmp_path / "up", resolve("results:up", place.site, write=True))
    location = resolve("results:up/i.ozx", place.site)
    box = (slice(0, 300), slice(0, 300))
    assert (read(open_image(location).location, box) == place.voxels).all()
    assert fingerprint(location, "sample") == fingerprint(resolve(str(place.image), None), "sample")
    with pytest.raises(InputError, match="use another --fingerprint"):
        fingerprint(location, "stat")


def test_a_small_case_of_another_writer(tmp_path: Path) -> None:
    """The archive has no folder at its top, and no comment."""
    case = Path(__file__).parents[3] / "shared" / "cases" / "08-zipped-ome-zarr"
    if not case.is_dir():
        pytest.skip(f"the case is not at {case}")
    shutil.copy(case / "make.py", tmp_path)
    subprocess.run([sys.executable, "make.py"], cwd=tmp_path, check=True)
    assert main(["inspect", str(tmp_path / "x.ozx")]) == 0
    one, two = (resolve(str(tmp_path / name), None) for name in ("x.zarr", "x.ozx"))
    box = (slice(0, 40), slice(0, 64))
    assert (read(one, box) == read(two, box)).all()


def test_one_below_a_root_that_is_closed_is_not_opened(tmp_path: Path) -> None:
    """A link to a zip file elsewhere, and the inside of one, are judged as the file is."""
    for name in ("open", "other"):
        (tmp_path / name).mkdir()
        store = write(tmp_path / name / "i.ome.zarr", "0.5", "yx", SHAPE)
        fill(store)
        pack(store, tmp_path / name / "i.ozx")
    (tmp_path / "open" / "link.ozx").symlink_to(tmp_path / "other" / "i.ozx")
    site = Site(tmp_path / "site.toml", {"open": Root("open", str(tmp_path / "open"), None, False)})
    assert open_image(resolve("open:i.ozx", site)).location.relative == "i.ozx"
    assert open_array(resolve("open:i.ozx/0", site)).shape == SHAPE
    for text in ("open:link.ozx", "open:link.ozx/0", "open:i.ozx/../../other/i.ozx", str(tmp_path / "other" / "i.ozx")):
        with pytest.raises(PolicyError):
            resolve(text, site)
    with pytest.raises(PolicyError, match="which is not inside it"):
        resolve("open:i.ozx", site).child("../i.ome.zarr")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "i.ozx")
    with pytest.raises(InputError, match="is neither an image that can be read here nor a reference"):
        open_store(resolve(str(tmp_path / "i.ozx"), None))


def test_stores_that_are_not_at_the_top(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packed with its folder, by macOS too; and two in one file, of which one is named."""
    store = write(tmp_path / "i.ome.zarr", "0.5", "yx", SHAPE)
    voxels = fill(store)
    file = pack(store, tmp_path / "mac.zip", top="i.ome.zarr/")
    with zipfile.ZipFile(file, "a") as packed:
        packed.writestr("__MACOSX/i.ome.zarr/._zarr.json", b"resource fork")
    image = open_image(resolve(str(file), None))
    assert (read(image.location) == voxels).all()
    assert image.findings[0].severity == "deviation"
    assert image.name == "made"
    pack(store, tmp_path / "b.zip", top="b.zarr/")
    two = pack(store, tmp_path / "two.zip", top="a.zarr/")
    with zipfile.ZipFile(two, "a") as packed, zipfile.ZipFile(tmp_path / "b.zip") as other:
        for name in other.namelist():
            packed.writestr(name, other.read(name))
    with pytest.raises(InputError, match=r"but a\.zarr, b\.zarr; name a store in it as .*two\.zip/NAME"):
        open_image(resolve(str(two), None))
    assert (read(open_image(resolve(f"{two}/b.zarr", None)).location) == voxels).all()
    with pytest.raises(InputError, match=r"There is nothing at .*two\.zip/c\.zarr; the zip file"):
        open_image(resolve(f"{two}/c.zarr", None))
