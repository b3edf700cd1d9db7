"""What a person says about a crate on the command line: title, licence, authors, and what the images show."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chunkwise.provenance.details import CrateDetails

__all__ = ["add_about", "details_of"]


def add_about(build: argparse.ArgumentParser) -> None:
    """Add the options."""
    about = build.add_argument_group("about the crate", "All of this is optional; the crate says what was not stated.")
    about.add_argument("--name", help="a title, such as 'Nuclei of plate 7'")
    about.add_argument("--description", help="a sentence or two on what was analysed and why")
    about.add_argument("--license", help="how others may use this description: CC-BY-4.0, a web address, or a sentence")
    about.add_argument("--author-name", metavar="NAME", help="who made the analysis")
    about.add_argument("--author-orcid", metavar="ORCID", help="their ORCID, such as 0000-0002-1825-0097")
    about.add_argument("--organization", metavar="NAME", help="where they work; also named as the publisher")
    about.add_argument("--organization-url", metavar="URL", help="its web address, preferably its ROR address")
    images = build.add_argument_group(
        "about the images",
        "About the images that the runs started from. What no option states is taken from --about, then from "
        "--source-crate.",
    )
    images.add_argument(
        "--organism",
        metavar="TEXT",
        action="append",
        help="name, number in the NCBI taxonomy, or both: 'Homo sapiens (NCBI:txid9606)'; may be given several times",
    )
    images.add_argument(
        "--modality",
        metavar="TEXT",
        action="append",
        help="how they were taken: name, number in the FBbi list, or both: 'confocal microscopy (FBbi:00000251)'; "
        "may be given several times",
    )
    images.add_argument("--specimen", metavar="TEXT", help="what was imaged, and how it was prepared")
    images.add_argument("--biosample", metavar="TEXT", help="what the specimen was taken from: a cell line, a strain")
    images.add_argument(
        "--channel",
        metavar="TEXT",
        action="append",
        help="a channel and what it shows: 'DAPI: nuclei'; may be given several times",
    )
    images.add_argument(
        "--image-license", metavar="TEXT", help="how others may use the images, in the same form as --license"
    )
    images.add_argument(
        "--about",
        metavar="FILE.yml",
        type=Path,
        help="a YAML file with any of this, and with several authors if need be",
    )
    images.add_argument(
        "--source-crate",
        metavar="FILE",
        type=Path,
        help="the ro-crate-metadata.json in the image's store: organism, modality, specimen, channels and licence "
        "are taken from it",
    )


def details_of(args: argparse.Namespace) -> CrateDetails:
    """Return what was said.

    Raises
    ------
    InputError
        If a text or a file cannot be used.
    """
    from chunkwise.errors import InputError
    from chunkwise.provenance.biology import Biology, parse_channel, parse_term, read_source_crate
    from chunkwise.provenance.details import CrateDetails, read_about

    biology = Biology(
        organisms=tuple(parse_term(text, "organism") for text in args.organism or ()),
        modalities=tuple(parse_term(text, "modality") for text in args.modality or ()),
        specimen=args.specimen,
        biosample=args.biosample,
        channels=tuple(parse_channel(text) for text in args.channel or ()),
        license=args.image_license,
    )
    written = CrateDetails() if args.about is None else read_about(args.about)
    biology = biology.or_else(written.biology or Biology())
    if args.source_crate is not None:
        biology = biology.or_else(read_source_crate(args.source_crate))
    details = replace(
        written,
        name=args.name or written.name,
        description=args.description or written.description,
        license=args.license or written.license,
        author_name=args.author_name,
        author_orcid=args.author_orcid,
        organization=args.organization,
        organization_url=args.organization_url,
        biology=None if biology == Biology() else biology,
    )
    try:
        json.dumps(asdict(details), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(
            "The description of the crate holds a character that is not valid UTF-8; type it again."
        ) from None
    return details
