"""Document what was done, in a form that people can read and programs can check.

Every chunkwise command keeps a record of its run: the image it read, every setting, the versions of
the programs, the times, what it wrote. 'crate build' combines the records of your analysis into one
small file, an RO-Crate, to be kept beside the results, deposited with a publication or sent to a colleague.
It holds a page to read (ro-crate-preview.html) and no image data. 'crate validate' checks such a file
against the rules of the RO-Crate community, without a network.

  chunkwise crate build --from labels.json objects.json --output crate.zip --license CC-BY-4.0
  chunkwise crate validate crate.zip
  chunkwise crate merge --galaxy invocation.rocrate.zip --runs segment.json measure.json --output crate.zip
  chunkwise crate report crate.zip --html report.html
  chunkwise crate rerun crate.zip --dry-run
"""

from __future__ import annotations

import argparse
from pathlib import Path

from chunkwise.commands.crate import about, merge, report, rerun
from chunkwise.commands.crate.words import add_action
from chunkwise.errors import InputError
from chunkwise.running.outputs import Output

__all__ = ["add_arguments", "run"]

BUILD = """\
Combine run records into one RO-Crate (a small zip file).

The data themselves are neither opened nor copied: the crate says where they were, how large they were and
how to recognise them."""

VALIDATE = """\
Check a crate against the run profile that it says it follows, without a network, and its files against the sha256
that it says of them.

Prints one line for every rule that is broken. The exit code is 0 for a valid crate, 1 for one that breaks
a rule, 2 for something that is not a crate."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)

    build = add_action(actions, "build", "build a crate from run records", BUILD, _build)
    build.add_argument(
        "--from",
        dest="sources",
        metavar="FILE",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="references, run records or crates that chunkwise wrote, or the directory of a run that has ended, "
        "however it ended; a run that is in several of them is counted once",
    )
    build.add_argument("--output", metavar="CRATE.zip", type=Output, required=True, help="the crate to write")
    build.add_argument(
        "--publish",
        action="store_true",
        help="make a crate for anyone: leave out paths, machines, accounts, people and free text from the runs; data "
        "keep their identity and digests",
    )
    build.add_argument(
        "--profile",
        choices=("auto", "process", "provenance"),
        default="auto",
        help="which Workflow Run profile the crate follows: process lists the runs, provenance describes them as a "
        "workflow; auto chooses provenance if one run read what another wrote (default: auto)",
    )
    about.add_about(build)

    validate = add_action(actions, "validate", "check a crate against its profile", VALIDATE, _validate)
    validate.add_argument("crate", metavar="CRATE", type=Path, help="a crate: a zip file or a folder")
    validate.add_argument(
        "--level",
        choices=("required", "recommended", "optional"),
        default="recommended",
        help="how strict to be: what a crate must, should or may have (default: recommended)",
    )
    validate.add_argument("--profile", help="the profile to check it against (default: the one that the crate names)")
    merge.add_arguments(actions)
    report.add_arguments(actions)
    rerun.add_arguments(actions)


def run(args: argparse.Namespace) -> int:
    """Do what was asked, and return the exit code."""
    code: int = args.act(args)
    return code


def _build(args: argparse.Namespace) -> int:
    from chunkwise.provenance.attachments import attachments_of, joined
    from chunkwise.provenance.closing import close_run, find_run
    from chunkwise.provenance.collect import read_records
    from chunkwise.provenance.crate import build_crate, in_order
    from chunkwise.site import load_site

    found, beside = [], []
    for source in args.sources:
        folder = find_run(source)
        if folder is None:
            found += read_records(source)
            beside.append(attachments_of(source))
        else:
            record, files = close_run(folder, load_site())
            found.append(record)
            beside.append(files)
    records = in_order(found)
    details = about.details_of(args)
    attachments = joined(beside)
    if args.publish:
        from chunkwise.provenance.publishing.record import publish

        records, attachments = publish(records, attachments)
    build_crate(records, args.output, details=details, attachments=attachments, kind=args.profile)
    runs = "1 run" if len(records) == 1 else f"{len(records)} runs"
    form = ", published" if args.publish else ""
    print(f"{args.output}: {runs}{form} ({', '.join(record.command for record in records)})")
    return 0


def _validate(args: argparse.Namespace) -> int:
    from chunkwise.provenance.attachments import check_crate, holds_records
    from chunkwise.provenance.validate import Issue, profile_of, validate_crate

    profile = args.profile or profile_of(args.crate)
    issues = validate_crate(args.crate, profile=profile, level=args.level)
    try:
        if holds_records(args.crate):
            check_crate(args.crate)
    except InputError as error:  # the rules of the profile know no digests
        issues.insert(0, Issue("required", "sha256", None, str(error)))
    for issue in issues:
        print(issue)
    if issues:
        count = "1 rule is" if len(issues) == 1 else f"{len(issues)} rules are"
        print(f"{args.crate}: not valid, {count} broken ({profile}, {args.level})")
        return 1
    print(f"{args.crate}: valid ({profile}, {args.level})")
    return 0
