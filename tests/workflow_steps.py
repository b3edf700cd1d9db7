"""The steps of a workflow as its file states them, run by the command line: what Galaxy runs, without Galaxy.

Parameters and connections come from the file alone, so that a test of a workflow's result is one of what is shipped.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml
import zarr

from chunkwise.cli import main

__all__ = ["FILES", "MADE", "WORKFLOWS", "Steps", "script", "voxels"]

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "workflows"
FILES = sorted(WORKFLOWS.glob("*/*.gxwf.yml"))
MADE = ROOT / "test-data"

#: What only says where results go, which of them are datasets, and how many inputs a form shows.
PLACES = {
    "destination",
    "advanced",
    "browse",
    "summary",
    "children",
    "dictionary",
    "format",
    "images",
    "choice",
    "kind",
}

#: What the forms say where the command line leaves an option out.
UNSAID = ("usual", "all", "no", "file")

#: What each command writes, if it is no OME-Zarr.
ENDINGS = {"measure": "tsv", "spots": "tsv"}


def script(file: Path) -> ModuleType:
    """A script of the repository that is in no package, as a module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voxels(store: Path) -> Any:
    """The full resolution of an image."""
    return np.asarray(zarr.open_array(store / "0", mode="r")[...])


def parameters(state: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a step states, whichever group of the form it stands in."""
    for name, value in state.items():
        if name in PLACES:
            continue
        if isinstance(value, Mapping):
            yield from parameters(value)
        elif value is not None and value is not False and value not in UNSAID:
            yield name, value


def words_of(name: str, value: Any) -> list[str]:
    """A parameter on the command line."""
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    if isinstance(value, list):
        return [option, *map(str, value)]
    if name == "channel":
        return [f"{option}={one}" for one in str(value).split(",")]
    return [f"{option}={value}"]


class Steps:
    """A workflow with its inputs; a step runs once something of it is asked for.

    Parameters
    ----------
    name
        Folder of the workflow.
    folder
        Where results go.
    inputs
        What the form is given, by the names of the workflow's inputs.
    block
        Voxels computed at once: so few that blocks cut through what is found.
    """

    def __init__(self, name: str, folder: Path, inputs: Mapping[str, Any], block: str) -> None:
        self.workflow: dict[str, Any] = yaml.safe_load((WORKFLOWS / name / f"{name}.gxwf.yml").read_text())
        self.folder, self.block = folder, block
        self.given = {label: one.get("default") for label, one in self.workflow["inputs"].items()} | dict(inputs)
        self.made: dict[str, Path] = {}

    def state(self, step: str) -> dict[str, Any]:
        """What a step states: a test may change it before the step runs."""
        state: dict[str, Any] = self.workflow["steps"][step]["tool_state"]
        return state

    def result(self, label: str) -> Path:
        """Where an output of the workflow is."""
        return self.source(self.workflow["outputs"][label]["outputSource"])

    def source(self, name: str) -> Any:
        """What a connection brings: an input's value, or a file of a step."""
        if name in self.given:
            return self.given[name]
        step, _, output = name.partition("/")
        if step not in self.made:
            self.made[step] = self.run(step)
        return self.made[step].with_suffix(".summary") if output == "summary_table" else self.made[step]

    def words(self, step: str) -> tuple[list[str], Path]:
        """A step as a command, after those that it needs; and its result."""
        stated = self.workflow["steps"][step]
        command = stated["tool_id"].removeprefix("chunkwise_")
        words = [word for name, value in parameters(self.state(step)) for word in words_of(name, value)]
        for name, label in stated["in"].items():
            value, name = self.source(label), name.split("|")[-1]
            if name == "image" and command != "measure":
                words.insert(0, str(value))
            elif value is not None:
                words += words_of(name, value)
        output = self.folder / f"{step}.{ENDINGS.get(command, 'ome.zarr')}"
        words += ["--output", str(output), "--block", self.block]
        if self.state(step).get("summary"):
            words += ["--summary", str(output.with_suffix(".summary"))]
        return [command, *words], output

    def run(self, step: str) -> Path:
        """Run a step; its result."""
        words, output = self.words(step)
        assert main([*words, "--workers", "1"]) == 0, step
        return output
