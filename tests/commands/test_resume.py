"""Commands with chains of their own: stopped in the middle, gone on with, and the same bytes as undisturbed.

Those of kernels are in ``tests/operations/test_runs.py``; segmentation is killed in every phase in ``test_kill.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import made_stores
from chunkwise.cli import main
from killing import at_line
from operations.harness import write_image

COMMANDS = {
    "points": "points image --points p.csv --radius 3 --output {}",
    "label join": "label labels --method join --table t.csv --column kind --output {}",
    "label rules": "label labels --method rules --table t.csv --rule kind>1 --output {}",
    "label map": "label labels --method map --table t.csv --column kind --output {}",
    "channels merge": "channels image --method merge --b labels --names a,b --output {}",
    "math": "math image --b labels --expression (a-b)/2 --output {}",
    "overlay": "overlay image --labels labels --output {}",
    "overlay by column": "overlay image --labels labels --table t.csv --column kind --output {}",
    "spots": "spots image --method peaks --output {}.tsv",
    "measure": "measure --labels labels --image image --output {}.tsv",
    "compare": "compare labels labels --output {}.json",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_was_stopped_gives_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_image(tmp_path / "image", rng.integers(0, 200, (48, 56), np.uint8), "yx")
    write_image(tmp_path / "labels", np.kron(np.arange(42).reshape(6, 7), np.ones((8, 8))).astype(np.uint8), "yx")
    places = [f"{x},{y}" for y, x in rng.integers(0, 48, (20, 2))]
    Path("p.csv").write_text("\n".join(["x,y", *places, ""]))
    Path("t.csv").write_text("\n".join(["label,kind", *(f"{n},{n % 4 + 1}" for n in range(1, 42)), ""]))
    spread = ["--block", "8,8", *(["--shard", "16,16"] if not COMMANDS[name].endswith(("tsv", "json")) else [])]

    def run(output: str, workers: int, *more: str) -> int:
        return main([*COMMANDS[name].format(output).split(), *spread, "--workers", str(workers), *more])

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        at_line(stopped, 4, stop)
        assert run("o", 1) == 130
    assert not list(tmp_path.glob("o")) + list(tmp_path.glob("o.tsv")) + list(tmp_path.glob("o.json"))
    assert run("o", 1, "--record", "r.json") == 0
    assert json.loads(Path("r.json").read_text())["blocks"]["resumed"] > 0
    assert run("whole", 1) == 0
    found = next(path for path in (Path("o"), Path("o.tsv"), Path("o.json")) if path.exists())
    whole = found.with_stem("whole")
    if found.is_dir():
        assert made_stores.digest(found) == made_stores.digest(whole)
    else:
        assert found.read_bytes() == whole.read_bytes()
