"""Reads the site file strictly: a slip in it must not open a door, and says where it is."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chunkwise.errors import InputError
from chunkwise.files import read_file
from chunkwise.site.keys import NAMED, PLAIN, Key
from chunkwise.site.model import Cluster, Limits, Models, Person, Root, Site, Workspace

__all__ = ["BYTES", "DEFAULT_SITE_FILE", "DURATION", "NOT_IN_NAME", "NOT_IN_WORD", "load_site", "parse_duration"]

DEFAULT_SITE_FILE = Path("/etc/chunkwise/site.toml")

#: Bytes of a site file at most.
_LARGEST = 2**20

# Patterns that the JSON schema shares.
BYTES = r"([0-9]+(?:\.[0-9]+)?) *((?:[kKmMgGtTpP][iI]?)?)[bB]?"
DURATION = r"([0-9]+(?:\.[0-9]+)?) *(s|m|min|h|d)"
NOT_IN_WORD = r"[^A-Za-z0-9@%+=:,./_-]"
NOT_IN_NAME = r"[^A-Za-z0-9_.-]"

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
#: What a key's value has to be, in words; and how it is read, raising ValueError where it is something else.
_NEEDED = {
    "text": "text in quotation marks",
    "word": "text of letters, digits and @%+=:,./_- without spaces",
    "path": "an absolute path in quotation marks",
    "program": "an absolute path in quotation marks",
    "bytes": 'a number of bytes such as "500GiB"',
    "duration": 'a duration such as "30s", "15m", "4h" or "90d"',
    "count": "a whole number, 0 or more",
    "number": "a number above 0",
    "flag": "true or false",
    "texts": "a list of texts in quotation marks",
    "words": "a list of texts of letters, digits and @%+=:,./_- without spaces",
    "mask": 'three or four octal digits in quotation marks, such as "0027"',
}


def load_site() -> Site | None:
    """Read the site file, or return None where there is none.

    Raises
    ------
    InputError
        If the file cannot be read or says something that chunkwise does not know.
    """
    named = os.environ.get("CHUNKWISE_SITE")
    if named == "":
        raise InputError("CHUNKWISE_SITE is set but empty; give it the path of the site file, or unset it.")
    file = DEFAULT_SITE_FILE if named is None else Path(named)
    if named is None and not _is_there(file):
        return None
    try:
        content = tomllib.loads(read_file(file, largest=_LARGEST, what="site file").decode())
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"The site file {file} cannot be read: {why.rstrip('.')}.") from None
    unknown = set(content) - set(NAMED) - set(PLAIN)
    if unknown:
        raise InputError(f"The site file {file} has an unknown section '{min(unknown)}'.")
    for section, value in content.items():
        if not isinstance(value, dict):
            raise InputError(f"The site file {file} has '{section}' as a value, but it has to be a section.")
    plain = {
        section: _section(f"The site file {file}, section '{section}',", keys, content.get(section, {}))
        for section, keys in PLAIN.items()
    }
    named_sections: dict[str, dict[str, dict[str, Any]]] = {}
    for section, keys in NAMED.items():
        named_sections[section] = {}
        for name, entry in content.get(section, {}).items():
            where = f"The site file {file}, {section.removesuffix('s')} '{name}',"
            if not name or re.search(NOT_IN_NAME, name):
                raise InputError(f"{where} has a name with other characters than letters, digits, '-', '_' and '.'.")
            named_sections[section][name] = _section(where, keys, entry)
    roots = {
        name: _root(file, name, entry, given=content["roots"][name]) for name, entry in named_sections["roots"].items()
    }
    clusters = {name: _cluster(file, name, entry) for name, entry in named_sections["clusters"].items()}
    for key, name in plain["cluster"].items():
        if name is not None and name not in clusters:
            raise InputError(f"The site file {file} names '{name}' as the {key} cluster, but has no [clusters.{name}].")
    return Site(
        file,
        roots,
        _workspace(file, plain["workspace"], roots) if content.get("workspace") else None,
        clusters,
        plain["cluster"]["default"],
        plain["cluster"]["gpu"],
        Limits(**plain["limits"]),
        Models(**plain["models"]),
        plain["plugins"]["operations"],
        Person.of(os.environ),
    )


def _is_there(file: Path) -> bool:
    """Whether anything has that name: a link into nowhere, and what this account may not look at, count as there."""
    try:
        os.lstat(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def parse_duration(text: str) -> float:
    """Read ``30s``, ``15m``, ``4h`` or ``90d`` as seconds.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    found = re.fullmatch(DURATION, text)
    if not found:
        raise ValueError(text)
    return float(found[1]) * _SECONDS[found[2]]


def _section(where: str, keys: dict[str, Key], entry: object) -> dict[str, Any]:
    """Check a section against its keys; every key has a value afterwards."""
    if not isinstance(entry, dict):
        raise InputError(f"{where} is a value, but has to be a section.")
    unknown = set(entry) - set(keys)
    if unknown:
        raise InputError(f"{where} has the unknown key '{min(unknown)}'; it may have {', '.join(keys)}.")
    read = {}
    for name, key in keys.items():
        value = entry.get(name, key.default)
        if value is not None:
            try:
                value = _value(key, value)
            except ValueError:
                needed = " or ".join(f'"{c}"' for c in key.choices) if key.choices else _NEEDED[key.kind]
                raise InputError(f"{where} has {name} = {value!r}, which has to be {needed}.") from None
        read[name] = value
    return read


def _value(key: Key, value: object) -> Any:
    if key.kind == "choice":
        if value not in key.choices:
            raise ValueError(value)
        return value
    return _READERS[key.kind](value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value or "\n" in value:
        raise ValueError(value)
    return value


def _word(value: object) -> str:
    if re.search(NOT_IN_WORD, _text(value)):
        raise ValueError(value)
    return _text(value)


def _program(value: object) -> str:
    if not os.path.isabs(_text(value)):
        raise ValueError(value)
    return _text(value)


def _path(value: object) -> str:
    return os.path.realpath(_program(value))


def _bytes(value: object) -> int:
    if isinstance(value, int | float):
        return _whole(value, 1)
    found = re.fullmatch(BYTES, _text(value))
    if not found:
        raise ValueError(value)
    unit = found[2].lower()
    scale = (1024 if unit.endswith("i") else 1000) ** (" kmgtp".index(unit[0]) if unit else 0)
    return int(float(found[1]) * scale)


def _duration(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return parse_duration(_text(value))


def _count(value: object) -> int:
    return _whole(value, 0)


def _whole(value: object, least: int) -> int:
    """Read a whole number; 4.0 is one, as it is to JSON schemas."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(value)
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < inf:
        raise ValueError(value)
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _list(one: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(value)
        return tuple(map(one, value))

    return read


def _mask(value: object) -> int:
    if not re.fullmatch(r"[0-7]{3,4}", _text(value)):
        raise ValueError(value)
    return int(_text(value), 8)


_READERS: dict[str, Callable[[object], Any]] = {
    "text": _text,
    "word": _word,
    "path": _path,
    "program": _program,
    "bytes": _bytes,
    "duration": _duration,
    "count": _count,
    "number": _number,
    "flag": _flag,
    "texts": _list(_text),
    "words": _list(_word),
    "mask": _mask,
}


def _root(file: Path, name: str, entry: dict[str, Any], given: dict[str, Any]) -> Root:
    where = f"The site file {file}, root '{name}',"
    access = entry.pop("access")
    writable, job = access in ("write", "job"), access == "job"
    path, url = entry["path"], entry["url"]
    if (path is None) == (url is None):
        raise InputError(f"{where} needs either a path or a url.")
    if url is not None:
        if not url.startswith(("http://", "https://", "s3://")):
            raise InputError(f"{where} has the url '{url}', which has to begin with https://, http:// or s3://.")
        if not _is_plain(url):
            raise InputError(
                f"{where} has a url without a host, or with a user name, a password, a query or a fragment; give the "
                "address alone."
            )
        entry["url"] = url.rstrip("/")
    if job:
        if path is None:
            raise InputError(f'{where} has access = "job" and a url, and jobs run in folders; give it a path.')
        closed = [key for key in ("users", "groups", "roles") if entry[key]]
        if closed:
            raise InputError(
                f'{where} has access = "job" and {closed[0]}; everybody\'s jobs run there, and nobody may name it.'
            )
        if given.get("named_by_users"):
            raise InputError(f'{where} has access = "job" and named_by_users = true; nobody may name a job\'s folder.')
        entry["named_by_users"] = False
    if url is not None and not entry["named_by_users"]:
        raise InputError(f"{where} has a url and named_by_users = false, so nobody could ever open it.")
    s3 = url is not None and url.startswith("s3://")
    if writable and url is not None and not s3:
        raise InputError(f"{where} is a web address, which can only be read.")
    if not s3 and (entry["endpoint"] or entry["credentials"] != "anonymous" or entry["credentials_file"]):
        raise InputError(f"{where} has an endpoint or credentials, which only an s3 url can have.")
    if (entry["credentials"] == "file") != (entry["credentials_file"] is not None):
        raise InputError(f'{where} needs credentials = "file" and credentials_file together.')
    return Root(name=name, writable=writable, job=job, **entry)


def _is_plain(url: str) -> bool:
    """Whether a URL says where something lies, and no more; who knows a password would be told by every sentence."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and "@" not in parts.netloc and not parts.query and not parts.fragment
    except ValueError:
        return False


def _cluster(file: Path, name: str, entry: dict[str, Any]) -> Cluster:
    where = f"The site file {file}, cluster '{name}',"
    if entry["workers_max"] < max(1, entry["workers_min"]):
        raise InputError(f"{where} has workers_max = {entry['workers_max']}, less than workers_min or than 1.")
    keys = ("address", "tls_ca", "tls_cert", "tls_key")
    if entry["kind"] == "address":
        missing = [key for key in keys if entry[key] is None]
        if missing or not entry["address"].startswith("tls://"):
            raise InputError(
                f"{where} has to name an address that begins with tls://, and tls_ca, tls_cert and tls_key: "
                "chunkwise connects to no scheduler without TLS."
            )
    elif any(entry[key] for key in keys):
        raise InputError(
            f'{where} has {next(key for key in keys if entry[key])}, which only kind = "address" can have.'
        )
    return Cluster(name=name, **entry)


def _workspace(file: Path, entry: dict[str, Any], roots: dict[str, Root]) -> Workspace:
    root = roots.get(entry["root"] or "")
    if root is None or not root.writable or root.path is None:
        raise InputError(
            f"The site file {file} names '{entry['root']}' as the workspace, "
            'which has to be a root with a path and access = "write".'
        )
    if not root.named_by_users:
        raise InputError(
            f"The site file {file} has the workspace in '{root.name}', whose named_by_users is false: no reference "
            "could name a result."
        )
    if entry["quota"] is not None and entry["layout"] == "flat":
        raise InputError(f'The site file {file} has a quota for each user, which needs layout = "user" or "user/job".')
    return Workspace(**entry)


# The reader fills these classes from the keys: a key without a field would be lost silently.
for _made, _keys in ((Root, NAMED["roots"]), (Cluster, NAMED["clusters"]), (Workspace, PLAIN["workspace"])):
    _fields = {item.name for item in fields(_made)} | {"access"}
    assert set(_keys) <= _fields, (_made, set(_keys) - _fields)
