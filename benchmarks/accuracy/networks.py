"""Maps of bioimage.io packages with ONNX weights on whole images, for the packages that are compared here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml

__all__ = ["Network"]

Array = np.ndarray[Any, Any]


class Network:
    """A package with one input of one channel and one output; `maps(image)` is its output, channels first."""

    def __init__(self, description: Path) -> None:
        about = yaml.safe_load(description.read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        weights = description.parent / about["weights"]["onnx"]["source"]
        self.session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self.before = about["inputs"][0]["preprocessing"]
        self.after = about["outputs"][0]["postprocessing"]
        size = next(axis["size"] for axis in about["inputs"][0]["axes"] if axis["type"] == "space")
        self.fixed = size if isinstance(size, int) else 0
        self.step, self.least = (1, size) if self.fixed else (size["step"], size["min"])

    def maps(self, image: Array) -> Array:
        """Maps of a grey image, with statistics of the whole of it."""
        values = self.prepared(image.astype(np.float32))
        return self.tiles(values) if self.fixed else self.whole(values)

    def prepared(self, image: Array) -> Array:
        """The preprocessing that the two packages here ask for."""
        step: dict[str, Any]
        for step in self.before:
            options = step["kwargs"]
            if step["id"] == "zero_mean_unit_variance":
                image = (image - image.mean()) / (image.std() + options.get("eps", 1e-6))
            elif step["id"] == "scale_range":
                low, high = np.percentile(image, (options["min_percentile"], options["max_percentile"]))
                image = (image - low) / (high - low + options["eps"])
            elif step["id"] != "ensure_dtype":
                raise ValueError(f"{step['id']} is not known here")
        return image.astype(np.float32)

    def run(self, values: Array) -> Array:
        """One run of the network, and its postprocessing."""
        result = self.session.run(None, {self.session.get_inputs()[0].name: values[None, None]})[0][0]
        if any(step["id"] == "sigmoid" for step in self.after):
            result = 1 / (1 + np.exp(-result))
        return np.asarray(result)

    def whole(self, values: Array) -> Array:
        """In one run, mirrored at the end to a size that the network takes."""
        height, width = values.shape
        more = [(0, max(self.least - n, -n % self.step)) for n in (height, width)]
        return self.run(np.pad(values, more, "symmetric"))[:, :height, :width]

    def tiles(self, values: Array, halo: int = 64) -> Array:
        """In tiles of the one size that the network takes, of which only the middle is kept."""
        height, width = values.shape
        inner = self.fixed - 2 * halo
        more = [(halo, -n % inner + halo) for n in (height, width)]
        padded = np.pad(values, more, "symmetric")
        result: Array | None = None
        for y in range(0, height, inner):
            for x in range(0, width, inner):
                tile = self.run(padded[y : y + self.fixed, x : x + self.fixed])
                if result is None:
                    result = np.zeros((len(tile), *padded.shape), np.float32)
                result[:, y : y + inner, x : x + inner] = tile[:, halo : halo + inner, halo : halo + inner]
        assert result is not None
        return result[:, :height, :width]
