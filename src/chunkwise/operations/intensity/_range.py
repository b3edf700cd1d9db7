"""Ends of a range, and the type that comes out, which several methods have."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.operations._part import TYPES
from chunkwise.operations.model import Parameter

DTYPE: Final = Parameter(
    str,
    "float32",
    "Type of the result",
    "voxel type of the result",
    choices=TYPES,
)

ENDS: Final = {
    "low": Parameter(
        float,
        None,
        "Lower end",
        "lower end of the range",
        default_words="no limit; where a range is rescaled, the type's least value",
    ),
    "high": Parameter(
        float,
        None,
        "Upper end",
        "upper end of the range",
        default_words="no limit; where a range is rescaled, the type's largest value",
    ),
}


def in_order(low: float | None, high: float | None, **_: Any) -> str:
    """Refuse a range that ends before it begins."""
    if low is not None and high is not None and low > high:
        return f"--low {low:g} is larger than --high {high:g}."
    return ""


def refuse_nan(image: Any) -> None:
    """Refuse what no integer type has."""
    import numpy as np

    if image.dtype.kind == "f" and np.isnan(image).any():
        from chunkwise.errors import VoxelsError

        raise VoxelsError(
            "The image has voxels that are not numbers (NaN), which integers cannot hold; choose a float type."
        )


def spread(image: Any, low: Any, high: Any, dtype: str) -> Any:
    """Spread a range over 0 to 1, or of an integer type over 0 to its largest value, as scikit-image does."""
    import numpy as np

    top = 1.0
    if not dtype.startswith("float"):
        refuse_nan(image)
        top = float(np.iinfo(dtype).max)
    low, high = float(low), float(high)
    found = image.astype(np.float64)
    np.clip(found, low, high, out=found)
    if low == high:
        return np.clip(found, 0.0, top, out=found).astype(dtype)
    found -= low
    found /= high - low
    found *= top
    found += 0.0  # a zero with a minus is equal to one without, and has other bytes
    return found.astype(dtype)


#: How many intensities a histogram tells apart.
BINS: Final = Parameter(
    int,
    256,
    "Bins",
    "how many intensities the histograms tell apart; where a whole image of integers is equalised, every value counts "
    "on its own",
    least=2,
    most=16384,
)


def in_type(shares: Any, dtype: str) -> Any:
    """Give numbers from 0 to 1 in a type, of which an integer one goes to its largest value."""
    import numpy as np

    if not dtype.startswith("float"):
        shares = np.rint(shares.astype(np.float64) * float(np.iinfo(dtype).max))
    return shares.astype(dtype)


#: The same in the words of NumPy, of a call that is put in.
EQUALIZED: Final = (
    "(lambda found: found.astype(dtype) if dtype[0] == 'f' else "
    "numpy.rint(found.astype(float) * float(numpy.iinfo(dtype).max)).astype(dtype))({})"
)

#: A range that is spread, in the words of scikit-image, of a range that is put in.
SPREAD: Final = (
    "skimage.exposure.rescale_intensity(image.astype(float), {}, "
    "(0, 1 if dtype[0] == 'f' else numpy.iinfo(dtype).max)).astype(dtype)"
)
