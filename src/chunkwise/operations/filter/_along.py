"""The axis along which differences are taken."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.errors import VoxelsError
from chunkwise.operations.filter._floats import FLOATS, in_floats
from chunkwise.operations.model import Parameter

AXIS: Final = Parameter(
    str,
    "all",
    "Along",
    "direction of the differences",
    choices={
        "all": "all axes together",
        "x": "x, from left to right",
        "y": "y, from top to bottom",
        "z": "z, from plane to plane",
    },
)
#: A filter of scikit-image's in the words of NumPy.
EQUALS: Final = f"skimage.filters.{{name}}({FLOATS}, axis=None if axis == 'all' else 'zyx'[-image.ndim:].index(axis))"
#: And of SciPy's.
DERIVATIVE: Final = (
    f"scipy.ndimage.gaussian_filter({FLOATS}, sigma, {{order}} * numpy.equal(tuple('zyx'[-image.ndim:]), axis))"
)


def place_of(axis: str, image: Any) -> int:
    """Where the axis lies in an image.

    Raises
    ------
    VoxelsError
        If it has no such axis.
    """
    names = "zyx"[-image.ndim :]
    if axis not in names:
        raise VoxelsError(f"There are no differences along {axis} in a plane; choose {' or '.join(names)}.")
    return names.index(axis)


def derivative(image: Any, sigma: float | tuple[float, ...], order: int, axis: str) -> Any:
    """Differentiate along one axis, and smooth along all."""
    from scipy.ndimage import gaussian_filter

    orders = [0] * image.ndim
    orders[place_of(axis, image)] = order
    return gaussian_filter(in_floats(image), sigma, orders)


def difference(name: str, image: Any, axis: str) -> Any:
    """A filter of scikit-image's: differences along an axis, or the root mean square of those along each."""
    from skimage import filters

    return getattr(filters, name)(in_floats(image), axis=None if axis == "all" else place_of(axis, image))
