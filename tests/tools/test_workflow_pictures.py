"""The picture of each workflow is that of its file, and shows every step and connection."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from workflow_steps import FILES, WORKFLOWS, script

Workflow = dict[str, Any]


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    return script(WORKFLOWS / "pictures.py")


def read(file: Path) -> Workflow:
    workflow: Workflow = yaml.safe_load(file.read_text())
    return workflow


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_committed_picture_is_that_of_the_file(file: Path, pictures: ModuleType) -> None:
    picture = pictures.picture_of(file)
    assert picture.is_file(), f"{picture.name} is missing: run workflows/crates.py"
    assert picture.read_text() == pictures.draw(read(file)), f"{picture.name} is out of date: run workflows/crates.py"
    readme = (file.parent / "README.md").read_text()
    assert f"]({picture.name})" in readme, f"{file.parent.name}/README.md does not show {picture.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_it_shows_all_that_the_file_has(file: Path, pictures: ModuleType) -> None:
    workflow, text = read(file), pictures.draw(read(file))
    root = ElementTree.fromstring(text)  # well-formed
    words = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    for number, (name, one) in enumerate({**workflow["inputs"], **workflow["steps"]}.items(), start=1):
        assert f"{number}: {one.get('label', name)}" in words
    assert {*workflow["outputs"]} <= {*words}
    sources = [one["source"] if isinstance(one, dict) else one for step in workflow["steps"].values()
               for one in step["in"].values()]  # fmt: skip
    count = sum(len(one) if isinstance(one, list) else 1 for one in sources)
    assert len(re.findall(r'<path class="line', text)) == count


@pytest.mark.parametrize(
    "change",
    [
        lambda workflow: workflow["steps"]["count"].update(label="measure"),
        lambda workflow: workflow["steps"]["count"]["position"].update(left=1230),
        lambda workflow: workflow["steps"]["overlay"]["in"].update(image="Image"),
        lambda workflow: workflow["steps"]["overlay"].update(doc="Something else."),
        lambda workflow: workflow["inputs"]["Smoothing"].update(default=2.0),
        lambda workflow: workflow["outputs"].pop("Mask"),
        lambda workflow: workflow["comments"][0].update(title="1. Choose"),
    ],
)
def test_mutant_a_change_of_the_file_is_seen(change: Any, pictures: ModuleType) -> None:
    file = WORKFLOWS / "nuclei-counting" / "nuclei-counting.gxwf.yml"
    workflow = read(file)
    change(workflow)
    assert pictures.draw(workflow) != pictures.picture_of(file).read_text()
