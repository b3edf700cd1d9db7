"""The published workflow for counting nuclei, by the steps of ours: the same label image, voxel for voxel."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from chunkwise.cli import main

ROOT = Path(__file__).parents[2]
NUCLEI = ROOT.parent / "shared" / "data" / "iwc_nuclei"
COUNTING = ROOT / "workflows" / "nuclei-counting" / "nuclei-counting.gxwf.yml"

pytestmark = pytest.mark.skipif(not NUCLEI.is_dir(), reason="the published workflow's data are not beside the checkout")


def words_of(step: str) -> list[str]:
    """What the workflow says of the method of a step, on the command line."""
    workflow = yaml.safe_load(COUNTING.read_text())
    state = workflow["steps"][step]["tool_state"]["operation"]
    values = {key: value for key, value in state.items() if value is not None}
    return [f"--{key.replace('_', '-')}={value}" for key, value in values.items()]


def run(*words: str) -> None:
    assert main([*words, "--workers", "1"]) == 0


def count(folder: Path, sigma: float = 3) -> Path:
    """Run the steps that count, in blocks that cut through nuclei; the labels."""
    smooth, mask, labels = (str(folder / f"{name}.ome.zarr") for name in ("smooth", "mask", "labels"))
    image = str(NUCLEI / "input_image.tiff")
    block = ["--block", "48,80"]
    run("filter", image, *words_of("smooth"), "--sigma", str(sigma), "--output", smooth, *block)
    run("threshold", smooth, *words_of("threshold"), "--output", mask, *block)
    run("label", mask, *words_of("label"), "--output", labels, *block)
    run("measure", "--labels", labels, "--image", image, "--output", str(folder / "objects.tsv"), "--summary",
        str(folder / "count.tsv"))  # fmt: skip
    return Path(labels)


def test_nuclei_counting_is_what_its_authors_published(tmp_path: Path) -> None:
    found = np.asarray(zarr.open_array(count(tmp_path) / "0", mode="r")[...])
    np.testing.assert_array_equal(found, tifffile.imread(NUCLEI / "label_image.tiff"))
    (row,) = csv.DictReader((tmp_path / "count.tsv").read_text().splitlines(), dialect="excel-tab")
    published = int((NUCLEI / "objects_count.tabular").read_text().split()[-1])
    assert int(row["objects"]) == published == 20


def test_mutant_another_smoothing_is_seen(tmp_path: Path) -> None:
    found = np.asarray(zarr.open_array(count(tmp_path, 2) / "0", mode="r")[...])
    assert not np.array_equal(found, tifffile.imread(NUCLEI / "label_image.tiff"))
