"""Two runs that follow each other, as the commands record them."""

from __future__ import annotations

import pytest

from chunkwise.provenance.record import Recorder, RunRecord

FULL = {"level": "full", "algorithm": "sha256", "value": "ab" * 32}

AXES = [{"name": "c", "unit": None}, {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "micrometer"}]


@pytest.fixture
def chain() -> list[RunRecord]:
    segment = Recorder("segment", {"sigma": 1.0, "fill_holes": False, "region": None, "block": (64, 64)})
    segment.input(
        "image",
        "image",
        "/nowhere/cells.ome.zarr",
        size=12_345_678,
        fingerprint={"level": "metadata", "algorithm": "sha256", "value": "cd" * 32},
        description={
            "shape": [2, 512, 512],
            "axes": AXES,
            "scale": [1.0, 0.25, 0.25],
            "dtype": "uint16",
            "levels": [{"path": "0"}, {"path": "1"}],
        },
    )
    segment.output("output", "labels", "/nowhere/labels of mine.ome.zarr", size=23_456, fingerprint=FULL)
    segment.output("overlay", "picture", "/nowhere/overlay.png", size=999)
    segment.result("thresholds", [1234.5])
    segment.result("objects", [20])
    first = segment.finish(
        plan={"hash": "12" * 32, "grid": [8, 8]},
        blocks={"total": 64, "done": 64, "table": "blocks-1.tsv.gz"},
        workers=[{"worker": "w0", "peak_rss_bytes": 300_000_000, "cpu_seconds": 1.25, "blocks": 64}],
        cluster={
            "kind": "slurm",
            "profile": "cpu",
            "jobs": [{"id": "7", "partition": "main", "nodes": "node1", "state": "COMPLETED", "elapsed_seconds": 9.0}],
            "total": {"submitted": 1, "states": {"COMPLETED": 1}, "elapsed_seconds": 9.0, "max_rss_bytes": 400_000_000},
        },
    )
    measure = Recorder("measure", {"properties": ["area"]})
    measure.input("labels", "labels", "/moved/by/galaxy.ome.zarr", fingerprint=FULL)
    measure.input("image", "image", "https://images.example.org/cells.ome.zarr")
    measure.output("output", "table", "/nowhere/objects.tsv", size=20, fingerprint=FULL | {"value": "ef" * 32})
    return [first, measure.finish()]
