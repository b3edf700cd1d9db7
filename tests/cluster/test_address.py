"""A scheduler that runs already: used over TLS and left running; refused without TLS, or with keys for all to read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import made_stores
from chunkwise.cli import main
from cluster_runs import Undisturbed
from slurm_server import until

SERVER = """
import asyncio, sys
from distributed import Nanny
from distributed.security import Security
from chunkwise.cluster.processes import QuietScheduler, QuietWorker
ca, key, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = ("tls_worker_cert", "tls_scheduler_cert", "tls_client_cert")
keys = ("tls_worker_key", "tls_scheduler_key", "tls_client_key")
security = Security(tls_ca_file=ca, require_encryption=True, **dict.fromkeys(names, ca), **dict.fromkeys(keys, key))
async def serve():
    common = dict(security=security, protocol="tls://", host="127.0.0.1")
    async with QuietScheduler(dashboard=False, **common) as scheduler:
        made = [Nanny(scheduler.address, worker_class=QuietWorker, nthreads=1, **common) for _ in range(workers)]
        await asyncio.gather(*made)
        print(scheduler.address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await asyncio.gather(*(nanny.close() for nanny in made))
if __name__ == "__main__":
    asyncio.run(serve())
"""


class Server:
    """A scheduler with TLS, and its files."""

    def __init__(self, folder: Path, workers: int) -> None:
        from distributed.security import Security

        security = Security.temporary()
        self.ca, self.key = folder / "ca.pem", folder / "key.pem"
        self.ca.write_text(security.tls_worker_cert)
        self.key.write_text(security.tls_worker_key)
        self.key.chmod(0o600)
        script = folder / "server.py"
        script.write_text(SERVER)
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(self.ca), str(self.key), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("tls://"), "the scheduler did not start"

    def site(self, folder: Path, **keys: str) -> Path:
        profile = {"address": self.address, "tls_ca": self.ca, "tls_cert": self.ca, "tls_key": self.key} | keys
        file = folder / "site.toml"
        lines = [f'{key} = "{value}"' for key, value in ({"kind": "address"} | profile).items()]
        file.write_text(
            '[roots.all]\npath = "/"\naccess = "write"\n[cluster]\ndefault = "c"\n[clusters.c]\n' + "\n".join(lines)
        )
        return file

    def stop(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("whole"), size=96)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"), 2)
    yield made
    made.stop()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


def test_the_bytes_are_the_same_and_the_scheduler_lives_on(
    server: Server, whole: Undisturbed, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUNKWISE_SITE", str(server.site(output.parent)))
    for name in ("labels.ome.zarr", "again.ome.zarr"):
        place = output.with_name(name)
        assert main([*whole.words, "--output", str(place), "--workers", "2"]) == 0
        assert made_stores.digest(place) == whole.digest
    assert server.process.poll() is None


def test_a_key_that_all_can_read(
    server: Server,
    whole: Undisturbed,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_key = output.with_name("open.pem")
    open_key.write_text(server.key.read_text())
    os.chmod(open_key, 0o644)
    monkeypatch.setenv("CHUNKWISE_SITE", str(server.site(output.parent, tls_key=str(open_key))))
    assert main([*whole.words, "--output", str(output)]) == 4
    assert "can be read by every account" in capsys.readouterr().err


def test_keys_of_somebody_else(
    server: Server,
    whole: Undisturbed,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from distributed.security import Security

    other = Security.temporary()
    cert, key = output.with_name("cert.pem"), output.with_name("other.pem")
    cert.write_text(other.tls_client_cert)
    key.write_text(other.tls_client_key)
    key.chmod(0o600)
    keys = {"tls_ca": str(cert), "tls_cert": str(cert), "tls_key": str(key)}
    monkeypatch.setenv("CHUNKWISE_SITE", str(server.site(output.parent, **keys)))
    assert main([*whole.words, "--output", str(output)]) == 4
    assert "does not answer, or does not accept these keys" in capsys.readouterr().err


def test_without_tls_it_is_refused(
    server: Server,
    whole: Undisturbed,
    output: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = server.address.replace("tls://", "tcp://")
    monkeypatch.setenv("CHUNKWISE_SITE", str(server.site(output.parent, address=plain)))
    assert main([*whole.words, "--output", str(output)]) == 2
    assert "connects to no scheduler without TLS" in capsys.readouterr().err


def test_a_scheduler_without_workers(
    whole: Undisturbed, output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lonely = Server(output.parent, 0)
    monkeypatch.setenv("CHUNKWISE_SITE", str(lonely.site(output.parent, queue_patience="4s")))
    assert main([*whole.words, "--output", str(output)]) == 4
    lonely.stop()
    said = capsys.readouterr().err
    assert "no worker for" in said
    assert "had no worker for" in said.splitlines()[-1]


@pytest.mark.slow  # two schedulers, and half a minute until the first one is given up
def test_a_scheduler_that_is_killed_in_the_middle(whole: Undisturbed, output: Path) -> None:
    first = Server(output.parent, 2)
    words = [sys.executable, "-m", "chunkwise.cli", *whole.words, "--output", str(output), "--workers", "2"]
    environment = os.environ | {"CHUNKWISE_SITE": str(first.site(output.parent))}
    run = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    journal = Path(f"{output}.run") / "journal"
    until(
        "some blocks are done",
        120,
        lambda: sum(file.read_bytes().count(b"\n") for file in journal.glob("*.jsonl")) > 20 or run.poll() is not None,
    )
    assert run.poll() is None
    first.process.kill()
    first.stop()
    said = run.communicate(timeout=180)[1]
    assert run.returncode == 4, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert re.search(r"The scheduler of the .* is gone.*; run the same command again when it is back", last), said
    assert not output.exists()
    again = Server(output.parent, 2)
    environment["CHUNKWISE_SITE"] = str(again.site(output.parent))
    done = subprocess.run(words, env=environment, stderr=subprocess.PIPE, text=True, timeout=180)
    again.stop()
    assert done.returncode == 0, done.stderr
    assert "were already done" in done.stderr
    assert made_stores.digest(output) == whole.digest
