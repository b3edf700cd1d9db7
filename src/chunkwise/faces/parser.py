"""Declarations as options of the command line, and back: from what was typed to a request."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from chunkwise.errors import InputError
from chunkwise.operations import has_methods, help_of, load_family, operations_for, operations_of, options_of
from chunkwise.operations.model import Labels, Operation, Parameter, Role, Table
from chunkwise.running.outputs import Output, StoreOutput
from chunkwise.running.request import REPORTS, WORDS
from chunkwise.running.run import request_named, run

__all__ = ["add_arguments", "description_of", "method_in", "run_command"]


def method_in(words: Sequence[str]) -> str | None:
    """The method that was typed, found before there is a parser: another package may have to bring its options."""
    for word, following in pairwise([*words, None]):
        if word is not None and word.partition("=")[0] == "--method":
            return word.partition("=")[2] or following
    return None


def description_of(name: str, method: str | None = None) -> str:
    """What a command says of itself, with its methods."""
    family, operations = load_family(name), operations_of(name) | operations_for(name, method)
    if not has_methods(name):
        return family.about
    said = {one.name: one.does + (", as its author says" if one.origin else "") for one in operations.values()}
    methods = "\n".join(f"  {one:<12} {does}" for one, does in said.items())
    return f"{family.about}\nmethods:\n{methods}\n"


def add_arguments(parser: argparse.ArgumentParser, name: str, method: str | None = None) -> None:
    """Add the options of a family.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    name : str
        Of the family.
    method : str, optional
        That was typed: one of another package has the parser to itself.
    """
    family, operations = load_family(name), operations_for(name, method)
    first = next(iter(operations.values()))
    for role, taken in {role: taken for one in operations.values() for role, taken in one.takes.items()}.items():
        having = [one.name for one in operations.values() if role in one.takes]
        _add_role(parser, role, taken, f"{', '.join(having)}: " if len(having) < len(operations) else "")
    groups: dict[str, argparse._ArgumentGroup] = {}
    own = family.group or family.title.lower()
    if has_methods(name):
        groups[own] = parser.add_argument_group(own)
        groups[own].add_argument(
            "--method",
            required=True,
            choices=tuple(operations_of(name) | operations),
            help="what to do: one of the methods above",
        )
    for option, (parameter, methods) in options_of(operations).items():
        title = parameter.group or (family.part_group if option in operations[methods[0]].part else own)
        group = groups.get(title) or groups.setdefault(title, parser.add_argument_group(title))
        _add_parameter(group, option, parameter, help_of(operations, option, parameter), several=has_methods(name))
    _add_destination(parser, first)
    add_resources(parser)


def _add_role(parser: argparse.ArgumentParser, name: str, role: Role, only: str = "") -> None:
    what = role.help or "path or URL of an OME-Zarr, a reference JSON, or a TIFF, PNG or JPEG"
    if role.option:
        metavar = role.metavar or name.upper()
        parser.add_argument(f"--{name}", required=not role.optional and not only, metavar=metavar, help=only + what)
    else:
        parser.add_argument(name, metavar=role.metavar or name.upper(), help=what)


def _add_parameter(group: Any, name: str, parameter: Parameter, words: str, several: bool) -> None:
    option = f"--{name.replace('_', '-')}"
    if parameter.type is bool:
        default = f" (default: {parameter.default_words})" if parameter.default_words else ""
        group.add_argument(option, action="store_true", default=None, help=words + default)
        return
    default = parameter.default_words or ("" if parameter.default is None else str(parameter.default))
    how: dict[str, Any] = {"type": _reader(parameter), "help": words + (f" (default: {default})" if default else "")}
    if parameter.choices and parameter.type is str:
        how["choices"] = tuple(parameter.choices)
    else:
        how["metavar"] = parameter.metavar or ("|".join((*parameter.choices, "NUMBER")) if parameter.choices else "N")
    if parameter.several:
        how |= {"nargs": "+"} if parameter.together else {"action": "append"}
    group.add_argument(option, required=parameter.required and not several, **how)


def _reader(parameter: Parameter) -> Callable[[str], Any]:
    """How the text of an option becomes a value; its range is looked at later, where all values are."""
    kind: Callable[[str], Any] = _size if parameter.measures and parameter.type is int else parameter.type
    if not parameter.choices or parameter.type is str:
        return kind

    def read(text: str) -> Any:
        if text in parameter.choices:
            return text
        try:
            value = float(text)
        except ValueError:
            known = ", ".join(parameter.choices)
            raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor one of {known}") from None
        if not isfinite(value):
            raise argparse.ArgumentTypeError(f"'{text}' is not a finite number")
        return int(value) if value.is_integer() else value

    return read


def _size(text: str) -> int | float:
    """Read a size: whole voxels are whole, and micrometres may have a fraction."""
    try:
        return int(text)
    except ValueError:
        return float(text)


_size.__name__ = "number"


def _add_destination(parser: argparse.ArgumentParser, operation: Operation) -> None:
    group, made = parser.add_argument_group("where the result goes"), operation.gives
    store, formats = not isinstance(made, Table), getattr(made, "formats", None)
    if store:
        where = group.add_mutually_exclusive_group(required=True)
        what = made.label or ("label image" if isinstance(made, Labels) else "image")
        words = f"the {what} to write; it must not exist yet"
        where.add_argument("--output", type=StoreOutput, metavar=made.metavar or "OUT.ome.zarr", help=words)
        where.add_argument("--to-workspace", metavar="NAME", help=WORDS["to_workspace"])
        if isinstance(made, Labels) and not any(isinstance(one, Labels) for one in operation.takes.values()):
            where.add_argument("--into-source", metavar="NAME", help=WORDS["into_source"])
        if operation.previews:
            where.add_argument("--preview", type=Output, metavar="PREVIEW.png", help=WORDS["preview"])
            group.add_argument("--preview-region", metavar="z0:z1,y0:y1,x0:x1", help=WORDS["preview_region"])
    else:
        words = f"{made.help}; it must not exist yet"
        group.add_argument("--output", type=Output, required=True, metavar=made.metavar, help=words)
    if formats:
        words = made.help if store else "of the table (default: by its name, otherwise tsv)"
        also = ("--to",) if store else ()  # how people say it of an image
        group.add_argument("--format", *also, choices=tuple(formats), help=words)
    for name, file in operation.files.items():
        group.add_argument(f"--{name}", type=Output, metavar=file.metavar, help=file.help)
    for name, (metavar, words) in REPORTS.items():
        group.add_argument(f"--{name}", type=Output, metavar=metavar, help=words)
    words = WORDS["run_dir"] if store else WORDS["run_dir"].replace("; in the workspace always beside the results", "")
    group.add_argument("--run-dir", type=Output, metavar="DIR", help=words)
    if store:
        group.add_argument("--shard", type=parse_sizes, metavar="z,y,x", help=WORDS["shard"])
    if store and not formats:
        group.add_argument(
            "--no-pyramid",
            action="store_true",
            help="write only the full resolution; viewers then load all of it at once (default: smaller levels as "
            "well)",
        )


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Add what decides how the work is spread; none of it changes the result."""
    group = parser.add_argument_group("how the work is spread (none of it changes the result)")
    group.add_argument("--workers", type=int, metavar="N", help=WORDS["workers"])
    group.add_argument("--memory", type=_bytes, metavar="BYTES", help=WORDS["memory"])
    group.add_argument("--block", type=parse_sizes, metavar="z,y,x", help=WORDS["block"])
    group.add_argument("--plan", nargs="?", const="text", choices=("text", "json"), help=WORDS["plan"])


def parse_sizes(text: str) -> tuple[int, ...]:
    """Read ``z,y,x`` as sizes of 1 or more."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of sizes such as 64,256,256")
    return sizes


def _bytes(text: str) -> int:
    from chunkwise.cluster.resources import parse_bytes

    try:
        return parse_bytes(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_bytes.__name__ = "memory"


def run_command(name: str, options: Mapping[str, Any]) -> int:
    """Run a family with what was typed; prints the result, or the plan.

    Parameters, and errors, are those of :func:`chunkwise.running.run.request_named`.
    """
    from chunkwise.running.planned import Planned
    from chunkwise.site import load_site

    request = request_named(name, options, load_site())
    try:
        if options.get("preview") or options.get("preview_region"):
            from chunkwise.running.preview import preview

            lines: Iterable[str] = preview(request, options.get("preview"), options.get("preview_region")).lines
        else:
            lines = run(request).lines
    except Planned as planned:
        lines = [planned.text(options["plan"])]
    for line in lines:
        print(line)
    return 0
