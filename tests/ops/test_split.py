"""Splitting: blocks give the parts that SciPy and scikit-image give, component by component."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.ops import split as kernel
from chunkwise.ops import split_passes as module
from chunkwise.ops.split import never_splits, relative_spacing, split
from chunkwise.ops.split_passes import SplitParameters
from whole_image import Array, blockwise_segment, reference_segment, reference_split, reference_split_one

SHARED = Path(__file__).parents[3] / "shared" / "data"

SCALES = [(1, 1, 1), (2, 1, 1), (1, 3, 2), (0.29, 0.13, 0.13), (0.3, 0.1, 0.1), (0.7, 0.7, 0.7)]


def blobs(shape: tuple[int, ...], seed: int, sigma: float, share: float) -> Array:
    """Bright blobs that touch, on a dark ground: 9 and 0."""
    field = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return ((field > np.quantile(field, 1 - share)) * 9).astype(np.uint8)


@st.composite
def masks(draw: st.DrawFn, ndim: int) -> Array:
    side = 40 if ndim == 2 else 14
    shape = tuple(draw(st.integers(1, side)) for _ in range(ndim))
    return blobs(shape, draw(st.integers(0, 10**6)), draw(st.sampled_from((0, 0.7, 1.5, 3))), draw(st.floats(0.1, 1)))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.sampled_from((2, 3)))
    first = draw(masks(ndim))
    volumes = [first] if draw(st.booleans()) else [first, np.flip(first)]
    return {
        "volumes": np.stack(volumes),
        "block": tuple(draw(st.integers(2, 12)) for _ in range(ndim)),
        "shard": tuple(draw(st.integers(2, 16)) for _ in range(ndim)),
        "scale": draw(st.sampled_from(SCALES))[-ndim:],
        "min_distance": draw(st.integers(1, 6)),
        "connectivity": draw(st.integers(1, ndim)),
        "min_size": draw(st.sampled_from((0, 0, 3, 12))),
    }


def check(
    volumes: Array,
    block: tuple[int, ...],
    shard: tuple[int, ...] | None,
    scale: tuple[float, ...],
    min_distance: int,
    connectivity: int,
    min_size: int = 0,
    **options: Any,
) -> int:
    """Assert that blocks give what the whole image gives; returns how many objects the splitting added."""
    options = {"sigma": 0, "threshold": 4, "connectivity": connectivity, **options}
    with tempfile.TemporaryDirectory() as folder:
        found = blockwise_segment(
            Path(folder),
            volumes,
            block,
            shard,
            min_size=min_size,
            split=SplitParameters(relative_spacing(scale), min_distance),
            **options,
        )
    added = 0
    for volume, labels in zip(volumes, found, strict=True):
        components = reference_segment(volume, **options)
        np.testing.assert_array_equal(labels, reference_split(components, scale, min_distance, connectivity, min_size))
        added += int(labels.max(initial=0)) - int(components.max(initial=0))
    return added


@given(case=cases())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_shape_block_spacing_and_connectivity(case: dict[str, Any]) -> None:
    check(**case)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_component_in_its_box_or_in_the_whole_volume(data: st.DataObject) -> None:
    """A box padded by one voxel is as good as the volume; small boxes never have two parts."""
    ndim = data.draw(st.sampled_from((2, 3)))
    volume = data.draw(masks(ndim))
    scale = data.draw(st.sampled_from(SCALES))[-ndim:]
    min_distance, connectivity = data.draw(st.integers(1, 5)), data.draw(st.integers(1, ndim))
    labels = skimage.measure.label(volume, connectivity=connectivity)
    objects = scipy.ndimage.find_objects(labels)
    value = data.draw(st.integers(1, max(1, len(objects))))
    if not objects:
        return
    place = objects[value - 1]
    box = tuple(slice(max(0, p.start - 1), min(p.stop + 1, n)) for p, n in zip(place, labels.shape, strict=True))
    expected = reference_split_one(labels == value, scale, min_distance, connectivity)
    parts, count = split(labels[box] == value, relative_spacing(scale), min_distance, connectivity)
    np.testing.assert_array_equal(parts, expected[box])
    assert count == expected.max()
    if never_splits(tuple(p.stop - p.start for p in place), min_distance):
        assert count == 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_crowded(ndim: int, scale: tuple[float, ...]) -> None:
    shape = (2, 120, 90) if ndim == 2 else (1, 20, 40, 36)
    volumes = np.stack([blobs(shape[1:], seed, 2.0, 0.45) for seed in range(shape[0])])
    added = check(volumes, (9, 17, 13)[-ndim:], (16, 32, 16)[-ndim:], scale[-ndim:], 2, ndim, 5)
    assert added > 5, "the image has nothing to split"


def test_a_volume_without_background_is_one_object() -> None:
    check(np.full((1, 9, 7, 8), 9, np.uint8), (4, 4, 4), (4, 4, 4), (1, 1, 1), 1, 3)
    check(np.zeros((1, 9, 9), np.uint8), (4, 4), (4, 4), (1, 1), 1, 2)


def test_thin_lines_have_as_many_seeds_as_scikit_image_gives_them() -> None:
    """Every voxel of a line is as far from its outside as the next."""
    volume = np.zeros((1, 30, 30), np.uint8)
    volume[0, 5, 2:28] = volume[0, 9:28, 15] = volume[0, 20:22, 3:12] = 9
    for min_distance in (1, 2, 5):
        assert check(volume, (7, 7), (8, 8), (1, 1), min_distance, 1) > 0


def test_parts_below_the_smallest_size_are_dropped_after_the_split() -> None:
    """Two disks, and one small; together they are large enough, alone it is not."""
    y, x = np.indices((40, 60))
    volume = (((y - 20) ** 2 + (x - 18) ** 2 < 150) | ((y - 20) ** 2 + (x - 33) ** 2 < 30)).astype(np.uint8) * 9
    assert check(volume[None], (16, 16), (16, 16), (1, 1), 5, 2) == 1
    assert check(volume[None], (16, 16), (16, 16), (1, 1), 5, 2, min_size=120) == 0


def test_distances_of_whole_numbers_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for scale in [(1, 1, 1), (3, 1, 2)]:
        mask = rng.random((30, 41, 37)) < 0.99
        heights = kernel._squared_distances(mask, *(edge * edge for edge in scale))
        np.testing.assert_array_equal(np.sqrt(heights), scipy.ndimage.distance_transform_edt(mask, sampling=scale))


# --- Real images ---


def pictures() -> list[Path]:
    names = ["stardist_nuclei/img2d.tif", "mitocheck/xy_8bit__mitocheck_incenp_t1.tif"]
    return [SHARED / name for name in names] + sorted((SHARED / "dsb2018_nuclei2d" / "images").glob("*"))[:12:3]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")
@pytest.mark.parametrize("path", pictures(), ids=lambda path: path.name)
def test_real_nuclei(path: Path) -> None:
    import skimage.io

    image = skimage.io.imread(path)
    plane = np.ascontiguousarray(image[..., 0] if image.ndim == 3 else image)
    scale, options = (0.5, 0.5), {"sigma": 1, "threshold": "otsu", "fill_holes": True}
    check(plane[None], (100, 90), (128, 128), scale, 7, 2, 20, **options)
    check(plane[None], (64, 300), (64, 64), (2, 1), 4, 1, 0, **options)


# --- What does not fit ---


def test_a_component_too_large_for_memory_stays_one_object_and_is_named(tmp_path: Path) -> None:
    volume = blobs((64, 64), 1, 2, 0.4)
    volume[40:, :] = 0
    volume[50:60, 2:12] = volume[50:60, 13:23] = volume[55, 12] = 9  # two squares, joined
    components = reference_segment(volume, 0, 4, connectivity=1)
    parameters = SplitParameters((1.0, 1.0), 3)
    room = 12 * 23 * (8 + kernel.bytes_a_voxel((1.0, 1.0)))
    results: list[Any] = []
    found = blockwise_segment(
        tmp_path,
        volume[None],
        (16, 16),
        (16, 16),
        sigma=0,
        threshold=4,
        connectivity=1,
        split=parameters,
        memory=module.BASE + room,
        results=results,
    )[0]
    objects = scipy.ndimage.find_objects(components.astype(int))
    large = [
        place for place in objects if np.prod([min(p.stop + 1, 64) - max(p.start - 1, 0) for p in place]) > 12 * 23
    ]
    assert len(large) > 1
    named = results[0].unsplit
    assert results[0].n_unsplit == len(named) == len(large)
    assert {entry.box for entry in named} == {tuple((p.start, p.stop) for p in place) for place in large}
    for entry in named:
        box = tuple(slice(*ends) for ends in entry.box)
        mask = found[box] == entry.label
        assert mask.sum() == entry.voxels
        assert len(np.unique(components[box][mask])) == 1, "it is one component, and whole"
    assert len(np.unique(found[50:60, 2:23])) == 3, "what fits is split"
