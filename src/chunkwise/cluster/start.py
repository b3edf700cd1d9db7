"""One door to every kind of cluster: the site says which, never the text of a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from chunkwise.blocks.job import Executor, Workers
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
    executor: Executor | None = None
    try:
        with ExitStack() as stack:
            executor = _enter(stack, resources, tasks, folder)
            yield executor
    except BaseException:
        if workers is not None and executor is not None:
            with suppress(Exception):  # the error itself is what counts
                workers.cluster = account(cluster, executor, wait=False)
        raise
    if workers is not None:
        workers.cluster = account(cluster, executor)


def _enter(stack: ExitStack, resources: Resources, tasks: int, folder: str) -> Executor:
    cluster = resources.cluster
    # What a kind needs is imported only where it is used.
    if cluster.kind == "local":
        from chunkwise.cluster.local import open_local

        return stack.enter_context(open_local(resources, tasks))
    if cluster.kind == "slurm":
        from chunkwise.cluster.slurm import open_slurm

        return stack.enter_context(open_slurm(cluster, resources, tasks, folder))
    if cluster.kind == "allocation":
        from chunkwise.cluster.allocation import open_allocation

        return stack.enter_context(open_allocation(cluster, resources, tasks, folder))
    if cluster.kind == "array":
        from chunkwise.cluster.array import open_array

        return stack.enter_context(open_array(cluster, resources, tasks, folder))
    from chunkwise.cluster.address import open_address

    return stack.enter_context(open_address(cluster, resources, tasks))
