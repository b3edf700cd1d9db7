"""Published workflows, by the steps of ours: what the whole image gives, in blocks that cut through what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from published_page import PAGE
from published_workflows import NUCLEI, PUBLISHED, Published, differing

COMPARED = [
    pytest.param(
        one,
        id=one.name,
        marks=pytest.mark.skipif(
            one.name == "nuclei-counting" and not NUCLEI.is_dir(),
            reason="the published workflow's data are not beside the checkout",
        ),
    )
    for one in PUBLISHED
    if one.there
]


def test_no_comparison_is_of_nothing(tmp_path: Path) -> None:
    pairs: dict[str, tuple[Any, Any]] = {"same": (np.eye(2), np.eye(2)), "other": (np.eye(2), np.eye(3))}
    assert differing(pairs) == ["other"]


@pytest.mark.parametrize("published", COMPARED)
def test_it_is_what_the_whole_image_gives(published: Published, tmp_path: Path) -> None:
    assert published.compare is not None
    pairs = published.compare(tmp_path, False)
    assert all(np.any(theirs) for _, theirs in pairs.values())
    assert differing(pairs) == []
    (line,) = (line for line in PAGE.read_text().splitlines() if f"[{published.name}](" in line)
    assert line.endswith(f"| {', '.join(pairs)} | equal |"), "run tests/published_page.py, and commit what it writes"


def test_the_page_counts_all_of_them() -> None:
    there = sum(one.there for one in PUBLISHED)
    assert f"**{there} of {len(PUBLISHED)} workflows**" in PAGE.read_text()


@pytest.mark.parametrize("published", COMPARED)
def test_mutant_what_is_not_quite_it_is_seen(published: Published, tmp_path: Path) -> None:
    assert published.compare is not None
    assert differing(published.compare(tmp_path, True))
