"""Tiny bioimage.io packages, made for the tests: a few random layers, so that nothing is hidden by a trained one.

Random weights let every voxel in the network's reach count; a halo that is too small by one voxel shows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.models.package import bioimageio

__all__ = ["ZERO_MEAN", "image_store", "make_package", "noise", "percentiles", "predict", "whole_image"]

ZERO_MEAN = [
    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
    {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}},
    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
]


def percentiles(low: float, high: float, axes: Sequence[str] | None = ("y", "x")) -> list[dict[str, Any]]:
    """Preprocessing by percentiles; without axes, of the whole data set."""
    kwargs = {"min_percentile": low, "max_percentile": high} | ({"axes": list(axes)} if axes else {})
    return [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        {"id": "scale_range", "kwargs": kwargs},
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
    ]


def network(ndim: int, inputs: int, outputs: int, pool: bool, everywhere: bool, fixed: int | None) -> onnx.ModelProto:
    """Convolution, pooling and upsampling beside it, convolution: stride 2, or 1 without pooling."""
    rng = np.random.default_rng(5)
    constants: list[Any] = []
    nodes: list[Any] = []

    def constant(name: str, value: Any) -> str:
        constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def convolution(source: str, target: str, before: int, after: int) -> None:
        weights = (rng.normal(size=(after, before, *[3] * ndim)) / np.sqrt(before * 3**ndim)).astype(np.float32)
        nodes.append(
            onnx.helper.make_node(
                "Conv", [source, constant(f"w_{target}", weights), constant(f"b_{target}", np.full(after, 0.1, "f4"))],
                [target], kernel_shape=[3] * ndim, pads=[1] * 2 * ndim,
            )
        )  # fmt: skip

    def node(kind: str, sources: list[str], target: str, **attributes: Any) -> None:
        nodes.append(onnx.helper.make_node(kind, sources, [target], **attributes))

    convolution("image", "a", inputs, 4)
    node("LeakyRelu", ["a"], "b")
    last, width = "b", 4
    if pool:
        node("MaxPool", ["b"], "c", kernel_shape=[2] * ndim, strides=[2] * ndim)
        convolution("c", "d", 4, 4)
        node("LeakyRelu", ["d"], "e")
        scales = constant("scales", np.array([1, 1, *[2] * ndim], np.float32))
        node("Resize", ["e", "", scales], "f", mode="linear")
        node("Concat", ["b", "f"], "g", axis=1)
        last, width = "g", 8
    if everywhere:
        node("GlobalAveragePool", [last], "h")
        node("Add", [last, "h"], "i")
        last = "i"
    convolution(last, "maps", width, outputs)
    shape = [1, None, *[fixed] * ndim] if fixed else [None] * (ndim + 2)
    sizes = [entry if entry else f"d{number}" for number, entry in enumerate(shape)]
    graph = onnx.helper.make_graph(
        nodes, "tiny",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [sizes[0], inputs, *sizes[2:]])],
        [onnx.helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, [sizes[0], outputs, *sizes[2:]])],
        constants,
    )  # fmt: skip
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def make_package(
    folder: Path,
    *,
    ndim: int = 2,
    inputs: Sequence[str] = ("nuclei",),
    outputs: Sequence[str] = ("foreground", "boundary"),
    pool: bool = True,
    everywhere: bool = False,
    fixed: int | None = None,
    least: int = 16,
    step: int = 4,
    before: Sequence[dict[str, Any]] = tuple(ZERO_MEAN),
    after: Sequence[dict[str, Any]] = ({"id": "sigmoid"},),
    extra: dict[str, Any] | None = None,
    fails: bool = False,
) -> Path:
    """Write a package; its test tensors are what bioimageio.core makes of it, unless it shall fail."""
    folder.mkdir(parents=True)
    onnx.save(network(ndim, len(inputs), len(outputs), pool, everywhere, fixed), folder / "weights.onnx")
    space = "zyx"[-ndim:]
    voxel = {"scale": 0.5, "unit": "micrometer"}
    size: Any = fixed or {"min": least, "step": step}
    edge = fixed or least + 2 * step
    batch = {"type": "batch"} | ({"size": 1} if fixed else {})
    description = {
        "type": "model",
        "format_version": "0.5.4",
        "name": "Tiny model",
        "description": "Random layers, for tests.",
        "authors": [{"name": "Nobody"}],
        "cite": [{"text": "nothing", "doi": "10.5281/zenodo.0000000"}],
        "license": "CC0-1.0",
        "documentation": "README.md",
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    batch,
                    {"type": "channel", "channel_names": list(inputs)},
                    *({"type": "space", "id": axis, "size": size, **voxel} for axis in space),
                ],
                "test_tensor": {"source": "input.npy"},
                "preprocessing": list(before),
            }
        ],
        "outputs": [
            {
                "id": "maps",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": list(outputs)},
                    *(
                        {"type": "space", "id": axis, "size": {"tensor_id": "raw", "axis_id": axis}, **voxel}
                        for axis in space
                    ),
                ],
                "test_tensor": {"source": "output.npy"},
                "postprocessing": list(after),
            }
        ],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": 17}},
        **(extra or {}),
    }  # fmt: skip
    (folder / "README.md").write_text("# Tiny model\n")
    (folder / "bioimageio.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    image = np.random.default_rng(1).gamma(2, 300, (1, len(inputs), *[edge] * ndim)).astype(np.float32)
    np.save(folder / "input.npy", image)
    np.save(folder / "output.npy", np.full((1, len(outputs), *[edge] * ndim), 0.5, np.float32))
    if not fails:
        np.save(folder / "output.npy", whole_image(folder, image))
    return folder


def whole_image(package: Path, image: np.ndarray[Any, Any], extended: Sequence[int] | None = None) -> Any:
    """What bioimageio.core makes of a whole image with the axes batch, channel and space, and nothing of ours.

    With ``extended``, the image is first mirrored at its end up to this spatial shape; its statistics are those of
    the image as it was.
    """
    bioimageio()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bioimageio.core import Sample, Tensor, create_prediction_pipeline
        from bioimageio.core.proc_setup import get_requried_measures
        from bioimageio.core.stat_calculators import compute_measures
        from bioimageio.spec import load_model_description

        description = load_model_description(package)
        dims: Any = ["batch", "channel", *"zyx"[-(image.ndim - 2) :]]
        name: Any = description.inputs[0].id
        sample = Sample(members={name: Tensor(image, dims=dims)}, stat={}, id=None)
        known: Any = {}
        if extended is not None:
            required = get_requried_measures(description)
            known = compute_measures(required.pre, [sample]) if required.pre else {}
            more = [(0, 0), (0, 0), *((0, e - n) for e, n in zip(extended, image.shape[2:], strict=True))]
            padded = np.pad(image, more, mode="symmetric")
            sample = Sample(members={name: Tensor(padded, dims=dims)}, stat=dict(known), id=None)
        pipeline = create_prediction_pipeline(description, weights_format="onnx", fixed_dataset_statistics=known)
        found = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
        result = np.asarray(next(iter(found.members.values())).data)
    return result[(slice(None), slice(None), *(slice(0, n) for n in image.shape[2:]))]


def image_store(folder: Path, voxels: np.ndarray[Any, Any], axes: str, name: str = "image.ome.zarr") -> Path:
    entry = made_stores.multiscale(axes, levels=1)
    store = made_stores.write(folder / name, "0.5", axes, voxels.shape, voxels.dtype, entry=entry, chunk=64)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return store


def noise(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 3) -> np.ndarray[Any, Any]:
    """Uneven: brighter to the lower right, so that tiles have other statistics than the image."""
    values = np.random.default_rng(seed).gamma(2, 400, shape)
    for axis in (-1, -2):
        values = values * np.linspace(0.3, 2, shape[axis]).reshape([-1 if a == axis else 1 for a in (-2, -1)])
    if dtype == "uint8":
        values = values / 30
    return np.minimum(values, np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else np.inf).astype(dtype)


def predict(store: Path, model: Path | str, output: Path, *words: str) -> np.ndarray[Any, Any]:
    assert main(["predict", str(store), "--model", str(model), "--output", str(output), *words]) == 0
    return np.asarray(zarr.open_array(output / "0", mode="r")[...])
