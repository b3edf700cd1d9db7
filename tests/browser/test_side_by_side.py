"""Workflows started from the page one after the other, and looked at when they have run; held to literal calls."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
import zarr
from playwright.sync_api import Browser, Locator
from tests.browser.conftest import window
from tests.browser.histories import built_list, uploaded
from tests.browser.pages import Galaxy, Invocation, Item
from tests.browser.reports import file_of, name_of, picture, reported
from tests.browser.results import results_of, rows_of, voxels

from galaxy_server import ROOT, User
from published_workflows import whole_screen, whole_spots, whole_staining

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

SLIDE, COINS, CELLS = (ROOT / "test-data" / name for name in ("tissue_rgb.tif", "coins_2d.tif", "cells_tczyx.ome.tif"))
Results = tuple[User, dict[str, dict[str, Any]]]


class Running:
    """Workflows that a person has started, by the names of their folders."""

    def __init__(self, galaxy: Galaxy) -> None:
        self.galaxy = galaxy
        self.started: dict[str, Invocation] = {}

    def start(self, workflow: str, **given: Item | str) -> None:
        """Import the file, fill in the form, and run; labels of inputs are written with ``_`` for a space."""
        file = file_of(workflow)
        form = self.galaxy.own_workflow(file, name_of(file))
        for name, value in given.items():
            if isinstance(value, Item):
                form.pick(name.replace("_", " "), value)
            else:
                form.type(name.replace("_", " "), value)
        self.galaxy.shot(f"{workflow}-1-form")
        self.started[workflow] = form.run()

    def reported(self, workflow: str, what: str) -> tuple[Locator, *Results]:
        """Open the report of one when it has run; and all that it gave."""
        invocation = self.started[workflow]
        invocation.open()
        report = reported(self.galaxy, invocation, what, f"{workflow}-2-report")
        reader, results = results_of(invocation, "site")
        assert results.keys() == yaml.safe_load(file_of(workflow).read_text())["outputs"].keys()
        return report, reader, results


@pytest.fixture(scope="module")
def running(chromium: Browser, galaxy_url: str) -> Iterator[Running]:
    """All of them, so that who looks at one has not to wait for the next."""
    with window(chromium, galaxy_url) as galaxy:
        galaxy.log_in("site")
        galaxy.new_history()
        slide, coins, cells = uploaded(galaxy, SLIDE, COINS, CELLS)
        form = galaxy.tool("chunkwise_open")
        form.choose_text("store", "Coins (2-D)")
        reference = form.run()["reference"].wait()
        running = Running(galaxy)
        running.start("staining-area", Slides=built_list(galaxy, "slides", [slide]), Stain="DAB")
        running.start("hela-screen", Images=built_list(galaxy, "screen", [reference]))
        running.start("spots-2d", Image=coins, Smallest_response="0.3")
        running.start(
            "convert-and-publish",
            Image=cells,
            Voxel_size="2,0.25,0.25",
            Names_of_the_channels="DNA,membrane",
            Title="Drawn cells",
            Organism="Homo sapiens (NCBI:txid9606)",
            Imaging_method="confocal microscopy (FBbi:00000251)",
            Specimen="cells that a program drew",
        )
        yield running


def test_the_stained_area_of_a_list_of_slides(running: Running, tmp_path: Path) -> None:
    """A TIFF of the person's own machine, in a list."""
    _, reader, results = running.reported("staining-area", picture(192, 128))
    even, stained = whole_staining(tifffile.imread(SLIDE))
    np.testing.assert_array_equal(np.moveaxis(voxels(reader, results["Evened slides"], tmp_path / "even"), 0, -1), even)
    np.testing.assert_array_equal(voxels(reader, results["Stained area"], tmp_path / "area")[0], stained)
    (row,) = rows_of(reader, results["Share of the area"])
    assert float(row["share"]) == stained.mean()


def test_the_nuclei_of_a_screen_on_the_storage(running: Running, tmp_path: Path) -> None:
    """A reference, in a list."""
    _, reader, results = running.reported("hela-screen", picture(384, 303))
    objects, nuclei = whole_screen(tifffile.imread(COINS))
    np.testing.assert_array_equal(voxels(reader, results["All objects"], tmp_path / "all"), objects)
    np.testing.assert_array_equal(voxels(reader, results["Nuclei"], tmp_path / "nuclei"), nuclei)
    sizes = [int(row["num_pixels"]) for row in rows_of(reader, results["Tables of nuclei"])]
    assert sizes == [size for size in np.bincount(nuclei.ravel())[1:] if size]


def test_spots(running: Running, tmp_path: Path) -> None:
    _, reader, results = running.reported("spots-2d", picture(384, 303))
    _, blobs, marks = whole_spots(tifffile.imread(COINS), 0.3)
    np.testing.assert_array_equal(voxels(reader, results["Labels of the spots"], tmp_path), marks)
    rows = [[float(row[name]) for name in ("y", "x", "sigma")] for row in rows_of(reader, results["Table of spots"])]
    assert rows == blobs.tolist()
    assert len(rows) > 10


def test_a_tiff_becomes_an_ome_zarr_that_says_what_it_shows(running: Running, tmp_path: Path) -> None:
    """What the form was given stands in the OME-Zarr and in the RO-Crate."""
    _, reader, results = running.reported("convert-and-publish", picture(64, 48))
    np.testing.assert_array_equal(voxels(reader, results["OME-Zarr"], tmp_path), tifffile.imread(CELLS))
    store = tmp_path / results["OME-Zarr"]["metadata_store_root"]
    metadata: Any = zarr.open_group(store, mode="r").attrs["ome"]
    assert [one["label"] for one in metadata["omero"]["channels"]] == ["DNA", "membrane"]
    scale = metadata["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale[2:] == [2, 0.25, 0.25]
    assert "The same" in reader.content(results["Verification"]).decode()
    with zipfile.ZipFile(io.BytesIO(reader.content(results["RO-Crate"]))) as archive:
        graph = archive.read("ro-crate-metadata.json").decode()
    said = ("Drawn cells", "obo/NCBITaxon_9606", "obo/FBbi_00000251", "cells that a program drew", "CC0-1.0")
    assert [one for one in said if one not in graph] == []
    assert json.loads(graph)
