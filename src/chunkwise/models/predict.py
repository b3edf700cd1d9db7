"""Inference over blocks: statistics of the whole image first, then tile by tile.

Reference, on the whole image, where its shape is one that the model takes::

    pipeline = bioimageio.core.create_prediction_pipeline(description)
    maps = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)

The network's own treatment of the image's edge is kept: tiles end where the image ends. Where the shape is
none that the model takes, the image is extended at its end (``models.tiles``). The arithmetic before and
after the network is that of bioimageio.core, tile by tile, with the statistics of the whole image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.rounding import check_rounding
from chunkwise.blocks.run import Run
from chunkwise.errors import InputError
from chunkwise.models.network import Reach
from chunkwise.models.package import Package, Tensor, digest_of
from chunkwise.models.rescale import Rescaled, back_on_voxels, box_around, rescaled_shape
from chunkwise.models.session import Measure, Session, open_session
from chunkwise.models.statistics import Quantile, Samples, measure_samples
from chunkwise.models.tiles import Axis, Tile, fit_axis, tiles_of
from chunkwise.models.trial import Trial, of_noise
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.write_unit import write_unit
from chunkwise.storage.writer import json_bytes, put_object

__all__ = ["Inference", "halo_of", "memory_of", "predict", "tile_axes"]

Array = np.ndarray[Any, Any]

#: Resident memory of a worker with bioimageio.core and ONNX Runtime in it, in bytes (measured: 330 MB).
WORKER_BASE = 400 * 10**6
#: The backend holds more than the tensors of the graph: buffers of its kernels, and what it keeps for the next run.
OVERHEAD = 1.7
#: Numbers a voxel that a network is taken to hold where its graph does not say.
UNKNOWN_VALUES = 400.0
#: Planes of a volume that are read at once for models of two dimensions.
SLAB = 32
STATISTICS = "scratch/statistics.json"


@dataclass(frozen=True)
class Inference:
    """What is predicted of what; small and picklable."""

    path: str
    sha256: str
    weights: str
    threads: int
    inputs: tuple[tuple[VolumeSource | Rescaled, ...], ...]
    """Channels of each input of the model."""
    pads: tuple[tuple[str, float], ...]
    axes: tuple[Axis, ...]
    """Of the model's spatial axes: y and x, or z, y and x."""
    grid: Grid
    """Of a volume; its units are whole shards."""
    output: OutputImage
    outputs: tuple[int, ...]
    """Which outputs of the model are kept."""
    factors: tuple[float, ...] | None = None
    """Voxels of the inputs for each one of the result, along each spatial axis, where they are rescaled."""

    @property
    def source(self) -> VolumeSource | Rescaled:
        """The first channel; all others have its shape."""
        return self.inputs[0][0]

    @property
    def planes(self) -> bool:
        """Whether the model takes each plane of a volume by itself."""
        return len(self.source.shape) > len(self.axes)

    @property
    def times(self) -> int:
        """Time points."""
        return self.source.volumes

    def try_out(self) -> None:
        """Run the smallest tile that the model takes, of noise, so that what cannot work is said before the work.

        Raises
        ------
        InputError
            If the model does not run on such an image.
        """
        maps = sum(self._trial().maps[index] for index in self.outputs)
        if maps != self.output.n_volumes // self.times:
            name = self.session().package.name
            raise InputError(f"{name} gives {maps} maps, but its description promises another number.")

    def check_rounding(self, run: Run) -> None:
        """Make sure that what this process makes of a tile is, to the bit, what the others of the run make of it.

        On a GPU it is only made sure that they use one, too: there the same model may differ from start to start.

        Raises
        ------
        ResumableError
            If it is not.
        """
        made = "gpu" if self.session().device == "gpu" else self._trial().digest
        check_rounding(run.folder, made, "runs this model with other results")

    def _trial(self) -> Trial:
        channels = tuple(len(sources) for sources in self.inputs)
        return of_noise(self.session(), channels, tuple(axis.tile for axis in self.axes), self.source.dtype)

    def check_model(self) -> None:
        """Make sure that the model's files are those that every worker found when it loaded them.

        Raises
        ------
        InputError
            If they changed since.
        """
        if digest_of(self.path) != self.sha256:
            raise InputError(
                f"The files of the model at {self.path} changed during the run, so the result may come from two "
                "models; nothing of it is kept: give the same command again to start over."
            )

    def session(self) -> Session:
        """The model, loaded once a process."""
        return open_session(self.path, self.sha256, self.weights, self.threads)


def halo_of(reach: Reach, outputs: Sequence[Tensor]) -> tuple[int, ...]:
    """Voxels that tiles overlap by on each side, one number an axis.

    The measured reach counts; what the description declares is used where no reach is enough.
    """
    names = outputs[0].spatial
    found = [max(b, a) for b, a in zip(reach.before, reach.after, strict=True)]
    if reach.unbounded:
        declared = [max((tensor.halo or {}).get(name, 0) for tensor in outputs) for name in names]
        found = [max(measured, said, 32) for measured, said in zip(found, declared, strict=True)]
    return tuple(found)


def tile_axes(
    package: Package,
    reach: Reach,
    shape: tuple[int, ...],
    block: tuple[int, ...],
    factors: tuple[float, ...] | None = None,
) -> tuple[Axis, ...]:
    """Part the model's spatial axes into tiles.

    Parameters
    ----------
    package, reach
        The model.
    shape : tuple of int
        Of the volume; the model's axes are its last ones.
    block : tuple of int
        Voxels whose output shall count in a tile.
    factors : tuple of float, optional
        Where volume and block are rescaled before the model sees them.

    Raises
    ------
    InputError
        If the model takes no tile that is large enough.
    """
    if factors is not None:
        shape, block = rescaled_shape(shape, factors), rescaled_shape(block, factors)
    spatial, halo = package.spatial, halo_of(reach, package.outputs)
    count = len(spatial)
    found = []
    for index, name in enumerate(spatial):
        sizes = {tensor.sizes[name] for tensor in package.inputs}
        if len(sizes) > 1:
            raise InputError(
                f"The inputs of {package.name} have different lengths along {name}, which chunkwise does not support."
            )
        length, wanted = shape[len(shape) - count + index], block[len(block) - count + index]
        found.append(fit_axis(length, sizes.pop(), reach.stride[index], halo[index], wanted))
    return tuple(found)


def memory_of(
    package: Package,
    reach: Reach,
    grid: Grid,
    batch: int,
    channels: int,
    dtype: str,
    source_dtype: str,
    factors: tuple[float, ...] | None = None,
) -> int:
    """Project what a worker needs, in bytes: the network at work, a unit of the result, its encoded form."""
    axes = tile_axes(package, reach, grid.shape, grid.block, factors)
    tile = prod(axis.tile for axis in axes) * batch
    inputs = sum(max(1, len(tensor.channels)) for tensor in package.inputs)
    network = tile * (reach.values_per_voxel or UNKNOWN_VALUES) * 4 * OVERHEAD + tile * inputs * 24
    planes = min(SLAB, grid.shape[0]) if len(grid.shape) > len(axes) else 1
    reading = tile // batch * planes * inputs * np.dtype(source_dtype).itemsize * 2
    unit = prod(map(min, grid.unit, grid.shape))
    item = np.dtype(dtype).itemsize
    rescaling = 0.0
    if factors is not None:
        # A tile's voxels as float64, once and along one axis twice; maps of a unit at both sizes, one as float64.
        reading *= 1 + 3 * 8 // np.dtype(source_dtype).itemsize
        rescaling = unit * (prod(factors) * channels * 4 + 3 * max(1.0, prod(factors)) * 8 + channels * 8)
    maps = unit * channels * item
    return projected_memory(grid, unit=4 * item, base=WORKER_BASE + network + reading + rescaling + maps)


def predict(work: Inference, job: Job) -> list[str]:
    """Predict every volume into the run's store, and write the levels below.

    Returns
    -------
    list of str
        What people should know of the result.

    Raises
    ------
    InputError
        If voxels cannot be read, or the model does not run on them.
    ResumableError
        If the run stopped in the middle.
    """
    notes = _write_statistics(work, work.session().measures, job)
    count = work.times * work.grid.n_units
    voxels = work.times * prod(work.grid.shape)
    map_pass(job, "predict", _predict_unit, (work, job.run), count, voxels=voxels, grid=work.grid, units=True)
    write_pyramid(work.output, job)
    if left_out := work.session().left_out:
        notes.append(
            f"the last steps of the model's description ({', '.join(left_out)}) need the whole result and are left to "
            "'chunkwise objects'"
        )
    return notes


def _write_statistics(work: Inference, measures: tuple[Measure, ...], job: Job) -> list[str]:
    """Take the statistics that the model asks for, and put them where workers find them: a row a sample."""
    found: dict[str, list[list[float]]] = {}
    constant = 0
    for name, channels in zip(work.session().input_ids, work.inputs, strict=True):
        for dataset in (False, True):
            wanted = [measure for measure in measures if measure.input == name and measure.dataset == dataset]
            if not wanted:
                continue
            samples = Samples.of(channels, work.planes, tuple(min(1024, n) for n in work.grid.unit))
            quantiles = [Quantile(m.q, m.method) for m in wanted if m.kind == "quantile"]
            name_of_pass = f"statistics-{name}{'-all' if dataset else ''}"
            measured = measure_samples(samples, quantiles, job, dataset, name_of_pass)
            constant += sum(entry["std"] == 0 for entry in measured)
            per = len(measured) // len(channels)
            rows = [[measured[channel * per + sample] for channel in range(len(channels))] for sample in range(per)]
            for measure in wanted:
                at = quantiles.index(Quantile(measure.q, measure.method)) if measure.kind == "quantile" else 0
                found[_name(measure)] = [_value(measure, row, at) for row in rows]
    put_object(job.run.folder, STATISTICS, json_bytes(found))
    if not constant:
        return []
    return [f"{constant} of the images that the model was run on are constant, so that it saw nothing in them"]


def _name(measure: Measure) -> str:
    return json.dumps(
        [measure.input, measure.kind, measure.q, measure.method, measure.dataset, measure.over_channels]
    )  # fmt: skip


def _value(measure: Measure, channels: list[dict[str, Any]], at: int) -> list[float]:
    """A measure of a sample: one number a channel, or one of all."""
    if measure.kind == "quantile":
        values = [entry["quantiles"][at] for entry in channels]
        return values[:1] if measure.over_channels else values
    if measure.over_channels and len(channels) > 1:
        mean = sum(entry["mean"] for entry in channels) / len(channels)
        square = sum(entry["std"] ** 2 + (entry["mean"] - mean) ** 2 for entry in channels) / len(channels)
        return [mean if measure.kind == "mean" else square**0.5]
    return [entry[measure.kind] for entry in channels]


@lru_cache(maxsize=2)
def _statistics(path: str, _: tuple[int, int]) -> dict[str, list[list[float]]]:
    """Read a file once a process, as long as it is the same: workers that stay may see a run that begins anew."""
    with open(path, encoding="utf-8") as file:
        return dict(json.load(file))


def _values(work: Inference, run: Run, session: Session, samples: list[int]) -> dict[Any, Any]:
    """The measures of a batch of samples, as arrays over batch and channel."""
    known: dict[str, list[list[float]]] = {}
    if session.measures:
        path = run.path(STATISTICS)
        status = os.stat(path)
        known = _statistics(path, (status.st_ino, status.st_mtime_ns))
    found = {}
    for measure in session.measures:
        rows = known[_name(measure)]
        values = np.array([rows[0]] if measure.dataset else [rows[sample] for sample in samples], np.float64)
        # bioimageio.core keeps the type of the image where that is one of floats.
        if not measure.dataset and measure.kind in ("mean", "std"):
            dtype = np.dtype(work.source.dtype)
            values = values.astype(dtype if dtype.kind == "f" else np.float64)
        if measure.over_channels:
            values = values[:, 0]
        found[measure.key] = values[0] if measure.dataset else values
    return found


def _predict_unit(context: tuple[Inference, Run], number: int) -> BlockResult:
    work, run = context
    work.check_rounding(run)
    session = work.session()
    time, unit = divmod(number, work.grid.n_units)
    box = work.grid.unit_box(unit)
    channels = work.output.n_volumes // work.times
    seen = box if work.factors is None else box_around(box, work.factors, work.source.shape)
    dtype = work.output.dtype if work.factors is None else "float32"
    data = np.empty((channels, *(part.stop - part.start for part in seen)), dtype)
    spatial = seen[-len(work.axes) :]
    for slab in _slabs(seen[0]) if work.planes else [None]:
        for tile in tiles_of(work.axes, spatial):
            voxels = [
                np.stack([_read(work.axes, source, time, slab, tile, pad) for source in sources], axis=1)
                for sources, pad in zip(work.inputs, work.pads, strict=True)
            ]
            for begin in range(0, len(voxels[0]), session.batch):
                batch = [array[begin : begin + session.batch] for array in voxels]
                first = time * work.source.shape[0] + (slab.start if slab else 0) + begin if work.planes else time
                samples = list(range(first, first + len(batch[0])))
                found = session.run(batch, _values(work, run, session, samples))
                maps = np.concatenate([found[index] for index in work.outputs], axis=1)
                if maps.shape[1] != channels:
                    raise InputError(f"The model gives {maps.shape[1]} maps, but its description says {channels}.")
                counted = _as_type(maps[(slice(None), slice(None), *tile.inner)], dtype)
                there = tuple(
                    slice(c.start - u.start, c.stop - u.start) for c, u in zip(tile.box, spatial, strict=True)
                )
                if slab is not None:
                    z = slab.start - seen[0].start + begin
                    data[(slice(None), slice(z, z + len(batch[0])), *there)] = counted.swapaxes(0, 1)
                else:
                    data[(slice(None), *there)] = counted[0]
    if work.factors is not None:
        maps = back_on_voxels(data, seen, box, work.factors, work.source.shape)
        data = _as_type(maps, work.output.dtype)
    return write_unit(run, work.output, box, {time * channels + channel: data[channel] for channel in range(channels)})


def _slabs(planes: slice) -> list[slice | None]:
    return [slice(z, min(z + SLAB, planes.stop)) for z in range(planes.start, planes.stop, SLAB)]


def _read(
    axes: tuple[Axis, ...],
    source: VolumeSource | Rescaled,
    time: int,
    slab: slice | None,
    tile: Tile,
    pad: tuple[str, float],
) -> Array:
    """The voxels of a tile, beyond the image's end as the model's description says; a batch of planes, or of one."""
    mode, constant = pad
    indices = [
        axis.source(mode)[begin : begin + axis.tile] for axis, begin in zip(axes, tile.begin, strict=True)
    ]  # fmt: skip
    inside = [index[index >= 0] for index in indices]
    box = tuple(slice(int(index.min()), int(index.max()) + 1) for index in inside)
    data = source.read(time, box if slab is None else (slab, *box))
    if slab is None:
        data = data[None]
    for number, (index, part) in enumerate(zip(indices, box, strict=True)):
        if len(index) != data.shape[number + 1] or (np.diff(index) != 1).any():
            data = np.take(data, np.maximum(index, part.start) - part.start, axis=number + 1)
            if (index < 0).any():
                data[(slice(None),) * (number + 1) + (index < 0,)] = constant
    return data


def _as_type(maps: Array, dtype: str) -> Array:
    """Store maps as asked for: floats as they are, or 0 to 1 as 0 to 255, rounded, values outside cut off."""
    if dtype == "uint8":
        return np.asarray(np.rint(np.clip(maps.astype(np.float64), 0.0, 1.0) * 255.0).astype(np.uint8))
    return maps.astype(dtype)
