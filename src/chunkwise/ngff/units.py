"""Units of length and time that the OME-Zarr specification knows, and other spellings of them."""

from __future__ import annotations

__all__ = ["SPACE_UNITS", "TIME_UNITS", "short_unit", "standard_unit"]

_PREFIXES = {
    "yocto": "y",
    "zepto": "z",
    "atto": "a",
    "femto": "f",
    "pico": "p",
    "nano": "n",
    "micro": "u",
    "milli": "m",
    "centi": "c",
    "deci": "d",
    "hecto": "h",
    "kilo": "k",
    "mega": "M",
    "giga": "G",
    "tera": "T",
    "peta": "P",
    "exa": "E",
    "zetta": "Z",
    "yotta": "Y",
}

TIME_UNITS = frozenset({"second", "minute", "hour", "day"} | {f"{prefix}second" for prefix in _PREFIXES})
SPACE_UNITS = frozenset(
    {"angstrom", "foot", "inch", "meter", "mile", "parsec", "yard"} | {f"{prefix}meter" for prefix in _PREFIXES}
)

_SHORT = {
    "space": {
        "m": "meter",
        "micron": "micrometer",
        "feet": "foot",
        "inches": "inch",
        "Å": "angstrom",
        **{short + "m": prefix + "meter" for prefix, short in _PREFIXES.items()},
    },
    "time": {
        "s": "second",
        "sec": "second",
        "min": "minute",
        "h": "hour",
        **{short + "s": prefix + "second" for prefix, short in _PREFIXES.items()},
    },
}


def standard_unit(unit: str, kind: str) -> str | None:
    """Find the specification's name of a unit.

    Stores in the wild say ``seconds``, ``µm`` or ``micrometre``; what is meant is never in doubt.

    Parameters
    ----------
    unit : str
        As the metadata say it.
    kind : str
        ``space`` or ``time``, the type of the axis.

    Returns
    -------
    str or None
        None where it is no unit of that kind.
    """
    known = SPACE_UNITS if kind == "space" else TIME_UNITS
    plain = unit.strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    if plain in _SHORT[kind]:
        return _SHORT[kind][plain]
    word = plain.lower().replace("metre", "meter")
    for candidate in (word, word.removesuffix("s")):
        if candidate in known:
            return candidate
        if candidate in _SHORT[kind] and len(candidate) > 2:
            return _SHORT[kind][candidate]
    return None


def short_unit(unit: str) -> str:
    """Write the specification's name of a unit as its symbol, the one that OME-XML uses: ``µm`` for micrometer."""
    special = {"angstrom": "Å", "foot": "ft", "inch": "in", "mile": "mi", "parsec": "pc", "yard": "yd"}
    special |= {"minute": "min", "hour": "h", "day": "d"}
    if unit in special:
        return special[unit]
    for base, symbol in (("meter", "m"), ("second", "s")):
        prefix = unit.removesuffix(base)
        if unit.endswith(base) and (not prefix or prefix in _PREFIXES):
            return _PREFIXES.get(prefix, "").replace("u", "\N{MICRO SIGN}") + symbol
    raise ValueError(unit)
