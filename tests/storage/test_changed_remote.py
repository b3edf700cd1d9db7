"""Images on servers that change while they are read, or between a run's being stopped and gone on with."""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.blocks import passes
from chunkwise.blocks.passes import BlockResult
from chunkwise.blocks.run import Run
from chunkwise.cli import main
from chunkwise.site import load_site
from chunkwise.storage import kv, stamp
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location, resolve
from killing import CHANGES, at_line, chunks, plain_store
from made_models import noise
from made_stores import multiscale, write
from s3_place import Place
from s3_server import S3
from web_server import running_nginx

Disturb = Callable[[], None]


class _Server(http.server.SimpleHTTPRequestHandler):
    """A server without tags, as simple ones are."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def rewritten(store: Path, seconds: int) -> None:
    """Other voxels, and a time that a server sees, which counts in seconds."""
    chunk = chunks(store)[7]
    CHANGES["rewritten"](chunk)
    os.utime(chunk, (seconds, seconds))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def use(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "site.toml"
    file.write_text(f'[roots.web]\nurl = "{url}"\n[roots.here]\npath = "{folder}"\naccess = "write"\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(file))


@pytest.fixture(params=["nginx", pytest.param("s3", marks=pytest.mark.s3)])
def remote(
    request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Disturb]]:
    """An image on a server, and what changes it."""
    if request.param == "nginx":
        with running_nginx(here / "server") as web:
            store = plain_store(web.files / "i.ome.zarr", noise((160, 160)))
            use(here, web.url, monkeypatch)
            times = iter(range(1_000_000_000, 2_000_000_000))
            yield "web:i.ome.zarr", lambda: rewritten(store, next(times))
        return
    s3: S3 = request.getfixturevalue("s3")
    place = Place(s3, here)
    monkeypatch.setenv("CHUNKWISE_SITE", str(place.file))
    store = plain_store(here / "plain.ome.zarr", noise((160, 160)))
    target = resolve("results:plain.ome.zarr", place.site, write=True)
    s3.upload(store, target)

    def change() -> None:
        CHANGES["rewritten"](chunks(store)[7])
        kv.put_key(target, "0/c/1/2", chunks(store)[7].read_bytes())

    yield "results:plain.ome.zarr", change


def stop() -> None:
    raise KeyboardInterrupt


def test_an_image_on_a_server(
    remote: tuple[str, Disturb], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, change = remote
    words = ["segment", image, "--block", "32,32", "--shard", "64,64", "--workers", "1", "--output", "out"]
    with monkeypatch.context() as patched:
        at_line(patched, 5, stop)
        assert main(words) == 130
    change()
    assert main(words) == 2
    assert "is not what it was when this run began" in capsys.readouterr().err
    words[-1] = "again"
    with monkeypatch.context() as patched:
        at_line(patched, 5, change)
        assert main(words) == 2
    assert "changed while it was read" in capsys.readouterr().err
    assert not Path("again").exists()
    assert main([*words, "--record", "r.json"]) == 0
    checked = json.loads(Path("r.json").read_text())["inputs"][0]["checked"]
    assert checked == {
        "fingerprint": "taken",
        "of": "tags of the server",
        "objects": 25,
        "compared": 25,
        "at": ["start", "end"],
    }


def test_a_zip_file_on_a_server(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Its directory, which is read once to read chunks, is asked for anew to see whether it is another one."""
    with running_nginx(here / "server") as web:
        store, file = plain_store(here / "i.ome.zarr", noise((160, 160))), web.files / "i.ozx"
        use(here, web.url, monkeypatch)

        def put() -> None:
            with zipfile.ZipFile(file, "w") as packed:
                for path in sorted(store.rglob("*")):
                    if path.is_file():
                        packed.write(path, path.relative_to(store).as_posix())

        def change() -> None:
            CHANGES["rewritten"](chunks(store)[0])
            put()

        put()
        words = ["fetch", "web:i.ozx", "--block", "32,32", "--shard", "32,32", "--workers", "1", "--output", "out"]
        with monkeypatch.context() as patched:
            at_line(patched, 20, change)
            assert main(words) == 2
        assert "changed while it was read" in capsys.readouterr().err
        assert not Path("out").exists()
        with monkeypatch.context() as patched:
            at_line(patched, 5, stop)
            assert main(words) == 130
        change()
        assert main(words) == 2
        assert "is not what it was when this run began" in capsys.readouterr().err


def test_a_server_without_tags(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be compared, and the record says so."""
    (here / "files").mkdir()
    plain_store(here / "files" / "i.ome.zarr", noise((160, 160)))
    handler = functools.partial(_Server, directory=str(here / "files"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            use(here, f"http://127.0.0.1:{server.server_port}", monkeypatch)
            words = ["segment", "web:i.ome.zarr", "--workers", "1", "--output", "out", "--record", "r.json"]
            assert main([*words, "--crate", "c.zip"]) == 0
        finally:
            server.shutdown()
            thread.join()
    checked = json.loads(Path("r.json").read_text())["inputs"][0]["checked"]
    assert (checked["of"], checked["objects"], checked["compared"]) == ("", 25, 0)


def _read(array: Location, _: int) -> BlockResult:
    return BlockResult((), np.unique(open_array(array).read((slice(0, 16), slice(0, 16)))).tolist())


def test_workers_that_stay(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They serve one command after the other: what they opened for one is not taken for what the next one means."""
    store = write(here / "files" / "i.ome.zarr", "0.4", dtype="<u2", entry=multiscale(levels=1))
    handler = functools.partial(_Server, directory=str(here / "files"))

    def fill(dtype: str) -> None:
        array: Any = zarr.create_array(store / "0", shape=(16, 16), dtype=dtype, zarr_format=2, overwrite=True)
        array[...] = 258

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            use(here, f"http://127.0.0.1:{server.server_port}", monkeypatch)
            array = resolve("web:i.ome.zarr", load_site()).child("0")
            for number, dtype in enumerate(("<u2", ">u2")):
                fill(dtype)
                run = Run(str(here / "run"), array, str(number))
                report: Any = passes._map_batch(_read, array, run, "read", [0])
                assert report.results == [(0, [258])]
        finally:
            server.shutdown()
            thread.join()


def test_what_there_is_no_time_for(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """As far as time allows, spread over the image; the record says how far."""
    store = plain_store(here / "i.ome.zarr", noise((320, 320)), chunk=8)
    words = ["segment", "i.ome.zarr", "--workers", "1", "--output", "out", "--record", "r.json"]
    clock = iter(range(1_000_000))
    with monkeypatch.context() as patched:
        # Each piece that is looked at takes a second; of 1600 objects 512 lie in a piece.
        patched.setattr(stamp, "time", type("Clock", (), {"monotonic": staticmethod(lambda: next(clock))}))
        patched.setattr(stamp, "THREADS", 1)
        patched.setitem(stamp.SECONDS, "file", 1)
        assert main(words) == 0
    checked = json.loads(Path("r.json").read_text())["inputs"][0]["checked"]
    assert (checked["objects"], checked["compared"]) == (1600, 512)
    objects = stamp.Objects(resolve(str(store / "0"), None), [(slice(0, 320), slice(0, 320))])
    keys = list(objects.keys(range(1600)))
    assert len(set(keys)) == 1600
    rows = {int(key.split("/")[1]) for key in keys[:512]}
    assert max(rows) - min(rows) > 30, "the sample is not spread over the image"
