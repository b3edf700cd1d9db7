"""The one writer: shards that zarr-python reads, the same bytes every time, whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.storage.writer import ArrayLayout, encode_shard, json_bytes, put_object, write_box

LAYOUT = ArrayLayout((1, 50, 70), "uint32", (1, 8, 16), (1, 16, 32), ("t", "y", "x"))


def _write(folder: Path, layout: ArrayLayout, data: np.ndarray[Any, Any]) -> None:
    put_object(str(folder), "0/zarr.json", json_bytes(layout.document()))
    write_box(str(folder), "0", layout, tuple(slice(0, n) for n in layout.shape), data)


@given(
    shape=st.tuples(*[st.integers(1, 40)] * 2),
    chunk=st.tuples(*[st.integers(1, 9)] * 2),
    times=st.tuples(*[st.integers(1, 3)] * 2),
    dtype=st.sampled_from(("uint8", "uint16", "uint32", "uint64", "float32")),
)
@settings(max_examples=40, deadline=None)
def test_zarr_python_reads_it(
    tmp_path_factory: pytest.TempPathFactory, shape: Any, chunk: Any, times: Any, dtype: str
) -> None:
    folder = tmp_path_factory.mktemp("store")
    shards = tuple(c * t for c, t in zip(chunk, times, strict=True))
    data = (np.random.default_rng(0).integers(0, 3, shape) * 1000).astype(dtype)
    _write(folder, ArrayLayout(shape, dtype, chunk, shards, ("y", "x")), data)
    array: Any = zarr.open_array(folder / "0", mode="r")
    assert array.shards == shards
    assert array.chunks == chunk
    np.testing.assert_array_equal(array[...], data)


def test_empty_shards_are_absent(tmp_path: Path) -> None:
    data = np.zeros((1, 50, 70), np.uint32)
    data[0, 49, 69] = 1
    _write(tmp_path, LAYOUT, data)
    assert [str(p.relative_to(tmp_path)) for p in (tmp_path / "0/c").rglob("*") if p.is_file()] == ["0/c/0/3/2"]


def test_a_part_of_a_shard_is_never_written(tmp_path: Path) -> None:
    """Two tasks that write parts of one shard lose each other's voxels silently; so nobody may."""
    with pytest.raises(AssertionError, match="whole shards"):
        write_box(str(tmp_path), "0", LAYOUT, (slice(0, 1), slice(0, 8), slice(0, 32)), np.ones((1, 8, 32), np.uint32))
    assert not any(tmp_path.iterdir())


def test_the_same_bytes_from_another_process() -> None:
    data = np.random.default_rng(5).integers(0, 9, (1, 16, 32)).astype(np.uint32)
    code = (
        "import numpy as np, sys, hashlib\n"
        "from chunkwise.storage.writer import *\n"
        f"layout = {LAYOUT!r}\n"
        "data = np.random.default_rng(5).integers(0, 9, (1, 16, 32)).astype(np.uint32)\n"
        "[encode_shard(layout, data + i) for i in range(3)]\n"
        "sys.stdout.write(hashlib.sha256(encode_shard(layout, data)).hexdigest())"
    )
    import hashlib

    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    mine = encode_shard(LAYOUT, data)
    assert mine is not None
    assert hashlib.sha256(mine).hexdigest() == other


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def broken(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        put_object(str(tmp_path), "a/b", b"half")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
