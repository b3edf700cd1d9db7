"""The axis, the type that comes out, and how projections are declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from chunkwise.operations._part import PART, of_image
from chunkwise.operations.intensity._range import DTYPE as TYPE
from chunkwise.operations.model import Example, Image, Operation, Parameter

AXIS: Final = Parameter(
    str,
    "z",
    "Along",
    "what becomes one; an image that has none of them counts as one",
    choices={"z": "planes of a stack", "t": "time points", "c": "channels"},
)
DTYPE: Final = replace(
    TYPE,
    default=None,
    help="voxel type of the result; for integers, values are rounded and limited to the type's range",
    default_words="as the method gives it",
)

#: Of a result, in the words of NumPy.
_CAST: Final = (
    "(lambda made: made if dtype is None else made.astype(dtype) if dtype[0] == 'f' else numpy.clip(numpy.rint("
    "made.astype(float)), numpy.iinfo(dtype).min, numpy.iinfo(dtype).max).astype(dtype))({})"
)


def same(dtype: str) -> str:
    """The type of NumPy's largest and smallest."""
    return dtype


def fraction(dtype: str) -> str:
    """The type of NumPy's means."""
    return dtype if dtype.startswith("float") else "float64"


def total(dtype: str) -> str:
    """The type of NumPy's sums."""
    return dtype if dtype.startswith("float") else "uint64" if dtype.startswith("uint") else "int64"


def place(_: str) -> str:
    """The type of NumPy's indices."""
    return "int64"


def project(name: str, stack: Any, *, axis: str, dtype: str | None) -> Any:
    """Take the axis away by the function of NumPy; ``axis`` has been seen to, and the stack lies along the first."""
    import numpy as np

    from chunkwise.operations.intensity.cast import cast

    if stack[0].size == 1:  # NumPy would add these in another order
        return project(name, stack.repeat(2, axis=-1), axis=axis, dtype=dtype)[..., :1]
    made = getattr(np, name)(stack, axis=0)
    if dtype is None:
        return made
    return cast(made.astype(np.uint8) if made.dtype == bool else made, dtype=dtype)


def projection(
    name: str, title: str, does: str, usual: Callable[[str], str], kinds: str = "iuf", **more: Any
) -> Operation:
    """Declare the projection that NumPy's function of that name makes."""
    return of_image(
        name=name,
        family="project",
        title=title,
        does=does,
        part={name: one for name, one in PART.items() if name != "planes"},
        parameters={"axis": AXIS, "dtype": DTYPE},
        takes={"image": Image(kinds)},
        gives=Image(dtype=lambda of, dtype, **_: dtype or usual(of), **more.pop("gives", {})),
        kernel=partial(project, name),
        reduces=True,
        chain="chunkwise.running.chains.project:run",
        equals=_CAST.format(f"numpy.{name}(image, axis=0)"),
        exact={kinds: "bit"},
        examples=(Example("cells_zyx_v04.ome.zarr"), Example("cells_tczyx.ome.zarr", {"dtype": "float32"})),
        **more,
    )
