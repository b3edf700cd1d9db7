"""Many runs at once in one workspace, as when a workflow starts the same step eight times: side by side, or in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.site import Person
from chunkwise.storage.lock import is_held
from chunkwise.storage.workspace import user_folder

ANNA = user_folder(Person("anna@example.org"))


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image of many chunks, read where it lies; results go into folders of users."""
    (tmp_path / "results").mkdir()
    store = made_stores.write(tmp_path / "images" / "i.ome.zarr", "0.5", "yx", (256, 256), chunk=8)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (256, 256))
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.setenv("CHUNKWISE_USER", "anna@example.org")
    monkeypatch.delenv("CHUNKWISE_JOB", raising=False)
    site(tmp_path, 'layout = "user"')
    return store


def site(tmp_path: Path, *lines: str) -> None:
    (tmp_path / "site.toml").write_text(
        f'[roots.images]\npath = "{tmp_path}/images"\n'
        f'[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
        '[workspace]\nroot = "results"\n' + "\n".join(lines) + "\n"
    )


def words(image: Path, *more: str) -> list[str]:
    return ["fetch", str(image), "--shard", "64,64", "--workers", "1", *more]


def at_once(commands: Sequence[list[str]], jobs: Sequence[str] | None = None) -> list[tuple[int, str]]:
    """Start real processes together; give the exit code of each and what it said."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "chunkwise.cli", *command],
            env=os.environ | ({"CHUNKWISE_JOB": jobs[number]} if jobs else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, command in enumerate(commands)
    ]
    said = [process.communicate(timeout=300)[1] for process in running]
    return [(process.returncode, words) for process, words in zip(running, said, strict=True)]


def left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "results" / ".runs" / ANNA).iterdir())


def test_eight_names_of_one_plan_run_side_by_side(tmp_path: Path, image: Path) -> None:
    names = [f"n{number}" for number in range(8)]
    ended = at_once([words(image, "--to-workspace", name) for name in names])
    assert [code for code, _ in ended] == [0] * 8, ended
    assert len({made_stores.digest(tmp_path / "results" / ANNA / name) for name in names}) == 1
    assert left(tmp_path) == []


def test_eight_jobs_of_one_plan_and_name_take_turns(tmp_path: Path, image: Path) -> None:
    """With a folder for every job each gets its store; with one folder the first wins, and the others say why."""
    site(tmp_path, 'layout = "user/job"')
    jobs = [str(number) for number in range(8)]
    ended = at_once([words(image, "--to-workspace", "same")] * 8, jobs)
    assert [code for code, _ in ended] == [0] * 8, ended
    assert len({made_stores.digest(tmp_path / "results" / ANNA / job / "same") for job in jobs}) == 1
    site(tmp_path, 'layout = "user"')
    ended = at_once([words(image, "--to-workspace", "same")] * 8)
    assert sorted(code for code, _ in ended) == [0] + [2] * 7, ended
    output = tmp_path / "results" / ANNA / "same"
    for code, said in ended:
        assert code == 0 or f"error: The output {output} exists; remove it or choose another name.\n" in said, said
        assert ".runs" not in said
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "results" / ANNA / "0" / "same")
    assert left(tmp_path) == []


def test_who_waits_too_long_says_for_what(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from chunkwise.running.stores import StoreRun

    complete = StoreRun.complete
    monkeypatch.setattr("chunkwise.running.life.PATIENCE", 1.5)

    def another(writer: StoreRun, *arguments: Any) -> None:
        monkeypatch.setattr(StoreRun, "complete", complete)
        begun = time.monotonic()
        assert main(words(image, "--to-workspace", "same")) == 4
        assert 1.5 <= time.monotonic() - begun < 60
        complete(writer, *arguments)

    monkeypatch.setattr(StoreRun, "complete", another)
    assert main(words(image, "--to-workspace", "same")) == 0
    said = capsys.readouterr().err
    assert "waiting" in said
    assert f"is still working on {tmp_path / 'results' / ANNA / 'same'}; run this command again" in said
    assert ".runs" not in said
    assert left(tmp_path) == []


def test_a_quota_for_three_lets_three_of_eight_begin(tmp_path: Path, image: Path) -> None:
    """What each will take is kept for it while it is at work, so that not all eight count on the same room."""
    needed = 256 * 256 * 2
    quota = 39 * needed // 10  # a late one may find room, as each takes a little less than was kept for it
    site(tmp_path, 'layout = "user"', f"quota = {quota}")
    ended = at_once([words(image, "--to-workspace", f"n{number}") for number in range(8)])
    codes = [code for code, _ in ended]
    assert set(codes) == {0, 3}, ended  # 4 would be work that was done for nothing
    assert codes.count(0) >= 3, ended
    assert all("administrator" in said for code, said in ended if code)
    size = sum(file.stat().st_size for file in (tmp_path / "results" / ANNA).rglob("*") if file.is_file())
    assert size <= quota
    assert left(tmp_path) == []


def test_eight_label_images_of_one_source_are_all_listed(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path, 'layout = "user"')
    source = tmp_path / "results" / "i.ome.zarr"
    os.rename(image, source)
    names = [f"n{number}" for number in range(8)]
    command = ["segment", str(source), "--sigma", "0", "--threshold", "2500", "--workers", "1", "--into-source"]
    ended = at_once([[*command, name] for name in names])
    assert [code for code, _ in ended] == [0] * 8, ended
    listed = json.loads((source / "labels" / "zarr.json").read_text())["attributes"]["ome"]["labels"]
    assert sorted(listed) == names

    held = []
    monkeypatch.setattr(
        "chunkwise.running.stores._list_label", lambda *_: held.append(is_held(f"{source}.labels.lock"))
    )
    assert main([*command, "one-more"]) == 0
    assert held == [True]
    assert not list(source.parent.glob("*.lock"))
