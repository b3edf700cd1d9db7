"""StarDist's objects: blocks give what the whole image gives."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkwise.ops import star_passes, star_polygons
from chunkwise.ops.star_passes import StarResult, find_stars
from whole_image import Array
from whole_objects import blockwise_objects, parameters_of, pixels_of, reference_stars

RAYS = 16


def stars_of(labels: Array, noise: float = 0.0, seed: int = 0, rays: int = RAYS) -> dict[str, Array]:
    """What a good model would say of these objects: the way to the edge, along each ray, in steps of a quarter."""
    random = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(rays) / rays
    y, x = np.indices(labels.shape)
    distances = np.zeros((rays, *labels.shape))
    for k in range(rays):
        going = labels > 0
        for step in np.arange(0.25, max(labels.shape), 0.25):
            to = np.rint(y + step * np.sin(angles[k])).astype(int), np.rint(x + step * np.cos(angles[k])).astype(int)
            seen = (to[0] >= 0) & (to[1] >= 0) & (to[0] < labels.shape[0]) & (to[1] < labels.shape[1])
            going &= seen
            going[going] &= labels[to[0][going], to[1][going]] == labels[going]
            if not going.any():
                break
            distances[k][going] = step
    nearest = distances.min(axis=0)
    chance = np.where(labels > 0, nearest / (nearest.max() + 1) * 0.5 + 0.45, 0)
    maps = {"probability": chance + noise * random.normal(size=labels.shape)}
    maps |= {f"ray{k}": distances[k] + 4 * noise * random.normal(size=labels.shape) for k in range(rays)}
    return {name: values.astype(np.float32) for name, values in maps.items()}


def find(channels: dict[str, Any], grid: Any, parameters: Any, *rest: Any) -> StarResult:
    """The rays' channels, as the command finds them."""
    first = channels["probability"]
    rays = tuple(replace(first, channel=number) for number in range(1, len(channels)))
    return find_stars(channels, rays, grid, parameters, *rest)


def check(
    volumes: list[dict[str, Array]], block: tuple[int, ...], shard: tuple[int, ...], **options: Any
) -> tuple[Array, StarResult]:
    """Assert that blocks give what the whole image gives."""
    stacked = {name: np.stack([maps[name] for maps in volumes]) for name in volumes[0]}
    parameters = parameters_of("stardist", 2, **options)
    results: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        found = blockwise_objects(Path(folder), stacked, parameters, block, shard, find=find, results=results)
    for labels, maps in zip(found, volumes, strict=True):
        np.testing.assert_array_equal(labels, reference_stars(maps, parameters.values))
    return found, results[0]


def tissue(shape: tuple[int, ...], seed: int, cells: int, radius: float) -> Array:
    """Label round cells, the nearest centre within a radius, so that neighbours touch."""
    centres = np.random.default_rng(seed).uniform(0, shape, (cells, 2))
    distance = np.linalg.norm(np.stack(np.indices(shape), axis=-1)[:, :, np.newaxis] - centres, axis=-1)
    return np.where(distance.min(axis=-1) < radius, distance.argmin(axis=-1) + 1, 0)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = (draw(st.integers(1, 30)), draw(st.integers(1, 30)))
    seed = draw(st.integers(0, 10**6))
    labels = tissue(shape, seed, draw(st.integers(1, 8)), draw(st.floats(2, 8)))
    noise = draw(st.sampled_from((0.0, 0.1, 0.4)))
    volumes = [stars_of(labels, noise, seed, draw(st.sampled_from((3, 8))))]
    if draw(st.booleans()):
        volumes.append({name: np.flip(values) for name, values in volumes[0].items()})
    if draw(st.booleans()):
        # Many candidates of one probability.
        volumes = [maps | {"probability": np.round(maps["probability"] * 4) / np.float32(4)} for maps in volumes]
    return {
        "volumes": volumes,
        "block": (draw(st.integers(2, 12)), draw(st.integers(2, 12))),
        "shard": (draw(st.integers(2, 16)), draw(st.integers(2, 16))),
        "threshold": draw(st.sampled_from((0.3, 0.5))),
        "nms_threshold": draw(st.sampled_from((0.0, 0.2, 0.5, 1.0))),
        "max_radius": draw(st.sampled_from((2, 5, 128))),
        "grid": draw(st.sampled_from((1, 1, 2))),
        "min_size": draw(st.sampled_from((0, 6))),
    }


@given(case=cases())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_shape_block_and_parameter(case: dict[str, Any]) -> None:
    check(**case)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_polygon_has_the_pixels_that_scikit_image_gives_it(data: st.DataObject) -> None:
    """Also where vertices lie on pixels, and where it is flat."""
    count = data.draw(st.sampled_from((3, 4, 8, 32, 33)))
    values = st.integers(0, 6) if data.draw(st.booleans()) else st.floats(0, 9, width=32)
    distances = np.array(data.draw(st.lists(values, min_size=count, max_size=count)), np.float32)
    reach = int(star_polygons.reach_of(distances[np.newaxis])[0])
    drawn = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    star_polygons.draw(np.array([[reach, reach]]), distances[np.newaxis], np.ones(1, np.uint8), drawn)
    expected = np.zeros_like(drawn)
    expected[pixels_of((reach, reach), distances, 1)] = 1
    np.testing.assert_array_equal(drawn, expected)


# --- Dense tissue, and the grid anywhere on it ---

DENSE = np.pad(tissue((24, 26), 3, 9, 5.0), 6)
"""Cells that all touch, away from the edges of the image."""


def test_dense_tissue_at_every_offset_of_the_grid() -> None:
    """Cells that touch at the border of blocks stay two, cells that it cuts become one, wherever it lies."""
    maps = stars_of(DENSE)
    parameters = parameters_of("stardist", 2)
    whole = reference_stars(maps, parameters.values)
    for number in np.unique(DENSE[DENSE > 0]):
        cell = number == DENSE
        found = whole == np.bincount(whole[cell].astype(int)).argmax()
        assert (cell & found).sum() > 0.7 * (cell | found).sum(), f"cell {number} is not one object"
    for y in range(5):
        for x in range(5):
            moved = {name: np.pad(values, ((y, 0), (x, 0)))[np.newaxis] for name, values in maps.items()}
            with tempfile.TemporaryDirectory() as folder:
                found = blockwise_objects(Path(folder), moved, parameters, (10, 10), (10, 20), find=find)[0]
            np.testing.assert_array_equal(found[y:, x:], whole)


# --- What does not fit ---


def test_polygons_beyond_the_largest_radius_are_left_out_and_counted() -> None:
    maps = stars_of(DENSE)
    maps["ray3"][8, 9] = maps["ray3"][20, 20] = 70.3
    maps["probability"][8, 9] = maps["probability"][20, 20] = 0.9
    found, result = check([maps], (10, 10), (10, 20), max_radius=20)
    assert result.left_out == [{"count": 2, "radius": 71, "place": 8 * DENSE.shape[1] + 9}]
    assert found.max() > 3
    _, result = check([maps], (10, 10), (10, 20))
    assert result.left_out[0]["count"] == 0


def test_a_chain_of_conflicts_across_many_blocks_is_followed_to_its_end() -> None:
    """A row of discs, each in conflict with the next only, and likelier the further left: every second one is kept."""
    maps = {f"ray{k}": np.zeros((15, 120), np.float32) for k in range(RAYS)}
    chance = np.zeros((15, 120), np.float32)
    for number, x in enumerate(range(6, 114, 6)):
        chance[7, x] = 0.99 - number / 100
        for k in range(RAYS):
            maps[f"ray{k}"][7, x] = 5
    found, result = check([{"probability": chance, **maps}], (7, 7), (14, 14), nms_threshold=0.2)
    assert found.max() == 9
    assert result.rounds > 3, "the chain is longer than a window"


def test_nothing_and_pixels_without_a_number() -> None:
    maps = stars_of(DENSE)
    nothing = {name: np.zeros_like(values) for name, values in maps.items()}
    found, _ = check([nothing, maps], (10, 10), (20, 20))
    assert found[0].max() == 0 < found[1].max()
    maps["ray2"][maps["ray2"] > 3] = np.nan
    cut = maps | {"ray2": np.nan_to_num(maps["ray2"])}
    results = []
    for volume in (maps, cut):
        with tempfile.TemporaryDirectory() as folder:
            stacked = {name: values[np.newaxis] for name, values in volume.items()}
            results.append(
                blockwise_objects(Path(folder), stacked, parameters_of("stardist", 2), (9, 9), (18, 18), find=find)
            )
    np.testing.assert_array_equal(*results)


# --- Every exactness test above is worth something only if it fails when the code is wrong. ---


def crowd(**options: Any) -> None:
    """Polygons of any shape all over each other: whether one is kept hangs on many others."""
    volumes = [stars_of(tissue((30, 34), seed, 11, 5.0), 0.3, seed) for seed in range(2)]
    check(volumes, (8, 8), (16, 16), **{"nms_threshold": 0.2, "threshold": 0.7} | options)


def caught(**options: Any) -> None:
    with pytest.raises(AssertionError):
        crowd(**options)


def test_mutant_decided_without_seeing_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star_passes, "_in_sight", lambda stars, *_: np.ones(len(stars), bool))
    with pytest.raises(AssertionError):
        test_a_chain_of_conflicts_across_many_blocks_is_followed_to_its_end()


def test_mutant_halo_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that look half as far as the largest polygon reaches."""
    monkeypatch.setattr(star_passes, "_as_found", lambda _, found: found | {"reach": found["reach"] // 2})
    caught()


def test_mutant_objects_cut_at_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit is drawn from the objects whose centres lie in it."""
    honest = star_passes._write_unit

    def alone(work: Any, number: int) -> Any:
        return honest(replace(work, radius=(0,) * len(work.radius)), number)

    monkeypatch.setattr(star_passes, "_write_unit", alone)
    caught()


def test_mutant_the_less_likely_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = star_passes.draw
    monkeypatch.setattr(
        star_passes, "draw", lambda places, rays, ids, out: honest(places[::-1], rays[::-1], ids[::-1], out)
    )
    caught(nms_threshold=0.9)


def test_mutant_ties_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates of one probability, the last one first."""
    honest = star_passes.decide

    def backwards(places: Array, rays: Array, state: Array, whole: Array, overlap: float) -> None:
        order = np.arange(len(places))[::-1].copy()
        turned = state[order]
        honest(places[order], rays[order], turned, whole[order], overlap)
        state[order] = turned

    def even() -> None:
        maps = stars_of(tissue((30, 34), 0, 11, 5.0))
        maps["probability"] = np.where(maps["probability"] > 0.3, np.float32(0.6), np.float32(0))
        check([maps], (8, 8), (16, 16))

    even()
    monkeypatch.setattr(star_passes, "decide", backwards)
    with pytest.raises(AssertionError):
        even()


def test_mutant_overlap_of_the_larger_polygon(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = star_passes.decide
    monkeypatch.setattr(star_passes, "decide", lambda *rest: honest(*rest[:-1], rest[-1] * 1.5))
    caught()


def test_mutant_covered_pixels_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and first pixels of whole polygons."""
    honest = star_passes.visible

    def alone(places: Array, rays: Array, shape: tuple[int, int], wanted: Array) -> tuple[Array, Array]:
        each = [honest(places[[k]], rays[[k]], shape, wanted[[k]]) for k in range(len(places))]
        counts, firsts = (np.concatenate([np.zeros(0, int), *part]) for part in zip(*each, strict=True))
        return counts, firsts

    monkeypatch.setattr(star_passes, "visible", alone)
    caught(nms_threshold=0.5, min_size=15)
