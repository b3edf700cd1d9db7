"""What a page says of a run: its parameters by the names that people know, and places as people named them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chunkwise.operations import families, operations_of
from chunkwise.operations.model import Operation, Parameter
from chunkwise.report.numbers import number_text
from chunkwise.report.page import Section

__all__ = ["place_words", "run_section"]

#: Parameters that are no choice of what is computed, and what a table of Galaxy's form does not ask for.
SPREAD = frozenset({"workers", "memory", "block", "shard", "no_pyramid", "into_source", "plugin"})
#: Names of parameters that no declaration has.
LABELS = {"format": "Format of the table"}
#: Characters of a value, and values of a list, that a page shows.
LONG, MANY = 300, 12

_GALAXY_FILE = re.compile(r"dataset_([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+)(\.dat|_files)")


def place_words(resource: Mapping[str, Any]) -> str:
    """Say where something lies as the user says it: ``root:path``, an address, or a name; never a path of a server.

    Parameters
    ----------
    resource : mapping
        As a run record has it; ``called`` is what the history of Galaxy calls it.
    """
    if resource.get("called"):
        return str(resource["called"])
    location, root = str(resource.get("location", "")), resource.get("root")
    if root:
        return f"{root}:{location}"
    if "://" in location:
        parts = urlsplit(location)  # what may be a token or a password is left out
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    names = PurePosixPath(location).parts
    store = next((i for i in range(len(names) - 1, -1, -1) if names[i].lower().endswith(".zarr")), len(names) - 1)
    found = "/".join(names[store:])
    if not _GALAXY_FILE.fullmatch(found):
        return found
    # Galaxy's own name of a dataset says nothing to anybody; a store may have one of its own.
    return str((resource.get("description") or {}).get("name") or "a file of the history")


def run_section(run: Mapping[str, Any]) -> Section:
    """Make the part of a page that tells of one run.

    Parameters
    ----------
    run : mapping
        A run record, or the part of one that is known before its end.
    """
    parameters = run.get("parameters", {})
    operation = _operation(str(run["command"]), parameters)
    title = operation.title if operation else str(run["command"])
    read = [(str(one["name"]).capitalize(), place_words(one)) for one in run.get("inputs", ())]
    chosen = operation.options if operation else {}
    ordered = [name for name in chosen if name in parameters] + sorted(parameters.keys() - chosen.keys())
    facts = [
        (_label(name, chosen), _value(parameters[name], chosen.get(name)))
        for name in ordered
        if name not in SPREAD and parameters[name] not in (None, "", [], {})
        if name != "percentiles" or "intensity_percentile" in parameters.get("properties", ())
    ]
    thresholds = run.get("results", {}).get("thresholds")
    found = [("Threshold that was found", _value(thresholds, None))] if thresholds else []
    software = run.get("software", {})
    versions = ", ".join(f"{name} {software[name]}" for name in ("chunkwise", "python", "numpy") if name in software)
    when = datetime.fromisoformat(str(run["start"])).strftime("%-d %B %Y, %H:%M UTC")
    return Section(title, facts=[*read, *facts, *found, ("Software", versions), ("Begun", when)])


def _operation(command: str, parameters: Mapping[str, Any]) -> Operation | None:
    if command not in families():
        return None
    known = operations_of(command)
    return known.get(str(parameters.get("method"))) or next(iter(known.values()))


def _label(name: str, chosen: Mapping[str, Parameter]) -> str:
    one = chosen.get(name)
    return (one.label if one else "") or LABELS.get(name, name.replace("_", " ").capitalize())


def _value(value: Any, one: Parameter | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = f" and {len(value) - MANY} more" if len(value) > MANY else ""
        return ", ".join(_value(item, one) for item in value[:MANY]) + more
    if isinstance(value, int | float):
        unit = one.unit if one else ""
        return f"{number_text(value)} {unit}{'' if value == 1 or not unit else 's'}".strip()
    text = str(value)
    return text if len(text) <= LONG else f"{text[:LONG]}…"
