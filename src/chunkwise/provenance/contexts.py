"""The JSON-LD contexts that validation needs, from what is installed: nothing is ever downloaded.

The package ``rocrate`` brings the context of RO-Crate 1.3. That of 1.1 is the same list of terms, older:
it is made here by taking back what changed. Terms that schema.org gained since 2020 stay in, so on those
alone this validation is milder than one with the original file.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

__all__ = ["contexts"]

ROCRATE_1_1: Final = "https://w3id.org/ro/crate/1.1/context"
ROCRATE_1_3: Final = "https://w3id.org/ro/crate/1.3/context"
WORKFLOW_RUN: Final = "https://w3id.org/ro/terms/workflow-run/context"

#: Terms with another meaning in 1.1.
_CHANGED: Final = {
    "cite-as": "https://www.w3.org/ns/iana/link-relations/relation#cite-as",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
#: Terms of 1.1 that schema.org has given up since.
_GIVEN_UP: Final = ("AuthenticContent", "MissingContext", "constrainingProperty", "measuredValue", "observedNode")
#: Terms that a crate of 1.1 may use only with the context of the run profiles beside it.
_NOT_YET: Final = ("sha256",)
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
    newest = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes())["@context"]
    older = {term: meaning for term, meaning in newest.items() if term not in _NOT_YET}
    older |= {term: f"http://schema.org/{term}" for term in _GIVEN_UP}
    older |= _CHANGED
    run = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in _WORKFLOW_RUN_TERMS}
    return {
        ROCRATE_1_1: _document(older),
        ROCRATE_1_3: _document(newest),
        WORKFLOW_RUN: _document(run),
        WORKFLOW_RUN.removesuffix("/context"): _document(run),
    }


def _document(context: dict[str, Any]) -> bytes:
    return json.dumps({"@context": context}).encode()
