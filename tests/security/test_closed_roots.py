"""A root that is closed to somebody cannot be read by any way there is; each way is seen to work for whom it is open.

The mutants at the end take a check away, and the secret comes out: so the tests would notice.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.provenance.crate import build_crate
from chunkwise.provenance.record import Recorder
from chunkwise.reference import Reference
from chunkwise.storage import location as policy

#: Voxels of the secret image; those of all others are below 100.
SECRET = 54321
OWNER, OTHER = "owner@example.org", "eve@example.org"

World = Path


def make_image(path: Path, value: int, **named: Any) -> Path:
    """An image of 16 x 16 voxels of one value, with one object of a higher one."""
    made_stores.write(path, **named)
    for level in ("0", "1"):
        array: Any = zarr.open_array(path / level, mode="r+")
        array[...] = value
        array[..., 2:4, 2:4] = value + 1
    return path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Images for everybody; in them a clinic's, and beside them a laboratory's, both closed to all but their owner."""
    (tmp_path / "job").mkdir()
    (tmp_path / "data").mkdir()
    make_image(tmp_path / "data" / "own.ome.zarr", 7)
    for place in ("data/clinic", "lab"):
        store = make_image(tmp_path / place / "secret.ome.zarr", SECRET)
        shutil.copytree(tmp_path / "data" / "own.ome.zarr", store / "labels" / "nuclei")
        made_stores.change_json(
            store / "labels" / "nuclei" / "zarr.json", lambda m: m["attributes"]["ome"].update({"image-label": {}})
        )
        labels = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", "labels": ["nuclei"]}},
        }
        (store / "labels" / "zarr.json").write_text(json.dumps(labels))
    (tmp_path / "m.tsv.gz").write_bytes(gzip.compress(f"{'0' * 64}\t1\tzarr.json\n".encode()))
    (tmp_path / "site.toml").write_text(
        f'[roots.data]\npath = "{tmp_path}/data"\n'
        f'[roots.clinic]\npath = "{tmp_path}/data/clinic"\nusers = ["{OWNER}"]\n'
        f'[roots.lab]\npath = "{tmp_path}/lab"\ngroups = ["lab"]\n'
        f'[roots.jobs]\npath = "{tmp_path}/job"\naccess = "write"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.chdir(tmp_path / "job")
    become(monkeypatch, OTHER)
    return tmp_path


def become(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    monkeypatch.setenv("CHUNKWISE_USER", user)
    monkeypatch.setenv("CHUNKWISE_GROUPS", "lab" if user == OWNER else "visitors")


def reference(world: World, store: dict[str, str]) -> str:
    """A reference as anybody can write one, in the job's folder; a full fingerprint is not compared."""
    content = {
        "chunkwise_reference": 1,
        "kind": "image",
        "store": store,
        "description": {},
        "fingerprint": {"level": "full", "algorithm": "sha256-manifest", "value": "00" * 32},
        "records": [],
    }
    (world / "job" / "reference.json").write_text(json.dumps(content))
    return "reference.json"


def linked(world: World, target: Path) -> str:
    link = world / "data" / "link.ome.zarr"
    link.symlink_to(target)
    return str(link)


#: Ways to name the secret store of the clinic ("C", inside an open root) and of the laboratory ("L").
WAYS: dict[str, Callable[[World, Path], str]] = {
    "path": lambda world, store: str(store),
    "path with ..": lambda world, store: f"{world}/data/../{store.relative_to(world)}",
    "relative path": lambda world, store: f"../{store.relative_to(world)}",
    "file uri": lambda world, store: f"file://{store}",
    "encoded uri": lambda world, store: f"file://{quote(str(store.parent))}/%73ecret.ome.zarr",
    "encoded ..": lambda world, store: f"file://{world}/data/%2e%2e/{store.relative_to(world)}",
    "root": lambda world, store: f"{store.parent.name}:secret.ome.zarr",
    "root around": lambda world, store: f"data:{os.path.relpath(store, world / 'data')}",
    "link": linked,
    "link to the folder": lambda world, store: linked(world, store.parent) + "/secret.ome.zarr",
    "relative link": lambda world, store: linked(world, Path(os.path.relpath(store, world / "data"))),
    "reference by root": lambda world, store: reference(world, {"root": store.parent.name, "path": "secret.ome.zarr"}),
    "reference by root around": lambda world, store: reference(
        world, {"root": "data", "path": os.path.relpath(store, world / "data")}
    ),
    "reference by path": lambda world, store: reference(world, {"path": str(store)}),
    "reference by uri": lambda world, store: reference(world, {"url": f"file://{store}"}),
    "reference by link": lambda world, store: reference(world, {"path": linked(world, store)}),
    "reference that smuggles a root": lambda world, store: reference(
        world, {"root": "data", "path": f"../{store.relative_to(world)}"}
    ),
}
#: What each command does with an image; measure and compare read two.
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "open": lambda image: ["open", image, "--output", "out.json"],
    "open what a user typed": lambda image: ["open", image, "--user-text", "--output", "out.json"],
    "inspect": lambda image: ["inspect", image, "--json", "out.json", "--html", "out.html"],
    "segment": lambda image: ["segment", image, "--sigma", "0", "--output", "out.ome.zarr", "--overlay", "out.png"],
    "fetch": lambda image: ["fetch", image, "--output", "out.ome.zarr"],
    "fetch as tiff": lambda image: ["fetch", image, "--output", "out.ome.tif"],
    "measure": lambda image: ["measure", "--labels", "../data/own.ome.zarr", "--image", image, "--output", "out.tsv"],
    "measure the labels": lambda image: ["measure", "--labels", image, "--output", "out.tsv"],
    "compare": lambda image: ["compare", image, image, "--output", "out.json"],
    "verify": lambda image: ["verify", image, "--against", "../m.tsv.gz", "--json", "out.json"],
}


def refused(world: World, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Call it, see it refused without a trace of the secret, and give the sentence."""
    before = set(os.listdir("."))
    capsys.readouterr()
    assert main(words) == 3
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert str(SECRET) not in said.out + said.err
    assert set(os.listdir(".")) == before
    return said.err


@pytest.mark.parametrize("place", ["data/clinic", "lab"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_closed(
    world: World, way: str, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world / place / "secret.ome.zarr"
    said = refused(world, COMMANDS["open"](WAYS[way](world, store)), capsys)
    # What is not there is refused in the same words.
    for path in (store, world / "data" / "link.ome.zarr"):
        if os.path.lexists(path):
            shutil.rmtree(path) if not path.is_symlink() else path.unlink()
    absent = refused(world, COMMANDS["open"](WAYS[way](world, store)), capsys)
    assert said == absent


@pytest.mark.parametrize("place", ["data/clinic", "lab"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_open_to_its_owner(world: World, way: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the policy lets anybody through at all: so that the test above can fail."""
    become(monkeypatch, OWNER)
    code = main(COMMANDS["open"](WAYS[way](world, world / place / "secret.ome.zarr")))
    outside = place == "lab" and way in ("root around", "reference by root around", "reference that smuggles a root")
    assert code == 0 or (outside and code in (0, 3))
    if code == 0:
        assert "secret.ome.zarr" in Path("out.json").read_text()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("way", ["path", "link", "root", "reference by root", "reference by link"])
def test_every_command_asks(world: World, command: str, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = WAYS[way](world, world / "data" / "clinic" / "secret.ome.zarr")
    if command == "open what a user typed" and way.startswith("reference"):
        assert main(COMMANDS[command](image)) in (2, 3)  # no reference is read there
        return
    refused(world, COMMANDS[command](image), capsys)


def test_a_reference_of_the_owner_is_of_no_use_to_others(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a history is shared: the reference is checked at every use, and was right when it was made."""
    become(monkeypatch, OWNER)
    assert main(["open", "clinic:secret.ome.zarr", "--output", "mine.json"]) == 0
    assert main(COMMANDS["inspect"]("mine.json")) == 0
    for name in ("out.json", "out.html"):
        (world / "job" / name).unlink()
    become(monkeypatch, OTHER)
    for command in ("inspect", "segment", "measure", "fetch"):
        refused(world, COMMANDS[command]("mine.json"), capsys)


# ---- a store of one's own that leads into the secret


def own_store(world: World, name: str = "mine.ome.zarr", **named: Any) -> Path:
    return make_image(world / "data" / name, 7, **named)


def replace_by_link(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


def link_level(store: Path, secret: Path) -> None:
    replace_by_link(store / "0", secret / "0")


def link_level_relatively(store: Path, secret: Path) -> None:
    replace_by_link(store / "0", Path(os.path.relpath(secret / "0", store)))


def link_chunk_folder(store: Path, secret: Path) -> None:
    replace_by_link(store / "0" / "c", secret / "0" / "c")


def link_inner_chunk_folder(store: Path, secret: Path) -> None:
    replace_by_link(store / "0" / "c" / "0", secret / "0" / "c" / "0")


def link_chunk(store: Path, secret: Path) -> None:
    replace_by_link(store / "0" / "c" / "0" / "0", secret / "0" / "c" / "0" / "0")


def link_chunk_twice(store: Path, secret: Path) -> None:
    (store / "hop").symlink_to(secret / "0" / "c" / "0" / "0")
    replace_by_link(store / "0" / "c" / "0" / "0", store / "hop")


def link_metadata(store: Path, secret: Path) -> None:
    replace_by_link(store / "zarr.json", secret / "zarr.json")


def link_array_metadata(store: Path, secret: Path) -> None:
    replace_by_link(store / "0" / "zarr.json", secret / "0" / "zarr.json")


def name_level(how: Callable[[Path, Path], str]) -> Callable[[Path, Path], None]:
    def change(store: Path, secret: Path) -> None:
        def set_path(metadata: Any) -> None:
            metadata["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = how(store, secret)

        made_stores.change_json(store / "zarr.json", set_path)

    return change


LEADS: dict[str, Callable[[Path, Path], None]] = {
    "level is a link": link_level,
    "level is a relative link": link_level_relatively,
    "chunk folder is a link": link_chunk_folder,
    "inner chunk folder is a link": link_inner_chunk_folder,
    "chunk is a link": link_chunk,
    "chunk is a link to a link": link_chunk_twice,
    "metadata are a link": link_metadata,
    "metadata of the array are a link": link_array_metadata,
    "level named by ..": name_level(lambda store, secret: os.path.relpath(secret / "0", store)),
    "level named by an absolute path": name_level(lambda store, secret: str(secret / "0")),
    "level named by .. in the middle": name_level(lambda store, secret: f"0/../{os.path.relpath(secret / '0', store)}"),
    "level named by a uri": name_level(lambda store, secret: f"file://{secret}/0"),
}


@pytest.mark.parametrize("place", ["data/clinic", "lab"])
@pytest.mark.parametrize("lead", LEADS)
def test_a_store_does_not_lead_into_a_closed_root(
    world: World, lead: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = own_store(world)
    LEADS[lead](store, world / place / "secret.ome.zarr")
    for command in ("fetch", "segment"):
        capsys.readouterr()
        assert main(COMMANDS[command](str(store))) in (2, 3)
        said = capsys.readouterr()
        assert str(SECRET) not in said.out + said.err
        nothing_but_a_failed_run()


def nothing_but_a_failed_run() -> None:
    """No output; and where work had begun, the record that says how it ended."""
    left = os.listdir(".")
    assert left in ([], ["out.ome.zarr.run"])
    for folder in left:
        assert {path.name for path in Path(folder).rglob("*") if path.is_file()} <= {"plan.json", "record.json"}
        record = json.loads(Path(folder, "record.json").read_text())
        assert record["status"] == "failed"
        assert str(SECRET) not in record["error"]


def test_a_store_may_lead_to_what_is_open(world: World) -> None:
    """Links inside a root are how some archives keep stores; the same lead into an open store is followed."""
    store, other = own_store(world), make_image(world / "data" / "other.ome.zarr", 9)
    link_chunk(store, other)
    assert main(COMMANDS["fetch"](str(store))) == 0
    found: Any = zarr.open_array("out.ome.zarr/0", mode="r")
    assert found[0, 0] == 9
    assert found[15, 15] == 7


@pytest.mark.parametrize("command", ["inspect", "open"])
@pytest.mark.parametrize("what", ["labels", "labels/nuclei", "labels/nuclei/0"])
def test_labels_that_are_a_link(world: World, what: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    store, secret = own_store(world), world / "lab" / "secret.ome.zarr"
    shutil.copytree(secret / "labels", store / "labels")
    replace_by_link(store / what, secret / what)
    code = main(COMMANDS[command](str(store)))
    if what == "labels/nuclei/0" or code == 0:
        written = "".join(Path(name).read_text() for name in os.listdir("."))
        assert "is a symbolic link to a place outside" in written or command == "open"
    else:
        assert code == 3
        assert os.listdir(".") == []


def test_labels_named_elsewhere(world: World) -> None:
    store = own_store(world)
    (store / "labels").mkdir()
    for name in ("../../../lab/secret.ome.zarr", f"{world}/lab/secret.ome.zarr"):
        labels = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "labels": [name]}}}
        (store / "labels" / "zarr.json").write_text(json.dumps(labels))
        assert main(COMMANDS["inspect"](str(store))) in (2, 3)
        assert os.listdir(".") == []


@pytest.mark.parametrize(
    "path", ["../../../lab/secret.ome.zarr", "A/../../../../lab/secret.ome.zarr", "/LAB/secret.ome.zarr"]
)
def test_a_plate_that_names_wells_elsewhere(world: World, path: str) -> None:
    plate = world / "data" / "plate.ome.zarr"
    plate.mkdir()
    entry = {"path": path.replace("/LAB", f"{world}/lab"), "rowIndex": 0, "columnIndex": 0}
    block = {"version": "0.5", "plate": {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [entry]}}
    (plate / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": block}}))
    assert main(COMMANDS["inspect"](str(plate))) in (2, 3)
    assert os.listdir(".") == []


def test_a_collection_that_names_images_elsewhere(world: World) -> None:
    top = world / "data" / "collection.zarr"
    (top / "OME").mkdir(parents=True)
    group = {"zarr_format": 3, "node_type": "group"}
    layout = {"version": "0.5", "bioformats2raw.layout": 3}
    series = {"version": "0.5", "series": ["../../lab/secret.ome.zarr"]}
    (top / "zarr.json").write_text(json.dumps(group | {"attributes": {"ome": layout}}))
    (top / "OME" / "zarr.json").write_text(json.dumps(group | {"attributes": {"ome": series}}))
    assert main(COMMANDS["fetch"](str(top))) in (2, 3)
    assert os.listdir(".") == []


@pytest.mark.parametrize("level", ["stat", "full"])
def test_a_fingerprint_is_not_taken_of_the_secret(world: World, level: str) -> None:
    """A digest of every byte tells whoever guesses the bytes whether the guess is right."""
    store = own_store(world)
    (store / "note.txt").symlink_to(world / "lab" / "secret.ome.zarr" / "zarr.json")
    assert main([*COMMANDS["open"](str(store)), "--fingerprint", level]) == 3
    assert os.listdir(".") == []
    assert main(COMMANDS["open"](str(store))) == 0


@pytest.mark.parametrize("form", ["record", "reference", "crate"])
@pytest.mark.parametrize("way", ["path", "root", "table"])
def test_verify_does_not_go_where_a_record_leads(
    world: World, way: str, form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever guesses the bytes of a secret would learn from 'the same' that the guess is right."""
    store = world / "data" / "clinic" / "secret.ome.zarr"
    become(monkeypatch, OWNER)
    assert main([*COMMANDS["open"]("clinic:secret.ome.zarr"), "--fingerprint", "full"]) == 0
    mark = json.loads(Path("out.json").read_text())["fingerprint"]
    recorder = Recorder("segment", {})
    if way == "table":
        digest = hashlib.sha256((store / "zarr.json").read_bytes()).hexdigest()
        mark = {"level": "full", "algorithm": "sha256", "value": digest}
        recorder.output("output", "table", str(store / "zarr.json"), fingerprint=mark)
    elif way == "root":
        recorder.output("output", "labels", "secret.ome.zarr", root="clinic", fingerprint=mark)
    else:
        recorder.output("output", "labels", str(store), fingerprint=mark)
    record = recorder.finish()
    (made,) = record.outputs
    if form == "crate":
        build_crate([record], "guess.json")
    elif form == "record":
        Path("guess.json").write_text(record.to_json())
    else:
        Reference(made.kind, made.location, made.root, {}, mark).write("guess.json")
    assert main(["verify", "guess.json"]) == 0
    become(monkeypatch, OTHER)
    refused(world, ["verify", "guess.json", "--json", "report.json"], capsys)


def test_a_store_that_zarr_python_reads(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The other reader, for codecs of Zarr v2 that tensorstore does not know, looks at links as well."""
    from numcodecs import LZ4

    store = own_store(world, version="0.4")
    for place, value in ((store, 7), (world / "lab" / "old.ome.zarr", SECRET)):
        if not place.exists():
            make_image(place, value, version="0.4")
        shutil.rmtree(place / "0")
        array = zarr.create_array(
            place / "0", shape=(16, 16), chunks=(8, 8), dtype="uint16", zarr_format=2, compressors=LZ4()
        )
        array[...] = value
    assert main(COMMANDS["fetch"](str(store))) == 0
    shutil.rmtree("out.ome.zarr")
    shutil.rmtree("out.ome.zarr.run")
    (chunk, *_) = (name for name in sorted(os.listdir(store / "0")) if name == "0.0")
    replace_by_link(store / "0" / chunk, world / "lab" / "old.ome.zarr" / "0" / chunk)
    assert main(COMMANDS["fetch"](str(store))) in (2, 3)
    assert "symbolic link" in capsys.readouterr().err
    nothing_but_a_failed_run()


# ---- seen to be caught: without its check, each lets the secret out


def secret_came_out() -> bool:
    found: Any = zarr.open_array("out.ome.zarr/0", mode="r")
    return int(np.max(found[:])) >= SECRET


@pytest.mark.parametrize("lead", ["level is a link", "chunk folder is a link", "chunk is a link"])
@pytest.mark.parametrize("place", ["data/clinic", "lab"])
def test_mutant_without_a_look_at_links(world: World, lead: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy.Location, "allows", lambda self, real: True)
    store = own_store(world)
    LEADS[lead](store, world / place / "secret.ome.zarr")
    assert main(COMMANDS["fetch"](str(store))) == 0
    assert secret_came_out()


def test_mutant_where_the_outer_root_decides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shortest = lambda items, key, default=None: min(items, key=key, default=default)  # noqa: E731
    monkeypatch.setattr(policy, "max", shortest, raising=False)
    # Even so the closed root is one that nothing inside the outer one leads into; without that as well:
    assert main(["open", "data:clinic/secret.ome.zarr", "--output", "out.json"]) == 3
    monkeypatch.setattr(policy.Location, "allows", lambda self, real: True)
    assert main(["open", "data:clinic/secret.ome.zarr", "--output", "out.json"]) == 0


@pytest.mark.parametrize("way", ["path", "root", "reference by root", "reference by path", "link"])
def test_mutant_that_does_not_ask_who(world: World, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chunkwise.site.Root.open_to", lambda self, person: True)
    assert main(COMMANDS["fetch"](WAYS[way](world, world / "lab" / "secret.ome.zarr"))) == 0
    assert secret_came_out()


# ---- a crate that anybody may have written


def forged(world: World, place: str, kind: str = "image") -> str:
    """The record of a run on a place, as anybody can write one."""
    recorder = Recorder("fetch", {})
    recorder.input("image", kind, place)
    recorder.output("output", "image", world / "job" / "piece.ome.zarr")
    (world / "job" / "forged.json").write_text(recorder.finish().to_json())
    return "forged.json"


@pytest.mark.parametrize("place", ["data/clinic", "lab"])
def test_a_rerun_asks_the_policy(world: World, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = world / place / "secret.ome.zarr"
    said = [refused(world, ["crate", "rerun", forged(world, str(store)), "--output", "again"], capsys)]
    Path("forged.json").unlink()
    shutil.copytree(world / "data" / "own.ome.zarr", world / "job" / "own.ome.zarr")
    record = forged(world, str(world / "job" / "own.ome.zarr"))
    said.append(
        refused(world, ["crate", "rerun", record, "--map", f"own.ome.zarr={store}", "--output", "again"], capsys)
    )
    assert all("is under none of this site's roots that are open to you" in sentence for sentence in said)
    refused(world, ["crate", "rerun", record, "--output", str(world / "data" / "again")], capsys)
    assert main(["crate", "rerun", record, "--output", "again"]) in (0, 1), "a place that is open is read"
    assert (world / "job" / "again" / "fetch-1" / "output.ome.zarr").is_dir()


@pytest.mark.parametrize("place", ["data/clinic", "lab"])
def test_a_report_shows_nothing_of_a_closed_root(
    world: World, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world / place / "secret.ome.zarr"
    record = forged(world, str(store))

    def report(name: str) -> str:
        assert main(["crate", "report", record, "--html", name]) == 0
        return capsys.readouterr().err

    said = report("eve.html")
    assert "data:image/png" not in Path("eve.html").read_text()
    store.rename(store.with_name("elsewhere"))
    assert report("absent.html") == said, "the same is said of what is not there"
    store.with_name("elsewhere").rename(store)
    become(monkeypatch, OWNER)
    report("owner.html")
    assert "data:image/png" in Path("owner.html").read_text()
