"""Workers on nodes of Slurm read from S3 and write to S3, with the keys of a file: the bytes of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.site import Site
from chunkwise.storage.location import resolve
from s3_server import S3
from slurm_server import Slurm

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("kind", ["slurm", "array"])
def test_the_bytes_are_those_of_one_process(
    slurm: Slurm, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    image = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (256, 256), chunk=64)
    array: Any = zarr.open_array(image / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (256, 256))
    words = ["--block", "64,64", "--shard", "64,64", "--fill-holes"]
    assert main(["segment", str(image), "--output", "local.zarr", *words, "--workers", "1"]) == 0

    prefix = s3.prefix()
    root = s3.root("bucket", f"s3://results/{prefix}", writable=True)
    bucket = Site(tmp_path / "site.toml", {"bucket": root})
    s3.upload(image, resolve("bucket:i.ome.zarr", bucket, write=True))
    bucket.file.write_text(
        f'[roots.here]\npath = "{tmp_path}"\naccess = "job"\n'
        f'[roots.bucket]\nurl = "{root.url}"\naccess = "write"\nendpoint = "{s3.url}"\ncredentials = "file"\n'
        f'credentials_file = "{s3.credentials}"\n[cluster]\ndefault = "test"\n[clusters.test]\nkind = "{kind}"\n'
        'workers_min = 2\nworkers_max = 2\nmemory_per_worker = "600MiB"\nwalltime = "15m"\n'
    )
    hidden = ("GALAXY_", "CHUNKWISE_", "AWS_")
    environment = {key: value for key, value in slurm.environment.items() if not key.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-m", "chunkwise.cli", "segment", "bucket:i.ome.zarr", "--output", "bucket:l.zarr", *words],
        env=environment | {"CHUNKWISE_SITE": str(bucket.file)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    labels = s3.download(resolve("bucket:l.zarr", bucket), tmp_path / "labels")
    assert made_stores.digest(labels) == made_stores.digest(tmp_path / "local.zarr")
    journals = os.listdir(tmp_path / "l.zarr.run" / "journal")
    assert sum(name.startswith("node") or os.uname().nodename in name for name in journals) >= 2, journals
    assert s3.secret not in done.stdout + done.stderr
