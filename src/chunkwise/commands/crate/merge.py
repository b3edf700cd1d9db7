"""``chunkwise crate merge``: Galaxy's own export of an invocation and our records as one crate."""

from __future__ import annotations

import argparse
from pathlib import Path

from chunkwise.commands.crate import about
from chunkwise.commands.crate.words import add_action
from chunkwise.running.outputs import Output

__all__ = ["add_arguments"]

MERGE = """\
Combine Galaxy's own export of a workflow invocation and the run records into one RO-Crate.

In Galaxy, open the invocation, and choose Export and RO-Crate. Galaxy knows the workflow, its jobs and its
datasets; the run records know what was done to which bytes, and when. Records and references that lie in the
export are found by themselves."""


def add_arguments(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action and its options."""
    merge = add_action(actions, "merge", "join a crate that Galaxy exported with run records", MERGE, _merge)
    merge.add_argument(
        "--galaxy",
        metavar="INVOCATION.zip",
        type=Path,
        required=True,
        help="the RO-Crate that Galaxy exported for one invocation (rocrate.zip)",
    )
    merge.add_argument(
        "--runs",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="references, run records or crates of the invocation's runs, besides those in the export",
    )
    merge.add_argument(
        "--outside",
        action="store_true",
        help="also list runs that belong to no job of the invocation, outside the workflow, instead of refusing them",
    )
    merge.add_argument(
        "--publish",
        action="store_true",
        help="make a crate for anyone: records as 'crate build --publish' gives them; from Galaxy no names of "
        "datasets and no settings that are free text; of the workflow only its steps and connections",
    )
    merge.add_argument("--output", metavar="CRATE.zip", type=Output, required=True, help="the crate to write")
    about.add_about(merge)


def _merge(args: argparse.Namespace) -> int:
    from chunkwise.provenance.attachments import attachments_of, joined
    from chunkwise.provenance.collect import read_records
    from chunkwise.provenance.galaxy.join import RecordFile
    from chunkwise.provenance.galaxy.merge import merge_crate

    runs = [RecordFile.given(path, read_records(path)) for path in args.runs]
    details = about.details_of(args)
    attachments = joined(attachments_of(path) for path in args.runs)
    merged = merge_crate(
        args.galaxy,
        runs,
        args.output,
        details=details,
        attachments=attachments,
        outside=args.outside,
        publish=args.publish,
    )
    steps = "1 step" if merged.steps == 1 else f"{merged.steps} steps"
    others = f", {merged.outside} outside the workflow" if merged.outside else ""
    form = ", published" if args.publish else ""
    print(f"{args.output}: {steps} of the workflow, {merged.joined} jobs with a run record{others}{form}")
    return 0
