"""Running a workflow in the real Galaxy and exporting the invocation, for tests and for their data.

``.venv/bin/python tests/galaxy_invocation.py`` makes the exports in test-data anew, from the Galaxy of
'make galaxy'. They are what Galaxy wrote, but for the place of this checkout, which is called /galaxy there.
"""

from __future__ import annotations

import io
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from chunkwise.provenance.record import RunRecord

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

ROOT = Path(__file__).parents[1]
Graph = dict[str, dict[str, Any]]
COMPLETED = "http://schema.org/CompletedActionStatus"
DATA = ROOT / "test-data"
CELLS = "gxfiles://chunkwise_images/cells_tczyx.ome.zarr"
STACK = "gxfiles://chunkwise_images/cells_zyx_v04.ome.zarr"


def nuclei() -> str:
    """Our workflow for nuclei."""
    return (ROOT / "workflows" / "nuclei-segmentation" / "nuclei-segmentation.gxwf.yml").read_text()


def nested() -> str:
    """A workflow that has one within it: it looks at an image, and segments it below."""
    inner = yaml.safe_load(nuclei())
    del inner["report"], inner["comments"]
    step = inner["steps"]["segment"]
    inner |= {"steps": {"segment": step}, "outputs": {"Labels": inner["outputs"]["Labels"]}}
    look = {"tool_id": "chunkwise_inspect", "in": {"image": "Image"}, "tool_state": {"pictures": False}}
    below = {"run": inner, "in": {"Image": "Image", "Channel of the nuclei": "Channel"}}
    outer = {
        "class": "GalaxyWorkflow",
        "label": "Look, then segment",
        "inputs": {"Image": {"type": "data"}, "Channel": {"type": "text", "optional": True}},
        "outputs": {"Labels": {"outputSource": "nuclei/Labels"}},
        "steps": {"look": look | {"tool_version": step["tool_version"]}, "nuclei": below},
    }
    return str(yaml.safe_dump(outer, sort_keys=False))


def invoke(user: User, workflow: str, inputs: dict[str, Any], seconds: int = 600) -> str:
    """Run a workflow to its end, and return the invocation."""
    text = {"class": "GalaxyWorkflow", "yaml_content": workflow}
    made = user.call("POST", "/api/workflows", {"workflow": text})
    body = {"history_id": user.history, "inputs_by": "name", "inputs": inputs}
    return wait_for(user, str(user.call("POST", f"/api/workflows/{made['id']}/invocations", body)["id"]), seconds)


def wait_for(user: User, invocation: str, seconds: int = 600) -> str:
    """Wait for the end of an invocation, and return it."""
    for _ in range(2 * seconds):
        state = user.call("GET", f"/api/invocations/{invocation}")["state"]
        jobs = set(user.call("GET", f"/api/invocations/{invocation}/jobs_summary")["states"])
        if state in ("completed", "failed", "cancelled") and not jobs - {"ok", "error", "paused", "skipped", "deleted"}:
            return invocation
        time.sleep(0.5)
    raise AssertionError(f"the invocation stayed {state}, its jobs {jobs}")


def export(user: User, invocation: str, *, files: bool = True) -> bytes:
    """Let Galaxy export an invocation as RO-Crate, as its page does."""
    body = {"model_store_format": "rocrate.zip", "include_files": files}
    store = user.call("POST", f"/api/invocations/{invocation}/prepare_store_download", body)["storage_request_id"]
    for _ in range(600):
        if user.call("GET", f"/api/short_term_storage/{store}/ready"):
            return user.raw("GET", f"/api/short_term_storage/{store}")
        time.sleep(0.5)
    raise AssertionError("Galaxy did not write the export")


def image_inputs(user: User) -> dict[str, Any]:
    """The inputs of the workflow for nuclei, with one image."""
    return {
        "Image": {"src": "hda", "id": user.deferred(CELLS)},
        "Channel of the nuclei": "DAPI",
        "Smallest nucleus": 20,
    }


def list_inputs(user: User) -> dict[str, Any]:
    """Two images as a list: every step is mapped over it. Galaxy itself reads what is deferred in a list, so fetch."""
    elements = []
    for name, uri, channel in (("cells", CELLS, {"selection|channel": "DAPI"}), ("stack", STACK, {})):
        image = f"hda:{user.deferred(uri)}"
        piece = user.run("chunkwise_fetch", {"image": image, "format": "ome_zarr", **channel})["piece"]
        assert piece["state"] == "ok", user.error_of(piece)
        elements.append({"name": name, "src": "hda", "id": piece["id"]})
    body = {
        "history_id": user.history,
        "collection_type": "list",
        "name": "two images",
        "element_identifiers": elements,
    }
    made = user.call("POST", "/api/dataset_collections", body)
    return {"Image": {"src": "hdca", "id": made["id"]}, "Smallest nucleus": 20}


def nested_inputs(user: User) -> dict[str, Any]:
    """The inputs of the workflow that has one within it."""
    return {"Image": {"src": "hda", "id": user.deferred(CELLS)}, "Channel": "DAPI"}


def neutral(content: bytes) -> bytes:
    """Name the checkout /galaxy, also in archives within the archive."""
    if not content.startswith(b"PK\x03\x04"):
        return content.replace(str(ROOT).encode(), b"/galaxy")
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, neutral(old.read(entry)), compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def graph_of(files: dict[str, bytes]) -> Graph:
    """The entities of a crate by their identifier."""
    return {entity["@id"]: entity for entity in json.loads(files["ro-crate-metadata.json"])["@graph"]}


def links(value: Any) -> list[str]:
    """Identifiers to which a property leads."""
    return [link["@id"] for link in (value if isinstance(value, list) else [] if value is None else [value])]


def told_by_galaxy(export: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, RunRecord]]:
    """The invocation, the jobs of its steps, and the records in it, read in the simplest way."""
    with zipfile.ZipFile(export) as archive:
        invocations = json.loads(archive.read("invocation_attrs.txt"))
        (invocation,) = (one for one in invocations if one["subworkflow_invocations"] or len(invocations) == 1)
        many = {
            one["encoded_id"]: one["jobs"] for one in json.loads(archive.read("implicit_collection_jobs_attrs.txt"))
        }
        wanted = []
        for step in [step for one in invocations for step in one["steps"]]:
            if "job" in step:
                wanted.append(step["job"]["encoded_id"])
            wanted += many.get(step.get("implicit_collection_jobs", {}).get("encoded_id"), [])
        jobs = [job for job in json.loads(archive.read("jobs_attrs.txt")) if job["encoded_id"] in wanted]
        records = {}
        for dataset in json.loads(archive.read("datasets_attrs.txt")):
            record = record_of(dataset, archive)
            if record is not None:
                (maker,) = (
                    job["encoded_id"]
                    for job in jobs
                    if any(dataset["encoded_id"] in ids for ids in job["output_dataset_mapping"].values())
                )
                records[maker] = record
    return invocation, jobs, records


def record_of(dataset: dict[str, Any], archive: zipfile.ZipFile) -> RunRecord | None:
    """The record of the run that made a dataset: in the crate of that run, or, as Galaxy once had it, by itself."""
    name = dataset["name"]
    if "run record" in name or name.endswith("record"):
        return RunRecord.from_dict(json.loads(archive.read(dataset["file_name"])))
    if "RO-Crate (" not in name:
        return None
    with zipfile.ZipFile(io.BytesIO(archive.read(dataset["file_name"]))) as crate:
        (record,) = (one for one in crate.namelist() if one.startswith("records/"))
        return RunRecord.from_dict(json.loads(crate.read(record)))


def utc(text: str) -> str:
    """A time of Galaxy as crates have it."""
    return text.replace(" ", "T")[:23] + "+00:00"


def check_run(graph: Graph, export: Path) -> None:
    """Hold a crate to what Galaxy and the records say: every job, its step, its true times."""
    invocation, jobs, records = told_by_galaxy(export)
    actions = {
        one["@id"]: one for one in graph.values() if one["@type"] == "CreateAction" and one["@id"] != "#workflow-run"
    }
    by_job = {}
    for job in jobs:
        (by_job[job["encoded_id"]],) = (
            action for action in actions.values() if f"job {job['encoded_id']} of Galaxy" in action["description"]
        )
    assert len(actions) == len(jobs)
    for job in jobs:
        action, record = by_job[job["encoded_id"]], records.get(job["encoded_id"])
        tool = graph[action["instrument"]["@id"]]
        assert (tool["identifier"], tool["softwareVersion"]) == (job["tool_id"], job["tool_version"])
        assert action["actionStatus"] == COMPLETED
        if record is not None:
            assert (action["identifier"], action["startTime"], action["endTime"]) == (
                record.id,
                record.start,
                record.end,
            )
        else:
            assert utc(job["create_time"]) <= action["startTime"] < action["endTime"] == utc(job["update_time"])
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    steps = [graph[step] for step in links(workflow["step"])]
    assert [step["name"] for step in steps] == ["inspect", "segment", "measure", "crate"]
    controls = [one for one in graph.values() if one["@type"] == "ControlAction"]
    assert [links(control["instrument"]) for control in controls] == [[step["@id"]] for step in steps]
    assert sorted(action for control in controls for action in links(control["object"])) == sorted(actions)
    (organised,) = (one for one in graph.values() if one["@type"] == "OrganizeAction")
    assert links(organised["object"]) == [control["@id"] for control in controls]
    assert [(graph[one]["name"], graph[one]["softwareVersion"]) for one in links(organised["instrument"])] == [
        ("Galaxy", "26.1")
    ]
    run = graph["#workflow-run"]
    for action in (run, organised):
        assert action["startTime"] == utc(invocation["create_time"])
        assert action["endTime"] == max(utc(job["update_time"]) for job in jobs)
    assert {*links(graph["./"]["mentions"])} == {*actions, run["@id"], organised["@id"]}


def main() -> None:
    """Write all exports."""
    from tests.galaxy.conftest import RUN, User

    user = User(f"http://127.0.0.1:{(RUN / 'port').read_text().strip()}", "analyst")
    for name, workflow, inputs in (
        ("one_image", nuclei(), image_inputs),
        ("two_images", nuclei(), list_inputs),
        ("nested", nested(), nested_inputs),
    ):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        content = neutral(export(user, invoke(user, workflow, inputs(user))))
        assert str(ROOT).encode() not in content
        (DATA / f"{name}.rocrate.zip").write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
