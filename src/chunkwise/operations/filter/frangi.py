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
        bends = np.take_along_axis(bends, abs(bends).argsort(0), 0)
        strong = np.maximum(bends[1:], 1e-10)
        if len(bends) == 2:
            plate: Any = np.inf
            blob = abs(bends[0]) / strong[0]
        else:
            plate = strong[0] / strong[1]
            blob = abs(bends[0]) / np.sqrt(strong[0] * strong[1])
        found = 1.0 - np.exp(-(plate**2) / 0.5, dtype=dtype)
        found = found * np.exp(-(blob**2) / 0.5, dtype=dtype)
        found *= 1.0 - np.exp(-(np.sqrt((bends**2).sum(0)) ** 2) / (2 * gamma**2), dtype=dtype)
        return found

    made = (by_bends(image, sigma, ridges, inner, vesselness) for sigma in sigmas_of(**widths))
    most = next(made)
    for one in made:
        np.maximum(most, one, out=most)
    return np.maximum(most, 0, out=most)


def norms(image: Any, *, ridges: str, inner: Any = None, **values: Any) -> Any:
    """The norm of the Hessian, of the smallest sigma: of its elements, which takes no eigenvalues."""
    from itertools import combinations_with_replacement

    import numpy as np

    elements = hessian(image, sigmas_of(**values)[0], ridges, inner)
    places = combinations_with_replacement(range(image.ndim), 2)
    squares = sum((1 + (row != column)) * one**2 for one, (row, column) in zip(elements, places, strict=True))
    return np.sqrt(squares)[np.newaxis]


OPERATION = ridge_filter(
    name="frangi",
    title="Frangi vesselness filter",
    does="shows vessels and fibres, from 0 to 1, and leaves out blobs and plates; gives floats",
    kernel=frangi,
    equals=f"skimage.filters.frangi(image, {SIGMAS}, black_ridges=ridges == 'dark')",
    needs={"largest": norms},
    # The largest norm is of the elements, and not of the eigenvalues, which are the slow part: another last bit.
    exact={"iu": "rtol 1e-12", "f": "rtol 1e-6"},
    citation="10.1007/BFb0056195",
)
