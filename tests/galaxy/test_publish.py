"""Workflows that one command published: another user sees them. In a browser that user runs one (``tests/browser``)."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from galaxy_server import ROOT, RUN, User

pytestmark = pytest.mark.galaxy

NUCLEI = ROOT / "workflows" / "nuclei-segmentation" / "nuclei-segmentation.gxwf.yml"
FILES = sorted((ROOT / "workflows").glob("*/*.gxwf.yml"))
UNSET = ("      connectivity: all\n", "")
"""What leaves a parameter of the workflow without a value."""
ABSENT = ("tool_id: chunkwise_inspect", "tool_id: chunkwise_nothing")


def copy(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The workflow for nuclei under another name, with changes."""
    text = NUCLEI.read_text()
    for old, new in ((f"label: {label(NUCLEI)}\n", f"label: {name}\n"), *changes):
        assert old in text
        text = text.replace(old, new)
    file = folder / "copy.gxwf.yml"
    file.write_text(text)
    return file


def publish(url: str, *files: Path, key: Path = RUN / "admin.key") -> subprocess.CompletedProcess[str]:
    """Run the command as an administrator does."""
    command: list[str | Path] = [sys.executable, "-I", ROOT / "deploy/galaxy/publish.py", url, key, *files]
    return subprocess.run(command, capture_output=True, text=True)


def published(user: User) -> dict[str, dict[str, Any]]:
    """What a user finds under *Public workflows*, by name."""
    found = user.call("GET", "/api/workflows?show_published=true&show_hidden=false")
    return {one["name"]: one for one in found if one["published"]}


def label(file: Path) -> str:
    """The name of a workflow in its file."""
    return next(line.removeprefix("label: ") for line in file.read_text().splitlines() if line.startswith("label: "))


def test_all_are_there_for_everybody_and_stay_what_they_are(galaxy_url: str, analyst: User) -> None:
    first = publish(galaxy_url, *FILES)
    assert first.returncode == 0, first.stderr
    before = published(analyst)
    assert {label(file) for file in FILES} <= set(before)
    assert {before[label(file)]["owner"] for file in FILES} == {"admin"}
    again = publish(galaxy_url, *FILES)
    assert again.stdout.count(" is up to date: ") == len(FILES)
    assert published(analyst) == before
    for file in FILES:
        assert f"{galaxy_url}/workflows/run?id={before[label(file)]['id']}\n" in again.stdout


def test_a_changed_file_is_a_new_version_of_the_same_workflow(galaxy_url: str, analyst: User, tmp_path: Path) -> None:
    name = f"A copy {time.time_ns()}"
    assert f"{name} is new: " in publish(galaxy_url, copy(tmp_path, name)).stdout
    first = published(analyst)[name]
    changed = ("default: 1.0", "default: 1.5")
    assert f"{name} has a new version: " in publish(galaxy_url, copy(tmp_path, name, changed)).stdout
    second = published(analyst)[name]
    assert second["id"] == first["id"]
    assert second["latest_workflow_id"] != first["latest_workflow_id"]

    # One that the page would not run leaves the older version as it is.
    done = publish(galaxy_url, copy(tmp_path, name, changed, UNSET))
    assert done.returncode == 1
    assert f"'{name}' was not published: it could not be run from the page. Galaxy says: No value found" in done.stderr
    assert published(analyst)[name] == second
    User(galaxy_url, "admin").call("DELETE", f"/api/workflows/{second['id']}")


@pytest.mark.parametrize(("change", "said"), [(ABSENT, "Tool is not installed"), (UNSET, "No value found for")])
def test_one_that_cannot_be_run_is_not_published(
    change: tuple[str, str], said: str, galaxy_url: str, analyst: User, tmp_path: Path
) -> None:
    name = f"A bad copy {time.time_ns()}"
    done = publish(galaxy_url, copy(tmp_path, name, change))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert name not in published(analyst)
    owned = User(galaxy_url, "admin").call("GET", "/api/workflows")
    assert name not in {workflow["name"] for workflow in owned}


def test_what_is_wrong_is_said(galaxy_url: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789")
    file = tmp_path / "workflow.ga"
    file.write_text("{}")
    for done, said in (
        (publish(galaxy_url, NUCLEI, key=key), "answers 401"),
        (publish("http://127.0.0.1:9", NUCLEI), "does not answer as Galaxy does"),
        (publish(galaxy_url, file), "is no workflow with a label in Galaxy's format 2"),
        (publish(galaxy_url, tmp_path / "missing"), "No such file"),
        (publish(galaxy_url, NUCLEI, key=tmp_path / "missing"), "the key cannot be read"),
    ):
        assert done.returncode in (1, 2)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
