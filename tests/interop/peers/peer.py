"""What the scripts of the peers share. They run in the peer's own interpreter and know nothing of chunkwise.

    SCRIPT write FOLDER INPUTS    write stores, as JSON: what was made, and what was asked for
    SCRIPT read STORE ...         read stores, as JSON: what the peer says of each

A multiscale is told as ``{axes, levels: [{shape, dtype, sha256, scale, translation}], units, channels, colors,
labels}``; what the peer's own functions have no word for is left out. Scale, translation and units go by axis.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import numpy as np

__all__ = ["Cannot", "Inputs", "answer", "told_level"]


class Cannot(Exception):
    """The peer has no function for this; the message says what it has instead."""


class Inputs:
    """The arrays that every peer writes, and what is known of them."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "inputs.json"), encoding="utf-8") as file:
            self.known = json.load(file)
        self.scale: dict[str, float] = self.known["scale"]
        self.units: dict[str, str] = self.known["units"]
        self.channels: list[str] = self.known["channels"]
        self.colors: list[str] = self.known["colors"]

    def axes(self, name: str) -> str:
        return str(self.known["arrays"][name]["axes"])

    def array(self, name: str, dtype: str | None = None) -> Any:
        one = self.known["arrays"][name]
        data = np.fromfile(os.path.join(self.folder, name + ".bin"), one["dtype"]).reshape(one["shape"])
        return data.astype(dtype or data.dtype)

    def scales(self, name: str) -> list[float]:
        """Of every axis; 1 where nothing is known."""
        return [self.scale.get(axis, 1.0) for axis in self.axes(name)]


def told_level(
    data: Any, axes: Iterable[str] = "", scale: Iterable[float] | None = None, origin: Iterable[float] | None = None
) -> dict[str, Any]:
    """What there is to say of one level; ``data`` is anything that NumPy makes an array of."""
    array = np.asarray(data)
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    level: dict[str, Any] = {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
    }
    if scale is not None:
        level["scale"] = dict(zip(axes, map(float, scale), strict=True))
    if origin is not None:
        level["translation"] = dict(zip(axes, map(float, origin), strict=True))
    return level


def _attempt(action: Callable[..., dict[str, Any]], *values: Any) -> dict[str, Any]:
    try:
        return action(*values)
    except Cannot as no:
        return {"cannot": str(no)}
    except Exception as error:
        lines = str(error).splitlines() or [""]
        return {"failed": f"{type(error).__name__}: {lines[0]}"[:300]}


def answer(
    packages: list[str],
    read: Callable[[str], dict[str, Any]] | None,
    makers: dict[str, Callable[[str, Inputs], dict[str, Any]]],
) -> None:
    """Do what the command line asks for. ``makers`` go by what they make; each gets a folder for its store."""
    warnings.simplefilter("ignore")
    command, *places = sys.argv[1:]
    result: dict[str, Any] = {
        "versions": {name: version(name) for name in packages},
        "python": platform.python_version(),
    }
    # Some peers print.
    with contextlib.redirect_stdout(sys.stderr):
        if command == "read":
            result["stores"] = {place: _attempt(read or _no_reader, place) for place in places}
        else:
            folder, inputs = places
            result["made"] = {}
            for number, (name, maker) in enumerate(makers.items()):
                target = os.path.join(folder, str(number))
                os.makedirs(target)
                result["made"][name] = _attempt(maker, target, Inputs(inputs))
    print(json.dumps(result))


def _no_reader(_store: str) -> dict[str, Any]:
    raise Cannot("reads no stores")
