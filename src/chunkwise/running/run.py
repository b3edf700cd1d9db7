"""From a request to a result: the one way in, for a shell, Galaxy and Python alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chunkwise.running.request import Destination, Request, Result, Spread

if TYPE_CHECKING:
    from chunkwise.operations.model import Operation
    from chunkwise.reference import OpenedInput
    from chunkwise.site import Site

__all__ = ["run"]

#: Of operations that are a kernel.
LOCAL = "chunkwise.running.chains.local:run"


def run(
    operation: Operation,
    inputs: Mapping[str, str | OpenedInput],
    values: Mapping[str, Any],
    to: Destination,
    spread: Spread,
    site: Site | None,
    plan: bool = False,
) -> Result:
    """Do an operation.

    Parameters
    ----------
    operation : Operation
        As declared.
    inputs : mapping
        Paths, URLs or references by role, or what is open already.
    values : mapping
        Of its parameters; those that are left out have their defaults.
    to : Destination
        Where the result goes.
    spread : Spread
        How the work is spread.
    site : Site or None
        The administrator's file.
    plan : bool
        Whether only its plan is asked for.

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
    request = Request(operation, inputs, operation.check(values), to, spread, site, plan)
    module, _, function = (operation.chain or LOCAL).partition(":")
    chain: Callable[[Request], Result] = getattr(importlib.import_module(module), function)
    return chain(request)
