"""Which chunkwise ran: read from a checkout as git itself says it, left out where nothing is known."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from chunkwise.provenance import build
from chunkwise.provenance.build import build_facts
from chunkwise.provenance.record import Recorder

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is the reference")


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that chunkwise seems to run from."""
    folder = tmp_path / "checkout"
    (folder / "src" / "chunkwise").mkdir(parents=True)
    (folder / "src" / "chunkwise" / "__init__.py").touch()
    (folder / "pyproject.toml").touch()
    (folder / "requirements.lock").write_text("numpy==2\n")
    git(folder.parent, "init", "-q", str(folder))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    _run_from(folder, monkeypatch)
    return folder


def _run_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.chunkwise, "__file__", str(folder / "src" / "chunkwise" / "__init__.py"))
    build._of_checkout.cache_clear()


def test_a_checkout_says_commit_changes_and_lock_file(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {
        "commit": git(checkout, "rev-parse", "HEAD"),
        "modified": False,
        "lock_sha256": hashlib.sha256(b"numpy==2\n").hexdigest(),
    }
    assert build_facts() == expected
    git(checkout, "pack-refs", "--all")
    _run_from(checkout, monkeypatch)
    assert build_facts() == expected
    (checkout / "src" / "chunkwise" / "__init__.py").write_text("changed = True\n")
    _run_from(checkout, monkeypatch)
    assert build_facts() == expected | {"modified": True}
    git(checkout, "checkout", "-q", "--detach")
    _run_from(checkout, monkeypatch)
    assert build_facts()["commit"] == expected["commit"]


def test_a_worktree_has_a_commit_of_its_own(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = checkout.parent / "other"
    git(checkout, "worktree", "add", "-q", "-b", "other", str(other))
    (other / "requirements.lock").unlink()
    git(other, "commit", "-qam", "second")
    _run_from(other, monkeypatch)
    facts = build_facts()
    assert facts["commit"] == git(other, "rev-parse", "HEAD") != git(checkout, "rev-parse", "HEAD")
    assert "lock_sha256" not in facts


@pytest.mark.parametrize("hurt", ["no git", "no program", "empty head", "installed"])
def test_what_is_not_known_is_left_out(checkout: Path, monkeypatch: pytest.MonkeyPatch, hurt: str) -> None:
    if hurt == "no git":
        shutil.rmtree(checkout / ".git")
    elif hurt == "no program":
        monkeypatch.setenv("PATH", "/nowhere")
    elif hurt == "empty head":
        (checkout / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    else:
        (checkout / "pyproject.toml").unlink()
    found = {
        "no git": {"lock_sha256"},
        "no program": {"commit", "lock_sha256"},
        "empty head": set(),
        "installed": set(),
    }
    assert set(build_facts()) == found[hurt]


def test_a_container_is_named_without_its_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPTAINER_CONTAINER", "/home/ann/images/chunkwise-1.0.sif")
    monkeypatch.setenv("CHUNKWISE_CONTAINER_DIGEST", "sha256:" + "ab" * 32)
    facts = build_facts()
    assert facts["container"] == "chunkwise-1.0.sif"
    assert facts["container_digest"] == "sha256:" + "ab" * 32
    monkeypatch.setenv("CHUNKWISE_CONTAINER_DIGEST", "of my own")
    assert "container_digest" not in build_facts()


def test_a_record_has_the_build_the_agent_and_the_tool(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUNKWISE_AGENT_ORCID", "0000-0002-1825-0097")
    monkeypatch.setenv("CHUNKWISE_AGENT_ORGANIZATION", "Institute of Cells")
    monkeypatch.setenv("CHUNKWISE_AGENT_ROR", "https://ror.org/00example")
    monkeypatch.setenv("CHUNKWISE_GALAXY_TOOL_VERSION", "1.0+galaxy0")
    record = Recorder("segment", {}).finish()
    assert record.build is not None
    assert record.build["commit"] == git(checkout, "rev-parse", "HEAD")
    assert record.agent == {
        "orcid": "0000-0002-1825-0097",
        "organization": "Institute of Cells",
        "ror": "https://ror.org/00example",
    }
    assert record.galaxy == {"version": "1.0+galaxy0"}
