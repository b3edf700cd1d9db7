"""Whatever a command writes lies where the site allows it: command by command, option by option.

``OPTIONS`` says of every option of every command whether it names something that is read, something that is written,
a name below a place of the site's own, or neither. A new option that is not in it fails the first test; one that is
written has to be an ``Output``, and is tried here for real.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import made_stores
from chunkwise.cli import COMMANDS, build_parser, main
from chunkwise.commands.outputs import Output
from chunkwise.commands.stores import StoreWriter
from chunkwise.errors import ResumableError
from made_models import make_package
from verifying import fill

MADE = Path(__file__).parents[2] / "test-data"

_ABOUT = (
    "--name --description --license --author-name --author-orcid --organization --organization-url --organism "
    "--modality --specimen --biosample --channel --image-license"
)
_SPREAD = "--workers --memory --block"
_REPORTS = "--reference --crate --record --run-dir"
_CUT = "--level --time --region"
_STORE = f"--output {_REPORTS}"

#: Command -> what its options name: places that are read; places that are written; names of results below a place that
#: the site or the image has; and all else.
OPTIONS: dict[str, dict[str, str]] = {
    "open": {"reads": "location", "writes": "--output --manifest", "else": "--user-text --fingerprint --dandi"},
    "inspect": {"reads": "image", "writes": "--json --html --pictures"},
    "segment": {
        "reads": "image",
        "writes": f"{_STORE} --overlay",
        "names": "--to-workspace --into-source",
        "else": f"{_CUT} {_SPREAD} --channel --sigma --threshold --foreground --connectivity --fill-holes --min-size "
        "--split --split-min-distance --shard --no-pyramid",
    },
    "predict": {
        "reads": "image --model",
        "writes": _STORE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_SPREAD} --channel --map --dtype --rescale --shard --no-pyramid",
    },
    "objects": {
        "reads": "image",
        "writes": f"{_STORE} --overlay",
        "names": "--to-workspace --into-source",
        "else": f"{_CUT} {_SPREAD} --method --channels --threshold --seed-threshold --min-distance --flow-scale "
        "--steps --sink-distance --nms-threshold --max-radius --grid --connectivity --fill-holes --min-size --shard "
        "--no-pyramid",
    },
    "measure": {
        "reads": "--labels --image",
        "writes": f"--output --dictionary {_REPORTS}",
        "else": f"{_CUT} {_SPREAD} --properties --percentiles --channel --format",
    },
    "compare": {
        "reads": "truth predicted",
        "writes": f"--output --table --html --pictures {_REPORTS}",
        "else": f"{_CUT} {_SPREAD} --threshold --share",
    },
    "fetch": {
        "reads": "image",
        "writes": _STORE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_SPREAD} --channel --format --shard",
    },
    "crate build": {
        "reads": "--from --about --source-crate",
        "writes": "--output",
        "else": f"{_ABOUT} --publish --profile",
    },
    "crate validate": {"reads": "crate", "else": "--level --profile"},
    "crate merge": {
        "reads": "--galaxy --runs --about --source-crate",
        "writes": "--output",
        "else": f"{_ABOUT} --outside --publish",
    },
    "crate report": {"reads": "crate", "writes": "--html"},
    "crate rerun": {"reads": "crate --map", "writes": "--output", "else": "--dry-run"},
    "verify": {"reads": "data --against", "writes": "--json", "else": "--what --dandi"},
    "model add": {"reads": "package", "writes": "--library", "else": "--id"},
    "model list": {"reads": "--library", "writes": "--loc", "else": "--json"},
    "model test": {"else": "model"},
    "model remove": {"writes": "--library", "else": "model"},
    "site check": {"else": "--json"},
    "workspace clean": {"reads": "--references", "else": "--delete --json"},
    "workspace folder": {"else": "email"},
}

#: What a command is given beside its outputs; words in capitals are of the fixture ``made``.
WORDS = {
    "open": "IMAGE --fingerprint full",
    "inspect": "IMAGE",
    "segment": "IMAGE --workers 1",
    "predict": "IMAGE --model tiny --workers 1",
    "objects": "MAPS --workers 1",
    "measure": "--labels LABELS --workers 1",
    "compare": "LABELS LABELS --workers 1",
    "fetch": "IMAGE --workers 1",
    "crate build": "--from RECORD",
    "crate merge": "--galaxy EXPORT",
    "crate report": "CRATE",
    "crate rerun": "CRATE",
    "verify": "CRATE --what outputs",
    "model add": "PACKAGE --id more",
    "model list": "",
    "model remove": "tiny",
}
#: How outputs are called, where their ending matters or the folder has to be there.
NAMES = {
    "--manifest": "m.tsv.gz",
    "--overlay": "o.png",
    "--table": "t.tsv",
    "--dictionary": "d.tsv",
    "--crate": "c.zip",
}
STORES = ("segment", "predict", "objects", "fetch")
#: Outputs that a command needs, or that another output needs.
NEEDED = {
    "open": ["--output"],
    "inspect": ["--html"],
    "compare": ["--output", "--html"],
    **{command: ["--output"] for command in (*STORES, "measure")},
}

WRITES = [(command, option) for command, row in OPTIONS.items() for option in row.get("writes", "").split()]


def options_of(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.Action]]:
    """Every option of a command and of its actions, with the words that call it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                yield from options_of(child, f"{name} {word}")
        elif not isinstance(action, argparse._HelpAction):
            yield name, action


def parser_of(command: str) -> argparse.ArgumentParser:
    commands = (one for one in build_parser(command)._actions if isinstance(one, argparse._SubParsersAction))
    parser: argparse.ArgumentParser = next(commands).choices[command]
    return parser


def name_of(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else action.dest


def test_every_option_is_known_for_what_it_names() -> None:
    found: dict[str, set[str]] = {}
    outputs = []
    for command in COMMANDS:
        for name, action in options_of(parser_of(command), command):
            found.setdefault(name, set()).add(name_of(action))
            if isinstance(action.type, type) and issubclass(action.type, Output):
                outputs.append((name, name_of(action)))
                assert action.nargs is None, "what holds outputs looks at single ones"
    known = {
        command: {option for words in row.values() for option in words.split()} for command, row in OPTIONS.items()
    }
    assert found == known, "say in OPTIONS what a new option names"
    assert sorted(outputs) == sorted(WRITES), "what is written has to be an Output, and nothing else may be one"


# ---- the world that commands are tried in


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands read, made without a site file."""
    folder = tmp_path_factory.mktemp("made")
    image = fill(made_stores.write(folder / "images" / "i.ome.zarr", "0.5", "yx", (48, 48)))
    shutil.copytree(MADE / "discs_maps.ome.zarr", folder / "images" / "maps.ome.zarr")
    shutil.copy(MADE / "one_image.rocrate.zip", folder / "images" / "export.zip")
    labels, reports = str(folder / "images" / "l.ome.zarr"), folder / "images"
    words = ["segment", str(image), "--output", labels, "--workers", "1"]
    assert main([*words, "--record", str(reports / "r.json"), "--crate", str(reports / "c.zip")]) == 0
    how = {"method": "foreground-boundary", "channels": {"foreground": 0, "boundary": 1}}
    package = make_package(folder / "package", extra={"config": {"chunkwise": {"objects": how}}})
    (folder / "library").mkdir()
    assert main(["model", "add", str(package), "--id", "tiny", "--library", str(folder / "library")]) == 0
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Roots to read and to write, the folders of a service's jobs, and a place that is none of these, to stand in."""
    for name in ("results/library", "jobs/7/library", "outside/library"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copytree(made / "library", tmp_path / name, dirs_exist_ok=True)
    (tmp_path / "read").mkdir()
    (tmp_path / "results" / "way-out").symlink_to(tmp_path / "outside")
    (tmp_path / "results" / "way-to-read").symlink_to(tmp_path / "read")
    (tmp_path / "results" / "dangling").symlink_to(tmp_path / "outside" / "new")
    (tmp_path / "site.toml").write_text(
        f'[roots.images]\npath = "{made}/images"\n[roots.read]\npath = "{tmp_path}/read"\n'
        f'[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
        f'[roots.jobs]\npath = "{tmp_path}/jobs"\naccess = "job"\n[models]\nlibrary = "{made}/library"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.chdir(tmp_path / "outside")
    return tmp_path


def words_of(made: Path, command: str) -> list[str]:
    places = {
        "IMAGE": "images/i.ome.zarr",
        "LABELS": "images/l.ome.zarr",
        "MAPS": "images/maps.ome.zarr",
        "RECORD": "images/r.json",
        "CRATE": "images/c.zip",
        "EXPORT": "images/export.zip",
        "PACKAGE": "package",
    }
    return [*command.split(), *(str(made / places[w]) if w in places else w for w in WORDS[command].split())]


def output(command: str, option: str) -> str:
    """What an output is called in these tests."""
    if option == "--library":
        return "library"
    if option == "--output" and command in STORES:
        return "out.ome.zarr"
    return NAMES.get(option, f"{option.strip('-')}.out")


def call(made: Path, command: str, outputs: dict[str, str]) -> int:
    return main([*words_of(made, command), *(word for pair in outputs.items() for word in pair)])


def everything(folder: Path) -> dict[str, Any]:
    """All that lies below a folder: names, kinds, bytes."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


#: Places that no output may have, and what the sentence says.
REFUSED = {
    "outside": "none of this site's roots",
    "outside, by the working directory": "none of this site's roots",
    "a root to read": "which may be read but not written",
    "a link out of a root to write": "none of this site's roots",
    "a link to a root to read": "which may be read but not written",
    "a name that is a link out": "none of this site's roots",
    "a job's folder, by the name of its root": "none of this site's roots",
    "a root to read, by its name": "which may be read but not written",
    "around a root to write": "none of this site's roots",
}


def refused_place(world: Path, way: str, name: str) -> str:
    return {
        "outside": f"{world}/outside/{name}",
        "outside, by the working directory": name,
        "a root to read": f"{world}/read/{name}",
        "a link out of a root to write": f"{world}/results/way-out/{name}",
        "a link to a root to read": f"{world}/results/way-to-read/{name}",
        "a name that is a link out": f"{world}/results/dangling",
        "a job's folder, by the name of its root": f"jobs:7/{name}",
        "a root to read, by its name": f"read:{name}",
        "around a root to write": f"{world}/results/../outside/{name}",
    }[way]


@pytest.mark.parametrize(("command", "option"), WRITES)
def test_an_output_elsewhere_is_refused(
    made: Path, world: Path, command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(world), everything(made)
    outputs = {one: f"{world}/jobs/7/{output(command, one)}" for one in NEEDED.get(command, [])}
    for way, sentence in REFUSED.items():
        place = refused_place(world, way, output(command, option))
        assert call(made, command, outputs | {option: place}) == 3, way
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1), way
        assert sentence in said.err, way
    # And what is no place at all; a store may have an address, where the site has a root of it.
    address = 3 if option == "--output" and command in STORES else 2
    for text, code in (("", 2), ("https://example.org/x", address), ("s3://results/x", address)):
        assert call(made, command, outputs | {option: text}) == code, text
        assert capsys.readouterr().err.count("\n") == 1, text
    assert (everything(world), everything(made)) == before


@pytest.mark.parametrize("way", ["a root to write", "its name", "a job's folder", "the working directory"])
@pytest.mark.parametrize("command", WORDS)
def test_outputs_where_they_may_be(
    made: Path, world: Path, command: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All outputs of a command at once; and nothing is written anywhere else, such as a run directory by default."""
    place = world / "results" if way in ("a root to write", "its name") else world / "jobs" / "7"
    if way == "the working directory":
        monkeypatch.chdir(place)
    prefix = {"its name": "results:", "the working directory": ""}.get(way, f"{place}/")
    outputs = {one: f"{prefix}{output(command, one)}" for one in OPTIONS[command]["writes"].split()}
    if way == "a job's folder":
        outputs.pop("--run-dir", None)  # beside the output, then
    fixed = everything(made), everything(world / "outside"), everything(world / "read")
    others = everything(world / "jobs" if place == world / "results" else world / "results")
    before = everything(place)
    assert call(made, command, outputs) == 0
    after = everything(place)
    for option in outputs:
        path = str(place / output(command, option))
        changed = {name for name in after.keys() ^ before.keys() if name.startswith(path)}
        assert changed or option == "--run-dir", option
    assert (everything(made), everything(world / "outside"), everything(world / "read")) == fixed
    assert everything(world / "jobs" if place == world / "results" else world / "results") == others


def test_an_ome_tiff_is_an_output_like_any(made: Path, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("outside", "read"):
        assert call(made, "fetch", {"--output": f"{world}/{place}/out.ome.tif"}) == 3
        assert list((world / place).glob("out*")) == []
    assert call(made, "fetch", {"--output": f"{world}/results/out.ome.tif"}) == 0
    assert (world / "results" / "out.ome.tif").is_file()


@pytest.mark.parametrize("command", [command for command, row in OPTIONS.items() if "--into-source" in str(row)])
def test_labels_into_an_image_that_may_only_be_read(made: Path, world: Path, command: str) -> None:
    before = everything(made)
    assert call(made, command, {"--into-source": "more"}) == 3
    assert everything(made) == before
    source = words_of(made, command)[1]
    shutil.copytree(source, world / "results" / "own.ome.zarr")
    words = [command, str(world / "results" / "own.ome.zarr"), *words_of(made, command)[2:]]
    assert main([*words, "--into-source", "more"]) == 0
    assert (world / "results" / "own.ome.zarr" / "labels" / "more" / "zarr.json").is_file()


def test_a_job_s_folder_is_named_by_nobody(made: Path, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store in it is read where it stands plainly on the command line, as a service hands it over, and only then."""
    store = world / "jobs" / "7" / "own.ome.zarr"
    shutil.copytree(made / "images" / "i.ome.zarr", store)
    out = {"--json": f"{world}/jobs/7/out.json"}
    assert main(["inspect", str(store), *next(iter(out.items()))]) == 0
    os.unlink(out["--json"])
    reference = world / "jobs" / "7" / "reference.json"
    for way in ("jobs:7/own.ome.zarr", f"file://{store}", str(reference)):
        for named in ({"path": str(store)}, {"root": "jobs", "path": "7/own.ome.zarr"}):
            content = {"chunkwise_reference": 1, "kind": "image", "store": named, "description": {}, "fingerprint": {}}
            reference.write_text(json.dumps(content))
            assert main(["inspect", way, *next(iter(out.items()))]) == 3, way
    assert main(["open", str(store), "--user-text", "--output", f"{world}/jobs/7/out.json"]) == 3


# ---- names that commands make themselves

BESIDE = {
    "segment": ["out.ome.zarr.run", "out.ome.zarr.partial", "out.ome.zarr.partial.lock"],
    "fetch": ["out.ome.zarr.run", "out.ome.zarr.partial", "out.ome.zarr.partial.lock"],
    "measure": ["output.out.run"],
    "compare": ["output.out.run"],
}


@pytest.mark.parametrize("target", ["outside/new", "outside", "results/new", "read/new"])
@pytest.mark.parametrize(("command", "name"), [(command, name) for command, names in BESIDE.items() for name in names])
def test_a_link_under_a_name_that_a_run_makes(
    made: Path, world: Path, command: str, name: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "results" / name).symlink_to(world / target)
    before = everything(world)
    capsys.readouterr()
    outputs = {one: f"{world}/results/{output(command, one)}" for one in NEEDED[command]}
    assert call(made, command, outputs) in (2, 3)
    said = capsys.readouterr().err
    assert "is a symbolic link" in said
    assert said.count("\n") == 1
    assert everything(world) == before


@pytest.mark.parametrize("ending", ["run", "partial", "partial.lock"])
def test_a_link_beside_an_image_that_gets_labels(
    made: Path, world: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = world / "results" / "own.ome.zarr"
    shutil.copytree(made / "images" / "i.ome.zarr", store)
    (world / "results" / f"own.ome.zarr.labels-more.{ending}").symlink_to(world / "outside" / "new")
    before = everything(world)
    assert main(["segment", str(store), "--into-source", "more", "--workers", "1"]) == 3
    assert "is a symbolic link" in capsys.readouterr().err
    assert everything(world) == before


def test_a_lock_is_no_link_anywhere(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a site file, too: what is locked and removed is never somebody else's file."""
    monkeypatch.delenv("CHUNKWISE_SITE")
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", world / "absent.toml")
    (world / "outside" / "out.ome.zarr.partial.lock").symlink_to(world / "read" / "new")
    assert call(made, "fetch", {"--output": "out.ome.zarr"}) == 2
    assert "keeps its lock under that name" in capsys.readouterr().err
    assert list((world / "read").iterdir()) == []


def test_the_run_directory_of_a_store_on_s3(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in the working directory by default; what is refused is refused before any server is asked."""
    with (world / "site.toml").open("a") as file:
        file.write('[roots.bucket]\nurl = "s3://bucket"\naccess = "write"\nendpoint = "http://127.0.0.1:1"\n')
    before = everything(world)
    refused: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "out.ome.zarr.run lies under none of this site's roots"),
        ({"--run-dir": f"{world}/jobs"}, "jobs.lock lies under none of this site's roots"),
        ({"--run-dir": f"{world}/read/run"}, "which may be read but not written"),
    )
    for more, sentence in refused:
        assert call(made, "fetch", {"--output": "bucket:out.ome.zarr", **more}) == 3
        assert sentence in capsys.readouterr().err
    assert everything(world) == before
    monkeypatch.chdir(world / "jobs" / "7")
    monkeypatch.setattr("chunkwise.storage.remote.TRIES", 1)
    assert call(made, "fetch", {"--output": "bucket:out.ome.zarr"}) != 0
    assert "its server was asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "where", ["run/journal", "run/scratch", "run/cluster", "run/array", "partial/0", "partial/0/c"]
)
def test_a_run_goes_on_over_no_link(
    made: Path, world: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody who may write beside an unfinished run turns a folder of it into a link."""

    def cut(*_: Any) -> None:
        raise ResumableError("The light went out.")

    store = {"--output": f"{world}/results/out.ome.zarr"}
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "complete", cut)
        assert call(made, "segment", store) == ResumableError.exit_code
    folder = world / "results" / f"out.ome.zarr.{where}"
    if folder.is_dir():
        shutil.copytree(folder, world / "outside" / "taken")
        shutil.rmtree(folder)
    folder.symlink_to(world / "outside" / "taken")
    before = everything(world)
    capsys.readouterr()
    assert call(made, "segment", store) == 2
    assert "is a symbolic link, which no run makes" in capsys.readouterr().err
    assert everything(world) == before
    folder.unlink()
    for rest in ("run", "partial"):
        shutil.rmtree(world / "results" / f"out.ome.zarr.{rest}")
    assert call(made, "segment", store) == 0


# ---- the door itself


def test_a_site_that_is_set_and_empty(made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CHUNKWISE_SITE", "")
    before = everything(world)
    assert call(made, "fetch", {"--output": f"{world}/outside/out.ome.zarr"}) == 2
    assert "CHUNKWISE_SITE is set and names nothing" in capsys.readouterr().err
    assert everything(world) == before


def test_variables_that_are_set_and_empty_open_nothing(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (world / "site.toml").read_text()
    for variable, key in (("USER", "users"), ("GROUPS", "groups"), ("ROLES", "roles")):
        for names, value, code in (('["*"]', "", 3), ('["a"]', "", 3), ('[""]', "", 2), ('["a"]', "a", 0)):
            (world / "site.toml").write_text(text.replace('access = "write"', f'access = "write"\n{key} = {names}'))
            monkeypatch.setenv(f"CHUNKWISE_{variable}", value)
            outputs = {"--output": f"{world}/results/{key}.json"}
            assert call(made, "open", outputs) == code, (key, names)


def test_a_site_file_that_is_a_link_into_nowhere(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """As on a node where the share is not mounted: no licence either."""
    monkeypatch.delenv("CHUNKWISE_SITE")
    (world / "etc.toml").symlink_to(world / "absent.toml")
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", world / "etc.toml")
    assert call(made, "fetch", {"--output": f"{world}/outside/out.ome.zarr"}) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "option"), [("fetch", "--output"), ("inspect", "--html"), ("open", "--output")])
def test_mutant_without_the_one_place_that_holds_outputs(
    made: Path, world: Path, command: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chunkwise.cli._hold_outputs", lambda args: None)
    name = "out.ome.tif" if command == "fetch" else "out"
    assert call(made, command, {option: f"{world}/outside/{name}"}) == 0
    assert (world / "outside" / name).is_file()
