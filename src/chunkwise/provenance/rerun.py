"""Doing recorded runs again: which runs, on which data, and whether they come to the same bytes.

How a run's parameters become the words of a command is the commands' own (``commands/crate/rerun.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from chunkwise.errors import InputError
from chunkwise.provenance.chain import in_order, joined_by_place
from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import Resource, RunRecord, software_versions

__all__ = ["MODEL", "Comparison", "Source", "Step", "compare_outputs", "other_versions", "plan_rerun"]

#: What ``--map`` calls the model of a run.
MODEL: Final = "model"


@dataclass(frozen=True)
class Source:
    """What a run reads, and where that is now."""

    resource: Resource
    made_by: str | None = None
    """Name of the step of this rerun that writes it; None where it was there before."""
    output: str | None = None
    """Which of that step's outputs it is."""
    place: str | None = None
    """Where it lies; None where the record does not say."""
    typed: bool = False
    """Whether a person said so with ``--map``; what a crate says is not trusted."""


@dataclass(frozen=True)
class Step:
    """A run to be done again."""

    name: str
    """Such as ``segment-1``, as in the crate."""
    record: RunRecord
    sources: dict[str, Source]
    """By the parameter that they are given for."""
    model: str | None = None
    """The model that the person names in place of the recorded one."""


@dataclass(frozen=True)
class Comparison:
    """An output of a run that was done again, beside the recorded one."""

    output: Resource
    verdict: str
    """``same``, ``differs``, ``missing``, or ``no digest was recorded``."""
    algorithm: str = ""
    before: str = ""
    now: str = ""

    @property
    def same(self) -> bool:
        """Whether nothing is known to be another."""
        return self.verdict not in ("differs", "missing")


def plan_rerun(records: Sequence[RunRecord], maps: Mapping[str, str]) -> tuple[list[Step], list[str]]:
    """Put the runs of a crate in order, and find out where each finds what it reads.

    Parameters
    ----------
    records : sequence of RunRecord
        In any order.
    maps : mapping of str to str
        Where something lies now, by its identity, its recorded place, or the last part of that; and under ``model``
        the model to be used.

    Returns
    -------
    list of Step
        Only runs that were completed.
    list of str
        What the person should know, a sentence each.

    Raises
    ------
    InputError
        If no run was completed, or the map names what no run reads.
    """
    steps: list[Step] = []
    notes: list[str] = []
    made: dict[str, tuple[str, str]] = {}
    used: set[str] = set()
    for number, record in enumerate(joined_by_place(in_order(records)), start=1):
        name = f"{record.command}-{number}"
        if record.status != "completed":
            notes.append(f"{name} failed when it was recorded, and is left out.")
            continue
        sources = {}
        for resource in record.inputs:
            key = next((key for key in _keys(resource) if key in maps), None)
            if key is not None:
                used.add(key)
                sources[resource.name] = Source(resource, place=maps[key], typed=True)
            elif resource.identity in made:
                sources[resource.name] = Source(resource, *made[resource.identity])
            else:
                sources[resource.name] = Source(resource, place=_recorded(resource))
        model = maps.get(MODEL) if record.command == "predict" else None
        used |= {MODEL} if model is not None else set()
        made |= {resource.identity: (name, resource.name) for resource in record.outputs}
        steps.append(Step(name, record, sources, model))
        if record.parameters.get("into_source"):
            notes.append(
                f"{name} wrote into its source. This time it is written beside it, with its own levels and less "
                "information about where its image is, so its digest differs."
            )
    if not steps:
        raise InputError("None of its runs was completed, so there is nothing to run again.")
    unused = sorted(set(maps) - used)
    if unused:
        known = sorted({_keys(s.resource)[-1] for step in steps for s in step.sources.values() if s.made_by is None})
        raise InputError(f"No run reads anything called '{unused[0]}'; --map knows {', '.join(known)}.")
    return steps, notes


def _keys(resource: Resource) -> list[str]:
    """Return what a person may call it: identity, place, last part of the place."""
    place = resource.location if resource.root is None else f"{resource.root}:{resource.location}"
    plain = resource.identity.removeprefix("urn:uuid:")
    return [resource.identity, plain, place, resource.location, PurePosixPath(resource.location).name]


def _recorded(resource: Resource) -> str | None:
    """Return the recorded place in the words of a location; a published record has only a name."""
    if resource.root is not None:
        return f"{resource.root}:{resource.location}"
    if resource.location.startswith("/") or "://" in resource.location:
        return resource.location
    return None


def compare_outputs(before: RunRecord, now: RunRecord) -> list[Comparison]:
    """Compare what two runs wrote, by the digests that they recorded."""
    found = {resource.name: resource for resource in now.outputs}
    return [_compared(resource, found.get(resource.name)) for resource in before.outputs]


def _compared(before: Resource, now: Resource | None) -> Comparison:
    if now is None:
        return Comparison(before, "missing")
    if before.fingerprint is None or now.fingerprint is None:
        return Comparison(before, "no digest was recorded")
    old, new = (
        [taken.get(key) for key in ("level", "algorithm", "value")] for taken in (before.fingerprint, now.fingerprint)
    )
    if old[:2] != new[:2]:
        return Comparison(before, "no digest was recorded")
    return Comparison(before, "same" if old == new else "differs", str(old[1]), str(old[2]), str(new[2]))


def other_versions(steps: Sequence[Step]) -> list[str]:
    """Name the programs whose version is another one than when the runs were recorded, a line each."""
    now: dict[str, Json] = dict(software_versions())
    lines = {}
    for step in steps:
        for name, version in step.record.software.items():
            if now.get(name) != version:
                here = now.get(name)
                lines[name, version] = f"{name} {version} then, {here if here else 'not installed'} now"
    return list(lines.values())
