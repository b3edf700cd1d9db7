"""Check a store and write a small reference to it.

Says whether a location holds an OME-Zarr (0.4 or 0.5; an image, a label image, a plate, a well, or a
collection made by bioformats2raw) that chunkwise may read and can work on. The reference is a JSON file of a few
kilobytes that every other command takes in place of the image. Nothing is copied; only metadata are read.

  chunkwise open /data/images/embryo.ome.zarr --output embryo.json
  chunkwise segment embryo.json --output nuclei.ome.zarr

Without a site file, a reference leads only to stores below the working directory.
"""

from __future__ import annotations

import argparse
from typing import Any

from chunkwise.running.outputs import Output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "location", metavar="LOCATION", help="path or URL of the store, or ROOT:path with a root of the site file"
    )
    parser.add_argument("--output", metavar="REF.json", type=Output, required=True, help="the reference to write")
    parser.add_argument(
        "--user-text",
        action="store_true",
        help="LOCATION is text that a user of a service typed into a form: it is treated like a place found in a "
        "file, and no reference is read",
    )
    held = parser.add_mutually_exclusive_group()
    held.add_argument(
        "--strict",
        action="store_true",
        help="refuse metadata that break the specification even where their meaning is beyond doubt (without it, they "
        "are read, and a remark says how)",
    )
    held.add_argument(
        "--strict-all",
        action="store_true",
        help="refuse every store with a remark: even what the specification only recommends has to be there",
    )
    parser.add_argument(
        "--fingerprint",
        choices=("none", "stat", "sample", "full"),
        default="none",
        help="how to recognise the store later: by its metadata only (none, the default, immediate), also by names, "
        "sizes and times of all its files (stat), by names, sizes and the bytes of a sample (sample), or by every "
        "byte (full, reads the whole image)",
    )
    parser.add_argument(
        "--manifest",
        metavar="FILE.tsv.gz",
        type=Output,
        help="with --fingerprint full: write the list of all files with their sha256, from which 'chunkwise verify' "
        "can name those that differ",
    )
    parser.add_argument(
        "--dandi",
        action="store_true",
        help="with --fingerprint full: also record the checksum that the DANDI archive gives a Zarr",
    )


def run(args: argparse.Namespace) -> int:
    """Open the store and write the reference."""
    from chunkwise.errors import InputError
    from chunkwise.ngff.read import check_strictly
    from chunkwise.provenance.verify import survey
    from chunkwise.reference import check_usable, make_reference, metadata_paths, open_input
    from chunkwise.report.summary import headline
    from chunkwise.site import load_site
    from chunkwise.storage.fingerprint import ALGORITHM, fingerprint
    from chunkwise.storage.outputs import check_output_file, write_atomically

    check_output_file(args.output)
    if (args.manifest is not None or args.dandi) and args.fingerprint != "full":
        raise InputError("--manifest and --dandi need every byte to be read; add --fingerprint full.")
    if args.manifest is not None:
        check_output_file(args.manifest)
    site = load_site()
    opened = open_input(args.location, site, user_text=args.user_text)
    location = opened.store.location
    if args.strict or args.strict_all:
        check_strictly(opened.store, recommended=args.strict_all)
    manifest, checksums = None, dict[str, str]()
    if args.fingerprint == "full":
        manifest, checksums = survey(location, args.dandi)
        taken: dict[str, Any] = {"level": "full", "algorithm": ALGORITHM, "value": manifest.digest}
    else:
        taken = fingerprint(location, args.fingerprint, metadata_paths(opened.store))
    if checksums:
        taken["checksums"] = checksums
    reference = make_reference(opened.store, taken, opened.records)
    check_usable(reference, site)
    if args.manifest is not None and manifest is not None:
        write_atomically(args.manifest, manifest.to_bytes())
    reference.write(args.output)
    print(headline(opened.store))
    for finding in opened.store.findings:
        print(f"  {finding.line}")
    for name, value in checksums.items():
        print(f"{name}: {value}")
    if args.manifest is not None:
        print(f"Manifest: {args.manifest}")
    print(f"Reference: {args.output}")
    return 0
