"""``chunkwise crate rerun``: the recorded runs again, by the commands that made them."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunkwise.commands.crate.words import add_action, check_words, file_name, parser_of, words_of
from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.faces.parser import run_command
from chunkwise.running.outputs import Output, hold_outputs

if TYPE_CHECKING:
    from chunkwise.provenance.rerun import Source, Step
    from chunkwise.site import Site

__all__ = ["add_arguments"]

RERUN = """\
Run again what a crate says was run, and say whether the bytes are the same.

Every input is compared with its recorded fingerprint first. Places that a crate names are not trusted: the site's
policy decides, and without a site file only what is below the working directory is opened; say with --map where
other things are. A published crate names no places at all. Runs that failed are left out.

The exit code is 0 if every output has the recorded digest, 1 if one differs or none was recorded, 2 if
something is missing."""


def add_arguments(actions: Any) -> None:
    """Add the action to those of ``chunkwise crate``."""
    parser = add_action(actions, "rerun", "run again what a crate says was run, and compare", RERUN, _rerun)
    parser.add_argument("crate", metavar="CRATE", type=Path, help="a crate, a reference or a run record")
    parser.add_argument("--dry-run", action="store_true", help="only print the commands")
    parser.add_argument(
        "--output",
        type=Output,
        metavar="FOLDER",
        help="where the new results go, with a folder for each run; empty or not there yet",
    )
    parser.add_argument(
        "--map",
        dest="maps",
        metavar="OLD=NEW",
        action="append",
        default=[],
        help="where an input is now: OLD is its identity, its recorded place, or the end of that; 'model=ID' names "
        "the model of a prediction. May be given several times",
    )


def _rerun(args: argparse.Namespace) -> int:
    from chunkwise.provenance.collect import read_records
    from chunkwise.provenance.rerun import compare_outputs, other_versions, plan_rerun
    from chunkwise.site import load_site

    if not args.dry_run and not args.output:
        raise InputError("Say with --output where the new results go, or give --dry-run to see only the commands.")
    records = read_records(args.crate)
    steps, notes = plan_rerun(records, _maps(args.maps, records))
    check_words(steps)
    if args.dry_run:
        _print_commands(steps, notes, args.output or ".")
        return 0
    site = load_site()
    folder = _free_folder(args.output)
    given: dict[tuple[str, str], Any] = {}
    seen: dict[tuple[str, str | None], Any] = {}
    for step in steps:
        _check_model(step, site)
        for name, source in step.sources.items():
            if source.made_by is None:
                known = (source.resource.identity, source.place)  # a store may be large: it is looked at once
                seen[known] = given[step.name, name] = seen.get(known) or _checked(step, source, site, notes)
    for note in [*notes, *other_versions(steps)]:
        print(f"note: {note}")
    os.makedirs(folder, exist_ok=True)
    results = []
    for step in steps:
        inputs = {}
        for name, source in step.sources.items():
            if source.made_by is not None:
                inputs[name] = _output_path(folder, steps, source)
            else:
                inputs[name] = _as_reference(os.path.join(folder, step.name), name, source, given[step.name, name])
        again = _run(step, words_of(step, inputs, os.path.join(folder, step.name)), folder, site)
        for result in compare_outputs(step.record, again):
            print(f"{step.name} {result.output.name} ({result.output.kind}): {result.verdict}{_digests(result)}")
            results.append(result)
    differing = sum(not result.same for result in results)
    total = f"{len(results)} output{'s' if len(results) != 1 else ''}"
    if differing:
        print(f"{differing} of {total} differ{'s' if differing == 1 else ''}")
        return 1
    compared = sum(result.verdict == "same" for result in results)
    if compared < len(results):
        print(f"{compared} of {total} the same, none known to differ")
        return 1
    print(f"all of {total} the same")
    return 0


def _maps(asked: Sequence[str], records: Sequence[Any]) -> dict[str, str]:
    """Read OLD=NEW; an OLD that has a ``=`` in it is told by its being known."""
    known = {resource.location for record in records for resource in record.inputs}
    maps = {}
    for text in asked:
        old, sign, new = text.partition("=")
        for place in known:
            if text.startswith(f"{place}="):
                old, sign, new = place, "=", text[len(place) + 1 :]
        if not (old and sign and new):
            raise InputError(f"--map '{text}' is not of the form OLD=NEW.")
        maps[old] = new
    return maps


def _print_commands(steps: Sequence[Step], notes: Sequence[str], folder: str) -> None:
    from chunkwise.provenance.rerun import other_versions

    for note in [*notes, *other_versions(steps)]:
        print(f"# note: {' '.join(note.split())}")
    for step in steps:
        inputs = {}
        for name, source in step.sources.items():
            place = _output_path(folder, steps, source) if source.made_by else source.place
            inputs[name] = place or source.resource.location
            if place is None:
                known = shlex.quote(inputs[name])
                print(f"# {step.name}: the crate does not say where {known} is; use --map {known}=PATH")
        print(shlex.join(["chunkwise", *words_of(step, inputs, os.path.join(folder, step.name))]))


def _output_path(folder: str, steps: Sequence[Step], source: Source) -> str:
    maker = next(step for step in steps if step.name == source.made_by)
    output = next(resource for resource in maker.record.outputs if resource.name == source.output)
    return os.path.join(folder, maker.name, file_name(output))


# --- before anything is done ---


def _free_folder(text: str) -> str:
    folder = os.path.realpath(text)
    if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise InputError(f"{folder} exists already and is not an empty folder; give another --output.")
    return folder


def _check_model(step: Step, site: Site | None) -> None:
    wanted = step.record.parameters.get("model_sha256")
    if step.record.command != "predict":
        return
    from chunkwise.models.library import find_model

    model = find_model(step.model or str(step.record.parameters["model"]), site)
    if wanted is not None and model.sha256 != wanted:
        raise InputError(
            f"The model {model.id} here is not the one that {step.name} ran: its sha256 is {model.sha256}, and "
            f"{wanted} was recorded; give the right one with --map model=ID."
        )


def _checked(step: Step, source: Source, site: Site | None, notes: list[str]) -> Any:
    """Open an input under the policy and compare it with its fingerprint; gives what was opened."""
    from chunkwise.formats.in_place import open_in_place
    from chunkwise.ngff.read import open_image
    from chunkwise.provenance.files import describe_file
    from chunkwise.reference import OpenedInput, open_image_input, resolve_named

    resource = source.resource
    if source.place is None:
        raise InputError(
            f"The crate does not say where {resource.location} ({resource.identity}) is, which {step.name} read; give "
            f"its path with --map {resource.location}=PATH."
        )
    try:
        if resource.kind == "table":
            table = _table(source, site)
        elif source.typed:
            opened = open_image_input(source.place, site)
        else:
            location = resolve_named(resource.location, resource.root, site, "The crate")
            image = open_in_place(location) or open_image(location)
            opened = OpenedInput(image.location, image)
    except ChunkwiseError as error:
        hint = "" if source.typed else f" Say where it is now with --map {shlex.quote(resource.location)}=PATH."
        raise type(error)(f"What {step.name} read cannot be opened: {error}{hint}") from None
    if resource.kind == "table":
        found = describe_file(table).get("fingerprint", {}).get("value")
        if found != (resource.fingerprint or {}).get("value"):
            raise InputError(f"{table}, which {step.name} read, is not what it was: its sha256 differs.")
        return table
    _compare_input(step, source, opened.image, site, notes)
    return opened


def _table(source: Source, site: Site | None) -> str:
    """Find a table that is read, under the policy; gives its path."""
    from chunkwise.files import open_file
    from chunkwise.reference import resolve_named
    from chunkwise.storage.location import resolve

    resource = source.resource
    if source.typed:
        location = resolve(str(source.place), site)
    else:
        location = resolve_named(resource.location, resource.root, site, "The crate")
    with open_file(location.address, location.allows, what="table"):
        return location.address


def _compare_input(step: Step, source: Source, image: Any, site: Site | None, notes: list[str]) -> None:
    from chunkwise.provenance.claims import claim_of
    from chunkwise.provenance.verify import verify

    claim = claim_of(source.resource, f"input of {step.name}")
    outcome = verify(claim, image.location, site=site, typed=source.typed)
    where = f"{image.location.address}, which {step.name} read,"
    if outcome.status == "unknown":
        notes.append(f"{where} may not be what it was: {outcome.note}.")
    elif outcome.differs and claim.level == "stat":
        notes.append(f"{where} is known only by sizes and dates, and these differ: it may have been copied.")
    elif outcome.differs:
        raise InputError(
            f"{where} is not what it was: its fingerprint (level {claim.level}) differs from the recorded one. Say "
            f"with --map {shlex.quote(source.resource.location)}=PATH where the recorded one is."
        )
    elif claim.level == "metadata":
        notes.append(f"{where} is known only by its metadata, so its voxels may differ.")


# --- the work ---


def _as_reference(folder: str, name: str, source: Source, opened: Any) -> str:
    """Write a reference to what a crate names, so that the command judges the place as one found in a file."""
    from chunkwise.reference import make_reference

    if source.typed:
        return str(source.place)
    if isinstance(opened, str):  # a table, whose place was judged
        return opened
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}.json")
    fingerprint = source.resource.fingerprint or {}
    if fingerprint.get("level") in (None, "stat"):
        fingerprint = {
            "level": "none"
        }  # that sizes and dates are others was told, and does not keep the run from going on
    make_reference(opened.image, fingerprint).write(path)
    return path


def _run(step: Step, words: list[str], folder: str, site: Site | None) -> Any:
    """Run a command in this process, quietly; gives its record."""
    from chunkwise.provenance.record import RunRecord

    os.makedirs(os.path.join(folder, step.name), exist_ok=True)
    command = step.record.command
    args = parser_of(command).parse_args(words[1:])
    args.command = command
    try:
        hold_outputs(vars(args), site)
        with redirect_stdout(io.StringIO()):
            code = run_command(command, vars(args))
    except ChunkwiseError as error:
        raise type(error)(f"{step.name} could not be run again: {error}") from None
    if code:
        raise ChunkwiseError(f"{step.name} could not be run again: it ended with exit code {code}.")
    with open(os.path.join(folder, step.name, "record.json"), encoding="utf-8") as file:
        return RunRecord.from_dict(json.load(file))


def _digests(result: Any) -> str:
    if result.verdict == "same":
        return f", {result.algorithm} {result.now}"
    return f", {result.algorithm} {result.now} in place of {result.before}" if result.verdict == "differs" else ""
