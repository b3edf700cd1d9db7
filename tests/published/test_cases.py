"""docs/published.md says what became of every published case, and each case is run to see that it still does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from published_cases import CASES, Array, Case, cases, distance
from published_page import BEGIN, NONE, OTHER, PAGE, SAME, page, row_of
from published_table import TABLE

pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason="the published cases are not beside the checkout"),
    pytest.mark.filterwarnings("ignore"),
]

ALL = list(cases())
SCRIPTS = Path(__file__).parent / "differs"


def case_of(name: str) -> Case:
    return next(case for case in ALL if case.name == name)


@pytest.mark.parametrize("case", [case for case in ALL if TABLE[case.name].words], ids=lambda case: case.name)
def test_the_page_says_what_became_of_it(case: Case, tmp_path: Path) -> None:
    row = row_of(case, tmp_path)
    assert row.line in PAGE.read_text().splitlines(), "run tests/published_page.py, and commit what it writes"
    assert row.state != OTHER or (SCRIPTS / f"{case.name}.py").is_file() or row.ours.why


def test_every_case_is_in_the_table_and_on_the_page() -> None:
    assert len(ALL) == 99
    assert set(TABLE) == {case.name for case in ALL}
    lines = PAGE.read_text().splitlines()
    none = [row_of(case, Path()) for case in ALL if not TABLE[case.name].words]
    assert {row.state for row in none} == {NONE}
    assert [row.case.name for row in none if row.line not in lines] == []
    table = [
        line.split(" | ") for line in lines[lines.index(BEGIN) :] if line.startswith("| ") and "| test |" not in line
    ]
    states = [cells[5].partition(" (")[0] for cells in table]
    assert len(states) == len(ALL)
    assert {*states} <= {*SAME, OTHER, NONE}
    assert f"**{sum(state in SAME for state in states)} of 99**" in PAGE.read_text()


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_a_difference_is_theirs(script: Path) -> None:
    """With their libraries alone: how their file came about, and that the plain call gives another one."""
    folder = CASES / script.stem.rpartition("-")[0]
    done = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def mask(*corner: int) -> Array:
    array = np.zeros((10, 10), np.uint16)
    array[corner[0] : corner[0] + 4, corner[1] : corner[1] + 4] = 255
    return array


def test_mutant_a_voxel_that_differs_is_seen() -> None:
    """Each criterion lets a little pass, and no more."""
    intensities, binary, labels = (
        case_of(n) for n in ("2d_simple_filter-0", "2d_auto_threshold-0", "split_labelmap-0")
    )
    theirs = mask(2, 3)
    for case in (intensities, binary, labels):
        assert distance(case, theirs, theirs) == 0
        assert distance(case, mask(2, 4), theirs) > case.eps, case.name
    assert distance(binary, theirs > 0, theirs) == 0
    assert distance(labels, theirs // 51, theirs) == 0  # the numbers of the objects do not count
    assert distance(labels, theirs + 1, theirs) == 1  # but the background's does
    both = theirs.copy()
    both[0, 0] = 7
    assert distance(labels, both, theirs) == 1
    assert distance(labels, theirs, both) == 1


def test_mutant_another_parameter_is_another_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of("2d_simple_filter-8")
    monkeypatch.setitem(TABLE, case.name, replace(TABLE[case.name], words="filter mean {input} --size 7"))
    assert row_of(case, tmp_path).state == OTHER
    (again := tmp_path / "again").mkdir()
    assert "another result" in page([row_of(case, again)])
