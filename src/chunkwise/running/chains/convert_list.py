"""A list of stores as one job: one line a store, and a table of what became of each."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable
from typing import Final

from chunkwise.errors import InputError, ResumableError
from chunkwise.files import read_file
from chunkwise.provenance.files import describe_file
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.running.chains.fetch import format_of
from chunkwise.running.life import write_reports
from chunkwise.running.many import FAILED, One, Outcome, Ready, do_each, failures
from chunkwise.running.one_file import FILES
from chunkwise.running.outputs import beside
from chunkwise.running.request import Destination, Request, Result
from chunkwise.site import Site
from chunkwise.storage.foreign import format_of as image_format
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.outputs import check_output_file, new_file, said_clearly

__all__ = ["convert_list", "is_list"]

#: Columns of the list, and of the table.
ASKED: Final = ("source", "output")
TOLD: Final = (*ASKED, "status", "voxels", "left_behind", "sentence")

#: Bytes of a list; a hundred thousand stores have fewer.
LARGEST: Final = 64 * 2**20


def is_list(text: str, site: Site | None) -> bool:
    """Whether what was typed names a list of stores, and no image of that name; the policy is asked before it is read.

    Raises
    ------
    PolicyError
        If the site does not allow it.
    """
    named = text.lower().endswith(".csv") and "://" not in text
    return named and image_format(resolve(text, site).address) is None


def convert_list(
    request: Request,
    text: str,
    find: Callable[[Request, Location], OpenedInput],
    convert: Callable[[Request, OpenedInput], Result],
) -> Result:
    """Convert every store of a list.

    Parameters
    ----------
    request : Request
        What was asked for of all of them; its output is the table.
    text : str
        The list, as typed.
    find : callable
        Opens a source.
    convert : callable
        Converts one.

    Raises
    ------
    InputError
        If the list or the table cannot be used; before anything is done.
    PolicyError
        If the site does not allow the list; a store that it does not allow is a line that failed.
    ResumableError
        If stores failed: after all others are done.
    """
    to = request.to
    if request.plan:
        raise InputError("--plan is for one image; give the stores of the list one by one.")
    if to.run_dir or to.format or to.output is None or not to.output.lower().endswith(".tsv"):
        raise InputError(
            f"{text} is a list of stores; give --output the name of a table that ends in .tsv, which says what became "
            "of each, and neither --to-workspace, --format nor --run-dir."
        )
    place = resolve(text, request.site)
    many = [_one(request, source, output, find) for source, output in _lines(place.address, to.output)]
    _check_table(to.output)
    recorder = Recorder("convert", request.recorded())
    recorder.input("image", "table", place, **describe_file(place.address))
    done = list(do_each(request, many, convert))
    _write_table(to.output, done)
    failed = failures(done, "stores")
    if failed:
        raise ResumableError(
            f"{failed}. The others are done, and {to.output} says what became of each: fix the cause and run the same "
            "command again; what is done is not done again."
        )
    counts = {status: sum(one.status == status for one in done) for status in sorted({one.status for one in done})}
    recorder.result(
        "stores", {"written" if status == "written" else "already_there": n for status, n in counts.items()}
    )
    recorder.output("output", "table", to.output)
    reference = write_reports(to, recorder.finish(), [], "table", {})
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    return Result(reference, (f"{len(done)} stores, {words}: {to.output}",))


def _lines(path: str, table: str) -> list[tuple[str, str]]:
    """Read the list; columns beside those that are needed are somebody's notes.

    Raises
    ------
    InputError
        If it is no list, or names outputs that cannot all be written.
    """
    try:
        content = read_file(path, largest=LARGEST).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content), strict=True))
    except OSError as error:
        raise InputError(f"The list {path} cannot be read: {os.strerror(error.errno or 0)}.") from None
    except (ValueError, csv.Error):
        raise InputError(f"The list {path} is not a comma-separated table (CSV) in UTF-8.") from None
    found: list[tuple[str, str]] = []
    known: dict[str, int] = {}
    own = os.path.realpath(table)
    for number, row in enumerate(rows, start=2):
        values = [(row.get(name) or "").strip() for name in ASKED]
        if not all(values):
            raise InputError(
                f"Row {number} of {path} lacks its {ASKED[values.index('')]}; the list needs the columns "
                f"{' and '.join(ASKED)}, with their names in the first row."
            )
        source, output = values
        if format_of(Destination(output=output)) in FILES:
            raise InputError(
                f"Row {number} of {path} writes {output}, which is no OME-Zarr; a list writes only those: give a name "
                "that ends in .ome.zarr, or convert this image by itself."
            )
        real = output if "://" in output else os.path.realpath(output)
        if own == real or own.startswith(f"{real}/") or real.startswith(f"{own}/"):
            raise InputError(f"Row {number} of {path} writes {output}, where the table is written; give another name.")
        other = known.setdefault(real.rstrip("/"), number)
        if other != number:
            raise InputError(f"Rows {other} and {number} of {path} both write {output}; give each its own output.")
        found.append((source, output))
    for real, number in known.items():
        above = os.path.dirname(real)
        while above not in ("", "/", os.path.dirname(above)):
            if above in known:
                raise InputError(
                    f"Row {number} of {path} writes into the output of row {known[above]}; give each its own place."
                )
            above = os.path.dirname(above)
    if not found:
        raise InputError(f"The list {path} names no store; give it the columns {' and '.join(ASKED)}.")
    return found


def _one(request: Request, source: str, output: str, find: Callable[[Request, Location], OpenedInput]) -> One:
    """A line; what a list names is judged as what is named inside of any file, when its turn comes."""
    site = request.site

    def prepare() -> Ready:
        place = resolve(output, site, write=True, typed=False)
        opened = find(request, resolve(source, site, typed=False))
        own = place.address
        if place.is_url:  # results of one name may go to many places
            own = os.path.join(os.getcwd(), f"{place.name}-{hashlib.sha256(own.encode()).hexdigest()[:12]}")
        folder = beside(own, ".run", site)
        to = Destination(output=place.address, run_dir=folder, shard=request.to.shard)
        return Ready(opened, to, place, folder)

    return One(source, output, prepare)


def _check_table(path: str) -> None:
    """Refuse to write over anything but a table of an earlier attempt."""
    try:
        with open(path, encoding="utf-8") as file:
            earlier = file.readline().rstrip("\n").split("\t") == list(TOLD)
    except (OSError, ValueError):
        earlier = False
    if not earlier:
        check_output_file(path)


def _write_table(path: str, outcomes: list[Outcome]) -> None:
    rows = [TOLD]
    for outcome in outcomes:
        results = outcome.record.results if outcome.record is not None else {}
        compared, left = results.get("compared"), results.get("left_behind")
        rows.append(
            (
                outcome.one.name,
                outcome.one.output,
                outcome.status,
                str(compared["voxels"]) if isinstance(compared, dict) else "",
                str(len(left)) if isinstance(left, list) else "" if outcome.status == FAILED else "0",
                outcome.sentence,
            )
        )
    text = "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    with new_file(path) as temporary, said_clearly(path), open(temporary, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
