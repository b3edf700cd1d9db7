"""Operations, the literal calls that they equal on a whole image in memory, and an image of three channels for those
that mix colours (``catalogue.py``)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import skimage
import zarr

# The same call that the tests compare every block with, and the same values.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Labels, Operation
from operations.harness import cases, write_image
from operations.reference import reference


def every() -> dict[str, Any]:
    """What there is to measure: operations with a kernel and a literal call, and how each is called."""
    peers = {"NumPy": np, "SciPy": scipy, "scikit-image": skimage}
    return {
        "operations": _operations(),
        "versions": ", ".join(f"{name} {peer.__version__}" for name, peer in peers.items()),
    }


def _operations() -> list[dict[str, Any]]:
    found = (one for family in families() for one in operations_of(family).values())
    return [
        {
            "family": one.family,
            "name": one.name,
            "words": _words(one),
            "takes": _takes(one),
            "equals": one.equals,
        }
        for one in found
        if one.kernel and one.equals and "table" not in one.takes
    ]


def _values(operation: Operation) -> dict[str, Any]:
    """Of those that the tests try, the first that looks farthest: up to 8 voxels."""
    return max(cases(operation), key=lambda values: max(operation.reach_of(values, 3)))


def _words(operation: Operation) -> list[str]:
    given = {name: value for name, value in _values(operation).items() if value is not None}
    texts = {name: ",".join(map(str, one)) if isinstance(one, tuple) else str(one) for name, one in given.items()}
    method = ["--method", operation.name] if has_methods(operation.family) else []
    return [*method, *(f"--{name.replace('_', '-')}={text}" for name, text in texts.items())]


def _takes(operation: Operation) -> str:
    if operation.mixes is not None:
        return "channels"
    return "labels" if isinstance(operation.takes["image"], Labels) else "image"


def call(image: str, family: str, name: str) -> dict[str, Any]:
    """Evaluate it, and say what the call alone took."""
    operation = operations_of(family)[name]
    voxels: Any = zarr.open_array(f"{image}/0", mode="r")[...]
    begin = time.process_time()
    reference(operation, voxels, _values(operation))
    return {"call alone, CPU-s": round(time.process_time() - begin, 2)}


def channels(image: str, path: str) -> dict[str, Any]:
    """Write three channels, each of a third of the planes, as an OME-Zarr of one level."""
    voxels: Any = zarr.open_array(f"{image}/0", mode="r")[...]
    third = len(voxels) // 3
    write_image(Path(path), np.stack([voxels[n * third : (n + 1) * third] for n in range(3)]), "czyx")
    return {}


if __name__ == "__main__":
    actions: dict[str, Callable[..., Any]] = {"all": every, "call": call, "channels": channels}
    print(json.dumps(actions[sys.argv[1]](*sys.argv[2:])))
