"""A table of objects with scikit-image, in memory."""

# The peers lie in another environment, and most have no types.
# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import sys
from typing import Any

import zarr


def scikit_image(labels: str, image: str, output: str, properties: str) -> int:
    """``regionprops_table``, written as tab-separated text; returns the number of rows."""
    from skimage.measure import regionprops_table

    objects: Any = zarr.open_array(f"{labels}/0", mode="r")
    voxels: Any = zarr.open_array(f"{image}/0", mode="r")
    table = regionprops_table(objects[:], voxels[:], properties=properties.split(","))
    with open(output, "w", encoding="utf-8") as file:
        file.write("\t".join(table) + "\n")
        for row in zip(*table.values(), strict=True):
            file.write("\t".join(map(repr, (value.item() for value in row))) + "\n")
    return len(table["label"])


if __name__ == "__main__":
    print(json.dumps({"rows": scikit_image(*sys.argv[1:])}))
