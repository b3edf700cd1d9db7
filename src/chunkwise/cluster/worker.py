"""What a batch job runs: workers for the scheduler whose address it was given.

It is started in the folder where keys and logs lie (``cluster.tls``), so that no path is part of the job's script.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["main", "stop_time"]


def stop_time(began: float, walltime: float) -> float:
    """When a worker stops, so that its last block is done before the batch system ends it.

    Workers that began together do not stop together: somebody should go on while the new ones wait in the queue.

    Parameters
    ----------
    began : float
        When the job began, in seconds since the epoch.
    walltime : float
        Seconds that it may take.
    """
    margin = min(max(60.0, walltime / 10), 900.0, walltime / 3)
    return began + walltime - margin - random.uniform(0, walltime / 10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run workers until they are sent away, their time is over, or the scheduler is gone."""
    parser = argparse.ArgumentParser(prog="python -m chunkwise.cluster.worker")
    parser.add_argument("scheduler")
    parser.add_argument("--name", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bytes", type=int, required=True, help="memory of each worker")
    parser.add_argument("--death-timeout", type=float, required=True, help="how long to look for the scheduler")
    parser.add_argument("--walltime", type=float, help="seconds that the job may take")
    parser.add_argument("--began", type=float, default=time.time(), help="when it began")
    parser.add_argument("--interface")
    # What dask-jobqueue gives besides, and what is said above in other words.
    args, _ = parser.parse_known_args(arguments)
    return asyncio.run(_work(args))


async def _work(args: argparse.Namespace) -> int:
    import dask
    from distributed import Nanny
    from distributed.security import Security

    from chunkwise.cluster.executor import CONFIGURATION
    from chunkwise.cluster.processes import QuietWorker, TimedWorker
    from chunkwise.cluster.tls import CERTIFICATE, KEY

    logging.getLogger("distributed").setLevel(logging.ERROR)
    security = Security(
        tls_ca_file=CERTIFICATE, tls_worker_cert=CERTIFICATE, tls_worker_key=KEY, require_encryption=True
    )
    worker: type[QuietWorker] = QuietWorker
    options: dict[str, Any] = {}
    if args.walltime:
        worker, options = TimedWorker, {"stop_at": stop_time(args.began, args.walltime)}
    with dask.config.set(CONFIGURATION), tempfile.TemporaryDirectory(prefix="chunkwise-") as scratch:
        nannies = [
            Nanny(
                args.scheduler,
                name=args.name if args.workers == 1 else f"{args.name}-{number}",
                nthreads=1,
                memory_limit=args.bytes,
                worker_class=worker,
                interface=args.interface,
                protocol="tls://",
                security=security,
                death_timeout=args.death_timeout,
                local_directory=scratch,
                silence_logs=logging.ERROR,
                **options,
            )
            for number in range(args.workers)
        ]
        began = time.monotonic()
        # A job that is cancelled leaves nothing behind on the node.
        stop = asyncio.get_running_loop().create_task(_stopped(nannies))
        try:
            await asyncio.gather(*nannies)
        except Exception as error:
            waited = time.monotonic() - began
            words = f"no connection to {args.scheduler} within {waited:.0f} s: {type(error).__name__}"
            print(f"worker: {words}", file=sys.stderr, flush=True)
            await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)
            return 1
        await asyncio.gather(*(nanny.finished() for nanny in nannies))
        stop.cancel()
    return 0


async def _stopped(nannies: Sequence[Any]) -> None:
    """Close everything when SIGTERM comes."""
    came = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, came.set)
    await came.wait()
    await asyncio.gather(*(nanny.close(timeout=1, reason="SIGTERM") for nanny in nannies), return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
