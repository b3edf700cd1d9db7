"""A chain of runs as a workflow: steps, connections, engines, times; and when a crate is one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chunkwise.provenance.crate import METADATA_FILE, build_crate, crate_files
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.validate import validate_crate

Graph = dict[str, dict[str, Any]]


def entities(files: dict[str, bytes]) -> Graph:
    return {entity["@id"]: entity for entity in json.loads(files[METADATA_FILE])["@graph"]}


def links(value: Any) -> list[str]:
    return [link["@id"] for link in (value if isinstance(value, list) else [value])]


def of_type(graph: Graph, kind: str) -> list[dict[str, Any]]:
    return [entity for entity in graph.values() if kind in entity["@type"]]


def connections(graph: Graph, owner: str) -> set[tuple[str, str]]:
    """Source and target of every connection of a step or of the workflow."""
    found = [graph[link] for link in links(graph[owner]["connection"])]
    return {(one["sourceParameter"]["@id"], one["targetParameter"]["@id"]) for one in found}


def test_every_run_is_a_step_with_its_tool_and_its_action(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain))
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    steps = [graph[link] for link in links(workflow["step"])]
    assert [(step["name"], step["position"]) for step in steps] == [("segment-1", 0), ("measure-2", 1)]
    controls = {control["instrument"]["@id"]: control["object"]["@id"] for control in of_type(graph, "ControlAction")}
    for step in steps:
        action = graph[controls[step["@id"]]]
        assert action["@id"] == f"#{step['name']}"
        assert action["instrument"] == step["workExample"]
        assert step["workExample"]["@id"] in links(workflow["hasPart"])


def test_connections_follow_the_data(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain))
    assert connections(graph, "#segment-1-step") == {("#workflow-takes-image", "#segment-1-takes-image")}
    # What measure calls its image is another store than what segment read.
    assert connections(graph, "#measure-2-step") == {
        ("#segment-1-makes-output", "#measure-2-takes-labels"),
        ("#workflow-takes-image-2", "#measure-2-takes-image"),
    }
    assert connections(graph, "workflow.json") == {
        ("#segment-1-makes-output", "#workflow-makes-segment-1-output"),
        ("#segment-1-makes-overlay", "#workflow-makes-segment-1-overlay"),
        ("#measure-2-makes-output", "#workflow-makes-measure-2-output"),
    }
    for parameter in of_type(graph, "FormalParameter"):
        for example in links(parameter["workExample"]):
            assert parameter["@id"] in links(graph[example]["exampleOfWork"])


def test_the_workflow_file_says_commands_settings_and_sources(chain: list[RunRecord]) -> None:
    told = json.loads(crate_files(chain)["workflow.json"])
    first, second = told["steps"]
    assert first["command"] == "segment"
    assert first["settings"] == chain[0].parameters
    assert first["takes"] == {"image": [{"input": "input-1"}]}
    assert first["makes"] == {"output": "labels", "overlay": "picture"}
    assert second["takes"] == {"labels": [{"step": "segment-1", "output": "output"}], "image": [{"input": "input-2"}]}
    assert "/nowhere" not in json.dumps(told), "where data lay is no part of the workflow"


def test_the_run_of_the_workflow_begins_and_ends_with_its_steps(chain: list[RunRecord]) -> None:
    # The first step ends last, in another time zone.
    first = replace(chain[0], start="2026-01-01T10:00:00.000+00:00", end="2026-01-01T14:30:00.000+02:00")
    second = replace(chain[1], start="2026-01-01T11:00:00.000+00:00", end="2026-01-01T12:00:00.000+00:00")
    graph = entities(crate_files([second, first]))
    for action in ("#workflow-run", "#organize"):
        assert graph[action]["startTime"] == "2026-01-01T10:00:00.000+00:00"
        assert graph[action]["endTime"] == "2026-01-01T14:30:00.000+02:00"
        assert graph[action]["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert graph["#workflow-run"]["instrument"]["@id"] == "workflow.json"
    assert graph["#organize"]["result"]["@id"] == "#workflow-run"
    assert links(graph["#organize"]["object"]) == ["#segment-1-control", "#measure-2-control"]


def engines(records: list[RunRecord]) -> dict[str, str]:
    graph = entities(crate_files(records, kind="provenance"))
    programs = [graph[link] for link in links(graph["#organize"]["instrument"])]
    return {program["name"]: program["softwareVersion"] for program in programs}


def test_the_engine_is_what_started_the_runs(chain: list[RunRecord]) -> None:
    ours, dask = chain[0].software["chunkwise"], chain[0].software["distributed"]
    # The first run of the chain computed on Slurm.
    assert engines(chain) == {"chunkwise": ours, "distributed": dask, "Slurm": "not recorded"}
    assert engines([chain[1]]) == {"chunkwise": ours}
    galaxy = {"id": "chunkwise_measure", "version": "1", "server_version": "26.0.1"}
    assert engines([replace(chain[1], galaxy=galaxy)]) == {"Galaxy": "26.0.1"}
    assert engines([replace(chain[1], galaxy={"id": "chunkwise_measure"})]) == {"Galaxy": "not recorded"}
    local = replace(chain[0], cluster={"kind": "local", "profile": "local"})
    assert engines([local]) == {"chunkwise": ours, "distributed": dask}


def test_runs_side_by_side_are_no_workflow(chain: list[RunRecord]) -> None:
    alone = crate_files([chain[0]])
    assert "workflow.json" not in alone
    assert links(entities(alone)["./"]["conformsTo"]) == ["https://w3id.org/ro/wfrun/process/0.5"]
    other = Recorder("fetch", {})
    other.input("image", "image", "/elsewhere/cells.ome.zarr")
    assert "workflow.json" not in crate_files([chain[0], other.finish()])
    assert "workflow.json" not in crate_files(chain, kind="process")
    assert "workflow.json" in crate_files([chain[0]], kind="provenance")


def test_a_workflow_that_failed_and_had_a_command_twice_is_valid(chain: list[RunRecord], tmp_path: Path) -> None:
    """The profile ties connections to a tool's parameters, so that two steps may not share one."""
    again = Recorder("measure", {"properties": ["area", "mean"]})
    again.input("labels", "labels", "/nowhere/labels of mine.ome.zarr", identity=chain[0].outputs[0].identity)
    failed = again.finish("failed", error="The disk is full.")
    build_crate([*chain, failed], tmp_path / "crate.zip")
    assert validate_crate(tmp_path / "crate.zip") == []
    graph = entities(crate_files([*chain, failed]))
    tools = [step["workExample"]["@id"] for step in of_type(graph, "HowToStep")]
    assert len(tools) == len(set(tools)) == 3
    for action in ("#workflow-run", "#organize"):
        assert graph[action]["actionStatus"] == "http://schema.org/FailedActionStatus"
        assert graph[action]["error"] == "chunkwise measure: The disk is full."
    assert "error" not in graph["#segment-1"]


@pytest.mark.parametrize("kind", ["process", "provenance"])
def test_every_link_of_the_graph_leads_somewhere(chain: list[RunRecord], kind: str) -> None:
    graph = entities(crate_files(chain, kind=kind, attachments={"blocks-1.tsv.gz": b"table"}))
    for entity in graph.values():
        for name, value in entity.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and name != "conformsTo":
                    assert one["@id"] in graph, f"{entity['@id']}, {name}"


def test_earlier_attempts_are_actions_that_failed(chain: list[RunRecord], tmp_path: Path) -> None:
    told = [
        {
            "id": f"urn:uuid:00000000-0000-0000-0000-00000000000{number}",
            "start": f"2026-01-01T0{number}:00:00.000+00:00",
            "end": f"2026-01-01T0{number}:30:00.000+00:00",
            "status": "failed",
            "error": f"Reason {number}.",
        }
        for number in range(1, 8)
    ]
    resumed = replace(chain[0], attempts=(*told, {"start": "2026-01-01T01:00:00", "end": None}))
    build_crate([resumed, chain[1]], tmp_path / "crate.zip")
    assert validate_crate(tmp_path / "crate.zip") == []
    graph = entities(crate_files([resumed, chain[1]]))
    control = graph["#segment-1-control"]
    # The last few, and what tells no time is left out; the record has all.
    attempts = [f"#segment-1-attempt-{number}" for number in (4, 5, 6, 7)]
    assert links(control["object"]) == [*attempts, "#segment-1"]
    assert graph[attempts[0]]["error"] == "Reason 4."
    assert graph[attempts[0]]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert set(attempts) <= set(links(graph["./"]["mentions"]))
    assert graph["#workflow-run"]["startTime"] == told[3]["start"]
    assert graph["#workflow-run"]["actionStatus"] == "http://schema.org/CompletedActionStatus"
    alone = entities(crate_files([resumed]))
    assert links(alone["./"]["mentions"]) == [*attempts, "#segment-1"]


def test_who_ran_it_and_what_was_built(chain: list[RunRecord], tmp_path: Path) -> None:
    agent = {"name": "Ann Example", "organization": "Institute", "ror": "02feahw73"}
    build = {"commit": "ab" * 20, "modified": False}
    record = replace(chain[0], agent=agent, build=build)
    build_crate([record], tmp_path / "crate.zip")
    assert validate_crate(tmp_path / "crate.zip") == []
    graph = entities(crate_files([record, replace(chain[1], build=build | {"modified": True})], kind="process"))
    assert graph[graph["#segment-1"]["agent"]["@id"]]["affiliation"] == {"@id": "https://ror.org/02feahw73"}
    first, second = (graph[graph[step]["instrument"]["@id"]] for step in ("#segment-1", "#measure-2"))
    assert first["@id"] != second["@id"], "another build is another program"
    told = {graph[link]["name"]: graph[link]["value"] for link in links(first["additionalProperty"])}
    assert told == build
