"""Names are names: no shell, no option and no page is made of what a file, a channel or a user is called."""

from __future__ import annotations

import argparse
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import build_parser, main, summaries
from slurm_server import Slurm

NASTY = [
    "it's",
    'say "x"',
    "two words ",
    "line\nbreak",
    "tab\tand\rreturn",
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned;b",
    "a && touch pwned",
    "a|tee pwned",
    "> pwned",
    "*?[a]{b,c}",
    "~root",
    "#hash %41 %s {x} ${HOME}",
    "-output=pwned",
    "--output",
    "<script>alert(1)<img src=x onerror=alert(1)>",
    "Zellkerne-Übersicht-細胞核-🔬",
    "e\u0301 and \u00e9",
    "\u202egnp.erces",
    "back\\slash\\n",
    "dot.",
]


def nasty_image(folder: Path, name: str) -> tuple[Path, np.ndarray[Any, Any]]:
    """An image of two objects; store, multiscale and channel are called so."""
    entry = made_stores.multiscale("cyx")
    entry["name"] = name
    channel = {"label": name, "color": "FF0000", "active": True, "window": {"start": 0, "end": 9, "min": 0, "max": 9}}
    store = folder / f"{name}.ome.zarr"
    made_stores.write(store, axes="cyx", shape=(1, 16, 16), entry=entry, extra={"omero": {"channels": [channel]}})
    voxels = np.zeros((1, 16, 16), np.uint16)
    voxels[0, 2:5, 2:5] = voxels[0, 9:13, 8:15] = 9
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    return store, voxels


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    store, _ = nasty_image(folder, name)
    made = f"./{name} labels.ome.zarr"
    assert main(["open", f"./{store.name}", "--output", "image.json"]) == 0
    segment = ["segment", "image.json", "--sigma", "0", "--threshold", "5", "--workers", "1", f"--channel={name}"]
    assert main([*segment, "--output", made, "--reference", "l.json", "--crate", f"./{name}.zip"]) == 0
    labels: Any = zarr.open_array(folder / f"{name} labels.ome.zarr" / "0", mode="r")
    assert np.bincount(labels[:].ravel()).tolist() == [256 - 9 - 28, 9, 28]
    measure = ["measure", "--labels", "l.json", "--image", "image.json", "--workers", "1"]
    assert main([*measure, f"--output=./{name}.tsv", "--record", "m.json"]) == 0
    # What the table has: three lines, whatever a name holds.
    assert len((folder / f"{name}.tsv").read_text().splitlines()) == 3
    assert main(["inspect", "image.json", "--html", "page.html", "--json", "summary.json", "--pictures", "p"]) == 0
    page = (folder / "page.html").read_text()
    assert not re.search(r"<script|<img src=x|onerror=alert\(1\)>", page)
    assert json.loads((folder / "summary.json").read_text())["name"] == name
    assert json.loads((folder / "l.json").read_text())["store"]["path"] == str(folder / f"{name} labels.ome.zarr")
    with zipfile.ZipFile(folder / f"{name}.zip") as crate:
        json.loads(crate.read("ro-crate-metadata.json"))
    # One line a sentence, and nothing that a shell would have made.
    assert main(["open", f"./{name}.absent", "--output", "other.json"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("chunkwise open: error: ")
    assert not list(tmp_path.rglob("pwned*"))
    assert not (folder / "p" / "..").resolve().joinpath("pwned").exists()


@pytest.mark.cluster
def test_a_name_on_the_cluster_is_a_name(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch scripts hold nothing of it: neither the store, the result, the folder of the run nor the user."""
    folder = tmp_path / "job $(touch pwned); touch 'pwned'"
    folder.mkdir()
    name = 'it\'s "x" $(touch pwned) `touch pwned`; touch pwned #'
    nasty_image(folder, name)
    (tmp_path / "site.toml").write_text(
        f'[roots.all]\npath = "{tmp_path}"\naccess = "write"\n[cluster]\ndefault = "c"\n'
        '[clusters.c]\nkind = "slurm"\npartition = "main"\nmemory_per_worker = "600MB"\nqueue_patience = "2m"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    monkeypatch.setenv("CHUNKWISE_USER", "$(touch pwned)@example.org")
    monkeypatch.setenv("CHUNKWISE_JOB", "7; touch pwned")
    monkeypatch.chdir(folder)
    command = ["segment", f"./{name}.ome.zarr", "--sigma", "0", "--threshold", "5", "--block", "8,8", "--shard", "8,8"]
    assert main([*command, "--output", f"./{name} labels.ome.zarr", "--record", "record.json"]) == 0
    labels: Any = zarr.open_array(folder / f"{name} labels.ome.zarr" / "0", mode="r")
    assert np.bincount(labels[:].ravel()).tolist() == [256 - 9 - 28, 9, 28]
    assert json.loads((folder / "record.json").read_text())["cluster"]["kind"] == "slurm"
    assert not list(tmp_path.rglob("pwned*"))
    assert not list(Path.home().glob("pwned*"))


def actions(parser: argparse.ArgumentParser) -> list[str]:
    """Every option of a command and of its actions."""
    found: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found += actions(child)
        found += action.option_strings
    return found


@pytest.mark.parametrize("command", summaries())
def test_no_option_chooses_a_cluster_or_speaks_to_it(command: str) -> None:
    """The site does, by its profiles; and the job's environment names one of these."""
    sub = next(action for action in build_parser(command)._actions if isinstance(action, argparse._SubParsersAction))
    options = " ".join(actions(sub.choices[command]))
    assert "--" in options
    assert not re.search(
        r"cluster|partition|account|qos|queue|sbatch|slurm|gres|walltime|scheduler|--script|host", options
    )


def test_the_environment_names_one_of_the_sites_clusters_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr")
    (tmp_path / "site.toml").write_text(
        f'[roots.all]\npath = "{tmp_path}"\naccess = "write"\n[clusters.mine]\nkind = "local"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.setenv("CHUNKWISE_CLUSTER", "main --wrap='touch pwned'")
    assert main(["segment", str(store), "--output", str(tmp_path / "o.ome.zarr")]) == 3
    assert "has mine; ask your administrator" in capsys.readouterr().err
    monkeypatch.setenv("CHUNKWISE_CLUSTER", "mine")
    assert main(["segment", str(store), "--output", str(tmp_path / "o.ome.zarr"), "--workers", "1"]) == 0


def test_who_asked_is_in_no_file_that_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """E-mail address, groups and roles are for the policy; references and crates are shared and published."""
    private = ["anna.berg@example.org", "group-of-anna", "role-of-anna"]
    for name, value in zip(("USER", "GROUPS", "ROLES"), private, strict=True):
        monkeypatch.setenv(f"CHUNKWISE_{name}", value)
    store, _ = nasty_image(tmp_path, "image")
    (tmp_path / "results").mkdir()
    (tmp_path / "site.toml").write_text(
        f'[roots.all]\npath = "{tmp_path}"\nusers = ["*@example.org"]\n'
        f'[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
        '[workspace]\nroot = "results"\nlayout = "user/job"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    work = tmp_path / "results" / "files"
    work.mkdir()
    monkeypatch.chdir(work)
    command = ["segment", str(store), "--to-workspace", "labels", "--workers", "1", "--sigma", "0", "--threshold", "5"]
    assert main([*command, "--reference", "r.json", "--crate", "c.zip", "--record", "record.json"]) == 0
    with zipfile.ZipFile("c.zip") as crate:
        crate.extractall("crate")
    read = 0
    for file in (tmp_path / "results").rglob("*"):
        text = str(file.relative_to(tmp_path)) + (file.read_bytes().decode("latin-1") if file.is_file() else "")
        assert not any(word in text for word in (*private, "anna")), file
        read += file.is_file()
    assert read > 8
