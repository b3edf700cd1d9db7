"""``chunkwise crate report``: a crate as one page to read, with pictures of the data where they can be found."""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunkwise.commands.crate.words import add_action, parser_of
from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.files import is_zip, read_file
from chunkwise.running.outputs import Output

if TYPE_CHECKING:
    from chunkwise.provenance.preview import Shown
    from chunkwise.provenance.record import Resource, RunRecord
    from chunkwise.site import Site

__all__ = ["add_arguments"]

REPORT = """\
Write the contents of a crate as one page to read: the chain of runs as a picture, and for every step what it read and
wrote, its parameters (those that were chosen first), times and resources.

Pictures of the data are included if the data are still where the crate says, and the site's policy allows them to be
opened; without a site file that means below the working directory. The page is a single file that loads nothing."""

#: Bytes of a picture that a run wrote, and that is taken into the page as it is.
LARGEST_PICTURE = 8 * 2**20
#: Data of which pictures are made; a page with more is not opened any more.
MOST = 100
_PNG = b"\x89PNG\r\n\x1a\n"


def add_arguments(actions: Any) -> None:
    """Add the action to those of ``chunkwise crate``."""
    parser = add_action(actions, "report", "write a crate as a page to read", REPORT, _report)
    parser.add_argument("crate", metavar="CRATE", type=Path, help="a crate, a reference or a run record")
    parser.add_argument(
        "--html", type=Output, metavar="REPORT.html", required=True, help="the page to write; it must not exist yet"
    )


def _report(args: argparse.Namespace) -> int:
    from chunkwise.provenance.chain import in_order
    from chunkwise.provenance.collect import read_records
    from chunkwise.provenance.preview import preview_page
    from chunkwise.provenance.publishing.rules import PARAMETERS
    from chunkwise.site import load_site
    from chunkwise.storage.outputs import check_output_file, write_atomically

    check_output_file(args.html)
    records = in_order(read_records(args.crate))
    root = _root(args.crate, records)
    pictures = _pictures(records, load_site())
    defaults = {command: _defaults(command) for command in {record.command for record in records} & set(PARAMETERS)}
    page = preview_page(root, records, pictures=pictures, defaults=defaults, in_crate=False)
    write_atomically(args.html, page.encode())
    count = sum(len(shown) for shown in pictures.values())
    runs = "1 run" if len(records) == 1 else f"{len(records)} runs"
    print(f"{args.html}: {runs}, {count} picture{'s' if count != 1 else ''} of the data")
    return 0


def _root(crate: Path, records: Sequence[RunRecord]) -> dict[str, str]:
    """Return what the crate is called; of records alone, what a crate of them would be."""
    from chunkwise.provenance.attachments import is_crate_folder
    from chunkwise.provenance.crate import METADATA_FILE, crate_files
    from chunkwise.provenance.validate import read_metadata
    from chunkwise.storage.json_text import parse_json

    metadata = read_metadata(crate) if is_crate_folder(crate) or is_zip(crate) else crate_files(records)[METADATA_FILE]
    try:
        graph = parse_json(metadata)["@graph"]
        root = next(entity for entity in graph if entity.get("@id") == "./")
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        raise InputError(f"The metadata of {crate} are not those of a crate.") from None
    return {name: str(root.get(name, "")) for name in ("name", "description", "datePublished")}


def _defaults(command: str) -> dict[str, Any]:
    defaults = {action.dest: action.default for action in parser_of(command)._actions}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}


def _pictures(records: Sequence[RunRecord], site: Site | None) -> dict[str, list[Shown]]:
    """Make pictures of what can be opened, by its identity; of the rest say why not."""
    from chunkwise.provenance.chain import joined_by_place

    found: dict[str, list[Shown]] = {}
    for record in joined_by_place(records):
        for resource in (*record.inputs, *record.outputs):
            if resource.identity in found or resource.kind not in ("image", "labels", "picture"):
                continue
            if len(found) == MOST:
                print(f"note: there are pictures of the first {MOST} data only", file=sys.stderr)
                return found
            try:
                shown = _file(resource, site) if resource.kind == "picture" else _store(resource, site)
            except (ChunkwiseError, OSError) as error:
                print(f"note: no picture of {resource.short_name}: {' '.join(str(error).split())}", file=sys.stderr)
                shown = []
            found[resource.identity] = shown
    return found


def _file(resource: Resource, site: Site | None) -> list[Shown]:
    """Take the picture that a run wrote, if it is still the same."""
    from chunkwise.provenance.preview import Shown
    from chunkwise.reference import resolve_named

    place = resolve_named(_place(resource), resource.root, site, "The crate")
    path = Path(place.address)
    if not path.is_file():
        raise InputError(f"there is no file {path} any more.")
    content = read_file(path, place.allows, largest=LARGEST_PICTURE)
    if hashlib.sha256(content).hexdigest() != (resource.fingerprint or {}).get("value") or content[:8] != _PNG:
        raise InputError(f"{path} is not the picture that was written.")
    return [Shown(resource.short_name, _link(content), "as the run wrote it")]


def _store(resource: Resource, site: Site | None) -> list[Shown]:
    """Make a picture of a store as it is now."""
    from chunkwise.ngff.read import open_image
    from chunkwise.provenance.preview import Shown
    from chunkwise.reference import resolve_named
    from chunkwise.report.inspection import pictures_of_image
    from chunkwise.report.pictures import enlarge, png_bytes

    image = open_image(resolve_named(_place(resource), resource.root, site, "The crate"))
    # The last one shows the channels together, where there are several.
    picture = pictures_of_image(image).pictures[-1]
    return [Shown(f"{resource.short_name}: {picture.title}", _link(png_bytes(enlarge(picture.data))), picture.caption)]


def _place(resource: Resource) -> str:
    if resource.root is None and not resource.location.startswith("/") and "://" not in resource.location:
        raise InputError("the crate does not say where it is.")
    return resource.location


def _link(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()
