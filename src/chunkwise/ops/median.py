"""Median and other ranks of a box, equal to SciPy's to the bit.

SciPy gathers the neighbourhood of every voxel and sorts as much of it as it needs. Here the bits of
the median are found from the highest to the lowest: a bit is set when at most half of the
neighbourhood (or as much as another rank says) lies below the number that it would give. That is
counting only, done for a whole register of neighbouring voxels at once, and bits in which a
neighbourhood agrees cost nothing. The loops are in ``src/kernels/median.cpp``.

SciPy itself computes what that order cannot tell: see :func:`median`.

References: ``scipy.ndimage.median_filter(image, size)`` and ``rank_filter(image, rank, size)``, mode
``reflect``. Algorithm: bisection by rank, as in P. E. Danielsson, "Getting the median faster", Computer
Graphics and Image Processing 17 (1981) 71-78, https://doi.org/10.1016/S0146-664X(81)80010-3.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from chunkwise import _kernels
from chunkwise.ops.solid import Box, bounds_of, inner_of, solid_of

__all__ = ["median"]

Array = np.ndarray[Any, Any]


def median(image: Array, size: int | tuple[int, ...], inner: Box | None = None, rank: int | None = None) -> Array:
    """Filter an image, or a block with its halo.

    Parameters
    ----------
    image : ndarray
        Of an integer type, float32 or float64; 2-D or 3-D. A block with a halo of ``size // 2``
        voxels along each axis, cut at the image's edges, gives the whole image's values inside
        the halo.
    size : int or tuple of int
        Edge of the box in voxels, the same along every axis or one for each.
    inner : tuple of slice, optional
        The part to return; the whole image without it.
    rank : int, optional
        Which value of the neighbourhood in order, from 0; the middle one without it.

    Returns
    -------
    ndarray
        Of the image's dtype.

    Raises
    ------
    ValueError
        For an image that is not 2-D or 3-D, or a size that is not positive or not one for each axis.

    Notes
    -----
    Besides image and output, memory is taken for as many planes (rows, of a 2-D image) as the box
    is deep, in the image's dtype; 8-bit images take 2 bytes a voxel of these from 256 voxels in the
    box on, and 8- and 16-bit ones 4 from 65536 on.

    SciPy computes, as slowly as it does, an image in which there is a voxel of these kinds, because
    its result then depends on the order in which it sorts: not-a-number, a zero with a minus (equal
    to 0, but with other bytes), and an integer beyond 2**53, which it rounds to float64. A median
    of which these are neighbours is the one that SciPy gives for the same neighbourhood, so blocks
    agree with the whole image there, too.

    Where the box is eight times as long as an axis or longer, SciPy 1.17 can miss the mirrored image
    and give another number; here the image goes on mirrored, however often.
    """
    if image.ndim not in (2, 3):
        raise ValueError(f"A median filter takes an image with 2 or 3 axes, not {image.ndim}.")
    sizes = (size,) * image.ndim if isinstance(size, (int, np.integer)) else tuple(size)
    if len(sizes) != image.ndim or min(sizes) < 1:
        raise ValueError(f"The size of a median filter is one positive number, or one for each axis: not {size}.")
    inner = inner_of(image, inner)
    solid, box = solid_of(image, inner)
    out = np.empty(tuple(part.stop - part.start for part in box), image.dtype)
    solid_size = sizes if image.ndim == 3 else (sizes[0], 1, sizes[1])
    rank = prod(sizes) // 2 if rank is None else rank
    if out.size and not _kernels.rank_filter(solid, bounds_of(box), solid_size, rank, out):
        from scipy.ndimage import rank_filter

        return np.asarray(rank_filter(image, rank, sizes))[inner]
    return out.reshape(tuple(part.stop - part.start for part in inner))
