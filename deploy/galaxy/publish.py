"""Publish workflows for all users of a Galaxy: ``publish.py URL FILE_WITH_KEY WORKFLOW.gxwf.yml ...``.

Each file becomes a workflow of the user to whom the key belongs, and every user finds it under *Workflows*, *Public
workflows*. One that was published before gets a new version where its file has changed, and is left alone where it has
not: a tag of the workflow says which file it was made of. A workflow that could not be run from the page, because tools
are missing or a parameter has no value, is not published.

Standard library only, so that any Python of the last years runs it on any machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

TAG = "file:"
"""Begins the tag that says of which file a workflow was made; the first digits of the file's SHA-256 follow."""


class Refused(Exception):
    """What is wrong, in one sentence."""


class Galaxy:
    """Galaxy's API, as one user."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.key = key

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Speak to the API; its JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("x-api-key", self.key)
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Refused(f"{self.url} answers {error.code}: {said(error.read())}") from None
        except (OSError, ValueError) as error:
            raise Refused(f"{self.url} does not answer as Galaxy does: {error}") from None


def said(answer: bytes) -> str:
    """The message in an answer of Galaxy's."""
    try:
        return str(json.loads(answer)["err_msg"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def name_of(file: Path, text: str) -> str:
    """The name that a workflow has in Galaxy."""
    label = re.search(r"^label: *(.+?) *$", text, re.MULTILINE)
    if label is None or not re.search(r"^class: *GalaxyWorkflow *$", text, re.MULTILINE):
        raise Refused(f"{file} is no workflow with a label in Galaxy's format 2 (*.gxwf.yml).")
    return label.group(1).strip("'\"")


def publish(galaxy: Galaxy, file: Path) -> str:
    """Bring one workflow to all users; what was done."""
    text = file.read_text(encoding="utf-8")
    name = name_of(file, text)
    tag = TAG + hashlib.sha256(text.encode()).hexdigest()[:8]
    old = published_before(galaxy, name)
    if old is not None and tag in old["tags"]:
        identity, done = str(old["id"]), "is up to date"
    else:
        body = {"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}}
        identity, done = imported(galaxy, body, name), "is new"
        if old is not None:
            # Its identity stays, so that addresses and earlier runs of it stay what they are.
            galaxy.call("DELETE", f"/api/workflows/{identity}")
            identity, done = str(old["id"]), "has a new version"
            galaxy.call("PUT", f"/api/workflows/{identity}", body)
    tags = [word for word in galaxy.call("GET", f"/api/workflows/{identity}")["tags"] if not word.startswith(TAG)]
    galaxy.call("PUT", f"/api/workflows/{identity}", {"published": True, "importable": True, "tags": [*tags, tag]})
    return f"{name} {done}: {galaxy.url}/workflows/run?id={identity}"


def published_before(galaxy: Galaxy, name: str) -> dict[str, Any] | None:
    """The workflow of this name that was published from a file, where there is one."""
    user = galaxy.call("GET", "/api/users/current")
    for workflow in galaxy.call("GET", "/api/workflows?show_published=false"):
        own = workflow["owner"] == user["username"] and not workflow["deleted"]
        if own and workflow["name"] == name and any(tag.startswith(TAG) for tag in workflow["tags"]):
            return dict(workflow)
    return None


def imported(galaxy: Galaxy, body: dict[str, Any], name: str) -> str:
    """Import a workflow that nobody else sees yet; its identity. One that the page would not run is refused."""
    identity = str(galaxy.call("POST", "/api/workflows", body)["id"])
    try:
        seen = galaxy.call("GET", f"/api/workflows/{identity}/download?style=editor")
        steps = [step.get("errors") for step in seen["steps"].values()]
        problems = texts([seen["upgrade_messages"], steps])
        if problems:
            more = f" And {len(problems) - 3} more." if len(problems) > 3 else ""
            raise Refused(f"it could not be run from the page. Galaxy says: {' '.join(problems[:3])}{more}")
    except Refused as refusal:
        galaxy.call("DELETE", f"/api/workflows/{identity}")
        raise Refused(f"'{name}' was not published: {refusal}") from None
    return identity


def texts(messages: Any) -> list[str]:
    """The sentences in what Galaxy says about steps and their parameters."""
    if isinstance(messages, dict | list):
        values = messages.values() if isinstance(messages, dict) else messages
        return [text for value in values for text in texts(value)]
    return [str(messages)] if messages else []


def main(words: list[str]) -> int:
    """Publish every file; how it ended."""
    if len(words) < 3:
        print("usage: publish.py URL FILE_WITH_KEY WORKFLOW.gxwf.yml ...", file=sys.stderr)
        return 2
    code = 0
    try:
        galaxy = Galaxy(words[0], Path(words[1]).read_text(encoding="utf-8").strip())
    except OSError as error:
        print(f"publish.py: the key cannot be read: {error}", file=sys.stderr)
        return 2
    for word in words[2:]:
        try:
            print(publish(galaxy, Path(word)))
        except (Refused, OSError, UnicodeDecodeError) as error:
            print(f"publish.py: {error}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
