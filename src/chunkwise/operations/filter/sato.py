"""Tubeness."""

from __future__ import annotations

from functools import partial
from typing import Any

from chunkwise.operations.filter._ridges import SIGMAS, by_bends, hessian, ridge_filter, sigmas_of


def sato(image: Any, *, ridges: str, inner: Any = None, **widths: Any) -> Any:
    """Find tubes, in scikit-image's steps: the geometric mean of all bends but the weakest."""
    import numpy as np

    def tubeness(sigma: float, bends: Any) -> Any:
        across = bends[:-1]
        return sigma**2 * np.prod(np.maximum(across, 0), 0) ** (1 / len(across))

    made = (by_bends(hessian(image, sigma, ridges, inner), partial(tubeness, sigma)) for sigma in sigmas_of(**widths))
    most = next(made)
    for one in made:
        np.maximum(most, one, out=most)
    return np.maximum(most, 0, out=most)


OPERATION = ridge_filter(
    name="sato",
    title="Sato tubeness filter",
    does="shows lines and tubes by how much the image bends across them; gives floats",
    kernel=sato,
    equals=f"skimage.filters.sato(image, {SIGMAS}, black_ridges=ridges == 'dark')",
    citation="10.1016/S1361-8415(98)80009-1",
)
