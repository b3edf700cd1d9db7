"""``chunkwise model``: only what passed its test, and did not change since, is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from chunkwise.cli import main
from chunkwise.models.library import approved_models, find_model
from chunkwise.models.package import read_package
from chunkwise.site import load_site
from made_models import image_store, make_package, noise, predict

SHARED = Path(__file__).parents[3] / "shared" / "models"
OURS = Path(__file__).parents[2] / "models" / "nuclei"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with an empty library, and one root."""
    folder = tmp_path / "library"
    folder.mkdir()
    file = tmp_path / "site.toml"
    file.write_text(f'[roots.all]\npath = "{tmp_path}"\naccess = "write"\n[models]\nlibrary = "{folder}"\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(file))
    return folder


def said(capsys: pytest.CaptureFixture[str], words: list[str], code: int) -> str:
    capsys.readouterr()
    assert main(words) == code
    found = capsys.readouterr()
    return found.out if code == 0 else found.err


def test_a_model_comes_is_run_and_goes(library: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    out = said(capsys, ["model", "add", str(tiny), "--id", "cells"], 0)
    assert "cells is approved" in out
    assert "steps of 2x2 (according to its graph)" in out
    record = json.loads((library / "cells.chunkwise.json").read_text())
    assert record["sha256"] == read_package(str(tiny)).sha256
    assert record["tested"]["status"] == "passed"
    assert record["about"]["license"] == "CC0-1.0"
    table = tmp_path / "models.loc"
    for _ in range(2):
        assert "nuclei -> foreground, boundary" in said(capsys, ["model", "list", "--loc", str(table)], 0)
    shown = "Tiny model (yx, voxels of 0.5 micrometer x 0.5 micrometer): Random layers, for tests. Maps: "
    assert f"cells\t{shown}" in table.read_text()
    assert "passed (onnx)" in said(capsys, ["model", "test", "cells"], 0)
    store = image_store(tmp_path, noise((40, 40)), "yx")
    predict(store, "cells", tmp_path / "maps.ome.zarr")
    # A path is for a person's own shell.
    words = ["predict", str(store), "--model", str(tiny), "--output", str(tmp_path / "more.ome.zarr")]
    assert "only approved models" in said(capsys, words, 3)
    assert "already" in said(capsys, ["model", "add", str(tiny), "--id", "cells"], 2)
    said(capsys, ["model", "remove", "cells"], 0)
    assert list(library.iterdir()) == []
    assert "no model 'cells'" in said(capsys, ["model", "remove", "cells"], 2)


def test_a_zip_is_the_same_model(library: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tiny)
    assert main(["model", "add", archive]) == 0
    model = find_model("packed", load_site())
    assert model.path == str(library / "packed")
    assert model.sha256 == read_package(str(tiny)).sha256
    store = image_store(tmp_path, noise((40, 40)), "yx")
    zipped = predict(store, "packed", tmp_path / "zipped.ome.zarr")
    assert "neither a folder nor a zip" in said(capsys, ["model", "add", str(store / "zarr.json"), "--id", "x"], 2)
    assert main(["model", "add", str(tiny)]) == 0
    assert (predict(store, "tiny", tmp_path / "folder.ome.zarr") == zipped).all()


def test_changed_or_never_approved(library: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    store = image_store(tmp_path, noise((40, 40)), "yx")
    words = ["predict", str(store), "--model", "cells", "--output", str(tmp_path / "maps.ome.zarr")]
    shutil.copytree(tiny, library / "cells")
    assert "not approved" in said(capsys, words, 3)
    shutil.rmtree(library / "cells")
    assert main(["model", "add", str(tiny), "--id", "cells"]) == 0
    with (library / "cells" / "README.md").open("a") as file:
        file.write("more\n")
    assert "not the ones that were approved" in said(capsys, words, 3)
    assert "cells" not in [model.id for model in approved_models(load_site())]
    (library / "cells.chunkwise.json").write_text("{")
    assert "damaged" in said(capsys, words, 2)


def test_a_model_that_fails_its_test_stays_out(library: Path, tmp_path: Path, capsys: Any) -> None:
    bad = make_package(tmp_path / "bad", fails=True)
    assert "fails its own test" in said(capsys, ["model", "add", str(bad)], 2)
    assert list(library.iterdir()) == []


def test_a_description_that_is_not_valid(library: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(tiny, bad)
    content = yaml.safe_load((bad / "bioimageio.yaml").read_text())
    del content["outputs"]
    (bad / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    assert "not valid at outputs" in said(capsys, ["model", "add", str(bad)], 2)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("source", "../weights.onnx", "are outside the package (../weights.onnx)"),
        ("source", "x/../../weights.onnx", "are outside the package"),
        ("source", "ABSOLUTE", "are outside the package"),
        ("source", "nowhere.onnx", "nowhere.onnx cannot be read: No such file"),
        ("source", "README.md", "The ONNX weights of Tiny model cannot be read"),
        ("sha256", "0" * 64, "do not have the sha256"),
    ],
)
def test_weights_that_are_not_those_of_the_package(
    library: Path, tiny: Path, tmp_path: Path, monkeypatch: Any, capsys: Any, key: str, value: str, words: str
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(tiny, bad)
    shutil.copy(tiny / "weights.onnx", tmp_path)
    content = yaml.safe_load((bad / "bioimageio.yaml").read_text())
    content["weights"]["onnx"][key] = value.replace("ABSOLUTE", str(tmp_path / "weights.onnx"))
    (bad / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    refused = said(capsys, ["model", "add", str(bad)], 2)
    assert ".partial" not in refused
    assert list(library.iterdir()) == []
    if "outside" in words:
        assert f"weights of {bad} are outside" in refused
    monkeypatch.delenv("CHUNKWISE_SITE")
    store = image_store(tmp_path, noise((40, 40)), "yx")
    assert words in said(capsys, ["predict", str(store), "--model", str(bad), "--output", str(tmp_path / "o.zarr")], 2)
    assert not (tmp_path / "o.zarr").exists()


def test_code_only_where_the_site_says_so(library: Path, tiny: Path, tmp_path: Path, capsys: Any) -> None:
    bad = tmp_path / "code"
    shutil.copytree(tiny, bad)
    (bad / "net.py").write_text("raise SystemExit('code of the package was run')\n")
    content = yaml.safe_load((bad / "bioimageio.yaml").read_text())
    content["weights"] = {
        "pytorch_state_dict": {
            "source": "weights.onnx",
            "architecture": {"source": "net.py", "callable": "Net", "kwargs": {}},
            "pytorch_version": "2.5",
        }
    }
    (bad / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    assert "code = true" in said(capsys, ["model", "add", str(bad)], 3)


def test_a_package_of_format_0_4(library: Path, tiny: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny, old)
    content = {
        "format_version": "0.4.10",
        "type": "model",
        "name": "Old model",
        "description": "The same weights, described as of 2022.",
        "authors": [{"name": "Nobody"}],
        "cite": [{"text": "nothing", "doi": "10.5281/zenodo.0000000"}],
        "license": "CC0-1.0",
        "tags": [],
        "documentation": "README.md",
        "timestamp": "2022-01-01T00:00:00",
        "inputs": [
            {
                "name": "raw",
                "axes": "bcyx",
                "data_type": "float32",
                "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 4, 4]},
                "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "yx"}}],
            }
        ],
        "outputs": [
            {
                "name": "maps",
                "axes": "bcyx",
                "data_type": "float32",
                "shape": {"reference_tensor": "raw", "scale": [1, 2, 1, 1], "offset": [0, 0, 0, 0]},
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "test_inputs": ["input.npy"],
        "test_outputs": ["output.npy"],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": 17}},
    }
    (old / "bioimageio.yaml").unlink()
    (old / "rdf.yaml").write_text(yaml.safe_dump(content))
    assert main(["model", "add", str(old)]) == 0
    assert find_model("old", load_site()).about["format_version"].startswith("0.4")
    store = image_store(tmp_path, noise((50, 60)), "yx")
    new = predict_without_site(store, tiny, tmp_path / "new.ome.zarr")
    assert (predict(store, "old", tmp_path / "old.ome.zarr") == new).all()


def predict_without_site(store: Path, model: Path, output: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CHUNKWISE_SITE")
        return predict(store, model, output)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/models is not here")
def test_real_packages(library: Path, capsys: Any) -> None:
    assert main(["model", "add", str(SHARED / "unet2d_nuclei_broad")]) == 0
    reach = find_model("unet2d_nuclei_broad", load_site()).reach
    assert reach.stride == (8, 8)
    assert max(reach.before + reach.after) >= 54  # the furthest that a gradient was seen to come from
    capsys.readouterr()
    pytest.importorskip("torch", reason="PyTorch is not installed, which the package with TorchScript weights needs")
    assert main(["model", "add", str(SHARED / "unet2d_multi_tensor")]) == 0


@pytest.mark.skipif(not OURS.is_dir(), reason="models/nuclei is not here")
def test_ours_is_there_without_any_site(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    assert "nuclei: passed" in said(capsys, ["model", "test", "nuclei"], 0)
