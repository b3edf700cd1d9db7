"""One door to every kind of cluster: the site says which, never the text of a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from chunkwise.blocks.passes import Executor, Workers
from chunkwise.cluster.accounting import account
from chunkwise.cluster.resources import Resources

__all__ = ["open_executor"]


@contextmanager
def open_executor(resources: Resources, tasks: int, folder: str, workers: Workers | None = None) -> Iterator[Executor]:
    """Make workers come, where the site says; end them when the work is done, or given up.

    Parameters
    ----------
    resources : Resources
        Of :func:`chunkwise.cluster.resources.find_resources`: the cluster, workers, memory of each.
    tasks : int
        Number of blocks; there are no more workers than these.
    folder : str
        The run directory.
    workers : Workers, optional
        Takes in, when the work is done, where it was done and what the batch system accounts for it.

    Raises
    ------
    ResumableError
        If the cluster gives no workers; later, while results are waited for, if it takes them away.
    """
    cluster = resources.cluster
    with ExitStack() as stack:
        # What a kind needs is imported only where it is used.
        executor: Executor
        if cluster.kind == "local":
            from chunkwise.cluster.local import open_local

            executor = stack.enter_context(open_local(resources, tasks))
        elif cluster.kind == "slurm":
            from chunkwise.cluster.slurm import open_slurm

            executor = stack.enter_context(open_slurm(cluster, resources, tasks, folder))
        elif cluster.kind == "allocation":
            from chunkwise.cluster.allocation import open_allocation

            executor = stack.enter_context(open_allocation(cluster, resources, tasks, folder))
        elif cluster.kind == "array":
            from chunkwise.cluster.array import open_array

            executor = stack.enter_context(open_array(cluster, resources, tasks, folder))
        else:
            from chunkwise.cluster.address import open_address

            executor = stack.enter_context(open_address(cluster, resources, tasks))
        yield executor
    if workers is not None:
        workers.cluster = account(cluster, executor)
