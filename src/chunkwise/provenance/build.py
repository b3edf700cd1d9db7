"""Which chunkwise ran: the commit of its checkout, the lock file, the container, as far as they can be known."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import chunkwise
from chunkwise.provenance.fields import Json

__all__ = ["build_facts"]

#: Seconds that git may take to say whether something was changed.
PATIENCE = 2.0

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def build_facts() -> dict[str, Json]:
    """Say what is known of the chunkwise that runs; what is not known is left out.

    Returns
    -------
    dict
        ``commit`` of the checkout that it runs from, ``modified`` where git says whether its source was changed since,
        ``lock_sha256`` of the checkout's ``requirements.lock``; ``container``, the file name of the image, and
        ``container_digest`` (``sha256:...``) where the recipe of the container or the administrator sets
        ``CHUNKWISE_CONTAINER_DIGEST``.
    """
    facts: dict[str, Json] = dict(_of_checkout(Path(chunkwise.__file__).resolve().parents[2]))
    image = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if image:
        facts["container"] = os.path.basename(image.rstrip("/"))  # where it lies is nobody's business
    digest = os.environ.get("CHUNKWISE_CONTAINER_DIGEST", "")
    if _DIGEST.fullmatch(digest):
        facts["container_digest"] = digest
    return facts


@lru_cache(maxsize=1)
def _of_checkout(folder: Path) -> dict[str, Json]:
    """What a checkout says of itself; nothing where chunkwise was installed like any other package."""
    facts: dict[str, Json] = {}
    try:
        if not (folder / "pyproject.toml").is_file() or not (folder / "src" / "chunkwise").is_dir():
            return {}
        commit = _commit(folder)
        if commit is not None:
            facts["commit"] = commit
            modified = _modified(folder)
            if modified is not None:
                facts["modified"] = modified
        facts["lock_sha256"] = hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest()
    except (OSError, ValueError):
        pass  # what is not known is left out, and never a reason to fail
    return facts


def _commit(folder: Path) -> str | None:
    """Read the commit without git; a worktree has a file that says where its own part is, and that of all."""
    inner = folder / ".git"
    if inner.is_file():
        inner = folder / inner.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    if not inner.is_dir():
        return None
    head = (inner / "HEAD").read_text(encoding="utf-8").strip()
    if head.startswith("ref:"):
        name = head.removeprefix("ref:").strip()
        common = inner / "commondir"
        shared = inner / common.read_text(encoding="utf-8").strip() if common.is_file() else inner
        head = next((text for place in (inner, shared) if (text := _reference(place, name))), "")
    return head if _COMMIT.fullmatch(head) else None


def _reference(place: Path, name: str) -> str:
    if (place / name).is_file():
        return (place / name).read_text(encoding="utf-8").strip()
    packed = place / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.split()[1:] == [name]), "")


def _modified(folder: Path) -> bool | None:
    """Whether what is in the checkout's source differs from the commit; None where git is not there, or is slow."""
    git = shutil.which("git")
    if git is None:
        return None
    words = [git, "-C", str(folder), "--no-optional-locks", "status", "--porcelain", "-uno", "--", "src"]
    try:
        done = subprocess.run(  # noqa: S603 -- nothing that a user says is in it
            words, capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None
