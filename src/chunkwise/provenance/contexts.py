"""The JSON-LD contexts that validation needs, from what is installed: nothing is ever downloaded.

``published/`` has those of RO-Crate as they were published (github.com/ResearchObject/ro-crate, CC0), white space left
out; that of the run profiles is short and made here.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Final

__all__ = ["contexts"]

ROCRATE_1_1: Final = "https://w3id.org/ro/crate/1.1/context"
ROCRATE_1_3: Final = "https://w3id.org/ro/crate/1.3/context"
WORKFLOW_RUN: Final = "https://w3id.org/ro/terms/workflow-run/context"

#: Terms of the workflow-run namespace; each is its own name in it.
_WORKFLOW_RUN_TERMS: Final = (
    "ContainerImage",
    "DockerImage",
    "ParameterConnection",
    "SIFImage",
    "connection",
    "containerImage",
    "environment",
    "md5",
    "registry",
    "resourceUsage",
    "sha1",
    "sha256",
    "sha512",
    "sourceParameter",
    "tag",
    "targetParameter",
)


def contexts() -> dict[str, bytes]:
    """Return the context documents by their web address."""
    run = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in _WORKFLOW_RUN_TERMS}
    document = json.dumps({"@context": run}).encode()
    return {
        ROCRATE_1_1: _published("ro-crate-1.1.jsonld"),
        ROCRATE_1_3: _published("ro-crate-1.3.jsonld"),
        WORKFLOW_RUN: document,
        WORKFLOW_RUN.removesuffix("/context"): document,
    }


def _published(name: str) -> bytes:
    return resources.files("chunkwise.provenance").joinpath("published", name).read_bytes()
