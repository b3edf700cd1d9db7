"""What the harness over all declarations does not feed to the rolling ball: a voxel that is no number."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import rolling_ball

from chunkwise.operations import find
from operations.harness import by_blocks


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_voxel_that_is_no_number_is_passed_by(dtype: str) -> None:
    image = np.random.default_rng(0).random((12, 12)).astype(dtype) * 9
    image[5, 6], image[2, 3] = np.nan, -0.0
    found = by_blocks(find("background", "rolling-ball"), image, {"radius": 3}, (5, 4))
    np.testing.assert_array_equal(found, image - rolling_ball(image, radius=3))
    assert np.isnan(found).sum() == 1
