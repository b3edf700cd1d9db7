"""Check that data are still the same, byte for byte.

A reference, a run record or a crate says how to recognise every store and table: mostly by the sha256
of all its bytes. 'verify' reads what is there now, and names every object that was changed, truncated or
added, or is missing.

  chunkwise verify labels.json
  chunkwise verify crate.zip --what outputs --json report.json
  chunkwise verify /elsewhere/labels.ome.zarr --against crate.zip

The exit code is 0 if everything that was checked is the same, 1 if anything differs or is missing, 2 for
input that cannot be used, and 3 for a place that the site's policy does not allow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunkwise.running.outputs import Output

if TYPE_CHECKING:
    from chunkwise.provenance.claims import Claim, Statement
    from chunkwise.provenance.verify import Outcome
    from chunkwise.site import Site
    from chunkwise.storage.location import Location
    from chunkwise.storage.manifest import Manifest

__all__ = ["add_arguments", "run"]

#: Objects that are printed of one store; a report has all of them.
PRINTED = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a reference, run record or crate, whose data are checked in place; or, with --against, a store "
        "or a file (path, URL, or reference)",
    )
    parser.add_argument(
        "--against",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="what DATA is compared with: the reference, run record, crate or manifest that says what it should be. "
        "Besides a reference, record or crate, a manifest helps to name the objects that differ",
    )
    parser.add_argument(
        "--what",
        choices=("result", "outputs", "inputs", "all"),
        help="which of the data that a file names: what a reference refers to or the last run wrote, what any run "
        "wrote, what the runs read and none of them wrote, or all (default: result for a reference, all for the "
        "others)",
    )
    parser.add_argument(
        "--dandi",
        action="store_true",
        help="also compute the checksum that the DANDI archive gives a Zarr; reads every byte",
    )
    parser.add_argument("--json", metavar="REPORT.json", type=Output, help="write what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Hold the data against what was said of them, and return the exit code."""
    import json

    from chunkwise.errors import InputError
    from chunkwise.provenance.claims import is_statement, read_statement
    from chunkwise.provenance.verify import places_of, verify
    from chunkwise.site import load_site
    from chunkwise.storage.outputs import check_output_file, write_atomically

    if args.json is not None:
        check_output_file(args.json)
    site = load_site()
    sayings, manifests = _read_against(args)
    typed = bool(sayings)
    if sayings:
        places, more = _copy(args, site, *sayings[0])
    elif is_statement(args.data) and not _is_zipped_store(args.data, site):
        statement = read_statement(args.data, args.what)
        if statement.alone:
            raise InputError(f"{args.data} is a manifest; give the store, and this file with --against.")
        places, more = places_of(statement.claims, site, args.data), statement.manifests
    elif manifests:
        places, typed = [_by_manifest(args.data, manifests[0], site)], True
        more = ()
    elif ":" not in args.data and not Path(args.data).exists():
        raise InputError(
            f"There is nothing at {args.data}; give a reference, run record or crate, or a store and --against."
        )
    else:
        raise InputError(
            f"Nothing says what {args.data} should be; give the reference, run record, crate or manifest that does "
            "with --against."
        )
    _check_use(manifests, [claim for claim, _ in places], args.data)
    outcomes = [
        verify(claim, location, (*more, *manifests), site=site, typed=typed, dandi=args.dandi)
        for claim, location in places
    ]
    looked_at = [outcome for outcome in outcomes if outcome.status != "unknown"]
    if not looked_at:
        reason = f"{outcomes[0].claim.text}: {outcomes[0].note}" if outcomes else f"{args.data} names none"
        raise InputError(f"There is nothing to verify ({reason}).")
    for outcome in outcomes:
        _print(outcome)
    different = sum(outcome.differs for outcome in looked_at)
    partly = sum(not outcome.differs and outcome.claim.level != "full" for outcome in looked_at)
    if args.json is not None:
        content = {
            "chunkwise_verification": 1,
            "same": different == 0,
            "every_byte": partly == 0,
            "looked_at": len(looked_at),
            "different": different,
            "data": [outcome.document() for outcome in outcomes],
        }
        write_atomically(args.json, (json.dumps(content, indent=2, ensure_ascii=True) + "\n").encode())
    print(_total(len(looked_at), different, partly))
    return 1 if different else 0


def _read_against(args: argparse.Namespace) -> tuple[list[tuple[str, Statement]], list[Manifest]]:
    """Part what --against names into what says something of data, one at most, and manifests."""
    from chunkwise.errors import InputError
    from chunkwise.provenance.claims import is_statement, read_statement

    sayings: list[tuple[str, Statement]] = []
    manifests: list[Manifest] = []
    for path in args.against:
        if not is_statement(path):
            raise InputError(f"There is no file {path} to compare the data with.")
        statement = read_statement(path, args.what or "all")
        if statement.alone:
            manifests += statement.manifests
        else:
            sayings.append((path, statement))
    if len(sayings) > 1:
        raise InputError("--against takes one reference, run record or crate at most; any others have to be manifests.")
    return sayings, manifests


def _copy(
    args: argparse.Namespace, site: Site | None, source: str, statement: Statement
) -> tuple[list[tuple[Claim, Location]], Sequence[Manifest]]:
    """Pair a store or a file that a person named with what a file says of it."""
    from chunkwise.ngff.in_zip import inside_zip
    from chunkwise.provenance.files import describe_file
    from chunkwise.provenance.verify import choose, survey
    from chunkwise.reference import locate, read_reference

    reference = read_reference(args.data)
    location, _ = locate(args.data, site)
    is_file = reference is None and not location.is_url and Path(location.address).is_file()
    if location.archive is not None:  # a store in a zip file, unless the file speaks of a file of that name
        is_file = is_file and any(not claim.store and claim.name == location.name for claim in statement.claims)
        location = location if is_file else inside_zip(location)[0]
    claims = [claim for claim in statement.claims if claim.store != is_file]

    def now() -> tuple[str, Manifest | None]:
        if is_file:
            return str(describe_file(location.address).get("fingerprint", {}).get("value")), None
        manifest, _ = survey(location)
        return manifest.digest, manifest

    return [(choose(claims, location.name, now, statement.manifests, source), location)], statement.manifests


def _by_manifest(data: str, manifest: Manifest, site: Site | None) -> tuple[Claim, Location]:
    """Pair a store with what its manifest alone says of it."""
    from chunkwise.ngff.in_zip import inside_zip
    from chunkwise.provenance.claims import Claim
    from chunkwise.reference import locate

    location, _ = inside_zip(locate(data, site)[0])
    claim = Claim("store", "image", location.relative, location.root, "full", manifest.digest, size=manifest.size)
    return claim, location


def _is_zipped_store(data: str, site: Site | None) -> bool:
    """Whether a zip file holds an image, rather than a crate that speaks of images."""
    from chunkwise.errors import ChunkwiseError
    from chunkwise.ngff.in_zip import inside_zip
    from chunkwise.ngff.zarr_json import read_node
    from chunkwise.storage.location import resolve

    with suppress(ChunkwiseError):
        location = resolve(data, site)
        return location.archive is not None and read_node(inside_zip(location)[0]) is not None
    return False


def _check_use(manifests: Sequence[Manifest], claims: Sequence[Claim], data: str) -> None:
    """Refuse a manifest that is none of anything that is looked at: whoever gave it expects names of objects."""
    from chunkwise.errors import InputError

    known = {claim.value for claim in claims if claim.level == "full"}
    for manifest in manifests:
        if manifest.digest not in known:
            raise InputError(
                f"The manifest with the root digest {manifest.digest[:16]}... given with --against matches nothing "
                f"in {data}: it belongs to another store, or to another version of this one."
            )


def _print(outcome: Outcome) -> None:
    from chunkwise.provenance.verify import COVERS

    claim, difference = outcome.claim, outcome.difference
    covers = COVERS.get(claim.level or "", "").format(sample=claim.sample)
    place = f"{_shown(claim.text)} ({claim.role})"
    if outcome.elsewhere is not None:
        place = f"{_shown(outcome.elsewhere)} (compared with {_shown(claim.text)}, {claim.role})"
    if outcome.status == "unknown":
        print(f"not checked  {place}: {outcome.note}")
    elif outcome.status == "missing":
        print(f"MISSING  {place}: nothing is there")
    elif outcome.status == "same":
        read = f", {outcome.objects} objects, {outcome.size} bytes" if claim.store and outcome.objects else ""
        print(f"same     {place}: {covers}{read}")
    elif difference is None:
        names = "; there is no manifest to name the objects" if claim.store else ""
        names = f"; {outcome.note}" if outcome.note else names
        print(f"CHANGED  {place}: compared {covers}{names}")
    else:
        counts = [
            f"{len(keys)} {word}"
            for word, keys in (
                ("changed", difference.changed),
                ("truncated", difference.truncated),
                ("missing", difference.missing),
                ("added", difference.added),
            )
            if keys
        ]
        print(f"CHANGED  {place}: {', '.join(counts) or 'another checksum'}")
        _print_objects(difference)
    for name, value in outcome.checksums.items():
        print(f"  {name} {value}")


def _print_objects(difference: Any) -> None:
    lines = [("changed", key, "") for key in difference.changed]
    lines += [("truncated", key, "") for key in difference.truncated]
    lines += [("missing", key, "") for key in difference.missing]
    for key in difference.added:
        origin = difference.renamed.get(key)
        lines.append(("added", key, f" (the bytes of {_shown(origin)}, which is missing)" if origin else ""))
    for word, key, note in lines[:PRINTED]:
        print(f"  {word:<9} {_shown(key)}{note}")
    if len(lines) > PRINTED:
        print(f"  and {len(lines) - PRINTED} more, which --json writes")


def _shown(key: str) -> str:
    """Write a key or a place so that no name can disturb a terminal, or pass for a line of ours."""
    return key if key.isprintable() else repr(key)


def _total(looked_at: int, different: int, partly: int) -> str:
    """Say it in a line, which may be all that is read; ``partly``: of how many not every byte was compared."""
    if different:
        return f"{different} of {looked_at} {'differs' if different == 1 else 'differ'}"
    whole = "The same" if looked_at == 1 else f"All {looked_at} are the same"
    if not partly:
        return whole
    return f"{whole}, as far as was compared: not every byte{f' of {partly}' if looked_at > 1 else ''}"
