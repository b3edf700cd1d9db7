"""What it would cost to let Pulsar stage a store: its files go to the running Pulsar, as Galaxy sends them.

Run in Galaxy's own environment, with 'make cluster' up:
``.galaxy/galaxy/bin/python deploy/pulsar/staging_cost.py STORE``.
Prints files, bytes and seconds; what a job makes would come back the same way. The files are removed afterwards.
"""

import os
import sys
import time
from pathlib import Path

from pulsar.client.manager import build_client_manager

ROOT = Path(__file__).parents[2]


def main(store: Path) -> None:
    """Upload every file as one of an input dataset."""
    port = os.environ.get("PULSAR_PORT", "18914")
    token = (ROOT / ".cluster/pulsar/secret").read_text().strip()
    parameters = {"url": f"http://127.0.0.1:{port}/managers/short/", "private_token": token}
    client = build_client_manager().get_client(parameters, job_id=f"staging{int(time.time())}")
    client.setup()
    files = [file for file in sorted(store.rglob("*")) if file.is_file()]
    total = sum(file.stat().st_size for file in files)
    try:
        started = time.monotonic()
        for file in files:
            client.put_file(str(file), "input", name=f"x_files/{file.relative_to(store)}")
        there = time.monotonic() - started
        print(f"{len(files)} files, {total} bytes: {there:.1f} s to the cluster")
    finally:
        client.clean()


main(Path(sys.argv[1]))
