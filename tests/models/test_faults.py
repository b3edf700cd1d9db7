"""Bad input, one sentence each; broken code that the tests have to catch; runs that are killed."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import made_stores
from chunkwise.cli import main
from chunkwise.models import predict as prediction
from chunkwise.models.package import read_package
from chunkwise.models.session import Session
from made_models import ZERO_MEAN, image_store, make_package, noise, percentiles, predict, whole_image


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return image_store(tmp_path, noise((64, 96)), "yx")


def difference(store: Path, tiny: Path, tmp_path: Path) -> float:
    """How far the maps are from those of the whole image."""
    maps = predict(store, tiny, tmp_path / "maps.ome.zarr", "--block", "16,16")
    return float(np.abs(maps - whole_image(tiny, noise((64, 96))[None, None])[0]).max())


def test_mutant_statistics_of_each_tile(store: Path, tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run = Session.run

    def of_the_tile(self: Session, inputs: Any, values: Any) -> Any:
        own = {"mean": inputs[0].mean(axis=(2, 3)), "std": inputs[0].std(axis=(2, 3))}
        return run(self, inputs, {measure.key: own[measure.kind] for measure in self.measures})

    monkeypatch.setattr(Session, "run", of_the_tile)
    assert difference(store, tiny, tmp_path) > 0.01


def test_mutant_halo_too_small(store: Path, tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    measured = prediction.halo_of
    # The bound is above what this network needs by less than two strides.
    monkeypatch.setattr(prediction, "halo_of", lambda *known: tuple(halo - 4 for halo in measured(*known)))
    assert difference(store, tiny, tmp_path) > 1e-6


def test_mutant_tiles_beside_the_stride(store: Path, tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    spans = prediction.Axis.spans

    def shifted(self: Any, start: int, stop: int) -> Any:
        for begin, first, last in spans(self, start, stop):
            moved = begin + 1 if 0 < begin < self.extended - self.tile else begin
            yield moved, first, last

    monkeypatch.setattr(prediction.Axis, "spans", shifted)
    assert difference(store, tiny, tmp_path) > 1e-6


def test_mutant_edge_mirrored_where_the_network_pads(store: Path, tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    fit = prediction.fit_axis
    monkeypatch.setattr(
        prediction,
        "fit_axis",
        lambda *known: dataclasses.replace(fit(*known), extended=fit(*known).extended + 16),
    )
    assert difference(store, tiny, tmp_path) > 1e-6


def sentence(capsys: pytest.CaptureFixture[str], words: list[str], code: int = 2) -> str:
    capsys.readouterr()
    assert main(words) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert "did not foresee" not in lines[0]
    return lines[0]


def words(store: Path, model: Path | str, tmp_path: Path, *more: str) -> list[str]:
    return ["predict", str(store), "--model", str(model), "--output", str(tmp_path / "out.ome.zarr"), *more]


def test_an_unknown_model(store: Path, tmp_path: Path, capsys: Any) -> None:
    assert "no model 'other'" in sentence(capsys, words(store, "other", tmp_path))


def test_no_package(store: Path, tmp_path: Path, capsys: Any) -> None:
    assert "not a bioimage.io package" in sentence(capsys, words(store, store, tmp_path))


def test_too_many_channels(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    store = image_store(tmp_path, noise((2, 40, 40)), "cyx")
    said = sentence(capsys, words(store, tiny, tmp_path))
    assert "takes 1 channel (nuclei)" in said
    assert "--channel" in said
    assert "given 2 times" in sentence(capsys, words(store, tiny, tmp_path, "--channel", "0", "--channel", "1"))
    assert "no channel '7'" in sentence(capsys, words(store, tiny, tmp_path, "--channel", "7"))


def test_an_axis_is_missing(store: Path, tmp_path: Path, capsys: Any) -> None:
    model = make_package(tmp_path / "volumes", ndim=3, least=8)
    assert "has no z" in sentence(capsys, words(store, model, tmp_path))


def test_an_unknown_output(store: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    assert "no output 'flows'" in sentence(capsys, words(store, tiny, tmp_path, "--map", "flows"))


def test_voxels_that_are_no_measurements(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    store = image_store(tmp_path, noise((40, 40)) > 500, "yx")
    assert "models take numbers" in sentence(capsys, words(store, tiny, tmp_path))
    assert not (tmp_path / "out.ome.zarr.run").exists()


def test_a_network_that_does_not_run(store: Path, tmp_path: Path, capsys: Any) -> None:
    # The description promises another number of channels than the weights take.
    model = make_package(tmp_path / "model", fails=True)
    other = make_package(tmp_path / "other", inputs=("a", "b"), fails=True)
    shutil.copyfile(other / "weights.onnx", model / "weights.onnx")
    assert "does not run on this image" in sentence(capsys, words(store, model, tmp_path))
    assert not (tmp_path / "out.ome.zarr.run").exists()


def test_voxels_that_are_no_numbers(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    voxels = noise((40, 40), "float32")
    voxels[3, 4] = np.nan
    store = image_store(tmp_path, voxels, "yx")
    assert "not finite" in sentence(capsys, words(store, tiny, tmp_path), code=4)


@pytest.mark.parametrize("before", [ZERO_MEAN, percentiles(1, 99)])
def test_a_constant_image(tmp_path: Path, capsys: Any, before: Any) -> None:
    model = make_package(tmp_path / "model", before=before)
    voxels = np.full((40, 48), 7, np.uint16)
    maps = predict(image_store(tmp_path, voxels, "yx"), model, tmp_path / "maps.ome.zarr")
    assert "constant" in capsys.readouterr().err
    np.testing.assert_array_equal(maps, whole_image(model, voxels[None, None])[0])


def test_a_format_without_a_backend(store: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    model = tmp_path / "other"
    shutil.copytree(tiny, model)
    content = yaml.safe_load((model / "bioimageio.yaml").read_text())
    content["weights"] = {"torchscript": {"source": "weights.onnx", "pytorch_version": "2.5"}}
    (model / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    try:
        import torch  # noqa: F401
    except ImportError:
        assert "chunkwise[torch]" in sentence(capsys, words(store, model, tmp_path))
    content["weights"] = {"keras_hdf5": {"source": "weights.onnx", "tensorflow_version": "2.5"}}
    (model / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    assert "comes only as keras_hdf5" in sentence(capsys, words(store, model, tmp_path))


def test_files_of_the_web(store: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    model = tmp_path / "remote"
    shutil.copytree(tiny, model)
    content = yaml.safe_load((model / "bioimageio.yaml").read_text())
    content["weights"]["onnx"]["source"] = "https://example.com/weights.onnx"
    (model / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    said = sentence(capsys, words(store, model, tmp_path), code=3)
    assert "bioimageio package" in said


def test_a_voxel_far_from_the_models(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    entry = made_stores.multiscale("yx", levels=3)
    store = made_stores.write(tmp_path / "fine.ome.zarr", "0.5", "yx", (80, 80), "uint16", entry=entry)
    change = {0: 0.125, 1: 0.25, 2: 0.5}

    def finer(content: Any) -> None:
        for level, dataset in enumerate(content["attributes"]["ome"]["multiscales"][0]["datasets"]):
            dataset["coordinateTransformations"][0]["scale"] = [change[level]] * 2

    made_stores.change_json(store / "zarr.json", finer)
    predict(store, tiny, tmp_path / "maps.ome.zarr")
    assert "--level 2" in capsys.readouterr().err


def test_a_network_that_looks_everywhere(store: Path, tmp_path: Path, capsys: Any) -> None:
    model = make_package(tmp_path / "everywhere", everywhere=True)
    predict(store, model, tmp_path / "maps.ome.zarr", "--block", "16,16")
    assert "GlobalAveragePool" in capsys.readouterr().err


def test_a_run_that_is_killed_goes_on(tiny: Path, tmp_path: Path) -> None:
    store = image_store(tmp_path, noise((300, 300)), "yx")
    options = ["--shard", "32,32", "--block", "32,32", "--workers", "1"]
    predict(store, tiny, tmp_path / "whole.ome.zarr", *options)
    output = tmp_path / "killed.ome.zarr"
    command = ["predict", str(store), "--model", str(tiny), "--output", str(output), *options]
    process = subprocess.Popen([sys.executable, "-m", "chunkwise.cli", *command], stderr=subprocess.DEVNULL)
    journal = tmp_path / "killed.ome.zarr.run" / "journal"

    def lines() -> int:
        return sum(file.read_bytes().count(b'"pass":"predict"') for file in journal.glob("*.jsonl"))

    while lines() < 5 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not output.exists(), "the run was over before it could be killed"
    before = lines()
    assert main(command) == 0
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")
    assert lines() - before < 100, "nothing of the killed run was used"


def test_a_gpu_that_is_too_small_or_goes_away(tiny: Path) -> None:
    """No GPU is here: its errors are played, what follows them is real."""
    session = Session(read_package(str(tiny)), "onnx", 1, "cpu")
    real, sizes = session._forward, []

    def small(arrays: Any) -> Any:
        if session.device == "gpu":
            sizes.append(len(arrays[0]))
            if len(arrays[0]) > 2:
                raise RuntimeError("CUDA out of memory")
        return real(arrays)

    images = np.random.default_rng(0).normal(size=(8, 1, 16, 16)).astype(np.float32)
    session.device, session._forward = "gpu", small
    found = session._guarded([images])[0]
    np.testing.assert_array_equal(found, real([images])[0])
    assert sizes == [8, 4, 2, 2, 4, 2, 2]
    assert session.device == "gpu"

    def lost(arrays: Any) -> Any:
        raise RuntimeError("CUDA error: device lost")

    session._forward = lost
    np.testing.assert_array_equal(session._guarded([images])[0], real([images])[0])
    assert session.device == "cpu"
