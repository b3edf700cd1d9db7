"""Whatever a command writes lies where the site allows it: command by command, option by option.

A new option that is not in ``outputs_world.OPTIONS`` fails the first test; one that names what is written has to be an
``Output``, and is tried here for real.
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

from chunkwise.cli import build_parser, main, summaries
from chunkwise.running.outputs import Output
from outputs_world import ALONE, NEEDED, OPTIONS, STORES, WORDS, WRITES, call, everything, output, words_of


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
    return max(action.option_strings, key=len, default=action.dest)


def test_every_option_is_known_for_what_it_names() -> None:
    found: dict[str, set[str]] = {}
    outputs = []
    for command in summaries():
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


# ---- where outputs may be, and where not

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
    needed = [] if option in ALONE else NEEDED.get(command, [])
    outputs = {one: f"{world}/jobs/7/{output(command, one)}" for one in needed}
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
    written = OPTIONS[command]["writes"].split()
    outputs = {one: f"{prefix}{output(command, one)}" for one in written if one not in ALONE}
    if way == "a job's folder":
        outputs.pop("--run-dir", None)  # beside the output, then
    fixed = everything(made), everything(world / "outside"), everything(world / "read")
    others = everything(world / "jobs" if place == world / "results" else world / "results")
    before = everything(place)
    assert call(made, command, outputs) == 0
    for option in set(ALONE) & set(written):
        outputs[option] = f"{prefix}{output(command, option)}"
        assert call(made, command, {option: outputs[option]}) == 0
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


# ---- the door itself


def test_a_site_that_is_set_and_empty(made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("CHUNKWISE_SITE", "")
    before = everything(world)
    assert call(made, "fetch", {"--output": f"{world}/outside/out.ome.zarr"}) == 2
    assert "CHUNKWISE_SITE is set but empty" in capsys.readouterr().err
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
