"""Compiled kernels find a place also in a read-only installation without a home directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chunkwise
from chunkwise.kernel_cache import ensure_kernel_cache

CODE = (
    "import numpy as np; from chunkwise.ops.gaussian import gaussian; import os;"
    "print(gaussian(np.ones((3, 3)), 1).sum(), os.environ.get('NUMBA_CACHE_DIR'))"
)


def test_nothing_is_changed_where_numba_finds_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    ensure_kernel_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_a_read_only_installation_without_a_home(tmp_path: Path) -> None:
    """On a real read-only file system, where we may mount one."""
    place = tmp_path / "site-packages"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        source = Path(chunkwise.__file__).parent
        shutil.copytree(source, place / "chunkwise", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(place),
            "HOME": str(place),
            "TMPDIR": str(temporary),
        }
        for _ in range(2):
            run = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            assert run.stdout.split() == ["9.0", str(temporary / f"chunkwise-kernels-{os.getuid()}")]
        compiled = list(temporary.rglob("*.nbc"))
        assert compiled, "nothing was cached"
        assert (temporary / f"chunkwise-kernels-{os.getuid()}").stat().st_mode & 0o077 == 0
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_folder_that_somebody_else_prepared_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chunkwise import kernel_cache

    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    open_to_all = tmp_path / f"chunkwise-kernels-{os.getuid()}"
    open_to_all.mkdir(mode=0o777)
    open_to_all.chmod(0o777)
    chosen = kernel_cache._own_folder()
    assert chosen != str(open_to_all)
    os.rmdir(chosen)
