"""A command imports what it needs and nothing more: this is most of what a small job costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COINS = Path(__file__).parents[2] / "test-data" / "coins_2d.ome.zarr"
CALL = """
import sys
from chunkwise.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*{name.partition(".")[0] for name in sys.modules})
"""
#: What takes longer to import than a small image takes to work on.
HEAVY = {"bioimageio", "dask", "distributed", "onnx", "onnxruntime", "pandas", "pyarrow", "pydantic", "rocrate", "zarr"}


def imported(*words: str) -> set[str]:
    """The packages that a call of the command has imported when it is done."""
    done = subprocess.run([sys.executable, "-c", CALL, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_needs_no_arrays() -> None:
    assert not imported("--help") & {*HEAVY, "numpy", "tensorstore", "jinja2", "asyncio"}


def test_inspect_needs_arrays_only() -> None:
    assert not imported("inspect", str(COINS)) & {*HEAVY, "scipy", "skimage", "jinja2", "PIL", "tifffile"}


WORK = [["segment", str(COINS), "--output", "o.ome.zarr"], ["measure", "--labels", str(COINS), "--output", "o.tsv"]]


@pytest.mark.parametrize("words", WORK, ids=lambda words: words[0])
def test_small_work_stays_light(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not imported(*words, "--workers", "1") & HEAVY
