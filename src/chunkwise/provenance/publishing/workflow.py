"""A workflow of Galaxy as it may leave in a published crate: its steps, their connections and plain settings.

What is kept stands in the tables below. Out are who made it, notes, reports, comments, positions, and settings that are
text; names of inputs, steps and outputs stay, for they are what a workflow consists of, and the crate speaks of them.
The formats with YAML are kept (Galaxy's own, from which it can be imported, and the abstract one); the same once
more as JSON is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.provenance.entities import orcid_url
from chunkwise.provenance.fields import Json
from chunkwise.provenance.galaxy.invocation import Invocation
from chunkwise.provenance.publishing.allowed import OUT, Rule, each, first_of, matching, nothing, number, table, truth

__all__ = ["published_invocation", "published_workflow"]

_LONGEST_NAME: Final = 200


def published_invocation(invocation: Invocation) -> Invocation:
    """Return an invocation whose workflow is the published one; creators stay by ORCID, organisations by name.

    Raises
    ------
    InputError
        If a file of the workflow cannot be read.
    """
    files = {
        name: published_workflow(name, content)
        for name, content in invocation.files.items()
        if name.endswith((".yml", ".cwl"))
    }
    creators = tuple(
        one
        for one in invocation.workflow_creators
        if one.get("class") == "Organization" or orcid_url(str(one.get("identifier") or ""))
    )
    steps = tuple(replace(step, description="") for step in invocation.steps)
    return replace(invocation, files=files, workflow_text="", workflow_creators=creators, steps=steps)


def published_workflow(name: str, content: bytes) -> bytes:
    """Return what of a workflow's file (YAML) may leave.

    Raises
    ------
    InputError
        If it is no workflow.
    """
    import yaml  # nobody else needs it

    class Loader(yaml.SafeLoader):
        """Galaxy writes no aliases, and what they stand for can grow without end."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("it has aliases")
            return super().compose_node(parent, index)

    try:
        found = _workflow(yaml.load(content, Loader))  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        found = OUT
    if found is OUT:
        raise InputError(f"The file {name} of the export is not a workflow, so it cannot be published.")
    return yaml.safe_dump(found, sort_keys=True, allow_unicode=True).encode()


def _name(value: Json) -> Any:
    """Let the name of a part of the workflow or of a tool through."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_NAME else OUT


def _named(rule: Rule) -> Rule:
    """Let of an object under any names through what passes a rule."""

    def apply(value: Json) -> Any:
        if not isinstance(value, Mapping):
            return OUT
        found = {name: rule(entry) for name, entry in value.items() if _name(name) is not OUT}
        return {name: entry for name, entry in found.items() if entry is not OUT}

    return apply


def _setting(value: Json) -> Any:
    """Let numbers, truth values, and objects and lists of them through; of what is connected, that it is."""
    if isinstance(value, Mapping):
        if value.get("__class__") in ("ConnectedValue", "RuntimeValue"):
            return {"__class__": value["__class__"]}
        return _named(_setting)(value)
    if isinstance(value, list):
        return [found for entry in value if (found := _setting(entry)) is not OUT]
    return _plain(value)


def _workflow(value: Json) -> Any:
    return _WORKFLOW(value)


_plain: Final[Rule] = first_of(nothing, number, truth, matching(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?|true|false"))
_names: Final[Rule] = first_of(_name, each(_name))
_INPUT: Final[Rule] = first_of(
    _name,
    table({"type": _names, "optional": truth, "default": _plain, "format": _names, "collection_type": _name}),
)
_OUTPUT: Final[Rule] = first_of(_name, table({"outputSource": _names, "type": _names}))
_STEP: Final[Rule] = table(
    {
        "id": _name,
        "label": _name,
        "type": _name,
        "tool_id": _name,
        "tool_version": _name,
        "uuid": _name,
        "in": _named(first_of(_names, table({"source": _names, "default": _plain}))),
        "out": first_of(each(first_of(_name, table({"id": _name}))), _named(table({}))),
        "tool_state": _setting,
        "state": _setting,
        "run": _workflow,
    }
)
_WORKFLOW: Final[Rule] = table(
    {
        "class": _name,
        "cwlVersion": _name,
        "label": _name,
        "license": _name,
        "uuid": _name,
        "inputs": _named(_INPUT),
        "outputs": _named(_OUTPUT),
        "steps": _named(_STEP),
    }
)
