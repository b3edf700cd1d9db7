"""The Galaxy wrappers and the command line say the same: options, choices, defaults."""

from __future__ import annotations

import argparse
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from chunkwise.cli import FOR_ADMINISTRATORS, build_parser, summaries
from chunkwise.faces.pages import declared_families
from chunkwise.faces.parser import options_of as declared_options
from chunkwise.operations import families, load_family, operations_of
from chunkwise.operations.model import Parameter

TOOLS = Path(__file__).parents[2] / "tools" / "chunkwise"
#: Commands that users of Galaxy get; chunkwise.cli says why the others are none of them.
OFFERED = [command for command in summaries() if command not in FOR_ADMINISTRATORS]
#: Tools for one action of a command that has several; the tool of the command itself is for the one in DEFAULT.
OFFERED += ["crate_merge", "crate_report"]
DEFAULT = {"crate": "build"}

#: Options that users of Galaxy are not asked for, and why; of all commands, or of one.
NOT_OFFERED = {
    "--help": "Galaxy shows the tool's help",
    "--memory": "chunkwise reads GALAXY_MEMORY_MB",
    "--plan": "a job that is placed and runs has no use for it",
    "--workers": "chunkwise reads GALAXY_SLOTS, or the site file's cluster decides",
    "--into-source": "a Galaxy job writes results of its own, never into its input",
    "--no-pyramid": "results are looked at, and viewers need the smaller levels",
    "--record": "the crate has the record in it",
    "inspect --json": "the page says it, and a JSON would be offered where an image is asked for",
    "verify --json": "the report says it",
    "open --dandi": "the tool Verify data works it out",
    "open --strict-all": "hardly any image passes: it is for people who write such files",
    "open --manifest": "crates of the tools hold the manifests of what they wrote",
    "measure --block": "chosen from the memory there is",
    "measure --reference": "the table is a dataset",
    "spots --block": "chosen from the memory there is",
    "spots --reference": "the table is a dataset",
    "compare --block": "chosen from the memory there is",
    "compare --reference": "the scores are a dataset",
    "convert --level": "all levels are brought in as one image",
    "fetch --block": "chosen from the memory there is",
    "fetch --reference": "the piece is a dataset",
    "fetch --shard": "a piece is small",
    "fetch --to-workspace": "the tool is for bringing a piece into Galaxy",
}
#: Parameters that are not options of the command: they choose between ways to call it.
ONLY_IN_GALAXY = {
    "choice",
    "count",
    "crate",
    "image",
    "labels",
    "parents",
    "children",
    "summary",
    "truth",
    "predicted",
    "pictures",
    "browse",
    "format",
    "dictionary",
    "kind",
    "store",
    "model",
    "location",
    "where",
    "record",
    "differences",
    "value",
}


#: Defaults of forms that are others than those of the command line, for people who want whole objects without specks.
FOR_PEOPLE = {("segment", "--fill-holes"): True, ("segment", "--min-size"): 50, ("objects", "--min-size"): 20}
#: First choices of forms that stand for an option which is not given.
USUAL = {
    ("segment", "--split"): "no",
    ("segment", "--connectivity"): "all",
    ("objects", "--connectivity"): "all",
    ("measure", "--properties"): "default",
    ("convert", "--axes"): "file",
    ("project", "--dtype"): "usual",
    ("math", "--dtype"): "usual",
    ("convert", "--check"): "usual",
    ("open", "--fingerprint"): "usual",
    ("verify", "--what"): "usual",
}


def tool_of(command: str) -> ElementTree.Element:
    """The wrapper of a command, its macros filled in where they stand."""
    macros = {
        macro.get("name"): macro
        for macro in ElementTree.parse(TOOLS / "macros.xml").getroot()
        if macro.tag in ("xml", "token")
    }
    root = ElementTree.parse(TOOLS / f"chunkwise_{command}.xml").getroot()

    def fill(element: ElementTree.Element) -> None:
        for place, child in enumerate(list(element)):
            if child.tag == "expand":
                macro = copy.deepcopy(macros[child.get("macro")])
                known = {name.removeprefix("token_"): value for name, value in macro.items() if name != "name"}
                known |= dict(child.items())
                for inner in macro.iter():
                    for attribute, value in [*inner.items(), ("", inner.text or "")]:
                        for name, text in known.items():
                            value = value.replace(f"@{name.upper()}@", text)
                        if attribute:
                            inner.set(attribute, value)
                        else:
                            inner.text = value
                for outer in list(macro.iter()):
                    for inner in outer.findall("yield"):
                        spot = list(outer).index(inner)
                        outer[spot : spot + 1] = list(child)
                element.remove(child)
                element[place:place] = [macro]
                child = macro
            fill(child)

    fill(root)
    text = root.findtext("command") or ""
    for name, macro in macros.items():
        if macro.tag == "token":
            text = text.replace(str(name), macro.text or "")
    command_element = root.find("command")
    assert command_element is not None
    command_element.text = text
    return root


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command; of ``crate_merge``, that of the action ``merge`` of ``crate``."""
    name, _, action = command.partition("_")
    parser = sub_parsers(build_parser(name))[name]
    action = action or DEFAULT.get(name, "")
    return sub_parsers(parser)[action] if action else parser


def sub_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers below a parser."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


def options_of(command: str) -> dict[str, argparse.Action]:
    """Every long option of a command."""
    return {
        option: action for action in parser_of(command)._actions for option in action.option_strings if option != "--to"
    }  # the same as --format


def declared_of(command: str) -> dict[str, Parameter]:
    """Every option that the declarations of a command have."""
    if command not in families():
        return {}
    return {f"--{name.replace('_', '-')}": one for name, (one, _) in declared_options(operations_of(command)).items()}


def arguments_of(tool: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    """The parameters of a wrapper by the option that each is; an ``argument`` would put the option into the page."""
    for parameter in tool.find("inputs").iter("param"):  # type: ignore[union-attr]
        if parameter.get("name") not in ONLY_IN_GALAXY:
            yield f"--{str(parameter.get('name')).replace('_', '-')}", parameter


def test_every_command_has_a_tool() -> None:
    assert {file.stem.removeprefix("chunkwise_") for file in TOOLS.glob("chunkwise_*.xml")} == set(OFFERED)


@pytest.mark.parametrize("command", OFFERED)
def test_every_argument_is_an_option(command: str) -> None:
    options, tool = options_of(command), tool_of(command)
    assert set(dict(arguments_of(tool))) <= set(options)
    # What the command template writes has to exist too, for chunkwise and for its actions.
    text = tool.findtext("command") or ""
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert written <= set(options)


@pytest.mark.parametrize("command", OFFERED)
def test_every_option_is_offered_or_set(command: str) -> None:
    tool = tool_of(command)
    offered = dict(arguments_of(tool))
    text = tool.findtext("command") or ""
    for option in options_of(command):
        if option.startswith("--") and not {option, f"{command} {option}"} & set(NOT_OFFERED):
            assert option in offered or re.search(rf"{option}(?![\w-])", text), f"{option} of {command} is nowhere"


@pytest.mark.parametrize("command", OFFERED)
def test_choices_and_defaults_agree(command: str) -> None:
    options, declared = options_of(command), declared_of(command)
    for name, parameter in arguments_of(tool_of(command)):
        action, kind = options[name], parameter.get("type")
        if kind == "boolean":
            assert parameter.get("truevalue") == name, name
            assert isinstance(action, argparse._StoreTrueAction), name
            assert parameter.get("checked") == str(FOR_PEOPLE.get((command, name), False)).lower(), name
        elif kind == "select":
            usual = USUAL.get((command, name))
            values = [option.get("value") for option in parameter.iter("option") if option.get("value") != usual]
            if action.choices is not None:
                assert set(values) == {str(choice) for choice in action.choices}, name
            selected = [option.get("value") for option in parameter.iter("option") if option.get("selected") == "true"]
            # Where a method has to be named, a page begins with the usual one, or the first.
            default = declared[name].default if name in declared else action.default
            if action.required and action.choices:
                default = load_family(command).usual or action.choices[0]
            assert selected == [usual or str(default)], name
        elif kind == "text":
            assert parameter.get("value") is None, name


@pytest.mark.parametrize("command", families())
def test_choices_are_called_what_they_mean(command: str) -> None:
    """In forms that are written by hand, the name of a method may stand before it."""
    for name, parameter in arguments_of(tool_of(command)):
        declared = declared_of(command).get(name)
        means = declared.meanings if declared and declared.choices else {}
        for option in parameter.iter("option"):
            if means.get(str(option.get("value")), option.get("value")) != option.get("value"):
                said, meant = str(option.text), means[str(option.get("value"))]
                assert said == meant[:1].upper() + meant[1:] or said.endswith(f": {meant}"), f"{name}: {said}"


@pytest.mark.parametrize("command", declared_families())
def test_nobody_has_to_know_the_words_of_the_command_line(command: str) -> None:
    """Where a form is made of the declaration, each choice has a meaning there."""
    for name, parameter in arguments_of(tool_of(command)):
        for option in parameter.iter("option"):
            assert option.text != option.get("value"), f"{name}: {option.text}"


@pytest.mark.parametrize("command", declared_families())
def test_plane_by_plane_is_asked_for_only_with_methods_that_do_it(command: str) -> None:
    """The harness of the operations sees to it that the others refuse it."""
    tool = tool_of(command)
    asking = {when.get("value") for when in tool.iter("when") if when.find("param[@name='planes']") is not None}
    assert asking == {name for name, one in operations_of(command).items() if one.offers("planes")}
    assert len(tool.findall("./inputs//param[@name='planes']")) == len(asking)


def numbers_that_differ(command: str, tool: ElementTree.Element) -> Iterator[str]:
    """Numbers whose default, range or kind is another in the wrapper than in the declaration."""
    declared = declared_of(command)
    for name, parameter in arguments_of(tool):
        if parameter.get("type") in ("integer", "float") and name != "--level":
            one, value = declared[name], parameter.get("value")
            if one.measures and parameter.get("type") == "float":
                one = one.in_micrometres  # the wider range
                if parameter.get("max") is not None:
                    yield name
                    continue
            # Beyond 2 ** 31 it is what a computer can count to.
            ends = {end: n for end, n in (("min", one.least), ("max", one.most)) if n is not None and n < 2**31}
            if (
                (float(value) if value else None) != FOR_PEOPLE.get((command, name), one.default)
                or (parameter.get("optional") == "true") != (one.default is None and not one.required)
                or bool(parameter.findall("validator")) != one.odd
                or any(float(parameter.get(end, "nan")) != n for end, n in ends.items())
            ):
                yield name


@pytest.mark.parametrize("command", families())
def test_numbers_have_default_and_range_of_the_declaration(command: str) -> None:
    assert list(numbers_that_differ(command, tool_of(command))) == []


@pytest.mark.parametrize(("attribute", "value"), [("max", "9"), ("value", "5"), ("min", "2")])
def test_mutant_another_number_is_caught(attribute: str, value: str) -> None:
    tool = tool_of("filter")
    tool.find(".//param[@name='size']").set(attribute, value)  # type: ignore[union-attr]
    assert list(numbers_that_differ("filter", tool)) == ["--size"]


def test_threshold_methods_agree() -> None:
    from chunkwise.operations.segment import METHODS

    parameters = dict(arguments_of(tool_of("segment")))
    values = [option.get("value") for option in parameters["--threshold"].iter("option")]
    assert values == [*METHODS, "number"]


@pytest.mark.parametrize("command", OFFERED)
def test_template_quotes_every_value(command: str) -> None:
    """Outside of directives, a value is inside single quotes, or is one of the wrapper's own words."""
    tool = tool_of(command)
    text = tool.findtext("command") or ""
    # Parameters whose value is an option's own name, or nothing.
    flags = {str(one.get("name")) for one in tool.findall(".//param[@truevalue]")}
    for line in text.splitlines():
        line = line.replace('"\\$$name"', "")  # a variable of the shell, inside of quotes that hold it
        if line.lstrip().startswith("#") or line.strip().startswith(
            ("$locate(", "$locate_table(", "$call(", "$name=", "image=${quote(", "called=${quote(")
        ):
            continue
        line = re.sub(r"\$\{quote\(\$name\(\$\w+\)\)\}", "", line)
        # A name that a person gave to a dataset is not sanitised by Galaxy: quotes of ours alone would not hold it.
        assert "name(" not in line, f"{command}: {line.strip()}"
        for found in re.finditer(r"(?<!\\)\$\{?[a-z_][\w.]*", line):
            before = line[: found.start()].count("'")
            name = found.group().lstrip("$").rpartition(".")[2]
            assert before % 2 == 1 or name in flags, f"{command}: {line.strip()}"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("labels.ome.zarr", "/data/7_files/labels.ome.zarr"),
        ("", "/data/7_files/"),
        ("../8_files/x.zarr", "/data/7_files/x.zarr"),
        ("..", "/data/7_files/"),
        ("/etc", "/data/7_files/etc"),
        ("x/../../../$(id)", "'/data/7_files/$(id)'"),
    ],
)
def test_the_name_of_a_store_is_no_way_elsewhere(name: str, place: str) -> None:
    """It is metadata: an imported history brings it along as somebody wrote it, and all datasets are one account's."""
    macros = (TOOLS / "macros.xml").read_text()
    (expression,) = re.findall(r"\$\{(quote\(.*store_root.*)\} &&", macros)
    imports = re.findall(r"^#(from .* import .*)$", macros, re.M)
    known: dict[str, object] = {
        "data": SimpleNamespace(extra_files_path="/data/7_files", metadata=SimpleNamespace(store_root=name))
    }
    exec("\n".join(imports), known)
    assert eval(expression.replace("$", ""), known) == place


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.tif", "a.tif"),
        ("../../b/a.tif", "a.tif"),
        ("..", "image"),
        ("$(id) 'x'.tif", "'$(id) '\"'\"'x'\"'\"'.tif'"),
    ],
)
def test_the_name_of_a_dataset_is_no_way_elsewhere(name: str, place: str) -> None:
    """A TIFF is read through a link that is called by the dataset, so that reports call the image by its name."""
    macros = (TOOLS / "macros.xml").read_text()
    (expression,) = re.findall(r"\$\{(quote\(.*element_identifier.*)\} &&", macros)
    known: dict[str, object] = {"data": SimpleNamespace(element_identifier=name, name="")}
    exec("\n".join(re.findall(r"^#(from .* import .*)$", macros, re.M)), known)
    assert eval(expression.replace("$data", "data"), known) == place
