"""Filters for ridges at widths that people use, which are too wide for the harness; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chunkwise.errors import InputError
from chunkwise.operations import operations_of
from operations import harness
from operations.reference import reference


@pytest.mark.parametrize("name", ["frangi", "meijering", "sato"])
@pytest.mark.parametrize(
    ("shape", "block", "dtype", "widths"),
    [
        ((70, 64), (40, 33), "uint16", {"sigma_min": 0.5, "sigma_max": 2.5, "sigmas": 2, "ridges": "dark"}),
        ((38, 1, 40), (20, 1, 40), "float32", {"sigma_min": 1.2, "sigma_max": 1.5, "sigmas": 2, "ridges": "bright"}),
    ],
)
def test_blocks_are_the_whole_image(
    name: str, shape: tuple[int, ...], block: tuple[int, ...], dtype: str, widths: dict[str, Any]
) -> None:
    operation = operations_of("filter")[name]
    volume = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    values = operation.own(operation.check(widths))
    expected = reference(operation, volume, values)
    assert expected.max() > 0
    np.testing.assert_array_equal(harness.by_blocks(operation, volume, values, block), expected)
    short = tuple(far // 4 for far in operation.reach_of(values, volume.ndim))
    assert not np.array_equal(harness.by_blocks(operation, volume, values, block, short), expected)


def test_what_cannot_be_is_refused() -> None:
    operation = operations_of("filter")["sato"]
    with pytest.raises(InputError, match="--sigma-min 3 has to be no larger than --sigma-max 2"):
        operation.check({"sigma_min": 3, "sigma_max": 2})
    with pytest.raises(InputError, match="--sigma-max 2 means nothing with --sigmas 1; leave it out"):
        operation.check({"sigma_max": 2, "sigmas": 1})
    assert operation.kernel is not None
    with pytest.raises(InputError, match="infinite or not numbers; replace them first"):
        operation.kernel(np.full((5, 5), np.nan), **operation.own(operation.check({})))


def test_an_even_image_has_no_ridges() -> None:
    for name in ("frangi", "meijering", "sato"):
        operation = operations_of("filter")[name]
        values = operation.own(operation.check({"sigmas": 1}))
        found = harness.by_blocks(operation, np.zeros((9, 9), np.uint8), values, (4, 4))
        np.testing.assert_array_equal(found, np.zeros((9, 9)))
