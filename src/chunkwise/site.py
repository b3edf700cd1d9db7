"""The administrator's file: what may be read, where results go.

Found at ``CHUNKWISE_SITE``, else ``/etc/chunkwise/site.toml``; without one, chunkwise behaves as a
person's own shell program. Example::

    [roots.images]
    path = "/data/images"        # or url = "https://images.example.org/public"
    access = "read"

    [roots.results]
    path = "/data/results"
    access = "write"             # write includes read

    [workspace]
    root = "results"
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from chunkwise.errors import InputError

__all__ = ["DEFAULT_SITE_FILE", "Root", "Site", "load_site"]

DEFAULT_SITE_FILE = Path("/etc/chunkwise/site.toml")


@dataclass(frozen=True)
class Root:
    """A named place that may be read or written.

    Exactly one of ``path`` (absolute, symbolic links resolved) and ``url`` (no trailing slash) is set.
    """

    name: str
    path: str | None
    url: str | None
    writable: bool


@dataclass(frozen=True)
class Site:
    """What the administrator wrote."""

    file: Path
    roots: dict[str, Root] = field(default_factory=dict)
    workspace: str | None = None
    """Name of the root that results go to."""


def load_site() -> Site | None:
    """Read the site file, or return None where there is none.

    Raises
    ------
    InputError
        If the file cannot be read or says something that chunkwise does not know.
    """
    named = os.environ.get("CHUNKWISE_SITE")
    file = Path(named) if named else DEFAULT_SITE_FILE
    if not named and not file.exists():
        return None
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The site file {file} cannot be read: {error}") from None
    unknown = set(content) - {"roots", "workspace"}
    if unknown:
        raise InputError(f"The site file {file} has an unknown section '{sorted(unknown)[0]}'.")
    for section in ("roots", "workspace"):
        if not isinstance(content.get(section, {}), dict):
            raise InputError(f"The site file {file} has '{section}' as a value, which has to be a section.")
    roots = {name: _root(file, name, entry) for name, entry in content.get("roots", {}).items()}
    workspace = content.get("workspace", {}).get("root")
    if workspace is not None:
        root = roots.get(workspace) if isinstance(workspace, str) else None
        if root is None or not root.writable or root.path is None:
            raise InputError(
                f"The site file {file} names '{workspace}' as the workspace, "
                'which has to be a root with a path and access = "write".'
            )
    return Site(file, roots, workspace)


def _root(file: Path, name: str, entry: object) -> Root:
    where = f"The site file {file}, root '{name}',"
    if not isinstance(entry, dict) or set(entry) - {"path", "url", "access"}:
        raise InputError(f"{where} may only have path or url, and access.")
    if not name or set(name) & set("/:"):
        raise InputError(f"{where} has a name with '/' or ':', or none; use letters, digits, '-' and '_'.")
    path, url, access = entry.get("path"), entry.get("url"), entry.get("access", "read")
    if not all(isinstance(value, str) for value in (path, url) if value is not None):
        raise InputError(f"{where} has a path or url that is not text; put it in quotation marks.")
    if (path is None) == (url is None):
        raise InputError(f"{where} needs either a path or a url.")
    if access not in ("read", "write"):
        raise InputError(f'{where} has access \'{access}\', which has to be "read" or "write".')
    if path is not None:
        if not os.path.isabs(path):
            raise InputError(f"{where} has the relative path '{path}'; write an absolute one.")
        return Root(name, os.path.realpath(path), None, access == "write")
    assert url is not None
    if not str(url).startswith(("http://", "https://", "s3://")):
        raise InputError(f"{where} has the url '{url}', which has to begin with https://, http:// or s3://.")
    if access == "write":
        raise InputError(f"{where} is a url, which can only be read.")
    return Root(name, None, str(url).rstrip("/"), False)
