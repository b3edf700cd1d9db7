"""A crate is small whatever the size of the data: counts and bytes, of what the real code that closes a run makes."""

from __future__ import annotations

import gzip
import sys
import zipfile
from pathlib import Path

import pytest

from chunkwise.provenance.validate import validate_crate
from chunkwise.storage.manifest import ATTACHED, Manifest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def test_a_run_of_100_000_blocks(tmp_path: Path) -> None:
    from crate_scale import closed_run, figures, store_objects

    crate = closed_run(tmp_path, store_objects(100_000, 2**18))
    entities, metadata, _ = figures(crate)
    assert entities < 200
    assert metadata < 500_000
    assert validate_crate(crate) == []
    with zipfile.ZipFile(crate) as archive, gzip.open(archive.open("blocks-1.tsv.gz")) as table:
        assert sum(1 for _ in table) == 100_001, "one row a block, and the names of the columns"


def test_the_crate_of_a_store_of_one_gibibyte(tmp_path: Path) -> None:
    from crate_scale import closed_run, figures, store_objects

    objects = store_objects(4096, 2**18)
    assert sum(item.size for item in objects) == 2**30
    *_, whole = figures(closed_run(tmp_path, objects))
    manifest = len(Manifest.of(objects).to_bytes())
    assert manifest < ATTACHED
    assert whole + manifest < 5_000_000
