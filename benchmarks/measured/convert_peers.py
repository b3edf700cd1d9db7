"""An image as an OME-Zarr 0.5 with its levels, by peers that are libraries, as their documentation does it.

``factors`` is JSON: of each lower level the factors of its axes, relative to the full level.
"""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import os
import sys
from typing import Any


def _array(source: str) -> Any:
    """The full level of an input as an array that is read when asked; a TIFF through tifffile, by its chunks."""
    import zarr

    if os.path.isdir(source):
        return zarr.open_array(f"{source}/0", mode="r")
    import tifffile

    return zarr.open_array(tifffile.imread(source, aszarr=True, level=0), mode="r")


def ome_zarr(source: str, output: str, factors: str) -> None:
    import dask.array as da
    from ome_zarr.scale import Methods
    from ome_zarr.writer import write_image

    # By itself it writes the chunks of the source; strips of a plane would be a million files.
    voxels = da.from_zarr(_array(source), chunks=(64, 256, 256))
    write_image(voxels, output, axes=list("zyx"), scale_factors=json.loads(factors), method=Methods.LOCAL_MEAN)


def iohub(source: str, output: str, factors: str) -> None:
    from iohub.ngff import open_ome_zarr

    array = _array(source)
    with open_ome_zarr(output, layout="fov", mode="w-", channel_names=["0"], version="0.5") as made:
        image: Any = made.create_zeros(
            "0", (1, 1, *array.shape), array.dtype, chunks=(1, 1, 64, 64, 64), shards_ratio=(1, 1, 4, 4, 4)
        )
        for start in range(0, array.shape[0], 256):
            image[0, 0, start : start + 256] = array[start : start + 256]
        made.compute_pyramid(levels=len(json.loads(factors)) + 1)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({}))
