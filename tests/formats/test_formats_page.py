"""docs/formats.md says what a run finds: of real files, which are beside the checkout, and of made ones."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import formats_page
from formats_page import PAGE, SHARED, made_files, page, real_files, rows

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)


@pytest.mark.skipif(not (SHARED / "gia_cases").is_dir(), reason="the published cases are not beside the checkout")
def test_the_page_is_fresh() -> None:
    assert formats_page.fresh() == PAGE.read_text(), "run tests/formats_page.py, and commit what it writes"


def test_made_files_are_read_as_the_page_says(tmp_path: Path) -> None:
    found = page({}, rows(made_files(tmp_path))).splitlines()
    assert len([line for line in found if "made by" in line]) >= 6
    assert [line for line in found if "made by" in line and line not in PAGE.read_text()] == []


def test_mutant_a_voxel_that_differs_is_seen() -> None:
    file = next(file for file in real_files() if file.format == "OME-TIFF")
    other = file.whole.copy()
    other.flat[7] += 1
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        rows(iter([replace(file, whole=other)]))
    with pytest.raises(AssertionError):
        rows(iter([replace(file, whole=file.whole.astype(np.int32))]))
