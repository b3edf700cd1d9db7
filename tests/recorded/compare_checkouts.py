"""Run every operation that has a chain of its own on real data with two checkouts, and say which results differ.

What ``digests.json`` cannot hold, because it depends on the processor (maps of ``predict``, and what is made of
them), is held here, on one machine: ``PYTHONPATH=tests python tests/recorded/compare_checkouts.py OLD NEW``, both with
their kernels built.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import made_stores

CARDIO = Path(__file__).parents[3] / "shared" / "data" / "omezarr_fractal_cardio" / "cardio_B03_mip_levels1to4.zarr"
IMAGE = [str(CARDIO), "--channel", "0", "--level", "1"]
RUNS = {
    "maps.ome.zarr": ["predict", *IMAGE, "--model", "nuclei"],
    "bytes.ome.zarr": ["predict", *IMAGE, "--model", "nuclei", "--dtype", "uint8", "--block", "1,300,300"],
    "objects.ome.zarr": ["objects", "maps.ome.zarr"],
    "labels.ome.zarr": ["segment", *IMAGE, "--split", "distance"],
    "table.tsv": ["measure", "--labels", "labels.ome.zarr", "--image", *IMAGE[:3], "--properties", "all"],
    "comparison.json": ["compare", "labels.ome.zarr", "objects.ome.zarr"],
    "piece.ome.zarr": ["fetch", str(CARDIO), "--level", "1", "--region", "0:1,10:400,5:300"],
    "piece.ome.tiff": ["fetch", str(CARDIO), "--level", "2"],
}


def digests(checkout: Path, folder: Path) -> dict[str, str]:
    """Run everything with the sources of a checkout, in a folder."""
    found = {}
    for name, words in RUNS.items():
        command = [sys.executable, "-m", "chunkwise.cli", *words, "--output", name, "--workers", "1"]
        subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(checkout / "src")}, check=True)
        place = folder / name
        content = b"" if place.is_dir() else place.read_bytes().replace(str(folder).encode(), b"")
        found[name] = made_stores.digest(place) if place.is_dir() else hashlib.sha256(content).hexdigest()
    return found


if __name__ == "__main__":
    both = []
    for checkout in sys.argv[1:3]:
        with tempfile.TemporaryDirectory() as place:
            both.append(digests(Path(checkout).resolve(), Path(place).resolve()))
    for name in RUNS:
        print(f"{name}: {'the same' if both[0][name] == both[1][name] else 'differs'}")
    sys.exit(both[0] != both[1])
