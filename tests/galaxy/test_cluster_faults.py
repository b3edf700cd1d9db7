"""What clusters do to jobs of Galaxy: killed, cancelled, out of time, Pulsar restarted; that it shows, and goes on."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cluster_jobs import ROOT, RUN, batch_jobs, driver_of, record_in, scontrol, slurm, staging_of, until
from made_stores import digest, multiscale, write

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = [pytest.mark.galaxy, pytest.mark.cluster]

#: What Galaxy says of a job that did not come to its end.
ENDED = "was stopped before it was done"
#: Small blocks, so that a run has many and takes a while.
BLOCK = ("--block", "16,64,64")


class Started:
    """A segmentation that Galaxy has handed to the cluster, seen from both sides."""

    def __init__(self, user: User, admin: User, name: str, reference: str) -> None:
        self.user, self.admin, self.name, self.reference = user, admin, name, reference
        where = {"destination|where": "workspace", "destination|to_workspace": name}
        before = set(batch_jobs())
        every = {"fill_holes": "false", "min_size": 0}  # as the command line has it
        inputs = {"image": f"hda:{reference}", "advanced|block": BLOCK[1]} | every | where
        self.job, self.outputs = user.start("chunkwise_segment", inputs)
        self.number = until(60, lambda: self._known("external_id"), "Galaxy handed the job over")
        self.driver = driver_of(staging_of("rest", self.number))
        self.workers = until(60, lambda: self._workers(before), "the driver asked for workers")

    def _known(self, key: str) -> Any:
        return self.admin.call("GET", f"/api/jobs/{self.job}?full=true").get(key)

    def _workers(self, before: set[str]) -> list[str]:
        """Batch jobs that came since, and are not to begin yet: only this user's do so."""
        found = [job for job, said in batch_jobs().items() if said.startswith("chunkwise-") and "BeginTime" in said]
        new = sorted(set(found) - before)
        return new if len(new) >= 2 else []

    def release(self) -> None:
        """Let the workers start."""
        for worker in self.workers:
            scontrol(worker, StartTime="now")

    def end(self) -> dict[str, Any]:
        """Wait for the job; one of its outputs."""
        return self.user.wait(self.outputs["crate"])

    def messages(self) -> str:
        """What Galaxy tells of the job: its own messages, and what the tool wrote."""
        job = self.user.call("GET", f"/api/jobs/{self.job}?full=true")
        return " ".join(str(message.get("desc")) for message in job["job_messages"] or []) + job["stderr"]


@pytest.fixture(scope="module")
def patient(cluster: str) -> User:
    """A user whose workers wait in the queue until a test releases them."""
    from tests.galaxy.conftest import User

    return User(cluster, "patient")


@pytest.fixture(scope="module")
def image(patient: User) -> str:
    """A reference to an image of noise, large enough for workers of its own."""
    store = RUN / "images" / "noise.ome.zarr"
    if not store.exists():
        import numpy as np
        import zarr

        write(store, axes="zyx", shape=(48, 384, 512), entry=multiscale("zyx", levels=1), chunk=32)
        zarr.open_array(store / "0", mode="r+")[:] = np.random.default_rng(5).integers(0, 999, (48, 384, 512), "uint16")
    inputs = {"source|kind": "location", "source|location": "images:noise.ome.zarr"}
    reference = patient.run("chunkwise_open", inputs)["reference"]
    assert reference["state"] == "ok", patient.job_of(reference)
    return str(reference["id"])


class Whole:
    """What one process makes of the image without Galaxy: digest of the labels, and blocks that it worked on."""

    def __init__(self, folder: Path) -> None:
        labels, record = folder / "labels.ome.zarr", folder / "record.json"
        words = ["segment", RUN / "images" / "noise.ome.zarr", "--output", labels, "--record", record, *BLOCK]
        plain = {key: value for key, value in os.environ.items() if not key.startswith("CHUNKWISE_")}
        subprocess.run(
            [ROOT / ".venv/bin/chunkwise", *words, "--workers", "1"], check=True, capture_output=True, env=plain
        )
        self.digest = digest(labels / "0")
        self.blocks = worked_on(json.loads(record.read_text()))


def worked_on(record: dict[str, Any]) -> int:
    """Blocks that the workers of a run worked on, all passes together."""
    return sum(worker["blocks"] for worker in record["workers"])


@pytest.fixture(scope="module")
def expected(image: str, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("expected"))


def labels_of(user: User, started: Started) -> Path:
    """Where the labels lie that a job made."""
    reference = user.wait(started.outputs["reference"])
    assert reference["state"] == "ok", started.messages()
    return RUN / "workspace" / json.loads(user.content(reference))["store"]["path"]


def test_cancelled_in_galaxy(patient: User, admin: User, image: str) -> None:
    """The driver and its workers go; nothing lies under the result's name."""
    started = Started(patient, admin, f"cancelled-{time.time_ns()}", image)
    patient.call("DELETE", f"/api/jobs/{started.job}")
    gone = {started.driver, *started.workers}
    until(60, lambda: not gone & set(batch_jobs()), "driver and workers are gone")
    assert not list((RUN / "workspace").glob(f"*/*/{started.name}"))


def test_driver_killed_then_run_again(patient: User, admin: User, image: str, expected: Whole) -> None:
    """A job without an exit code is a failed job, with a sentence; run again, it goes on where it stopped."""
    name = f"again-{time.time_ns()}"
    started = Started(patient, admin, name, image)
    started.release()
    runs = RUN / "workspace" / ".runs"
    until(90, lambda: [log for log in runs.rglob("journal/*") if log.stat().st_size > 4000], "some blocks are done")
    slurm("scancel", "--signal=KILL", "--full", started.driver)
    assert started.end()["state"] == "error"
    assert ENDED in started.messages()
    until(120, lambda: not set(started.workers) & set(batch_jobs()), "workers end without their driver")
    assert not list((RUN / "workspace").glob(f"*/*/{name}"))

    again = Started(patient, admin, name, image)
    again.release()
    assert again.end()["state"] == "ok", again.messages()
    assert digest(labels_of(patient, again) / "0") == expected.digest
    # What the first job had done was not done again.
    assert 0 < worked_on(record_in(patient.content(again.end()))) < expected.blocks


def test_pulsar_restarted_in_the_middle(patient: User, admin: User, image: str, expected: Whole) -> None:
    started = Started(patient, admin, f"restarted-{time.time_ns()}", image)
    stop = '. deploy/pulsar/common.sh; stop pulsar-rest "$VENV/"'
    subprocess.run(["bash", "-c", stop], cwd=ROOT, check=True)
    subprocess.run([ROOT / "deploy" / "pulsar" / "up.sh", "rest"], check=True)
    started.release()
    assert started.end()["state"] == "ok", started.messages()
    assert digest(labels_of(patient, started) / "0") == expected.digest


@pytest.mark.slow  # Slurm's limits of time are whole minutes
def test_walltime_of_the_driver(patient: User, admin: User, image: str) -> None:
    """Slurm ends the driver; Pulsar reports a job without an exit code; Galaxy shows it as failed."""
    started = Started(patient, admin, f"walltime-{time.time_ns()}", image)
    scontrol(started.driver, TimeLimit="1")
    assert started.end()["state"] == "error"
    said = started.messages()
    assert ENDED in said
    assert "Traceback" not in said
    until(120, lambda: not set(started.workers) & set(batch_jobs()), "workers end without their driver")
