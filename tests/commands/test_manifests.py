"""One manifest for one image and one set of parameters, however the run went."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.storage.manifest import ATTACHED, Manifest
from verifying import ask, manifest_of, segment


def test_workers_order_and_blocks_leave_the_manifest_as_it_is(
    labels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = manifest_of("l.ome.zarr.run")
    root = json.loads(Path("l.json").read_text())["fingerprint"]["value"]
    assert Manifest.from_bytes(first, "m").digest == root
    for workers in (2, 4):
        assert main(segment(f"w{workers}.ome.zarr", workers=workers)) == 0
        assert manifest_of(f"w{workers}.ome.zarr.run") == first
    assert main(segment("b.ome.zarr", "--block", "16,16")) == 0
    assert manifest_of("b.ome.zarr.run") == first
    in_order = InlineExecutor.run

    def shuffled(self: InlineExecutor, function: Any, calls: Any) -> Any:
        mixed = list(calls)
        random.Random(1).shuffle(mixed)
        return in_order(self, function, mixed)

    monkeypatch.setattr(InlineExecutor, "run", shuffled)
    assert main(segment("s.ome.zarr", "--block", "16,16")) == 0
    assert manifest_of("s.ome.zarr.run") == first
    assert ask(capsys, "s.ome.zarr", "--against", "l.zip")[0] == 0


def test_a_killed_run_ends_with_the_same_manifest(labels: Path) -> None:
    words = segment("k.ome.zarr", "--block", "8,8")
    process = subprocess.Popen([sys.executable, "-m", "chunkwise.cli", *words], stderr=subprocess.DEVNULL)
    journal = Path("k.ome.zarr.run", "journal")
    while not any(b'"pass":"write"' in segment.read_bytes() for segment in journal.glob("*.jsonl")):
        assert process.poll() is None, "the run was over before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert not Path("k.ome.zarr").exists()
    assert main(words) == 0
    assert manifest_of("k.ome.zarr.run") == manifest_of("l.ome.zarr.run")


def test_a_large_manifest_stays_out_of_the_crate(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ATTACHED <= 4 * 2**20, "the crate of a 1 GiB store has to stay under 5 MB"
    monkeypatch.setattr("chunkwise.running.stores.ATTACHED", 10)
    assert main(segment("l.ome.zarr", "--record", "r.json", "--crate", "l.zip")) == 0
    with zipfile.ZipFile("l.zip") as crate:
        assert not [name for name in crate.namelist() if name.startswith("manifest")]
        record = json.loads(crate.read("records/segment-1.json"))
    assert record["blocks"]["manifest_sha256"] == hashlib.sha256(manifest_of("l.ome.zarr.run")).hexdigest()
    assert ask(capsys, "l.zip")[0] == 0
