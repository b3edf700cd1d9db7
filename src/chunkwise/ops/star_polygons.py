"""Star-convex polygons: their pixels, and which of them is kept where several describe one object.

The idea is that of StarDist (Schmidt, Weigert, Broaddus and Myers 2018, doi:10.1007/978-3-030-00934-2_30): of each
pixel a model says how likely it lies inside an object, and how far it is to the object's edge along n rays at equal
angles; of polygons that overlap, the one of the highest probability is kept. The rules here, in full:

- vertex k of the pixel (y, x) lies at ``y + rint(64 * r_k * sin(a_k)) / 64``, ``x + rint(64 * r_k * cos(a_k)) / 64``,
  where ``a_k = 2 * pi * k / n`` and ``r_k`` is the distance, at least 0, divided by the grid. In 64ths of a pixel all
  that follows is exact;
- a pixel belongs to a polygon if its centre lies inside or on the edge (``skimage.draw.polygon``);
- two polygons are in conflict if they share more than ``nms_threshold`` times the pixels of the smaller one;
- candidates are taken by falling probability, those of one probability in raster order; one is kept if it is in
  conflict with none that was kept before.

Whether a candidate is kept may hang on candidates far away, through a chain of conflicts. :func:`decide` looks at a
window, and decides only what no pixel outside of it can change; the rest waits until its neighbours are decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["KEPT", "LOST", "OPEN", "decide", "draw", "reach_of", "rays_of", "visible"]

Array = np.ndarray[Any, Any]

#: Of a candidate: not decided yet, kept, not kept.
OPEN, KEPT, LOST = 0, 1, 2


def rays_of(count: int) -> Array:
    """Sine and cosine of the angles of so many rays: ``(count, 2)``."""
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def reach_of(distances: Array) -> Array:
    """Pixels that polygons reach at most from their centres, as whole numbers; ``(n, rays)`` gives ``(n,)``."""
    longest: Array = np.fmax.reduce(distances, axis=1, initial=0)  # what is not a number is no distance
    return np.asarray(np.ceil(np.minimum(longest, 2.0**40))).astype(np.int64) + 1


def decide(places: Array, distances: Array, state: Array, whole: Array, overlap: float) -> None:
    """Decide which candidates are kept, as far as a window shows it.

    Parameters
    ----------
    places : ndarray of int64, shape (n, 2)
        Centres (y, x) in the order in which candidates are taken.
    distances : ndarray of float32 or float64, shape (n, rays)
        In pixels.
    state : ndarray of uint8, shape (n,)
        What is known of each; changed here.
    whole : ndarray of bool, shape (n,)
        Whether every candidate that can be in conflict is in the window, or known to be lost.
    overlap : float
        Share of the smaller polygon's pixels; more is a conflict.
    """
    if len(places):
        stars = _solid(places, distances)
        _kernels.decide(*stars, np.where(state == LOST, 0, reach_of(distances)), state, whole, overlap)


def draw(places: Array, distances: Array, values: Array, out: Array) -> None:
    """Draw polygons, the first on top.

    Parameters
    ----------
    places : ndarray of int64, shape (n, 2)
        Centres relative to the array's first pixel, in the order in which they were taken.
    distances : ndarray of float, shape (n, rays)
    values : ndarray, shape (n,)
        What each one's pixels become; of the dtype of ``out``.
    out : ndarray
        2-D; what lies outside of it is not drawn.
    """
    if len(places):
        _kernels.draw(*_solid(places, distances), reach_of(distances), np.ascontiguousarray(values), out)


def visible(places: Array, distances: Array, shape: tuple[int, int], wanted: Array) -> tuple[Array, Array]:
    """Count the pixels of polygons that no earlier one covers.

    Parameters
    ----------
    places : ndarray of int64, shape (n, 2)
        Centres in an image, in the order in which they were taken.
    distances : ndarray of float, shape (n, rays)
    shape : tuple of int
        Of the image; pixels outside of it do not count.
    wanted : ndarray of bool, shape (n,)
        Of which polygons the numbers are asked.

    Returns
    -------
    counts, firsts : ndarray of int64, shape (n,)
        Pixels, and the raster index of the first one; 0 and -1 where there is none, or none is wanted.
    """
    counts, firsts = np.zeros(len(places), np.int64), np.full(len(places), -1, np.int64)
    if len(places):
        stars = _solid(places, distances)
        _kernels.visible(*stars, reach_of(distances), *shape, np.ascontiguousarray(wanted), counts, firsts)
    return counts, firsts


def _solid(places: Array, distances: Array) -> tuple[Array, Array, Array]:
    """Centres and distances without gaps, and the rays."""
    return np.ascontiguousarray(places), np.ascontiguousarray(distances), rays_of(distances.shape[1])
