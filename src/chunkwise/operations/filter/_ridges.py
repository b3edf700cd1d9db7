"""Ridges of several widths, such as fibres, vessels and membranes: what the filters that find them share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import floor, sqrt
from typing import Any, Final

from chunkwise.errors import VoxelsError
from chunkwise.operations._part import in_both
from chunkwise.operations.filter._floats import floats, in_floats
from chunkwise.operations.model import Parameter

#: The widths, in the words of NumPy.
SIGMAS: Final = "numpy.linspace(sigma_min, sigma_max, sigmas).tolist()"
#: Voxels whose eigenvalues are computed at once: 172 bytes each.
AT_ONCE: Final = 2**17
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
        "which ridges are found",
        choices={"bright": "brighter than what surrounds them", "dark": "darker than what surrounds them"},
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
    VoxelsError
        If a voxel is not finite: it would show as far as scikit-image computes with weights of 0.
    """
    import numpy as np

    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise VoxelsError("Ridges cannot be found around voxels that are infinite or not numbers; replace them first.")
    return image


def hessian(image: Any, sigma: float, ridges: str, inner: Any) -> list[Any]:
    """The elements of the Hessian, as scikit-image orders them: Gaussians' derivatives, one after the other.

    Of each, less of the halo is looked at than of the one before; what takes most of the time, the eigenvalues, is
    left to be computed of the inner part alone.

    Parameters
    ----------
    image : ndarray
        A block with its halo.
    sigma : float
        Of the Gaussian.
    ridges : str
        ``bright`` or ``dark``.
    inner : tuple of slice, or None
        The part of it that is wanted; None stands for all of it.
    """
    from scipy.ndimage import gaussian_filter

    voxels = in_floats(finite(image))
    voxels = voxels if ridges == "dark" else -voxels
    inner = tuple(slice(0, n) for n in image.shape) if inner is None else inner
    far = _reach(sigma) // 2
    smooth = partial(gaussian_filter, sigma=1 / sqrt(2) * sigma, truncate=8 if sigma > 1 else 100)
    outer, middle = _around(inner, 2 * far, voxels.shape), _around(inner, far, voxels.shape)
    orders = [tuple(int(axis == one) for axis in range(voxels.ndim)) for one in range(voxels.ndim)]
    within_outer, within_middle = _within(middle, outer), _within(inner, middle)
    found = []
    for first in range(voxels.ndim):
        once = smooth(voxels[outer], order=orders[first])[within_outer]
        found += [smooth(once, order=order)[within_middle].copy() for order in orders[first:]]
    return found


def by_bends(elements: list[Any], measure: Callable[[Any], Any], where: Any = None) -> Any:
    """Measure how an image bends at each voxel, in scikit-image's steps; some planes at once.

    Parameters
    ----------
    elements : list of ndarray
        Of the Hessian; see :func:`hessian`.
    measure : callable
        Takes the eigenvalues of the Hessian, those of the strongest bend first, in the first axis; gives one number a
        voxel.
    where : ndarray of bool, optional
        The voxels that are measured; the others are 0.

    Returns
    -------
    ndarray
        Of the elements' shape.
    """
    import numpy as np
    from skimage import feature

    eigenvalues: Any = feature
    out = np.zeros_like(elements[0])
    step = max(1, AT_ONCE // max(1, out[0].size))
    for start in range(0, len(out), step):
        part = slice(start, start + step)
        chosen = np.ones(out[part].shape, np.bool_) if where is None else where[part]
        # scikit-image sees by the number of axes how many there are of the image.
        listed = [element[part][chosen].reshape(-1, *(1,) * (out.ndim - 1)) for element in elements]
        out[part][chosen] = measure(eigenvalues.hessian_matrix_eigvals(listed)).reshape(-1)
    return out


def _around(box: tuple[slice, ...], far: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(0, part.start - far), min(size, part.stop + far)) for part, size in zip(box, shape, strict=True)
    )


def _within(box: tuple[slice, ...], outer: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(box, outer, strict=True)
    )


#: A filter for ridges.
ridge_filter: Final = partial(
    floats,
    parameters=PARAMETERS,
    refuses=refuses,
    reach=reach,
    reach_is="upper",
    least_reach=least_reach,
    rounds=True,
    crops=True,
    scratch=88.0,
    examples=in_both(sigma_min=2.0, sigmas=1),
)
