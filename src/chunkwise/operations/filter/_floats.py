"""What may become negative is computed, and given, in floats: unsigned integers would wrap around."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from chunkwise.operations._part import in_both, of_image
from chunkwise.operations.model import Image

#: The image in the words of NumPy.
FLOATS: Final = "(image if image.dtype.kind == 'f' else image.astype(float))"


def dtype(of: str, **_: Any) -> str:
    """The type of the result."""
    return of if of.startswith("float") else "float64"


def in_floats(image: Any) -> Any:
    """The image, in floats."""
    return image if image.dtype.kind == "f" else image.astype("float64")


#: A filter whose result is in floats, which looks at the nearest voxels unless it says otherwise.
floats: Final = partial(
    of_image,
    family="filter",
    gives=Image(dtype=dtype, contrast="new"),
    reach=lambda **_: 1,
    working_set=0.0,
    scratch=15.0,
    examples=in_both(),
)
