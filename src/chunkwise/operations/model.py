"""The words in which an operation is declared. Parser, Galaxy tool, help, docs, record and tests are made of them.

A declaration is data: it imports the standard library only, and its kernel imports what it computes with when it is
called, so that all of them can be listed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from chunkwise.errors import InputError

__all__ = ["Example", "Family", "File", "Image", "Labels", "Mask", "Operation", "Parameter", "Role", "Table"]

#: Kinds of voxels: NumPy's letters, with b for masks.
KINDS: Final = {"i": "signed integers", "u": "unsigned integers", "f": "floats", "b": "bool"}

#: Words of titles that are names of people.
PEOPLE: Final = frozenset({"Gaussian", "Li", "Otsu", "Yen"})


@dataclass(frozen=True)
class Parameter:
    """One thing that a person may choose."""

    type: type
    """``int``, ``float``, ``str`` or ``bool``; of numbers with ``choices``, one of these or a number."""
    default: Any = None
    label: str = ""
    """In Galaxy: a few words."""
    help: str = ""
    """A clause without a full stop; the default is added to it."""
    unit: str = ""
    least: float | None = None
    most: float | None = None
    odd: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False
    """Whether it may be given several times."""
    together: bool = False
    """Of several: as words after one option."""
    required: bool = False
    metavar: str = ""
    default_words: str = ""
    """The default, where its value does not say it."""

    @property
    def range_words(self) -> str:
        """What a number has to be, in words."""
        kind = "odd" if self.odd else "whole" if self.type is int else "" if self.least is not None else "finite"
        what = f"{'an' if self.odd else 'a'} {kind} number".replace("  ", " ")
        bounds = {
            (True, True): f" from {self.least:g} to {self.most:g}" if None not in (self.least, self.most) else "",
            (True, False): f" of {self.least:g} or more" if self.least is not None else "",
            (False, True): f" of {self.most:g} or less" if self.most is not None else "",
        }
        unit = f" {self.unit}s" if self.unit else ""
        return f"{what}{bounds.get((self.least is not None, self.most is not None), '')}{unit}"

    def check(self, name: str, value: Any) -> Any:
        """Give a value as it is used, or refuse it.

        Raises
        ------
        InputError
            If it is of another type, no choice, or out of range.
        """
        option = f"--{name.replace('_', '-')}"
        if self.several:
            if value is None:
                return None
            items = value if isinstance(value, list | tuple) else [value]
            return [self.accept(item, f"{option} {item}") for item in items]
        if value is None and self.default is None and not self.required:
            return None
        return self.accept(value, f"{option} {value}")

    def accept(self, value: Any, words: str) -> Any:
        """Give one value as it is used, or refuse it; ``words`` stand for it in the sentence.

        Raises
        ------
        InputError
            As :meth:`check`.
        """
        if isinstance(value, str) and (self.type is str or self.choices):
            if not self.choices or value in self.choices:
                return value
            raise InputError(f"{words} is not one of {', '.join(self.choices)}.")
        if self.type is str:
            raise InputError(f"{words} has to be text.")
        if self.type is bool:
            if isinstance(value, bool):
                return value
            raise InputError(f"{words} has to be true or false.")
        whole = isinstance(value, float) and value.is_integer() and self.type is int
        number = int(value) if whole else value
        good = isinstance(number, int if self.type is int else (int, float)) and not isinstance(number, bool)
        if good and isfinite(number):
            low, high = self.least is None or number >= self.least, self.most is None or number <= self.most
            if low and high and (not self.odd or number % 2 == 1):
                return number
        raise InputError(f"{words} has to be {self.range_words}.")


@dataclass(frozen=True)
class Role:
    """Something that is read or made."""

    kinds: str = "biuf"
    """Of voxels that are taken: letters of :data:`KINDS`."""
    option: bool = False
    """Whether it is named by an option, and not by its place."""
    optional: bool = False
    label: str = ""
    help: str = ""
    metavar: str = ""


@dataclass(frozen=True)
class Image(Role):
    """An image; as a result with the type ``dtype``, and lower levels made by ``downsampling``."""

    dtype: str = "same"
    downsampling: str = "mean"
    formats: Mapping[str, str] = field(default_factory=dict)
    """Of a result that may be something else than an OME-Zarr: endings by the names of the formats."""


@dataclass(frozen=True)
class Mask(Image):
    """An image of true and false."""

    dtype: str = "bool"
    downsampling: str = "nearest"


@dataclass(frozen=True)
class Labels(Role):
    """A label image."""

    kinds: str = "biu"


@dataclass(frozen=True)
class Table(Role):
    """A table, or another single file: endings by the names of its formats."""

    formats: Mapping[str, str] = field(default_factory=lambda: {"tsv": ".tsv", "parquet": ".parquet"})


@dataclass(frozen=True)
class File(Role):
    """A picture or page that is written beside the result, where it is asked for."""

    folder: bool = False
    """Whether it is a folder, which may be there already."""


@dataclass(frozen=True)
class Example:
    """A call on an image of ``test-data/``, which becomes a test of the Galaxy tool."""

    image: str
    values: Mapping[str, Any] = field(default_factory=dict)
    part: Mapping[str, Any] = field(default_factory=dict)
    """Level, channel, time, region, planes."""


@dataclass(frozen=True)
class Family:
    """Operations that are one command and one Galaxy tool, and are told apart by ``--method``."""

    name: str
    title: str
    """Of the tool."""
    summary: str
    """One line, for ``chunkwise --help``."""
    about: str
    """What the command says of itself."""
    edam: str
    group: str = ""
    """Title of the options that are its parameters; else the title of the tool."""
    part_group: str = "which part of the image"
    """Title of the options that say which part is read."""
    help: str = ""
    """More for the tool's page, in reStructuredText."""
    usual: str = ""
    """Method that the tool's page begins with; else the first by name."""


@dataclass(frozen=True)
class Operation:
    """What there is to know of an operation."""

    name: str
    family: str
    title: str
    does: str
    """One clause: what it does, and what for."""
    takes: Mapping[str, Role]
    gives: Role
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    part: Mapping[str, Parameter] = field(default_factory=dict)
    """Which part of the image it is done to."""
    files: Mapping[str, File] = field(default_factory=dict)
    kernel: Callable[..., Any] | None = None
    """``kernel(image, **values) -> array`` of the same shape; a block with its halo, cut at the image's true edge."""
    reach: Callable[..., int | tuple[int, ...]] | None = None
    """``reach(**values)``: how far the kernel looks along each axis; one number stands for all."""
    reach_is: str = "exact"
    """``exact``, ``upper`` (a bound from above) or ``bounded`` (what lies beyond it changes little)."""
    least_reach: Callable[..., int | tuple[int, ...]] | None = None
    """Of an upper bound: how far the kernel looks at least; the tests find an image that shows it."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Arguments of the kernel that are statistics of the whole volume: ``minimum``, ``maximum``, or a method of
    :mod:`chunkwise.ops.threshold`."""
    working_set: float = 1.0
    """What the kernel holds beside input and result, in bytes of its input."""
    threads: bool = True
    """Whether several threads of a process may call the kernel at once."""
    equals: str = ""
    """The literal call of NumPy, SciPy or scikit-image that the result is equal to, on the whole volume."""
    exact: Mapping[str, str] = field(default_factory=dict)
    """``bit``, or ``rtol N`` (no voxel differs by more than N times the volume's largest value), by letters of
    :data:`KINDS`."""
    chain: str = ""
    """Instead of a kernel: ``module:function``, which takes a request and gives a result."""
    rate: float | Callable[[Mapping[str, Any]], float | None] | None = None
    """CPU-seconds that a million voxels take, by ``benchmarks/rates.py``; or how that follows from the values."""
    origin: str = ""
    """Of a plugin, set where it is loaded: distribution, version, and sha256 of its module's file."""
    citation: str = ""
    examples: tuple[Example, ...] = ()
    witnesses: tuple[Callable[..., Any], ...] = ()
    """``witness(shape, dtype, **values)``: images that tell ``reach - 1`` from ``reach``, where no usual one does."""

    @property
    def phrase(self) -> str:
        """The title inside a sentence, such as ``median filter`` or ``Otsu threshold``."""
        word, space, rest = self.title.partition(" ")
        return f"{word if word in PEOPLE else word.lower()}{space}{rest}"

    @property
    def options(self) -> dict[str, Parameter]:
        """All that may be chosen: part and parameters."""
        return {**self.part, **self.parameters}

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Complete values by the defaults, and hold each to its range.

        Raises
        ------
        InputError
            With the name of what is wrong.
        """
        options = self.options
        for name in values:
            if name not in options:
                raise InputError(f"'{name}' is not a parameter of '{self.name}'; it has {', '.join(options)}.")
        return {name: one.check(name, values.get(name, one.default)) for name, one in options.items()}

    def own(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of checked values, those that the kernel takes."""
        return {name: values[name] for name in self.parameters}

    def reach_of(self, values: Mapping[str, Any], ndim: int) -> tuple[int, ...]:
        """How far the kernel looks along each of the last ``ndim`` axes."""
        found = 0 if self.reach is None else self.reach(**values)
        return tuple(found)[-ndim:] if isinstance(found, tuple) else (found,) * ndim
