"""Results keep their bytes from one commit to the next, whatever is rebuilt inside.

The digests in ``digests.json`` were recorded from an earlier commit. A change that means to change bytes records them
anew (``python tests/recorded/test_recorded_bytes.py``) and says so in the changelog.

Not here: maps of ``predict``, whose sums ONNX Runtime orders by the processor that it finds; ``tests/models`` holds
them to the whole image instead.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

import pytest

import made_stores
from chunkwise.cli import main

ROOT = Path(__file__).parents[2]
MADE = ROOT / "test-data"
SHARED = ROOT.parent / "shared" / "data"
DIGESTS = Path(__file__).with_name("digests.json")

COINS, CELLS, MOVIE = MADE / "coins_2d.ome.zarr", MADE / "cells_zyx_v04.ome.zarr", MADE / "cells_tczyx.ome.zarr"
CARDIO = SHARED / "omezarr_fractal_cardio" / "cardio_B03_mip_levels1to4.zarr"

#: Name: the words of the command; what it writes is named by an ending.
CASES: dict[str, tuple[str, list[object]]] = {
    "segment-plain": (".ome.zarr", ["segment", COINS]),
    "segment-filled-split": (
        ".ome.zarr",
        ["segment", COINS, "--fill-holes", "--min-size", 50, "--split", "distance", "--block", "64,64"],
    ),
    "segment-floats-of-sigma": (".ome.zarr", ["segment", COINS, "--sigma", 2.5, "--threshold", "li"]),
    "segment-stack": (".ome.zarr", ["segment", CELLS, "--block", "4,16,16", "--shard", "8,32,32"]),
    "segment-stack-split": (".ome.zarr", ["segment", CELLS, "--split", "distance"]),
    "segment-movie": (".ome.zarr", ["segment", MOVIE, "--channel", 1, "--connectivity", 1]),
    "segment-cardio": (".ome.zarr", ["segment", CARDIO, "--channel", 0, "--sigma", 2, "--split", "distance"]),
    "objects-boundary": (".ome.zarr", ["objects", MADE / "discs_maps.ome.zarr", "--method", "foreground-boundary"]),
    "objects-stars": (".ome.zarr", ["objects", MADE / "discs_stars.ome.zarr", "--method", "stardist"]),
    "fetch-piece": (".ome.zarr", ["fetch", MOVIE, "--channel", 0, "--time", "0"]),
    "fetch-region": (".ome.zarr", ["fetch", COINS, "--region", "10:200,30:250"]),
    "fetch-tiff": (".ome.tif", ["fetch", COINS]),
    "fetch-cardio": (".ome.zarr", ["fetch", CARDIO, "--level", 1]),
    "measure-all": (
        ".tsv",
        ["measure", "--labels", MADE / "coins_2d_labels.ome.zarr", "--image", COINS, "--properties", "all"],
    ),
    "measure-shapes": (".tsv", ["measure", "--labels", MADE / "coins_2d_predicted.ome.zarr"]),
    "compare": (
        ".json",
        ["compare", MADE / "coins_2d_labels.ome.zarr", MADE / "coins_2d_predicted.ome.zarr"],
    ),
}


#: NumPy's ``exp(-1/8)`` is one unit in the last place smaller on processors with AVX-512, and with it the weights of a
#: Gaussian of sigma 2, SciPy's and ours: a smoothed image has other last bits there, and a few voxels another label.
WITHOUT_AVX512 = {"segment-cardio": "2d7c732e140dac4ba72a9f1fe20d969a6797ad9c671decb4e945fa1e876d4c6c"}


def digest_of(name: str, folder: Path) -> str:
    """Run a case, and return the digest of the files of its result."""
    ending, words = CASES[name]
    output = folder / (name + ending)
    assert main([*map(str, words), "--output", str(output), "--workers", "1"]) == 0
    if output.is_dir():
        return made_stores.digest(output)
    content = output.read_bytes()
    if ending == ".json":  # it names the places of its inputs
        content = content.replace(str(MADE).encode(), b"test-data")
    if ending == ".tsv":  # the last digits of roots and logarithms are the processor's
        content = re.sub(rb"\d+\.\d+(e[+-]\d+)?", lambda number: b"%.10g" % float(number[0]), content)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", CASES)
def test_bytes_are_those_that_were_recorded(name: str, tmp_path: Path) -> None:
    if any(isinstance(word, Path) and not word.exists() for word in CASES[name][1]):
        pytest.skip("needs the data of ../shared")
    known = json.loads(DIGESTS.read_text())[name]
    assert digest_of(name, tmp_path) in (known, WITHOUT_AVX512.get(name, known))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = {name: digest_of(name, Path(place)) for name in CASES}
    DIGESTS.write_text(json.dumps(found, indent=2) + "\n")
    print(f"{len(found)} digests recorded", file=sys.stderr)
