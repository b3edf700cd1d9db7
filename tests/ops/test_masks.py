"""Masks over blocks: their components and holes, in the words of SciPy and scikit-image, and mutants of the joining."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
import skimage.morphology
import zarr

from chunkwise.errors import InputError
from chunkwise.operations import find
from chunkwise.ops import labelling, split_passes
from chunkwise.running.chains import components
from operations.harness import run_on, write_image
from operations.reference import reference
from whole_image import reference_split

Array = np.ndarray[Any, Any]


def made(
    folder: Path,
    mask: Array,
    method: str,
    axes: str = "",
    block: int = 3,
    scale: tuple[float, ...] | None = None,
    **values: Any,
) -> Array:
    """Write a mask, and read what becomes of it."""
    axes = axes or "tczyx"[5 - mask.ndim :]
    name = f"{len(list(folder.iterdir()))}"
    image, output = write_image(folder / f"{name}.ome.zarr", mask, axes), folder / f"{name}.out.ome.zarr"
    if scale is not None:
        group = zarr.open_group(image, mode="r+")
        ome: Any = group.attrs["ome"]
        ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] = [1.0] * axes.count("t") + [
            *scale
        ]
        group.attrs["ome"] = ome
    family = "morphology" if "holes" in method else "label"
    spatial = sum(axis in "zyx" for axis in axes)
    run_on(find(family, method), image, output, values, (block,) * spatial)
    return np.asarray(zarr.open_array(output / "0", mode="r")[...])


CHECKERS = np.indices((5, 6, 7)).sum(axis=0) % 2 == 0


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_components_are_numbered_as_scikit_image_does(connectivity: int, tmp_path: Path) -> None:
    """Neighbours across faces, edges and corners of blocks; ids are equal, not only the objects."""
    for mask in (CHECKERS, np.random.default_rng(1).random((5, 6, 7)) < 0.4):
        found = made(tmp_path, mask, "components", connectivity=connectivity)
        assert found.dtype == np.uint32
        assert np.array_equal(found, skimage.measure.label(mask, connectivity=connectivity))
        structure = scipy.ndimage.generate_binary_structure(3, connectivity)
        assert np.array_equal(found, scipy.ndimage.label(mask, structure)[0])


def blobs(shape: tuple[int, ...], seed: int) -> Array:
    """Round things, many of which touch, and are larger than a block."""
    noise = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.asarray(noise > np.quantile(noise, 0.55))


@pytest.mark.parametrize("shape", [(61, 70), (13, 22, 25)])
def test_touching_objects_are_split_as_in_the_whole_image(shape: tuple[int, ...], tmp_path: Path) -> None:
    """By one watershed of the whole image; by that of each component alone, which says what an edge of a voxel is."""
    mask, operation = blobs(shape, 3), find("label", "split")
    for distance, connectivity in ((2, len(shape)), (5, 1)):
        values = {"min_distance": distance, "connectivity": connectivity}
        found = made(tmp_path, mask, "split", block=11, **values)
        assert found.max() > made(tmp_path, mask, "components", block=11, connectivity=connectivity).max()
        assert np.array_equal(found, reference(operation, mask, values))
        alone = skimage.measure.label(mask, connectivity=connectivity)
        assert np.array_equal(found, reference_split(alone, (1,) * len(shape), distance, connectivity))


def test_parts_follow_the_shape_of_voxels_at_every_time_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks, scale = np.stack([blobs((9, 22, 25), seed) for seed in (4, 5)]), (2.0, 1.0, 1.0)
    found = made(tmp_path, masks, "split", "tzyx", 7, scale, min_distance=2)
    for labels, mask in zip(found, masks, strict=True):
        assert np.array_equal(labels, reference_split(skimage.measure.label(mask), scale, 2, 3))
    monkeypatch.setattr(components, "spacing_of", lambda _: (1.0, 1.0, 1.0))
    assert not np.array_equal(made(tmp_path, masks, "split", "tzyx", 7, scale, min_distance=2), found)


def test_mutant_parts_of_a_block_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = blobs((40, 44), 6)
    found = made(tmp_path, mask, "split", block=7, min_distance=2)
    real = split_passes._SplitPass.box

    def cut(work: Any, row: Any) -> Any:
        return tuple(slice(box.start, min(box.stop, box.start + 7)) for box in real(work, row))

    monkeypatch.setattr(split_passes._SplitPass, "box", cut)
    assert not np.array_equal(made(tmp_path, mask, "split", block=7, min_distance=2), found)


@pytest.mark.parametrize("mask", [np.zeros((3, 4), bool), np.ones((3, 4), bool), np.ones((1, 1, 5), bool)])
def test_nothing_all_and_lines(mask: Array, tmp_path: Path) -> None:
    for method in ("components", "split"):
        assert np.array_equal(made(tmp_path, mask, method), mask), method
    for method, of in (
        ("fill-holes", scipy.ndimage.binary_fill_holes),
        ("small-holes", skimage.morphology.remove_small_holes),
    ):
        assert np.array_equal(made(tmp_path, mask, method), of(mask)), method


def nested() -> Array:
    """A box with a hole in it, and a tunnel that is a hole in planes, but for one; corners do not open a hole."""
    volume = np.zeros((4, 6, 9), bool)
    volume[:, 0:5, 0:4] = True
    volume[1:3, 1:4, 1:3] = False
    volume[2, 4, 3] = False
    volume[:, 1:5, 4:9] = True
    volume[:, 2:4, 5:8] = False
    volume[1, 2, 8] = False
    return volume


@pytest.mark.parametrize("planes", [False, True])
def test_holes(planes: bool, tmp_path: Path) -> None:
    def whole(of: Any, **more: Any) -> Array:
        return np.stack([of(plane, **more) for plane in nested()]) if planes else np.asarray(of(nested(), **more))

    expected = whole(scipy.ndimage.binary_fill_holes)
    assert not np.array_equal(expected, nested())
    assert np.array_equal(made(tmp_path, nested(), "fill-holes", planes=planes), expected)
    for most in (0, 18):
        expected = whole(skimage.morphology.remove_small_holes, max_size=most)
        found = made(tmp_path, nested(), "small-holes", planes=planes, max_size=most)
        assert np.array_equal(found, expected), most


def test_every_channel_and_time_point_has_holes_of_its_own(tmp_path: Path) -> None:
    masks = np.random.default_rng(3).random((2, 2, 2, 5, 6)) < 0.6
    found = made(tmp_path, masks, "fill-holes")
    for place in product(range(2), range(2)):
        assert np.array_equal(found[place], scipy.ndimage.binary_fill_holes(masks[place]))


@pytest.mark.parametrize("method", ["fill-holes", "small-holes"])
@pytest.mark.parametrize("planes", [False, True])
def test_a_face_that_is_not_joined_is_caught(
    method: str, planes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.ones((4, 6, 9), bool)
    mask[1:3, 2:4, 2:] = False  # a bay, which three blocks share
    values = {"planes": planes} | ({"max_size": 12} if method == "small-holes" else {})
    assert np.array_equal(made(tmp_path, mask, method, **values), mask)
    real = labelling.touching_pairs

    def without(here: Any, there: Any, direction: tuple[int, ...], connectivity: int) -> Any:
        return real(here, there, direction, connectivity)[: 0 if direction[-1] else None]

    monkeypatch.setattr(labelling, "touching_pairs", without)
    assert not np.array_equal(made(tmp_path, mask, method, **values), mask)


def test_planes_that_are_joined_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant takes the background of a block for one volume."""
    whole = made(tmp_path, nested(), "fill-holes", planes=True)
    real = labelling.label
    monkeypatch.setattr(labelling, "label", lambda mask, connectivity, planes=False: real(mask, connectivity))
    assert not np.array_equal(made(tmp_path, nested(), "fill-holes", planes=True), whole)


def test_more_neighbours_than_axes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--connectivity 3 has to be between 1 and 2, the number of axes"):
        made(tmp_path, np.ones((3, 4), bool), "components", connectivity=3)
