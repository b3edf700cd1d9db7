"""No link leads a run out of its place: not under the names that it makes itself, and not in what it goes on from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main
from chunkwise.errors import ResumableError
from chunkwise.running.stores import StoreRun
from outputs_world import NEEDED, call, everything, output

BESIDE = {
    "segment": ["out.ome.zarr.run", "out.ome.zarr.partial", "out.ome.zarr.partial.lock"],
    "fetch": ["out.ome.zarr.run", "out.ome.zarr.partial", "out.ome.zarr.partial.lock"],
    "measure": ["output.out.run"],
    "compare": ["output.out.run"],
}


@pytest.mark.parametrize("target", ["outside/new", "outside", "results/new", "read/new"])
@pytest.mark.parametrize(("command", "name"), [(command, name) for command, names in BESIDE.items() for name in names])
def test_a_link_under_a_name_that_a_run_makes(
    made: Path, world: Path, command: str, name: str, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "results" / name).symlink_to(world / target)
    before = everything(world)
    capsys.readouterr()
    outputs = {one: f"{world}/results/{output(command, one)}" for one in NEEDED[command]}
    assert call(made, command, outputs) in (2, 3)
    said = capsys.readouterr().err
    assert "is a symbolic link" in said
    assert said.count("\n") == 1
    assert everything(world) == before


@pytest.mark.parametrize("ending", ["run", "partial", "partial.lock"])
def test_a_link_beside_an_image_that_gets_labels(
    made: Path, world: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = world / "results" / "own.ome.zarr"
    shutil.copytree(made / "images" / "i.ome.zarr", store)
    (world / "results" / f"own.ome.zarr.labels-more.{ending}").symlink_to(world / "outside" / "new")
    before = everything(world)
    assert main(["segment", str(store), "--into-source", "more", "--workers", "1"]) == 3
    assert "is a symbolic link" in capsys.readouterr().err
    assert everything(world) == before


def test_a_lock_is_no_link_anywhere(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a site file, too: what is locked and removed is never somebody else's file."""
    monkeypatch.delenv("CHUNKWISE_SITE")
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", world / "absent.toml")
    (world / "outside" / "out.ome.zarr.partial.lock").symlink_to(world / "read" / "new")
    assert call(made, "fetch", {"--output": "out.ome.zarr"}) == 2
    assert "keeps its lock under that name" in capsys.readouterr().err
    assert list((world / "read").iterdir()) == []


def test_the_run_directory_of_a_store_on_s3(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in the working directory by default; what is refused is refused before any server is asked."""
    with (world / "site.toml").open("a") as file:
        file.write('[roots.bucket]\nurl = "s3://bucket"\naccess = "write"\nendpoint = "http://127.0.0.1:1"\n')
    before = everything(world)
    refused: tuple[tuple[dict[str, str], str], ...] = (
        ({}, "out.ome.zarr.run is under none of this site's roots"),
        ({"--run-dir": f"{world}/jobs"}, "jobs.lock is under none of this site's roots"),
        ({"--run-dir": f"{world}/read/run"}, "which may be read but not written"),
    )
    for more, sentence in refused:
        assert call(made, "fetch", {"--output": "bucket:out.ome.zarr", **more}) == 3
        assert sentence in capsys.readouterr().err
    assert everything(world) == before
    monkeypatch.chdir(world / "jobs" / "7")
    monkeypatch.setattr("chunkwise.storage.remote.TRIES", 1)
    assert call(made, "fetch", {"--output": "bucket:out.ome.zarr"}) != 0
    assert "its server was asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "where", ["run/journal", "run/scratch", "run/cluster", "run/array", "partial/0", "partial/0/c"]
)
def test_a_run_goes_on_over_no_link(
    made: Path, world: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody who may write beside an unfinished run turns a folder of it into a link."""

    def cut(*_: Any) -> None:
        raise ResumableError("The light went out.")

    store = {"--output": f"{world}/results/out.ome.zarr"}
    with monkeypatch.context() as patch:
        patch.setattr(StoreRun, "complete", cut)
        assert call(made, "segment", store) == ResumableError.exit_code
    folder = world / "results" / f"out.ome.zarr.{where}"
    if folder.is_dir():
        shutil.copytree(folder, world / "outside" / "taken")
        shutil.rmtree(folder)
    folder.symlink_to(world / "outside" / "taken")
    before = everything(world)
    capsys.readouterr()
    assert call(made, "segment", store) == 2
    assert "is a symbolic link, which no run makes" in capsys.readouterr().err
    assert everything(world) == before
    folder.unlink()
    for rest in ("run", "partial"):
        shutil.rmtree(world / "results" / f"out.ome.zarr.{rest}")
    assert call(made, "segment", store) == 0
