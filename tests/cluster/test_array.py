"""Arrays of batch jobs on a real Slurm: the same bytes as here, whoever of jobs and leader is killed."""

from __future__ import annotations

import math
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chunkwise.blocks.passes import Lost
from chunkwise.cluster import array, array_files
from chunkwise.cluster.array import open_array
from chunkwise.cluster.resources import Resources
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.site.model import Cluster
from slurm_server import Slurm, until

CLUSTER = Cluster("arrays", kind="array", walltime=300)
THREE = Resources(3, 500 * 2**20)
#: A folder name that would do harm in a script or in an option.
NASTY = 'it\'s "$(touch pwned)"; %j\n--wrap=`id` ü'


@pytest.fixture
def on_slurm(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """This process submits to the real Slurm."""
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    return slurm


def jobs(slurm: Slurm, folder: Path) -> list[list[str]]:
    """Id of the array, number of the element, and state of the jobs of a run that are in the queue."""
    mark = array.job_names(array.array_folder(CLUSTER, str(folder)))
    said = slurm.call("squeue", "-h", "-r", "-n", ",".join(mark), "-o", "%F|%K|%T|%j")
    return [line.split("|") for line in said.splitlines()]


def in_the_background(function: Callable[[], Any]) -> Callable[[], Any]:
    """Run something in a thread; what is returned waits for its result."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()

    def result() -> Any:
        thread.join(120)
        assert found, "it failed, or did not end"
        return found[0]

    return result


@pytest.mark.cluster
def test_calls_are_done_by_jobs_and_nothing_is_left(on_slurm: Slurm, tmp_path: Path) -> None:
    folder = tmp_path / NASTY
    with open_array(CLUSTER, THREE, 99, str(folder)) as executor:
        assert executor.workers == 3
        assert stat.S_IMODE((folder / "array").stat().st_mode) == 0o700
        assert sorted(executor.run(math.factorial, ((n,) for n in range(50)))) == [math.factorial(n) for n in range(50)]
        assert list(executor.run(math.factorial, [])) == []
        # What comes out is what jobs made, not this process; and every job is accounted for.
        ids = set(executor.run(os.getenv, [("SLURM_JOB_ID",)] * 20))
        used = set(on_slurm.call("squeue", "-h", "-t", "all", "-r", "-j", ",".join(executor.jobs), "-o", "%A").split())
        assert ids
        assert ids <= used
    assert not (folder / "array").exists()
    assert not list(tmp_path.rglob("pwned"))
    until("no job is left", 20, lambda: not jobs(on_slurm, folder))


@pytest.mark.cluster
def test_what_goes_wrong_in_a_call(on_slurm: Slurm, tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    with open_array(CLUSTER, THREE, 99, folder) as executor:
        # A call that kills its job: told from the others, and given back.
        assert sorted(map(str, executor.run(os._exit, [(3,)]))) == [str(Lost((3,)))]
    with pytest.raises(RuntimeError, match="ValueError"), open_array(CLUSTER, THREE, 99, folder) as executor:
        list(executor.run(math.sqrt, [(4,), (-1,)]))


@pytest.mark.cluster
def test_a_job_that_is_cancelled_in_the_middle_is_made_up_for(on_slurm: Slurm, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with open_array(CLUSTER, THREE, 99, str(folder)) as executor:
        result = in_the_background(lambda: list(executor.run(time.sleep, [(2 + n / 100,) for n in range(5)])))
        until("all run", 30, lambda: [job[2] for job in jobs(on_slurm, folder)].count("RUNNING") == 3)
        until("all have begun", 30, lambda: len(list(folder.glob("array/*/claims-1/*"))) >= 3)
        on_slurm.call("scancel", f"{jobs(on_slurm, folder)[0][0]}_1")
        assert result() == [None] * 5
        assert len(executor.jobs) == 2, "one array, and one for what was lost"


@pytest.mark.cluster
def test_cancelling_the_leader_cancels_its_jobs(on_slurm: Slurm, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), open_array(CLUSTER, THREE, 99, str(folder)) as executor:  # noqa: PT012
        calls = executor.run(time.sleep, [(0,), *[(60 + n,) for n in range(5)]])
        next(calls)
        assert len(jobs(on_slurm, folder)) == 3
        raise KeyboardInterrupt
    until("no job is left", 20, lambda: not jobs(on_slurm, folder))


@pytest.mark.cluster
def test_the_next_leader_takes_over_what_is_done(on_slurm: Slurm, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    calls = [(0,), *[(3 + n / 100,) for n in range(5)]]
    with pytest.raises(ResumableError), open_array(CLUSTER, THREE, 99, str(folder)) as executor:  # noqa: PT012
        first = executor.run(time.sleep, calls)
        next(first)
        with (
            pytest.raises(ResumableError, match="is leading the run"),
            open_array(CLUSTER, THREE, 99, str(folder)),
        ):
            pass
        raise ResumableError("as if it had died")
    with open_array(CLUSTER, THREE, 99, str(folder)) as executor:
        assert len(list(executor.run(time.sleep, calls))) == 6


@pytest.mark.cluster
def test_a_call_that_failed_is_tried_again_by_the_same_command(on_slurm: Slurm, tmp_path: Path) -> None:
    """The cause was mended, and nothing else has changed: the call is the same as before."""
    folder, wanted = str(tmp_path / "run"), str(tmp_path / "mended")
    for _ in range(2):
        with pytest.raises(ResumableError, match="mended"), open_array(CLUSTER, THREE, 99, folder) as executor:
            list(executor.run(array_files.private_folder, [(wanted,)]))
    os.mkdir(wanted, 0o700)
    with open_array(CLUSTER, THREE, 99, folder) as executor:
        assert list(executor.run(array_files.private_folder, [(wanted,)])) == [wanted]


@pytest.mark.cluster
def test_a_batch_system_that_refuses_is_quoted(on_slurm: Slurm, tmp_path: Path) -> None:
    nowhere = Cluster("arrays", kind="array", partition="nowhere")
    with pytest.raises(ResumableError, match=r"did not accept a job.*partition.*cluster 'arrays'") as caught:  # noqa: SIM117
        with open_array(nowhere, THREE, 99, str(tmp_path / "run")) as executor:
            list(executor.run(math.factorial, [(1,)]))
    assert "\n" not in str(caught.value)


@pytest.mark.cluster
def test_jobs_that_cannot_begin_are_not_submitted_for_ever(on_slurm: Slurm, tmp_path: Path) -> None:
    broken = Cluster("arrays", kind="array", setup=("echo the module is missing; exit 1",))
    with pytest.raises(ResumableError, match=r"3 times before.*the module is missing"):  # noqa: SIM117
        with open_array(broken, THREE, 99, str(tmp_path / "run")) as executor:
            list(executor.run(math.factorial, [(1,)]))


@pytest.mark.cluster
@pytest.mark.slow
def test_jobs_end_before_their_time_limit_and_others_go_on(on_slurm: Slurm, tmp_path: Path) -> None:
    short = Cluster("arrays", kind="array", walltime=60)
    with open_array(short, Resources(1, 500 * 2**20), 99, str(tmp_path / "run")) as executor:
        assert list(executor.run(time.sleep, [(15 + n / 100,) for n in range(6)])) == [None] * 6
        assert len(executor.jobs) == 2
        states = on_slurm.call("sacct", "-n", "-X", "-P", "-j", ",".join(executor.jobs), "-o", "State").split()
        assert set(states) <= {"COMPLETED", "RUNNING"}


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    for mode in (0o777, 0o750):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        with pytest.raises(PolicyError, match="other accounts"):
            array_files.private_folder(str(folder), make=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    with pytest.raises(PolicyError):
        array_files.private_folder(str(tmp_path / "link"), make=True)


def test_a_torn_result_is_waited_for(tmp_path: Path) -> None:
    folder, count = array_files.write_calls(str(tmp_path), math.factorial, [(n,) for n in range(4)])
    assert count == 4
    assert array_files.Calls(folder).read(3) == (math.factorial, (3,))
    results = array_files.Results(folder)
    array_files.append_result(folder, "7", 1, "one")
    array_files.append_result(folder, "7", 2, "two")
    path = Path(folder) / "results" / "7"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert list(results.fresh()) == [(1, "one")]
    path.write_bytes(whole[:-1] + b"?")
    assert list(results.fresh()) == [], "its checksum does not fit"
    path.write_bytes(whole)
    assert list(results.fresh()) == [(2, "two")]
    assert list(results.fresh()) == []


def test_a_call_is_claimed_by_one_only(tmp_path: Path) -> None:
    import numpy as np

    folder, _ = array_files.write_calls(str(tmp_path), math.factorial, [(n,) for n in range(200)])
    turn = array_files.begin_round(folder, np.arange(0, 200, 2))
    numbers = array_files.numbers_of_round(folder, turn)
    found: list[list[int]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def claim(element: int) -> None:
        start.wait()
        found[element] += array_files.take(folder, turn, np.roll(numbers, -25 * element).tolist())

    threads = [threading.Thread(target=claim, args=(element,)) for element in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(n for some in found for n in some) == list(range(0, 200, 2))
    assert array_files.claims(folder, turn) == set(range(0, 200, 2))
    assert array_files.begin_round(folder, np.arange(1)) == 2


def test_the_same_calls_find_the_same_folder(tmp_path: Path) -> None:
    one, _ = array_files.write_calls(str(tmp_path), math.factorial, [(1,)])
    assert array_files.write_calls(str(tmp_path), math.factorial, [(1,)])[0] == one
    assert array_files.write_calls(str(tmp_path), math.factorial, [(2,)])[0] != one


def test_the_setup_of_a_site_is_no_format(tmp_path: Path) -> None:
    """Braces in the site file's lines of shell stay what they are."""
    assert "${HOME}" in array.job_script(Cluster("arrays", setup=("echo ${HOME} {x}",)), "work")


def test_input_errors_leave_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would fail again leaves nothing behind, so that the run directory can be made anew."""
    monkeypatch.setenv("PATH", str(tmp_path))  # no batch system at all
    folder = tmp_path / "run"
    with pytest.raises(InputError), open_array(CLUSTER, THREE, 99, str(folder)):
        raise InputError("wrong")
    assert not (folder / "array").exists()
    with (
        pytest.raises(ResumableError, match="sbatch cannot be called"),
        open_array(CLUSTER, THREE, 99, str(folder)) as e,
    ):
        list(e.run(math.factorial, [(1,)]))


@pytest.mark.parametrize("goes_on", [True, False])
def test_results_of_a_run_that_was_removed_are_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    """Where the profile names a folder they lie outside the run's, and may have been made of another input."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "shared").mkdir()
    cluster = Cluster("arrays", kind="array", walltime=300, folder=str(tmp_path / "shared"))
    run = tmp_path / "run"
    with pytest.raises(ResumableError, match="killed"), open_array(cluster, THREE, 99, str(run)):  # noqa: PT012
        left, _ = array_files.write_calls(array.array_folder(cluster, str(run)), math.factorial, [(5,)])
        array_files.append_result(left, "7", 0, (True, "of the run before"))
        raise ResumableError("killed")
    if goes_on:
        (run / "journal").mkdir(parents=True)
        with open_array(cluster, THREE, 99, str(run)) as executor:
            assert list(executor.run(math.factorial, [(5,)])) == ["of the run before"]
    else:
        with (
            pytest.raises(ResumableError, match="sbatch cannot be called"),
            open_array(cluster, THREE, 99, str(run)) as executor,
        ):
            list(executor.run(math.factorial, [(5,)]))
