"""What runs inside the batch jobs of an array: ``python -P -m chunkwise.cluster.array_job work`` or ``go-on``.

``work``: one element of an array. It claims one call after the other, does it, and appends what came out to its
own file, until nothing is left or its time is nearly over. It is connected to nobody.

``go-on``: the successor of the process that leads a run. It waits until nobody leads it any more, and then gives
the same command again, which goes on from the journal.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
import traceback
from typing import Any

import numpy as np

from chunkwise.errors import ChunkwiseError

__all__ = ["FOLDER", "GENERATION", "WALLTIME", "TICKET", "TURN", "go_on", "lead", "main", "work"]

#: Variables in a job's environment: folder of the pass, which try it is, and seconds that a job may take.
FOLDER, TURN, WALLTIME = "CHUNKWISE_ARRAY_FOLDER", "CHUNKWISE_ARRAY_TURN", "CHUNKWISE_ARRAY_WALLTIME"
#: The file that says which command a successor gives; and how many leaders before it died without any progress.
TICKET, GENERATION = "CHUNKWISE_ARRAY_TICKET", "CHUNKWISE_ARRAY_GENERATION"


def work() -> int:
    """Do calls until none is left, or the time is over."""
    from chunkwise.blocks import deadline
    from chunkwise.cluster import array_files
    from chunkwise.cluster.memory import steady_memory
    from chunkwise.cluster.worker import stop_time

    deadline.set_deadline(stop_time(time.time(), float(os.environ[WALLTIME])))
    steady_memory()
    folder, turn = os.environ[FOLDER], int(os.environ[TURN])
    if not os.path.isdir(os.path.join(folder, f"claims-{turn}")):
        return 0  # the pass was over before this job began
    array_files.private_folder(folder)
    calls, numbers = array_files.Calls(folder), array_files.numbers_of_round(folder, turn)
    # Every element begins at another place, so that they seldom reach for the same call.
    element, elements = int(os.environ["SLURM_ARRAY_TASK_ID"]), int(os.environ["SLURM_ARRAY_TASK_COUNT"])
    order = np.roll(numbers, -(element * len(numbers) // elements)).tolist()
    # Claims are made when the next one is asked for, and so none is asked for when there is no time.
    mine = array_files.take(folder, turn, order)
    while not deadline.is_past() and (number := next(mine, None)) is not None:
        result: tuple[bool, Any]
        try:
            function, call = calls.read(number)
            result = (True, function(*call))
        except ChunkwiseError as error:
            result = (False, error)
        except Exception as error:
            traceback.print_exc()  # into the job's log
            result = (False, RuntimeError(f"{type(error).__name__}: {error}"))
        array_files.append_result(folder, os.environ["SLURM_JOB_ID"], number, result)
    return 0


def lead(folder: str, wait: bool) -> int | None:
    """Become the one process that leads a run; the kernel ends that when the process ends, however.

    Parameters
    ----------
    folder : str
        Of the run's arrays.
    wait : bool
        Whether to wait until the leader there is now has ended.

    Returns
    -------
    int or None
        A handle, to be closed; None where another leads.
    """
    handle = os.open(os.path.join(folder, "leader"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def go_on() -> int:
    """Give the command of the ticket again, when its leader is gone and the ticket still holds."""
    from chunkwise.cluster.array_files import private_folder

    ticket = os.environ[TICKET]
    handle = lead(private_folder(os.path.dirname(ticket)), wait=True)
    assert handle is not None
    try:
        with open(ticket, encoding="ascii") as file:
            content = json.load(file)
    except FileNotFoundError:
        print("The run has ended, or another job continues it; nothing is left to do.")
        return 0
    finally:
        os.close(handle)  # the command takes it again
    os.chdir(content["folder"])
    os.environ[GENERATION] = str(content["generation"])
    print(f"The process that led this run is gone; continuing: {content['arguments']}", flush=True)
    # -P: a file of the working directory that is named like a module is not imported.
    command = [sys.executable, "-P", "-m", "chunkwise.cli", *content["arguments"]]
    os.execv(sys.executable, command)  # noqa: S606 -- the command that its owner gave


def main() -> int:
    """Do what the job is for."""
    return {"work": work, "go-on": go_on}[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
