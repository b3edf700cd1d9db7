"""Stores that are tampered with, and what 'chunkwise verify' says of them, for the tests of the command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main

__all__ = [
    "DAMAGES",
    "add",
    "ask",
    "complaint",
    "delete",
    "expected",
    "fill",
    "flip",
    "manifest_of",
    "rename",
    "segment",
    "truncate",
]


def fill(store: Path) -> Path:
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, array.shape)
    return store


def segment(output: str = "l.ome.zarr", *more: str, workers: int = 1) -> list[str]:
    return ["segment", "i.ome.zarr", "--output", output, "--workers", str(workers), "--shard", "32,32", *more]


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    """Verify; the exit code, and what is printed."""
    capsys.readouterr()
    code = main(["verify", *words])
    return code, capsys.readouterr().out.splitlines()


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Verify what cannot be verified; the one sentence."""
    capsys.readouterr()
    before = set(os.listdir("."))
    assert main(["verify", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if not line.startswith("verify  ")]
    assert len(lines) == 1
    assert set(os.listdir(".")) == before
    return lines[0]


def flip(path: Path) -> tuple[str, Path | None]:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return "changed", None


def delete(path: Path) -> tuple[str, Path | None]:
    path.unlink()
    return "missing", None


def truncate(path: Path) -> tuple[str, Path | None]:
    os.truncate(path, path.stat().st_size - 1)
    return "truncated", None


def lengthen(path: Path) -> tuple[str, Path | None]:
    with path.open("ab") as file:
        file.write(b"\0")
    return "changed", None


def rename(path: Path) -> tuple[str, Path | None]:
    other = path.with_name("99")
    path.rename(other)
    return "missing", other


def add(path: Path) -> tuple[str, Path | None]:
    other = path.with_name("99")
    other.write_bytes(b"new")
    return "", other


DAMAGES: dict[str, Callable[[Path], tuple[str, Path | None]]] = {
    "flipped": flip,
    "deleted": delete,
    "truncated": truncate,
    "lengthened": lengthen,
    "renamed": rename,
    "added": add,
}


def expected(store: Path, path: Path, word: str, added: Path | None) -> list[str]:
    """The lines about objects that are to be printed."""
    key = path.relative_to(store).as_posix()
    lines = [f"  {word:<9} {key}"] if word else []
    if added is not None:
        other = added.relative_to(store).as_posix()
        lines.append(f"  added     {other}" + (f" (the bytes of {key}, which is missing)" if word else ""))
    return lines


def manifest_of(run: str) -> bytes:
    return Path(run, "manifest.tsv.gz").read_bytes()
