"""The ball or box that all of them look at, and how they are declared."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Image, Parameter

FOOTPRINT: Final = {
    "radius": Parameter(
        int,
        2,
        "Radius",
        "radius of the ball, a whole number of voxels; the box reaches as far along every axis",
        unit="voxel",
        measures="radius",
        least=0,
        most=100,
    ),
    "footprint": Parameter(
        str,
        "ball",
        "Shape",
        "what is looked at around each voxel",
        choices={"ball": "a ball; in a plane, a disk", "box": "a box; in a plane, a square"},
    ),
}

#: The shape in the words of scikit-image and NumPy.
BALL: Final = "(skimage.morphology.disk if image.ndim == 2 else skimage.morphology.ball)(radius)"
SHAPE: Final = f"numpy.ones((2 * radius + 1,) * image.ndim, bool) if footprint == 'box' else {BALL}"

#: What is nowhere negative, and at most the largest value of the type.
DIFFERENCE: Final = (
    "(lambda high, low: high ^ low if image.dtype == bool else high - low if image.dtype.kind == 'f' else "
    "numpy.minimum(high.astype(float) - low, numpy.iinfo(image.dtype).max).astype(image.dtype))"
)


def once(radius: int | tuple[int, ...], **_: Any) -> int | tuple[int, ...]:
    """How far one step looks."""
    return radius


def twice(radius: int | tuple[int, ...], **_: Any) -> int | tuple[int, ...]:
    """How far two steps look, one after the other."""
    return tuple(2 * far for far in radius) if isinstance(radius, tuple) else 2 * radius


def shaped(function: str, image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Apply a function of :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops import morphology

    return getattr(morphology, function)(image, radius, footprint)


#: What looks at a ball or a box; without another reach, once.
by_shape: Final = partial(
    of_image,
    family="morphology",
    parameters=FOOTPRINT,
    takes={"image": Image("biuf")},
    reach=once,
    working_set=2.0,
    exact={"biuf": "bit"},
    examples=(
        Example("coins_2d.ome.zarr", {"radius": 2}),
        Example("cells_zyx_v04.ome.zarr", {"radius": 1, "footprint": "box"}),
    ),
)
