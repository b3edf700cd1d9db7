"""Saved workflows keep running: what they name of the tools of the last release is there, and new inputs have defaults.

``python tests/tools/test_upgrade.py`` writes down what the tools have now; that is done when a version is released.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))  # for the script

from test_xml import TOOLS, tool_of  # noqa: E402

RECORDED = ROOT / "tests" / "recorded" / "tools.json"
KNOWN: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def parameters(
    element: ElementTree.Element, before: str = "", known: Mapping[str, Any] | None = None, choices: Any = None
) -> Iterator[tuple[str, ElementTree.Element]]:
    """All parameters below an element, by the paths by which a workflow names them.

    With what is ``known`` of inputs, those are left out that only a choice has which was not there.
    """
    if element.tag == "conditional" and known is not None:
        choices = known.get(before + str(next(element.iter("param")).get("name")), {}).get("options", ())
    for child in element:
        if child.tag == "param":
            yield before + str(child.get("name")), child
        elif child.tag != "when" or choices is None or child.get("value") in choices:
            named = child.tag in ("section", "conditional", "repeat")
            yield from parameters(child, f"{before}{child.get('name')}|" if named else before, known, choices)


def described(tool: ElementTree.Element) -> dict[str, Any]:
    """What a workflow holds on to."""
    inputs: dict[str, Any] = {}
    for path, one in parameters(tool.find("inputs")):  # type: ignore[arg-type]
        options = [str(option.get("value")) for option in one.findall("option")]
        known = inputs.setdefault(path, {"type": one.get("type"), "options": []})
        known["options"] += options
    return {"inputs": inputs, "outputs": [str(data.get("name")) for data in tool.find(".//outputs").iter("data")]}  # type: ignore[union-attr]


def broken(before: dict[str, Any], tool: ElementTree.Element) -> list[str]:
    """What would stop a workflow that was saved with the tool as it was before."""
    now, found = described(tool), []
    for path, one in before["inputs"].items():
        new = now["inputs"].get(path)
        if new is None or new["type"] != one["type"] or not set(one["options"]) <= set(new["options"]):
            found.append(path)
    for path, element in parameters(tool.find("inputs"), known=before["inputs"]):  # type: ignore[arg-type]
        default = element.get("optional") == "true" or element.get("value") or element.get("type") == "boolean"
        default = default or element.find("option") is not None
        if path not in before["inputs"] and not default:
            found.append(path)
    return found + sorted(set(before["outputs"]) - set(now["outputs"]))


@pytest.mark.parametrize("tool", KNOWN)
def test_what_a_workflow_holds_on_to_is_there(tool: str) -> None:
    assert broken(KNOWN[tool], tool_of(tool)) == []


@pytest.mark.parametrize(
    "mutant", ["renamed", "choice gone", "output gone", "new without a default", "new in a choice"]
)
def test_mutant_a_tool_that_stops_a_workflow(mutant: str) -> None:
    tool = copy.deepcopy(tool_of("segment"))
    if mutant == "renamed":
        tool.find(".//param[@name='sigma']").set("name", "smoothing")  # type: ignore[union-attr]
    elif mutant == "choice gone":
        foreground = tool.find(".//param[@name='foreground']")
        assert foreground is not None
        foreground.remove(foreground[-1])
    elif mutant == "output gone":
        tool.find(".//data[@name='labels']").set("name", "objects")  # type: ignore[union-attr]
    elif mutant == "new in a choice":
        chosen = next(one for one in tool.find("inputs").iter("when") if one.get("value") == "otsu")  # type: ignore[union-attr]
        ElementTree.SubElement(chosen, "param", name="new", type="text")
    else:
        ElementTree.SubElement(tool.find("inputs"), "param", name="new", type="text")  # type: ignore[arg-type]
    assert broken(KNOWN["segment"], tool)


if __name__ == "__main__":
    names = sorted(file.stem.removeprefix("chunkwise_") for file in TOOLS.glob("chunkwise_*.xml"))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(described(tool_of(name)))}" for name in names)
    RECORDED.write_text(f"{{\n{lines}\n}}\n")
