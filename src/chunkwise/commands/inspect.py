"""Describe an image: a JSON summary, an HTML page with pictures, and a page to browse it.

Shows what is in a store before you compute on it: axes, sizes, the size of a voxel with its unit,
resolution levels, channels, label images, how it is stored, and where it departs from the OME-Zarr
specification. The page has a picture of every channel. From an image of any size only metadata and a few
megabytes of its smallest levels are read.

  chunkwise inspect embryo.ome.zarr --view embryo.html
  chunkwise inspect embryo.json --json summary.json --html report/embryo.html --pictures report
"""

from __future__ import annotations

import argparse

from chunkwise.running.outputs import Output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("image", metavar="IMAGE", help="a store (path or URL), a reference, or a TIFF, PNG or JPEG")
    parser.add_argument("--json", metavar="SUMMARY.json", type=Output, help="write the facts as JSON")
    parser.add_argument(
        "--view",
        metavar="VIEW.html",
        type=Output,
        help="write the facts and the image with its labels as one page to browse: move, zoom, click an object",
    )
    parser.add_argument("--html", metavar="REPORT.html", type=Output, help="write a page with pictures")
    parser.add_argument(
        "--pictures",
        metavar="DIR",
        type=Output,
        help="write the page's pictures as PNG files into this folder (without it, they are inside the page)",
    )


def run(args: argparse.Namespace) -> int:
    """Describe the store."""
    import json

    from chunkwise.errors import InputError
    from chunkwise.ngff.model import Collection
    from chunkwise.ngff.read import open_image
    from chunkwise.reference import open_input
    from chunkwise.report.summary import headline, summarise
    from chunkwise.site import load_site
    from chunkwise.storage.outputs import check_output_file, write_atomically

    if args.pictures is not None and args.html is None:
        raise InputError("--pictures is the folder for the page's pictures, so it needs --html as well.")
    for output in (args.json, args.html, args.view):
        if output is not None:
            check_output_file(output)
    opened = open_input(args.image, load_site(), in_place=True)
    store = opened.store
    if isinstance(store, Collection) and store.kind != "well" and len(store.series) == 1:
        store = open_image(store.location)  # bioformats2raw wraps every single image in a collection
    summary = summarise(store)
    summary["records"] = len(opened.records)
    if opened.reference is not None:
        summary["fingerprint"] = opened.reference.fingerprint
    if args.html is not None:
        from chunkwise.report.inspection import inspection_page
        from chunkwise.report.page import write_page

        write_page(inspection_page(store, summary), args.html, args.pictures)
    left_out: tuple[str, ...] = ()
    if args.view is not None:
        from chunkwise.report.inspection import write_inspection_view

        left_out = write_inspection_view(store, summary, args.view)
    if args.json is not None:
        write_atomically(args.json, (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode())
    print(headline(store))
    for warning in summary.get("warnings", ()):
        print(f"  WARNING: {warning}")
    for finding in store.findings:
        print(f"  {finding.line}")
    for name, path in (("Summary", args.json), ("Page", args.html), ("View", args.view)):
        if path is not None:
            print(f"{name}: {path}")
    for sentence in left_out:
        print(f"  {sentence}")
    return 0
