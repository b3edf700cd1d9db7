"""The workflow that Galaxy exported, as an entity of a crate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from chunkwise.provenance.crate import add_file
from chunkwise.provenance.entities import licence, orcid_url
from chunkwise.provenance.fields import Json
from chunkwise.provenance.galaxy.invocation import Invocation
from chunkwise.provenance.graph import Graph, reference
from chunkwise.provenance.workflow import WORKFLOW_TYPES

__all__ = ["GALAXY_PAGE", "add_galaxy_workflow"]

GALAXY_PAGE: Final = "https://galaxyproject.org/"
GALAXY_LANGUAGE: Final = "https://w3id.org/workflowhub/workflow-ro-crate#galaxy"
CWL_LANGUAGE: Final = "https://w3id.org/workflowhub/workflow-ro-crate#cwl"
BIOSCHEMAS: Final = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"


def add_galaxy_workflow(graph: Graph, invocation: Invocation) -> dict[str, bytes]:
    """Add the files of the workflow, and return them; the main one stands for the workflow."""
    main = invocation.main_workflow
    language = graph.add(
        GALAXY_LANGUAGE,
        "ComputerLanguage",
        name="Galaxy",
        identifier={"@id": GALAXY_PAGE},
        url={"@id": GALAXY_PAGE},
    )
    graph.add(
        main,
        WORKFLOW_TYPES,
        name=invocation.workflow_name,
        conformsTo={"@id": BIOSCHEMAS},
        programmingLanguage=reference([language]),
        version=_version(invocation.files[main]),
        description=invocation.workflow_text or None,
        url=GALAXY_PAGE,
        license=reference([licence(graph, invocation.workflow_license)]) if invocation.workflow_license else None,
        creator=reference([_creator(graph, one) for one in invocation.workflow_creators]),
    )
    for name, content in invocation.files.items():
        if name.endswith(".cwl"):
            cwl = graph.add(
                CWL_LANGUAGE,
                "ComputerLanguage",
                name="Common Workflow Language",
                identifier={"@id": "https://w3id.org/cwl/"},
                url={"@id": "https://www.commonwl.org/"},
            )
            graph.add(
                name,
                ("File", "SoftwareSourceCode", "HowTo"),
                programmingLanguage=reference([cwl]),
                url=GALAXY_PAGE,
                version=_version(content),
            )
            if name.partition(".")[0] == main.partition(".")[0]:
                graph.link(main, "subjectOf", [name])
        add_file(graph, name, content, "The workflow, as Galaxy exported it")
    return dict(invocation.files)


def _creator(graph: Graph, one: Mapping[str, Json]) -> str:
    """Add who made the workflow, by name and ORCID alone: Galaxy's file may hold an e-mail address."""
    name, named = str(one.get("name") or "Not named"), str(one.get("identifier") or "")
    kind = "Organization" if one.get("class") == "Organization" else "Person"
    identifier = orcid_url(named) or f"#creator-{quote(name, safe='')}"
    return graph.add(identifier, kind, name=name, url="about:blank" if kind == "Organization" else None)


def _version(content: bytes) -> str:
    """Galaxy's files do not name the release that was run: another content is another version."""
    return hashlib.sha256(content).hexdigest()[:12]
