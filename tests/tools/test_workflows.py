"""The workflow files and the tools say the same, so that the page of Galaxy runs a workflow without a word.

Galaxy's page refuses a workflow that leaves out a parameter of a tool ("No value found for ..."), and puts steps
without a position on top of each other. What these tests print is what has to be written into the file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import yaml
from tests.tools.test_xml import tool_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "workflows").glob("*/*.gxwf.yml"))
Workflow = dict[str, Any]

#: Pixels that a box takes in the editor: its width, its heading, and a line for each input and output.
WIDTH, HEADING, LINE = 200, 60, 30


def read(file: Path) -> Workflow:
    workflow: Workflow = yaml.safe_load(file.read_text())
    return workflow


def inputs_of(tool: str) -> Element:
    found = tool_of(tool.removeprefix("chunkwise_")).find("inputs")
    assert found is not None
    return found


def parts_of(element: Element) -> Iterator[Element]:
    """The parameters and groups right below an element; macros are looked through."""
    for child in element:
        if child.tag in ("param", "section", "conditional", "repeat"):
            yield child
        elif child.tag in ("xml", "expand"):
            yield from parts_of(child)


def name_of(part: Element) -> str:
    return part.get("name") or str(part.get("argument")).lstrip("-").replace("-", "_")


def differences(element: Element, state: Any, connected: set[str], prefix: str = "") -> Iterator[str]:
    """What is missing in the state of a step, unknown to its tool, or refused by it."""
    if not isinstance(state, Mapping):
        yield f"{prefix.rstrip('|')} is not a group of parameters"
        return
    parts = {name_of(part): part for part in parts_of(element)}
    yield from (f"{prefix}{name} is unknown to the tool" for name in state if name not in parts)
    for name, part in parts.items():
        path, value = f"{prefix}{name}", state.get(name)
        if part.tag == "repeat":
            if not isinstance(value, list):
                yield f"{path} is missing: []"
                continue
            for number, item in enumerate(value):
                yield from differences(part, item, connected, f"{prefix}{name}_{number}|")
        elif part.tag == "section":
            yield from differences(part, value or {}, connected, f"{path}|")
        elif part.tag == "conditional":
            yield from _of_conditional(part, value or {}, connected, f"{path}|")
        elif path in connected:
            if name in state:
                yield f"{path} is connected, and stated as well"
        elif name not in state:
            yield f"{path} is missing: {default_of(part)}"
        else:
            why = refused(part, value)
            if why:
                yield f"{path} is {value!r}, which {why}"


def _of_conditional(part: Element, state: Mapping[str, Any], connected: set[str], prefix: str) -> Iterator[str]:
    test = next(parts_of(part))
    chosen = state.get(name_of(test))
    case = next((when for when in part.iter("when") if when.get("value") == str(chosen)), None)
    if case is None:
        yield f"{prefix}{name_of(test)} is missing, or no case of the tool: {default_of(test)}"
        return
    together = Element("inputs")
    together.extend([test, *parts_of(case)])
    yield from differences(together, state, connected, prefix)


def default_of(part: Element) -> str:
    """The default of a parameter, as it is written into the file."""
    kind = part.get("type")
    if kind == "boolean":
        return part.get("checked", "false")
    if kind == "select":
        options = list(part.iter("option"))
        chosen = next((one for one in options if one.get("selected") == "true"), None)
        if chosen is None and part.get("optional") != "true" and options:
            chosen = options[0]
        return "null" if chosen is None else str(chosen.get("value"))
    return part.get("value") or "null"


def refused(part: Element, value: Any) -> str:
    """Why a tool does not take a value; empty where it does."""
    kind, number = part.get("type"), isinstance(value, int | float) and not isinstance(value, bool)
    if value is None:
        return "" if part.get("optional") == "true" else "is nothing, and the tool needs it"
    if kind == "boolean":
        return "" if isinstance(value, bool) else "is neither true nor false"
    if kind in ("integer", "float"):
        if not number or (kind == "integer" and not isinstance(value, int)):
            return f"is no {kind}"
        return "" if float(part.get("min", "-inf")) <= value <= float(part.get("max", "inf")) else "is out of range"
    if kind == "select":
        known = {option.get("value") for option in part.iter("option")}
        values = value if part.get("multiple") == "true" and isinstance(value, list) else [value]
        listed = part.find(".//options") is None  # the site's lists are not in the file
        return "is no choice of the tool" if listed and not {*values} <= known else ""
    if kind == "text":
        patterns = [one.text or "" for one in part.iter("validator") if one.get("type") == "regex"]
        fits = isinstance(value, str) and all(re.match(pattern, value) for pattern in patterns)
        return "" if fits else "does not fit the tool's pattern"
    return "is nothing that a file can hold"


def all_differences(workflow: Workflow) -> list[str]:
    """Of every step, what has to be changed in the file, one below the other."""
    return [
        f"{name}: {one}"
        for name, step in workflow["steps"].items()
        for one in differences(inputs_of(step["tool_id"]), step.get("tool_state", {}), set(step.get("in", {})))
    ]


def outputs_of(tool: str) -> set[str]:
    found = next(tool_of(tool.removeprefix("chunkwise_")).iter("outputs"))  # which may come from a macro
    return {str(one.get("name")) for one in (*found.iter("data"), *found.iter("collection"))}


def sources_of(step: Mapping[str, Any]) -> Iterator[str]:
    for one in step["in"].values():
        source = one["source"] if isinstance(one, Mapping) else one
        yield from source if isinstance(source, list) else [source]


def lost(workflow: Workflow) -> list[str]:
    """Connections that lead to no output of a tool and no input of the workflow."""
    wanted = [one["outputSource"] for one in workflow["outputs"].values()]
    wanted += [source for step in workflow["steps"].values() for source in sources_of(step)]
    found = []
    for source in wanted:
        step, _, output = source.partition("/")
        if step not in workflow["inputs"] and output not in outputs_of(workflow["steps"][step]["tool_id"]):
            found.append(source)
    return found


def boxes_of(workflow: Workflow) -> dict[str, tuple[float, float, float, float]]:
    """Where inputs and steps lie in the editor: left, top, right, bottom; no box for what has no position."""
    found = {}
    for name, one in (*workflow["inputs"].items(), *workflow["steps"].items()):
        if "position" in one:
            left, top = one["position"]["left"], one["position"]["top"]
            lines = 1 if "tool_id" not in one else len(one["in"]) + len(outputs_of(one["tool_id"]))
            found[name] = (left, top, left + WIDTH, top + HEADING + LINE * lines)
    return found


def misplaced(workflow: Workflow) -> list[str]:
    """What has no position, and what lies on top of something else."""
    boxes = boxes_of(workflow)
    found = [f"{name} has no position" for name in (*workflow["inputs"], *workflow["steps"]) if name not in boxes]
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
            found.append(f"{one} lies on {other}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_parameter_is_stated_and_right(file: Path) -> None:
    found = all_differences(read(file))
    assert not found, "\n".join(["", f"{file.relative_to(ROOT)}, tool_state of", *found])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_connection_has_two_ends(file: Path) -> None:
    assert lost(read(file)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_versions_are_those_of_the_tools(file: Path) -> None:
    tokens = {one.get("name"): one.text for one in inputs_and_tokens()}
    version = f"{tokens['@TOOL_VERSION@']}+galaxy{tokens['@VERSION_SUFFIX@']}"
    assert {step["tool_version"] for step in read(file)["steps"].values()} == {version}


def test_a_browser_runs_each() -> None:
    """By clicks, from its file (``tests/browser``)."""
    ran = "\n".join(file.read_text() for file in (ROOT / "tests" / "browser").glob("test_*.py"))
    assert [file.parent.name for file in FILES if f'"{file.parent.name}"' not in ran] == []


def inputs_and_tokens() -> Iterator[Element]:
    from xml.etree import ElementTree

    yield from ElementTree.parse(ROOT / "tools" / "chunkwise" / "macros.xml").getroot().iter("token")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_box_has_its_place_in_the_editor(file: Path) -> None:
    workflow = read(file)
    assert misplaced(workflow) == []
    # Comments say in the editor what the parts are for, and every step lies in a frame.
    frames = [one for one in workflow["comments"] if one["type"] == "frame"]
    framed = [step for frame in frames for step in frame["contains_steps"]]
    assert sorted(framed) == list(range(len(workflow["inputs"]) + len(workflow["steps"])))
    boxes = list(boxes_of(workflow).values())
    for frame in frames:
        (left, top), (width, height) = frame["position"], frame["size"]
        for box in (boxes[step] for step in frame["contains_steps"]):
            inside = (left <= box[0], top <= box[1], box[2] <= left + width, box[3] <= top + height)
            assert all(inside), frame["title"]
    assert any(one["type"] == "markdown" for one in workflow["comments"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_inputs_and_outputs_explain_themselves(file: Path) -> None:
    workflow = read(file)
    assert all(one.get("doc") for one in workflow["inputs"].values())
    assert all(one.get("doc") and one.get("label") for one in workflow["steps"].values())
    # The report shows what the workflow gives, and nothing else.
    shown = set(re.findall(r'output="([^"]+)"', workflow["report"]["markdown"]))
    assert shown <= set(workflow["outputs"])


def nuclei() -> Workflow:
    return read(ROOT / "workflows" / "nuclei-segmentation" / "nuclei-segmentation.gxwf.yml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state["advanced"].pop("block"), "segment: advanced|block is missing: null"),
        (lambda state: state.pop("connectivity"), "segment: connectivity is missing: all"),
        (lambda state: state.pop("method"), "segment: method|threshold is missing, or no case of the tool: otsu"),
        (lambda state: state.update(fill=True), "segment: fill is unknown to the tool"),
        (
            lambda state: state.update(foreground="pink"),
            "segment: foreground is 'pink', which is no choice of the tool",
        ),
        (lambda state: state["selection"].update(level=-1), "segment: selection|level is -1, which is out of range"),
        (lambda state: state.update(sigma=1.0), "segment: sigma is connected, and stated as well"),
    ],
)
def test_mutant_a_state_that_does_not_fit_is_caught(change: Any, said: str) -> None:
    workflow = nuclei()
    change(workflow["steps"]["segment"]["tool_state"])
    assert all_differences(workflow) == [said]


def test_mutant_boxes_on_each_other_and_lost_connections_are_caught() -> None:
    workflow = nuclei()
    other = copy.deepcopy(workflow)
    del other["steps"]["measure"]["position"]
    other["steps"]["crate"]["position"] = dict(other["steps"]["segment"]["position"])
    assert misplaced(other) == ["measure has no position", "segment lies on crate"]
    workflow["steps"]["measure"]["in"]["labels"] = "segment/label"
    assert lost(workflow) == ["segment/label"]
