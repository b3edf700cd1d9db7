"""Dask workers on this machine: TLS on loopback, no dashboard, spawned, and few calls in flight."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from contextlib import ExitStack

import psutil
import pytest

from chunkwise.blocks.passes import Lost
from chunkwise.cluster import local
from chunkwise.cluster.executor import DaskExecutor
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.cluster.local import open_local, started_twice
from chunkwise.cluster.resources import Resources, find_resources, parse_bytes
from chunkwise.errors import InputError, ResumableError
from slurm_server import until


def _square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def _die() -> None:
    os._exit(9)


def _listening() -> set[int]:
    """Ports that this process and its children listen on."""
    me = psutil.Process()
    found = [c for p in (me, *me.children(recursive=True)) for c in p.net_connections("tcp") if c.status == "LISTEN"]
    assert all(c.laddr.ip == "127.0.0.1" for c in found)
    return {c.laddr.port for c in found}


def test_one_worker_is_this_process() -> None:
    with open_local(Resources(1, 2**30), 9) as executor:
        assert isinstance(executor, InlineExecutor)
        assert list(executor.run(_square, [(3,)])) == [(9, os.getpid())]


def test_two_workers_talk_tls_only() -> None:
    before = _listening()
    with open_local(Resources(2, 2**30), 9) as executor:
        assert isinstance(executor, DaskExecutor)
        results = list(executor.run(_square, ((n,) for n in range(20))))
        assert sorted(value for value, _ in results) == [n * n for n in range(20)]
        assert os.getpid() not in {pid for _, pid in results}
        opened = _listening() - before
        # The scheduler, and a nanny and a worker for each of two.
        assert len(opened) == 5, "somebody listens whom nobody asked"
        for port in opened:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
                plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
                plain.settimeout(5)
                try:
                    answer = plain.recv(100)
                except OSError:
                    answer = b""
                # A TLS server answers plain words with an alert (0x15) or by hanging up.
                assert answer[:1] in (b"", b"\x15"), (port, answer)


def test_workers_are_spawned_not_forked() -> None:
    """A process that was forked after tensorstore has started its threads hangs at its first read."""
    with open_local(Resources(2, 2**30), 9) as executor:
        list(executor.run(_square, [(1,)]))
        commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
        assert sum("spawn_main" in command for command in commands) == 2
        assert not any("pytest" in command for command in commands), "a fork has its parent's command line"


def test_a_call_that_kills_workers_is_handed_back() -> None:
    with open_local(Resources(2, 2**30), 9) as executor:
        assert list(executor.run(_die, [()])) == [Lost(())]
        assert next(executor.run(_square, [(2,)]))[0] == 4, "the workers are not back"


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


def test_workers_whose_nannies_give_up_are_replaced() -> None:
    """Seen once in a dozen runs whose workers were killed one after the other: none was left, and the run hung."""
    with open_local(Resources(2, 2**30), 9) as executor:
        assert isinstance(executor, DaskExecutor)
        assert next(executor.run(_square, [(2,)]))[0] == 4
        cluster = executor._client.cluster
        for nanny in list(cluster.workers.values()):
            cluster.sync(nanny.close)
        assert not _workers()
        assert executor.note() == "0 of 2 workers"
        results = list(executor.run(_square, ((n,) for n in range(20))))
        assert sorted(value for value, _ in results) == [n * n for n in range(20)]
        until("the other worker", 60, lambda: not executor.note())
        assert len(_workers()) == 2


def test_workers_that_start_slowly_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a start takes longer than a lost worker is waited for."""
    monkeypatch.setattr(local, "LOST", 0.05)
    monkeypatch.setattr(local, "FAILED_STARTS", 2)
    with open_local(Resources(2, 2**30), 9) as executor:
        assert isinstance(executor, DaskExecutor)
        cluster = executor._client.cluster
        for nanny in list(cluster.workers.values()):
            cluster.sync(nanny.close)
        results = list(executor.run(_square, ((n,) for n in range(20))))
        assert sorted(value for value, _ in results) == [n * n for n in range(20)]


def test_workers_that_always_die_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LOST", 0.1)
    monkeypatch.setattr(local, "FAILED_STARTS", 2)
    with open_local(Resources(2, 2**30), 9) as executor:
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(0.01):
                with contextlib.suppress(psutil.Error):
                    for worker in _workers():
                        worker.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with pytest.raises(ResumableError, match=r"workers ended as they started, .* --memory"):
                list(executor.run(_square, ((n,) for n in range(20))))
        finally:
            stop.set()
            killer.join()


def test_calls_are_drawn_as_they_are_needed() -> None:
    """A plan of a million blocks must not become a million tasks at once."""
    drawn = 0
    most = 0
    finished = 0
    lock = threading.Lock()

    def calls() -> object:
        nonlocal drawn, most
        for n in range(200):
            with lock:
                drawn += 1
                most = max(most, drawn - finished)
            yield (n,)

    with open_local(Resources(2, 2**30), 9) as executor:
        for _ in executor.run(_square, calls()):  # type: ignore[arg-type]
            with lock:
                finished += 1
    assert drawn == finished == 200
    assert most <= 8


def test_resources_are_read_from_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_SLOTS", "3")
    monkeypatch.setenv("GALAXY_MEMORY_MB", "4096")
    assert find_resources().workers == 3
    assert 2**30 < find_resources().memory_per_worker * 3 + 2**28 <= 2**32
    assert find_resources(2, 10**9) == Resources(2, 10**9)
    assert find_resources(voxels=10**6).workers == 1, "a small image does not start workers"
    monkeypatch.delenv("GALAXY_SLOTS")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "5")
    assert find_resources().workers == 5


@pytest.mark.parametrize(
    ("text", "value"), [("1GiB", 2**30), ("500M", 5 * 10**8), ("1000", 1000), ("1.5g", 15 * 10**8), ("2 KiB", 2048)]
)
def test_sizes(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "1GiBB", "3q", "inf", "nan"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InputError):
        parse_bytes(text)


class Begun:
    """Something of ``distributed`` that is started, or not."""

    def __init__(self, fails: list[bool], ended: list[str], what: str) -> None:
        if fails and fails.pop(0):
            raise UnboundLocalError("cannot access local variable 'result'")
        self._ended, self._what = ended, what

    def __enter__(self) -> Begun:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.append(self._what)


@pytest.mark.parametrize(("fails", "ended"), [([], []), ([True], []), ([False, True], ["cluster"])])
def test_workers_that_a_busy_machine_did_not_start_are_started_again(fails: list[bool], ended: list[str]) -> None:
    """Cluster and client draw from one list; what had begun is ended before the second start."""
    closed: list[str] = []
    with ExitStack() as stack:
        started_twice(stack, lambda: Begun(fails, closed, "cluster"), lambda _: Begun(fails, closed, "client"))
        assert closed == ended
    assert closed == [*ended, "client", "cluster"]


def test_workers_that_never_start_are_told_in_one_sentence() -> None:
    with ExitStack() as stack, pytest.raises(ResumableError, match="did not start, as happens on a very busy machine"):
        started_twice(stack, lambda: Begun([True], [], ""), lambda _: None)


class Slow:
    """A future whose result is asked for in vain a few times."""

    def __init__(self, status: str, *errors: Exception) -> None:
        self.status, self._errors = status, [*errors]

    def result(self, timeout: float) -> str:
        if self._errors:
            raise self._errors.pop(0)
        return "there"


def test_a_result_that_does_not_come_in_time_is_asked_for_again() -> None:
    executor = DaskExecutor(None, 1)
    assert executor._result(Slow("finished", TimeoutError(), UnboundLocalError("result"), TimeoutError())) == "there"
    for error in (TimeoutError("own"), UnboundLocalError("own")):
        with pytest.raises(type(error), match="own"):
            executor._result(Slow("error", error))
