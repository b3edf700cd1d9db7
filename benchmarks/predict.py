"""A model on a plane: chunkwise tile by tile from the store, and bioimageio.core's blocked prediction in memory.

.venv/bin/python benchmarks/predict.py --edges 2048,4096

Both use one thread, tiles of the same size, and ONNX Runtime. bioimageio.core overlaps tiles by what the description
declares, chunkwise by what the network looks around itself; for nuclei both are 80 pixels.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import harness
from harness import Candidate


def main() -> None:
    parser = harness.parser(__doc__, size=False)
    parser.add_argument("--edges", default="2048,4096", help="of the planes, in pixels (default: 2048,4096)")
    args = parser.parse_args()
    for edge in map(int, args.edges.split(",")):
        image = plane(edge)
        harness.warm(image)
        out, theirs = harness.scratch("predict.ome.zarr"), harness.scratch("predict-core.zarr")
        block = ["--block", "1024,1024", "--memory", "2GiB", "--workers", str(args.workers), "--no-pyramid"]
        harness.run(
            "predict",
            [
                Candidate(
                    "chunkwise",
                    [harness.CHUNKWISE, "predict", image, "--model", "nuclei", "--output", out, *block],
                    harness.fresh(out),
                    ours=True,
                    environment={"GALAXY_SLOTS": "1"},
                ),
                Candidate(
                    "bioimageio.core",
                    harness.ours("predict_core.py", image, theirs, str(harness.ROOT / "models" / "nuclei")),
                    harness.fresh(theirs),
                    note="in memory",
                    environment={"OMP_NUM_THREADS": "1"},
                ),
            ],
            args,
            edge * edge,
            f"a plane of {edge} x {edge} pixels",
        )


def plane(edge: int) -> str:
    """Path of a plane of synthetic nuclei, made when it is missing."""
    path = harness.BENCH / "data" / f"plane-{edge}.ome.zarr"
    if not path.exists():
        part = Path(f"{path}.part")
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(harness.ours("predict_core.py", str(edge), str(part)), check=True)
        part.rename(path)
    return str(path)


if __name__ == "__main__":
    main()
