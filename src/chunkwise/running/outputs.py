"""Options that name what is written: declared by their type, and held to the site's policy before the command runs.

An option whose text is made an :class:`Output` by its parser needs nothing else: the command line holds all of them
to the policy in one place, and the command is given the place that was allowed, not the text that was typed.
"""

from __future__ import annotations

import os
from typing import Any

from chunkwise.errors import PolicyError
from chunkwise.site import Site
from chunkwise.storage.location import resolve
from chunkwise.storage.outputs import check_on_this_machine

__all__ = ["Output", "StoreOutput", "beside", "hold_outputs", "outputs_of"]


class Output(str):
    """The ``type`` of an option that names a file or a folder to be written."""

    __slots__ = ()


class StoreOutput(Output):
    """The ``type`` of an option that names a store to be written, which may also be an address."""

    __slots__ = ()


def outputs_of(options: dict[str, Any]) -> dict[str, Output]:
    """What is named to be written, by the options' names."""
    return {name: value for name, value in options.items() if isinstance(value, Output)}


def hold_outputs(options: dict[str, Any], site: Site | None) -> None:
    """Hold every output that is named to the policy, and put where it really is in its place.

    Parameters
    ----------
    options : dict
        Values by the options' names; outputs are changed.
    site : Site or None
        The administrator's file; without one every place is as it was typed.

    Raises
    ------
    PolicyError
        If something would be written where the site does not allow it.
    InputError
        If an output is no place at all.
    """
    for name, value in outputs_of(options).items():
        if not isinstance(value, StoreOutput):
            check_on_this_machine(value)
        if site is None:
            continue
        options[name] = type(value)(resolve(value, site, write=True).address)


def beside(place: str, ending: str, site: Site | None) -> str:
    """Name what a run keeps beside a place that the policy allowed, such as ``OUT.run``.

    Parameters
    ----------
    place : str
        Absolute path, links resolved.
    ending : str
        What is put behind it.
    site : Site or None
        The administrator's file.

    Raises
    ------
    PolicyError
        With a site file: if that name lies under no root that may be written, or somebody has put a link there.
    """
    name = f"{place}{ending}"
    if site is None:
        return name
    if os.path.islink(name):
        raise PolicyError(
            f"{name} is a symbolic link, and a run keeps its own files under that name; remove the link, or choose "
            "another output."
        )
    return resolve(name, site, write=True).address
