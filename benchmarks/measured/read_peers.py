"""Read every chunk of an array, chunk by chunk."""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import sys
from itertools import product
from typing import Any


def zarr_python(image: str, pipeline: str = "") -> Any:
    import zarr

    if pipeline:
        zarr.config.set({"codec_pipeline.path": pipeline})
    return zarr.open_array(f"{image}/0", mode="r")


def zarrs(image: str) -> Any:
    return zarr_python(image, "zarrs.ZarrsCodecPipeline")


class Tensorstore:
    """As it comes: with all its threads."""

    def __init__(self, image: str) -> None:
        import tensorstore as ts

        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{image}/0/"}}
        self._array: Any = ts.open(spec, open=True, read=True).result()
        self.shape, self.chunks = self._array.shape, self._array.chunk_layout.read_chunk.shape

    def __getitem__(self, box: Any) -> Any:
        return self._array[box].read().result()


def read(array: Any) -> dict[str, Any]:
    total = size = 0
    for index in product(*[range(-(-n // c)) for n, c in zip(array.shape, array.chunks, strict=True)]):
        box = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, array.chunks, array.shape, strict=True))
        chunk = array[box]
        total += int(chunk.flat[0])
        size += chunk.nbytes
    return {"MiB": size >> 20, "first voxels": total}


OPEN = {"zarr": zarr_python, "zarrs": zarrs, "tensorstore": Tensorstore}

if __name__ == "__main__":
    print(json.dumps(read(OPEN[sys.argv[1]](sys.argv[2]))))
