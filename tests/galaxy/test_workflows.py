"""The workflow files as a person meets them: imported from the file, without any correction of states.

The page sends the file itself (*Import workflow from file*). ``tests/browser`` runs each of them in this way; planemo's
own test may let Galaxy correct states.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.galaxy.conftest import ROOT, User
from tests.galaxy_invocation import nested

pytestmark = pytest.mark.galaxy

FILES = sorted((ROOT / "workflows").glob("*/*.gxwf.yml"))
COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"


def import_file(user: User, name: str, content: bytes) -> str:
    """Send a workflow file as the page does; the workflow that came of it."""
    mark = "a-line-that-is-in-no-workflow"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="archive_file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
    request = urllib.request.Request(f"{user.url}/api/workflows", data=body, method="POST")
    request.add_header("x-api-key", user.key)
    request.add_header("content-type", f"multipart/form-data; boundary={mark}")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["id"])


def as_run(user: User, workflow: str) -> dict[str, Any]:
    """What the form to run a workflow is made of."""
    path = f"/api/workflows/{workflow}/download?style=run&history_id={user.history}"
    found: dict[str, Any] = user.call("GET", path)
    return found


def as_edited(user: User, workflow: str) -> dict[str, Any]:
    """What the editor shows of a workflow."""
    found: dict[str, Any] = user.call("GET", f"/api/workflows/{workflow}/download?style=editor")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_page_takes_the_file_without_a_word(analyst: User, file: Path) -> None:
    workflow, content = import_file(analyst, file.name, file.read_bytes()), yaml.safe_load(file.read_text())
    form = as_run(analyst, workflow)
    assert form["has_upgrade_messages"] is False
    assert form["step_version_changes"] == []
    assert [step.get("messages") for step in form["steps"] if step.get("messages")] == []
    edited = as_edited(analyst, workflow)
    assert edited["upgrade_messages"] == {}
    stated = {**content["inputs"], **content["steps"]}
    assert {one["label"]: one["position"] for one in edited["steps"].values()} == {
        name: one["position"] for name, one in stated.items()
    }
    titles = [one["title"] for one in content["comments"] if one["type"] == "frame"]
    assert [one["data"]["title"] for one in edited["comments"] if one["type"] == "frame"] == titles


def run_plainly(user: User, workflow: str, inputs: dict[str, Any]) -> str:
    body = {"history_id": user.history, "inputs_by": "name", "inputs": inputs}
    return str(user.call("POST", f"/api/workflows/{workflow}/invocations", body)["id"])


def test_a_workflow_within_a_workflow_needs_no_correction(analyst: User) -> None:
    form = as_run(analyst, import_file(analyst, "nested.gxwf.yml", nested().encode()))
    assert form["has_upgrade_messages"] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state["advanced"].pop("block"), "No value found for 'Block size'"),
        (lambda state: state.pop("connectivity"), "No value found for 'Neighbours'"),
    ],
    ids=["in a section", "at the top"],
)
def test_mutant_a_parameter_left_out_is_said_by_the_form_and_refused(
    analyst: User, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    (file,) = (file for file in FILES if file.parent.name == "nuclei-segmentation")
    content = yaml.safe_load(file.read_text())
    change(content["steps"]["segment"]["tool_state"])
    workflow = import_file(analyst, file.name, yaml.safe_dump(content, sort_keys=False).encode())
    form = as_run(analyst, workflow)
    assert form["has_upgrade_messages"] is True
    assert said in str([step.get("messages") for step in form["steps"]])
    with pytest.raises(urllib.error.HTTPError) as refused:
        run_plainly(analyst, workflow, {"Image": {"src": "hda", "id": analyst.deferred(COINS)}})
    with refused.value as answer:
        assert answer.code == 400
