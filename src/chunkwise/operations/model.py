"""The words in which an operation is declared. Parser, Galaxy tool, help, docs, record and tests are made of them.

A declaration is data: it imports the standard library only, and its kernel imports what it computes with when it is
called, so that all of them can be listed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from sys import float_info
from typing import Any, Final

from chunkwise.errors import InputError

__all__ = [
    "SIZES_IN",
    "Example",
    "Family",
    "File",
    "Image",
    "Labels",
    "Mask",
    "Operation",
    "Parameter",
    "Role",
    "Table",
    "Voxels",
]

#: Kinds of voxels: NumPy's letters, with b for masks, and e for the floats that SciPy computes nothing with.
KINDS: Final = {"i": "signed integers", "u": "unsigned integers", "f": "floats", "b": "bool", "e": "float16"}

#: The largest number that is a float.
LARGEST: Final = float_info.max

#: Words of titles that are names of people.
PEOPLE: Final = frozenset(
    {"Frangi", "Gaussian", "Laplace", "Laplacian", "Li", "Meijering", "Niblack", "Otsu", "Prewitt"}
    | {"Sato", "Sauvola", "Sobel", "Yen"}
)


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
    measures: str = ""
    """Of a size in voxels, which may be given in micrometres as well: ``length`` (a number for each axis), ``radius``
    (a whole number for each axis), ``window`` (the edge of a box: an odd number for each axis), ``step`` (one whole
    number for all axes), or ``content`` (of an object)."""
    only_with: str = ""
    """Name of another parameter, without which it means nothing."""
    least: float | None = None
    most: float | None = None
    odd: bool = False
    choices: Mapping[str, str] | tuple[str, ...] = ()
    """Words that may be chosen; with what each means, as a clause of a few words, which Galaxy shows instead."""
    several: bool = False
    """Whether it may be given several times."""
    together: bool = False
    """Of several: as words after one option."""
    required: bool = False
    metavar: str = ""
    default_words: str = ""
    """The default, where its value does not say it."""
    group: str = ""
    """Title of the options among which it stands; else the family's."""

    @property
    def meanings(self) -> Mapping[str, str]:
        """What each choice means; where the declaration does not say it, the word itself."""
        return self.choices if isinstance(self.choices, Mapping) else {one: one for one in self.choices}

    @property
    def explained(self) -> str:
        """The help, with what the choices mean."""
        if not isinstance(self.choices, Mapping):
            return self.help
        said = (one if one == means else f"{one} ({means})" for one, means in self.choices.items())
        return f"{self.help}; one of {', '.join(said)}"

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
        unit = f" {self.unit if self.unit == 'percent' else self.unit + 's'}" if self.unit else ""
        return f"{what}{bounds.get((self.least is not None, self.most is not None), '')}{unit}"

    @property
    def in_micrometres(self) -> Parameter:
        """The same size where it is given in micrometres."""
        return replace(self, type=float, unit="micrometre", least=0, most=None, odd=False)

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
        # Galaxy writes a size, which may be in micrometres, with a point.
        shown = int(value) if self.type is int and isinstance(value, float) and value.is_integer() else value
        return self.accept(value, f"{option} {shown}")

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
        if good and abs(number) <= LARGEST:
            # Python's whole numbers would be calculated with in the type of the voxels, and wrap around there.
            number = float(number) if self.type is float and not self.choices else number
            low, high = self.least is None or number >= self.least, self.most is None or number <= self.most
            if low and high and (not self.odd or number % 2 == 1):
                return number
        raise InputError(f"{words} has to be {self.range_words}.")


#: What every operation with sizes has beside them.
SIZES_IN: Final = Parameter(
    str,
    "voxels",
    "Sizes are in",
    "what sizes are given in, defaults included; micrometres become voxels by the image's voxel size along each axis, "
    "and what they became is printed",
    choices=("voxels", "micrometres"),
)


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
class Voxels(Role):
    """What is made of voxels: as a result with the type ``dtype``, and lower levels made by ``downsampling``."""

    dtype: str | Callable[..., str] = "same"
    """``same``, one type, or how it follows from that of the input and the values: ``dtype("uint8", **values)``."""
    downsampling: str = "mean"
    contrast: str = "same"
    """What it is shown with: ``same`` is the source's where the type stays, ``new`` its type's range, and ``places`` as
    many steps as there are planes, time points or channels."""

    def dtype_of(self, dtype: str, values: Mapping[str, Any]) -> str:
        """The type of the result, where the input has ``dtype``, and the kernel is given ``values``."""
        if callable(self.dtype):
            return self.dtype(dtype, **values)
        return dtype if self.dtype == "same" else self.dtype


@dataclass(frozen=True)
class Image(Voxels):
    """An image."""

    formats: Mapping[str, str] = field(default_factory=dict)
    """Of a result that may be something else than an OME-Zarr: endings by the names of the formats."""


@dataclass(frozen=True)
class Mask(Image):
    """An image of true and false."""

    dtype: str = "bool"
    downsampling: str = "nearest"


@dataclass(frozen=True)
class Labels(Voxels):
    """A label image."""

    kinds: str = "biu"
    downsampling: str = "nearest"


_TABLES: Final = {"tsv": ".tsv", "parquet": ".parquet", "geojson": ".geojson"}


@dataclass(frozen=True)
class Table(Role):
    """A table, or another single file: endings by the names of its formats."""

    formats: Mapping[str, str] = field(default_factory=lambda: dict(_TABLES))


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
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Files of ``test-data/`` by role, of what is taken beside the image."""


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
    made: str = "filtered"
    """In Galaxy: one word for the result, beside the name of the image."""
    group: str = ""
    """Title of the options that are its parameters; else the title of the tool."""
    part_group: str = "which part of the image"
    """Title of the options that say which part is read."""
    help: str = ""
    """More for the tool's page, in reStructuredText."""
    usual: str = ""
    """Method that the tool's page begins with; else the first by name."""
    line: str = ""
    """What follows the tool's title in Galaxy's panel."""


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
    """``reach(**values)``: how far the kernel looks along each axis; one number stands for all; without it, the kernel
    looks at no neighbours."""
    reach_is: str = "exact"
    """``exact``, ``upper`` (a bound from above) or ``bounded`` (what lies beyond it changes little)."""
    least_reach: Callable[..., int | tuple[int, ...]] | None = None
    """Of an upper bound: how far the kernel looks at least; the tests find an image that shows it."""
    needs: Mapping[str, str | Callable[..., Any]] = field(default_factory=dict)
    """Arguments of the kernel that are statistics of the whole volume: ``minimum``, ``maximum``, ``percentile NAME``
    (as many percent as that parameter says), a method of :mod:`chunkwise.ops.threshold`, ``objects``, which is a
    :class:`chunkwise.ops.object_table.ObjectTable`, ``tiles`` (:class:`chunkwise.ops.clahe.Tiles`), ``shares``
    (:class:`chunkwise.ops.equalize.Shares`), or ``classes`` (:mod:`chunkwise.ops.multi_otsu`); or a function like the
    kernel, which gives arrays of the block's shape along one more axis in front: the argument is then the list of each
    one's largest value in the volume."""
    places: bool = False
    """Whether the kernel is told where its voxels lie: ``corner``, the first of them along each axis of the image. It
    then is given whole blocks also with ``--planes``, and what it ``needs`` treats planes alone."""
    crops: bool = False
    """Whether the kernel, and a function like it in ``needs``, is told which part of the block is wanted, ``inner``,
    and gives that alone: worth it where the halo is wide and most of the work is done voxel by voxel."""
    refuses: Callable[..., str] | None = None
    """``refuses(**values)``: a sentence where values do not go together that are each in their range; else nothing."""
    reduces: bool = False
    """Whether the kernel is given a stack (planes, time points or channels, as the value ``axis`` says) and takes away
    its first axis; then it looks at no neighbours."""
    mixes: int | None = None
    """How many channels the kernel is given at once, along the first axis, to make others of them; 0 stands for any
    number. Without it, each channel is done alone."""
    channels: Callable[..., Mapping[str, tuple[float, float] | None]] | None = None
    """``channels(**values)``, where it mixes: names of the channels that it gives, and what each is shown with (else
    the range of its type); without it, they are those that are read."""
    working_set: float | Callable[..., float] = 1.0
    """What the kernel holds beside input and result, in bytes of its input; or how that follows from the values."""
    scratch: float | Callable[..., float] = 0.0
    """What it holds besides, in bytes a voxel, whatever the type of its input: what it calculates in floats, or in
    numbers of objects; or how that follows from the values."""
    rounds: bool | Callable[..., bool] = False
    """Whether its blocks compute exponentials, logarithms or powers, which processors round in different ways
    (:mod:`chunkwise.blocks.rounding`); or how that follows from the values."""
    threads: bool = True
    """Whether several threads of a process may call the kernel at once."""
    equals: str = ""
    """The literal call of NumPy, SciPy or scikit-image that the result is equal to, on the whole volume."""
    exact: Mapping[str, str] = field(default_factory=dict)
    """``bit``, or ``rtol N`` (no voxel differs by more than N times the volume's largest value), by letters of
    :data:`KINDS`."""
    chain: str = ""
    """Instead of a kernel: ``module:function``, which takes a request and gives a result. With ``equals``, it is a
    method of a family like those of kernels."""
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
    def previews(self) -> bool:
        """Whether its result can be looked at in a small region: an image or labels, and no table or other file.

        What is made of labels or of a table cannot: of an object a region may show a part only.
        """
        made = isinstance(self.gives, Voxels) and not getattr(self.gives, "formats", None)
        return made and not any(isinstance(one, Labels | Table) for one in self.takes.values())

    @property
    def options(self) -> dict[str, Parameter]:
        """All that may be chosen: part and parameters, and what its sizes are given in."""
        sizes = {"sizes_in": SIZES_IN} if any(one.measures for one in self.parameters.values()) else {}
        return {**self.part, **self.parameters, **sizes}

    def offers(self, name: str) -> bool:
        """Whether a person is asked for an option: not for planes alone where the whole volume is looked at first."""
        return name in self.options and (name != "planes" or self.places or not self.needs)

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
        if values.get("sizes_in") == "micrometres":
            options = {name: one.in_micrometres if one.measures else one for name, one in options.items()}
        checked = {name: one.check(name, values.get(name, one.default)) for name, one in options.items()}
        said = self.refuses(**self.own(checked)) if self.refuses else ""
        if said:
            raise InputError(said)
        return checked

    def own(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of checked values, those that the kernel takes."""
        return {name: values[name] for name in self.parameters}

    def working_bytes(self, values: Mapping[str, Any], itemsize: int) -> float:
        """What the kernel holds with some values beside input and result, in bytes a voxel of a type."""
        copies, scratch = (one(**values) if callable(one) else one for one in (self.working_set, self.scratch))
        return copies * itemsize + scratch

    def rounds_with(self, values: Mapping[str, Any]) -> bool:
        """Whether all processes of a run with some values have to round alike."""
        return self.rounds(**self.own(values)) if callable(self.rounds) else self.rounds

    def reach_of(self, values: Mapping[str, Any], ndim: int) -> tuple[int, ...]:
        """How far the kernel looks along each of the last ``ndim`` axes."""
        found = 0 if self.reach is None else self.reach(**values)
        return tuple(found)[-ndim:] if isinstance(found, tuple) else (found,) * ndim
