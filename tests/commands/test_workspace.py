"""``chunkwise workspace clean``: what is old and needed by nobody goes, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import made_stores
from chunkwise.cli import main
from chunkwise.files import open_file
from chunkwise.site import Person
from chunkwise.storage.workspace import user_folder

ANNA = user_folder(Person("anna@example.org"))
OLD = time.time() - 100 * 86400


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that keeps 90 days, with a root of its own inside, and Galaxy's files beside it."""
    root = tmp_path / "results"
    for folder in (root / ANNA / "images", tmp_path / "galaxy" / "000"):
        folder.mkdir(parents=True)
    (tmp_path / "site.toml").write_text(
        f'[roots.results]\npath = "{root}"\naccess = "write"\n[roots.all]\npath = "{tmp_path}"\n'
        f'[roots.images]\npath = "{root}/{ANNA}/images"\n'
        '[workspace]\nroot = "results"\nlayout = "user/job"\nkeep = "90d"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    return root


def age(path: Path) -> Path:
    """Make everything in a folder 100 days old."""
    for entry in (*path.rglob("*"), path):
        os.utime(entry, (OLD, OLD), follow_symlinks=False)
    return path


def store(root: Path, place: str) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    return age(made_stores.write(path))


def unfinished(root: Path, plan: str) -> Path:
    path = root / ".runs" / ANNA / plan
    made_stores.write(path / "store.partial")
    (path / "run").mkdir()
    (path / "run" / "plan.json").write_text("{}")
    (path / "store.partial.lock").touch()
    return age(path)


def clean(tmp_path: Path, *more: str) -> int:
    return main(["workspace", "clean", "--references", str(tmp_path / "galaxy"), *more])


def cleaned(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, str]:
    capsys.readouterr()
    assert clean(tmp_path, "--json", *more) == 0
    return {row["path"]: row["state"] for row in json.loads(capsys.readouterr().out)}


def test_what_is_old_and_needed_by_nobody_goes(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, run = store(root, f"{ANNA}/1/old"), unfinished(root, "a" * 64)
    young = made_stores.write(root / ANNA / "2" / "young")
    before = sorted(map(str, root.rglob("*")))
    assert cleaned(tmp_path, capsys) == {f"{ANNA}/1/old": "old", f".runs/{ANNA}/{'a' * 64}": "old"}
    assert sorted(map(str, root.rglob("*"))) == before
    assert cleaned(tmp_path, capsys, "--delete") == {f"{ANNA}/1/old": "removed", f".runs/{ANNA}/{'a' * 64}": "removed"}
    assert not old.parent.exists()
    assert not run.exists()
    assert young.exists()
    assert [entry.name for entry in (root / ".runs").iterdir()] in ([ANNA], [])
    assert cleaned(tmp_path, capsys) == {}


@pytest.mark.parametrize(
    "document",
    [
        {"chunkwise_reference": 1, "store": {"root": "results", "path": f"{ANNA}/1/old"}},
        {"chunkwise_reference": 1, "store": {"root": "all", "path": f"results/{ANNA}/1/old"}},
        {"chunkwise_reference": 1, "store": {"path": f"ROOT/{ANNA}/1/old"}},
        {"chunkwise_reference": 1, "store": {"root": "results", "path": f"{ANNA}/1/old/labels/nuclei"}},
        {"chunkwise_reference": 1, "store": {"root": "results", "path": f"{ANNA}/1/x/../old"}},
        {"chunkwise_reference": 1, "store": {"root": "results", "path": f"{ANNA}/1"}},
        {"chunkwise_record": 1, "inputs": [{"root": "results", "location": f"{ANNA}/1/old"}]},
        {"chunkwise_reference": 1, "store": {}, "records": [{"outputs": [{"location": f"ROOT/{ANNA}/1/old"}]}]},
    ],
)
def test_what_a_reference_or_a_record_names_stays(
    tmp_path: Path, root: Path, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    old = store(root, f"{ANNA}/1/old")
    other = store(root, f"{ANNA}/1/old-too")
    other.rename(root / ANNA / "other")
    text = json.dumps(document).replace("ROOT", str(root))
    (tmp_path / "galaxy" / "000" / "dataset_1.dat").write_text(text)
    assert cleaned(tmp_path, capsys, "--delete") == {f"{ANNA}/other": "removed"}
    assert old.exists()
    (tmp_path / "galaxy" / "000" / "dataset_1.dat").unlink()
    assert cleaned(tmp_path, capsys) == {f"{ANNA}/1/old": "old"}


def test_a_run_at_work_stays(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = unfinished(root, "a" * 64)
    with (run / "store.partial.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cleaned(tmp_path, capsys, "--delete") == {}
    assert run.exists()
    assert list(cleaned(tmp_path, capsys, "--delete").values()) == ["removed"]


def test_links_are_not_followed(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = store(tmp_path, "elsewhere/x")
    (root / ANNA / "1").symlink_to(elsewhere.parent)
    (root / ANNA / "link").symlink_to(elsewhere)
    old = store(root, f"{ANNA}/2/old")
    (old / "c").symlink_to(elsewhere)
    age(old)
    assert cleaned(tmp_path, capsys, "--delete") == {f"{ANNA}/2/old": "removed"}
    assert (elsewhere / "zarr.json").exists()
    assert (root / ANNA / "link").is_symlink()


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path, root: Path) -> None:
    """Between the listing and the removal."""
    from chunkwise.storage.cleaning import find_items, remove_item

    store(root, f"{ANNA}/1/x")
    (item,) = [item for item in find_items(str(root), "user/job") if item.kind == "store"]
    elsewhere = store(tmp_path, "elsewhere/x")
    (root / ANNA / "1").rename(root / ANNA / "moved")
    (root / ANNA / "1").symlink_to(elsewhere.parent)
    with pytest.raises(OSError, match="1"):
        remove_item(str(root), item)
    assert elsewhere.exists()


def test_only_results_are_looked_at(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not other roots inside, and with folders for users nothing that lies in none."""
    store(root, f"{ANNA}/images/precious")
    store(root, "precious")
    assert cleaned(tmp_path, capsys) == {}
    (tmp_path / "site.toml").write_text((tmp_path / "site.toml").read_text().replace('layout = "user/job"', ""))
    assert cleaned(tmp_path, capsys) == {"precious": "old"}
    plain = root / "x.ome.zarr.partial"
    age(made_stores.write(plain))
    (root / "x.ome.zarr.run" / "journal").mkdir(parents=True)
    age(root / "x.ome.zarr.run")
    assert cleaned(tmp_path, capsys) == {"precious": "old", "x.ome.zarr.partial": "old", "x.ome.zarr.run": "old"}


def test_what_cannot_be_read_may_name_anything(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = store(root, f"{ANNA}/1/old")
    (tmp_path / "galaxy" / "000" / "dataset_1.dat").write_text("{}")
    real = open_file

    def refuse(path: Any, *more: Any, **named: Any) -> Any:
        if str(path).endswith(".dat"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *more, **named)

    monkeypatch.setattr("chunkwise.storage.cleaning.open_file", refuse)
    assert clean(tmp_path, "--delete") == 2
    assert "nothing was removed" in capsys.readouterr().err
    assert old.exists()


@pytest.mark.parametrize(("line", "folder"), [("", "galaxy"), ('keep = "90d"', "absent")])
def test_nothing_goes_without_an_age_and_a_place_to_look(tmp_path: Path, root: Path, line: str, folder: str) -> None:
    store(root, f"{ANNA}/1/old")
    text = (tmp_path / "site.toml").read_text().replace('keep = "90d"', line)
    (tmp_path / "site.toml").write_text(text)
    assert main(["workspace", "clean", "--delete", "--references", str(tmp_path / folder)]) == 2
    assert (root / ANNA / "1" / "old").exists()


def test_where_a_persons_results_lie(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workspace", "folder", "Anna@Example.org"]) == 0
    assert capsys.readouterr().out == f"{root}/{ANNA}\n"


def test_the_list_for_people(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(root, f"{ANNA}/1/odd\nname")
    assert clean(tmp_path) == 0
    said = capsys.readouterr()
    assert "old  store  0.000 GiB  100 days" in said.out
    assert "odd\\nname" in said.out
    assert "1 old items" in said.out
    assert "--delete removes" in said.err
