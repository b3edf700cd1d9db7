"""Objects from maps on the whole image, in the literal calls of SciPy and scikit-image, and a runner beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import skimage.draw
import skimage.measure
import skimage.segmentation

from begun import begun
from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Executor, Job
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ngff.layout import OutputImage, shard_of, write_documents
from chunkwise.ngff.model import Axis
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.objects import METHODS, ObjectParameters, find_objects
from chunkwise.ops.write_labels import LabelResult
from whole_image import Array, reference_number, write_array

__all__ = ["blockwise_objects", "parameters_of", "pixels_of", "reference_objects", "reference_stars"]


def parameters_of(method: str, ndim: int, **options: Any) -> ObjectParameters:
    """The method's parameters, defaults filled in."""
    return ObjectParameters(method, METHODS[method].defaults | {"connectivity": ndim} | options)


def reference_objects(maps: dict[str, Array], parameters: ObjectParameters) -> Array:
    """Work on the whole volume, one component after the other."""
    values = parameters.values
    mask = maps[METHODS[parameters.method].channels[0]] > values["threshold"]
    if values["fill_holes"]:
        mask = scipy.ndimage.binary_fill_holes(mask)
    labels = skimage.measure.label(mask, connectivity=values["connectivity"])
    result = np.zeros(labels.shape, np.int64)
    for number in range(1, int(labels.max()) + 1):
        component = labels == number
        parts = PARTS[parameters.method](component, maps, values)
        result[component] = parts[component] + result.max()
    return reference_number(result, values["min_size"])


def watershed(component: Array, height: Array, markers: Array, connectivity: int) -> Array:
    """Flood from markers, voxels of one height in the order that is promised; without markers it stays whole."""
    if not markers.any():
        return component.astype(int)
    places = np.flatnonzero(markers)
    order = np.full(component.shape, len(places) + 1)
    order.flat[places] = np.arange(1, len(places) + 1)
    ranks = np.unique(-height, return_inverse=True)[1].reshape(component.shape) * (len(places) + 2) + order
    return np.asarray(skimage.segmentation.watershed(ranks, markers, connectivity=connectivity, mask=component))


def by_boundary(component: Array, maps: dict[str, Array], values: dict[str, Any]) -> Array:
    inner = maps["foreground"] - maps["boundary"]
    connectivity = values["connectivity"]
    markers = skimage.measure.label(component & (inner > values["seed_threshold"]), connectivity=connectivity)
    return watershed(component, inner, markers, connectivity)


def by_distance(component: Array, maps: dict[str, Array], values: dict[str, Any]) -> Array:
    distance, size = maps["distance"], values["min_distance"]
    alone = np.where(component, distance, -np.inf)
    highest = scipy.ndimage.maximum_filter(alone, 2 * size + 1, mode="constant", cval=-np.inf)
    peaks = component & (distance > values["seed_threshold"]) & (distance == highest)
    near = scipy.ndimage.maximum_filter(peaks, 2 * (size // 2) + 1, mode="constant", cval=0)
    markers = skimage.measure.label(near, connectivity=component.ndim) * peaks
    return watershed(component, distance, markers, values["connectivity"])


def by_flows(component: Array, maps: dict[str, Array], values: dict[str, Any]) -> Array:
    """All voxels at once, a step after the other."""
    names = [name for name in ("flow_z", "flow_y", "flow_x") if name in maps]
    moves = [np.clip(maps[name] / np.float32(values["flow_scale"]), -1, 1) for name in names]
    begin = np.argwhere(component)
    offset, here, going = np.zeros(begin.shape), begin.copy(), np.ones(len(begin), bool)
    for _ in range(values["steps"]):
        offset[going] += np.stack([move[tuple(here[going].T)] for move in moves], axis=1)
        to = begin + np.rint(offset).astype(int)
        inside = ((to >= 0) & (to < component.shape)).all(axis=1)
        inside[inside] &= component[tuple(to[inside].T)]
        going &= inside
        here[going] = to[going]
    ends = np.zeros(component.shape, bool)
    ends[tuple(here.T)] = True
    near = scipy.ndimage.maximum_filter(ends, 2 * (values["sink_distance"] // 2) + 1, mode="constant", cval=0)
    groups = skimage.measure.label(near, connectivity=component.ndim)
    parts = np.zeros(component.shape, int)
    parts[component] = groups[tuple(here.T)]
    return parts


PARTS: dict[str, Callable[[Array, dict[str, Array], dict[str, Any]], Array]] = {
    "threshold": lambda component, *_: component.astype(int),
    "foreground-boundary": by_boundary,
    "foreground-distance": by_distance,
    "flows": by_flows,
}


def pixels_of(place: tuple[int, int], distances: Array, grid: int) -> tuple[Array, Array]:
    """A polygon's pixels, also those outside of the image."""
    count, radius = len(distances), int(distances.max()) + 2
    angles = 2 * np.pi * np.arange(count) / count
    rays = (np.maximum(distances, 0) / np.float32(grid)).astype(np.float64)
    rows = np.rint(rays * np.sin(angles) * 64) / 64 + radius
    columns = np.rint(rays * np.cos(angles) * 64) / 64 + radius
    found = skimage.draw.polygon(rows, columns, (2 * radius + 1, 2 * radius + 1))
    return found[0] + place[0] - radius, found[1] + place[1] - radius


def reference_stars(maps: dict[str, Array], values: dict[str, Any]) -> Array:
    """Take the candidates of the whole image one after the other."""
    chance = maps["probability"]
    distances = np.stack([map_ for name, map_ in maps.items() if name != "probability"], axis=-1)
    places = np.argwhere(chance > values["threshold"])
    order = np.argsort(-chance[tuple(places.T)], kind="stable")
    kept: list[tuple[set[tuple[int, int]], float]] = []
    labels = np.zeros(chance.shape, np.int64)
    for y, x in places[order]:
        if np.ceil(distances[y, x].max(initial=0) / values["grid"]) > values["max_radius"]:
            continue
        rows, columns = pixels_of((y, x), distances[y, x], values["grid"])
        mine = set(zip(rows.tolist(), columns.tolist(), strict=True))
        if any(len(mine & other) > values["nms_threshold"] * min(len(mine), len(other)) for other, _ in kept):
            continue
        kept.append((mine, chance[y, x]))
        inside = (rows >= 0) & (columns >= 0) & (rows < chance.shape[0]) & (columns < chance.shape[1])
        free = labels[rows[inside], columns[inside]] == 0
        labels[rows[inside][free], columns[inside][free]] = len(kept)
    return reference_number(labels, max(1, values["min_size"]))


def blockwise_objects(
    folder: Path,
    maps: dict[str, Array],
    parameters: ObjectParameters,
    block: tuple[int, ...],
    shard: tuple[int, ...] | None = None,
    memory: int = 2**30,
    results: list[LabelResult] | None = None,
    executor: Executor | None = None,
    find: Callable[..., LabelResult] = find_objects,
) -> Array:
    """Make objects of ``(t, [z,] y, x)`` maps block by block in this process; the labels as zarr-python reads them."""
    import zarr

    stacked = np.stack(list(maps.values()), axis=1)
    shape = stacked.shape[2:]
    axes = (Axis("t", "time"), Axis("c", "channel"), *(Axis(name, "space") for name in "zyx"[-len(shape) :]))
    array = write_array(folder / "maps", stacked, (1, 1, *(min(b, n) for b, n in zip(block, shape, strict=True))))
    channels = {
        name: VolumeSource(
            array=array,
            axes="".join(axis.name for axis in axes),
            channel=channel,
            origin=(0,) * len(shape),
            shape=shape,
            first_time=0,
            volumes=len(stacked),
            dtype=stacked.dtype.name,
        )
        for channel, name in enumerate(maps)
    }
    full = (len(stacked), 1, *shape)

    def make_output(dtype: str) -> OutputImage:
        return OutputImage("labels", axes, full, dtype, (1.0,) * len(full), (0.0,) * len(full), True, shard)

    output = folder / "out.ome.zarr"
    run = begun(folder, output=output)
    grid = Grid.fit(shape, shard_of(shape, shard)[1], block)
    result = find(channels, grid, parameters, make_output, Job(executor or InlineExecutor(), run, memory=memory))
    if results is not None:
        results.append(result)
    write_documents(run.store, result.output)
    run.finish(str(output))
    labels = np.asarray(zarr.open_array(output / "0", mode="r")[...])[:, 0]
    assert result.counts == [int(volume.max(initial=0)) for volume in labels]
    return labels
