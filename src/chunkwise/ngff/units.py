"""Units of length and time that the OME-Zarr specification knows, and other spellings of them."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["SPACE_UNITS", "TIME_UNITS", "conversion", "short_unit", "standard_unit"]

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

#: Symbols of OME-XML that are not made of a prefix.
_SYMBOLS = {
    "space": {"angstrom": "Å", "foot": "ft", "inch": "in", "mile": "mi", "parsec": "pc", "yard": "yd"},
    "time": {"minute": "min", "hour": "h", "day": "d"},
}

_SHORT = {
    "space": {
        "m": "meter",
        "micron": "micrometer",
        "feet": "foot",
        "inches": "inch",
        **{symbol: unit for unit, symbol in _SYMBOLS["space"].items()},
        **{short + "m": prefix + "meter" for prefix, short in _PREFIXES.items()},
    },
    "time": {
        "s": "second",
        "sec": "second",
        **{symbol: unit for unit, symbol in _SYMBOLS["time"].items()},
        **{short + "s": prefix + "second" for prefix, short in _PREFIXES.items()},
    },
}


_POWERS = {
    **{"yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9, "micro": -6, "milli": -3},
    **{"centi": -2, "deci": -1, "": 0, "hecto": 2, "kilo": 3, "mega": 6, "giga": 9, "tera": 12, "peta": 15},
    **{"exa": 18, "zetta": 21, "yotta": 24},
}
#: Units that are no powers of ten of a meter or a second, in these.
_OTHERS = {
    "angstrom": Fraction(1, 10**10),
    "inch": Fraction("0.0254"),
    "foot": Fraction("0.3048"),
    "yard": Fraction("0.9144"),
    "mile": Fraction("1609.344"),
    "parsec": Fraction("3.0856775814913673e16"),
    "minute": Fraction(60),
    "hour": Fraction(3600),
    "day": Fraction(86400),
}


def conversion(unit: str, other: str) -> float | None:
    """How many of another unit one of a unit is: 0.001 for a nanometer in micrometers.

    Parameters
    ----------
    unit, other : str
        By the specification's names.

    Returns
    -------
    float or None
        None where one is of length and the other of time, or one is none that is known.
    """
    if unit == other:
        return 1.0
    for known, base in ((SPACE_UNITS, "meter"), (TIME_UNITS, "second")):
        if {unit, other} <= known:
            return float(_in_base(unit, base) / _in_base(other, base))
    return None


def _in_base(unit: str, base: str) -> Fraction:
    return _OTHERS[unit] if unit in _OTHERS else Fraction(10) ** _POWERS[unit.removesuffix(base)]


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
    special = _SYMBOLS["space"] | _SYMBOLS["time"]
    if unit in special:
        return special[unit]
    for base, symbol in (("meter", "m"), ("second", "s")):
        prefix = unit.removesuffix(base)
        if unit.endswith(base) and (not prefix or prefix in _PREFIXES):
            return _PREFIXES.get(prefix, "").replace("u", "\N{MICRO SIGN}") + symbol
    raise ValueError(unit)
