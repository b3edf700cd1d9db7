"""Commands with chains of their own, by workers that are batch jobs: the bytes of one process."""

from __future__ import annotations

from pathlib import Path

import pytest

import made_stores
from chain_runs import COMMANDS, made_by, words_of, write_world
from chunkwise.cli import main
from cluster_runs import ClusterRun, write_site
from slurm_server import Slurm

pytestmark = pytest.mark.cluster

#: One of each chain; those that measure are in ``test_slurm.py``.
CHAINS = [name for name in COMMANDS if name not in ("label rules", "label map", "overlay", "measure")]


def test_the_bytes_are_those_of_one_process(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are in the queue at once."""
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    runs = {}
    for number, name in enumerate(CHAINS):
        (tmp_path / str(number)).mkdir()
        site = write_site(tmp_path / str(number), workers_min=1, workers_max=1)
        output = tmp_path / f"many{number}"
        words = words_of(name, output.name)
        place = words.index("--output")
        runs[name] = ClusterRun(slurm, site, made_by(name, output), words[:place] + words[place + 2 :]).start()
    try:
        for number, (name, run) in enumerate(runs.items()):
            assert main([*words_of(name, f"one{number}"), "--workers", "1"]) == 0
            code, said = run.end()
            assert code == 0, f"{name}: {said}"
            one = made_by(name, tmp_path / f"one{number}")
            same = made_stores.digest if one.is_dir() else Path.read_bytes
            assert same(run.output) == same(one), name
            assert run.cluster()["total"]["submitted"] == 1, name
            worked = [one["worker"] for one in run.content()["workers"] if one["blocks"]]
            assert worked
            assert not any(worker.endswith(f"-{run.pid}") for worker in worked), f"{name}: not by the job"
    finally:
        for run in runs.values():
            run.kill()
