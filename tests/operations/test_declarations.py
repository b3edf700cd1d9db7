"""Every operation that is declared by a kernel goes through the harness, and every other one has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chunkwise.operations import families, operations_of
from chunkwise.operations.model import Operation
from operations import harness

TESTS = Path(__file__).parents[1]
#: Operations with a chain of their own, and the file that holds each against its reference.
CHAINS = {
    "segment": "ops/test_segment.py",
    "objects": "ops/test_objects_parts.py",
    "predict": "models/test_predict.py",
    "measure": "ops/test_measure.py",
    "compare": "ops/test_compare.py",
    "fetch": "commands/test_fetch.py",
    "convert": "formats/test_convert.py",
    "math": "commands/test_math.py",
    "spots": "ops/test_spots.py",
    "overlay": "commands/test_overlay.py",
    "points": "ops/test_points.py",
    "components": "ops/test_masks.py",
    "rules": "ops/test_tabled.py",
    "map": "ops/test_tabled.py",
    "fill-holes": "ops/test_masks.py",
    "hysteresis": "ops/test_hysteresis.py",
    "small-holes": "ops/test_masks.py",
}
ALL = [operation for family in families() for operation in operations_of(family).values()]
#: That take a table as well.
TABLED = {one.name for one in ALL if "table" in one.takes}
#: With the literal call that they equal, be it by a kernel or by a chain.
ALONE = [one for one in ALL if one.equals and one.name not in TABLED]
DECLARED = [pytest.param(one, id=f"{one.family} {one.name}") for one in ALONE]
KERNELS = [pytest.param(one, id=f"{one.family} {one.name}") for one in ALONE if one.kernel is not None]


def test_none_is_without() -> None:
    assert {one.name for one in ALL if one.kernel is None} | TABLED == set(CHAINS)
    assert all((TESTS / file).is_file() for file in CHAINS.values())
    assert len(KERNELS) >= 6


@pytest.fixture(scope="module")
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    print("", *lines, sep="\n")


@pytest.mark.parametrize("operation", KERNELS)
def test_blocks_reach_and_mutants(operation: Operation, said: list[str]) -> None:
    said += harness.check(operation)


@pytest.mark.parametrize("operation", DECLARED)
def test_the_chain(operation: Operation, tmp_path: Path) -> None:
    harness.check_run(operation, tmp_path)
