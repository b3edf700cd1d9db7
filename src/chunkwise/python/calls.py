"""One function a family, made of its declarations when it is asked for."""

from __future__ import annotations

import atexit
import inspect
import itertools
import os
import re
import shutil
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

from chunkwise.blocks.progress import Progress
from chunkwise.cluster.resources import parse_bytes
from chunkwise.errors import InputError
from chunkwise.operations import families, has_methods, help_of, load_family, operations_for, operations_of, options_of
from chunkwise.operations.model import Labels, Operation, Parameter, Role, Table
from chunkwise.python.handles import Image, Result, open
from chunkwise.python.words import in_python, python_words
from chunkwise.running.outputs import Output, StoreOutput, hold_outputs
from chunkwise.running.planned import Planned
from chunkwise.running.preview import preview
from chunkwise.running.request import REPORTS, WORDS
from chunkwise.running.run import request_given, request_named, run
from chunkwise.site import Site, load_site

__all__ = ["bind", "call", "destination_parameters", "function_of", "list_operations", "numpy_docs"]

#: How a result is written and the work is spread, in the order in which help shows it: type and default.
_HOW: dict[str, tuple[Any, Any]] = {
    "into_source": (str, None),
    "to_workspace": (str, None),
    "shard": (Sequence[int], None),
    "pyramid": (bool, True),
    **dict.fromkeys((*REPORTS, "run_dir"), (str, None)),
    "workers": (int, None),
    "memory": (int | str, None),
    "block": (Sequence[int], None),
    "preview": (bool | str, None),
    "preview_region": (str, None),
    "plan": (bool, False),
    "quiet": (bool, False),
}
_WORDS = {
    **WORDS,
    **{name: words for name, (_, words) in REPORTS.items()},
    "pyramid": "whether smaller levels are written as well",
    "plan": "whether only to return what the run would take, as a dict: blocks, bytes, memory, CPU-hours",
    "preview": "whether to return a :class:`Preview` of a small region instead of the result: a picture, and the "
    "voxels before and after; or the path of a picture to write. Takes seconds, whatever the image's size",
    "quiet": "whether to print no progress",
}
_OUTPUT = "path or URL of the result; without it, the result is kept until Python exits"

_one_at_a_time = threading.RLock()
_numbers = itertools.count(1)


def list_operations() -> dict[str, dict[str, str]]:
    """Say what there is: for each function its methods, and what each does."""
    return {family: {one.name: one.does for one in operations_of(family).values()} for family in families()}


@cache
def function_of(family: str, named: str | None = None) -> Callable[..., Result]:
    """Make the function of a family, such as ``chunkwise.filter``; or of the method of another package in it."""
    operations = operations_for(family, named)
    first = next(iter(operations.values()))
    rows: dict[str, tuple[Any, Any, str]] = {}
    inputs = []
    for role, taken in _roles_of(operations).items():
        everywhere = all(role in one.takes for one in operations.values())
        default = inspect.Parameter.empty if everywhere and not taken.optional else None
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        annotation: Any = str | Result if isinstance(taken, Table) else str | Image | Result
        shown = annotation | None if default is None else annotation
        inputs.append(inspect.Parameter(role, kind, default=default, annotation=shown))
        rows[role] = (annotation, default, taken.help or "path or URL of an OME-Zarr, or a reference")
    chosen: dict[str, tuple[Any, Any, str]] = {}
    if has_methods(family):
        methods = "; ".join(f"{one.name} {one.does}" for one in operations.values())
        chosen["method"] = (Literal[tuple(operations)], inspect.Parameter.empty, methods)
    for name, (parameter, having) in options_of(operations).items():
        needed = parameter.required and len(having) == len(operations)
        default = inspect.Parameter.empty if needed else parameter.default
        chosen[name] = (_annotation(parameter), default, help_of(operations, name, parameter))
    chosen |= destination_parameters(first)
    keywords = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=annotation | None if default is None else annotation,
        )
        for name, (annotation, default, _) in chosen.items()
    ]
    signature = inspect.Signature([*inputs, *keywords], return_annotation=Result)

    def function(*args: Any, **options: Any) -> Any:
        method = options.get("method") if has_methods(family) else None
        if isinstance(method, str) and method not in (named, *operations):
            return function_of(family, method)(*args, **options)
        return call(family, first, bind(family, signature, args, options))

    function.__name__ = function.__qualname__ = family
    function.__module__ = "chunkwise"
    function.__signature__ = signature  # type: ignore[attr-defined]
    about = re.sub(r"^  chunkwise .*\n\n?", "", load_family(family).about, flags=re.MULTILINE)
    function.__doc__ = numpy_docs(about.replace("the same command is", "the same call is"), rows | chosen)
    return function


def _roles_of(operations: Mapping[str, Operation]) -> dict[str, Role]:
    """What the methods of a family take, by its names."""
    return {role: taken for one in [*operations.values()][::-1] for role, taken in one.takes.items()}


def destination_parameters(operation: Operation) -> dict[str, tuple[Any, Any, str]]:
    """Where a result goes, and how the work is spread: type, default and help by name."""
    made, store = operation.gives, not isinstance(operation.gives, Table)
    found: dict[str, tuple[Any, Any, str]] = {"output": (str, None, _OUTPUT)}
    formats = getattr(made, "formats", None)
    if formats:
        found["format"] = (Literal[tuple(formats)], None, "of the result (default: by its name)")
    found |= {name: (str, None, file.help) for name, file in operation.files.items()}
    left_out = set() if isinstance(made, Labels) else {"into_source"}
    left_out |= set() if store else {"to_workspace", "shard", "pyramid"}
    left_out |= {"pyramid"} if formats else set()
    left_out |= set() if operation.previews else {"preview", "preview_region"}
    return found | {name: (*how, _WORDS[name]) for name, how in _HOW.items() if name not in left_out}


def _annotation(parameter: Parameter) -> Any:
    words = Literal[tuple(parameter.choices)] if parameter.choices else None
    one = words if words and parameter.type is str else parameter.type | words if words else parameter.type
    return one | Sequence[one] if parameter.several else one  # type: ignore[valid-type]


def numpy_docs(about: str, rows: Mapping[str, tuple[Any, Any, str]]) -> str:
    """Write what a function is, and its parameters, as NumPy does."""
    lines = [about.strip(), "", "Parameters", "----------"]
    for name, (kind, default, words) in rows.items():
        optional = {inspect.Parameter.empty: "", None: ", optional"}.get(default, f", default {default!r}")
        said = words.replace("may be given several times", "several as a list")
        lines += [
            f"{name} : {_type_words(kind)}{optional}",
            *textwrap.wrap(said, 110, initial_indent="    ", subsequent_indent="    "),
        ]
    return python_words("\n".join([*lines, "", "Returns", "-------", "Result"]))


def _type_words(kind: Any) -> str:
    """Write a type as people do."""
    return re.sub(r"(\w+\.)+(?=\w)", "", inspect.formatannotation(kind))


def bind(name: str, signature: inspect.Signature, args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was given by its names.

    Raises
    ------
    InputError
        If something is missing, or there is no such parameter.
    """
    try:
        return dict(signature.bind(*args, **options).arguments)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise InputError(f"chunkwise.{name}: {error}; it takes {known}.") from None


def call(family: str, operation: Operation, given: dict[str, Any], made: bool = False) -> Any:
    """Run an operation with what was given by names.

    Parameters
    ----------
    family : str
        Its name.
    operation : Operation
        The first of the family, which says what a result of it is; or the one that is meant.
    given : dict
        Values by names, as Python writes them.
    made : bool
        Whether ``operation`` was made by the caller, and is to be run itself.
    """
    given = {name: value for name, value in given.items() if value is not None}
    quiet, pyramid, plan = given.pop("quiet", False), given.pop("pyramid", True), given.pop("plan", False)
    known = {operation.name: operation} if made else operations_for(family, given.get("method"))
    parameters = {name: one for name, (one, _) in options_of(known).items()}
    roles = _roles_of(known)
    with in_python(), _one_at_a_time:
        site = load_site()
        if given.get("preview") is False:
            del given["preview"]
        options = {name: _option(operation, roles, parameters, name, value) for name, value in given.items()}
        options["no_pyramid"] = not Parameter(bool).check("pyramid", pyramid)
        places = [name for name in ("output", "to_workspace", "into_source") if name in options]
        if len(places) > 1:
            raise InputError(f"{' and '.join(places)} are two places for one result; give only one.")
        tried = "preview" in options or "preview_region" in options
        if not places and not tried:
            options["output"] = _temporary(family, operation, options.get("format"), site)
        hold_outputs(options, site)
        if plan:
            options["plan"] = "json"
        request = request_given(operation, options, site) if made else request_named(family, options, site)
        if tried:
            with _without_main():
                return preview(request, options.get("preview"), options.get("preview_region"))
        try:
            with _without_main(), _progress(not quiet):
                done = run(request)
        except Planned as planned:
            return planned.content
    files = {name: str(value) for name, value in options.items() if isinstance(value, Output)}
    files.pop("run_dir", None)
    return Result(done, os.path.abspath(files.pop("output", "")), files)


def _option(
    operation: Operation, roles: Mapping[str, Role], parameters: Mapping[str, Parameter], name: str, value: Any
) -> Any:
    """Make of a value of Python what the command line makes of its text."""
    if isinstance(roles.get(name), Table) and isinstance(value, str | os.PathLike | Result):
        return value.path if isinstance(value, Result) else os.fspath(value)
    if name in roles:
        return value if isinstance(value, str) else open(value).opened()
    if name == "preview" and value is True:
        return value
    if name in ("output", "run_dir", "preview", *operation.files, *REPORTS):
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
        if not text:
            raise InputError(f"{name} has to be a path, not {value!r}; give one, or leave it out.")
        return StoreOutput(text) if name == "output" and not isinstance(operation.gives, Table) else Output(text)
    if name == "memory" and isinstance(value, str):
        return parse_bytes(value)
    if name in ("workers", "memory"):
        return Parameter(int, least=1).check(name, _plain(value))
    if name in ("block", "shard"):
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(Parameter(int, least=1).accept(_plain(item), f"{name} {value}") for item in items)
    parameter = parameters.get(name)
    if parameter is None or parameter.type is not str or parameter.choices:
        return _plain(value)
    if parameter.several:
        return [_text(name, item) for item in (value if isinstance(value, list | tuple) else [value])]
    return _text(name, value)


def _plain(value: Any) -> Any:
    """A NumPy number as one of Python."""
    return value.item() if hasattr(value, "item") and not getattr(value, "ndim", 0) else value


def _text(name: str, value: Any, inner: bool = False) -> str:
    """Write numbers, slices and pairs as the command line has them: ``1``, ``0:10``, ``0:16,0:512,0:512``."""
    value = _plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, slice) and value.step in (None, 1):
        return ":".join("" if end is None else str(_plain(end)) for end in (value.start, value.stop))
    if isinstance(value, list | tuple) and value:
        pair = inner and len(value) == 2
        return ":".join(map(str, map(_plain, value))) if pair else ",".join(_text(name, one, True) for one in value)
    raise InputError(f"{name} has to be text, not {value!r}.")


@cache
def _scratch() -> str:
    """A folder that is there until Python ends."""
    folder = tempfile.mkdtemp(prefix="chunkwise-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _temporary(family: str, operation: Operation, form: str | None, site: Site | None) -> Output:
    """Name a result that nobody gave a name.

    Raises
    ------
    InputError
        Where a site file says what may be written where.
    """
    if site is not None:
        raise InputError(f"{site.file} says where results may be written, so a result needs a place: give output.")
    table, formats = isinstance(operation.gives, Table), dict(getattr(operation.gives, "formats", {}))
    ending = formats.get(form or "parquet") or (".json" if table else ".ome.zarr")
    return (Output if table else StoreOutput)(os.path.join(_scratch(), f"{next(_numbers)}-{family}{ending}"))


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep new workers from running the caller's script once more, as every process does that Python spawns.

    What a worker needs of it is sent to it.
    """
    main: Any = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), vars(main).pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file


@contextmanager
def _progress(shown: bool) -> Iterator[None]:
    before, Progress.shown = Progress.shown, shown
    try:
        yield
    finally:
        Progress.shown = before
