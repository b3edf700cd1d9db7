"""Neuriteness."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._ridges import SIGMAS, by_bends, hessian, ridge_filter, sigmas_of


def meijering(image: Any, *, largest: Any, **values: Any) -> Any:
    """Find neurites; each width counts as much as any other, because its largest value becomes 1."""
    import numpy as np

    found = neurites(image, **values)
    for one, most in zip(found, largest, strict=True):
        if most > 0:
            one /= one.dtype.type(most)
    return np.maximum(found.max(axis=0), 0)


def neurites(image: Any, *, ridges: str, inner: Any = None, **widths: Any) -> Any:
    """The largest normalised eigenvalue of each width, in scikit-image's steps."""
    import numpy as np
    from scipy.linalg import circulant

    def neuriteness(bends: Any) -> Any:
        ndim = len(bends)
        weights = circulant([1, *[1 / (ndim + 1)] * (ndim - 1)]).astype(bends.dtype)
        values = np.tensordot(weights, bends, 1)
        values = np.take_along_axis(values, abs(values).argmax(0)[None], 0).squeeze(0)
        return np.maximum(values, 0)

    return np.stack([by_bends(hessian(image, sigma, ridges, inner), neuriteness) for sigma in sigmas_of(**widths)])


OPERATION = ridge_filter(
    name="meijering",
    title="Meijering neuriteness filter",
    does="shows thin lines such as neurites, from 0 to 1; gives floats",
    kernel=meijering,
    equals=f"skimage.filters.meijering(image, {SIGMAS}, black_ridges=ridges == 'dark')",
    needs={"largest": neurites},
    citation="10.1002/cyto.a.20022",
)
