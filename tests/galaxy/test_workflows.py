"""The workflow files as a person meets them: imported from the file, and run as they are.

The page sends the file itself (*Import workflow from file*), and runs without any correction of states, which
planemo's own test may let Galaxy make.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.galaxy.conftest import ROOT, User
from tests.galaxy_invocation import CELLS, nested, wait_for

pytestmark = pytest.mark.galaxy

RUN = ROOT / ".galaxy"
FILES = sorted((ROOT / "workflows").glob("*/*.gxwf.yml"))
COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"
COINS_TIFF = "gxfiles://chunkwise_images/coins_2d.tif"
TISSUE = "gxfiles://chunkwise_images/tissue_rgb.ome.zarr"
#: Of workflows that no browser runs (``tests/browser/test_workflows.py``): the image, what the form is given beside it,
#: the table, and the rows of that.
RUNS: dict[str, tuple[str, dict[str, Any], str, int]] = {
    # its table is what was compared, in two lines
    "convert-and-publish": (
        CELLS,
        {"Title": "Cells", "Organism": "Homo sapiens", "Imaging method": "confocal microscopy"},
        "Verification",
        1,
    ),
    "hela-screen": (COINS, {}, "Tables of nuclei", 19),
    "spots-2d": (COINS, {"Smallest response": 0.3}, "Table of spots", 14),
    "staining-area": (TISSUE, {"Stain": "DAB"}, "Share of the area", 1),
    # with a TIFF; 24 coins, of which two lie so near to others that they are joined
    "nuclei-segmentation": (COINS_TIFF, {}, "Table of nuclei", 22),
}


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


def listed(user: User, uri: str) -> dict[str, str]:
    """A list of a single reference: what is deferred in a list Galaxy would read itself."""
    place = uri.replace("gxfiles://chunkwise_images/", "images:")
    inputs = {"source|kind": "location", "source|location": place}
    reference = user.run("chunkwise_open", inputs)["reference"]
    elements = [{"name": "the only one", "src": "hda", "id": reference["id"]}]
    body = {"history_id": user.history, "collection_type": "list", "name": "one", "element_identifiers": elements}
    return {"src": "hdca", "id": str(user.call("POST", "/api/dataset_collections", body)["id"])}


def run_plainly(user: User, workflow: str, inputs: dict[str, Any]) -> str:
    body = {"history_id": user.history, "inputs_by": "name", "inputs": inputs}
    return str(user.call("POST", f"/api/workflows/{workflow}/invocations", body)["id"])


def table_of(user: User, found: dict[str, Any], label: str) -> str:
    """A dataset of an invocation, or the only one of a list."""
    if label in found["outputs"]:
        return str(found["outputs"][label]["id"])
    made = user.call("GET", f"/api/dataset_collections/{found['output_collections'][label]['id']}")
    (element,) = made["elements"]
    return str(element["object"]["id"])


WAYS = [file for file in FILES if file.parent.name in RUNS]


def start(analyst: User, site_user: User, file: Path) -> tuple[User, str]:
    """Run a workflow on an image of the site; who, and the invocation."""
    uri, given, _, _ = RUNS[file.parent.name]
    content = yaml.safe_load(file.read_text())
    lists = [label for label, one in content["inputs"].items() if one["type"] == "collection"]
    user, kind = site_user if lists else analyst, "ome_zarr"
    if uri == COINS_TIFF:
        kind = "tiff"
        shutil.copyfile(ROOT / "test-data" / "coins_2d.tif", RUN / "images" / "coins_2d.tif")
    image = listed(user, uri) if lists else {"src": "hda", "id": user.deferred(uri, kind)}
    given = given | {lists[0] if lists else "Image": image}
    return user, run_plainly(user, import_file(user, file.name, file.read_bytes()), given)


@pytest.fixture(scope="module")
def started(analyst: User, site_user: User) -> dict[Path, tuple[User, str]]:
    """All of them, run side by side: most of a run is waiting."""
    return {file: start(analyst, site_user, file) for file in WAYS}


@pytest.mark.parametrize("file", WAYS, ids=lambda file: file.parent.name)
def test_it_runs_as_it_is(started: dict[Path, tuple[User, str]], file: Path) -> None:
    """What is not given has the workflow's default, as in the form."""
    _, _, table, rows = RUNS[file.parent.name]
    user, invocation = started[file]
    wait_for(user, invocation)
    found = user.call("GET", f"/api/invocations/{invocation}?view=element")
    assert {*found["outputs"], *found["output_collections"]} == {*yaml.safe_load(file.read_text())["outputs"]}
    dataset = user.wait(table_of(user, found, table))
    assert dataset["state"] == "ok"
    assert len(user.content(dataset).decode().splitlines()) == 1 + rows


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
