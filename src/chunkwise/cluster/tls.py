"""Certificates of one run, for the workers of other nodes: in files that only their owner can read, while it lasts."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from chunkwise.cluster.array_files import private_folder
from chunkwise.site.model import Cluster

__all__ = ["CERTIFICATE", "KEY", "cluster_folder", "worker_keys"]

#: Names of the files. The certificate is its own authority: whoever has the key belongs to the run.
CERTIFICATE, KEY = "certificate.pem", "key.pem"


@contextmanager
def cluster_folder(cluster: Cluster, folder: str) -> Iterator[str]:
    """Make a folder for keys and logs of workers, which all nodes see; only its owner can look into it.

    It is removed when the run has come to its end; after an error it stays, with the logs.

    Parameters
    ----------
    cluster : Cluster
        The profile; its ``folder`` decides, where there is one.
    folder : str
        The run directory, where the profile names none.
    """
    path = os.path.join(folder, "cluster")
    if cluster.folder:
        path = os.path.join(cluster.folder, f"chunkwise-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")
    private_folder(path, make=True)
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))  # of a driver that was killed
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def worker_keys(folder: str) -> Iterator[Any]:
    """Make a certificate; the workers' copy lies in the folder as long as they may need it.

    Yields
    ------
    distributed.Security
        For scheduler and client, in memory.
    """
    from distributed.security import Security

    security = Security.temporary()
    files = {CERTIFICATE: security.tls_worker_cert, KEY: security.tls_worker_key}
    try:
        for name, content in files.items():
            handle = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(content)
        yield security
    finally:
        for name in files:
            with suppress(OSError):
                os.unlink(os.path.join(folder, name))
