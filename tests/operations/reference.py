"""What a declared operation has to give: the literal call that it says it equals, on the whole volume."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from chunkwise.operations.model import Image, Operation

__all__ = ["PACKAGES", "foreign_names", "reference", "reference_result"]

Array = np.ndarray[Any, Any]

#: What a literal reference may call, and the few words of Python it may need.
PACKAGES = ("numpy", "scipy", "skimage")
WORDS = {"bool", "float", "getattr", "int", "len", "max", "min", "range", "tuple"}
#: The edges of a voxel, of which the smallest is 1; those of what the harness and the examples are of are equal.
SPACING = "spacing"


def foreign_names(operation: Operation) -> set[str]:
    """Names in a literal reference that it may not use: it has to be a call of others, and not of us."""
    tree = ast.parse(operation.equals, mode="eval")
    known = {*operation.takes, *PACKAGES, *WORDS, SPACING, *operation.parameters}
    known |= {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    return names - known


def reference(
    operation: Operation, volume: Array, values: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
) -> Array:
    """Evaluate it on one volume, with values of all parameters of the operation, and what else it takes."""
    ndim = volume.ndim
    if operation.reduces:  # of its planes, or the only one
        volume = volume if volume.ndim == 3 else volume[np.newaxis]
    found: dict[str, Any] = {
        "image": volume,
        SPACING: (1.0,) * ndim,
        **(inputs or {}),
        **{name: values[name] for name in operation.parameters},
    }
    for package, path in re.findall(rf"\b({'|'.join(PACKAGES)})((?:\.\w+)*)\.\w+", operation.equals):
        importlib.import_module(package + path)
        found[package] = sys.modules[package]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Downcasting")  # scikit-image says so of wide integers
        made = np.asarray(eval(operation.equals, found))
    return made.reshape((1,) * (ndim - made.ndim) + made.shape)


def reference_result(
    operation: Operation,
    image: Array,
    values: Mapping[str, Any],
    spatial: int,
    inputs: Mapping[str, Any] | None = None,
) -> Array:
    """Evaluate it on every volume of an image.

    Parameters
    ----------
    operation : Operation
        As declared.
    image : ndarray
        What is selected: time points and channels first.
    values : mapping
        Of all parameters of the operation.
    spatial : int
        How many of the last axes are a volume: 2 for images and where each plane is treated alone, else 3.
    inputs : mapping, optional
        What it takes beside the image: tables as data frames.

    Returns
    -------
    ndarray
        Of the image's shape, but for an axis that is reduced to 1, and of the type that is declared.
    """
    made: Image = operation.gives  # type: ignore[assignment]
    dtype = made.dtype_of(str(image.dtype), {name: values[name] for name in operation.parameters})
    before = image.shape[: image.ndim - spatial - (operation.mixes is not None)]
    found = np.stack([reference(operation, image[place], values, inputs) for place in np.ndindex(before)])
    assert found.dtype == dtype, f"{operation.equals} gives {found.dtype}, and {dtype} is declared"
    return found.reshape(before + found.shape[1:])
