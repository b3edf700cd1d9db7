"""Ridges of several widths, such as fibres, vessels and membranes: what the filters that find them share."""

from __future__ import annotations

from functools import partial
from math import floor, sqrt
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.operations._part import in_both
from chunkwise.operations.filter._floats import floats, in_floats
from chunkwise.operations.model import Parameter

#: The widths, in the words of NumPy.
SIGMAS: Final = "numpy.linspace(sigma_min, sigma_max, sigmas).tolist()"
#: From so many sigmas on, the weights of these Gaussians are 0 in float64, however far scikit-image lets them reach.
VANISHED: Final = 27.3

_SIGMA: Final[dict[str, Any]] = {"unit": "voxel", "least": 0.1, "most": 100}
PARAMETERS: Final = {
    "sigma_min": Parameter(float, 2.0, "Smallest sigma", "of the thinnest ridges: about half their width", **_SIGMA),
    "sigma_max": Parameter(float, 3.0, "Largest sigma", "of the widest ridges; every voxel looks far around", **_SIGMA),
    "sigmas": Parameter(
        int, 2, "How many sigmas", "widths that are tried, evenly spaced; 1 tries the smallest only", least=1, most=100
    ),
    "ridges": Parameter(
        str,
        "bright",
        "Ridges are",
        "whether ridges are brighter or darker than what surrounds them",
        choices=("bright", "dark"),
    ),
}


def sigmas_of(sigma_min: float, sigma_max: float, sigmas: int, **_: Any) -> list[float]:
    """The widths."""
    import numpy as np

    return [float(sigma) for sigma in np.linspace(sigma_min, sigma_max, sigmas)]


def reach(**values: Any) -> int:
    """How far the widest goes: twice the radius of a Gaussian's derivative, as scikit-image cuts it."""
    return max(_reach(sigma) for sigma in sigmas_of(**values))


def _reach(sigma: float) -> int:
    if sigma > 1:
        return 2 * int(8 * sqrt(0.5) * sigma + 0.5)
    return 2 * min(int(100 * sqrt(0.5) * sigma + 0.5), floor(VANISHED * sigma))


def least_reach(**values: Any) -> int:
    """What shows in any case: of the two Gaussians, one after the other, the farthest weights are next to nothing."""
    return max(1, reach(**values) // 2)


def refuses(sigma_min: float, sigma_max: float, sigmas: int, **_: Any) -> str:
    """Refuse two that are in the wrong order, and a largest one that means nothing."""
    if sigmas == 1:
        usual = sigma_max == PARAMETERS["sigma_max"].default
        return "" if usual else f"--sigma-max {sigma_max:g} means nothing with --sigmas 1; leave it out."
    if sigma_min <= sigma_max:
        return ""
    return f"--sigma-min {sigma_min:g} has to be no larger than --sigma-max {sigma_max:g}."


def finite(image: Any) -> Any:
    """Give the image back.

    Raises
    ------
    InputError
        If a voxel is not finite: it would show as far as scikit-image computes with weights of 0.
    """
    import numpy as np

    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError("Ridges cannot be found around voxels that are infinite or not numbers; replace them first.")
    return image


def bends(image: Any, sigma: float, ridges: str) -> Any:
    """How much the image bends, the most first: the eigenvalues of the Hessian, as scikit-image has them for ridges."""
    from skimage import feature

    made: Any = feature
    found = in_floats(finite(image))
    found = found if ridges == "dark" else -found
    hessian = made.hessian_matrix(found, sigma, mode="reflect", use_gaussian_derivatives=True)
    return made.hessian_matrix_eigvals(hessian)


#: A filter for ridges.
ridge_filter: Final = partial(
    floats,
    parameters=PARAMETERS,
    refuses=refuses,
    reach=reach,
    reach_is="upper",
    least_reach=least_reach,
    scratch=172.0,
    examples=in_both(sigma_min=2.0, sigmas=1),
)
