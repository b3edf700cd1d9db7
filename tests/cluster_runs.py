"""Runs of the command on a real cluster, to be disturbed while they work and compared with undisturbed ones."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr

import made_stores
from chunkwise.cli import main
from slurm_server import Slurm, until

__all__ = ["ClusterRun", "Undisturbed", "processes_of", "write_site"]

#: Keys of the profile that tests begin with: three workers, small ones, noticed soon when they are lost.
PROFILE = {
    "kind": "slurm",
    "workers_min": 3,
    "workers_max": 3,
    "memory_per_worker": "600MiB",
    "walltime": "15m",
    "worker_lost_after": "10s",
    "driver_lost_after": "20s",
}

#: One block is a few milliseconds of work, and there are many of them: a fault hits in the middle of a pass.
SIZE, BLOCKS = 256, "8,8"


def write_site(folder: Path, keys_folder: str = "", **profile: object) -> Path:
    """Write a site file with one cluster, which all runs use; further keys replace or add to those of the profile."""
    keys: dict[str, Any] = PROFILE | profile
    if keys_folder:
        keys["folder"] = keys_folder
    keys["sbatch"] = [*keys.get("sbatch", ()), f"--comment={_mark(folder)}"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    site = folder / "site.toml"
    site.write_text(
        '[roots.all]\npath = "/"\naccess = "write"\n[cluster]\ndefault = "test"\n[clusters.test]\n' + "\n".join(lines)
    )
    return site


def _mark(folder: Path) -> str:
    """By which the jobs of a run are told from those of others."""
    return f"test{zlib.crc32(str(folder).encode())}"


def processes_of(jobs: Sequence[str]) -> list[psutil.Process]:
    """Workers and their nannies; which batch job they belong to, their environment tells."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            ours = "spawn_main" in words or "chunkwise.cluster.worker" in words
            if ours and process.environ().get("SLURM_JOB_ID") in jobs:
                found.append(process)
    return found


class Undisturbed:
    """An image, and the digest of its labels as one process makes them."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        folder.mkdir(exist_ok=True)
        self.image = made_stores.write(folder / "image.ome.zarr", "0.5", "yx", (size, size))
        array: Any = zarr.open_array(self.image / "0", mode="r+")
        array[...] = np.random.default_rng(0).integers(0, 5000, (size, size))
        self.words = ["segment", str(self.image), "--block", BLOCKS, "--shard", "32,32", "--fill-holes"]
        self.labels = folder / "labels.ome.zarr"
        assert main([*self.words, "--output", str(self.labels), "--workers", "1"]) == 0
        self.digest = made_stores.digest(self.labels)


class ClusterRun:
    """The command, at work in a process of its own or in a batch job."""

    def __init__(self, slurm: Slurm, site: Path, output: Path, words: Sequence[str]) -> None:
        self.slurm, self.output = slurm, output
        self.words = [sys.executable, "-m", "chunkwise.cli", *words, "--output", str(output)]
        self.record = output.with_suffix(".record.json")
        self.words += ["--record", str(self.record)]
        self.folder = Path(f"{output}.run")
        self.environment = {
            key: value for key, value in slurm.environment.items() if not key.startswith(("GALAXY_", "CHUNKWISE_"))
        } | {"CHUNKWISE_SITE": str(site)}
        self.mark = _mark(site.parent)
        self.process: subprocess.Popen[str] | None = None
        self._ended: tuple[int, str] | None = None

    def start(self) -> ClusterRun:
        """Start it here."""
        self._ended = None
        self.process = subprocess.Popen(
            self.words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def submit(self, *options: str) -> str:
        """Start it as a batch job, whose id is returned; what it says goes to ``said``."""
        script = "#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in self.words) + "\n"
        done = subprocess.run(
            ["sbatch", "--parsable", "--job-name=driver", "--mem=800M", f"--output={self.said}", *options],
            input=script,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    @property
    def said(self) -> Path:
        return self.output.with_suffix(".log")

    def workers(self, states: str = "RUNNING") -> list[str]:
        """Ids of the jobs of this run's workers."""
        lines = self.slurm.call("squeue", "-h", "-o", "%i %k", "-t", states).splitlines()
        return sorted(line.split()[0] for line in lines if line.split()[1:] == [self.mark])

    def lines(self, phase: str) -> int:
        """How many blocks of a pass the journal names."""
        pattern = b'"pass":"%s"' % phase.encode()
        return sum(segment.read_bytes().count(pattern) for segment in (self.folder / "journal").glob("*.jsonl"))

    def wait_for(self, phase: str, more_than: int = 100, seconds: float = 240) -> None:
        """Wait until a pass has got so far."""

        def there() -> bool:
            assert self.process is None or self.process.poll() is None, self.end()
            return self.lines(phase) > more_than

        until(f"the pass {phase}", seconds, there)

    def at_work(self) -> None:
        """Insist that the fault came in the middle."""
        assert not self.output.exists()
        assert self.process is None or self.process.poll() is None, "the run was over before the fault"

    def end(self, seconds: float = 240) -> tuple[int, str]:
        """Wait for the end: exit code and standard error."""
        assert self.process is not None
        if self._ended is None:
            _, said = self.process.communicate(timeout=seconds)
            self._ended = self.process.returncode, said
        return self._ended

    def cluster(self) -> dict[str, Any]:
        """What the record says of the jobs."""
        found: dict[str, Any] = self.content()["cluster"]
        return found

    def content(self) -> dict[str, Any]:
        """The record."""
        found: dict[str, Any] = json.loads(self.record.read_text())
        return found

    @property
    def pid(self) -> int:
        """Of the command."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """Leave nothing behind, whatever a test did."""
        if self.process is not None:
            self.process.kill()
            self.end()
        left = self.workers("PENDING,RUNNING,SUSPENDED")
        if left:
            self.slurm.call("scancel", *left)
