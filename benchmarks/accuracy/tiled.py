"""Are the labels the same whatever the tiles? A mosaic of real nuclei, cut through them in several ways.

    .venv/bin/python benchmarks/accuracy/tiled.py        (part of: make accuracy)

The reference is the whole mosaic in one run of ONNX Runtime, and its objects by scikit-image (training/decode.py).
Every other row is `chunkwise predict --model nuclei` and `chunkwise objects` with small blocks and shards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zarr
from networks import Network

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))

from decode import objects_of  # noqa: E402

Array = np.ndarray[Any, Any]
RESULT = Path(__file__).parent / "tiled.json"
SIDE = 4
CUTS = ((1024, 512, 1), (256, 256, 1), (144, 128, 2), (96, 64, 2))
"""Blocks and shards of predict (its tiles), blocks of objects, workers."""


def mosaic(folder: Path) -> Array:
    """4 x 4 dark images of 256 pixels, in the order of their names."""
    import tifffile

    images = [tifffile.imread(path) for path in sorted((folder / "images").glob("*.tif"))]
    fit = [image for image in images if image.shape == (256, 256) and np.median(image) < 100][: SIDE * SIDE]
    return np.block([[fit[SIDE * y + x] for x in range(SIDE)] for y in range(SIDE)])


def write(image: Array, path: Path) -> None:
    """An OME-Zarr 0.5 image of one channel, by zarr-python."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array("0", shape=(1, *image.shape), chunks=(1, 256, 256), dtype=image.dtype)
    array[0] = image
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx")]
    scale = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    level = {"path": "0", "coordinateTransformations": scale}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}


def chunkwise(*words: str) -> None:
    """Run the command that is beside this Python."""
    subprocess.run([str(Path(sys.executable).parent / "chunkwise"), *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run every cut, compare, write tiled.json."""
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared"
    image = mosaic(shared / "data" / "dsb2018_nuclei2d")
    package = ROOT / "models" / "nuclei" / "rdf.yaml"
    objects = yaml.safe_load(package.read_text())["config"]["chunkwise"]["objects"]
    maps = Network(package).maps(image)
    chosen = {name: maps[index] for name, index in objects["channels"].items()}
    truth = objects_of(chosen, objects["method"], objects["parameters"])
    rows: list[dict[str, Any]] = []
    first: Array | None = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(image, folder / "mosaic.ome.zarr")
        for tile, block, workers in CUTS:
            parts = [str(folder / f"{kind}-{tile}.ome.zarr") for kind in ("maps", "labels")]
            common = ("--workers", str(workers), "--memory", "4GiB")
            sizes = ("--block", f"{tile},{tile}", "--shard", f"{tile},{tile}")
            chunkwise(
                "predict", str(folder / "mosaic.ome.zarr"), "--model", "nuclei", "--output", parts[0], *sizes, *common
            )
            chunkwise("objects", parts[0], "--output", parts[1], "--block", f"{block},{block}", *common)
            found_maps, labels = (np.asarray(zarr.open_group(part, mode="r")["0"]) for part in parts)
            labels = labels.reshape(image.shape)
            difference = float(np.abs(found_maps.reshape(maps.shape) - maps).max())
            # Whether the same pixels are one object, whatever its number.
            pairs = np.unique(np.stack([truth.ravel(), labels.ravel()]), axis=1).shape[1]
            same = pairs == len(np.unique(truth)) == len(np.unique(labels))
            first = labels if first is None else first
            rows.append(
                {
                    "tile": tile,
                    "block": block,
                    "workers": workers,
                    "objects": int(labels.max()),
                    "map_difference": difference,
                    "same_as_scikit_image": bool(same),
                    "different_from_first": int((labels != first).sum()),
                }
            )
            print(rows[-1], flush=True)
    RESULT.write_text(json.dumps({"image": list(image.shape), "reference": int(truth.max()), "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
