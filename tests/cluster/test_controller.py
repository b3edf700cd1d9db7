"""A controller of Slurm that is away for a while, as when it is restarted: the run waits, and says so."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from chunkwise.cluster import batch
from chunkwise.cluster.array import open_array
from chunkwise.cluster.resources import Resources
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster
from slurm_server import Slurm

pytestmark = pytest.mark.cluster

CLUSTER = Cluster("test", "array", walltime=300)


class Away:
    """A configuration that leads to a port where nobody listens, until the controller is back."""

    def __init__(self, slurm: Slurm, file: Path) -> None:
        self._right = Path(slurm.conf).read_text()
        self._file = file
        self.leave()

    def leave(self) -> None:
        lines = ["SlurmctldPort=9" if line.startswith("SlurmctldPort=") else line for line in self._right.splitlines()]
        self._file.write_text("\n".join([*lines, "MessageTimeout=2", ""]).replace("MessageTimeout=10\n", ""))

    def come_back(self) -> None:
        self._file.write_text(self._right)


@pytest.fixture
def away(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Away:
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    return Away(slurm, tmp_path / "slurm.conf")


def test_jobs_are_submitted_when_it_is_back(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(batch.TRIES) > 60, "a controller that is restarted takes a minute"
    monkeypatch.setattr(batch, "TRIES", (0, 0.5))
    timer = threading.Timer(0.5, away.come_back)
    timer.start()
    job = batch.submit(CLUSTER, "#!/bin/sh\n", ["--time=1"], {})
    timer.join()
    assert job.isdecimal()
    away.leave()
    with pytest.raises(ResumableError, match=r"did not accept a job .*Unable to contact.*cluster 'test'"):
        batch.submit(CLUSTER, "#!/bin/sh\n", ["--time=1"], {})


def test_an_array_goes_on_meanwhile(away: Away, tmp_path: Path) -> None:
    away.come_back()
    slow = replace(CLUSTER, setup=("sleep 5",))
    with open_array(slow, Resources(1, 500 * 2**20), 9, str(tmp_path / "run")) as executor:
        results = executor.run(math.factorial, [(5,), (6,)])
        threading.Timer(2, away.leave).start()
        assert sorted(results) == [120, 720]
        away.come_back()


def test_a_controller_that_does_not_come_back(away: Away, slurm: Slurm, tmp_path: Path) -> None:
    away.come_back()
    began = tmp_path / "began"
    cluster = replace(CLUSTER, queue_patience=10, setup=(f"touch {began}", "sleep 60"))
    jobs: list[str] = []

    def leave() -> None:
        while not began.exists():  # before, the run would give up because no job begins
            time.sleep(0.1)
        away.leave()

    try:
        with (  # noqa: PT012
            pytest.raises(ResumableError, match="has not answered for 1 minutes; ask your administrator"),
            open_array(cluster, Resources(1, 500 * 2**20), 9, str(tmp_path / "run")) as executor,
        ):
            jobs = executor.jobs
            threading.Thread(target=leave, daemon=True).start()
            list(executor.run(math.factorial, [(7,)]))
    finally:
        slurm.call("scancel", *jobs)
    assert jobs
