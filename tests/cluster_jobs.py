"""Jobs of the real Galaxy on the real cluster: started, looked at from both sides, and disturbed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = [
    "ROOT",
    "RUN",
    "batch_jobs",
    "driver_of",
    "files_of",
    "record_in",
    "scontrol",
    "size_of",
    "slurm",
    "staging_of",
    "until",
]

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".galaxy"
CLUSTER = ROOT / ".cluster"
ENVIRONMENT = os.environ | {"SLURM_CONF": str(CLUSTER / "slurm" / "slurm.conf")}


def slurm(*command: str) -> str:
    """Run a command of Slurm's; its output."""
    return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


def scontrol(job: str, **changes: str) -> None:
    """Change a batch job."""
    slurm("scontrol", "update", f"jobid={job}", *(f"{key}={value}" for key, value in changes.items()))


def batch_jobs() -> dict[str, str]:
    """Every batch job that waits or runs: its id, and its name, state and reason."""
    lines = slurm("squeue", "-h", "-a", "-o", "%A %j %t %r").splitlines()
    return {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}


def until(seconds: float, condition: Callable[[], Any], what: str) -> Any:
    """Wait for something to be true; what it is then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s: {what}")


def driver_of(staging: Path) -> str:
    """The batch job in which Pulsar runs a job of Galaxy."""
    file = staging / "external_id"
    text: str = until(60, lambda: file.exists() and file.read_text().strip().strip('"'), f"{file} names a batch job")
    return text


def staging_of(way: str, number: int | str) -> Path:
    """Pulsar's folder of a job of Galaxy."""
    return CLUSTER / f"pulsar-{way}" / "staging" / str(number)


def files_of(folder: Path) -> dict[Path, int]:
    """Every file below a folder, and its size."""
    return {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, as they seem: a sparse file counts in full."""
    return sum(files_of(folder).values())


def record_in(crate: bytes, command: str = "segment") -> dict[str, Any]:
    """The record of the run that a crate tells of."""
    with zipfile.ZipFile(io.BytesIO(crate)) as archive:
        (name,) = (one for one in archive.namelist() if one.startswith(f"records/{command}-"))
        record: dict[str, Any] = json.loads(archive.read(name))
    return record
