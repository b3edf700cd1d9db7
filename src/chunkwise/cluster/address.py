"""Workers of a scheduler that runs already, reached over TLS with the keys that the site names."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chunkwise.blocks.progress import clock
from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor
from chunkwise.cluster.resources import Resources
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster

__all__ = ["open_address"]


@contextmanager
def open_address(cluster: Cluster, resources: Resources, tasks: int) -> Iterator[DaskExecutor]:
    """Use a scheduler and its workers, and leave them running.

    Parameters
    ----------
    cluster : Cluster
        The profile, with an address that begins with ``tls://`` and files of certificates.
    resources : Resources
        How many workers the work is cut for; there may be more or fewer.
    tasks : int
        Number of blocks.

    Raises
    ------
    ResumableError
        If the scheduler does not answer, or there is no worker for too long.
    """
    import dask
    from dask.distributed import Client
    from distributed.security import Security

    if not cluster.address or not cluster.address.startswith("tls://"):
        raise ResumableError(
            f"The cluster '{cluster.name}' of the site file has no address that begins with tls://; ask your "
            "administrator: chunkwise connects to no scheduler without TLS."
        )
    _check_files(cluster)
    for name in ("distributed", "distributed.client"):  # the second has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(CONFIGURATION):
        security = Security(
            tls_ca_file=cluster.tls_ca,
            tls_client_cert=cluster.tls_cert,
            tls_client_key=cluster.tls_key,
            require_encryption=True,
        )
        try:
            client = Client(cluster.address, security=security, timeout=30, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ResumableError(
                f"The scheduler of the cluster '{cluster.name}' at {cluster.address} does not answer, or does not "
                f"accept these keys ({type(error).__name__}); ask your administrator, and run the same command again."
            ) from None
        with client:
            yield DaskExecutor(client, max(1, min(resources.workers, tasks)), _Watch(cluster, client))


def _check_files(cluster: Cluster) -> None:
    """Refuse keys that are not there, or that any account can read."""
    for path in (cluster.tls_ca, cluster.tls_cert, cluster.tls_key):
        if path is None or not os.access(path, os.R_OK):
            raise ResumableError(
                f"The cluster '{cluster.name}' of the site file names {path} for TLS, which cannot be read; ask your "
                "administrator."
            )
    if cluster.tls_key and os.stat(cluster.tls_key).st_mode & stat.S_IRWXO:
        raise ResumableError(
            f"The key {cluster.tls_key} of the cluster '{cluster.name}' can be read by every account; ask your "
            "administrator to make it readable by its owner or group only."
        )


class _Watch:
    """Waits for workers that somebody else looks after, within the site's patience."""

    def __init__(self, cluster: Cluster, client: Any) -> None:
        self.jobs: list[str] = []
        self._cluster, self._client = cluster, client
        self._workers = 0
        self._alone: float | None = time.monotonic()
        self._next_look, self._next_word, self._pause = 0.0, time.monotonic() + 2.0, 2.0

    def look(self) -> None:
        """Count the workers.

        Raises
        ------
        ResumableError
            If there has been none for too long, or the scheduler is gone.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 1.0
        if self._client.status not in ("running", "connecting"):
            raise ResumableError(
                f"The scheduler of the cluster '{self._cluster.name}' at {self._cluster.address} is gone; run the same "
                "command again when it is back."
            )
        self._workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        self._alone = None if self._workers else self._alone or now
        if self._alone is None:
            return
        if now - self._alone > self._cluster.queue_patience:
            raise ResumableError(
                f"The cluster '{self._cluster.name}' at {self._cluster.address} has had no worker for "
                f"{clock(now - self._alone)}; ask your administrator, and run the same command again."
            )
        if now >= self._next_word:
            print(f"{'waiting':<10} {self.note()}", file=sys.stderr, flush=True)
            self._next_word, self._pause = now + self._pause, min(2 * self._pause, 60.0)

    def note(self) -> str:
        """Say that there is no worker."""
        return "" if self._alone is None else f"no worker for {clock(time.monotonic() - self._alone)}"
