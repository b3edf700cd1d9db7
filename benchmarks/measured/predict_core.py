"""A model on a plane, by bioimageio.core's own blocked prediction; and the plane."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
import zarr

#: Pixels of a tile, so that 1024 of them count between two halos of 80.
TILE = 1184


def make(edge: str, target: str) -> None:
    """Write a plane of noise and blobs."""
    from scipy.ndimage import gaussian_filter

    size = int(edge)
    rng = np.random.default_rng(0)
    blobs = gaussian_filter((rng.random((512, 512)) > 0.997).astype(float), 6)
    plane = np.tile(blobs / blobs.max() * 3000, (-(-size // 512),) * 2)[:size, :size] + rng.integers(
        0, 200, (size, size)
    )
    group = zarr.open_group(target, mode="w", zarr_format=3)
    axes: Any = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    scale: Any = [{"type": "scale", "scale": [0.5, 0.5]}]
    entry: Any = {"name": "plane", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    made: Any = group.create_array("0", shape=plane.shape, dtype="uint16", chunks=(512, 512))
    made[:] = plane.astype(np.uint16)


def predict(image: str, target: str, package: str) -> None:
    """Read the plane, predict it in blocks, write the maps."""
    warnings.simplefilter("ignore")
    import onnxruntime
    from loguru import logger

    logger.disable("bioimageio.core")
    logger.disable("bioimageio.spec")
    from bioimageio.core import Sample, Tensor, create_prediction_pipeline
    from bioimageio.spec import load_model_description

    # One thread, as chunkwise's worker has; bioimageio.core has no option for it.
    real = onnxruntime.InferenceSession

    def single(source: Any, providers: Any = None) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return real(source, options, providers=providers)

    onnxruntime.InferenceSession = single
    description: Any = load_model_description(package)
    source: Any = zarr.open_array(f"{image}/0", mode="r")
    dims: Any = ["batch", "channel", "y", "x"]
    member: Any = description.inputs[0].id
    sample = Sample(members={member: Tensor(source[:][None, None], dims=dims)}, stat={}, id=None)
    blocks: Any = {member: {"batch": 1, "channel": 1, "y": TILE, "x": TILE}}
    with create_prediction_pipeline(description, weights_format="onnx") as pipeline:
        found = pipeline.predict_sample_with_fixed_blocking(sample, blocks)
    maps = np.asarray(next(iter(found.members.values())).data)[0].astype(np.float32)
    made: Any = zarr.create_array(target, shape=maps.shape, dtype="float32", chunks=(1, 512, 512))
    made[:] = maps
    print(json.dumps({"maps": maps.shape[0]}))


if __name__ == "__main__":
    predict(*sys.argv[1:]) if len(sys.argv) == 4 else make(*sys.argv[1:])
