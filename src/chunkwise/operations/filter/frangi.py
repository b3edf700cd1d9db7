"""Vesselness."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import in_floats
from chunkwise.operations.filter._ridges import SIGMAS, by_bends, hessian, ridge_filter, sigmas_of


def frangi(image: Any, *, largest: Any, ridges: str, inner: Any = None, **widths: Any) -> Any:
    """Find vessels, in scikit-image's steps; what counts as much structure is half of the largest norm."""
    import numpy as np

    dtype = in_floats(image[:0]).dtype.type
    gamma = dtype(largest[0]) / 2 or 1

    def vesselness(bends: Any) -> Any:
        bends = weakest_first(bends)
        strong = np.maximum(bends[1:], 1e-10)
        if len(bends) == 2:
            plate: Any = np.inf
            blob = abs(bends[0]) / strong[0]
        else:
            plate = strong[0] / strong[1]
            blob = abs(bends[0]) / np.sqrt(strong[0] * strong[1])
        found = 1.0 - np.exp(-(plate**2) / 0.5, dtype=dtype)
        found = found * np.exp(-(blob**2) / 0.5, dtype=dtype)
        found *= 1.0 - np.exp(-(norm(bends) ** 2) / (2 * gamma**2), dtype=dtype)
        return found

    made = (by_bends(hessian(image, sigma, ridges, inner), vesselness) for sigma in sigmas_of(**widths))
    most = next(made)
    for one in made:
        np.maximum(most, one, out=most)
    return np.maximum(most, 0, out=most)


def norms(image: Any, *, ridges: str, inner: Any = None, **values: Any) -> Any:
    """The norm of the Hessian, of the smallest sigma, where it is about as large as it gets in the block; else 0.

    Its elements tell where that is, but for last bits, and only there are eigenvalues computed.
    """
    from itertools import combinations_with_replacement

    import numpy as np

    elements = hessian(image, sigmas_of(**values)[0], ridges, inner)
    places = combinations_with_replacement(range(image.ndim), 2)
    squares = sum((1 + (row != column)) * one**2 for one, (row, column) in zip(elements, places, strict=True))
    large = (squares >= 0.99 * squares.max()) & (squares > 0)
    return by_bends(elements, lambda bends: norm(weakest_first(bends)), where=large)[np.newaxis]


def weakest_first(bends: Any) -> Any:
    """In scikit-image's order."""
    import numpy as np

    return np.take_along_axis(bends, abs(bends).argsort(0), 0)


def norm(bends: Any) -> Any:
    """The root of the sum of squares, added up in that order."""
    import numpy as np

    return np.sqrt((bends**2).sum(0))


OPERATION = ridge_filter(
    name="frangi",
    title="Frangi vesselness filter",
    does="shows vessels and fibres, from 0 to 1, and leaves out blobs and plates; gives floats",
    kernel=frangi,
    equals=f"skimage.filters.frangi(image, {SIGMAS}, black_ridges=ridges == 'dark')",
    needs={"largest": norms},
    # The same to the bit on one machine; but NumPy's exp rounds by the instructions that a processor has.
    exact={"iu": "rtol 1e-12", "f": "rtol 1e-6"},
    citation="10.1007/BFb0056195",
)
