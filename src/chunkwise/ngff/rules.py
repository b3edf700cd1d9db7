"""Small checks on parsed JSON that the rules of every kind of metadata share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

from chunkwise.ngff.model import Finding

__all__ = ["Remarks", "is_integer", "is_number"]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number that a float can hold; true and false are none, nor are NaN and Infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_integer(value: object) -> bool:
    """Whether a JSON value is a whole number; ``1.0`` is one, as in JSON Schema."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


class Remarks:
    """Collects findings, with checks that record one and say whether to go on."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def error(self, where: str, message: str) -> None:
        """Record something that breaks the specification."""
        self.findings.append(Finding("error", where, message))

    def warning(self, where: str, message: str) -> None:
        """Record something that the specification recommends against."""
        self.findings.append(Finding("warning", where, message))

    def is_object(self, value: object, where: str) -> bool:
        """Check for a JSON object."""
        return self._is(isinstance(value, dict), where, "an object")

    def is_list(self, value: object, where: str, least: int = 0) -> bool:
        """Check for a JSON array of at least ``least`` entries."""
        if not self._is(isinstance(value, list), where, "a list"):
            return False
        assert isinstance(value, list)
        if len(value) < least:
            self.error(where, "must have an entry" if least == 1 else f"must have {least} entries")
            return False
        return True

    def entries(self, value: Any, where: str, least: int = 0, distinct: bool = False) -> Iterator[tuple[Any, str]]:
        """Give the objects of a list, each with its place; another value, and other entries, are recorded."""
        if not self.is_list(value, where, least):
            return
        if distinct:
            self.distinct(value, where)
        for index, entry in enumerate(value):
            if self.is_object(entry, f"{where}[{index}]"):
                yield entry, f"{where}[{index}]"

    def block(self, parent: dict[str, Any], key: str, version: str) -> dict[str, Any] | None:
        """Give a part of the metadata, which 0.5 asks for; None where it is not there, or no object."""
        if key in parent:
            return parent[key] if self.is_object(parent[key], key) else None
        if version == "0.5":
            self.error(key, "is missing")
        return None

    def has(self, parent: dict[str, Any], key: str, where: str) -> bool:
        """Check for a key that has to be there."""
        if key not in parent:
            self.error(_join(where, key), "is missing")
            return False
        return True

    def recommends(self, parent: dict[str, Any], keys: Sequence[str], where: str) -> None:
        """Warn of keys that the specification says should be there."""
        for key in keys:
            if key not in parent:
                self.warning(_join(where, key), "is recommended and missing")

    def text(self, parent: dict[str, Any], key: str, where: str) -> None:
        """Check a key that, where there is one, is text."""
        if key in parent:
            self._is(isinstance(parent[key], str), _join(where, key), "text")

    def number(self, parent: dict[str, Any], key: str, where: str) -> None:
        """Check a key that, where there is one, is a number."""
        if key in parent:
            self._is(is_number(parent[key]), _join(where, key), "a number")

    def integer(self, parent: dict[str, Any], key: str, where: str, least: int | None = None) -> bool:
        """Check a key that, where there is one, is a whole number not below ``least``."""
        if key not in parent:
            return True
        value = parent[key]
        if not self._is(is_integer(value), _join(where, key), "a whole number"):
            return False
        if least is not None and value < least:
            self.error(_join(where, key), f"is {value} and has to be at least {least}")
            return False
        return True

    def version(self, parent: dict[str, Any], version: str, where: str) -> None:
        """Check the version that a block of metadata says it follows."""
        if "version" in parent and parent["version"] != version:
            self.error(_join(where, "version"), f"is {parent['version']!r} and has to be {version!r}")

    def own_version(self, parent: dict[str, Any], version: str, where: str) -> None:
        """Check the version that in 0.4 each part of the metadata has."""
        if version == "0.4":
            self.version(parent, version, where)
            self.recommends(parent, ["version"], where)

    def distinct(self, values: list[Any], where: str) -> None:
        """Check that no entry is there twice."""
        seen: list[Any] = []
        for index, value in enumerate(values):
            frozen = _comparable(value)
            if frozen in seen:
                self.error(f"{where}[{index}]", "is the same as an earlier entry")
            seen.append(frozen)

    def _is(self, holds: bool, where: str, what: str) -> bool:
        if not holds:
            self.error(where, f"has to be {what}")
        return holds


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _comparable(value: Any) -> Any:
    """Make true differ from 1, as in JSON, while 1 and 1.0 stay equal."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [_comparable(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _comparable(entry) for key, entry in value.items()}
    return value
