"""Sentences that name what is wrong, where another one would be nearer at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import made_stores
from chunkwise.cli import main


def complaint(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("image")
def test_a_worker_that_is_too_small_is_told_a_size_that_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", "i.ome.zarr", "--output", "o.ome.zarr", "--workers", "1"]
    said = complaint(capsys, *words, "--memory", "100")
    assert "each 0.1 KiB, and a worker may take 0.1 KiB; give --memory of 1MiB or more" in said
    said = complaint(capsys, *words, "--memory", "20kB")
    assert "for blocks of" in said
    assert "may use 19.5 KiB" in said
    assert " 0 MiB" not in said
    assert main([*words, "--memory", "1GiB"]) == 0


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("option", ["--to-workspace", "--into-source", "--output", "--run-dir", "--record"])
def test_an_option_without_a_value_is_named(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = [] if option in ("--to-workspace", "--into-source", "--output") else ["--output", "o.ome.zarr"]
    assert f"The value of {option} is empty" in complaint(capsys, "segment", "i.ome.zarr", *output, option, "")


@pytest.mark.usefixtures("image")
def test_an_image_without_a_name_is_not_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that was never set: the table would have no intensities."""
    words = ["measure", "--labels", "i.ome.zarr", "--image", "", "--output", "o.tsv"]
    assert "The location is empty" in complaint(capsys, *words)
    assert not Path("o.tsv").exists()


@pytest.mark.parametrize("words", [["inspect", "~/x.zarr"], ["fetch", "i.ome.zarr", "--output", "~/o.ome.zarr"],
                                   ["fetch", "i.ome.zarr", "--output=~/o.ome.tif"],
                                   ["open", "i.ome.zarr", "--output", "~/o.json"], ["verify", "~/r.json"],
                                   ["measure", "--labels", "~/l.zarr", "--output", "o.tsv"],
                                   ["crate", "build", "--from", "~/r.json", "--output", "o.zip"],
                                   ["crate", "validate", "~/c.zip"], ["crate", "report", "~/c.zip", "--html", "o.html"],
                                   ["segment", "i.ome.zarr", "--output", "o.ome.zarr", "--run-dir", "~/r"],
                                   ["predict", "i.ome.zarr", "--model", "~/m", "--output", "o.ome.zarr"]])  # fmt: skip
def test_a_quoted_tilde_is_told_from_a_name(image: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, *words)
    assert "begins with '~', which the shell did not replace with your home folder" in said
    assert not (image.parent / "~").exists()


def test_a_folder_that_is_called_tilde(image: Path) -> None:
    (image.parent / "~").mkdir()
    image.rename(image.parent / "~" / "i.ome.zarr")
    assert main(["fetch", "~/i.ome.zarr", "--output", "~/o.ome.zarr"]) == 0
    assert (image.parent / "~" / "o.ome.zarr").exists()


@pytest.mark.parametrize(("name", "words"), [("é.ome.zarr", "LC_ALL=C.UTF-8"), ("\udcff.ome.zarr", "rename it")])
def test_a_locale_that_cannot_read_a_name_is_told_from_a_name_that_none_can(
    tmp_path: Path, name: str, words: str
) -> None:
    made_stores.write(tmp_path / "i.ome.zarr").rename(tmp_path / name)
    environment = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "chunkwise.cli", "inspect", os.fsencode(name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_terminal_without_letters_gets_the_rest(tmp_path: Path) -> None:
    store = made_stores.write(tmp_path / "é.ome.zarr")
    command = [sys.executable, "-m", "chunkwise.cli", "inspect", str(store)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\\xe9.ome.zarr: y 16, x 16" in done.stdout


def test_a_path_out_of_a_store_is_told_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = made_stores.multiscale()
    store = made_stores.write(tmp_path / "i.ome.zarr", entry=entry)

    def change(content: dict) -> None:  # type: ignore[type-arg]
        content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../other/0"

    made_stores.change_json(store / "zarr.json", change)
    said = complaint(capsys, "inspect", str(store), code=3)
    assert f"{store} names '../other/0', which is not inside it; a store may name only what it contains" in said
