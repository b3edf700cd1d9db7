"""The harness can fail: made-up operations that are wrong in one way each are caught, and right ones pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from chunkwise.errors import ResumableError
from chunkwise.operations import find
from chunkwise.operations._part import PART
from chunkwise.operations.model import Image, Operation, Parameter
from operations import harness

MAXIMUM = find("filter", "maximum")


def stretch(image: Any, *, low: Any, high: Any) -> Any:
    """Needs to know something of the whole volume."""
    return (image - np.float64(low)) / (np.float64(high) - low or 1.0)


STRETCH = Operation(
    name="stretch", family="filter", title="Stretch", does="stretches", part=PART, takes={"image": Image("iuf")},
    gives=Image(dtype="float64"), kernel=stretch, needs={"low": "minimum", "high": "maximum"},
    equals="(image - numpy.float64(image.min())) / (numpy.float64(image.max()) - image.min() or 1.0)",
    exact={"iuf": "bit"},
)  # fmt: skip


def opening(image: Any, *, size: int) -> Any:
    """Looks as far as its two steps together, and seldom that far."""
    return ndimage.grey_opening(image, (size,) * image.ndim)


OPENING = replace(
    MAXIMUM, name="opening", kernel=opening, equals="scipy.ndimage.grey_opening(image, (size,) * image.ndim)",
    reach=lambda size: 2 * (size // 2) + 1, reach_is="upper", least_reach=lambda size: 2 * (size // 2),
)  # fmt: skip


def decay(image: Any, *, share: float) -> Any:
    """A sum that goes on for ever, less and less, along the first axis."""
    from scipy.signal import lfilter

    return lfilter([1.0 - share], [1.0, -share], image.astype(float), axis=0)


DECAY = Operation(
    name="decay", family="filter", title="Decay", does="decays", part=PART, takes={"image": Image("f")},
    gives=Image(dtype="float64"), kernel=decay, parameters={"share": Parameter(float, 0.1, least=0.05, most=0.2)},
    reach=lambda share: 6, reach_is="bounded", exact={"f": "rtol 1e-3"},
    equals="scipy.signal.lfilter([1.0 - share], [1.0, -share], image.astype(float), axis=0)",
)  # fmt: skip


@pytest.mark.parametrize("operation", [STRETCH, OPENING], ids=lambda one: one.name)
def test_what_is_right_passes(operation: Operation, tmp_path: Path) -> None:
    harness.check(operation)
    harness.check_run(operation, tmp_path)


def test_a_residue_is_measured_and_said() -> None:
    said = harness.check(DECAY)
    found = next(line for line in said if line.startswith("decay of float64: residue "))
    assert 1e-9 < float(found.split()[-1]) < 1e-3


def shifted(image: Any, *, size: int) -> Any:
    return ndimage.maximum_filter(image, size, origin=size // 2)


LESS_ALONG_Y = replace(MAXIMUM, reach=lambda size: (size // 2, max(0, size // 2 - 1), size // 2))
FOREIGN = replace(MAXIMUM, equals="chunkwise.ops.median.median(image, size)")
WRONG = {
    "a reference that is ours": (FOREIGN, "names chunkwise"),
    "no reference": (replace(MAXIMUM, equals=""), "has no literal reference"),
    "one less": (replace(MAXIMUM, reach=lambda size: max(0, size // 2 - 1)), "is not scipy"),
    "one less along one axis": (LESS_ALONG_Y, "is not scipy"),
    "one more": (replace(MAXIMUM, reach=lambda size: size // 2 + 1), "no image tells a reach of"),
    "another kernel": (replace(MAXIMUM, kernel=shifted), "is not scipy"),
    "an upper bound alone": (replace(OPENING, least_reach=None), "has to come with a lower one"),
    "a lower bound too high": (replace(OPENING, least_reach=OPENING.reach), "no image tells"),
    "exactness of no type": (replace(MAXIMUM, exact={"iu": "bit"}), "does not say how exact"),
    "exactness without a number": (replace(MAXIMUM, exact={"iuf": "rtol"}), "neither 'bit' nor 'rtol' and a number"),
    "residue larger than said": (replace(DECAY, exact={"f": "rtol 1e-9"}), "residue"),
}  # fmt: skip


@pytest.mark.parametrize("way", WRONG)
def test_mutant(way: str) -> None:
    operation, said = WRONG[way]
    with pytest.raises(AssertionError, match=said):
        harness.check(operation)


def test_mutant_statistics_of_each_block() -> None:
    assert harness.per_block_statistics_are_caught(STRETCH)
    assert not harness.per_block_statistics_are_caught(MAXIMUM), "it needs none, so that this says nothing"


def test_mutant_padding_is_not_seen_where_nothing_is_looked_at() -> None:
    assert not harness.caught(STRETCH, {}, 2, pad="zero")


def smaller(image: Any, *, size: int) -> Any:
    return image[1:] if image.shape[0] < 6 else image


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (smaller, r"in the block 0:4,0:4, and gave uint8 voxels of the shape \(4, 5\)"),
        (lambda image, size: image.astype("f4"), r"in the block 0:4,0:4, and gave float32"),
        (lambda image, size: image.no_such, "failed in the block 0:4,0:4: AttributeError"),
    ],
)
def test_a_kernel_that_gives_something_else_names_the_block(kernel: Any, said: str, tmp_path: Path) -> None:
    image = harness.write_image(tmp_path / "i.ome.zarr", np.ones((16, 16), "u1"), "yx")
    operation = replace(MAXIMUM, kernel=kernel)
    with pytest.raises(ResumableError, match=said):
        harness.run_on(operation, image, tmp_path / "o.ome.zarr", {"size": 3}, (4, 4))
    assert not (tmp_path / "o.ome.zarr").exists()
