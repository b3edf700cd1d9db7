"""The documents say what is so: options, commands, files, tests and versions that they name exist."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from chunkwise.cli import COMMANDS, build_parser, summaries
from chunkwise.operations import families, operations_of

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "workflows").rglob("*.md")])
COMMAND_PAGES = [ROOT / "docs" / "commands" / f"{name}.md" for name in summaries()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Long options of a parser and of the parsers below it."""
    found: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= options(child)
        elif not isinstance(action, argparse._HelpAction | argparse._VersionAction):
            found |= {text for text in action.option_strings if text.startswith("--")}
    return found


def options_of_command(name: str) -> set[str]:
    parser = build_parser(name)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return options(commands.choices[name]) - {"--version"}


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name_of)
def test_a_help_page_has_every_option_and_no_other(page: Path) -> None:
    text = page.read_text()
    known = options_of_command(page.stem)
    assert known - set(re.findall(r"--[a-z][a-z-]*", text)) == set(), "options that the page does not name"
    in_tables = {
        option
        for row in re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
        for option in re.findall(r"--[a-z][a-z-]*", row)
    }
    assert in_tables - known == set(), "options that the command does not have"


def test_no_help_page_is_left_over() -> None:
    assert sorted((ROOT / "docs" / "commands").glob("*.md")) == sorted(COMMAND_PAGES)


def test_every_module_of_commands_is_a_command() -> None:
    files = (ROOT / "src" / "chunkwise" / "commands").iterdir()
    assert {path.stem for path in files if not path.name.startswith("__")} == set(COMMANDS)


def fenced(text: str) -> list[str]:
    """Lines of code blocks, continued lines joined."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_examples_are_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in fenced(page.read_text()):
        words = shlex.split(line, comments=True) if line.startswith("chunkwise ") else []
        if len(words) < 2 or words[1] == "--help":
            continue
        try:
            build_parser(words[1]).parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{line}\n{capsys.readouterr().err}")


@pytest.mark.parametrize("name", summaries())
def test_examples_in_the_help_are_understood(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser(name)
    lines = re.findall(r"^  (chunkwise .*)$", parser._subparsers._group_actions[0].choices[name].description, re.M)  # type: ignore[union-attr,call-overload,index]
    assert lines, "the help shows no example"
    for line in lines:
        try:
            words = shlex.split(line)[1:]
            build_parser(words[0]).parse_args(words)
        except SystemExit:
            pytest.fail(f"{line}\n{capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text))
    named |= {line.split()[1] for line in fenced(text) if line.startswith("make ")}
    assert named - targets == set()


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    # In a tutorial, {% tool [name](id) %} is a button of Galaxy; tests/test_tutorials.py checks those.
    text = re.sub(r"\{% tool .*? %\}", "", page.read_text())
    for link in re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", text):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tests_that_are_named_exist(page: Path) -> None:
    for path, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text()):
        if "NAME" in path:  # of the command that somebody adds
            continue
        assert (ROOT / path).is_file(), path
        functions = {
            node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
        }
        assert not test or test in functions, f"{path}::{test}"


def test_every_mutant_has_its_place_in_the_list() -> None:
    listed = (ROOT / "docs" / "exactness.md").read_text()
    for path in sorted((ROOT / "tests" / "ops").glob("test_*.py")):
        for mutant in re.findall(r"^def (test_mutant_\w+)", path.read_text(), re.MULTILINE):
            assert f"`{name_of(path)}::{mutant}`" in listed


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "index.md":
            assert f"({page.relative_to(ROOT / 'docs').as_posix()})" in index, page.name


def test_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license"} <= set(citation)
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 200_000, picture.name


def test_what_others_are_told_to_use_is_there() -> None:
    """Each command, method and option of docs/coming-from.md; a method alone is one of the command before it."""
    rows = (ROOT / "docs/coming-from.md").read_text().splitlines()
    asked = [re.findall(r"`([a-z-][^`]*)`", row.split("|")[2]) for row in rows if row.startswith("| *")]
    assert sum(map(len, asked)) > 50
    for row in asked:
        family = ""
        for words in (one.split() for one in row):
            if words[0] in {*COMMANDS, *families()}:
                family = words.pop(0)
                if words[:1] == ["--method"]:
                    words = words[1:]
            for word in words:
                known = options_of_command(family or "filter") if word.startswith("--") else operations_of(family)
                assert word in known or word == "distance", (family, word)
