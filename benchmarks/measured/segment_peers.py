"""Gaussian of sigma 1, Otsu, components, written as Zarr: as each peer does it best.

The input is the array ``0`` of a store, the output an array of uint32 in the chunks of the input, zstd level 3.
The smoothing is ``scipy.ndimage.gaussian_filter`` on the image's own type, except where said; the threshold comes
from the exact histogram.
"""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

SIGMA, HALO = 1, 4
#: Blocks of those that work blockwise: large, so that what a block costs weighs little.
BLOCK = {3: (128, 512, 512), 2: (4096, 4096)}


def _source(image: str) -> Any:
    return zarr.open_array(f"{image}/0", mode="r")


def _target(output: str, source: Any, dtype: str = "uint32") -> Any:
    return zarr.create_array(
        output,
        shape=source.shape,
        dtype=dtype,
        chunks=source.chunks,
        compressors=ZstdCodec(level=3),
        overwrite=True,
    )


def _otsu(counts: Any) -> int:
    from skimage.filters import threshold_otsu

    values = np.flatnonzero(counts)
    centers = np.arange(values[0], values[-1] + 1)
    return int(threshold_otsu(hist=(counts[values[0] : values[-1] + 1], centers)))


def scikit_image(image: str, output: str) -> None:
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu
    from skimage.measure import label

    source = _source(image)
    smooth = gaussian_filter(source[:], SIGMA)
    mask = smooth > threshold_otsu(smooth)
    del smooth
    _target(output, source)[:] = label(mask, connectivity=mask.ndim).astype(np.uint32)


def scipy(image: str, output: str) -> None:
    from scipy import ndimage

    source = _source(image)
    smooth = ndimage.gaussian_filter(source[:], SIGMA)
    mask = smooth > _otsu(np.bincount(smooth.ravel()))
    del smooth
    labels, _ = ndimage.label(mask, np.ones((3,) * mask.ndim))
    _target(output, source)[:] = labels.astype(np.uint32, copy=False)


def dask_image(image: str, output: str) -> None:
    import dask
    import dask.array as da
    from dask_image.ndfilters import gaussian_filter
    from dask_image.ndmeasure import label

    source = _source(image)
    voxels = da.from_zarr(source, chunks=BLOCK[source.ndim])
    smooth = gaussian_filter(voxels, SIGMA)
    counting = dask.delayed(lambda block: np.bincount(block.ravel(), minlength=65536))
    counts = sum(dask.compute(*[counting(block) for block in smooth.to_delayed().ravel()]))
    # The mask is stored: label() would compute what it is made of several times.
    stage = f"{output}.mask"
    da.store(smooth > _otsu(counts), _target(stage, source, "bool"), lock=False)
    mask = da.from_zarr(zarr.open_array(stage, mode="r"), chunks=BLOCK[source.ndim])
    labels, count = label(mask, np.ones((3,) * source.ndim))
    storing = da.store(labels.astype(np.uint32), _target(output, source), lock=False, compute=False)
    _, count = dask.compute(storing, count)
    shutil.rmtree(stage)


def _boxes(shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    block = BLOCK[len(shape)]
    return [
        tuple(slice(i * b, min((i + 1) * b, n)) for i, b, n in zip(index, block, shape, strict=True))
        for index in product(*[range(-(-n // b)) for n, b in zip(shape, block, strict=True)])
    ]


def _threshold(source: Any) -> int:
    """Otsu's threshold of the smoothed image, blockwise, on threads; for peers that have no threshold of all."""
    from scipy.ndimage import gaussian_filter

    def count(box: tuple[slice, ...]) -> Any:
        wide = tuple(
            slice(max(0, p.start - HALO), min(n, p.stop + HALO)) for p, n in zip(box, source.shape, strict=True)
        )
        inner = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(box, wide, strict=True))
        return np.bincount(gaussian_filter(source[wide], SIGMA)[inner].ravel(), minlength=65536)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _otsu(sum(pool.map(count, _boxes(source.shape))))


def _tile(threshold: int) -> Any:
    from scipy.ndimage import gaussian_filter
    from skimage.measure import label

    def segment(tile: Any) -> Any:
        return label(gaussian_filter(tile, SIGMA) > threshold, connectivity=tile.ndim).astype(np.int32)

    return segment


def patchworks(image: str, output: str) -> None:
    import dask.array as da
    from patchworks import tile_process

    source = _source(image)
    voxels = da.from_zarr(source, chunks=BLOCK[source.ndim])
    tile_process(voxels, _tile(_threshold(source)), overlap=HALO, write_to=output, progress=False)


def elf(image: str, output: str) -> None:
    """With python-elf's own Gaussian: float32, cut to the image's type, so not quite the others' voxels."""
    from elf.parallel.filters import apply_filter

    source = _source(image)
    voxels = source[:]
    smooth = np.empty(voxels.shape, np.float32)
    apply_filter(voxels, "gaussianSmoothing", SIGMA, out=smooth, block_shape=BLOCK[voxels.ndim])
    _elf_label(smooth.astype(voxels.dtype), source, output)


def elf_scipy(image: str, output: str) -> None:
    """Smoothing by SciPy, as the others; python-elf labels."""
    from scipy.ndimage import gaussian_filter

    source = _source(image)
    _elf_label(gaussian_filter(source[:], SIGMA), source, output)


def _elf_label(smooth: Any, source: Any, output: str) -> None:
    from elf.parallel import label

    mask = smooth > _otsu(np.bincount(smooth.ravel()))
    del smooth
    labels = np.zeros(mask.shape, np.uint32)
    label(mask.astype(np.uint8), labels, block_shape=BLOCK[mask.ndim])
    _target(output, source)[:] = labels


def ngio(image: str, output: str) -> None:
    """Writes into the image's own store, so ``image`` is a copy, and the output lies in it."""
    assert output.startswith(image)
    from ngio import open_ome_zarr_container
    from ngio.iterators import SegmentationIterator, StitchConfig, ThreadedMapper

    source = _source(image)
    container = open_ome_zarr_container(image)
    labels = container.derive_label("nuclei", overwrite=True)
    sizes = {f"size_{axis}": size for axis, size in zip("zyx"[-source.ndim :], BLOCK[source.ndim], strict=True)}
    halo = dict.fromkeys("zyx"[-source.ndim :], HALO)
    segment = _tile(_threshold(source))

    def patch(voxels: Any) -> Any:
        return segment(voxels).astype(np.uint32)

    tiles = SegmentationIterator(container.get_image(), labels).by_grid(**sizes).with_halo(**halo)
    tiles.with_stitch(StitchConfig(block_size=10**6)).map_as_numpy(patch, mapper=ThreadedMapper())


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({}))
