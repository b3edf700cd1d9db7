"""Workers as batch jobs of a real Slurm: same bytes, TLS only, and nothing of a user in a script."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from cluster_runs import ClusterRun, Undisturbed, write_site
from slurm_server import Slurm, until
from whole_image import reference_segment

pytestmark = pytest.mark.cluster

#: What a shell, Slurm or TOML could trip over.
AWKWARD = 'it\'s "$(touch pwned)"; %j `id` #\n--wrap ü'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """An image, and its labels by one process, which are those of scikit-image."""
    made = Undisturbed(tmp_path_factory.mktemp("whole"), size=128)
    image: Any = zarr.open_array(made.image / "0", mode="r")
    found: Any = zarr.open_array(made.labels / "0", mode="r")
    np.testing.assert_array_equal(found[...], reference_segment(image[...], fill_holes=True))
    return made


@pytest.fixture
def run(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> Iterator[ClusterRun]:
    made = ClusterRun(slurm, write_site(tmp_path), tmp_path / "labels.ome.zarr", whole.words)
    yield made
    made.kill()


def test_the_bytes_are_those_of_one_process(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> None:
    """Also where a shell would trip over names, and where a person has a configuration of Dask of their own."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    # dask-jobqueue would read options of sbatch, shell lines and commands from it.
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm:\n    queue: nowhere\n    worker-command: os.path\n    job-script-prologue: [exit 1]\n"
        "    job-extra-directives: [--nonsense]\n    python: /bin/false\n    job-directives-skip: [mem]\n"
    )
    run = ClusterRun(slurm, write_site(tmp_path), folder / f"{AWKWARD}.ome.zarr", whole.words)
    run.environment |= {"DASK_CONFIG": str(tmp_path / "dask")}
    code, said = run.start().end()
    assert code == 0, said
    assert made_stores.digest(run.output) == whole.digest
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()
    cluster = run.cluster()
    assert cluster["kind"] == "slurm"
    assert cluster["profile"] == "test"
    assert cluster["total"]["submitted"] == len(cluster["jobs"]) == 3
    worked = [job for job in cluster["jobs"] if job["state"] == "COMPLETED"]
    assert worked
    for job in worked:
        assert job["partition"] == "main"
        assert job["nodes"].startswith("node")
        assert job["max_rss_bytes"] > 2**26
    assert not list(run.folder.glob("cluster")), "keys and logs stay behind"


def test_measuring_gives_the_same_table(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> None:
    words = ["measure", "--labels", str(whole.labels), "--image", str(whole.image), "--properties", "all"]
    assert main([*words, "--output", str(tmp_path / "one.tsv"), "--workers", "1"]) == 0
    run = ClusterRun(slurm, write_site(tmp_path), tmp_path / "many.tsv", words)
    code, said = run.start().end()
    assert code == 0, said
    assert run.output.read_bytes() == (tmp_path / "one.tsv").read_bytes()


def _listening(own: int) -> dict[tuple[str, int], int]:
    """Who listens on what: processes of the run, here and in its jobs."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            ours = process.pid == own or "chunkwise.cluster.worker" in words
            parents = [parent.pid for parent in process.parents()]
            if ours or ("spawn_main" in words and _is_worker(parents)):
                for connection in process.net_connections("tcp"):
                    if connection.status == "LISTEN":
                        found[connection.laddr.ip, connection.laddr.port] = process.pid
        except psutil.Error:
            continue
    return found


def _is_worker(parents: list[int]) -> bool:
    return any("chunkwise.cluster.worker" in " ".join(psutil.Process(pid).cmdline()) for pid in parents)


def _speaks_tls(host: str, port: int) -> bool:
    """Whether plain words are answered by an alert of TLS (0x15), or by hanging up."""
    import socket

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    with socket.create_connection((host, port), timeout=5) as plain:
        plain.settimeout(5)
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            return plain.recv(100)[:1] in (b"", b"\x15")
        except OSError:
            return True


def test_nothing_listens_without_tls_and_keys_are_nobody_else_s(run: ClusterRun) -> None:
    run.start()
    run.wait_for("rims", 5)
    assert run.process is not None
    folder = run.folder / "cluster"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = (folder / "key.pem").read_text()
    for file in folder.glob("*.pem"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ports = _listening(run.process.pid)
    # The scheduler, and at least one nanny and its worker.
    assert len(ports) >= 3
    for host, port in ports:
        assert _speaks_tls(host, port), (host, port)
    # Neither log, nor record, nor what Slurm keeps of the job says the key.
    secret = key.splitlines()[5]
    jobs = run.workers()
    scripts = [run.slurm.call("scontrol", "write", "batch_script", job, "-") for job in jobs]
    assert scripts
    assert all("chunkwise.cluster.worker" in script and str(run.folder) not in script for script in scripts)
    logs = [file.read_text() for file in folder.glob("*.log")]
    code, said = run.end()
    assert code == 0, said
    assert not any(secret in text for text in (said, run.record.read_text(), *scripts, *logs))


def test_workers_are_as_many_as_the_site_lets(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> None:
    """Two worker processes in each job, and one job more where they do not come out even."""
    site = write_site(tmp_path, workers_min=1, workers_max=3, workers_per_job=2, walltime="1h")
    run = ClusterRun(slurm, site, tmp_path / "labels.ome.zarr", [*whole.words, "--workers", "9"])
    run.start()
    until("both jobs", 90, lambda: len(run.workers("PENDING,RUNNING")) == 2)
    told = {
        line
        for job in run.workers("PENDING,RUNNING")
        for line in run.slurm.call("squeue", "-h", "-j", job, "-o", "%C %l %m").splitlines()
    }
    assert told == {"2 1:00:00 1712M"}
    code, said = run.end()
    assert code == 0, said
    assert "note: --workers 9 is more than one run may have; 3 is used." in said
    assert made_stores.digest(run.output) == whole.digest
    names = {worker["worker"] for worker in json.loads(run.record.read_text())["workers"]}
    assert len(names) <= 4


def test_a_run_that_is_too_small_for_the_queue_is_done_here(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> None:
    run = ClusterRun(slurm, write_site(tmp_path, workers_min=0), tmp_path / "labels.ome.zarr", whole.words)
    code, said = run.start().end()
    assert code == 0, said
    assert run.cluster() == {"kind": "local", "profile": "local"}
    assert made_stores.digest(run.output) == whole.digest


def test_keys_and_logs_go_where_the_site_says(slurm: Slurm, whole: Undisturbed, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    os.chmod(shared, 0o1777)
    run = ClusterRun(slurm, write_site(tmp_path, str(shared)), tmp_path / "labels.ome.zarr", whole.words)
    run.start()
    run.wait_for("rims", 5)
    (folder,) = shared.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "key.pem").exists()
    code, said = run.end()
    assert code == 0, said
    assert not list(shared.iterdir())
    # Somebody else could put a folder of that name there, to read the keys.
    subprocess.run(["install", "-d", "-o", "nobody", "-m", "755", str(folder)], check=True)
    run.output.rename(tmp_path / "moved.ome.zarr")
    run.record.unlink()
    code, said = run.start().end()
    assert code == 3, said
    assert "can be written or read by other accounts" in said
