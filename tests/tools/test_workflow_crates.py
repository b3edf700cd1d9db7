"""The form of our workflows that WorkflowHub takes: made of the files as they are, and valid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from chunkwise.provenance.validate import profile_of, validate_crate
from workflow_steps import FILES, WORKFLOWS, script

FOLDERS = [file.parent for file in FILES]
METADATA = "ro-crate-metadata.json"


@pytest.fixture(scope="module")
def crates() -> ModuleType:
    return script(WORKFLOWS / "crates.py")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_committed_description_is_that_of_the_files(folder: Path, crates: ModuleType) -> None:
    """A workflow that was changed alone fails here: run workflows/crates.py."""
    assert (folder / METADATA).read_text() == crates.describe(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_is_a_valid_workflow_crate(folder: Path) -> None:
    assert profile_of(folder) == "workflow-ro-crate"
    assert validate_crate(folder, profile="workflow-ro-crate", level="recommended") == []


def test_inputs_and_outputs_are_those_of_the_workflow() -> None:
    for folder in FOLDERS:
        (file,) = folder.glob("*.gxwf.yml")
        workflow = yaml.safe_load(file.read_text())
        graph = {entity["@id"]: entity for entity in json.loads((folder / METADATA).read_text())["@graph"]}
        main = graph[graph["./"]["mainEntity"]["@id"]]
        assert [graph[link["@id"]]["name"] for link in main["input"]] == list(workflow["inputs"])
        assert [graph[link["@id"]]["name"] for link in main["output"]] == list(workflow["outputs"])
        # Whoever is not named in the workflow is not named here.
        people = [entity["name"] for entity in graph.values() if entity["@type"] in ("Person", "Organization")]
        assert people == [one["name"] for one in workflow["creator"]]


def test_mutant_what_is_missing_is_caught(tmp_path: Path) -> None:
    shutil.copytree(FOLDERS[0], tmp_path / "crate", ignore=shutil.ignore_patterns("test-data"))
    file = tmp_path / "crate" / METADATA
    content = json.loads(file.read_text())
    entities = {one["@id"]: one for one in content["@graph"]}
    del entities["./"]["mainEntity"]
    file.write_text(json.dumps(content))
    found = validate_crate(tmp_path / "crate", profile="workflow-ro-crate", level="recommended")
    assert {(issue.level, issue.entity) for issue in found} >= {("required", "./")}, found
