"""The table of blocks, and the table of scikit-image on the whole volume; for tests of both."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import skimage.measure

from begun import begun
from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.run import Run
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.columns import DEFAULT, REGISTRY, choose, table_columns
from chunkwise.ops.measure import Measured, columns, measure
from chunkwise.ops.object_shapes import SHAPES
from whole_image import Array, write_array

#: Scikit-image's names of what it measures, too.
KNOWN = {entry.name: entry.promise for entry in REGISTRY if entry.in_skimage or entry.name == "intensity_percentile"}


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def source(folder: Path, name: str, data: Array, axes: str) -> list[VolumeSource]:
    """One source a channel of an array that zarr-python wrote."""
    spatial = tuple(n for n, axis in zip(data.shape, axes, strict=True) if axis in "zyx")
    location = write_array(folder / name, data)
    return [
        VolumeSource(
            array=location,
            axes=axes,
            channel=channel,
            origin=(0,) * len(spatial),
            shape=spatial,
            first_time=0,
            volumes=len(data),
            dtype=data.dtype.name,
        )
        for channel in range(data.shape[1] if "c" in axes else 1)
    ]


def prepare(
    folder: Path, labels: Array, image: Array | None, block: tuple[int, ...], properties: tuple[str, ...] = DEFAULT
) -> Measured:
    """Labels ``(t, [z,] y, x)`` and an image ``(t, c, [z,] y, x)`` on disk, and what is to be measured."""
    shape = labels.shape[1:]
    spatial = "zyx"[-len(shape) :]
    channels = [] if image is None else source(folder, "image", image, "tc" + spatial)
    return Measured(
        labels=source(folder, "labels", labels, "t" + spatial)[0],
        channels=tuple(channels),
        grid=Grid.fit(shape, block, block),
        names=tuple(str(number) for number in range(len(channels))),
        axes=spatial,
        scale=(0.5, 0.25, 2.0)[-len(shape) :],
        translation=(10.0, 0.0, -3.0)[-len(shape) :],
        properties=choose(properties, len(shape), image is not None) if properties is not DEFAULT else DEFAULT,
    )


def table(measured: Measured, run: Run, memory: int = 2**30) -> dict[str, Array]:
    """The whole table, in this process."""
    wanted = table_columns(measured.objects, measured.properties)
    found = measure(measured, Job(InlineExecutor(), run, memory=memory))
    pieces = [columns(measured, wanted, volume, rows) for volume, rows in found]
    return {column.name: np.concatenate([piece[column.name] for piece in pieces] or [np.empty(0)]) for column in wanted}


def blockwise(
    labels: Array, image: Array | None, block: tuple[int, ...], properties: tuple[str, ...] = DEFAULT
) -> dict[str, Array]:
    with folder_of_its_own() as folder:
        return table(prepare(folder, labels, image, block, properties), begun(folder))


def reference(labels: Array, image: Array | None, properties: tuple[str, ...]) -> dict[str, Array]:
    """The table of scikit-image, volume by volume; it would add float32 in float32."""
    if image is not None and image.dtype.kind == "f":
        image = image.astype(np.float64)
    names = ["label", *(name for name in properties if name in KNOWN and name not in SHAPES)]
    tables: list[dict[str, Array]] = []
    for time, volume in enumerate(labels):
        intensities = None if image is None else np.moveaxis(image[time], 0, -1)
        with warnings.catch_warnings():
            # Flat objects have no hull, and a sum of 0 no centre.
            warnings.simplefilter("ignore")
            known = [name for name in names if name != "intensity_percentile"]
            found = skimage.measure.regionprops_table(volume, intensities, properties=known)
            regions = skimage.measure.regionprops(volume, intensities)
            for name in set(SHAPES) & set(properties):
                of_hull = name in ("area_convex", "solidity", "feret_diameter_max")
                found[name] = np.array([nan if of_hull and _flat(region) else region[name] for region in regions])
        if "intensity_percentile" in names and image is not None:
            image = image.view(np.uint8) if image.dtype == bool else image  # NumPy's percentile takes no bool
            for channel in range(image.shape[1]):
                for percentile in (5, 25, 75, 95):
                    found[f"intensity_percentile-{percentile}-{channel}"] = np.array(
                        [np.percentile(image[time, channel][volume == region.label], percentile) for region in regions]
                    )
        tables.append({"t": np.full(len(found["label"]), time), **found})
    return {name: np.concatenate([entry[name] for entry in tables]) for name in tables[0]}


def _flat(region: Any) -> bool:
    """Whether scikit-image finds no hull of an object, and says so by an area of 0, or fails."""
    return not region.image_convex.any()


def check(labels: Array, image: Array | None, block: tuple[int, ...], properties: tuple[str, ...] = DEFAULT) -> None:
    """Assert that blocks give what scikit-image gives on the whole volume."""
    found = blockwise(labels, image, block, properties)
    chosen = choose(None if properties is DEFAULT else properties, labels.ndim - 1, image is not None)
    expected = reference(labels, image, chosen)
    inexact = image is not None and image.dtype.kind == "f"
    largest = 0.0 if image is None else float(np.nanmax(np.abs(image), initial=0))
    for name, values in expected.items():
        of = max((one for one in KNOWN if name.startswith(one)), key=len, default="")
        promise = KNOWN.get(of, "bit")
        if of.startswith(("inertia", "axis", "eccentricity", "orientation")):
            _check_second(name, of, found, expected)
        elif "rtol" in promise and (inexact or "floats" not in promise):
            span = max(labels.shape) if of == "centroid_weighted" else largest
            np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-14 * span, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], values, err_msg=name)
    if image is not None and "intensity_sum" in chosen:
        _check_sums(labels, image, found)


def _check_second(name: str, of: str, found: dict[str, Array], expected: dict[str, Array]) -> None:
    """Compare up to 1e-9 of the largest eigenvalue; roots by their squares, angles where there is a direction."""
    values = expected["inertia_tensor_eigvals-0"]
    own, theirs = found[name], expected[name]
    if of == "orientation":
        apart = np.abs(own - theirs)
        apart = np.minimum(apart, np.pi - apart)  # -pi/2 and pi/2 are the same direction
        assert np.all(apart * expected["eccentricity"] ** 2 <= 1e-9), name
    elif of.startswith("axis"):
        assert np.all(np.abs(own**2 - theirs**2) <= 1e-9 * 40 * values), name
    elif of == "eccentricity":
        assert np.all(np.abs(own**2 - theirs**2) <= 1e-9), name
    else:
        assert np.all(np.abs(own - theirs) <= 1e-9 * values), name


def _check_sums(labels: Array, image: Array, found: dict[str, Array]) -> None:
    largest = float(np.nanmax(np.abs(image), initial=0))
    for channel in range(image.shape[1]):
        pixels = [
            image[t, channel][labels[t] == label]
            for t, label in zip(found["t"].tolist(), found["label"].tolist(), strict=True)
        ]
        if image.dtype.kind == "f":
            sums = np.array([voxels.sum(dtype=np.float64) for voxels in pixels])
            np.testing.assert_allclose(found[f"intensity_sum-{channel}"], sums, rtol=1e-9, atol=1e-12 * largest)
        else:
            assert found[f"intensity_sum-{channel}"].tolist() == [sum(voxels.tolist()) for voxels in pixels]


def crowded(shape: tuple[int, ...], seed: int = 0) -> tuple[Array, Array]:
    """Large objects that cross many blocks, their edges and corners; and two channels of noise."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(*[np.arange(n) // 9 for n in shape[1:]], indexing="ij"))
    labels = np.stack([rng.permutation(999)[np.ravel_multi_index(cells, (20,) * len(cells)) % 999]] * shape[0])
    labels[rng.random(shape) < 0.3] = 0
    image = rng.integers(0, 2**16, (shape[0], 2, *shape[1:])).astype(np.uint16)
    return labels.astype(np.uint32), image
