"""A model made ready to run: weights in a backend, pre- and postprocessing of bioimageio.core around it."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from chunkwise.cluster.memory import give_back_large
from chunkwise.errors import InputError, PolicyError
from chunkwise.models.package import (
    CODE_FORMATS,
    Package,
    bioimageio,
    digest_of,
    load_description,
    read_package,
    read_weights,
)

__all__ = ["Measure", "Session", "choose_format", "find_device", "open_session"]

Array = np.ndarray[Any, Any]

#: In the order in which they are taken; what each needs beside this package.
BACKENDS = {"onnx": "onnxruntime", "torchscript": "torch", "pytorch_state_dict": "torch"}

#: Planes or volumes handed to a GPU at once, where the model allows it; less if they do not fit.
GPU_BATCH = 8


@dataclass(frozen=True)
class Measure:
    """A statistic that the model's preprocessing asks for."""

    key: Any
    """Of bioimageio.core."""
    input: str
    kind: str
    """``mean``, ``std`` or ``quantile``."""
    q: float
    method: str
    dataset: bool
    """Over all samples together."""
    over_channels: bool


def choose_format(package: Package, code_allowed: bool) -> str:
    """Choose the weights to run: the first format whose backend is there.

    Raises
    ------
    InputError
        If there is none; the sentence says what to install.
    PolicyError
        If all that could run holds code that the site does not trust.
    """
    known = [name for name in BACKENDS if name in package.formats]
    if not known:
        raise InputError(
            f"The model {package.name} comes only as {', '.join(package.formats)}, which chunkwise does not run; it "
            f"runs {', '.join(BACKENDS)}."
        )
    safe = [name for name in known if code_allowed or name not in CODE_FORMATS]
    if not safe:
        raise PolicyError(
            f"The model {package.name} comes only as {known[0]}, which runs Python code from the package; for that "
            "the site file has to say code = true in [models]."
        )
    there = [name for name in safe if importlib.util.find_spec(BACKENDS[name]) is not None]
    if not there:
        raise InputError(
            f"The model {package.name} comes as {', '.join(package.formats)}, which needs PyTorch; it is not "
            "installed: install it with pip install 'chunkwise[torch]'."
        )
    return there[0]


class Session:
    """A model that runs.

    Parameters
    ----------
    package : Package
        As read.
    weights : str
        Format of the weights.
    threads : int
        Of the backend.
    device : str
        ``cpu`` or ``gpu``.
    """

    def __init__(self, package: Package, weights: str, threads: int, device: str = "cpu") -> None:
        self.package, self.weights, self.device = package, weights, device
        self._threads = threads
        with _quiet():
            from bioimageio.core._op_base import SamplewiseOperator
            from bioimageio.core.proc_ops import AddKnownDatasetStats
            from bioimageio.core.proc_setup import get_requried_measures, setup_pre_and_postprocessing

            self._description = load_description(package.path)
            required = get_requried_measures(self._description)
            self.measures = _measures(package, required.pre | required.post)
            # With every measure known, bioimageio.core takes none itself; the values come with each tile.
            before, after = setup_pre_and_postprocessing(
                self._description, (), fixed_dataset_stats=dict.fromkeys(required.pre | required.post, 0.0)
            )
            self._before: list[Any] = [op for op in before if not isinstance(op, AddKnownDatasetStats)]
            self._after: list[Any] = [op for op in after if not isinstance(op, SamplewiseOperator)]
            #: Steps that need the whole result, such as StarDist's: 'chunkwise objects' does them.
            self.left_out = tuple(type(op).__name__ for op in after if isinstance(op, SamplewiseOperator))
            self._forward = self._load()

    def _load(self) -> Any:
        try:
            return _onnx(self) if self.weights == "onnx" else _torch(self)
        except (InputError, PolicyError):
            raise
        except Exception as error:  # backends raise many kinds
            raise InputError(
                f"The {self.weights} weights of {self.package.name} cannot be loaded: {_short(error)}."
            ) from None

    @property
    def input_ids(self) -> list[str]:
        """Names of the inputs, in order."""
        return [tensor.id for tensor in self.package.inputs]

    @property
    def batch(self) -> int:
        """How many samples to hand over at once."""
        fixed = [tensor.batch for tensor in self.package.inputs if tensor.batch is not None]
        return fixed[0] if fixed else GPU_BATCH if self.device == "gpu" else 1

    def run(self, inputs: Sequence[Array], values: Mapping[Any, Array | float]) -> list[Array]:
        """Predict a batch of tiles.

        Parameters
        ----------
        inputs : sequence of ndarray
            One a tensor, with the axes batch, channel and the spatial ones, as the image holds them.
        values : mapping
            Of every measure, by its key: an array over batch and channel, as far as the measure has these axes.

        Returns
        -------
        list of ndarray
            One an output, with the axes batch, channel and the spatial ones.

        Raises
        ------
        InputError
            If the network does not take these arrays.
        """
        with _quiet():
            from bioimageio.core import Sample, Tensor

            names = {"b": "batch", "c": "channel"}
            members = {}
            for tensor, array in zip(self.package.inputs, inputs, strict=True):
                full = Tensor(array, dims=[names.get(axis, axis) for axis in f"bc{tensor.spatial}"])
                members[tensor.id] = full if "c" in tensor.axes else full[{"channel": 0}]  # type: ignore[dict-item]
            stat = {measure.key: _value(measure, values[measure.key], Tensor) for measure in self.measures}
            sample = Sample(members=members, stat=stat, id=None)  # type: ignore[arg-type]
            for op in self._before:
                op(sample)
            arrays = [
                np.ascontiguousarray(sample.members[tensor.id].data.transpose(*_dims(tensor.axes)).to_numpy())  # type: ignore[index]
                for tensor in self.package.inputs
            ]
            found = self._guarded(arrays)
            sample = Sample(
                members={
                    tensor.id: Tensor(array, dims=_dims(tensor.axes))  # type: ignore[misc]
                    for tensor, array in zip(self.package.outputs, found, strict=False)
                },
                stat=stat,
                id=None,
            )
            for op in self._after:
                op(sample)
            results = []
            for tensor in self.package.outputs:
                data = sample.members[tensor.id].data  # type: ignore[index]
                for axis in ("batch", "channel"):
                    if axis not in data.dims:
                        data = data.expand_dims(axis)
                results.append(data.transpose("batch", "channel", *tensor.spatial).to_numpy())
        return results

    def forward(self, arrays: list[Array]) -> list[Array]:
        """Run the bare network, without pre- and postprocessing, on arrays with the axes of the description."""
        with _quiet():
            return list(self._forward(arrays))

    def _guarded(self, arrays: list[Array]) -> list[Array]:
        """Run the network; where a GPU's memory is too small, in halves, and in the end on the CPU."""
        try:
            return list(self._forward(arrays))
        except Exception as error:  # backends raise many kinds
            if self.device != "gpu":
                raise InputError(
                    f"The model {self.package.name} does not run on this image: {_short(error)}."
                ) from None
            count = len(arrays[0])
            if count > 1 and _is_memory(error):
                print(f"note: {count} tiles at once are too many for the GPU; trying half.", file=sys.stderr)
                halves = [
                    self._guarded([a[: count // 2] for a in arrays]),
                    self._guarded([a[count // 2 :] for a in arrays]),
                ]
                return [np.concatenate(parts) for parts in zip(*halves, strict=True)]
            print(f"note: the GPU can no longer be used ({_short(error)}); continuing on the CPU.", file=sys.stderr)
            self.device = "cpu"
            self._forward = self._load()
            return self._guarded(arrays)

    def onnx_options(self) -> tuple[Any, list[str]]:
        """How ONNX Runtime is started: its threads, and where it computes."""
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # One plan for the tensors of a tile shape needs a block as large as all of them: 1.4 GB where 0.8 GB do, and a
        # tenth more time (nuclei, a tile of 1184 x 1184).
        options.enable_mem_pattern = False
        # Idle threads give their core to other workers instead of turning on the spot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        cpu = ["CPUExecutionProvider"]
        return options, ["CUDAExecutionProvider", *cpu] if self.device == "gpu" else cpu

    @property
    def threads(self) -> int:
        """Threads of the backend."""
        return self._threads

    @property
    def description(self) -> Any:
        """Of bioimageio.spec."""
        return self._description


def find_device(weights: str) -> str:
    """Find a GPU that the backend can use; an empty ``CUDA_VISIBLE_DEVICES`` hides all."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "cpu"
    if weights == "onnx":
        import onnxruntime

        return "gpu" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


@lru_cache(maxsize=2)
def open_session(path: str, sha256: str, weights: str, threads: int) -> Session:
    """Load a model once a process, after a look whether it still is the one that was approved.

    Raises
    ------
    PolicyError
        If its files changed.
    """
    if digest_of(path) != sha256:
        raise PolicyError(
            f"The files of the model at {path} are not the ones that were approved; ask your administrator."
        )
    bioimageio()
    give_back_large()
    return Session(read_package(path), weights, threads, find_device(weights))


def _onnx(session: Session) -> Any:
    import onnxruntime

    weights = session.description.weights.onnx
    options, providers = session.onnx_options()
    source: Any = read_weights(weights)
    if getattr(weights, "external_data", None) is not None:
        source = str(weights.source.absolute())
    network = onnxruntime.InferenceSession(source, options, providers=providers)
    names = [entry.name for entry in network.get_inputs()]
    return lambda arrays: network.run(None, dict(zip(names, arrays, strict=True)))


def _torch(session: Session) -> Any:
    import torch
    from bioimageio.core.backends import create_model_adapter

    torch.set_num_threads(session.threads)
    device = "cuda" if session.device == "gpu" else "cpu"
    weights: Any = session.weights
    adapter = create_model_adapter(
        model_description=session.description, devices=[device], weight_format_priority_order=(weights,)
    )

    def forward(arrays: list[Array]) -> list[Array]:
        from bioimageio.core import Tensor

        tensors = session.package.inputs
        members: Any = {
            tensor.id: Tensor(array, dims=_dims(tensor.axes)) for tensor, array in zip(tensors, arrays, strict=True)
        }
        found: Any = adapter.forward(members)
        return [found[tensor.id].to_numpy() for tensor in session.package.outputs]

    return forward


def _dims(axes: str) -> list[Any]:
    return [{"b": "batch", "c": "channel"}.get(axis, axis) for axis in axes]


def _measures(package: Package, required: Any) -> tuple[Measure, ...]:
    """What the preprocessing asks for, in our terms; refuses what is not of whole inputs."""
    inputs = {tensor.id: tensor for tensor in package.inputs}
    found = []
    for key in required:
        if str(key.member_id) not in inputs:
            raise InputError(
                f"The postprocessing of {package.name} needs statistics of its whole result, which chunkwise does "
                "not compute."
            )
        tensor = inputs[str(key.member_id)]
        axes = None if key.axes is None else {str(axis) for axis in key.axes}
        dataset = key.scope == "dataset"
        if axes is not None and not set(tensor.spatial) <= axes:
            raise InputError(
                f"The preprocessing of {package.name} takes statistics along {', '.join(sorted(axes))} only; chunkwise "
                "takes them over whole planes or volumes."
            )
        over = axes is None or "channel" in axes
        if key.name == "quantile" and over and len(tensor.channels) > 1:
            raise InputError(
                f"The preprocessing of {package.name} takes percentiles over several channels together, which "
                "chunkwise does not do."
            )
        kind = str(key.name)
        if kind == "var":
            raise InputError(f"The processing of {package.name} needs a variance, which chunkwise does not compute.")
        found.append(
            Measure(
                key,
                tensor.id,
                kind,
                float(getattr(key, "q", 0.0)),
                str(getattr(key, "method", "linear")),
                dataset,
                over,
            )
        )
    return tuple(sorted(found, key=lambda m: (m.input, m.kind, m.q, m.method, m.dataset, m.over_channels)))


def _value(measure: Measure, value: Any, tensor: Any) -> Any:
    """A measure's value as bioimageio.core keeps it: with the axes that were not summed over."""
    array = np.asarray(value)
    dims = [] if measure.dataset else ["batch"]
    if not measure.over_channels:
        dims.append("channel")
    return tensor(array.reshape(array.shape[: len(dims)]), dims=dims)


def _is_memory(error: Exception) -> bool:
    text = str(error).lower()
    return "out of memory" in text or "failed to allocate" in text or "cudnn_status_alloc_failed" in text


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")


class _quiet(warnings.catch_warnings):
    """Warnings of libraries are not for biologists."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
