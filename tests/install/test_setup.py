"""'make setup' where something is missing that only root may install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from another_user import AS_NOBODY

ROOT = Path(__file__).parents[2]


def run_without_compiler(folder: Path) -> tuple[int, str]:
    """Compile the kernels as somebody who is not root, on a path with nothing but what it calls."""
    for name in ("bash", "dirname", "realpath", "id"):
        (folder / name).symlink_to(str(shutil.which(name)))
    call = [str(shutil.which("bash")), "deploy/kernels.sh", sys.prefix]
    if os.geteuid() == 0:
        call = [str(shutil.which(AS_NOBODY[0])), *AS_NOBODY[1:], *call]
    done = subprocess.run(call, cwd=ROOT, env={"PATH": str(folder)}, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_missing_compiler_is_one_sentence(tmp_path: Path) -> None:
    code, said = run_without_compiler(tmp_path)
    assert code == 1
    assert said == "Install a C++ compiler and Python's headers (apt-get install g++ python3-dev) and try again.\n"
