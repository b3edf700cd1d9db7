"""From a request to a result: the one way in, for a shell, Galaxy and Python alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chunkwise.errors import InputError
from chunkwise.operations import find, has_methods, operations_for, options_of
from chunkwise.running.request import REPORTS, Destination, Done, Request, Result, Spread

if TYPE_CHECKING:
    from chunkwise.operations.model import Operation
    from chunkwise.site import Site

__all__ = ["chain_of", "request_given", "request_named", "run"]

#: Of operations that are a kernel.
LOCAL = "chunkwise.running.chains.local:run"


def run(request: Request) -> Result:
    """Do what is asked for.

    Raises
    ------
    InputError
        If something that was given makes no sense.
    PolicyError
        If the site does not allow it.
    ResumableError
        If the run stopped in the middle.
    Planned
        In the place of a result, where only the plan is asked for.
    """
    operation = request.operation
    chain: Callable[[Request], Result] = getattr(chain_of(operation), (operation.chain or LOCAL).partition(":")[2])
    try:
        return chain(request)
    except Done as done:
        return done.result


def chain_of(operation: Operation) -> ModuleType:
    """Import the module that does an operation."""
    return importlib.import_module((operation.chain or LOCAL).partition(":")[0])


def request_named(family: str, options: Mapping[str, Any], site: Site | None) -> Request:
    """Make a request of a family and options by their names, as people give them.

    Parameters
    ----------
    family : str
        Its name.
    options : mapping
        Inputs, method, values, destination and spread; None is as good as left out; outputs are held to the policy.
    site : Site or None
        The administrator's file.

    Raises
    ------
    InputError
        If an option is given that the chosen method does not have, or that lacks one, or that is out of range.
    """
    method = options.get("method") if has_methods(family) else None
    operations = operations_for(family, method)
    operation = find(family, method)
    for other in operations.values():
        for role in other.takes:
            if options.get(role) is not None and role not in operation.takes:
                raise InputError(f"--{role} is not an option of the method {operation.name}.")
    for option, (_, methods) in options_of(operations).items():
        if options.get(option) is not None and operation.name not in methods:
            others = ", ".join(f"--{other.replace('_', '-')}" for other in operation.parameters)
            raise InputError(
                f"--{option.replace('_', '-')} is not an option of the method {operation.name}; "
                f"{f'its options are {others}' if others else 'it has none of its own'}."
            )
    return request_given(operation, options, site)


def request_given(operation: Operation, options: Mapping[str, Any], site: Site | None) -> Request:
    """Make a request of an operation and options by their names, as :func:`request_named`."""
    given = {name: value for name, value in options.items() if value is not None}
    for role, taken in operation.takes.items():
        if taken.option and not taken.optional and role not in given:
            raise InputError(f"The method {operation.name} needs --{role}.")
    for option, parameter in operation.options.items():
        if parameter.required and option not in given:
            raise InputError(f"The method {operation.name} needs --{option.replace('_', '-')}.")
    places = ("output", "to_workspace", "into_source", "format", "run_dir", "shard")
    to = Destination(
        **{name: given[name] for name in places if name in given},
        files={name: given[name] for name in (*operation.files, *REPORTS) if name in given},
        pyramid=not given.get("no_pyramid", False),
    )
    return Request(
        operation,
        {role: given[role] for role in operation.takes if role in given},
        operation.check({option: given[option] for option in operation.options if option in given}),
        to,
        Spread(given.get("workers"), given.get("memory"), given.get("block")),
        site,
        "plan" in given,
    )
