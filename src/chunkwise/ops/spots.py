"""Spots: voxels whose response, smoothed or by scale, is the largest around them, as scikit-image finds them.

A block finds its candidates with a halo. What concerns more than a neighbourhood (the share of the largest response,
the border, spots that overlap) is decided once, on the table of all candidates of a volume, in scikit-image's order.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ops.labelling import load_small, read_ahead
from chunkwise.ops.volumes import HaloedVolumes
from chunkwise.storage.writer import put_object

__all__ = ["Spots", "SpotVolumes", "find_spots", "memory_of"]

Array = np.ndarray[Any, Any]

#: Fields of a candidate.
FIELDS = ("place", "scale", "response", "intensity")


@dataclass(frozen=True)
class SpotVolumes(HaloedVolumes):
    """The volumes of an image, and how spots are found in them."""

    method: str = field(kw_only=True)
    sigmas: tuple[float, ...] = field(kw_only=True)
    """Scales that are looked at; for ``dog`` one more than there are differences."""
    ratio: float = field(kw_only=True)
    """Of ``dog``: of a scale to the one before."""
    distance: int = field(kw_only=True)
    """Of ``peaks``: a spot is the largest within so many voxels along each axis."""
    threshold: float = field(kw_only=True)

    @property
    def scales(self) -> int:
        """How many responses a voxel has."""
        return len(self.sigmas) - (self.method == "dog")

    @property
    def around(self) -> int:
        """How far a voxel is compared."""
        return self.distance if self.method == "peaks" else 1

    @property
    def reach(self) -> tuple[int, ...]:
        """How far a block looks: SciPy's Gaussians end at four sigma."""
        far = int(4.0 * max(self.sigmas) + 0.5) + self.around
        return (far,) * len(self.grid.shape)

    def responses(self, voxels: Array) -> Array:
        """What is compared: the response of every voxel, and a last axis for the scales."""
        from scipy.ndimage import gaussian_filter, gaussian_laplace

        image = voxels.astype(np.float64)
        found = np.empty((*image.shape, self.scales))
        if self.method == "dog":
            before = gaussian_filter(image, self.sigmas[0], mode="reflect")
            for place, sigma in enumerate(self.sigmas[1:]):
                after = gaussian_filter(image, sigma, mode="reflect")
                found[..., place] = before - after
                before = after
            found *= 1 / (self.ratio - 1)
        elif self.method == "log":
            for place, sigma in enumerate(self.sigmas):
                each = np.full(image.ndim, sigma)
                found[..., place] = -gaussian_laplace(image, each) * np.mean(each) ** 2
        else:
            found[..., 0] = gaussian_filter(image, self.sigmas[0]) if self.sigmas[0] else image
        return found


@dataclass(frozen=True)
class Spots:
    """The spots of a volume, the strongest response first."""

    places: Array
    """Shape (spots, axes): in voxels of the cut."""
    sigmas: Array
    responses: Array
    intensities: Array
    """The image's own values."""


@dataclass(frozen=True)
class _SpotPass:
    volumes: SpotVolumes
    run: Run


def memory_of(grid: Grid, dtype: str, scales: int, reach: tuple[int, ...]) -> int:
    """Project what a worker needs, in bytes: voxels, responses of all scales, and the largest around each."""
    outer = 2 * np.dtype(dtype).itemsize + 24 + 18 * scales + 8
    return projected_memory(grid, outer=outer, reach=reach)


def find_spots(volumes: SpotVolumes, relative: float, border: int, overlap: float, job: Job) -> list[Spots]:
    """Find the spots of every volume.

    Parameters
    ----------
    volumes : SpotVolumes
        Of one channel.
    relative : float
        Share of the volume's largest response that a spot has to exceed.
    border : int
        Spots in so many voxels along the border of the volume are left out, before overlaps are looked at.
    overlap : float
        Of two spots of which a larger share overlaps, the smaller one is dropped; not for ``peaks``.
    job : Job
        Where the work is done, and what is done already.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    work = _SpotPass(volumes, job.run)
    ends = map_pass(job, "spots", _find, work, volumes.n_blocks, voxels=volumes.voxels, grid=volumes.grid)
    return [
        _choose(volumes, relative, border, overlap, job.run, blocks, [ends[block] for block in blocks])
        for blocks in volumes.blocks_by_volume()
    ]


def _find(work: _SpotPass, number: int) -> BlockResult:
    """Find the candidates of a block: where a response is above the threshold, and the largest around."""
    from scipy.ndimage import maximum_filter

    volumes = work.volumes
    voxels, inner = volumes.with_halo(number)
    responses = volumes.responses(voxels)
    size = (*(2 * volumes.around + 1,) * voxels.ndim, 3)
    none = np.isnan(responses)
    if none.any():  # the largest of them would depend on where the filter begins
        responses = np.where(none, np.inf, responses)
    largest = maximum_filter(responses, size=size, mode="nearest")
    here = responses[inner]
    where = np.nonzero((here == largest[inner]) & (here > volumes.threshold) & ~none[inner])
    box = volumes.grid.block_box(volumes.place(number)[1])
    begin = np.array([part.start for part in box])
    buffer = io.BytesIO()
    np.savez(
        buffer,
        place=(np.transpose(where[:-1]) + begin).astype(np.int64),
        scale=where[-1].astype(np.int64),
        response=here[where],
        intensity=voxels[inner][where[:-1]],
    )
    found = put_object(work.run.folder, _key(number), buffer.getvalue())
    known = here[~np.isnan(here)]
    return BlockResult((found,), [float(known.min()), float(known.max())] if known.size else [])


def _choose(
    volumes: SpotVolumes,
    relative: float,
    border: int,
    overlap: float,
    run: Run,
    blocks: range,
    ends: list[list[float]],
) -> Spots:
    """Choose of the candidates of a volume, which are put in scikit-image's order first."""
    parts = [part for _, part in read_ahead(lambda number: load_small(run.path(_key(number)), *FIELDS), blocks)]
    places, scales, responses, intensities = (np.concatenate(column) for column in zip(*parts, strict=True))
    low, high = min((one[0] for one in ends if one), default=0.0), max((one[1] for one in ends if one), default=0.0)
    keep = responses > max(volumes.threshold, relative * high)
    keep &= ((places >= border) & (places < np.array(volumes.grid.shape) - border)).all(axis=1)
    if low == high and prod(volumes.grid.shape) * volumes.scales > 1:  # no voxel is more than another
        keep[:] = False
    order = np.lexsort((scales, *places.T[::-1], -responses))
    order = order[keep[order]]
    places, scales, responses, intensities = places[order], scales[order], responses[order], intensities[order]
    sigmas = np.array(volumes.sigmas)[scales]
    if volumes.method != "peaks" and len(places):
        from skimage.feature.blob import _prune_blobs

        blobs = np.hstack([places.astype(np.float64), sigmas[:, np.newaxis]])
        _prune_blobs(blobs, overlap)  # those that are dropped get the size 0
        keep = blobs[:, -1] > 0
        places, sigmas, responses, intensities = places[keep], sigmas[keep], responses[keep], intensities[keep]
    return Spots(places, sigmas, responses, intensities)


def _key(number: int) -> str:
    return f"scratch/spots/{number // 1000}/{number}.npz"
