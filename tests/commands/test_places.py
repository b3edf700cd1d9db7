"""Results in the workspace: whose folder, whose rights, how much, and which run goes on."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import made_stores
from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError
from chunkwise.running.stores import StoreRun
from chunkwise.site import Person
from chunkwise.storage.workspace import check_name, job_folder, user_folder

USER = "Anna.B@Example.org"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    store = made_stores.write(tmp_path / "images" / "i.ome.zarr", "0.5", "yx", (128, 128))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (128, 128))
    return store


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a site file with these lines in [workspace], and be Anna in job 7."""
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.setenv("CHUNKWISE_USER", USER)
    monkeypatch.setenv("CHUNKWISE_JOB", "7")

    def write(*lines: str, rest: str = "") -> None:
        (tmp_path / "site.toml").write_text(
            f'[roots.images]\npath = "{tmp_path}/images"\n'
            f'[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
            f'[roots.jobs]\npath = "{tmp_path}"\naccess = "job"\n'
            '[workspace]\nroot = "results"\n' + "\n".join(lines) + f"\n{rest}\n"
        )

    write('layout = "user/job"')
    return write


def segment(image: Path, *more: str) -> list[str]:
    return ["segment", str(image), "--sigma", "0", "--shard", "64,64", "--workers", "1", *more]


def own(tmp_path: Path) -> Path:
    """Anna's folder."""
    (found,) = [entry for entry in (tmp_path / "results").iterdir() if entry.name.startswith("user-")]
    return found


@pytest.mark.usefixtures("site")
def test_a_folder_for_every_user_and_job(tmp_path: Path, image: Path) -> None:
    assert main(segment(image, "--output", str(tmp_path / "results" / "plain.ome.zarr"))) == 0
    assert main(segment(image, "--to-workspace", "labels", "--reference", str(tmp_path / "r.json"))) == 0
    store = own(tmp_path) / "7" / "labels"
    assert made_stores.digest(store) == made_stores.digest(tmp_path / "results" / "plain.ome.zarr")
    reference = json.loads((tmp_path / "r.json").read_text())
    assert reference["store"] == {"root": "results", "path": f"{own(tmp_path).name}/7/labels"}
    assert main(["inspect", str(tmp_path / "r.json")]) == 0
    # Nothing of the run is left, and a second result of that name is refused.
    runs = tmp_path / "results" / ".runs" / own(tmp_path).name
    assert list(runs.iterdir()) == []
    assert stat.S_IMODE(runs.stat().st_mode) == 0o700
    assert main(segment(image, "--to-workspace", "labels")) == 2


@pytest.mark.parametrize(("layout", "inner"), [("flat", ""), ("user", "USER/")])
def test_other_layouts(tmp_path: Path, image: Path, site: Any, layout: str, inner: str) -> None:
    site(f'layout = "{layout}"')
    assert main(segment(image, "--to-workspace", "labels")) == 0
    folder = tmp_path / "results" if not inner else own(tmp_path)
    assert (folder / "labels" / "zarr.json").is_file()


@pytest.mark.usefixtures("site")
def test_another_job_goes_on_with_a_run_that_was_killed(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Galaxy does when a user runs a job again: another job id, the same inputs and parameters."""
    assert main(segment(image, "--output", str(tmp_path / "results" / "plain.ome.zarr"))) == 0
    small = ["--block", "4,4"]  # many blocks, so that it can be hit in the middle
    command = [sys.executable, "-m", "chunkwise.cli", *segment(image, "--to-workspace", "labels", *small)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    runs = tmp_path / "results" / ".runs"
    while not any(b'"pass":"label"' in file.read_bytes() for file in runs.glob("*/*/run/journal/*.jsonl")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (plan,) = runs.glob("*/*/run/plan.json")
    assert not own_or_none(tmp_path)
    monkeypatch.setenv("CHUNKWISE_JOB", "8")
    again = time.time()
    assert main(segment(image, "--to-workspace", "labels", *small, "--crate", str(tmp_path / "c.zip"))) == 0
    store = own(tmp_path) / "8" / "labels"
    assert made_stores.digest(store) == made_stores.digest(tmp_path / "results" / "plain.ome.zarr")
    with zipfile.ZipFile(tmp_path / "c.zip") as crate:
        (name,) = [name for name in crate.namelist() if name.endswith("blocks-1.tsv.gz")]
        header, *rows = gzip.decompress(crate.read(name)).decode().splitlines()
    column = header.split("\t").index("start")
    times = [float(row.split("\t")[column]) for row in rows]
    assert min(times) < again < max(times)
    assert not plan.parent.parent.exists()


def own_or_none(tmp_path: Path) -> list[Path]:
    return [entry for entry in (tmp_path / "results").iterdir() if entry.name.startswith("user-")]


@pytest.mark.usefixtures("site")
def test_a_job_of_the_same_plan_begins_while_another_one_still_reports(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are found by their plan: the second must not lose its files to the first one's tidying up."""
    report = StoreRun.finish

    def late(writer: StoreRun, *arguments: Any) -> Any:
        monkeypatch.setattr(StoreRun, "finish", report)
        monkeypatch.setenv("CHUNKWISE_JOB", "8")
        assert main(segment(image, "--to-workspace", "labels", "--record", str(tmp_path / "8.json"))) == 0
        return report(writer, *arguments)

    monkeypatch.setattr(StoreRun, "finish", late)
    assert main(segment(image, "--to-workspace", "labels", "--record", str(tmp_path / "7.json"))) == 0
    first, second = (json.loads((tmp_path / f"{job}.json").read_text())["blocks"] for job in "78")
    assert first["done"] == second["done"] > 0
    assert first["retried"] == second["retried"] == 0
    assert made_stores.digest(own(tmp_path) / "7" / "labels") == made_stores.digest(own(tmp_path) / "8" / "labels")
    assert list((tmp_path / "results" / ".runs" / own(tmp_path).name).iterdir()) == []


@pytest.mark.usefixtures("site")
def test_another_person_does_not_go_on_with_it(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(segment(image, "--to-workspace", "labels")) == 0
    monkeypatch.setenv("CHUNKWISE_USER", "anna-b@example.org")
    assert main(segment(image, "--to-workspace", "labels")) == 0
    assert len(own_or_none(tmp_path)) == 2


def test_rights(tmp_path: Path, image: Path, site: Any) -> None:
    mine = os.getegid()
    site('layout = "user/job"', 'umask = "0027"', f'group = "{group_name(mine)}"')
    before = os.umask(0o022)
    try:
        assert main(segment(image, "--to-workspace", "labels", "--record", str(tmp_path / "record.json"))) == 0
    finally:
        os.umask(before)
    top = own(tmp_path)
    for path in (top, top / "7", *(top / "7" / "labels").rglob("*"), top / "7" / "labels"):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == (0o750 if path.is_dir() else 0o640), path
        assert status.st_gid == mine
    # What lies in the job's own folder is Galaxy's.
    assert stat.S_IMODE((tmp_path / "record.json").stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_owner_gets_the_result_and_no_folder_around_it(tmp_path: Path, image: Path, site: Any) -> None:
    """Whoever owned the folder could put a link in a later result's place, and root would write through it."""
    site('layout = "user/job"', 'owner = "nobody"')
    assert main(segment(image, "--to-workspace", "labels")) == 0
    store = own(tmp_path) / "7" / "labels"
    owners = {entry.stat().st_uid for entry in (store, *store.rglob("*"))}
    assert owners == {pwd.getpwnam("nobody").pw_uid}
    assert {entry.stat().st_uid for entry in (own(tmp_path), store.parent)} == {0}


def group_name(number: int) -> str:
    import grp

    return grp.getgrgid(number).gr_name


@pytest.mark.parametrize("line", ['group = "no-such-group"', 'owner = "no-such-account"'])
def test_rights_that_cannot_be_given_are_told_before_the_work(
    tmp_path: Path, image: Path, site: Any, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site('layout = "user"', line)
    assert main(segment(image, "--to-workspace", "labels")) == 3
    assert "no-such-" in capsys.readouterr().err
    assert list((tmp_path / "results").iterdir()) == []


def test_quota(
    tmp_path: Path, image: Path, site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site('layout = "user"', 'quota = "4kB"')
    assert main(segment(image, "--to-workspace", "labels")) == 3
    said = capsys.readouterr().err
    assert "take 0.0 KiB of the 3.9 KiB" in said
    assert "needs 6.4 KiB" in said
    # What is foreseen is a guess; the quota holds in the end as well, and nothing of the work is lost.
    monkeypatch.setattr("chunkwise.running.places.LABELS_SHRINK", 10**6)
    assert main(segment(image, "--to-workspace", "labels")) == 4
    assert "is kept" in capsys.readouterr().err
    assert not own_or_none(tmp_path)
    site('layout = "user"', 'quota = "10MB"')
    monkeypatch.undo()
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.setenv("CHUNKWISE_USER", USER)
    assert main(segment(image, "--to-workspace", "labels")) == 0
    size = sum(file.stat().st_size for file in own(tmp_path).rglob("*") if file.is_file())
    site('layout = "user"', f"quota = {size + 3_000}")
    assert main(segment(image, "--to-workspace", "more")) == 3
    assert f"take {size / 1024:.1f} KiB" in capsys.readouterr().err
    monkeypatch.setenv("CHUNKWISE_USER", "other@example.org")
    site('layout = "user"', f"quota = {size + 7_000}")
    assert main(segment(image, "--to-workspace", "more")) == 0


@pytest.mark.parametrize("extra", [["segment"], ["fetch"], ["fetch", "--format", "ome-tiff"]])
def test_the_largest_output(
    tmp_path: Path, image: Path, site: Any, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    site('layout = "user"', rest='[limits]\noutput = "20kB"')
    name = "o.ome.zarr" if extra == ["segment"] else "o.ome.tif"
    command = [extra[0], str(image), *extra[1:], "--output", str(tmp_path / "results" / name)]
    assert main(command) == 3
    assert "this site allows 19.5 KiB; cut the image" in capsys.readouterr().err
    assert list((tmp_path / "results").iterdir()) == []
    assert main([*command, "--region", "0:64,0:64"]) == 0


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "x.partial", "x.run", "x y", "x\n", "ä", "n" * 201, "--output"])
def test_names_that_are_more_than_names(name: str) -> None:
    if name != "--output":
        with pytest.raises(ChunkwiseError):
            check_name("--to-workspace", name)
    assert job_folder({"CHUNKWISE_JOB": "4711"}, "f" * 64) == "4711"
    assert job_folder({}, "f" * 64).endswith("-ffffffffffff")
    if name not in ("x.partial", "x.run", "--output"):
        with pytest.raises(ChunkwiseError):
            job_folder({"CHUNKWISE_JOB": name}, "f" * 64)


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_the_folder_of_a_user_is_a_plain_name_and_nobody_elses(one: str, other: str) -> None:
    people = [Person.of({"CHUNKWISE_USER": text}) for text in (one, other)]
    if any(person.user is None for person in people):
        return
    names = [user_folder(person) for person in people]
    for name in names:
        assert re.fullmatch(r"user-[0-9a-f]{20}", name)
    assert (names[0] == names[1]) == (people[0].user == people[1].user)


@pytest.mark.usefixtures("site")
def test_nobody_has_no_folder(image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CHUNKWISE_USER")
    assert main(segment(image, "--to-workspace", "labels")) == 3
    assert "CHUNKWISE_USER" in capsys.readouterr().err


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("where", [".runs", "USER", "USER/7"])
def test_links_in_the_workspace_lead_nowhere(
    tmp_path: Path, image: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results" / "inside").mkdir()
    name = user_folder(Person.of({"CHUNKWISE_USER": USER}))
    for target in (tmp_path / "elsewhere", tmp_path / "results" / "inside"):
        link = tmp_path / "results" / where.replace("USER", name)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        assert main(segment(image, "--to-workspace", "labels")) == 3
        assert "Traceback" not in capsys.readouterr().err
        assert list(target.iterdir()) == []
        link.unlink()


def test_labels_that_are_a_link_are_not_written_through(tmp_path: Path, image: Path, site: Any) -> None:
    site('layout = "user"')
    store = tmp_path / "results" / "i.ome.zarr"
    (tmp_path / "results" / "other").mkdir()
    os.rename(image, store)
    (store / "labels").symlink_to(tmp_path / "results" / "other")
    assert main(segment(store, "--into-source", "nuclei")) == 3
    assert list((tmp_path / "results" / "other").iterdir()) == []
    (store / "labels").unlink()
    assert main(segment(store, "--into-source", "nuclei")) == 0
    assert (store / "labels" / "nuclei" / "zarr.json").is_file()


@pytest.mark.usefixtures("site")
def test_the_run_directory_of_the_workspace_is_its_own(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(segment(image, "--to-workspace", "labels", "--run-dir", str(image.parent.parent / "here"))) == 2
    assert "--run-dir cannot be given" in capsys.readouterr().err
