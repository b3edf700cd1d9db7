"""Tutorials in the form of the Galaxy Training Network: their steps are read, held against the tools' forms, and run.

A step names a tool and fills its form by the words that Galaxy shows: ``{% tool [Name](id) %}``, and below it
``*"Label"*: `value```, deeper where a choice or a section opens. The step after it may rename the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import yaml
from tests.tools.test_workflows import name_of, parts_of, refused
from tests.tools.test_xml import OFFERED, options_of, tool_of

from chunkwise.cli import main

TOOL = re.compile(r"^\d+\. \{% tool \[(?P<name>[^]]+)\]\((?P<id>\w+)\) %\}")
WORKFLOW = re.compile(r"^\d+\. Run \*\*(?P<name>[^*]+)\*\* \{% icon workflow %\}")
RENAME = re.compile(r"^\d+\. Rename .*? to `(?P<name>[^`]+)`$")
FIELD = re.compile(
    r'^(?P<indent> +)- (?:\{% icon param-file %\} |In )?\*"(?P<label>[^"]+)"\*:(?: `(?P<value>[^`]*)`)?$'
)
#: Where the command line writes the main result of a tool, and what its other files are called in a workflow.
SUFFIX = {"overlay": ".png", "measure": ".tsv", "crate": ".zip"}
MAIN = {"overlay": "picture", "measure": "objects", "crate": "crate"}


class Field(NamedTuple):
    """A field of a form, filled in; ``below`` are those that open with it."""

    label: str
    value: str | None
    below: list[Field]


class Step(NamedTuple):
    """A tool or a workflow with its form, and what the result is renamed to."""

    id: str
    name: str
    fields: list[Field]
    result: str


def steps_of(text: str) -> list[Step]:
    """Return the steps of all hands-on boxes of a text, in order."""
    found: list[Step] = []
    for box in re.findall(r"^> <hands-on-title>.*?^\{: \.hands_on\}", text, re.MULTILINE | re.DOTALL):
        levels: list[tuple[int, list[Field]]] = []
        for line in (line.removeprefix(">").removeprefix(" ") for line in box.splitlines()):
            if tool := TOOL.match(line) or WORKFLOW.match(line):
                found.append(Step(tool.groupdict().get("id", "workflow"), tool["name"], [], ""))
                levels = [(0, found[-1].fields)]
            elif renamed := RENAME.match(line):
                if levels:
                    found[-1] = found[-1]._replace(result=renamed["name"])
                levels = []
            elif field := FIELD.match(line):
                while levels[-1][0] >= len(field["indent"]):
                    levels.pop()
                levels[-1][1].append(Field(field["label"], field["value"], []))
                levels.append((len(field["indent"]), levels[-1][1][-1].below))
            elif '*"' in line:
                raise ValueError(f"no field of a form: {line.strip()}")
    return found


def filled(step: Step, problems: list[str]) -> dict[str, Any]:
    """Return the values of a form by the names of its parameters; what does not fit its tool goes to ``problems``."""
    command = step.id.removeprefix("chunkwise_")
    if command not in OFFERED:
        problems.append(f"there is no tool {step.id}")
        return {}
    tool = tool_of(command)
    if tool.get("name") != step.name:
        problems.append(f"{step.id} is called {tool.get('name')!r}, not {step.name!r}")
    inputs = tool.find("inputs")
    assert inputs is not None
    return dict(_filled(inputs, step.fields, problems, step.name))


def _filled(element: Element, fields: list[Field], problems: list[str], place: str) -> Iterator[tuple[str, Any]]:
    parts = {str(_first(part).get("label") or part.get("title")): part for part in parts_of(element)}
    for field in fields:
        part = parts.get(field.label)
        if part is None:
            problems.append(f"{place} has no {field.label!r}")
            continue
        if part.tag == "section":
            yield from _filled(part, field.below, problems, f"{place}, {field.label}")
            continue
        parameter = _first(part)
        value, why = typed(parameter, field.value or "")
        if why:
            problems.append(f"{place}, {field.label}: {field.value!r} {why}")
        yield name_of(parameter), value
        if part.tag == "conditional":
            case = next((one for one in part.iter("when") if one.get("value") == value), Element("when"))
            yield from _filled(case, field.below, problems, f"{place}, {field.value}")
        elif field.below:
            problems.append(f"{place}: nothing opens below {field.label!r}")


def _first(part: Element) -> Element:
    """The parameter that chooses the case of a conditional; a parameter itself."""
    return next(parts_of(part)) if part.tag == "conditional" else part


def typed(parameter: Element, words: str) -> tuple[Any, str]:
    """What is sent to the tool when the form shows these words, and why it would not be."""
    kind = parameter.get("type")
    if kind == "select":
        shown = {one.text: one.get("value") for one in parameter.iter("option")}
        return shown.get(words), "" if words in shown else "is no choice"
    if kind == "boolean":
        return words == "Yes", "" if words in ("Yes", "No") else "is neither Yes nor No"
    if kind in ("integer", "float"):
        value = yaml.safe_load(words)
        return value, refused(parameter, value)
    return words, "" if kind == "data" else refused(parameter, words)


class Run:
    """Runs steps by the command line; every result has its file in a folder."""

    def __init__(self, folder: Path, datasets: Mapping[str, Path]) -> None:
        self.folder = folder
        self.datasets = dict(datasets)
        self.count = 0

    def tool(self, command: str, values: Mapping[str, Any]) -> dict[str, Path]:
        """Run a tool with the values of its form; its outputs by their names in workflows."""
        self.count += 1
        made = self.folder / f"{self.count}"
        made.mkdir()
        options = options_of(command)
        words = ["crate", "build"] if command == "crate" else [command]
        if command == "inspect":
            outputs = {"json": made / "image.json"}
        else:
            outputs = {"output": made / f"output{SUFFIX.get(command, '.ome.zarr')}"}
        if "--crate" in options:
            outputs["crate"] = made / "crate.zip"
        for name, value in values.items():
            option = f"--{name.replace('_', '-')}"
            if name in ("where", "format", "pictures", "channels", "choice", "kind") or value in (
                None,
                False,
                "",
                "default",
                ["default"],
            ):
                continue
            if name == "summary":
                outputs["summary"] = made / "summary.tsv"
            elif option not in options:
                words.append(str(value))
            elif value is True:
                words.append(option)
            else:
                words += [option, *map(str, value if isinstance(value, list) else [value])]
        words += [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
        if "--workers" in options:
            words += ["--workers", "1"]
        assert main(words) == 0, words
        names = {"output": MAIN.get(command, "output"), "summary": "summary_table"}
        return {names.get(name, name): path for name, path in outputs.items()}

    def step(self, step: Step) -> dict[str, Path]:
        """Run a step of the text. Datasets are those that the text named before."""
        problems: list[str] = []
        values = filled(step, problems)
        assert not problems, problems
        command = step.id.removeprefix("chunkwise_")
        outputs = self.tool(command, {name: self.datasets.get(str(value), value) for name, value in values.items()})
        if step.result:
            self.datasets[step.result] = outputs[MAIN.get(command, "output")]
        return outputs

    def workflow(self, workflow: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Path]:
        """Run a workflow on what its inputs are given; the outputs of its steps, as ``step/output``."""
        known: dict[str, Any] = {
            name: self.datasets.get(str(given.get(name)), given.get(name, one.get("default")))
            for name, one in workflow["inputs"].items()
        }
        waiting = dict(workflow["steps"])
        while waiting:
            name, sources = next(_ready(waiting, known))
            step = waiting.pop(name)
            values = dict(_leaves(step["tool_state"]))
            for key, several in sources.items():
                found = [known[one] for one in several]
                values[key.rpartition("|")[2]] = found if len(found) > 1 else found[0]
            command = step["tool_id"].removeprefix("chunkwise_")
            outputs = self.tool(command, values)
            known |= {f"{name}/{output}": path for output, path in outputs.items()}
        return known


def _sources(one: Any) -> list[str]:
    source = one["source"] if isinstance(one, Mapping) else one
    return source if isinstance(source, list) else [source]


def _ready(steps: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """The steps whose sources are there, with these by input."""
    for name, step in steps.items():
        sources = {key: _sources(one) for key, one in step["in"].items()}
        if known.keys() >= {one for several in sources.values() for one in several}:
            yield name, sources


def _leaves(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield name, value


def workflow_problems(step: Step, workflow: Mapping[str, Any]) -> list[str]:
    """What in a run of a workflow does not fit it."""
    found = [] if step.name == workflow["label"] else [f"the workflow is called {workflow['label']!r}"]
    found += [f"{step.name} has no {one.label!r}" for one in step.fields if one.label not in workflow["inputs"]]
    filled_in = {one.label for one in step.fields}
    for name, one in workflow["inputs"].items():
        if name not in filled_in and "default" not in one and not one.get("optional"):
            found.append(f"{step.name} needs {name!r}")
    return found


def prose(text: str) -> str:
    """What a text says: without its head, its frames, code, tags, addresses, forms and numbers of lists."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    lines = [re.sub(r"^[> ]*", "", line) for line in text.splitlines()]
    kept = [re.sub(r"^\d+\. ", "", line) for line in lines if not line.startswith(('- *"', "- {%", "- In *"))]
    text = re.sub(r"```.*?```", "", "\n".join(kept), flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}|\{:.*?\}|<[^>]*>|\]\([^)\s]+|`[^`]*`", " ", text)
    return " ".join(text.split())


def unfounded(text: str, sentences: list[str]) -> list[str]:
    """Sentences with figures of a run that a text lacks, and figures in it that no such sentence has."""
    said = prose(text)
    lost = [f"the text does not say: {one}" for one in sentences if prose(one) not in said]
    for one in sentences:
        said = said.replace(prose(one), " ")
    return lost + [f"no run says: {one}" for one in re.findall(r"\S*\s?\S*\d+\S*\s?\S*", said)]
