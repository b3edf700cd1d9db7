"""The groups in which ``make test`` runs: no process starts or stops a server beside the one that has it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from groups import FIRST, group_of

ROOT = Path(__file__).parents[1]
FIXTURES = {"galaxy_url", "cluster", "slurm", "own_slurm", "s3"}


def test_who_uses_a_server_says_so_and_is_in_its_group(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        if users := FIXTURES & set(getattr(item, "fixturenames", ())):
            marked = [name for name in ("galaxy", "cluster", "s3") if item.get_closest_marker(name)]
            assert marked, f"{item.nodeid} uses {users}, and 'make test-fast' would start it"
            assert group_of(item.nodeid.split("::")[0]) in FIRST, item.nodeid


def test_a_group_stays_in_one_process() -> None:
    """Five files of four groups, by two real processes of xdist; spread test by test, all were on both."""
    files = ["blocks/test_grid.py", "ops/test_columns.py", "blocks/test_halo.py"]
    files += ["cluster/test_array.py", "cluster/test_accounting.py"]
    words = ["-n", "2", "-v", "-p", "no:cacheprovider", "-m", "not cluster", *(f"tests/{file}" for file in files)]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    where: dict[str, set[str]] = {}
    for process, file in re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", done.stdout, re.MULTILINE):
        where.setdefault(group_of(file), set()).add(process)
    assert len(where) == 4
    assert {len(processes) for processes in where.values()} == {1}, where
