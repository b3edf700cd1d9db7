"""What it costs to look at the objects of an input: microseconds an object, on this disk.

python benchmarks/stamp.py [OBJECTS] [FOLDER]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chunkwise.storage.location import resolve
from chunkwise.storage.stamp import SECONDS, Objects, kind_of, sweep


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    edge = round(count ** (1 / 3))
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [8 * edge] * 3,
            "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8] * 3}},
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "bytes"}],
            "attributes": {},
        }
        Path(folder, "zarr.json").write_text(json.dumps(document))
        content = np.zeros(512, np.uint8).tobytes()
        for z in range(edge):
            for y in range(edge):
                place = os.path.join(folder, "c", str(z), str(y))
                os.makedirs(place)
                for x in range(edge):
                    Path(place, str(x)).write_bytes(content)
        array = resolve(folder, None)
        SECONDS["file"] = 3600
        for _ in range(2):
            begin = time.perf_counter()
            objects = Objects(array, [(slice(0, 8 * edge),) * 3])
            found = sweep(objects, kind_of(array))
            took = time.perf_counter() - begin
            size = len(json.dumps([[end, f"{total:032x}"] for end, total in found.groups]))
            print(
                f"{found.reached} objects: {took:.1f} s, {took / found.reached * 1e6:.1f} us each, {size} bytes noted"
            )


main()
