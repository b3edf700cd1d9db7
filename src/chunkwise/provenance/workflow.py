"""A chain of runs as a workflow: what the Provenance Run Crate profile 0.5 asks for beyond the actions themselves.

Each run is a step. What a step took and made is a formal parameter of its tool, and a connection says which
parameter got its data from which. A :class:`WorkflowStep` may also stand for the run of another program, so that what
another workflow engine did is told by the same functions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from chunkwise.provenance.entities import STATUS, Graph, add_action, add_attempts, add_program, data_id, reference
from chunkwise.provenance.fields import Json
from chunkwise.provenance.graph import kinds_of, targets
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.software import home_page

__all__ = [
    "PROFILES",
    "RUN",
    "WORKFLOW_FILE",
    "WORKFLOW_RO_CRATE",
    "WORKFLOW_TYPES",
    "WorkflowStep",
    "add_engine",
    "add_engines",
    "add_profile",
    "add_run",
    "add_setting",
    "add_settings",
    "add_step",
    "add_steps",
    "add_workflow",
]

WORKFLOW_RO_CRATE: Final = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
#: What the crate of a workflow's run conforms to; the first is all that runs side by side conform to.
PROFILES: Final = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    WORKFLOW_RO_CRATE,
    "https://w3id.org/ro/wfrun/provenance/0.5",
)
_NAMES: Final = ("Process Run Crate", "Workflow Run Crate", "Workflow RO-Crate", "Provenance Run Crate")
WORKFLOW_FILE: Final = "workflow.json"
WORKFLOW_TYPES: Final = ("File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo")
#: The action that stands for the run of the whole workflow.
RUN: Final = "#workflow-run"

_BIOSCHEMAS = "https://bioschemas.org/profiles/{}/1.0-RELEASE"
_TYPES: Final = ((bool, "Boolean"), (int, "Integer"), (float, "Float"))


@dataclass(frozen=True)
class WorkflowStep:
    """One step of a workflow, whose action and tool are in the graph."""

    name: str
    """Unique within the crate, such as ``segment-1``."""
    actions: tuple[str, ...]
    """Identifiers of the actions that carried it out: the last one, and earlier attempts."""
    tool: str
    """Identifier of the program; no two steps share one, since the profile ties connections to it."""
    takes: Mapping[str, tuple[str, ...]]
    """Of each input that leads to data: its name, and identifiers of the data."""
    makes: Mapping[str, tuple[str, ...]]
    """The same of each output."""

    def parameter(self, direction: str, name: str) -> str:
        """Return the identifier of a formal parameter; ``direction`` is ``takes``, ``makes`` or ``setting``."""
        return f"#{self.name}-{direction}-{quote(name, safe='')}"


def add_step(graph: Graph, record: RunRecord, name: str, record_file: str, tables: Sequence[str] = ()) -> WorkflowStep:
    """Add one run as the step of a workflow: its tool, its action, and the tool's formal parameters.

    Parameters are those of :func:`chunkwise.provenance.entities.add_action`; ``name`` is its ``step``.
    """
    program = add_program(graph, record)
    # The command as this step called it: the command's name in the program's own address.
    tool = f"{program}-{name}"
    graph.add(
        tool,
        "SoftwareApplication",
        name=f"chunkwise {record.command}",
        description=f"The command '{record.command}' of chunkwise.",
        softwareVersion=record.software.get("chunkwise", "unknown"),
        identifier=None if record.galaxy is None else record.galaxy.get("id"),
        url=home_page("chunkwise"),
        softwareRequirements=reference([program]),
    )
    action = add_action(graph, record, name, record_file, tables, tool=tool)
    takes, makes = (_by_name((item.name, data_id(item)) for item in items) for items in (record.inputs, record.outputs))
    step = WorkflowStep(name, (*add_attempts(graph, record, name, record_file), action), tool, takes, makes)
    add_settings(graph, step, name, record.parameters)
    return step


def add_settings(graph: Graph, step: WorkflowStep, run: str, settings: Mapping[str, Json]) -> None:
    """Tell which settings a step's tool has; the run's values are in the graph as ``#RUN-parameter-NAME``."""
    for name, value in settings.items():
        add_setting(
            graph, step.tool, step.parameter("setting", name), name, value, f"#{run}-parameter-{quote(name, safe='')}"
        )


def add_setting(graph: Graph, program: str, parameter: str, name: str, value: Json, given: str) -> None:
    """Add a formal parameter of a tool or workflow, and say that ``given`` is the value that it was given."""
    kind = next((type_name for type_, type_name in _TYPES if isinstance(value, type_)), "Text")
    _example(graph, _formal(graph, parameter, name, kind), [given])
    graph.link(program, "input", [parameter])


def add_steps(graph: Graph, workflow: str, steps: Sequence[WorkflowStep]) -> list[str]:
    """Tell how the steps of a workflow hang together, and return its control actions.

    Parameters
    ----------
    graph : Graph
        Has the workflow, the steps' tools, actions and data.
    workflow : str
        Identifier of the workflow. It gets the tools, the steps, and as formal parameters what no step made and
        all that the steps made, unless it has such parameters already.
    steps : sequence of WorkflowStep
        In the order of the runs.
    """
    inputs: dict[str, str] = {}
    made: dict[str, str] = {}
    controls = []
    for position, step in enumerate(steps):
        connections = []
        for name, data in step.takes.items():
            target = _formal_of_data(graph, step.parameter("takes", name), name, data)
            graph.link(step.tool, "input", [target])
            for identifier in data:
                if identifier not in made and identifier not in inputs:
                    inputs[identifier] = _input(graph, workflow, name, identifier, set(inputs.values()))
                connections.append(_connect(graph, made.get(identifier) or inputs[identifier], target))
        for name, data in step.makes.items():
            source = _formal_of_data(graph, step.parameter("makes", name), name, data)
            graph.link(step.tool, "output", [source])
            made |= dict.fromkeys(data, source)
            target = _formal_of_data(graph, f"#workflow-makes-{step.name}-{quote(name, safe='')}", name, data)
            graph.link(workflow, "output", [target])
            graph.link(workflow, "connection", [_connect(graph, source, target)])
        how = graph.add(
            f"#{step.name}-step",
            "HowToStep",
            name=step.name,
            position=position,
            workExample=reference([step.tool]),
            connection=reference(connections) if connections else None,
        )
        graph.link(workflow, "hasPart", [step.tool])
        graph.link(workflow, "step", [how])
        controls.append(
            graph.add(
                f"#{step.name}-control",
                "ControlAction",
                name=f"Run of the step {step.name}",
                instrument=reference([how]),
                object=reference(step.actions),
            )
        )
    return controls


def add_run(
    graph: Graph,
    workflow: str,
    steps: Sequence[WorkflowStep],
    controls: Sequence[str],
    engines: Sequence[str],
    words: str,
) -> list[str]:
    """Add the run of the whole workflow and what organised it; return both, to be mentioned by the root.

    Parameters
    ----------
    graph, workflow, steps
        As :func:`add_steps`.
    controls : sequence of str
        As :func:`add_steps` returns them.
    engines : sequence of str
        Identifiers of the programs that started the steps, and of those that spread their work.
    words : str
        Who or what started the steps.
    """
    last = [graph[step.actions[-1]] for step in steps]
    every = [graph[action] for step in steps for action in step.actions]
    made = [data for step in steps for data in _flat(step.makes)]
    taken = [data for step in steps for data in _flat(step.takes) if data not in made]
    failed = [action for action in last if action.get("actionStatus") == STATUS["failed"]]
    times: dict[str, Json] = {
        "startTime": min((action["startTime"] for action in every), key=datetime.fromisoformat),
        "endTime": max((action["endTime"] for action in every), key=datetime.fromisoformat),
        "actionStatus": STATUS["failed" if failed else "completed"],
        "agent": reference([agent for action in last for agent in targets(action.get("agent"))]),
    }
    count = "one step" if len(steps) == 1 else f"{len(steps)} steps"
    run = graph.add(
        RUN,
        "CreateAction",
        name="Run of the workflow",
        description=f"The run of {count}: {', '.join(step.name for step in steps)}.",
        instrument=reference([workflow]),
        object=reference(taken) if taken else None,
        result=reference(made or [workflow]),
        error="; ".join(f"{action['name']}: {action['error']}" for action in failed) if failed else None,
        **times,
    )
    organised = graph.add(
        "#organize",
        "OrganizeAction",
        name="Start of the steps",
        description=words,
        instrument=reference(engines),
        object=reference(controls),
        result=reference([run]),
        **times,
    )
    if failed:
        graph[organised]["error"] = graph[run]["error"]
    return [run, organised]


def add_workflow(graph: Graph, records: Sequence[RunRecord], steps: Sequence[WorkflowStep]) -> bytes:
    """Add a chain of runs as a workflow and return the text of :data:`WORKFLOW_FILE`, which has to be in the crate.

    The profile wants a file that holds the workflow. Nobody wrote one: runs were started one after the other. So
    the file says in JSON which command was called with which settings, and where its data came from. It is made
    of the records alone, holds no path and no command line, and is nothing that can be executed: a workflow in
    the language of some engine would promise what was never tried.
    """
    content = (json.dumps(_as_json(records, steps), indent=2, ensure_ascii=False) + "\n").encode()
    language = graph.add(
        "#steps-of-chunkwise",
        "ComputerLanguage",
        name="Steps of chunkwise",
        description="JSON: chunkwise commands in their order, with their settings and the sources of their data.",
        url=home_page("chunkwise"),
    )
    graph.add(
        WORKFLOW_FILE,
        WORKFLOW_TYPES,
        conformsTo={"@id": _BIOSCHEMAS.format("ComputationalWorkflow")},
        programmingLanguage=reference([language]),
        url=home_page("chunkwise"),
        version=hashlib.sha256(content).hexdigest()[:12],  # another workflow is another version
    )
    return content


def add_profile(graph: Graph, profile: str) -> str:
    """Add one of :data:`PROFILES`."""
    return graph.add(profile, "CreativeWork", name=_NAMES[PROFILES.index(profile)], version=profile.rpartition("/")[2])


def add_engines(graph: Graph, records: Sequence[RunRecord]) -> tuple[list[str], str]:
    """Add the programs that started the runs and spread their work, and say in words who started them."""
    engines, words = [], []
    servers = list(
        dict.fromkeys(str(one.galaxy.get("server_version", "")) for one in records if one.galaxy is not None)
    )
    for version in servers:
        engines.append(add_engine(graph, "Galaxy", "https://galaxyproject.org/", version))
    if servers:
        words.append("Galaxy started the runs of its tools.")
    by_hand = [record for record in records if record.galaxy is None]
    if by_hand:
        engines += [add_program(graph, record) for record in by_hand]
        words.append("Runs were started one by one, from a shell or a script; chunkwise linked them by their data.")
    for record in records:
        cluster = record.cluster or {}  # it may tell of this process' own job alone
        if "kind" in cluster:
            dask = record.software.get("distributed", "")
            engines.append(add_engine(graph, "distributed", home_page("distributed"), dask))
        if cluster.get("kind") in ("slurm", "allocation", "array") or "driver" in cluster:
            engines.append(add_engine(graph, "Slurm", "https://slurm.schedmd.com/", str(cluster.get("version", ""))))
    return list(dict.fromkeys(engines)), " ".join(words)


def add_engine(graph: Graph, name: str, url: str, version: str) -> str:
    """Add a program that starts steps or spreads their work."""
    identifier = f"{url}#{quote(name)}-{quote(version)}" if version else url
    version = version or "not recorded"
    return graph.add(identifier, "SoftwareApplication", name=name, softwareVersion=version, url=url)


def _as_json(records: Sequence[RunRecord], steps: Sequence[WorkflowStep]) -> dict[str, Any]:
    made: dict[str, dict[str, str]] = {}
    inputs: dict[str, dict[str, str]] = {}
    content = []
    for record, step in zip(records, steps, strict=True):
        takes: dict[str, list[dict[str, str]]] = {}
        for resource in record.inputs:
            identifier = data_id(resource)
            if identifier not in made and identifier not in inputs:
                inputs[identifier] = {"name": f"input-{len(inputs) + 1}", "kind": resource.kind}
            source = made.get(identifier) or {"input": inputs[identifier]["name"]}
            takes.setdefault(resource.name, []).append(source)
        for resource in record.outputs:
            made[data_id(resource)] = {"step": step.name, "output": resource.name}
        content.append(
            {
                "step": step.name,
                "command": record.command,
                "takes": takes,
                "settings": record.parameters,
                "makes": {resource.name: resource.kind for resource in record.outputs},
            }
        )
    return {"chunkwise_workflow": 1, "inputs": list(inputs.values()), "steps": content}


def _formal(graph: Graph, identifier: str, name: str, *kinds: str) -> str:
    kind: Json = kinds[0] if len(kinds) == 1 else list(kinds)
    profile = {"@id": _BIOSCHEMAS.format("FormalParameter")}
    return graph.add(identifier, "FormalParameter", name=name, additionalType=kind, conformsTo=profile)


def _formal_of_data(graph: Graph, identifier: str, name: str, data: Sequence[str]) -> str:
    kinds = sorted({kinds_of(graph[one])[-1] for one in data})
    _example(graph, _formal(graph, identifier, name, *kinds), data)
    return identifier


def _example(graph: Graph, parameter: str, values: Sequence[str]) -> None:
    """Say that values were given for a formal parameter, from both sides."""
    graph.link(parameter, "workExample", values)
    for value in values:
        graph.link(value, "exampleOfWork", [parameter])


def _input(graph: Graph, workflow: str, name: str, data: str, taken: set[str]) -> str:
    number = 1
    while (identifier := f"#workflow-takes-{quote(name, safe='')}" + (f"-{number}" if number > 1 else "")) in taken:
        number += 1
    graph.link(workflow, "input", [_formal_of_data(graph, identifier, name, [data])])
    return identifier


def _connect(graph: Graph, source: str, target: str) -> str:
    return graph.add(
        f"{source}-to-{target.removeprefix('#')}",
        "ParameterConnection",
        sourceParameter=reference([source]),
        targetParameter=reference([target]),
    )


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, identifier in pairs:
        found[name] = (*found.get(name, ()), identifier)
    return found


def _flat(groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [identifier for group in groups.values() for identifier in group]
