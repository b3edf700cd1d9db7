"""Touching nuclei parted by their distance to the background, with scikit-image, in memory, written as Zarr."""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec


def scikit_image(image: str, output: str, distance: str, spacing: str) -> int:
    """The calls of chunkwise's reference, on the whole volume; returns the number of seeds."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.measure import label
    from skimage.segmentation import watershed

    source: Any = zarr.open_array(f"{image}/0", mode="r")
    smooth = gaussian_filter(source[:], 1)
    mask = smooth > threshold_otsu(smooth)
    del smooth
    components = label(mask, connectivity=mask.ndim)
    far = distance_transform_edt(mask, sampling=[float(size) for size in spacing.split(",")])
    peaks = peak_local_max(far, min_distance=int(distance), labels=components, exclude_border=False)
    del components
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parted = watershed(-far, markers, mask=mask)
    target = zarr.create_array(
        output,
        shape=source.shape,
        dtype="uint32",
        chunks=source.chunks,
        compressors=ZstdCodec(level=3),
        overwrite=True,
    )
    target[:] = parted.astype(np.uint32)
    return len(peaks)


if __name__ == "__main__":
    print(json.dumps({"seeds": scikit_image(*sys.argv[1:])}))
