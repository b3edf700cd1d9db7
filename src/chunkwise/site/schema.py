"""The keys of the site file for others to read: as a JSON schema for editors, as tables for the documentation."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.site.keys import NAMED, PLAIN, Key
from chunkwise.site.read import BYTES, DURATION, NOT_IN_NAME, NOT_IN_WORD

__all__ = ["key_tables", "site_schema"]

#: What no text may hold, said by ``not``: ``$`` in a pattern is the end of the text to some, of the line to others.
_ONE_LINE: Final = {"not": {"pattern": r"[\u0000\n]"}}
_TEXT: Final = {"type": "string", "minLength": 1, **_ONE_LINE}
_WORD: Final = {"type": "string", "minLength": 1, "not": {"pattern": NOT_IN_WORD}}
_POSITIVE: Final = {"exclusiveMinimum": 0}

_KINDS: Final[dict[str, dict[str, Any]]] = {
    "text": _TEXT,
    "word": _WORD,
    "path": _TEXT | {"pattern": "^/"},
    "program": _TEXT | {"pattern": "^/"},
    "bytes": {"anyOf": [{"type": "integer", **_POSITIVE}, {"type": "string", "pattern": f"^{BYTES}$", **_ONE_LINE}]},
    "duration": {
        "anyOf": [{"type": "number", **_POSITIVE}, {"type": "string", "pattern": f"^{DURATION}$", **_ONE_LINE}]
    },
    "count": {"type": "integer", "minimum": 0},
    "number": {"type": "number", **_POSITIVE},
    "flag": {"type": "boolean"},
    "texts": {"type": "array", "items": _TEXT},
    "words": {"type": "array", "items": _WORD},
    "mask": {"type": "string", "pattern": "^[0-7]{3,4}$", **_ONE_LINE},
}

_SHOWN: Final = {
    "program": "path",
    "bytes": "bytes, such as `500GiB`",
    "duration": "duration, such as `30s`, `15m`, `4h`, `90d`",
    "mask": "octal digits in quotation marks",
    "texts": "list of texts",
    "words": "list of words",
    "flag": "`true` or `false`",
    "count": "whole number",
}


def site_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of a site file, as TOML readers hand it over."""
    sections: dict[str, Any] = {section: _section(keys) for section, keys in PLAIN.items()}
    for section, keys in NAMED.items():
        sections[section] = {
            "type": "object",
            "propertyNames": {"minLength": 1, "not": {"pattern": NOT_IN_NAME}},
            "additionalProperties": _section(keys),
        }
    sections["roots"]["additionalProperties"]["oneOf"] = [{"required": ["path"]}, {"required": ["url"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The site file of chunkwise",
        "type": "object",
        "properties": sections,
        "additionalProperties": False,
    }


def key_tables() -> dict[str, str]:
    """Return a table in Markdown for every section, by what stands in its brackets."""
    sections = {f"{section}.NAME": keys for section, keys in NAMED.items()} | PLAIN
    return {section: _table(keys) for section, keys in sections.items()}


def _section(keys: dict[str, Key]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _key(key) for name, key in keys.items()},
        "additionalProperties": False,
    }


def _key(key: Key) -> dict[str, Any]:
    kind = {"enum": list(key.choices)} if key.choices else _KINDS[key.kind]
    default = {} if key.default is None else {"default": _plain(key.default)}
    return {"description": key.meaning, **kind, **default}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _table(keys: dict[str, Key]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, key in keys.items():
        value = ", ".join(f"`{choice}`" for choice in key.choices) or _SHOWN.get(key.kind, key.kind)
        rows.append(f"| `{name}` | {value} | {_default(key)} | {key.meaning} |")
    return "\n".join(rows)


def _default(key: Key) -> str:
    if key.default is None:
        return ""
    if key.default == ():
        return "none"
    if key.kind == "bytes":
        whole = key.default % 2**30 == 0
        return f"`{key.default // 2**30}GiB`" if whole else f"`{key.default // 2**20}MiB`"
    if isinstance(key.default, bool):
        return f"`{str(key.default).lower()}`"
    return f"`{key.default:g}`" if isinstance(key.default, int | float) else f"`{key.default}`"
