"""What ran: chunkwise with its packages, and models, as entities of a crate."""

from __future__ import annotations

import re
from urllib.parse import quote

from chunkwise.provenance.fields import Json
from chunkwise.provenance.graph import Graph, reference
from chunkwise.provenance.people import licence
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.software import home_page

__all__ = ["add_model", "add_program"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


def add_program(graph: Graph, record: RunRecord) -> str:
    """Add chunkwise with the packages it ran on; other versions of these, or another build, make it another entity."""
    version = record.software.get("chunkwise", "unknown")
    packages = []
    for name, package_version in record.software.items():
        if name != "chunkwise":
            identifier = f"{home_page(name)}#{quote(name)}-{quote(package_version)}"
            packages.append(identifier)
            graph.add(
                identifier, "SoftwareApplication", name=name, softwareVersion=package_version, url=home_page(name)
            )
    build = [
        graph.value(f"#build-{quote(key, safe='')}-{quote(str(value), safe='')}", key, value)
        for key, value in (record.build or {}).items()
    ]
    number = 1
    while True:
        identifier = f"{home_page('chunkwise')}#chunkwise-{quote(version)}" + (f"-{number}" if number > 1 else "")
        known = {"softwareRequirements": reference(packages), "additionalProperty": reference(build)}
        if identifier not in graph or all(graph[identifier].get(key, []) == links for key, links in known.items()):
            break
        number += 1
    return graph.add(
        identifier,
        "SoftwareApplication",
        name="chunkwise",
        description="Galaxy tools for bioimages too big to move.",
        softwareVersion=version,
        url=home_page("chunkwise"),
        **known,
    )


def add_model(graph: Graph, record: RunRecord) -> list[str]:
    """Add the model that a run used, if any: a list, so that it joins the other things that the run took."""
    model = record.results.get("model")
    if not isinstance(model, dict):
        # A command that works on what a model has made notes name and sha256 in one text.
        name, _, digest = str(record.parameters.get("model", "")).rpartition(" ")
        model = {"id": name, "sha256": digest}
    sha256 = model.get("sha256")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        return []
    doi, license = model.get("doi"), model.get("license")
    return [
        graph.add(
            f"#model-{sha256[:16]}",
            "CreativeWork",
            additionalType="https://w3id.org/fair4ml/MLModel",
            name=str(model.get("name") or model.get("id")),
            description="A bioimage.io model; not part of this crate.",
            alternateName=model.get("id"),
            version=None if model.get("version") is None else str(model["version"]),
            identifier=f"https://doi.org/{doi}" if isinstance(doi, str) and doi else None,
            sha256=sha256,
            license=reference([licence(graph, license)]) if isinstance(license, str) and license else None,
            citation=_citation(model.get("cite")),
        )
    ]


def _citation(cite: Json) -> str | None:
    """Say in one line what is to be cited."""
    works = [str(work) for work in (cite if isinstance(cite, list) else [cite]) if work]
    return "; ".join(works) or None
