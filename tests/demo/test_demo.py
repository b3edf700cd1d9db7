"""The demo runs, what it claims is so, and it would say so if it were not."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(DEMO))
    return importlib.import_module("demo")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo, run as 'make demo' runs it; the folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "demo-output"
    call = [sys.executable, str(DEMO / "demo.py"), str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return folder, done.stdout


def test_every_step_has_its_line_and_time(made: tuple[Path, str]) -> None:
    for step in ("image", "convert", "inspect", "segment", "measure", "export", "crate", "validate", "check", "page"):
        assert re.search(rf"^  {step} .* \d+\.\d s$", made[1], re.MULTILINE), step
    assert "Labels and table equal the whole-image scikit-image result." in made[1]
    assert "\x1b" not in made[1]  # no colours where nobody looks


def test_everything_that_the_page_names_is_there(made: tuple[Path, str]) -> None:
    text = (made[0] / "index.html").read_text()
    named = set(re.findall(r'(?:href|src)="([^"#]+)"', text))
    assert {"objects.tsv", "report.html", "crate/ro-crate-preview.html", "pictures/outlines.png"} <= named
    assert not [name for name in named if not (made[0] / name).is_file()]
    assert not re.search(r"https?://", text)
    for name in re.findall(r"^  \S*/(\S+) {2,}\S", made[1], re.MULTILINE):
        assert (made[0] / name).exists(), name


def test_objects_do_cross_borders(made: tuple[Path, str]) -> None:
    crossing, objects = map(int, re.search(r"(\d+) of (\d+) objects cross", made[1]).groups())  # type: ignore[union-attr]
    assert 20 < crossing < objects


def test_its_crate_is_done_again_with_the_same_bytes(
    made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made[0])
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    assert main(["crate", "rerun", "crate.zip", "--output", "../again"]) == 0
    assert "all of 4 outputs the same" in capsys.readouterr().out
    tables = [(made[0] / name).read_bytes() for name in ("objects.tsv", "../again/measure-3/output.tsv")]
    assert tables[0] == tables[1]


def _facts(demo: Any) -> Any:
    return demo.page.Facts(parameters=demo.PARAMETERS, block=demo.BLOCK, steps=[], again="")


def test_mutant_one_number_of_the_table(demo: Any, made: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made[0], folder)
    facts = _facts(demo)
    assert demo.verify(facts, folder).startswith("equal")
    lines = (folder / "objects.tsv").read_text().split("\n")
    cells = lines[5].split("\t")
    place = lines[0].split("\t").index("intensity_mean-DAB")
    cells[place] = repr(float(cells[place]) * 1.00001)
    (folder / "objects.tsv").write_text("\n".join([*lines[:5], "\t".join(cells), *lines[6:]]))
    assert demo.verify(facts, folder) == "labels equal, table DIFFERENT"
    assert not facts.equal


def test_mutant_one_pixel_of_the_labels(demo: Any, made: tuple[Path, str], tmp_path: Path) -> None:
    import zarr

    folder = tmp_path / "copy"
    shutil.copytree(made[0], folder)
    array = zarr.open_group(str(folder / "nuclei.ome.zarr"), mode="r+")["0"]
    array[0, 300, 300] = array[0, 300, 300] + 1
    facts = _facts(demo)
    assert demo.verify(facts, folder).startswith("labels DIFFERENT")
    assert not facts.equal


def test_mutant_one_pixel_of_the_exported_labels(demo: Any, made: tuple[Path, str], tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "copy"
    shutil.copytree(made[0], folder)
    labels = tifffile.imread(folder / "nuclei.ome.tiff")
    labels[300, 300] += 1
    tifffile.imwrite(folder / "nuclei.ome.tiff", labels)
    facts = _facts(demo)
    assert demo.verify(facts, folder).startswith("labels DIFFERENT")
    assert not facts.equal


def test_only_its_own_folder_is_replaced(demo: Any, tmp_path: Path) -> None:
    folder = tmp_path / "demo-output"
    demo.replace_folder(folder)
    (folder / "old").touch()
    demo.replace_folder(folder)
    assert [path.name for path in folder.iterdir()] == [demo.MARK]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    link = tmp_path / "link"
    link.symlink_to(folder)
    for place in (mine, mine / "thesis.txt", link):
        with pytest.raises(SystemExit, match="move it away"):
            demo.replace_folder(place)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_a_command_that_fails_says_its_sentence(demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.Terminal(tmp_path).command("open", ["open", "nothing", "--output", "x.json"], str)
    assert stopped.value.code != 0
    assert "chunkwise open: error:" in capsys.readouterr().out
