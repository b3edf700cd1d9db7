"""What small work takes in one process, by its threads, and by worker processes.

    .venv/bin/python benchmarks/small.py [--sizes 0,0.25,1] [--repeat 2]

The same segmentation with one worker, as the command chooses by itself on this machine, and with two workers; 0 stands
for one plane of 512 x 512 voxels. Wall time says something only on a quiet machine.
"""

from __future__ import annotations

import os

from harness import CHUNKWISE, Candidate, fresh, machine, parser, run, scratch, volume, volume_shape, warm


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, size=False)
    options.add_argument("--sizes", default="0,0.25,1", metavar="GiB,GiB")
    args = options.parse_args()
    print(f"{machine()['processor']}, {os.cpu_count()} cores")
    for size in map(float, args.sizes.split(",")):
        shape = volume_shape(size) if size else (1, 512, 512)
        image, output = volume(shape), scratch("small.ome.zarr")
        warm(image)
        command = [CHUNKWISE, "segment", image, "--output", output]
        ways = {"one worker": ["--workers", "1"], "by itself": [], "two workers": ["--workers", "2"]}
        candidates = [
            Candidate(name, [*command, *words], fresh(output), ours=name == "one worker")
            for name, words in ways.items()
        ]
        voxels = shape[0] * shape[1] * shape[2]
        rows = run("small work", candidates, args, voxels, "x".join(map(str, shape)))
        alone = rows[0]["wall"]
        print("speed-up by the clock: " + ", ".join(f"{row['name']} {alone / row['wall']:.2f}" for row in rows))


if __name__ == "__main__":
    main()
