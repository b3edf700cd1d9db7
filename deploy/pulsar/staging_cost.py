"""What it would cost to let Pulsar stage a store: its files go to the running Pulsar as Galaxy sends them, and back.

Run in Galaxy's own environment, with 'make cluster' up:
``.galaxy/galaxy/bin/python deploy/pulsar/staging_cost.py STORE``.
Prints files, bytes, and seconds for each way; the job and its files are removed afterwards.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from pulsar.client.manager import build_client_manager

ROOT = Path(__file__).parents[2]


def main(store: Path) -> None:
    """Upload every file as an input's extra file, and fetch every one as an output's."""
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
            # Results are fetched from the folder of outputs; so both ways are timed on the same files.
            client.put_file(str(file), "input_extra", name=f"x_files/{file.relative_to(store)}")
        there = time.monotonic() - started
        print(f"{len(files)} files, {total} bytes: {there:.1f} s to the cluster")
        sample = files[:: max(1, len(files) // 500)]
        for file in sample:
            client.put_file(str(file), "workdir", name=f"back/{file.relative_to(store)}")
        with tempfile.TemporaryDirectory(dir=ROOT / ".cluster") as folder:
            started = time.monotonic()
            for file in sample:
                name = f"back/{file.relative_to(store)}"
                client._populate_output_path(name, f"{folder}/{name}", "transfer", "output_workdir")
            back = (time.monotonic() - started) * len(files) / len(sample)
        print(f"{back:.1f} s back, from {len(sample)} of the files")
    finally:
        client.clean()


main(Path(sys.argv[1]))
