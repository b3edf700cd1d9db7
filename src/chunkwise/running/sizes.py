"""Sizes that are given in micrometres, as the voxels of the level that is read: exactly, along each axis, and said."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor, prod
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.units import conversion
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.model import Parameter
from chunkwise.running.request import Request

__all__ = ["Sizes", "in_voxels"]


@dataclass(frozen=True)
class Sizes:
    """The values of a request, with every size in voxels."""

    values: dict[str, Any]
    """A size that differs from axis to axis has one number for each."""
    lines: list[str] = field(default_factory=list)
    """What became of each, for people."""
    found: dict[str, Any] = field(default_factory=dict)
    """The same for the record; nothing where sizes were given in voxels."""


def in_voxels(request: Request, selection: Selection) -> Sizes:
    """Give the values with their sizes in voxels.

    Parameters
    ----------
    request : Request
        With the values, and what they are in.
    selection : Selection
        Whose voxels they become.

    Raises
    ------
    InputError
        If the image does not say how large its voxels are, or a size becomes one that the operation does not take.
    """
    values, operation = dict(request.values), request.operation
    if values.get("sizes_in") != "micrometres":
        return Sizes(values)
    edges = _edges(selection)
    words = " x ".join(f"{float(edge):g}" for edge in edges)
    lines, found = [f"voxels of {words} micrometres ({selection.image.spatial}):"], {}
    for name, one in operation.parameters.items():
        asked = values[name]
        if not one.measures or asked is None or (one.only_with and not values[one.only_with]):
            continue
        seen = edges[-2:] if values.get("planes") else edges
        if one.measures == "step" and len(set(seen)) > 1:
            raise InputError(
                f"--{name.replace('_', '-')} is one number of voxels for all axes, and the voxels of "
                f"{selection.image.location.address} are {words} micrometres ({selection.image.spatial}); give sizes "
                "in voxels."
            )
        made = _converted(one, Fraction(str(asked)), edges)
        values[name] = made
        shown = made[-len(seen) :] if isinstance(made, tuple) else (made,)
        for number in shown:
            _check(name, one, asked, number)
        found[name] = list(shown) if isinstance(made, tuple) else made
        measured = {2: "square ", 3: "cubic "}[len(edges)] if one.measures == "content" else ""
        numbers = " x ".join(f"{n:.6g}" for n in shown)
        lines.append(f"  {name.replace('_', ' ')} {asked:g} {measured}micrometres: {numbers} voxels")
    return Sizes(values, lines, {"voxel": [float(edge) for edge in edges], **found}) if found else Sizes(values)


def _edges(selection: Selection) -> tuple[Fraction, ...]:
    """The edges of a voxel in micrometres, as exactly as the metadata say them."""
    found = []
    for axis, scale in zip(selection.spatial_axes, selection.spatial_scale, strict=True):
        factor = None if axis.unit is None else conversion(axis.unit, "micrometer")
        if factor is None or not scale > 0:
            raise InputError(
                f"{selection.image.location.address} does not say how large its voxels are along {axis.name} (the unit "
                f"is {axis.unit or 'missing'}), so sizes cannot be given in micrometres; give them in voxels."
            )
        found.append(Fraction(str(scale)) * Fraction(str(factor)))
    return tuple(found)


def _converted(one: Parameter, asked: Fraction, edges: tuple[Fraction, ...]) -> Any:
    if one.measures == "content":  # objects of fewer voxels are smaller than that
        return ceil(asked / prod(edges))
    if one.measures == "step":
        return max(int(one.least or 0), floor(asked / edges[-1] + Fraction(1, 2)))
    if one.measures == "radius":
        return tuple(floor(asked / edge + Fraction(1, 2)) for edge in edges)
    if one.measures == "window":  # the nearest odd number, of two that are as near the larger
        return tuple(2 * floor(asked / edge / 2) + 1 for edge in edges)
    return tuple(float(asked / edge) for edge in edges)


def _check(name: str, one: Parameter, asked: Any, voxels: Any) -> None:
    try:
        one.accept(voxels, "")
    except InputError:
        became = f"{voxels:.6g} voxel{'s' * (voxels != 1)}"
        raise InputError(
            f"--{name.replace('_', '-')} {asked:g} micrometres is {became}, and has to be {one.range_words}."
        ) from None
