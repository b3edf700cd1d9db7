"""Small OME-Zarr stores, written with zarr-python, for the tests to open, break, look at and compare."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import zarr

__all__ = ["change_json", "digest", "multiscale", "write"]

AXES = {
    "t": {"name": "t", "type": "time", "unit": "second"},
    "c": {"name": "c", "type": "channel"},
    "z": {"name": "z", "type": "space", "unit": "micrometer"},
    "y": {"name": "y", "type": "space", "unit": "micrometer"},
    "x": {"name": "x", "type": "space", "unit": "micrometer"},
}


def multiscale(axes: str = "yx", levels: int = 2) -> dict[str, Any]:
    """Metadata whose levels halve y and x."""
    return {
        "name": "made",
        "axes": [copy.deepcopy(AXES[axis]) for axis in axes],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [2.0**level if axis in "yx" else 1.0 for axis in axes]}
                ],
            }
            for level in range(levels)
        ],
    }


def write(
    path: Path,
    version: str = "0.5",
    axes: str = "yx",
    shape: tuple[int, ...] = (16, 16),
    dtype: Any = "uint16",
    entry: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
    names: list[str] | None = None,
    shards: tuple[int, ...] | None = None,
    chunk: int | None = None,
) -> Path:
    """Write a store with zarr-python; ``entry`` replaces the multiscale, ``extra`` adds to the OME block."""
    zarr_format: Any = 2 if version == "0.4" else 3
    entry = multiscale(axes) if entry is None else entry
    block = {"multiscales": [entry], **(extra or {})}
    if version == "0.4":
        entry.setdefault("version", "0.4")
        attributes: dict[str, Any] = block
    else:
        attributes = {"ome": {"version": version, **block}}
    group = zarr.open_group(path, mode="a", zarr_format=zarr_format)
    group.attrs.update(attributes)
    for level, dataset in enumerate(entry["datasets"]):
        size = tuple(n >> level if axis in "yx" else n for axis, n in zip(axes, shape, strict=True))
        group.create_array(
            dataset["path"],
            shape=size,
            dtype=dtype,
            # An image of a thousand chunks takes zarr-python seconds.
            chunks=tuple(min(chunk or (8 if shards else max(8, n // 16)), n) for n in size),
            shards=shards if level == 0 else None,
            dimension_names=(names or list(axes)) if zarr_format == 3 else None,
        )
    return path


def change_json(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def digest(path: Path) -> str:
    """Digest of every byte and name in a store."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            found.update(str(file.relative_to(path)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
