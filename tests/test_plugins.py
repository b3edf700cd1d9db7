"""Operations that other packages bring: used like chunkwise's own, loaded when named, on a site only those it lists."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import zarr

import chunkwise as cw
import made_stores
from chunkwise.cli import main

MODULE = """\
from scipy.ndimage import laplace
from chunkwise.operations._part import PART
from chunkwise.operations.model import Image, Operation, Parameter

def edges(image, *, size):
    return laplace(image) * size

OPERATION = Operation(
    name="edges", family="filter", title="Edges", does="finds edges", part=PART,
    parameters={"size": Parameter(int, 2, "Gain", "what edges are multiplied by", least=1, most=9)},
    takes={"image": Image("iuf")}, gives=Image(), kernel=edges, reach=lambda size: 1,
    equals="scipy.ndimage.laplace(image) * size", exact={"iuf": "bit"},
)
"""
WORDS = ["filter", "i.ome.zarr", "--method", "edges", "--output", "e.ome.zarr", "--block", "16,16", "--workers", "1"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module of a package that is installed as pip leaves it, and an image to use it on."""
    package, about = tmp_path / "site" / "lab_filters", tmp_path / "site" / "lab_filters-1.2.dist-info"
    package.mkdir(parents=True)
    about.mkdir()
    (package / "__init__.py").touch()
    (package / "edges.py").write_text(MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-filters\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[chunkwise.operations]\nfilter.edges = lab_filters.edges:OPERATION\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site")
    for name in ("lab_filters", "lab_filters.edges"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    array: Any = zarr.open_array(made_stores.write(Path("i.ome.zarr"), "0.5", "yx", (40, 50)) / "0", mode="r+")
    array[...] = np.random.default_rng(1).integers(0, 200, (40, 50))
    return package / "edges.py"


def origin(module: Path) -> str:
    return f"lab-filters==1.2 sha256={hashlib.sha256(module.read_bytes()).hexdigest()}"


def site(monkeypatch: pytest.MonkeyPatch, *listed: str) -> None:
    """A site whose users may read and write where the test is."""
    root = f'[roots.here]\npath = "{Path.cwd()}"\naccess = "write"\n'
    Path("site.toml").write_text(f"{root}[plugins]\noperations = {json.dumps(listed)}\n")
    monkeypatch.setenv("CHUNKWISE_SITE", str(Path("site.toml").resolve()))


def refusal(capsys: pytest.CaptureFixture[str], code: int) -> str:
    capsys.readouterr()
    assert main(WORDS) == code
    out, said = capsys.readouterr()
    assert out == ""
    assert said.count("\n") == 1
    assert not Path("e.ome.zarr").exists()
    return said.removeprefix("chunkwise filter: error: ").rstrip("\n")


@pytest.mark.parametrize("on_site", [False, True])
def test_it_is_used_like_any_other(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], on_site: bool
) -> None:
    if on_site:
        site(monkeypatch, "other==3 sha256=0", origin(module))
    own = ["filter", "i.ome.zarr", "--method", "mean", "--output", "m.ome.zarr", "--workers", "1"]
    assert main(own) == 0
    assert "lab_filters" not in sys.modules
    assert main([*WORDS, "--size", "3", "--record", "r.json"]) == 0
    image, edges = (np.asarray(zarr.open_array(f"{name}.ome.zarr/0", mode="r")[...]) for name in "ie")
    assert np.array_equal(edges, scipy.ndimage.laplace(image) * 3)
    parameters = json.loads(Path("r.json").read_text())["parameters"]
    assert (parameters["method"], parameters["size"], parameters["plugin"]) == ("edges", 3, origin(module))
    again = cw.filter("i.ome.zarr", method="edges", size=3, output="p.ome.zarr", quiet=True)
    assert np.array_equal(again.to_numpy(), edges)
    assert again.record["parameters"]["plugin"] == origin(module)
    # Its --size is its own, with a range of its own.
    assert main([*WORDS, "--size", "11"]) == 2
    assert capsys.readouterr().err.endswith("error: --size 11 has to be a whole number from 1 to 9.\n")
    with pytest.raises(SystemExit):
        main(["filter", "--method", "edges", "--help"])
    shown = capsys.readouterr().out
    assert re.search(r"^  edges +finds edges, as its author says$", shown, re.MULTILINE)
    assert "what edges are multiplied by (default: 2)" in shown


def test_a_site_runs_what_it_lists_only(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = origin(module)
    site(monkeypatch)
    add = f'an administrator who trusts it as it is now puts "{listed}" into operations of [plugins].'
    what, file = "The operation 'filter.edges' of lab-filters==1.2", Path("site.toml").resolve()
    assert refusal(capsys, 3) == f"{what} is not among those that the site file {file} lists; {add}"
    site(monkeypatch, listed)
    module.write_text(MODULE + "print('changed')\n")
    add = add.replace(listed, origin(module))
    assert refusal(capsys, 3) == f"{what} is not the one that the site file {file} lists; {add}"
    assert "lab_filters" not in sys.modules, "what is refused is not run"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('bye')", "cannot be loaded: SystemExit: bye"),
        ("", "cannot be loaded: AttributeError: module 'lab_filters.edges' has no attribute 'OPERATION'"),
        (
            MODULE.replace('name="edges"', 'name="corners"'),
            "is not declared as an operation of that family and name.",
        ),
        (MODULE.replace("kernel=edges, ", ""), "has to be declared with a kernel."),
        (None, "cannot be loaded: there is no module lab_filters.edges."),
    ],
)
def test_what_does_not_work(module: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    module.unlink() if content is None else module.write_text(content)
    assert refusal(capsys, 2) == f"The operation 'filter.edges' of lab-filters==1.2 {said}"


def test_two_packages_bring_the_same(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = module.parents[1] / "more-2.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 2\n")
    (other / "entry_points.txt").write_text("[chunkwise.operations]\nfilter.edges = lab_filters.edges:OPERATION\n")
    said = "Several packages provide the operation 'filter.edges': lab-filters==1.2, more==2; keep one of them."
    assert refusal(capsys, 2) == said
