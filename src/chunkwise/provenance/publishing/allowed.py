"""Which values may leave in a published crate: rules that let a value through, turn it into one that may, or drop it.

Every rule says what is let through, never what is kept back: numbers, truth values, words of a list that stands here,
digests, and texts of digits and marks. Free text never is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from chunkwise.ngff.units import SPACE_UNITS, TIME_UNITS
from chunkwise.provenance.fields import Json

__all__ = [
    "CHANNEL_NAMES",
    "DIGEST",
    "OUT",
    "UNITS",
    "Rule",
    "digest",
    "each",
    "first_of",
    "matching",
    "nothing",
    "number",
    "sizes",
    "table",
    "texts",
    "through",
    "truth",
    "versions",
    "word",
]

#: Stands for what is not let through.
OUT: Final = object()

Rule = Callable[[Json], Any]
"""Takes a JSON value; returns what may leave in its place, or :data:`OUT`."""

#: Names of stains and dyes that say nothing of a person or a place; other channels leave as their number.
CHANNEL_NAMES: Final = frozenset(
    {
        *("actin", "alexa488", "alexa568", "alexa594", "alexa647", "brightfield", "bf", "cfp", "cy3", "cy5", "dab"),
        *("dapi", "dic", "eosin", "er", "fitc", "fluorescence", "gfp", "haematoxylin", "hematoxylin", "hoechst"),
        *("hoechst33342", "mcherry", "mitotracker", "phalloidin", "phase", "rfp", "rna", "transmitted", "tritc"),
        *("tubulin", "yfp", "red", "green", "blue", "nuclei", "foreground", "boundary", "distance", "probability"),
    }
)

#: A sha256.
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PUBLIC_VERSION = re.compile(r"\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?")


def nothing(value: Json) -> Json:
    """Let ``null`` through."""
    return None if value is None else OUT


def number(value: Json) -> Json:
    """Let a finite number through."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if ok else OUT


def truth(value: Json) -> Json:
    """Let a truth value through."""
    return value if isinstance(value, bool) else OUT


def word(*words: str) -> Rule:
    """Let the words of a list through, whatever is between capitals and small letters."""
    known = {entry.lower() for entry in words}
    return lambda value: value if isinstance(value, str) and value.lower() in known else OUT


def matching(pattern: str) -> Rule:
    """Let texts through that match a pattern as a whole; it has to be one that no word fits."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: value if isinstance(value, str) and compiled.fullmatch(value) else OUT


def digest(value: Json) -> Json:
    """Let a sha256 through."""
    return value if isinstance(value, str) and DIGEST.fullmatch(value) else OUT


def versions(value: Json) -> Json:
    """Let the public part of a version through: what follows a ``+`` is somebody's own."""
    text = value.partition("+")[0] if isinstance(value, str) else ""
    return text if _PUBLIC_VERSION.fullmatch(text) else OUT


def first_of(*rules: Rule) -> Rule:
    """Let through what one of the rules does."""
    return lambda value: next((found for rule in rules if (found := rule(value)) is not OUT), OUT)


def each(rule: Rule) -> Rule:
    """Let a list through whose every entry the rule lets through."""

    def apply(value: Json) -> Any:
        found = [rule(item) for item in value] if isinstance(value, list) else [OUT]
        return OUT if any(item is OUT for item in found) else found

    return apply


def table(rules: Mapping[str, Rule]) -> Rule:
    """Let of an object through what has a rule, and passes it."""
    return lambda value: through(value, rules) if isinstance(value, Mapping) else OUT


def through(content: Mapping[str, Json], rules: Mapping[str, Rule]) -> dict[str, Json]:
    """Return what of an object may leave, in its order."""
    found = {name: rules[name](value) for name, value in content.items() if name in rules}
    return {name: value for name, value in found.items() if value is not OUT}


#: Lists of numbers, such as a shape, also nested.
sizes: Final[Rule] = first_of(nothing, number, each(first_of(nothing, number, each(number))))

#: Texts that choose a part of an image: ``3``, ``0:5``, ``0:10,5:20,:``.
texts: Final[Rule] = first_of(nothing, number, matching(r"-?\d{0,12}(?::-?\d{0,12})?(?:,-?\d{0,12}(?::-?\d{0,12})?)*"))

#: Units of an axis, by the specification's names.
UNITS: Final[Rule] = first_of(nothing, word(*SPACE_UNITS, *TIME_UNITS))
