"""The page of a crate for people: what was done, to what, with which parameters and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import Resource, RunRecord

__all__ = ["preview_page"]


def preview_page(root: Mapping[str, Json], records: Sequence[RunRecord]) -> str:
    """Return the HTML page; everything from the records is escaped.

    Parameters
    ----------
    root : mapping
        The crate's root entity: name, description, datePublished.
    records : sequence of RunRecord
        In the order of the runs.
    """
    import jinja2  # heavy, and needed by nobody who only writes a record

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": _plain, "place": _place, "size": _size, "day": _day}
    template = environment.get_template("preview.html.j2")
    return template.render(root=root, records=records, seconds=_seconds, made_by=_made_by(records))


def _made_by(records: Sequence[RunRecord]) -> dict[str, int]:
    """Return, by the identity of each output, the number of the run that wrote it."""
    return {resource.identity: number for number, record in enumerate(records, 1) for resource in record.outputs}


def _plain(value: Json) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(_plain(item) for item in value if item != "")
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return ", ".join(_named(item) for item in value)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return str(len(value))  # such as the levels of an image, which the record has in full
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(item: Mapping[str, Json]) -> str:
    """Say an axis, a channel or a level in one or two words."""
    return f"{item['name']} ({item['unit']})" if item.get("unit") else str(item["name"])


def _place(resource: Resource) -> str:
    return resource.location if resource.root is None else f"{resource.root}:{resource.location}"


def _size(count: Json) -> str:
    if isinstance(count, bool) or not isinstance(count, int | float):
        return "not known"
    amount, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def _day(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def _seconds(record: RunRecord) -> str:
    length = (datetime.fromisoformat(record.end) - datetime.fromisoformat(record.start)).total_seconds()
    return (
        f"{length:.1f} s" if length < 120 else f"{length / 60:.0f} min" if length < 7200 else f"{length / 3600:.1f} h"
    )
