"""Vesselness."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import in_floats
from chunkwise.operations.filter._ridges import SIGMAS, bends, finite, ridge_filter, sigmas_of


def frangi(image: Any, *, largest: Any, ridges: str, **widths: Any) -> Any:
    """Find vessels; half of the largest norm of the volume is what counts as much structure."""
    from skimage import filters

    called: Any = filters
    gamma = in_floats(image).dtype.type(largest[0]) / 2 or 1
    black = ridges == "dark"
    return called.frangi(finite(image), sigmas_of(**widths), gamma=gamma, black_ridges=black)


def norms(image: Any, *, ridges: str, **values: Any) -> Any:
    """The norm of the Hessian, of the smallest sigma; added up in scikit-image's order."""
    import numpy as np

    bent = bends(image, sigmas_of(**values)[0], ridges)
    bent = np.take_along_axis(bent, abs(bent).argsort(0), 0)
    return np.sqrt((bent**2).sum(0))[np.newaxis]


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
