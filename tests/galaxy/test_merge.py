"""A workflow in the real Galaxy, exported by it, merged by the tool, and read by a stranger's program."""

from __future__ import annotations

import re
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chunkwise.provenance.validate import validate_crate
from galaxy_invocation import check_run, export, graph_of, image_inputs, invoke, list_inputs, nuclei, told_by_galaxy

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = pytest.mark.galaxy

RUN = Path(__file__).parents[2] / ".galaxy"


def uploaded(user: User, content: bytes) -> str:
    """Bring a file into the history, from the storage that users see."""
    file = RUN / "images" / f"export-{time.time_ns()}.zip"
    file.write_bytes(content)
    try:
        element = {"src": "url", "url": f"gxfiles://chunkwise_images/{file.name}", "ext": "zip", "name": "export"}
        target = {"destination": {"type": "hdas"}, "elements": [element]}
        body = {"history_id": user.history, "targets": [target], "auto_decompress": False}
        made = user.call("POST", "/api/tools/fetch", body)["outputs"][0]
        assert user.wait(made["id"])["state"] == "ok"
    finally:
        file.unlink()
    return str(made["id"])


def test_an_invocation_is_merged_and_read_by_others(analyst: User, tmp_path: Path) -> None:
    theirs = tmp_path / "export.rocrate.zip"
    theirs.write_bytes(export(analyst, invoke(analyst, nuclei(), image_inputs(analyst))))
    outputs = analyst.run("chunkwise_crate_merge", {"galaxy": f"hda:{uploaded(analyst, theirs.read_bytes())}"})
    assert outputs["crate"]["state"] == "ok", analyst.error_of(outputs["crate"])
    crate = tmp_path / "crate.zip"
    crate.write_bytes(analyst.content(outputs["crate"]))

    assert validate_crate(crate, profile="provenance-run-crate", level="recommended") == []
    with zipfile.ZipFile(crate) as archive:
        graph = graph_of({name: archive.read(name) for name in archive.namelist()})
    check_run(graph, theirs)

    done = subprocess.run([RUN / "runcrate/bin/runcrate", "report", crate], capture_output=True, text=True, check=True)
    actions = re.findall(r"^action: (\S+)\n  step: (\S+)\n  instrument: (\S+)", done.stdout, re.MULTILINE)
    tools = {graph[tool]["identifier"] for _, _, tool in actions}
    assert [action for action, _, _ in actions] == ["#inspect", "#segment", "#measure", "#crate"]
    _, jobs, _ = told_by_galaxy(theirs)
    assert tools == {job["tool_id"] for job in jobs}
    for action, _, _ in actions:
        assert f"started: {graph[action]['startTime']}" in done.stdout


@pytest.mark.slow
def test_runs_over_a_list_without_the_files(analyst: User, tmp_path: Path) -> None:
    """Two jobs of each tool at once; the crates come from the history, as the tool gets them from a person."""
    invocation = invoke(analyst, nuclei(), list_inputs(analyst))
    with_files, bare = tmp_path / "with.rocrate.zip", tmp_path / "bare.rocrate.zip"
    with_files.write_bytes(export(analyst, invocation))
    bare.write_bytes(export(analyst, invocation, files=False))
    steps = analyst.call("GET", f"/api/invocations/{invocation}")["steps"]
    jobs = [
        job["id"]
        for step in steps
        if step["workflow_step_label"] in ("segment", "measure")
        for job in analyst.call("GET", f"/api/jobs?invocation_id={invocation}")
        if job["tool_id"] == f"chunkwise_{step['workflow_step_label']}"
    ]
    assert len(jobs) == 4
    crates = [analyst.call("GET", f"/api/jobs/{job}")["outputs"]["crate"]["id"] for job in jobs]
    runs = {"values": [{"src": "hda", "id": crate} for crate in crates]}
    inputs = {"galaxy": f"hda:{uploaded(analyst, bare.read_bytes())}", "further|choice": "with", "further|runs": runs}
    outputs = analyst.run("chunkwise_crate_merge", inputs)
    assert outputs["crate"]["state"] == "ok", analyst.error_of(outputs["crate"])
    crate = tmp_path / "crate.zip"
    crate.write_bytes(analyst.content(outputs["crate"]))
    with zipfile.ZipFile(crate) as archive:
        check_run(graph_of({name: archive.read(name) for name in archive.namelist()}), with_files)
