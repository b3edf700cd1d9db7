"""Check a store and write a small reference to it.

Says whether a location holds an OME-Zarr (0.4 or 0.5; an image, a label image, a plate, or a collection
made by bioformats2raw) that chunkwise may read and can work on. The reference is a JSON file of a few
kilobytes that every other command takes in place of the image. Nothing is copied; only metadata are read.

  chunkwise open /data/images/embryo.ome.zarr --output embryo.json
  chunkwise segment embryo.json --output nuclei.ome.zarr

Without a site file, a reference leads only to stores below the folder you are working in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("location", metavar="LOCATION", help="path or URL of the store, or ROOT:path on a site")
    parser.add_argument("--output", metavar="REF.json", type=Path, required=True, help="the reference to write")
    parser.add_argument(
        "--user-text",
        action="store_true",
        help="LOCATION is text that a user of a service typed into a form: it is judged like a place found in a file, "
        "and no reference is read",
    )
    parser.add_argument(
        "--fingerprint",
        choices=("none", "stat", "full"),
        default="none",
        help="by what to recognise the store later: its metadata alone (none, the default, at once), also names, "
        "sizes and times of all its files (stat), or every byte (full, reads the whole image)",
    )


def run(args: argparse.Namespace) -> int:
    """Open the store and write the reference."""
    from chunkwise.reference import check_usable, make_reference, metadata_paths, open_input
    from chunkwise.report.summary import headline
    from chunkwise.site import load_site
    from chunkwise.storage.fingerprint import fingerprint
    from chunkwise.storage.outputs import check_output_file

    check_output_file(args.output)
    site = load_site()
    opened = open_input(args.location, site, user_text=args.user_text)
    taken = fingerprint(opened.store.location, args.fingerprint, metadata_paths(opened.store))
    reference = make_reference(opened.store, taken, opened.records)
    check_usable(reference, site)
    reference.write(args.output)
    print(headline(opened.store))
    for finding in opened.store.findings:
        print(f"  {finding.severity}: {finding.where} {finding.message}")
    print(f"Reference: {args.output}")
    return 0
