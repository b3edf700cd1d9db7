"""The disk is full: the run says so, keeps what is done, and goes on when there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import made_stores
from cluster_runs import ClusterRun, Undisturbed

pytestmark = pytest.mark.cluster


def test_a_full_disk(
    make_run: Callable[..., ClusterRun], undisturbed: Undisturbed, make_disk: Callable[[str], Path]
) -> None:
    run, small_disk = make_run(on=None), make_disk("200m")
    run.words = [str(word).replace(str(run.output), str(small_disk / "labels.ome.zarr")) for word in run.words]
    run.output, run.folder = small_disk / "labels.ome.zarr", small_disk / "labels.ome.zarr.run"
    run.start()
    run.wait_for("label")
    run.at_work()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**20))
        except OSError:
            pass
    code, said = run.end()
    assert code == 4, said
    assert "Traceback" not in said
    assert "no space left to write" in said.splitlines()[-1]
    assert not run.output.exists()
    assert not run.workers("PENDING,RUNNING")
    filler.unlink()
    code, said = run.start().end()
    assert code == 0, said
    assert "blocks were already done" in said
    assert made_stores.digest(run.output) == undisturbed.digest
