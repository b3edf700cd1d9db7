"""The door from Python: the same life cycle, policy, resume, record and bytes as the command line."""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import chunkwise as cw
import made_stores
from chunkwise.cli import build_parser, main
from chunkwise.operations import families
from chunkwise.python.calls import _text
from chunkwise.storage.manifest import FILE_NAME
from operations.harness import write_image

DATA = Path(__file__).parents[1] / "test-data"
CELLS = DATA / "cells_tczyx.ome.zarr"
COINS = DATA / "coins_2d.ome.zarr"
SMALL: dict[str, Any] = {"block": (8, 16, 16), "quiet": True}


def top_hat(voxels: Any, size: int) -> Any:
    return ndimage.white_tophat(voxels, size)


def whole(function: Any) -> Any:
    """What a function gives of each whole volume of the cells."""
    return np.stack([[function(volume) for volume in channels] for channels in cw.open(CELLS).to_numpy()])


def test_to_import_it_takes_nothing_along() -> None:
    code = "import sys, chunkwise; dir(chunkwise); assert not {'numpy', 'dask'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_image_says_what_it_is_and_reads_what_is_asked_for() -> None:
    cells = cw.open(CELLS)
    assert (cells.axes, cells.shape, cells.dtype, cells.kind) == ("tczyx", (2, 2, 8, 48, 64), np.uint16, "image")
    assert cells.channels == ("DAPI", "GFP")
    assert cells.scale == (60.0, 1.0, 2.0, 0.5, 0.5)
    voxels, lazy = cells.to_numpy(), cells.to_dask()
    assert voxels.shape == cells.shape
    for index in (np.s_[...], np.s_[1, 0, ::2, 3, ::-3], np.s_[:, 1, 5:5], np.s_[-1, :, :, 40:4:-5, 1:], np.s_[:, -2]):
        assert np.array_equal(lazy[index].compute(), voxels[index])
    assert np.array_equal(cells.to_dask(channel=1, time="1:2").compute(), voxels[1:2, 1])
    assert np.array_equal(cells.to_numpy(channel="GFP", time=1), voxels[1, 1])
    assert cw.open(COINS).to_numpy(level=1).shape == cw.open(COINS).levels[1].shape
    assert "<img" in cells._repr_html_()
    assert cw.open(DATA / "coins_2d_labels.ome.zarr").kind == "labels"


def test_what_no_memory_holds_is_not_read(tmp_path: Path) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (64, 64))
    made_stores.change_json(store / "0" / "zarr.json", lambda document: document.update(shape=[2**21, 2**21]))
    with pytest.raises(cw.InputError, match=r"takes \d+ GiB, and this machine has \d+; choose a coarser level"):
        cw.open(store).to_numpy()
    assert cw.open(store).to_dask()[:3, :3].compute().shape == (3, 3)


def test_a_mask_is_true_where_any_byte_stands_for_it(tmp_path: Path) -> None:
    result = cw.apply(lambda voxels: voxels > 100, COINS, reach=0, dtype="bool", output=tmp_path / "mask.ome.zarr")
    mask = result.to_numpy()
    assert mask.dtype == bool
    assert np.array_equal(mask, cw.open(COINS).to_numpy() > 100)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_of_ones_own_gives_the_result_of_the_whole_image(workers: int) -> None:
    result = cw.apply(top_hat, CELLS, reach=4, size=5, workers=workers, **SMALL)
    assert np.array_equal(result.to_numpy(), whole(lambda volume: top_hat(volume, 5)))
    assert result.record["parameters"]["function"].endswith("test_python.top_hat")
    assert len(result.record["parameters"]["function_source"]) == 64
    assert result.record["parameters"]["size"] == 5


def test_mutant_a_reach_one_too_small_shows() -> None:
    result = cw.apply(top_hat, CELLS, reach=3, size=5, workers=1, **SMALL)
    assert not np.array_equal(result.to_numpy(), whole(lambda volume: top_hat(volume, 5)))


def test_planes_and_other_types() -> None:
    def ratio(plane: Any) -> Any:
        assert plane.ndim == 2
        return ndimage.gaussian_filter(plane.astype(np.float32), 1, truncate=2) / 7

    result = cw.apply(ratio, CELLS, reach=(0, 2, 2), dtype="float32", planes=True, workers=1, **SMALL)
    assert np.array_equal(result.to_numpy(), whole(lambda volume: np.stack([ratio(plane) for plane in volume])))


def test_a_script_needs_no_guard_and_an_event_loop_is_no_matter(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, sys\nimport chunkwise as cw\nprint('once')\nADD = 3\n"
        "def mine(voxels):\n    return voxels + voxels.dtype.type(ADD)\n"
        f"cells = cw.open({str(CELLS)!r})\n"
        f"result = cw.apply(mine, cells, reach=0, workers=2, block=(8, 16, 16))\n"
        "assert (result.to_numpy() == cells.to_numpy() + 3).all()\n"
        "async def notebook():\n    return cw.filter(cells, method='mean', workers=2)\n"
        "print(asyncio.run(notebook()).path)\n"
        "assert __file__ == sys.argv[0]\n"
    )
    done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    once, path = done.stdout.split()
    assert once == "once"
    assert not Path(path).exists(), "a temporary result is left"


@pytest.mark.parametrize("family", families())
def test_the_parameters_are_those_of_the_command(family: str) -> None:
    commands = next(a for a in build_parser(family)._actions if isinstance(a, argparse._SubParsersAction))
    options = {action.dest for action in commands.choices[family]._actions} - {"help"}
    function = getattr(cw, family)
    names = set(inspect.signature(function).parameters)
    assert {"no_pyramid" if name == "pyramid" else name for name in names - {"quiet"}} == options
    for name in names:
        assert f"\n{name} : " in function.__doc__
    assert not re.search(r"--[a-z]", function.__doc__)
    assert function.__name__ == family


def test_a_plan_is_what_the_command_says_and_nothing_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "never.ome.zarr"
    plan = cw.filter(COINS, method="median", size=5, output=output, plan=True)
    assert (
        main(["filter", str(COINS), "--method", "median", "--size", "5", "--output", str(output), "--plan", "json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out) == plan
    assert plan["bytes_read"] == 303 * 384
    assert list(tmp_path.iterdir()) == []


def test_every_family_and_results_as_inputs(tmp_path: Path) -> None:
    crate = tmp_path / "all.crate.zip"
    piece = cw.fetch(CELLS, channel=[0], time=slice(0, 1), quiet=True)
    quiet = cw.filter(piece, method="gaussian", sigma=0.5, quiet=True)
    nuclei = cw.segment(quiet, min_size=20, overlay=tmp_path / "look.png", quiet=True)
    table = cw.measure(nuclei, quiet, percentiles=[5, 50], crate=crate, quiet=True)
    assert [record["command"] for record in table.reference.records] == ["fetch", "filter", "segment", "measure"]
    assert nuclei.files == {"overlay": str(tmp_path / "look.png")}
    assert Path(nuclei.files["overlay"]).exists()
    assert crate.exists()
    frame = table.to_pandas()
    assert len(frame) == nuclei.to_numpy().max() == nuclei.record["results"]["objects"][0]
    assert list(frame["label"]) == table.to_arrow()["label"].to_pylist()
    text = cw.measure(nuclei, format="tsv", quiet=True)
    assert text.to_pandas()["num_pixels"].tolist() == frame["num_pixels"].tolist()
    assert cw.compare(nuclei, nuclei, quiet=True).to_dict()["pooled"]["mean_average_precision"] == 1
    sizes = cw.label(nuclei, method="map", table=table, column="num_pixels", quiet=True)
    assert set(np.unique(sizes.to_numpy())) == {0, *frame["num_pixels"]}
    discs = cw.objects(DATA / "discs_maps.ome.zarr", method="threshold", channels="foreground=0", quiet=True)
    assert discs.open().kind == "labels"
    maps = cw.predict(COINS, model="nuclei", region="0:128,0:128", quiet=True)
    assert maps.open().axes == "cyx"
    assert set(cw.list_operations()) == set(families())


def test_the_same_bytes_and_parameters_as_the_command_line(tmp_path: Path) -> None:
    words = ["--channel", "DAPI", "--fill-holes", "--min-size", "20", "--region", "0:8,0:40,4:60", "--time", "0:2"]
    shell, record = tmp_path / "shell.ome.zarr", tmp_path / "shell.json"
    assert main(["segment", str(CELLS), *words, "--output", str(shell), "--record", str(record)]) == 0
    region = (slice(0, 8), (0, 40), (np.int64(4), 60))
    result = cw.segment(
        CELLS, channel=0, fill_holes=True, min_size=np.int32(20), region=region, time=slice(0, 2),
        output=tmp_path / "python.ome.zarr",
    )  # fmt: skip
    assert made_stores.digest(tmp_path / "python.ome.zarr") == made_stores.digest(shell)
    typed = json.loads(record.read_text())["parameters"]
    assert result.record["parameters"] | {"channel": "DAPI"} == typed
    assert (tmp_path / "python.ome.zarr.run" / FILE_NAME).read_bytes() == Path(f"{shell}.run", FILE_NAME).read_bytes()


def stopping(voxels: Any, flag: str) -> Any:
    """Stop at the fourth block of the first run."""
    seen = Path(flag)
    count = int(seen.read_text()) + 1 if seen.exists() else 1
    seen.write_text(str(count))
    if count == 4:
        raise KeyboardInterrupt
    return voxels // 2


def test_a_call_that_stopped_goes_on(tmp_path: Path) -> None:
    flag, output = tmp_path / "flag", tmp_path / "half.ome.zarr"
    call = functools.partial(
        cw.apply, stopping, CELLS, reach=0, flag=str(flag), output=output, shard=(8, 24, 64), block=(8, 24, 64),
        workers=1, quiet=True,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        call()
    assert not output.exists()
    result = call()
    assert int(flag.read_text()) == 4 + 5  # of 8 blocks, 3 were done
    assert result.record["blocks"]["resumed"] == 1
    assert np.array_equal(result.to_numpy(), cw.open(CELLS).to_numpy() // 2)


def test_another_function_does_not_go_on_with_the_run_of_this_one(tmp_path: Path) -> None:
    def make(add: int, fails: bool) -> Any:
        def function(voxels: Any) -> Any:
            if fails:
                raise RuntimeError("not yet")
            return voxels + voxels.dtype.type(add)

        return function

    output = tmp_path / "out.ome.zarr"
    with pytest.raises(cw.ResumableError, match="RuntimeError: not yet"):
        cw.apply(make(1, True), COINS, reach=0, output=output, quiet=True)
    with pytest.raises(cw.InputError, match=r"out\.ome\.zarr"):
        cw.apply(make(2, False), COINS, reach=0, output=output, quiet=True)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("images", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "site.toml").write_text(
        f'[roots.images]\npath = "{DATA}"\n[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    return tmp_path


def test_the_site_decides_what_is_read_and_written(site: Path) -> None:
    other = made_stores.write(site / "other.ome.zarr", "0.5", "yx", (64, 64))
    with pytest.raises(cw.PolicyError, match="is under none of this site's roots"):
        cw.open(other)
    for name in ("output", "record", "overlay", "run_dir"):
        places = {"output": site / "results" / "a.ome.zarr"} | {name: site / "elsewhere"}
        with pytest.raises(cw.PolicyError, match="is under none"):
            cw.segment(COINS, **places)
    with pytest.raises(cw.InputError, match="a result needs a place: give output"):
        cw.segment(COINS)
    result = cw.segment(COINS, output=site / "results" / "a.ome.zarr", quiet=True)
    assert len(cw.measure(result, output=site / "results" / "a.parquet", quiet=True).to_arrow()) > 0
    assert not (site / "elsewhere").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cw.filter(COINS), "missing a required argument: 'method'"),
        (lambda: cw.filter(COINS, method="tophat"), "'filter' has no method 'tophat'; it has dog, frangi, gaussian"),
        (lambda: cw.filter(COINS, method="median", size=4), "size 4 has to be an odd number from 1 to 255"),
        (lambda: cw.filter(COINS, method="median", sise=3), "unexpected keyword argument 'sise'; it takes image, "),
        (lambda: cw.filter(COINS, method="median", sigma=3.0), "sigma is not an option of the method median"),
        (lambda: cw.filter(COINS, method="median", region=7j), "region has to be text, not 7j"),
        (lambda: cw.filter(COINS, method="median", workers=0), "workers 0 has to be a whole number of 1 or more"),
        (lambda: cw.filter(COINS, method="median", memory="much"), "'much' is not a size in bytes"),
        (lambda: cw.filter(COINS, method="median", block=(0, 8)), "block (0, 8) has to be a whole number of 1 or"),
        (lambda: cw.filter(COINS, method="median", output=""), "output has to be a path, not ''"),
        (lambda: cw.filter(COINS, method="median", pyramid="no"), "pyramid no has to be true or false"),
        (lambda: cw.segment(CELLS), "has 2 channels; choose one with channel: 0 (DAPI)"),
        (lambda: cw.segment(COINS, foreground=3), "foreground 3 has to be text"),
        (lambda: cw.segment(COINS, output="a", into_source="b"), "output and into_source are two places"),
        (lambda: cw.segment(np.zeros((3, 3))), "not <class 'numpy.ndarray'>"),
        (lambda: cw.segment(DATA / "nowhere.ome.zarr"), "nowhere.ome.zarr"),
        (lambda: cw.open(CELLS).to_numpy(level=7), "has no level 7"),
        (lambda: cw.open(CELLS).to_dask(channel="RFP"), "has no channel 'RFP'"),
        (lambda: cw.apply(top_hat, COINS), "missing a required argument: 'reach'"),
        (lambda: cw.apply(top_hat, COINS, reach=-1), "reach -1 has to be a whole number of 0 or more"),
        (lambda: cw.apply(top_hat, COINS, reach=(1, 1, 1)), "one for each of the axes yx"),
        (lambda: cw.apply(top_hat, COINS, reach=1, dtype="thing"), "dtype thing is not a type of voxels"),
        (lambda: cw.apply(top_hat, COINS, reach=1, size=[5]), "size=[5] cannot be passed to the function"),
        (lambda: cw.apply(3, COINS, reach=1), "has to be callable, not 3"),
    ],
)
def test_what_makes_no_sense_gets_one_sentence(call: Any, said: str) -> None:
    with pytest.raises(cw.InputError) as caught:
        call()
    assert said in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_kernel_that_gives_something_else_names_the_block() -> None:
    for function in (lambda voxels: voxels[1:], lambda voxels: voxels.astype(float)):
        with pytest.raises(cw.ChunkwiseError, match=r"was declared to give uint8 voxels of the shape .* in the block"):
            cw.apply(function, COINS, reach=0, quiet=True)


def test_what_cannot_be_sent_to_workers_runs_in_one_process() -> None:
    lock = threading.Lock()

    def locked(voxels: Any) -> Any:
        with lock:
            return voxels

    with pytest.raises(cw.InputError, match=r"cannot be sent to other processes .* give workers=1"):
        cw.apply(locked, COINS, reach=0)
    assert np.array_equal(cw.apply(locked, COINS, reach=0, workers=1, quiet=True).to_numpy(), cw.open(COINS).to_numpy())


def test_tables_and_images_are_not_mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = cw.open(DATA / "coins_2d_labels.ome.zarr")
    table = cw.measure(labels, quiet=True)
    with pytest.raises(cw.InputError, match="is a table"):
        table.to_numpy()
    with pytest.raises(cw.InputError, match=r"use to_arrow\(\) or to_pandas\(\)"):
        table.to_dict()
    with pytest.raises(cw.InputError, match="is not a table"):
        cw.fetch(labels, quiet=True).to_arrow()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(cw.InputError, match=r"pandas is not installed; install it, or use to_arrow\(\)"):
        table.to_pandas()


def test_progress_is_shown_unless_it_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    cw.filter(COINS, method="mean", quiet=True)
    assert capsys.readouterr() == ("", "")
    cw.filter(COINS, method="mean")
    assert "write" in capsys.readouterr().err


def test_whole_numbers_are_floats_where_fractions_are_meant(tmp_path: Path) -> None:
    """And not of the voxels' type, in which they would not fit."""
    flat = str(write_image(tmp_path / "flat.ome.zarr", np.full((3, 4), 5, np.uint8), "yx"))
    assert cw.threshold(flat, method="otsu", offset=300, quiet=True).to_numpy().all()
    assert not cw.threshold(flat, method="otsu", offset=-300, quiet=True).to_numpy().any()
    with pytest.raises(cw.InputError, match="has to be a finite number"):
        cw.threshold(flat, method="otsu", offset=10**400)


def test_numbers_become_the_text_of_the_command_line() -> None:
    assert _text("time", slice(3, None)) == "3:"
    assert _text("region", [(0, 4), slice(None, 5), "6:7"]) == "0:4,:5,6:7"
    assert _text("percentiles", [5, 99.5]) == "5,99.5"
    with pytest.raises(cw.InputError):
        _text("time", slice(0, 9, 2))
