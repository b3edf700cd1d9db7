"""What the benchmarks say a program took is what it took, however it hides its processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.alone

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

BURN = "import time\nwhile time.process_time() < 0.6: pass"


def measured(program: str, **limits: float) -> dict[str, Any]:
    """Measure a Python program; in a process of its own, because measuring ends all children of its process."""
    script = (
        "import json, sys; from dataclasses import asdict; from harness import measure\n"
        f"print(json.dumps(asdict(measure([sys.executable, '-c', {program!r}], **{limits!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_cpu_time_of_an_orphan_is_counted() -> None:
    # The program ends at once; its child, in a session of its own, works on.
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}], start_new_session=True)"
    found = measured(program)
    assert not found["failed"]
    assert found["wall"] < 0.5
    assert 0.6 <= found["cpu"] < 1.5


def test_memory_of_a_child_is_counted() -> None:
    child = "import time; data = bytearray(300 * 2**20); time.sleep(0.8)"
    found = measured(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    assert 300 * 2**20 < found["rss_largest"] < 360 * 2**20
    assert found["rss_sum"] >= found["rss_largest"]
    assert found["rss_main"] < 60 * 2**20


def test_limits_end_the_whole_tree() -> None:
    child = "import time; data = bytearray(200 * 2**20); time.sleep(60)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert measured(program, time_limit=1.0)["failed"] == "stopped after 1 s"
    assert measured(program, memory_limit=100 * 2**20)["failed"].startswith("stopped at 0.")


def test_a_failure_is_said_and_so_is_the_result() -> None:
    assert measured("import sys; sys.exit('no such image')")["failed"] == "exit 1: no such image"
    assert measured("print('words'); print('{\"objects\": 3}')")["said"] == {"objects": 3}
