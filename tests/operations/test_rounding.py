"""Processors that round differently never work on one image where it would show."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made_stores
from chunkwise.blocks.rounding import check_rounding, rounding
from chunkwise.cli import main
from chunkwise.operations import families, find, operations_of
from chunkwise.operations.model import Operation
from killing import at_line
from made_models import make_package
from operations.harness import by_blocks, cases, countable, dtypes, images, mixture

#: What NumPy (2.4) calls the instructions beyond the oldest processors'; without them it rounds in another way.
OTHER_PROCESSOR = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
#: Functions that it computes by them.
ROUNDED = ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "power", "cbrt", "sinh", "cosh", "tanh", "arctan2")

#: What gives objects the numbers of a table computes nothing.
KERNELS = [
    one for name in families() for one in operations_of(name).values() if one.kernel and "table" not in one.takes
]


def elsewhere(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as on a processor of another kind."""
    environment = os.environ | OTHER_PROCESSOR
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)


@contextmanager
def watched(called: set[str]) -> Iterator[None]:
    """Note the functions of NumPy that are called meanwhile and that processors round in different ways."""
    true = {name: getattr(np, name) for name in ROUNDED}

    def noting(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.add(name)
            return true[name](*arguments, **options)

        return call

    try:
        for name in ROUNDED:
            setattr(np, name, noting(name))
        yield
    finally:
        for name, function in true.items():
            setattr(np, name, function)


@pytest.mark.parametrize("operation", KERNELS, ids=lambda one: f"{one.family} {one.name}")
def test_an_operation_that_rounds_is_declared(operation: Operation) -> None:
    dtype = dtypes(operation)[0]
    tried = (mixture(operation, image) for image in images((9, 12, 11), dtype))
    volume = next(image for image in tried if countable(operation, image))
    called: set[str] = set()

    def kernel(*voxels: Any, **values: Any) -> Any:
        with watched(called):
            return operation.kernel(*voxels, **values)  # type: ignore[misc]

    for values in cases(operation):
        with np.errstate(all="ignore"):
            by_blocks(replace(operation, kernel=kernel), volume, operation.own(values), volume.shape[-3:])
        assert bool(called) <= operation.rounds_with(values), f"{values}: it calls {', '.join(sorted(called))}"
        called.clear()


def test_what_follows_from_the_values() -> None:
    segment, spots, math = find("segment"), find("spots"), find("math")
    assert segment.rounds_with(segment.check({}))
    assert not segment.rounds_with(segment.check({"sigma": 0}))
    assert spots.rounds_with(spots.check({}))
    assert not spots.rounds_with(spots.check({"method": "peaks"}))
    assert [math.rounds_with(math.check({"expression": text})) for text in ("a + b", "exp(a)", "a**2")] == [
        False,
        True,
        True,
    ]


def test_the_second_kind_of_processor_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    check_rounding(str(tmp_path))
    call = f"from chunkwise.blocks.rounding import *; print(rounding()); check_rounding({str(tmp_path)!r})"
    done = elsewhere("-c", call)
    assert done.stdout.strip() != rounding()
    assert done.returncode != 0
    assert "rounds exponentials, logarithms or powers in another way" in done.stderr
    check_rounding(str(tmp_path))


def test_a_run_goes_on_with_processors_of_the_first_kind_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (64, 64), chunk=16)
    output = tmp_path / "o.ome.zarr"
    alone = ["--block", "16,16", "--workers", "1"]
    words = ["filter", str(image), "--method", "gaussian", "--output", str(output), *alone]

    def stop() -> None:
        raise KeyboardInterrupt

    def refused(words: list[str], says: str) -> None:
        with monkeypatch.context() as stopped:
            at_line(stopped, 5, stop)
            assert main(words) == 130
        done = elsewhere("-m", "chunkwise.cli", *words)
        assert done.returncode == 4, done.stderr
        assert says in done.stderr
        assert "so their blocks would differ in last bits; let the run have nodes of one kind" in done.stderr
        assert "Traceback" not in done.stderr
        assert main(words) == 0

    refused(words, "rounds exponentials, logarithms or powers in another way")
    model = make_package(tmp_path / "tiny", after=[{"id": "sigmoid"}])
    maps = ["--output", str(tmp_path / "maps.ome.zarr"), "--shard", "16,16", *alone]
    refused(["predict", str(image), "--model", str(model), *maps], "runs this model with other results")
    median = [word if word != "gaussian" else "median" for word in words]
    median[median.index("--output") + 1] = str(tmp_path / "m.ome.zarr")
    with monkeypatch.context() as stopped:
        at_line(stopped, 5, stop)
        assert main(median) == 130
    assert elsewhere("-m", "chunkwise.cli", *median).returncode == 0, "a median is the same on every processor"
