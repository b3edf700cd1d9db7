"""What the harness over all declarations does not feed to morphology: no numbers, signed zeros, the widest integers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import skimage.morphology

from chunkwise.errors import InputError
from chunkwise.operations import find, operations_of
from operations.harness import by_blocks

METHODS = {name: one for name, one in operations_of("morphology").items() if one.kernel}
#: How far apart voxels are looked at, by method.
STEPS = {"open": 2, "close": 2}


@pytest.mark.parametrize("footprint", ["ball", "box"])
@pytest.mark.parametrize("method", METHODS)
def test_blocks_change_no_bit_where_voxels_are_no_numbers(method: str, footprint: str) -> None:
    image = np.random.default_rng(0).normal(size=(40, 50)).round().astype("float32")
    assert (np.signbit(image) & (image == 0)).any()
    image[10, 20], image[11, 21], image[25, 3] = np.nan, np.inf, np.nan
    values = {"radius": 2, "footprint": footprint}
    whole = by_blocks(METHODS[method], image, values, image.shape)
    parts = by_blocks(METHODS[method], image, values, (7, 9))
    assert parts.tobytes() == whole.tobytes()
    assert not np.signbit(whole[whole == 0]).any()
    far = 2 * STEPS.get(method, 1)
    near = np.zeros(image.shape, bool)
    for y, x in ((10, 20), (25, 3)):
        near[max(0, y - far) : y + far + 1, max(0, x - far) : x + far + 1] = True
    assert 10 < np.isnan(whole).sum() <= near.sum()
    assert not np.isnan(whole[~near]).any()
    known = ~near if method != "gradient" else ~near & np.isfinite(whole)
    shape = skimage.morphology.disk(2) if footprint == "ball" else np.ones((5, 5))
    calls: dict[str, Any] = {"erode": "erosion", "dilate": "dilation", "open": "opening", "close": "closing"}
    if method in calls:
        filled = np.where(np.isnan(image), 0, image)
        expected = getattr(skimage.morphology, calls[method])(filled, shape)
        np.testing.assert_array_equal(whole[known], expected[known])


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_whole_numbers_are_exact_or_refused(dtype: str) -> None:
    image = np.random.default_rng(1).integers(2**53 - 100, 2**53, (9, 11), dtype, endpoint=True)
    image[5, 5] = 0 if dtype == "uint64" else -(2**53)
    values = {"radius": 1, "footprint": "box"}
    found = by_blocks(find("morphology", "gradient"), image, values, (4, 4))
    for y, x in product(range(9), range(11)):
        part = image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].ravel().tolist()
        assert found[y, x] == max(part) - min(part)
    image[0, 0] = 2**53 + 1
    with pytest.raises(InputError, match="beyond 9007199254740992"):
        by_blocks(find("morphology", "gradient"), image, values, (4, 4))
