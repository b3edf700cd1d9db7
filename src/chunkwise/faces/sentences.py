"""Sentences about what went wrong, as the page of a Galaxy tool says them: fields for options, no places of the server.

A sentence is written once, for the command line. In a job of Galaxy, which is known by the variable that the tools set,
an option is called by the label of its field, and a path of the machine by its last part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from chunkwise.operations import families, operations_of, options_of

__all__ = ["in_galaxy", "labels_of", "told"]

#: Labels of options that no declaration has, by the command, or for all.
_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "to_workspace": "Name of the result",
        "preview_region": "Region to preview",
        "block": "Block size",
        "shard": "Shard size",
        "labels": "Labels",
        "image": "Image",
        "format": "Format",
        "dictionary": "Explain the columns",
        "parents": "Parents",
        "summary": "Summarise the image",
        "children": "Count the children",
    },
    "predict": {"block": "Tile size"},
    "points": {"points": "Points"},
    "label": {"table": "Table of measurements"},
    "math": {"image": "Image a"} | {letter: f"Image {letter}" for letter in "bcdefgh"},
    "open": {"strict": "Refuse metadata that break the OME-Zarr specification", "fingerprint": "Fingerprint"},
    "verify": {"what": "Which data", "dandi": "DANDI checksum", "against": "What it should be"},
    "crate": {
        "from": "RO-Crates and references",
        "runs": "RO-Crates and references",
        "galaxy": "Galaxy's export of the invocation",
        "outside": "Runs outside of the workflow, too",
        "publish": "Fit to publish",
        "profile": "Profile",
        "name": "Title",
        "description": "Description",
        "license": "Licence",
        "author_name": "Author",
        "author_orcid": "ORCID of the author",
        "organization": "Organisation",
        "organization_url": "Web address of the organisation",
        "organism": "Organism",
        "modality": "Modality",
        "specimen": "Specimen",
        "biosample": "Biosample",
        "channel": "Channel and what it shows",
        "image_license": "Licence of the images",
        "about": "File with these details",
        "source_crate": "RO-Crate of the image",
    },
}
_OPTION = re.compile(r"(?:\b(with|by|give|gives) )?(?<![\w-])--([a-z](?:[a-z-]*[a-z])?)(?![a-z])")
_BEFORE: Final = {"with": "under ", "by": "under ", "give": "choose ", "gives": "chooses "}
#: What a person does again: a command in a shell, a tool in the page.
_AGAIN: Final = {
    "run the same command again": "run the tool again",
    "give the same command again": "run the tool again",
    "run this command again": "run the tool again",
    "the same command resumes": "running the tool again resumes",
}
_COMMAND = re.compile("|".join(_AGAIN))
#: A path of the machine, plain or as a URI, up to its last part; addresses of the web are the user's own words.
_PATH = re.compile(r"(?:\bfile://|(?<![\w:/.]))/(?:[^\s/'\"]+/)+(?=[^\s/'\"])")


def in_galaxy() -> bool:
    """Whether this is a job of one of our tools in Galaxy."""
    return bool(os.environ.get("CHUNKWISE_GALAXY_TOOL_ID"))


def labels_of(command: str) -> dict[str, str]:
    """What the page calls the options of a command, by their names with underscores."""
    declared = options_of(operations_of(command)) if command in families() else {}
    own = {name: parameter.label for name, (parameter, _) in declared.items()}
    method = {"method": "Method"} if command in families() else {}
    return {**_LABELS[""], **method, **own, **_LABELS.get(command, {})}


def told(command: str, sentence: str) -> str:
    """Say a sentence in the words of the page, where this is a job of Galaxy."""
    if not in_galaxy():
        return sentence
    labels = labels_of(command)

    def field(found: re.Match[str]) -> str:
        before, option = found.group(1), found.group(2)
        label = labels.get(option.replace("-", "_"))
        if label is None:  # no field: the page does not ask for it
            return f"{before + ' ' if before else ''}{option.replace('-', ' ')}"
        return f"{_BEFORE.get(before or '', '')}'{label}'"

    return _COMMAND.sub(lambda found: _AGAIN[found.group()], _PATH.sub("", _OPTION.sub(field, sentence)))
