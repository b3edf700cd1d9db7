"""The breadth: one declaration a file, found by its name; a folder is a family, which is one command.

``operations/filter/median.py`` declares ``median`` of the family ``filter``. Other packages bring more methods by the
entry-point group ``chunkwise.operations``; they are loaded only when they are named.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import cache

from chunkwise.errors import InputError
from chunkwise.operations.model import Family, Operation, Parameter

__all__ = ["families", "find", "has_methods", "help_of", "load_family", "operations_for", "operations_of", "options_of"]

_HERE = os.path.dirname(__file__)


@cache
def families() -> tuple[str, ...]:
    """Names of all families that come with chunkwise."""
    found = (os.path.splitext(entry.name)[0] for entry in os.scandir(_HERE) if entry.name[0] not in "._")
    return tuple(sorted(set(found) - {"model"}))


@cache
def load_family(name: str) -> Family:
    """Import what a family says of itself."""
    family: Family = importlib.import_module(f"chunkwise.operations.{name}").FAMILY
    return family


def has_methods(family: str) -> bool:
    """Whether its operations are told apart by ``--method``: those of a folder are, also where there is one only."""
    return os.path.isdir(os.path.join(_HERE, family))


@cache
def operations_of(family: str) -> dict[str, Operation]:
    """Import the operations of a family, by their names; a family that is one file has one."""
    whole = importlib.import_module(f"chunkwise.operations.{family}")
    if not has_methods(family):
        return {whole.OPERATION.name: whole.OPERATION}
    names = sorted(
        os.path.splitext(file)[0]
        for file in os.listdir(os.path.join(_HERE, family))
        if file.endswith(".py") and file[0] != "_"
    )
    modules = [importlib.import_module(f"chunkwise.operations.{family}.{name}") for name in names]
    return {module.OPERATION.name: module.OPERATION for module in modules}


def options_of(operations: Mapping[str, Operation]) -> dict[str, tuple[Parameter, list[str]]]:
    """The options of a family, each with the methods that have it."""
    found: dict[str, tuple[Parameter, list[str]]] = {}
    for operation in operations.values():
        for name, parameter in operation.options.items():
            known, methods = found.setdefault(name, (parameter, []))
            if known != parameter:
                raise AssertionError(f"--{name} of {methods[0]} and of {operation.name} differ; they have one option")
            methods.append(operation.name)
    return found


def help_of(operations: Mapping[str, Operation], name: str, parameter: Parameter) -> str:
    """Say what an option of a family is for, and of which methods it is, where it is not of all."""
    offering = [one.name for one in operations.values() if one.offers(name)]
    return (f"{', '.join(offering)}: " if len(offering) < len(operations) else "") + parameter.explained


def operations_for(family: str, method: str | None) -> dict[str, Operation]:
    """The operations of a family; where ``method`` is one that another package brings, that one alone.

    Raises
    ------
    InputError
        If the other package's does not work.
    PolicyError
        If the site does not list it.
    """
    known = operations_of(family)
    if not isinstance(method, str) or method in known or not has_methods(family):
        return known
    from chunkwise.operations._plugins import load_plugin

    plugin = load_plugin(family, method)
    return known if plugin is None else {method: plugin}


def find(family: str, method: str | None = None) -> Operation:
    """Give one operation; its method need not be named where the family has one only.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if family not in families():
        raise InputError(f"There is no operation '{family}'; there are {', '.join(families())}.")
    known = operations_for(family, method)
    name = next(iter(known)) if method is None and len(known) == 1 else method
    if name not in known:
        asked = "needs a method" if name is None else f"has no method '{name}'"
        raise InputError(f"'{family}' {asked}; it has {', '.join(known)}.")
    return known[name]
