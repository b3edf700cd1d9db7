"""Objects from foreground, boundary, distance and flows: blocks give what the whole image gives."""

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

from chunkwise.ops import flows, labelling, objects, seeds, split_passes
from chunkwise.ops import maps as maps_module
from chunkwise.ops.maps import values_of
from chunkwise.ops.split import flood
from whole_image import Array
from whole_objects import blockwise_objects, parameters_of, reference_objects

METHODS = ("threshold", "foreground-boundary", "foreground-distance", "flows")


def tissue(shape: tuple[int, ...], seed: int, cells: int, radius: float) -> Array:
    """Label round cells, as dense as they come: the nearest centre within a radius, so that neighbours touch."""
    centres = np.random.default_rng(seed).uniform(0, shape, (cells, len(shape)))
    places = np.stack(np.indices(shape), axis=-1)
    distance = np.linalg.norm(places[..., np.newaxis, :] - centres, axis=-1)
    return np.where(distance.min(axis=-1) < radius, distance.argmin(axis=-1) + 1, 0)


def maps_of(labels: Array, method: str, noise: float = 0.0, seed: int = 0) -> dict[str, Array]:
    """What a good model would say of these objects, and some noise."""
    random = np.random.default_rng(seed)

    def noisy(values: Array) -> Array:
        return (values + noise * random.normal(size=labels.shape)).astype(np.float32)

    foreground = scipy.ndimage.gaussian_filter((labels > 0).astype(float), 0.5)
    if method == "threshold":
        return {"foreground": noisy(foreground)}
    if method == "foreground-boundary":
        lowest = scipy.ndimage.minimum_filter(labels, 3)
        boundary = scipy.ndimage.gaussian_filter((scipy.ndimage.maximum_filter(labels, 3) != lowest) * 1.0, 0.5)
        return {"foreground": noisy(foreground), "boundary": noisy(boundary)}
    if method == "foreground-distance":
        distance = np.zeros(labels.shape)
        for number in np.unique(labels[labels > 0]):
            depth = scipy.ndimage.distance_transform_edt(np.pad(labels == number, 1))
            distance += depth[(slice(1, -1),) * labels.ndim] / depth.max()
        return {"foreground": noisy(foreground), "distance": noisy(distance)}
    flows = np.zeros((labels.ndim, *labels.shape))
    for number in np.unique(labels[labels > 0]):
        inside = np.argwhere(labels == number)
        middle = inside[((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        away = middle - inside
        flows[(slice(None), *inside.T)] = (5 * away / np.maximum(np.linalg.norm(away, axis=1), 1)[:, np.newaxis]).T
    named = dict(zip(("flow_z", "flow_y", "flow_x")[-labels.ndim :], map(noisy, flows), strict=True))
    return {"probability": noisy(np.where(labels > 0, 4.0, -4.0)), **named}


def check(
    volumes: list[dict[str, Array]],
    method: str,
    block: tuple[int, ...],
    shard: tuple[int, ...] | None = None,
    **options: Any,
) -> list[int]:
    """Assert that blocks give what the whole image gives; returns how many objects each volume has."""
    stacked = {name: np.stack([maps[name] for maps in volumes]) for name in volumes[0]}
    parameters = parameters_of(method, volumes[0][next(iter(stacked))].ndim, **options)
    with tempfile.TemporaryDirectory() as folder:
        found = blockwise_objects(Path(folder), stacked, parameters, block, shard)
    for labels, maps in zip(found, volumes, strict=True):
        expected = reference_objects({name: values_of(values) for name, values in maps.items()}, parameters)
        np.testing.assert_array_equal(labels, expected)
    return [int(labels.max()) for labels in found]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    ndim = draw(st.sampled_from((2, 3)))
    method = draw(st.sampled_from(METHODS))
    shape = tuple(draw(st.integers(1, 36 if ndim == 2 else 13)) for _ in range(ndim))
    noise = draw(st.sampled_from((0.0, 0.1, 0.5)))
    seed = draw(st.integers(0, 10**6))
    labels = tissue(shape, seed, draw(st.integers(1, 9)), draw(st.floats(2, 9)))
    volumes = [maps_of(labels, method, noise, seed)]
    if draw(st.booleans()):
        volumes.append(maps_of(np.flip(labels), method, noise, seed))
    # Coarse maps have plateaus and ties.
    if draw(st.booleans()):
        volumes = [{name: np.round(values * 3) / np.float32(3) for name, values in maps.items()} for maps in volumes]
    options: dict[str, Any] = {
        "connectivity": draw(st.integers(1, ndim)),
        "min_size": draw(st.sampled_from((0, 0, 4))),
        "fill_holes": draw(st.booleans()),
    }
    if method == "foreground-boundary":
        options["seed_threshold"] = draw(st.sampled_from((0.0, 0.3, 0.5, 0.9)))
    if method == "foreground-distance":
        options |= {"seed_threshold": draw(st.sampled_from((0.0, 0.4))), "min_distance": draw(st.integers(1, 6))}
    if method == "flows":
        options |= {"steps": draw(st.sampled_from((1, 7, 200))), "sink_distance": draw(st.integers(1, 6))}
    return options | {
        "volumes": volumes,
        "method": method,
        "block": tuple(draw(st.integers(2, 12)) for _ in range(ndim)),
        "shard": tuple(draw(st.integers(2, 16)) for _ in range(ndim)),
    }


@given(case=cases())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_shape_block_and_parameter(case: dict[str, Any]) -> None:
    check(**case)


# --- Dense tissue, and the grid anywhere on it ---

DENSE = tissue((24, 26), 3, 9, 5.0)
"""Cells that all touch: one component."""


def truth_is_found(labels: Array, truth: Array, share: float) -> None:
    """Every true cell of some size has one object, and the other way round."""
    for number in np.unique(truth[truth > 0]):
        cell = truth == number
        if cell.sum() < 25:
            continue
        found = labels == np.bincount(labels[cell]).argmax()
        assert (cell & found).sum() > share * (cell | found).sum(), f"cell {number} is not one object"


@pytest.mark.parametrize("method", METHODS[1:])
def test_dense_tissue_at_every_offset_of_the_grid(method: str) -> None:
    """Cells that touch at the border of blocks stay two, cells that it cuts become one, wherever it lies.

    Each method is tried at two fifths of the offsets, and all of them together at every one.
    """
    truth = DENSE
    maps = maps_of(truth, method)
    parameters = parameters_of(method, 2, **OPTIONS[method])
    whole = reference_objects(maps, parameters)
    assert skimage.measure.label(truth > 0).max() == 1
    truth_is_found(whole.astype(int), truth, 0.7)
    for y in range(5):
        for x in ((y + 2 * METHODS[1:].index(method) + more) % 5 for more in (0, 1)):
            # Background before the image moves the blocks over it, and changes nothing else.
            lowest = {name: np.float32(min(0, values.min())) for name, values in maps.items()}
            moved = {
                name: np.pad(values, ((y, 0), (x, 0)), constant_values=lowest[name]) for name, values in maps.items()
            }
            with tempfile.TemporaryDirectory() as folder:
                stacked = {name: values[np.newaxis] for name, values in moved.items()}
                found = blockwise_objects(Path(folder), stacked, parameters, (5, 5), (10, 10))[0]
            np.testing.assert_array_equal(found[y:, x:], whole)
            assert not found[:y].any()
            assert not found[:, :x].any()


OPTIONS: dict[str, dict[str, Any]] = {
    "foreground-boundary": {"seed_threshold": 0.3},
    "foreground-distance": {"min_distance": 3},
    "flows": {},
}


@pytest.mark.parametrize("method", METHODS)
def test_stacks(method: str) -> None:
    truth = tissue((9, 16, 18), 1, 9, 6.0)
    check([maps_of(truth, method)], method, (4, 5, 6), (4, 8, 8))


# --- What maps may be ---


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
@pytest.mark.parametrize("method", METHODS)
def test_types_of_maps(method: str, dtype: str) -> None:
    maps = maps_of(DENSE, method)
    if dtype == "uint8" and method == "flows":
        return
    stored = {
        name: np.round(np.clip(values, 0, 1) * 255).astype(dtype) if dtype == "uint8" else values.astype(dtype)
        for name, values in maps.items()
    }
    assert check([stored], method, (9, 11))[0] > (0 if method == "threshold" else 3)


def test_plateaus_and_peaks_side_by_side_are_one_seed() -> None:
    """A distance that is cut off at its top, as that of 8 bits is, has no single highest voxel."""
    y, x = np.indices((20, 44))
    distance = np.maximum(8 - np.hypot(y - 10, x - 11), 8 - np.hypot(y - 10, x - 25)).clip(0, 4).astype(np.float32)
    distance[(distance == 4) & ((y % 2 == 1) | (x % 2 == 1))] = 3.9
    maps = {"foreground": (distance > 0.5).astype(np.float32), "distance": distance}
    assert check([maps], "foreground-distance", (7, 7), min_distance=2) == [2]


def test_a_component_without_a_seed_is_one_object() -> None:
    foreground = np.zeros((12, 12), np.float32)
    foreground[2:5, 2:9] = foreground[8:10, 3:5] = 0.7
    maps = {"foreground": foreground, "boundary": np.full((12, 12), 0.6, np.float32)}
    assert check([maps], "foreground-boundary", (5, 5)) == [2]


def test_what_is_not_a_number_is_lowest() -> None:
    foreground, boundary = np.full((2, 12, 30), 0.9, np.float32), np.zeros((2, 12, 30), np.float32)
    boundary[:, :, 14:16] = 1
    lower = boundary.copy()
    boundary[:, 3:9, 14] = np.nan
    lower[:, 3:9, 14] = 9
    parameters = parameters_of("foreground-boundary", 2)
    found = []
    for edges in (boundary, lower):
        with tempfile.TemporaryDirectory() as folder:
            maps = {"foreground": foreground, "boundary": edges}
            found.append(blockwise_objects(Path(folder), maps, parameters, (5, 7)))
    np.testing.assert_array_equal(*found)
    assert found[0].max() == 2


def test_a_component_too_large_for_memory_stays_one_object_and_is_named() -> None:
    maps = maps_of(DENSE, "foreground-boundary")
    results: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        stacked = {name: values[np.newaxis] for name, values in maps.items()}
        found = blockwise_objects(
            Path(folder),
            stacked,
            parameters_of("foreground-boundary", 2),
            (16, 16),
            memory=split_passes.BASE + 1000,
            results=results,
        )
    assert found.max() == 1
    assert results[0].n_unsplit == 1
    assert results[0].unsplit[0].box == ((0, 24), (0, 26))


# --- Every exactness test above is worth something only if it fails when the code is wrong. ---


def crowd(method: str, **options: Any) -> None:
    """Cells that touch each other, the edges of the image, and the borders of units; with noise."""
    volumes = [maps_of(tissue((30, 34), seed, 11, 5.0), method, 0.1, seed) for seed in range(3)]
    check(volumes, method, (8, 8), (8, 8), **options)


def caught(method: str, **options: Any) -> None:
    with pytest.raises(AssertionError):
        crowd(method, **options)


@pytest.mark.parametrize("method", METHODS[1:])
def test_mutant_box_cut_at_the_unit(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(method)
    honest = split_passes._SplitPass.box

    def cut(work: Any, row: Any) -> Any:
        unit = work.grid.unit_box(int(work.owners(row.reshape(1))[0]))
        return tuple(
            slice(max(part.start, edge.start - 1), min(part.stop, edge.stop + 1))
            for part, edge in zip(honest(work, row), unit, strict=True)
        )

    monkeypatch.setattr(split_passes._SplitPass, "box", cut)
    caught(method)


@pytest.mark.parametrize("method", METHODS[1:])
def test_mutant_neighbours_not_masked(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"connectivity": 1}
    crowd(method, **options)
    monkeypatch.setattr(split_passes, "_alone", lambda labels, label: labels > 0)
    caught(method, **options)


def test_mutant_missing_join(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = labelling.touching_pairs

    def without(here: Array, there: Array, direction: tuple[int, ...], connectivity: int) -> Array:
        pairs = honest(here, there, direction, connectivity)
        return pairs[:0] if direction[0] else pairs

    monkeypatch.setattr(labelling, "touching_pairs", without)
    caught("threshold")
    caught("foreground-boundary")


def test_mutant_seeds_from_the_foreground_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = objects.seeds.part_by_boundary
    monkeypatch.setattr(
        objects.seeds, "part_by_boundary", lambda mask, inner, edge, *rest: honest(mask, inner, 0 * edge, *rest)
    )
    caught("foreground-boundary")


@pytest.mark.parametrize("method", METHODS[1:3])
def test_mutant_seeds_of_one_height_in_another_order(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(heights: Array, places: Array, numbers: Array, connectivity: int) -> Array:
        return flood(heights, places[::-1].copy(), numbers[::-1].copy(), connectivity)

    def coarse() -> None:
        volumes = [maps_of(tissue((30, 34), seed, 11, 5.0), method) for seed in range(3)]
        rough = [{name: np.round(values * 4) / np.float32(4) for name, values in maps.items()} for maps in volumes]
        check(rough, method, (8, 8), (8, 8))

    coarse()
    monkeypatch.setattr(seeds, "flood", backwards)
    with pytest.raises(AssertionError):
        coarse()


def test_mutant_peaks_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = seeds.maximum_filter
    monkeypatch.setattr(
        seeds,
        "maximum_filter",
        lambda values, size, **rest: values if values.dtype == bool else honest(values, size, **rest),
    )
    with pytest.raises(AssertionError):
        test_plateaus_and_peaks_side_by_side_are_one_seed()


def test_mutant_one_step_less(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = flows._kernels.follow
    monkeypatch.setattr(flows._kernels, "follow", lambda mask, moves, steps, ends: honest(mask, moves, steps - 1, ends))
    caught("flows", steps=3)


def test_mutant_flows_lead_out_of_the_component(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = flows._kernels.follow

    def across_a_bay() -> None:
        """Flows of one arm of a U lead into the bay, and those in the bay to the other arm."""
        probability = np.full((12, 20), 4, np.float32)
        probability[:9, 7:13] = -4
        flow_x = np.where(probability > 0, np.sign(15 - np.arange(20)), 1).astype(np.float32) * 5
        check([{"probability": probability, "flow_y": 0 * flow_x, "flow_x": flow_x}], "flows", (8, 8))

    across_a_bay()
    monkeypatch.setattr(flows._kernels, "follow", lambda mask, *rest: honest(np.ones_like(mask), *rest))
    with pytest.raises(AssertionError):
        across_a_bay()


def test_mutant_bytes_not_taken_for_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps_module, "values_of", lambda stored: stored.astype(np.float32))
    with pytest.raises(AssertionError):
        test_types_of_maps("foreground-boundary", "uint8")
