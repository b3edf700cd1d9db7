"""Which tests run in order and in one process, where several processes share them (pytest-xdist)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

__all__ = ["FIRST", "Groups", "group_of"]

ROOT = Path(__file__).parents[1]
#: The longest groups, which begin, so that no process waits for one in the end. They mostly wait: for Galaxy and its
#: jobs, for a page in the browser, for Slurm, and for the limits of time that tests are about.
FIRST = ("galaxy", "browser", "servers")


@cache
def group_of(file: str) -> str:
    """The group of a file: ``galaxy``, ``browser`` (of Galaxy), ``servers`` (all others), or the file itself.

    A server has one folder and fixed ports, some of its tests count what runs on it, and the process that started it
    stops it; only Galaxy is shared by two (``galaxy_server.py``). Its cluster is another instance of Slurm than that of
    the servers (``conftest.py``). In a file of its own group, what tests share is made once.
    """
    marks = set(re.findall(r"\bmark\.(galaxy|cluster|s3)\b", (ROOT / file).read_text()))
    if "galaxy" in marks:
        return "browser" if file.startswith("tests/browser/") else "galaxy"
    return "servers" if marks else file


class Groups(LoadScopeScheduling):
    """Hands groups to the processes, in the order of the tests.

    xdist has marks for this (``--dist loadgroup``), but version 3.8 puts them where pytest 9.2 does not look for them,
    and says nothing.
    """

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)  # type: ignore[arg-type]

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::")[0])
