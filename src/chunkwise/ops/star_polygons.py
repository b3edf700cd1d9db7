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

import numba
import numpy as np

__all__ = ["KEPT", "LOST", "OPEN", "decide", "draw", "reach_of", "rays_of", "visible"]

Array = np.ndarray[Any, Any]

#: Of a candidate: not decided yet, kept, not kept.
OPEN, KEPT, LOST = 0, 1, 2

#: Parts of a pixel in which vertices are counted.
FINE = 64


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
        reach = np.where(state == LOST, 0, reach_of(distances))
        _decide(places, distances, rays_of(distances.shape[1]), reach, state, whole, overlap)


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
        _draw(places, distances, rays_of(distances.shape[1]), reach_of(distances), values, out)


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
        rays, reach = rays_of(distances.shape[1]), reach_of(distances)
        _visible(places, distances, rays, reach, shape[0], shape[1], wanted, counts, firsts)
    return counts, firsts


@numba.njit(cache=True, nogil=True)
def _polygon(distances, rays, reach, bits):
    """Set the pixels of a polygon to 1; its centre is at (reach, reach). Gives how many."""
    size = 2 * reach + 1
    bits[:size, :size] = 0
    count = len(distances)
    ys, xs = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    for k in range(count):
        ray = np.float64(distances[k]) if distances[k] > 0 else np.float64(0)
        ys[k] = np.int64(np.rint(ray * rays[k, 0] * FINE)) + reach * FINE
        xs[k] = np.int64(np.rint(ray * rays[k, 1] * FINE)) + reach * FINE
    ys[count], xs[count] = ys[0], xs[0]
    # Bits 1 and 2: an odd number of edges crosses the row before the pixel, or at it (1: their upper ends do not
    # count; 2: their lower ones do not, and those at the pixel do not). Where they differ, it lies on an edge.
    for k in range(count):
        y1, x1, y2, x2 = ys[k], xs[k], ys[k + 1], xs[k + 1]
        if y1 % FINE == 0 and x1 % FINE == 0:
            bits[y1 // FINE, x1 // FINE] |= 4
        if y1 == y2:
            continue
        if y1 > y2:
            y1, x1, y2, x2 = y2, x2, y1, x1
        height = (y2 - y1) * FINE
        for row in range(-((-y1) // FINE), y2 // FINE + 1):
            # The edge crosses the row at place / height pixels.
            place = x1 * (y2 - y1) + (row * FINE - y1) * (x2 - x1)
            if row * FINE < y2:
                bits[row, -((-place) // height)] ^= 1
            if row * FINE > y1:
                bits[row, place // height + 1] ^= 2
    found = 0
    for row in range(size):
        inside = 0
        for column in range(size):
            inside ^= bits[row, column] & 3
            if inside or bits[row, column] & 4:
                bits[row, column] = 1
                found += 1
            else:
                bits[row, column] = 0
    return found


@numba.njit(cache=True, nogil=True)
def _shared(a, reach_a, b, reach_b, dy, dx):
    """Pixels of both polygons; the centre of b lies at (dy, dx) from that of a."""
    found = 0
    for row in range(max(-reach_a, dy - reach_b), min(reach_a, dy + reach_b) + 1):
        for column in range(max(-reach_a, dx - reach_b), min(reach_a, dx + reach_b) + 1):
            found += a[row + reach_a, column + reach_a] & b[row - dy + reach_b, column - dx + reach_b]
    return found


@numba.njit(cache=True, nogil=True)
def _cells(places, edge):
    """Origin and shape of a grid of cells around all places."""
    y0, x0 = places[:, 0].min(), places[:, 1].min()
    return y0, x0, (places[:, 0].max() - y0) // edge + 1, (places[:, 1].max() - x0) // edge + 1


@numba.njit(cache=True, nogil=True)
def _decide(places, distances, rays, reach, state, whole, overlap):
    widest = reach.max()
    edge = 2 * widest + 1  # polygons that overlap lie in neighbouring cells
    y0, x0, rows, columns = _cells(places, edge)
    # Candidates that may stand in the way of later ones, as lists: one for each cell, and each state.
    first = np.full((2, rows, columns), -1)
    following = np.full(len(places), -1)
    mine = np.zeros((2 * widest + 1, 2 * widest + 1), np.uint8)
    other = np.zeros((2 * widest + 1, 2 * widest + 1), np.uint8)
    for i in range(len(places)):
        y, x = places[i]
        row, column = (y - y0) // edge, (x - x0) // edge
        if state[i] == OPEN:
            pixels = _polygon(distances[i], rays, reach[i], mine)
            for against in (KEPT, OPEN):
                if against == OPEN and not whole[i]:
                    break  # something out of sight may stand in its way
                met = False
                # Those near by are likeliest to be in conflict, and one is enough.
                for near in (True, False):
                    for r in range(max(row - 1, 0), min(row + 2, rows)):
                        for c in range(max(column - 1, 0), min(column + 2, columns)):
                            j = first[against, r, c]
                            while j >= 0 and not met:
                                dy, dx = places[j, 0] - y, places[j, 1] - x
                                span, apart = reach[i] + reach[j], max(abs(dy), abs(dx))
                                if apart <= span and (2 * apart <= span) == near:
                                    theirs = _polygon(distances[j], rays, reach[j], other)
                                    both = _shared(mine, reach[i], other, reach[j], dy, dx)
                                    met = both > overlap * min(pixels, theirs)
                                j = following[j]
                if met:
                    if against == KEPT:
                        state[i] = LOST
                    break
                if against == OPEN:
                    state[i] = KEPT
        if state[i] != LOST:
            following[i] = first[state[i], row, column]
            first[state[i], row, column] = i


@numba.njit(cache=True, nogil=True)
def _draw(places, distances, rays, reach, values, out):
    widest = reach.max()
    bits = np.zeros((2 * widest + 1, 2 * widest + 1), np.uint8)
    for i in range(len(places) - 1, -1, -1):
        _polygon(distances[i], rays, reach[i], bits)
        y, x = places[i, 0] - reach[i], places[i, 1] - reach[i]
        for row in range(max(0, -y), min(2 * reach[i] + 1, out.shape[0] - y)):
            for column in range(max(0, -x), min(2 * reach[i] + 1, out.shape[1] - x)):
                if bits[row, column]:
                    out[y + row, x + column] = values[i]


@numba.njit(cache=True, nogil=True)
def _visible(places, distances, rays, reach, height, width, wanted, counts, firsts):
    widest = reach.max()
    edge = 2 * widest + 1
    y0, x0, rows, columns = _cells(places, edge)
    first = np.full((rows, columns), -1)
    following = np.full(len(places), -1)
    mine = np.zeros((2 * widest + 1, 2 * widest + 1), np.uint8)
    other = np.zeros((2 * widest + 1, 2 * widest + 1), np.uint8)
    for i in range(len(places)):
        y, x = places[i]
        row, column = (y - y0) // edge, (x - x0) // edge
        if wanted[i]:
            _polygon(distances[i], rays, reach[i], mine)
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(column - 1, 0), min(column + 2, columns)):
                    j = first[r, c]
                    while j >= 0:
                        dy, dx = places[j, 0] - y, places[j, 1] - x
                        a, b = reach[i], reach[j]
                        if abs(dy) <= a + b and abs(dx) <= a + b:
                            _polygon(distances[j], rays, b, other)
                            for v in range(max(-a, dy - b), min(a, dy + b) + 1):
                                for u in range(max(-a, dx - b), min(a, dx + b) + 1):
                                    if other[v - dy + b, u - dx + b]:
                                        mine[v + a, u + a] = 0
                        j = following[j]
            a = reach[i]
            for v in range(max(-a, -y), min(a, height - 1 - y) + 1):
                for u in range(max(-a, -x), min(a, width - 1 - x) + 1):
                    if mine[v + a, u + a]:
                        counts[i] += 1
                        if firsts[i] < 0:
                            firsts[i] = (y + v) * width + x + u
        following[i] = first[row, column]
        first[row, column] = i
