"""Stores on a real S3 server: read, written, gone on with after a kill, by one run at a time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zarr

from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run
from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.ngff.read import open_image
from chunkwise.site import Root, Site
from chunkwise.storage import arrays, kv
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.growth import CLAIM, growth_of
from chunkwise.storage.location import resolve
from chunkwise.storage.writer import put_object
from closed_runs import close, objects_of
from faulty_proxy import faulty_proxy
from made_stores import digest
from s3_place import Place
from s3_server import S3

pytestmark = pytest.mark.s3


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
    done_one = re.compile(rf'"block":\d+,.*"pass":"{phase}"')  # not the line with which the pass begins
    while not any(done_one.search(segment.read_text()) for segment in journal.glob("*.jsonl")):
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
    _, rows = close(place.folder / f"{name}.run", place.folder / f"{name}.zip")
    assert {row["status"] for row in rows} == {"done"}
    said = {key for key in objects_of(rows) if not key.startswith("scratch/")}
    assert said <= set(before)
    assert bool(said) == (phase != "label")
    # Another run may not write there, whatever it has in common with this one.
    assert main([*words, "--run-dir", "other.run"]) == 2
    assert not Path("other.run").exists()
    assert main(words) == 0
    assert digest(place.files(name)) == digest(Path("whole.zarr"))
    entries = [line for segment in journal.glob("*.jsonl") for line in segment.read_text().splitlines()]
    for done in ("label", phase):
        blocks = [
            re.findall(r'"block":(\d+)', line)[0]
            for line in entries
            if f'"pass":"{done}"' in line and '"status":"done"' in line
        ]
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
    plan = Plan("test", {}, {}, {})
    run = Run.at(plan, "b.run", target)
    run.begin(plan, target.address)
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
        assert "have to be correct and allow writing" in capsys.readouterr().err
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


def test_small_files_are_not_written_to_urls(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    inside = f"s3://results/{place.prefix}/a.ome.tif", 2, "is a URL, and this file can only be written to this machine"
    for output, code, sentence in (inside, ("s3://results/a.ome.tif", 3, "none of this site's roots")):
        assert main(["fetch", "images:i.ome.zarr", "--output", output]) == code
        assert sentence in capsys.readouterr().err


def test_names_with_signs(place: Place) -> None:
    target = resolve("results:my $(x) store; 100%41 ü'.zarr".replace("%", "%25"), place.site, write=True)
    assert main(["fetch", "images:i.ome.zarr", "--output", target.address, "--workers", "1"]) == 0
    assert (arrays.open_array(target.child("0")).read((slice(0, 300), slice(0, 300))) == place.voxels).all()
    assert "s3://" not in "".join(os.listdir(place.folder))


def test_results_of_one_name(place: Place) -> None:
    Path("list.csv").write_text(
        "source,output\nhere:i.ome.zarr,results:a/o.ome.zarr\nhere:i.ome.zarr,results:b/o.ome.zarr\n"
    )
    for status in ("written", "already there"):
        assert main(["convert", "here:list.csv", "--output", "here:t.tsv"]) == 0
        assert [line.split("\t")[2] for line in Path("t.tsv").read_text().splitlines()[1:]] == [status, status]
    for name in "ab":
        copied: Any = zarr.open_array(place.files(f"{name}/o.ome.zarr") / "0", mode="r")
        assert copied[...].tolist() == place.voxels.tolist()
