"""What a declared operation has to give: the literal call that it says it equals, on the whole volume."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from chunkwise.operations.model import Operation

__all__ = ["PACKAGES", "foreign_names", "reference", "reference_result"]

Array = np.ndarray[Any, Any]

#: What a literal reference may call, and the few words of Python it may need.
PACKAGES = ("numpy", "scipy", "skimage")
WORDS = {"bool", "float", "int", "len", "max", "min", "range", "tuple"}


def foreign_names(operation: Operation) -> set[str]:
    """Names in a literal reference that it may not use: it has to be a call of others, and not of us."""
    tree = ast.parse(operation.equals, mode="eval")
    known = {"image", *PACKAGES, *WORDS, *operation.parameters}
    known |= {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    return names - known


def reference(operation: Operation, volume: Array, values: Mapping[str, Any]) -> Array:
    """Evaluate it on one volume, with values of all parameters of the operation."""
    found: dict[str, Any] = {"image": volume, **{name: values[name] for name in operation.parameters}}
    for package, path in re.findall(rf"\b({'|'.join(PACKAGES)})((?:\.\w+)*)\.\w+", operation.equals):
        importlib.import_module(package + path)
        found[package] = sys.modules[package]
    return np.asarray(eval(operation.equals, found))


def reference_result(operation: Operation, image: Array, values: Mapping[str, Any], spatial: int) -> Array:
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

    Returns
    -------
    ndarray
        Of the image's shape, and of the type that is declared.
    """
    out = np.empty(image.shape, _dtype(operation, image))
    for place in np.ndindex(image.shape[: image.ndim - spatial]):
        found = reference(operation, image[place], values)
        assert found.dtype == out.dtype, f"{operation.equals} gives {found.dtype}, and {out.dtype} is declared"
        out[place] = found
    return out


def _dtype(operation: Operation, image: Array) -> Any:
    declared = operation.gives.dtype  # type: ignore[attr-defined]  # of an image
    return image.dtype if declared == "same" else np.dtype(declared)
