"""``--plan`` of every operation: what a run would take, decided as the run decides it, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_models
from chunkwise.cli import main
from chunkwise.operations import families
from outputs_world import plain_method

SHAPE = (40, 300, 280)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An image with bright boxes, its labels, a map, and a model."""
    folder = tmp_path_factory.mktemp("inputs")
    voxels = np.zeros(SHAPE, np.uint16)
    labels = np.zeros(SHAPE, np.uint32)
    for number, at in enumerate(range(10, 250, 40), 1):
        box = np.s_[5:25, at : at + 20, at : at + 20]
        voxels[box], labels[box] = 1000 + number, number
    stores = {"image": voxels, "labels": labels, "maps": (voxels > 0).astype(np.float32), "plane": voxels[10]}
    for name, data in stores.items():
        made_models.image_store(folder, data, "zyx"[3 - data.ndim :], f"{name}.ome.zarr")
    model = made_models.make_package(folder / "model")
    (folder / "points.csv").write_text("x,y,z,radius\n100,50,9,12\n101,51,10,0\n")
    others = {"model": str(model), "points": str(folder / "points.csv")}
    return {name: str(folder / f"{name}.ome.zarr") for name in stores} | others


CALLS = {
    "segment": "segment {image} --output {out}.ome.zarr --block 20,100,100",
    "segment --split": "segment {image} --split distance --output {out}.ome.zarr",
    "objects": "objects {maps} --method threshold --channels foreground=0 --output {out}.ome.zarr",
    "fetch": "fetch {image} --output {out}.ome.zarr --region 0:40,0:300,0:140",
    "fetch zip": "fetch {image} --output {out}.ozx",
    "convert": "convert {image} --output {out}.ome.zarr",
    "fetch tiff": "fetch {image} --output {out}.ome.tiff",
    "convert tiff": "convert {image} --output {out}.tiff",
    "convert png": "convert {plane} --output {out}.png",
    "overlay": "overlay {image} --labels {labels} --output {out}.ome.zarr",
    "points": "points {image} --points {points} --output {out}.ome.zarr --block 20,100,100",
    "math": "math {image} --b {image} --expression a+b --output {out}.ome.zarr",
    "spots": "spots {image} --method peaks --output {out}.tsv --block 20,100,100",
    "measure": "measure --labels {labels} --image {image} --output {out}.tsv --block 20,100,100",
    "compare": "compare {labels} {labels} --output {out}.json",
    "predict": "predict {plane} --model {model} --output {out}.ome.zarr",
}
ONE_FILE = ("fetch tiff", "convert tiff", "convert png")
CALLS |= {  # of kernels, the first method that works without a word more
    family: f"{family} {{image}} --method {plain_method(family)} --output {{out}}.ome.zarr"
    for family in families()
    if family not in CALLS
}


def planned(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--plan", "json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


@pytest.mark.parametrize("call", CALLS)
def test_the_plan_is_what_the_run_does(
    call: str, made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = CALLS[call].format(**made, out=tmp_path / "out").split()
    content = planned(words, capsys)
    assert list(tmp_path.iterdir()) == []
    record = tmp_path / "record.json"
    assert main([*words, "--record", str(record)]) == 0
    done = json.loads(record.read_text())
    if call not in ONE_FILE:  # no blocks
        assert content["blocks"] == done["plan"]["blocks"]
        assert content["block"] == done["plan"]["block"]
        assert content["shape"] == done["plan"]["shape"]
        assert len(done["workers"]) <= content["workers"]
    assert 0 < content["memory_bytes_a_worker"] <= content["memory_bytes_allowed"]
    store = tmp_path / "out.ome.zarr"
    if store.is_dir():
        files = [path for path in store.rglob("*") if path.is_file()]
        assert len(files) <= content["files"] <= len(files) + content["blocks"]  # empty shards are not written
        levels = [zarr.open_array(path.parent, mode="r") for path in store.glob("*/zarr.json")]
        assert content["bytes_written"] == sum(level.nbytes for level in levels)
    elif call in ONE_FILE:
        assert content["bytes_written"] == int(np.prod(SHAPE[call == "convert png" :])) * 2


def test_bytes_and_hours_follow_from_the_image(
    made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = CALLS["measure"].format(**made, out=tmp_path / "out").split()
    content = planned(words, capsys)
    voxels = int(np.prod(SHAPE))
    assert content["bytes_read"] == voxels * (4 + 2)
    assert content["bytes_written"] is None
    rate = content["cpu_seconds_a_million_voxels"]
    assert content["cpu_hours"] == pytest.approx(rate * 2 * voxels / 1e6 / 3600, rel=1e-2)


def test_what_was_not_measured_is_not_invented(
    made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = CALLS["predict"].format(**made, out=tmp_path / "out").split()
    assert planned(words, capsys)["cpu_hours"] is None
    assert main([*words, "--plan"]) == 0
    assert "CPU-hours  not known: nothing was measured for this\n" in capsys.readouterr().out


def test_people_read_text(made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = CALLS["segment"].format(**made, out=tmp_path / "out").split()
    assert main([*words, "--workers", "1", "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["blocks", "read", "written", "memory", "CPU-hours"]
    assert lines[0].endswith(" voxels, by 1 worker")


@pytest.mark.parametrize(
    "more", [["--memory", "300MB"], ["--memory", "100MB"], ["--block", "3,3"], ["--channel", "5"], ["--workers", "0"]]
)
def test_it_refuses_what_the_run_refuses(
    more: list[str], made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*CALLS["fetch"].format(**made, out=tmp_path / "out").split(), *more]
    codes = [main([*words, "--plan"]), main(words)]
    said = capsys.readouterr().err.splitlines()
    assert codes == [2, 2]
    assert said[0] == said[1]
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_refused(
    made: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = CALLS["segment"].format(**made, out=tmp_path / "out").split()
    (tmp_path / "out.ome.zarr").mkdir()
    assert main([*words, "--plan"]) == 2
    assert "exists" in capsys.readouterr().err


def test_the_workspace_stays_as_it_is(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    site = tmp_path / "site.toml"
    site.write_text(
        f'[roots.inputs]\npath = "{Path(made["image"]).parent}"\n'
        f'[roots.results]\npath = "{workspace}"\naccess = "write"\n[workspace]\nroot = "results"\nlayout = "flat"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    assert main(["segment", made["image"], "--to-workspace", "labels", "--plan"]) == 0
    assert list(workspace.iterdir()) == []
