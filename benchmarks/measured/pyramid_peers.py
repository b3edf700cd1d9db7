"""An OME-Zarr with levels below the full one, each voxel the mean of up to 2 x 2 x 2: as the peers write it.

``factors`` is JSON: of each lower level the factors of its axes, relative to the full level.
"""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import sys
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

ZSTD = {"name": "zstd", "configuration": {"level": 3, "checksum": False}}


def ome_zarr(image: str, output: str, factors: str) -> None:
    import dask.array as da
    from ome_zarr.scale import Methods
    from ome_zarr.writer import write_image

    source: Any = zarr.open_array(f"{image}/0", mode="r")
    write_image(
        da.from_zarr(source),
        output,
        axes=list("zyx"),
        scale_factors=json.loads(factors),
        method=Methods.LOCAL_MEAN,
        storage_options={"chunks": source.chunks, "compressors": [ZstdCodec(level=3)]},
    )


def ngff_zarr(image: str, output: str, factors: str, method: str) -> None:
    import dask.array as da
    import ngff_zarr as nz

    source: Any = zarr.open_array(f"{image}/0", mode="r")
    voxels = nz.to_ngff_image(da.from_zarr(source), dims=list("zyx"))
    # The chunks of the source; the factors of a level are relative to the full one.
    levels = nz.to_multiscales(
        voxels,
        scale_factors=json.loads(factors),
        method=nz.Methods[method],
        chunks=dict(zip("zyx", source.chunks, strict=True)),
    )
    nz.to_ome_zarr(output, levels, compressors=[ZstdCodec(level=3)])


def tensorstore(image: str, output: str, factors: str) -> None:
    """Levels only, chunk by chunk, one thread: what the library's own mean costs."""
    import tensorstore as ts

    context = ts.Context({"cache_pool": {"total_bytes_limit": 0}, "data_copy_concurrency": {"limit": 1}})
    above: Any = ts.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{image}/0/"}}, open=True, context=context
    ).result()
    before = [1, 1, 1]
    for level, factor in enumerate(json.loads(factors), 1):
        now = [factor[axis] for axis in "zyx"]
        steps = [n // b for n, b in zip(now, before, strict=True)]
        before = now
        shape = [-(-n // step) for n, step in zip(above.shape, steps, strict=True)]
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{output}/{level}/"},
            "metadata": {
                "shape": shape,
                "data_type": "uint16",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [64, 256, 256]}},
                "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, ZSTD],
            },
        }
        made: Any = ts.open(spec, create=True, delete_existing=True, context=context).result()
        half = ts.downsample(above, steps, "mean")
        for z in range(0, shape[0], 64):
            for y in range(0, shape[1], 256):
                for x in range(0, shape[2], 256):
                    box = (
                        slice(z, min(z + 64, shape[0])),
                        slice(y, min(y + 256, shape[1])),
                        slice(x, min(x + 256, shape[2])),
                    )
                    made[box].write(half[box].read().result()).result()
        above = made


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({}))
