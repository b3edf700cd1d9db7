"""Stores on a real S3 server: read, written, gone on with after a kill; keys and prefixes that are not to be."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.blocks.run import Plan, Run
from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError, InputError, PolicyError, ResumableError
from chunkwise.ngff.read import open_image
from chunkwise.site import Root, Site
from chunkwise.storage import arrays, kv, remote
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.growth import CLAIM, growth_of
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.writer import put_object
from faulty_proxy import faulty_proxy
from made_stores import digest, write
from s3_server import S3
from web_server import free_port

pytestmark = pytest.mark.s3


class Place:
    """A site with one posix root and two prefixes of S3, and an image in both."""

    def __init__(self, s3: S3, folder: Path) -> None:
        self.s3, self.folder = s3, folder
        self.prefix = s3.prefix()
        self.site = self.use(s3.url)
        self.voxels = np.random.default_rng(0).integers(0, 5000, (300, 300)).astype(np.uint16)
        self.image = write(folder / "i.ome.zarr", "0.5", "yx", (300, 300), chunk=64)
        array: Any = zarr.open_array(self.image / "0", mode="r+")
        array[...] = self.voxels
        own = Root("own", None, f"s3://images/{self.prefix}", True, **self.access(s3.url))
        s3.upload(self.image, resolve("own:i.ome.zarr", Site(folder, {"own": own}), write=True))

    def access(self, endpoint: str) -> dict[str, Any]:
        file = str(self.s3.credentials)
        return {"endpoint": endpoint, "credentials": "file", "credentials_file": file}

    def use(self, endpoint: str, more: str = "") -> Site:
        """Write the site file."""
        access = f'endpoint = "{endpoint}"\ncredentials = "file"\ncredentials_file = "{self.s3.credentials}"\n'
        self.file = self.folder / "site.toml"
        self.file.write_text(
            f'[roots.here]\npath = "{self.folder}"\naccess = "write"\n'
            f'[roots.images]\nurl = "s3://images/{self.prefix}"\n{access}'
            f'[roots.results]\nurl = "s3://results/{self.prefix}"\naccess = "write"\n{access}{more}'
        )
        return Site(
            self.file,
            {
                "here": Root("here", str(self.folder), None, True),
                "images": Root("images", None, f"s3://images/{self.prefix}", False, **self.access(endpoint)),
                "results": Root("results", None, f"s3://results/{self.prefix}", True, **self.access(endpoint)),
            },
        )

    def files(self, name: str) -> Path:
        """What is in S3 below the results, as files."""
        folder = self.folder / "downloads" / f"{name}-{os.urandom(3).hex()}"
        folder.mkdir(parents=True)
        return self.s3.download(resolve(f"results:{name}", self.site), folder)


@pytest.fixture
def place(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(s3, tmp_path)
    monkeypatch.setenv("CHUNKWISE_SITE", str(made.file))
    monkeypatch.chdir(tmp_path)
    return made


SEGMENT = ["--block", "100,100", "--shard", "150,150", "--fill-holes"]


def test_commands_give_the_same_as_on_files(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for name, source, target in (("s3", "images:i.ome.zarr", "results:l.zarr"), ("files", "i.ome.zarr", "l.zarr")):
        assert main(["open", source, "--output", f"{name}-i.json", "--fingerprint", "full"]) == 0
        workers = "2" if name == "s3" else "1"
        words = [f"{name}-i.json", "--output", target, "--reference", f"{name}-l.json", "--workers", workers]
        words += ["--crate", f"{name}.zip", "--overlay", f"{name}.png"]
        assert main(["segment", *words, *SEGMENT, "--split", "distance"]) == 0
        assert main(["crate", "validate", f"{name}.zip"]) == 0
        words = ["--labels", f"{name}-l.json", "--image", f"{name}-i.json", "--output", f"{name}.tsv", "--workers", "1"]
        assert main(["measure", *words]) == 0
        words = [f"{name}-l.json", target, "--output", f"{name}-compare.json", "--workers", "1"]
        assert main(["compare", *words]) == 0
        assert main(["inspect", f"{name}-l.json", "--html", f"{name}.html"]) == 0
        fetched = ["fetch", f"{name}-l.json", "--region", "10:90,20:80", "--output", f"{name}-cut.ome.zarr"]
        assert main([*fetched, "--workers", "1"]) == 0
    assert Path("s3.tsv").read_bytes() == Path("files.tsv").read_bytes()
    assert Path("s3.png").read_bytes() == Path("files.png").read_bytes()
    assert digest(Path("s3-cut.ome.zarr")) == digest(Path("files-cut.ome.zarr"))
    assert digest(place.files("l.zarr")) == digest(Path("l.zarr"))
    names = ("s3-i", "files-i", "s3-l", "files-l")
    marks = [json.loads(Path(f"{name}.json").read_text())["fingerprint"] for name in names]
    assert marks[0] == marks[1]
    assert marks[2] == marks[3]
    assert fingerprint(resolve("results:l.zarr", place.site), "full") == marks[3]
    assert fingerprint(resolve("l.zarr", place.site), "full") == marks[3]
    # The place is in the reference, the keys and where they lie are not.
    assert json.loads(Path("s3-l.json").read_text())["store"] == {"root": "results", "path": "l.zarr"}
    printed = capsys.readouterr()
    texts = [printed.out, printed.err]
    for path in place.folder.rglob("*"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as crate:
                texts += [crate.read(name).decode("latin-1") for name in crate.namelist()]
        elif path.is_file() and path != place.file:
            texts.append(path.read_bytes().decode("latin-1"))
    assert not any(place.s3.secret in text or str(place.s3.credentials) in text for text in texts)


def test_labels_into_the_source(place: Place) -> None:
    own = Root("own", None, f"s3://results/{place.prefix}", True, **place.access(place.s3.url))
    place.s3.upload(place.image, resolve("own:i.ome.zarr", Site(place.folder, {"own": own}), write=True))
    for source in ("results:i.ome.zarr", str(place.image)):
        assert main(["segment", source, "--into-source", "cells", "--workers", "1", *SEGMENT]) == 0
    assert digest(place.files("i.ome.zarr")) == digest(place.image)
    assert open_image(resolve("results:i.ome.zarr", place.site)).labels == ("cells",)


def test_it_is_read_back_by_another_library(place: Place) -> None:
    assert main(["fetch", "images:i.ome.zarr", "--output", "results:copy.zarr", "--workers", "1"]) == 0
    array: Any = zarr.open_array(place.files("copy.zarr") / "0", mode="r")
    assert (array[...] == place.voxels).all()


@pytest.mark.parametrize("phase", ["label", "write", "level-1"])
def test_killed_and_gone_on_with(place: Place, phase: str) -> None:
    name = f"{phase}.zarr"
    assert main(["segment", "i.ome.zarr", "--output", "whole.zarr", "--workers", "1", *SEGMENT]) == 0
    words = ["segment", "images:i.ome.zarr", "--output", f"results:{name}", "--workers", "1", *SEGMENT]
    process = subprocess.Popen([sys.executable, "-m", "chunkwise.cli", *words], stderr=subprocess.PIPE, text=True)
    journal = place.folder / f"{name}.run" / "journal"
    while not any(f'"pass":"{phase}"' in segment.read_text() for segment in journal.glob("*.jsonl")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    target = resolve(f"results:{name}", place.site)
    before = kv.list_keys(target)
    assert CLAIM in before
    assert "zarr.json" not in before
    with pytest.raises(InputError, match="is not a Zarr store"):
        open_image(target)
    # Another run may not write there, whatever it has in common with this one.
    assert main([*words, "--run-dir", "other.run"]) == 2
    assert not Path("other.run").exists()
    assert main(words) == 0
    assert digest(place.files(name)) == digest(Path("whole.zarr"))
    entries = [line for segment in journal.glob("*.jsonl") for line in segment.read_text().splitlines()]
    for done in ("label", phase):
        blocks = [re.findall(r'"block":(\d+)', line)[0] for line in entries if f'"pass":"{done}"' in line]
        assert len(blocks) == len(set(blocks)), "what was done was done again"


def test_the_output_exists(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fetch", "images:i.ome.zarr", "--output", "results:a.zarr", "--workers", "1"]
    assert main(words) == 0
    made = digest(place.files("a.zarr"))
    assert main(words) == 2
    assert "exists; remove it or choose another name" in capsys.readouterr().err
    assert main([*words, "--run-dir", "another"]) == 2
    assert not Path("another").exists()
    # A folder of somebody's files is no place for a store, and is left as it is.
    put_object(resolve("results:files", place.site, write=True), "notes/readme.txt", b"mine")
    words[3] = "results:files"
    assert main(words) == 2
    assert "is not empty: it holds notes/readme.txt" in capsys.readouterr().err
    assert kv.list_keys(resolve("results:files", place.site)) == ["notes/readme.txt"]
    assert digest(place.files("a.zarr")) == made


def test_a_run_that_would_fail_again_leaves_nothing(place: Place) -> None:
    target = resolve("results:b.zarr", place.site, write=True)
    run = Run.start(Plan("test", {}, {}, {}), "b.run", target.address, target)
    item = put_object(run.store, "0/c/0", b"voxels")
    assert kv.list_keys(target) == [CLAIM, "0/c/0"]
    assert growth_of(target).are_whole([item]) == [True]
    put_object(run.store, "0/c/0", b"others")
    assert growth_of(target).are_whole([item]) == [False]
    put_object(run.store, "0/c/0", b"voxels")
    run.abandon()
    assert kv.list_keys(target) == []
    assert not Path("b.run").exists()


def test_of_two_runs_one_gets_the_place(place: Place) -> None:
    target = resolve("results:c.zarr", place.site, write=True)
    growth = growth_of(target)
    growth.check("one", target.address)
    growth.check("two", target.address)
    growth.take("one", target.address)
    with pytest.raises(InputError, match="Another run has begun"):
        growth.take("two", target.address)
    with pytest.raises(InputError, match="Another run has begun"):
        growth.check("three", target.address)
    growth.take("one", target.address)


def test_another_run_may_be_faster_by_a_moment(place: Place) -> None:
    there = resolve("results:e.zarr", place.site, write=True)
    with faulty_proxy(place.s3.url) as proxy:

        def overtaken(count: int, method: str, path: str) -> str:
            """Between our look at the place and our claim comes another's."""
            if method == "PUT":
                kv.put_key(there, CLAIM, b"another's")
            return ""

        proxy.fault = overtaken
        ours = resolve("results:e.zarr", place.use(proxy.url), write=True)
        with pytest.raises(InputError, match="Another run has begun"):
            growth_of(ours).take("one", ours.address)
    assert kv.read_key(there, CLAIM) == b"another's"


def test_bytes_are_asked_for_only_where_a_tag_is_another(place: Place) -> None:
    target = resolve("results:d.zarr", place.site, write=True)
    items = [put_object(target, f"0/c/{i}", bytes([i]) * 1000) for i in range(70)]
    with faulty_proxy(place.s3.url) as proxy:
        place.site = place.use(proxy.url)
        growth = growth_of(resolve("results:d.zarr", place.site, write=True))
        assert growth.are_whole(items) == [True] * 70
        assert {method for method, _, _ in proxy.seen} == {"HEAD"}
        assert len(proxy.seen) == 70
        unknown = [type(item)(item.key, item.sha256, item.size, "another") for item in items[:3]]
        assert growth.are_whole(unknown) == [True] * 3
        assert [method for method, _, _ in proxy.seen[70:]].count("GET") == 3


@pytest.mark.usefixtures("impatient")
def test_faults_now_and_then_are_overcome(place: Place) -> None:
    with faulty_proxy(place.s3.url) as proxy:
        place.use(proxy.url)
        seen: set[tuple[str, str]] = set()

        def once(count: int, method: str, path: str) -> str:
            """Every fourth kind of request fails at first."""
            known = (method, path) in seen
            seen.add((method, path))
            return "" if known or len(seen) % 4 else ("503", "reset", "cut")[len(seen) % 3]

        proxy.fault = once
        words = ["segment", "images:i.ome.zarr", "--output", "results:f.zarr", "--workers", "1", *SEGMENT]
        assert main(words) == 0
        assert sum(1 for *_, fault in proxy.seen if fault) > 10
    assert main(["segment", "i.ome.zarr", "--output", "whole.zarr", "--workers", "1", *SEGMENT]) == 0
    assert digest(place.files("f.zarr")) == digest(Path("whole.zarr"))


@pytest.mark.usefixtures("impatient")
def test_a_server_that_takes_no_more_stops_the_run_which_goes_on_later(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with faulty_proxy(place.s3.url) as proxy:
        place.use(proxy.url)
        words = ["fetch", "images:i.ome.zarr", "--output", "results:g.zarr", "--workers", "1", "--shard", "64,64"]
        proxy.fault = lambda count, method, path: "503" if method == "PUT" and "/0/c/2/" in path else ""
        assert main(words) == 4
        said = capsys.readouterr().err.splitlines()[-1]
        assert re.search(r"s3://\S+ cannot be written: its server was asked 6 times .* \(it answers HTTP 503\)", said)
        # Keys that were taken away in the middle are no reason to lose the run.
        proxy.fault = lambda count, method, path: "403" if method == "PUT" and "/0/c/3/" in path else ""
        assert main(words) == 4
        assert "have to be right, and to allow writing" in capsys.readouterr().err
        proxy.fault = lambda count, method, path: ""
        assert main(words) == 0
    array: Any = zarr.open_array(place.files("g.zarr") / "0", mode="r")
    assert (array[...] == place.voxels).all()


@pytest.mark.usefixtures("impatient")
def test_the_document_at_the_root_comes_last(place: Place) -> None:
    with faulty_proxy(place.s3.url) as proxy:
        place.use(proxy.url)
        words = ["fetch", "images:i.ome.zarr", "--output", "results:h.zarr", "--workers", "1"]
        proxy.fault = lambda count, method, path: "503" if method == "DELETE" else ""
        assert main(words) == 4
        changes = [
            (method, path.partition("h.zarr/")[2]) for method, path, _ in proxy.seen if method in ("PUT", "DELETE")
        ]
        assert changes[0] == ("PUT", CLAIM)
        last = changes.index(("PUT", "zarr.json"))
        assert set(changes[last + 1 :]) == {("DELETE", CLAIM)}
        # The store is whole, and still held by this run, which only has to come to its end.
        assert main([*words, "--run-dir", "other.run"]) == 2
        proxy.fault = lambda count, method, path: ""
        assert main(words) == 0
        assert main(words) == 2
    assert CLAIM not in kv.list_keys(resolve("results:h.zarr", place.site))


def said_by(place: Place, root: Root, capsys: pytest.CaptureFixture[str] | None = None) -> str:
    site = Site(place.file, {"x": root})
    with pytest.raises(ChunkwiseError) as caught:
        open_image(resolve("x:i.ome.zarr", site))
    words = str(caught.value)
    assert words.endswith(".")
    assert "\n" not in words
    assert place.s3.secret not in words
    return words


@pytest.mark.usefixtures("impatient")
def test_keys_that_do_not_fit(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://images/{place.prefix}"
    good = place.access(place.s3.url)
    guest, nobody = (good | {"credentials_profile": name} for name in ("guest", "nobody"))
    assert "(HTTP 403, AccessDenied)" in said_by(place, Root("x", None, url, False, **guest))
    assert "no keys for the profile 'nobody'" in said_by(place, Root("x", None, url, False, **nobody))
    wrong = tmp_path / "wrong"
    wrong.write_text("[default]\naws_access_key_id = lab:owner\naws_secret_access_key = guessed\n")
    wrong.chmod(0o600)
    words = said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    assert "(HTTP 403, SignatureDoesNotMatch)" in words
    assert "the keys of the root 'x' have to be right" in words
    wrong.chmod(0o644)
    remote._check_keys.cache_clear()
    words = said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    assert "can be read by others" in words
    wrong.write_bytes(b"\xff\xfenonsense")
    wrong.chmod(0o600)
    remote._check_keys.cache_clear()
    assert "is damaged" in said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    absent = good | {"credentials_file": str(tmp_path / "absent")}
    assert "No such file" in said_by(place, Root("x", None, url, False, **absent))


def test_keys_from_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root("x", None, f"s3://images/{place.prefix}", False, endpoint=place.s3.url, credentials="environment")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set" in said_by(place, root)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lab:owner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", place.s3.secret)
    assert open_image(resolve("x:i.ome.zarr", Site(place.file, {"x": root}))).levels[0].shape == (300, 300)


def test_nothing_that_travels_holds_a_key(place: Place) -> None:
    location = resolve("images:i.ome.zarr", place.site)
    run = Run("folder", location, "hash")
    for text in (repr(location), str(location), pickle.dumps(run).decode("latin-1"), repr(run)):
        assert place.s3.secret not in text
    assert str(place.s3.credentials) not in repr(run)
    # A worker can open it with what travelled.
    store = pickle.loads(pickle.dumps(location))
    assert open_image(store).levels[0].shape == (300, 300)


@pytest.mark.usefixtures("impatient")
def test_servers_and_buckets_that_are_not_there(place: Place) -> None:
    good = place.access(place.s3.url)
    down = good | {"endpoint": f"http://127.0.0.1:{free_port()}"}
    words = said_by(place, Root("x", None, "s3://images/a", False, **down))
    assert "its server was asked 6 times and gave nothing (CURL error Could not connect" in words
    root = Root("x", None, "s3://absent/a", True, **good)
    target = resolve("x:s.zarr", Site(place.file, {"x": root}), write=True)
    for ask in (lambda: kv.list_keys(target), lambda: kv.put_key(target, "k", b"v")):
        with pytest.raises((InputError, ResumableError), match="there is no bucket 'absent' at its server"):
            ask()
    with pytest.raises(InputError, match="there is no bucket 'absent'"):
        open_image(target)


def test_only_listed_prefixes(place: Place) -> None:
    prefix = place.prefix
    for text in (
        "s3://images/other/i.zarr",
        f"s3://images/{prefix}x/i.zarr",
        f"s3://images/{prefix}/../other/i.zarr",
        f"s3://images/{prefix}/%2e%2e/other",
        f"s3://images/{prefix}/a/%2E%2e%2f../other",
        "s3://images",
        f"s3://image/{prefix}/i.zarr",
        f"s3://images@results/{prefix}/i.zarr",
        f"s3://images:80/{prefix}/i.zarr",
        f"{place.s3.url}/images/{prefix}/i.ome.zarr",
        "images:../i.zarr",
        "images:%2e%2e/i.zarr",
    ):
        with pytest.raises(PolicyError):
            resolve(text, place.site)
    for text in (f"s3://images/{prefix}/i.zarr", "images:i.zarr"):
        with pytest.raises(PolicyError, match="may be read but not written"):
            resolve(text, place.site, write=True)
    inside = resolve("images:i.ome.zarr", place.site)
    for path in ("../x", "..", "0/../../x", "a/%2e%2e/../../../x"):
        with pytest.raises(PolicyError):
            inside.child(path)
    assert kv.read_key(inside, "%2e%2e/zarr.json") is None
    assert kv.read_key(inside, "zarr.json") is not None


def test_small_files_are_not_written_to_urls(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for output in ("s3://results/a.ome.tif", f"s3://results/{place.prefix}/a.ome.tif"):
        assert main(["fetch", "images:i.ome.zarr", "--output", output]) == 2
        assert "is a URL, and this file goes to a folder of this machine" in capsys.readouterr().err


def test_names_with_signs(place: Place) -> None:
    target = resolve("results:my $(x) store; 100%41 ü'.zarr".replace("%", "%25"), place.site, write=True)
    assert main(["fetch", "images:i.ome.zarr", "--output", target.address, "--workers", "1"]) == 0
    assert (arrays.open_array(target.child("0")).read((slice(0, 300), slice(0, 300))) == place.voxels).all()
    assert "s3://" not in "".join(os.listdir(place.folder))


def test_a_public_bucket_is_read_without_keys(place: Place, tmp_path: Path) -> None:
    """Without keys a request for an object is that of a web page: any web server can stand for the bucket."""
    from web_server import running_nginx

    with running_nginx(tmp_path / "public") as web:
        write(web.files / "bucket" / "i.ome.zarr", "0.5", "yx", (16, 16))
        root = Root("x", None, "s3://bucket", False, endpoint=web.url)
        place_of = resolve("x:i.ome.zarr", Site(place.file, {"x": root}))
        assert open_image(place_of).levels[0].shape == (16, 16)
        assert (arrays.open_array(place_of.child("0")).read((slice(0, 16), slice(0, 16))) == 0).all()
        assert isinstance(place_of, Location)
