"""The words of forms: no options of the command line, no places of a server, no choice left unsaid, help everywhere."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from tests.tools.test_xml import OFFERED, arguments_of, tool_of

from chunkwise.cli import COMMANDS, build_parser, summaries
from chunkwise.faces import sentences
from chunkwise.operations import families, operations_of
from chunkwise.report.runs import place_words
from chunkwise.site.called import called, name_of
from chunkwise.story import STORY

ROOT = Path(__file__).parents[2]
#: What a person who never saw a command line cannot know: options, absolute paths, files and words of administrators.
FOREIGN = re.compile(
    r"(?<![\w-])--?[a-z][a-z-]+\b|(?<![\w:/])/(?:[a-z_]+/)+|\bROOT:|\.loc\b|\.toml\b|run record"
    r"|'chunkwise |given several times"
)


def texts_of(tool: Element) -> Iterator[str]:
    """All that the form of a tool shows beside its long help."""
    inputs = tool.find("inputs")
    assert inputs is not None
    for one in inputs.iter():
        yield from (text for key in ("label", "help", "title", "message") if (text := one.get(key)))
        if one.tag == "option" and one.text:
            yield one.text


def wrong_in(tool: Element) -> list[str]:
    """What is wrong with the words of a form."""
    found = [f"{text!r} is no word of people" for text in texts_of(tool) if FOREIGN.search(text)]
    inputs = tool.find("inputs")
    assert inputs is not None
    for one in inputs.iter("param"):
        name, kind = one.get("name"), one.get("type")
        if one.get("argument"):
            found.append(f"{name}: Galaxy shows an argument in the help")
        if not one.get("label"):
            found.append(f"{name} has no label")
        if not one.get("help"):
            found.append(f"{name} has no help")
        if kind == "select" and one.get("optional") == "true":
            found.append(f"{name}: Galaxy says 'Nothing selected', not what happens then")
        if kind in ("data", "data_collection") and one.get("optional") == "true":
            found.append(
                f"{name}: Galaxy says 'Nothing selected'; a question, and the field where it is needed: 'maybe'"
            )
        if kind in ("text", "integer", "float") and one.get("optional") == "true":
            said = one.get("help") or ""
            if not re.search(r"[Ll]eave (it )?empty|clear the field", said):
                found.append(f"{name} does not say what happens when it is left empty")
    return found


@pytest.mark.parametrize("command", OFFERED)
def test_forms_speak_to_people(command: str) -> None:
    assert wrong_in(tool_of(command)) == []


@pytest.mark.parametrize("command", OFFERED)
def test_help_names_no_options(command: str) -> None:
    """Code in it is the call of a library."""
    text = tool_of(command).findtext("help") or ""
    assert re.findall(r"(?<![\w-])--[a-z][\w-]*|'(?:chunkwise )?[a-z]+' does", re.sub(r"``.*?``", "", text)) == []


@pytest.mark.parametrize(
    ("attribute", "value", "seen"),
    [
        ("help", "Standard deviation; --sigma on the command line", "no word of people"),
        ("help", "Read from /data/images/screen.ome.zarr", "no word of people"),
        ("help", "", "has no help"),
        ("argument", "--sigma", "shows an argument"),
        ("optional", "true", "left empty"),
    ],
)
def test_mutant_words_are_caught(attribute: str, value: str, seen: str) -> None:
    tool = copy.deepcopy(tool_of("segment"))
    tool.find(".//param[@name='sigma']").set(attribute, value)  # type: ignore[union-attr]
    assert [one for one in wrong_in(tool) if seen in one]


def test_mutant_a_choice_that_is_not_said_is_caught() -> None:
    tool = copy.deepcopy(tool_of("segment"))
    tool.find(".//param[@name='split']").set("optional", "true")  # type: ignore[union-attr]
    assert wrong_in(tool) == ["split: Galaxy says 'Nothing selected', not what happens then"]


def test_mutant_a_field_for_data_that_may_stay_empty_is_caught() -> None:
    tool = copy.deepcopy(tool_of("measure"))
    tool.find(".//param[@name='parents']").set("optional", "true")  # type: ignore[union-attr]
    (said,) = wrong_in(tool)
    assert said.startswith("parents: Galaxy says 'Nothing selected'")


def asked_for(tool: Element) -> dict[str, set[str]]:
    """Fields for data that an answer calls for, and the answers."""
    found: dict[str, set[str]] = {}

    def look(at: Element, answer: str) -> None:
        for one in at:
            if one.tag == "param" and one.get("type") == "data" and answer:
                found.setdefault(str(one.get("name")), set()).add(answer)
            look(one, str(one.get("value")) if one.tag == "when" else answer)

    look(tool, "")
    return found


@pytest.mark.parametrize("command", families())
def test_what_an_operation_may_go_without_is_asked_for_only_then(command: str) -> None:
    """The declaration says which images and tables may be left out; of several in a row, how many are asked for."""
    taken = [operation.takes.items() for operation in operations_of(command).values()]
    optional = [role for roles in taken for role, one in roles if one.optional]
    others = [letter for letter in "bcdefgh" if letter in {role for roles in taken for role, _ in roles}]
    found = asked_for(tool_of(command))
    in_a_row = {one: {str(count) for count in range(place, len(others) + 2)} for place, one in enumerate(others, 2)}
    assert set(optional) <= set(found)
    assert {one: found[one] for one in optional if one in in_a_row} == {
        one: in_a_row[one] for one in optional if one in in_a_row
    }


@pytest.mark.parametrize("command", OFFERED)
def test_errors_call_fields_as_the_form_does(command: str) -> None:
    labels = sentences.labels_of(command.partition("_")[0])
    for option, parameter in arguments_of(tool_of(command)):
        assert labels[option.lstrip("-").replace("-", "_")] == parameter.get("label"), option


@pytest.mark.parametrize(
    ("command", "sentence", "told"),
    [
        (
            "segment",
            "images:screen.ome.zarr has 2 channels; choose one with --channel: 0 (DAPI), 1 (GFP).",
            "images:screen.ome.zarr has 2 channels; choose one under 'Channel': 0 (DAPI), 1 (GFP).",
        ),
        ("segment", "--min-size -1 has to be a number.", "'Minimum size' -1 has to be a number."),
        ("predict", "give a smaller --block, or fewer --workers", "give a smaller 'Tile size', or fewer workers"),
        ("objects", "no such map; give --method.", "no such map; choose 'Method'."),
        ("crate", "list it with --outside.", "list it under 'Runs outside of the workflow, too'."),
        (
            "points",
            "3 lie outside; leave such shapes out with --outside drop.",
            "3 lie outside; leave such shapes out with 'Leave them out, and count them' under 'Shapes outside of the "
            "image'.",
        ),
        (
            "label",
            "give --method split, not --method splat.",
            "choose 'Splitting of touching objects of a mask' under 'Method', not 'Method' splat.",
        ),
        (
            "filter",
            "convert them first: 'chunkwise intensity --method cast --dtype uint16', or 'chunkwise crate build'.",
            "convert them first: 'Change intensities' (Method: Conversion of the voxel type; Type of the result: "
            "16-bit: whole numbers from 0 to 65535), or 'chunkwise crate build'.",
        ),
        ("open", "There is nothing at /srv/images/a b/x.ome.zarr.", "There is nothing at a b/x.ome.zarr."),
        ("open", "There is nothing at file:///srv/images/x.ome.zarr.", "There is nothing at x.ome.zarr."),
        ("open", "https://a.org/b/x.ome.zarr is not allowed.", "https://a.org/b/x.ome.zarr is not allowed."),
        ("open", "a 3/4 full disk, z,y,x", "a 3/4 full disk, z,y,x"),
        ("open", "fix it and run the same command again.", "fix it and run the tool again."),
        ("segment", "stopped; the same command resumes it.", "stopped; running the tool again resumes it."),
        ("segment", "give the same command again to start over.", "run the tool again to start over."),
    ],
)
def test_sentences_in_galaxy(command: str, sentence: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHUNKWISE_GALAXY_TOOL_ID", raising=False)
    assert sentences.told(command, sentence) == sentence
    monkeypatch.setenv("CHUNKWISE_GALAXY_TOOL_ID", f"chunkwise_{command}")
    assert sentences.told(command, sentence) == told


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of Galaxy on two datasets, with a site that has one root."""
    names = f"image\t/galaxy/1_files/image.ome.zarr\tcoins: mask (otsu)\nlabels\t{tmp_path}/in.tif\ta.tif\n"
    names += "table\t/galaxy/files/dataset_12-ab.dat\tmy points\n"
    (tmp_path / "names.tsv").write_text(names)
    (tmp_path / "site.toml").write_text(f'[roots.lab]\npath = "{tmp_path}"\naccess = "read"\n')
    monkeypatch.setenv("CHUNKWISE_GALAXY_TOOL_ID", "chunkwise_measure")
    monkeypatch.setenv("CHUNKWISE_GALAXY_NAMES", str(tmp_path / "names.tsv"))
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    return tmp_path


def test_places_are_called_as_the_history_does(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = f"{job}/5/outputs/dataset_ec5276ee-6f91-482e-9b38-d70167806271_files/image.ome.zarr"
    said = {
        "/galaxy/1_files/image.ome.zarr is flat, 3/4 of it.": "'coins: mask (otsu)' is flat, 3/4 of it.",
        f"{job}/in.tif does not say": "a.tif does not say",
        f"Those of {job}/deep/a b.zarr, or {job}/in.tiff.": "Those of lab:deep/a b.zarr, or lab:in.tiff.",
        f"2 objects in {made}": "2 objects in the new dataset",
        "See /srv/x/y.zarr": "See y.zarr",
        "dataset_12-ab.dat has no column x.": "'my points' has no column x.",
        "dataset_12-ac.dat, /galaxy/files/dataset_12-ab.dat": "dataset_12-ac.dat, 'my points'",
    }
    assert {one: called(one) for one in said} == said
    assert (name_of("image"), name_of("parents")) == ("coins: mask (otsu)", None)
    assert place_words({"location": "/x/y.zarr", "called": name_of("image")}) == "coins: mask (otsu)"
    monkeypatch.delenv("CHUNKWISE_GALAXY_TOOL_ID")
    assert called("See /srv/x/y.zarr") == "See /srv/x/y.zarr"


def test_all_that_a_job_prints_is_said_so(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sentences.speaking("measure"):
        print("in", f"{job}/in.tif")
        print('  File "/srv/chunkwise/cli.py", line 1\n', "give --image", sep="", end="", file=sys.stderr)
    printed = capsys.readouterr()
    assert printed.out == "in a.tif\n"
    assert printed.err == "  File \"/srv/chunkwise/cli.py\", line 1\nchoose 'Image'"


def test_every_family_has_labels() -> None:
    for family in families():
        assert all(sentences.labels_of(family).values()), family


def test_the_panel_has_every_tool_in_the_order_of_the_work() -> None:
    section = ElementTree.parse(ROOT / "deploy" / "galaxy" / "example" / "tool_conf.xml").find(
        "section[@id='chunkwise']"
    )
    assert section is not None
    order = [str(one.get("text") or one.get("file")).rpartition("/")[2] for one in section]
    parts = [one for one in order if not one.endswith(".xml")]
    assert parts == [part for part in STORY if part != "Administer"]
    assert sorted(set(order) - set(parts)) == sorted(f"chunkwise_{command}.xml" for command in OFFERED)
    assert order[:2] == ["Look", "chunkwise_open.xml"]


def test_every_command_has_its_place_in_the_story() -> None:
    told = [name for names in STORY.values() for name in names]
    assert len(told) == len(set(told))
    assert {*COMMANDS, *families()} <= set(told)
    shown = build_parser().format_help()
    assert re.findall(r"^(\w[\w ]+):$", shown, re.MULTILINE)[1:] == list(STORY)
    assert re.findall(r"^  (\w+) ", shown, re.MULTILINE) == [name for name in told if name in summaries()]
