"""The page of a crate for people: the chain as a picture, and what was done, to what, with which parameters.

The same page lies in every crate and is what ``chunkwise crate report`` writes; the latter adds pictures of the data,
and knows which parameters are not what they are by default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chunkwise.provenance.chain import joined_by_place
from chunkwise.provenance.fields import Json
from chunkwise.provenance.picture import draw_chain
from chunkwise.provenance.record import Resource, RunRecord

__all__ = ["Shown", "preview_page"]

#: Parameters that a command fills in by itself where nobody gives them, so that their default is no value.
_FILLED = frozenset(
    {"block", "shard", "connectivity", "percentiles", "properties", "format", "threshold", "map", "model_sha256"}
)
_MODEL = (
    *(("name", "name"), ("id", "id"), ("version", "version"), ("doi", "DOI"), ("license", "licence")),
    *(
        ("sha256", "sha256"),
        ("weights", "weights"),
        ("tile", "tile"),
        ("halo", "halo"),
        ("exact", "tiles give exactly"),
    ),
)


@dataclass(frozen=True)
class Shown:
    """A picture of a piece of data."""

    title: str
    source: str
    """A ``data:`` link."""
    caption: str = ""


def preview_page(
    root: Mapping[str, Json],
    records: Sequence[RunRecord],
    *,
    pictures: Mapping[str, Sequence[Shown]] | None = None,
    defaults: Mapping[str, Mapping[str, Json]] | None = None,
    in_crate: bool = True,
    record_files: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page; everything from the records is escaped, and nothing is loaded from elsewhere.

    Parameters
    ----------
    root : mapping
        The crate's root entity: name, description, datePublished.
    records : sequence of RunRecord
        In the order of the runs.
    pictures : mapping of str to sequence of Shown, optional
        By the identity of the data.
    defaults : mapping of str to mapping, optional
        Default of every parameter, by command.
    in_crate : bool
        Whether the page lies in the crate, beside the records.
    record_files : mapping of str to str, optional
        Where in the crate each record lies, by its id; by default by its command and number.
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
    environment.filters |= {"plain": _plain, "place": _place, "size": _size, "day": _day, "seconds": _seconds}
    records = joined_by_place(records)
    made_by = _made_by(records)
    resources: dict[str, Resource] = {}
    for item in (item for record in records for item in (*record.inputs, *record.outputs)):
        resources.setdefault(item.identity, item)  # by the name that it had first: Galaxy gives it others later
    drawing = draw_chain(
        records,
        {identity: item.short_name for identity, item in resources.items()},
        {identity: _note(item) for identity, item in resources.items()}
        | {record.id: _about_run(record) for record in records},
    )
    return environment.get_template("preview.html.j2").render(
        root=root,
        records=records,
        drawing=drawing,
        in_words=_in_words(records, made_by),
        summary=_summary(records),
        failed=sum(record.status == "failed" for record in records),
        facts=_facts,
        parameters=lambda record: _parameters(record, (defaults or {}).get(record.command)),
        model=_model,
        software=_software(records),
        made_by=made_by,
        pictures=pictures or {},
        shown_in=_first_seen(records),
        in_crate=in_crate,
        record_files=record_files or {},
    )


def _made_by(records: Sequence[RunRecord]) -> dict[str, int]:
    """Return, by the identity of each output, the number of the run that wrote it."""
    return {resource.identity: number for number, record in enumerate(records, 1) for resource in record.outputs}


def _first_seen(records: Sequence[RunRecord]) -> dict[str, int]:
    """Return, by the identity of data, the number of the run that shows them: that wrote them, else read them first."""
    made = _made_by(records)
    seen: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        for item in (*record.inputs, *record.outputs):
            seen.setdefault(item.identity, made.get(item.identity, number))
    return seen


def _note(item: Resource) -> str:
    digest = str((item.fingerprint or {}).get("value", ""))[:8]
    return " · ".join(part for part in (item.kind, _size(item.size) if item.size else "", digest) if part)


def _about_run(record: RunRecord) -> str:
    objects = record.results.get("objects")
    found = f"{sum(objects)} objects" if isinstance(objects, list) and all(isinstance(n, int) for n in objects) else ""
    return "failed" if record.status == "failed" else " · ".join(part for part in (_seconds(record), found) if part)


def _in_words(records: Sequence[RunRecord], made_by: Mapping[str, int]) -> str:
    """Say the picture for whoever hears the page."""
    sentences = []
    for number, record in enumerate(records, start=1):
        read = [
            item.short_name
            + (f" of step {made_by[item.identity]}" if made_by.get(item.identity, number) < number else "")
            for item in record.inputs
        ]
        wrote = [item.short_name for item in record.outputs]
        done = "failed" if record.status == "failed" else f"wrote {', '.join(wrote) or 'nothing'}"
        sentences.append(f"Step {number}, {record.command}, read {', '.join(read) or 'nothing'} and {done}.")
    return " ".join(sentences)


def _summary(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """What all runs took together."""
    known: list[tuple[str, str]] = [("Runs", str(len(records)))]
    total = sum(_length(record) for record in records)
    known.append(("Time", _span(total)))
    processor = [worker["cpu_seconds"] for record in records for worker in record.workers if _is(worker, "cpu_seconds")]
    if processor:
        known.append(("Processor time", _span(sum(processor))))
    peaks = [w["peak_rss_bytes"] for record in records for w in record.workers if _is(w, "peak_rss_bytes")]
    if peaks:
        known.append(("Largest worker", _size(max(peaks))))
    written = {item.identity: item.size for record in records for item in record.outputs if item.size is not None}
    if written:
        known.append(("Written", _size(sum(written.values()))))
    return known


def _is(content: Mapping[str, Json], name: str) -> bool:
    """Whether it is a number that can be summed up."""
    value = content.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    """Times and resources of a run, as far as they are known."""
    facts = [("Started", _day(record.start)), ("Took", _seconds(record))]
    if record.workers:
        facts.append(("Workers", str(len(record.workers))))
        processor = [worker["cpu_seconds"] for worker in record.workers if _is(worker, "cpu_seconds")]
        peaks = [worker["peak_rss_bytes"] for worker in record.workers if _is(worker, "peak_rss_bytes")]
        facts += [("Processor time", _span(sum(processor)))] if processor else []
        facts += [("Largest worker", _size(max(peaks)))] if peaks else []
    blocks = record.blocks or {}
    if _is(blocks, "total"):
        facts.append(("Blocks", f"{blocks.get('done', '?')} of {blocks['total']}"))
        facts += [
            (name.capitalize(), str(blocks[name])) for name in ("resumed", "retried", "failed") if blocks.get(name)
        ]
    total = (record.cluster or {}).get("total")
    if isinstance(total, dict) and _is(total, "submitted"):
        states = total.get("states")
        outcomes = (
            ", ".join(f"{count} {name.lower()}" for name, count in states.items()) if isinstance(states, dict) else ""
        )
        facts.append(("Batch jobs", outcomes or str(total["submitted"])))
        facts += [("Largest job", _size(total["max_rss_bytes"]))] if _is(total, "max_rss_bytes") else []
        facts += [("Longest wait", _span(total["queue_seconds"]))] if _is(total, "queue_seconds") else []
    if record.galaxy:
        facts.append(
            ("Galaxy tool", " ".join(str(record.galaxy[key]) for key in ("id", "version") if key in record.galaxy))
        )
    commit = (record.build or {}).get("commit")
    if isinstance(commit, str):
        facts.append(("Commit", commit[:12] + (", changed since" if (record.build or {}).get("modified") else "")))
    if (record.agent or {}).get("name"):
        facts.append(("Run by", str((record.agent or {})["name"])))
    return facts


def _parameters(
    record: RunRecord, defaults: Mapping[str, Json] | None
) -> tuple[list[tuple[str, Json]], list[tuple[str, Json]]]:
    """Part the parameters: those that somebody chose, and those that are what they are by default."""
    if defaults is None:
        return list(record.parameters.items()), []
    chosen: list[tuple[str, Json]] = []
    usual: list[tuple[str, Json]] = []
    for name, value in record.parameters.items():
        default = defaults.get(name)
        ours = value == default or value in (None, False) or (default is None and name in _FILLED)
        (usual if ours else chosen).append((name, value))
    return chosen, usual


def _model(record: RunRecord) -> list[tuple[str, Json]]:
    model = record.results.get("model")
    if not isinstance(model, dict):
        return []
    return [(name, model[key]) for key, name in _MODEL if model.get(key) is not None]


def _software(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Name every program once, with all its versions."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in record.software.items():
            found.setdefault(name, {})[version] = None
    return [(name, ", ".join(versions)) for name, versions in found.items()]


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


def _day(text: Json) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %Z").strip()
    except (TypeError, ValueError):
        return "not known"  # times of attempts are not checked when a record is read


def _length(record: RunRecord) -> float:
    return (datetime.fromisoformat(record.end) - datetime.fromisoformat(record.start)).total_seconds()


def _seconds(record: RunRecord) -> str:
    return _span(_length(record))


def _span(seconds: float) -> str:
    return (
        f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
