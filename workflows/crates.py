"""Describe every workflow as a Workflow RO-Crate 1.0, the form in which WorkflowHub takes workflows.

``.venv/bin/python workflows/crates.py`` writes ``ro-crate-metadata.json`` beside each workflow, and its picture
(``pictures.py``) before that. Everything in it stands in the files already: the workflow itself, its changelog,
``CITATION.cff``. Nobody's ORCID is known, so none is named.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
METADATA = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
GALAXY = "https://w3id.org/workflowhub/workflow-ro-crate#galaxy"
BIOSCHEMAS = "https://bioschemas.org/profiles/{}/1.0-RELEASE"
MEDIA_TYPES = {".md": "text/markdown", ".svg": "image/svg+xml", ".yml": "application/yaml"}
TYPES = {"data": "File", "collection": "Collection", "int": "Integer", "float": "Float", "boolean": "Boolean"}


def describe(folder: Path) -> str:
    """Return the text of the crate's metadata for the workflow in a folder."""
    (file,) = folder.glob("*.gxwf.yml")
    workflow = yaml.safe_load(file.read_text())
    citation = yaml.safe_load((HERE.parent / "CITATION.cff").read_text())
    released = re.search(
        rf"^## \[{re.escape(workflow['release'])}\] (\S+)$", (folder / "CHANGELOG.md").read_text(), re.M
    )
    if released is None:
        raise SystemExit(f"{folder.name}: CHANGELOG.md has no date for release {workflow['release']}.")
    licence = f"https://spdx.org/licenses/{workflow['license']}"
    text = " ".join(workflow["doc"].split())
    authors = [_author(one) for one in workflow["creator"]]
    inputs = [
        _parameter("input", label, TYPES.get(one["type"], "Text"), one.get("doc"), not one.get("optional", False))
        for label, one in workflow["inputs"].items()
    ]
    outputs = [_parameter("output", label, "File") for label in workflow["outputs"]]
    tests = file.name.replace(".gxwf.yml", ".gxwf-tests.yml")
    picture = _file(
        folder / file.name.replace(".gxwf.yml", ".svg"),
        "The workflow as Galaxy's editor shows it",
        about={"@id": file.name},
    )
    picture["@type"] = ["File", "ImageObject"]
    others = [
        picture,
        _file(
            folder / "README.md", "What the workflow does, its inputs, steps, outputs and limits", about={"@id": "./"}
        ),
        _file(folder / "CHANGELOG.md", "What changed in each release"),
        _file(folder / tests, "Tests, as planemo runs them"),
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": workflow["label"],
        "description": text,
        "datePublished": released.group(1),
        "version": workflow["release"],
        "license": {"@id": licence},
        "keywords": ", ".join(workflow["tags"]),
        "author": _links(authors),
        "publisher": _links(authors),
        "mainEntity": {"@id": file.name},
        "hasPart": _links([{"@id": file.name}, *others]),
        "isBasedOn": {"@id": "#chunkwise"},
    }
    main = _file(
        file,
        text,
        conformsTo={"@id": BIOSCHEMAS.format("ComputationalWorkflow")},
        programmingLanguage={"@id": GALAXY},
        version=workflow["release"],
        license={"@id": licence},
        keywords=root["keywords"],
        creator=_links(authors),
        dateModified=released.group(1),
        input=_links(inputs),
        output=_links(outputs),
        image={"@id": picture["@id"]},
    )
    main |= {"@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"], "name": workflow["label"]}
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": CRATE}, {"@id": WORKFLOW_CRATE}],
        },
        root,
        main,
        *others,
        {
            "@id": GALAXY,
            "@type": "ComputerLanguage",
            "name": "Galaxy",
            "identifier": {"@id": "https://galaxyproject.org/"},
            "url": {"@id": "https://galaxyproject.org/"},
        },
        {
            "@id": "#chunkwise",
            "@type": "SoftwareApplication",
            "name": "chunkwise",
            "description": citation["abstract"],
            "softwareVersion": citation["version"],
            "url": "https://bio.tools/chunkwise",
        },
        {"@id": licence, "@type": "CreativeWork", "name": workflow["license"], "description": "The licence."},
        *authors,
        *inputs,
        *outputs,
    ]
    context = f"{CRATE}/context"
    return json.dumps({"@context": context, "@graph": graph}, indent=2, ensure_ascii=False) + "\n"


def _author(one: dict[str, str]) -> dict[str, Any]:
    address = one.get("identifier") or one.get("url")
    return {
        "@id": address or f"#{re.sub(r'[^a-z]+', '-', one['name'].lower())}",
        "@type": one["class"],
        "name": one["name"],
        "url": one.get("url") or "about:blank",
    }


def _parameter(
    direction: str, label: str, kind: str, text: str | None = None, required: bool | None = None
) -> dict[str, Any]:
    parameter: dict[str, Any] = {
        "@id": f"#{direction}-{re.sub(r'[^a-z0-9]+', '-', label.lower())}",
        "@type": "FormalParameter",
        "conformsTo": {"@id": BIOSCHEMAS.format("FormalParameter")},
        "name": label,
        "additionalType": kind,
    }
    if text is not None:
        parameter["description"] = text
    if required is not None:
        parameter["valueRequired"] = required
    return parameter


def _file(path: Path, text: str, **further: Any) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "@id": path.name,
        "@type": "File",
        "name": path.name,
        "description": text,
        "encodingFormat": MEDIA_TYPES[path.suffix],
        "contentSize": str(len(content)),
        "identifier": f"sha256:{hashlib.sha256(content).hexdigest()}",
        **further,
    }


def _links(entities: list[dict[str, Any]]) -> Any:
    """RO-Crate 1.1 wants a single link outside of a list."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def folders() -> list[Path]:
    """Return the folders that hold a workflow."""
    return sorted(file.parent for file in HERE.glob("*/*.gxwf.yml"))


if __name__ == "__main__":
    import pictures

    pictures.main()
    for place in folders():
        (place / METADATA).write_text(describe(place))
        print(place / METADATA)
