"""What the kernels take, in instructions: a regression is seen without a clock, on a busy machine as on a quiet one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chunkwise import _kernels

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: A kernel may take this many times what is recorded. Two runs differ by less than a thousandth; the rest is for
#: another release of the compiler.
ROOM = 1.15

#: Instructions a voxel (a label in merging, a pixel of a polygon's box with stars), compiled by g++ 12.
#: A kernel that got faster is recorded anew, so that what was won is kept.
RECORDED = {
    "gaussian_store uint8 baseline": 72.2,
    "gaussian_store uint16 baseline": 72.5,
    "gaussian_store float32 baseline": 72.4,
    "gaussian_count uint16 baseline": 84.5,
    "gaussian_compare uint16 baseline": 79.0,
    "gaussian_store uint8 avx2": 55.3,
    "gaussian_store uint16 avx2": 37.3,
    "gaussian_store float32 avx2": 39.8,
    "gaussian_count uint16 avx2": 43.4,
    "gaussian_compare uint16 avx2": 37.9,
    "rank_filter uint8 baseline": 120.4,
    "rank_filter uint16 baseline": 264.8,
    "rank_filter float32 baseline": 661.2,
    "rank_filter uint8 avx2": 97.2,
    "rank_filter uint16 avx2": 83.2,
    "rank_filter float32 avx2": 228.0,
    "content_sums": 6.2,
    "look_up": 7.1,
    "relabel": 9.3,
    "sizes_and_firsts": 7.9,
    "corners": 64.4,
    "accumulate": 28.4,
    "count_overlaps": 14.4,
    "number_objects": 15.8,
    "first_met": 6.9,
    "places": 8.9,
    "weighted": 10.0,
    "sums": 9.1,
    "extremes": 9.2,
    "squares": 11.0,
    "begin": 5.8,
    "join": 6.1,
    "resolve": 5.8,
    "gather": 13.4,
    "spread": 35.1,
    "between": 36.0,
    "hand_down": 11.8,
    "squared_distances": 81.9,
    "local_maxima": 33.7,
    "thin": 1.4,
    "flood": 27.1,
    "follow": 154.8,
    "intervals": 151.3,
    "decide": 138.9,
    "draw": 56.9,
    "visible": 289.9,
    "count_tiles": 13.4,
    "map_tiles": 77.8,
    "between_tiles": 90.3,
}

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the counts are those of x86-64")


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Instructions a voxel of every call in counted_calls.py, all of them in one process."""
    if not shutil.which("valgrind") and os.geteuid() != 0:
        pytest.skip("valgrind is missing, and only root can install it")
    subprocess.run([ROOT / "deploy" / "valgrind.sh"], check=True)
    compiler = compiled_by()
    if compiler != "12":
        pytest.skip(f"the counts are those of g++ 12, and the kernels were compiled by {compiler}")
    folder = tmp_path_factory.mktemp("callgrind")
    counter = folder / "counter.so"
    subprocess.run(["g++", "-x", "c", "-O1", "-shared", "-fPIC", HERE / "counter.c", "-o", counter], check=True)
    callgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no"]
    done = subprocess.run(
        [*callgrind, f"--callgrind-out-file={folder}/out", sys.executable, HERE / "counted_calls.py", counter],
        # Threads of a library that is only imported would wait for each other here.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    sizes = dict(line.split("\t") for line in done.stdout.splitlines())
    found = {}
    for dump in folder.glob("out.*"):
        text = dump.read_text()
        if name := re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE):
            total = re.search(r"^summary: (\d+)$", text, re.MULTILINE)
            assert total
            found[name[1]] = int(total[1])
    assert sizes.keys() == found.keys()
    # What it takes to call and to count is not the kernel's.
    nothing = found.pop("nothing")
    return {name: (count - nothing) / int(sizes[name]) for name, count in found.items()}


def compiled_by() -> str:
    """Major version of the g++ that compiled the kernels, which it leaves in the file."""
    assert _kernels.__file__
    found = re.search(rb"GCC: \([^)]*\) (\d+)", Path(_kernels.__file__).read_bytes())
    return found[1].decode() if found else "another compiler"


def test_no_kernel_takes_more_instructions_than_recorded(counts: dict[str, float]) -> None:
    assert counts.keys() == {name for name in RECORDED if name.rpartition(" ")[2] in (*levels(), name)}
    over = {name: round(count, 1) for name, count in counts.items() if count > ROOM * RECORDED[name]}
    assert not over, f"{over}, instead of { ({name: RECORDED[name] for name in over}) }"


def test_a_kernel_that_does_its_work_twice_would_be_seen(counts: dict[str, float]) -> None:
    """And so would a count that was recorded far too high."""
    assert [name for name, count in counts.items() if 2 * count <= ROOM * RECORDED[name]] == []


def test_a_kernel_without_its_vectors_would_be_seen(counts: dict[str, float]) -> None:
    if "avx2" not in levels():
        pytest.skip("this processor has no AVX2")
    for name in RECORDED:
        if name.endswith(" avx2"):
            assert counts[name.replace("avx2", "baseline")] > ROOM * RECORDED[name], name


def test_every_kernel_is_counted() -> None:
    kernels = {name for name in dir(_kernels) if not name.startswith("_")}
    assert {name.split()[0] for name in RECORDED} == kernels - {"simd_level", "simd_levels", "set_simd_level"}


def levels() -> list[str]:
    return [level for level in _kernels.simd_levels() if level != "avx512"]
