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
from playwright.sync_api import Browser, expect
from scipy import ndimage
from skimage import measure, segmentation
from tests.browser.conftest import window
from tests.browser.histories import built_list, look_into, uploaded
from tests.browser.pages import Galaxy, Invocation, Item
from tests.browser.reports import file_of, name_of, picture, reported, wait_in_report
from tests.browser.results import results_of, rows_of, voxels

from galaxy_server import ROOT, User
from made_models import whole_image
from published_workflows import whole_screen, whole_spots, whole_staining
from whole_objects import parameters_of, reference_objects

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

SLIDE, COINS, CELLS = (ROOT / "test-data" / name for name in ("tissue_rgb.tif", "coins_2d.tif", "cells_tczyx.ome.tif"))
Results = tuple[User, dict[str, dict[str, Any]]]


def coin_seeds() -> np.ndarray[Any, Any]:
    """A mask of the coins, whose parts are seeds."""
    return np.asarray(zarr.open_array(ROOT / "test-data" / "coins_2d_labels.ome.zarr" / "0", mode="r")[:]) > 0


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
            label = name.replace("_", " ")
            if isinstance(value, Item):
                form.pick(label, value)
            elif form.field(label).locator(".multiselect").count():
                form.choose(label, value)
            else:
                form.type(label, value)
        self.galaxy.shot(f"{workflow}-1-form")
        self.started[workflow] = form.run()

    def reported(self, workflow: str, what: str) -> Results:
        """Open the report of one when it has run; all that it gave, under names that a person can read."""
        invocation = self.started[workflow]
        invocation.open()
        reported(self.galaxy, invocation, what, f"{workflow}-2-report")
        expect(self.galaxy.page.locator("body")).not_to_contain_text(" object at 0x")
        found = results_of(invocation, "site")
        assert found[1].keys() == yaml.safe_load(file_of(workflow).read_text())["outputs"].keys()
        return found

    def look_into(self, name: str, what: str) -> None:
        """As the report says: open a list in the history, and click the eye of what is in it."""
        look_into(self.galaxy, name, lambda: wait_in_report(self.galaxy, what))
        self.galaxy.shot(name.replace(": ", "-"))


def said(text: str) -> str:
    """There is such a text."""
    return f"document.body.innerText.includes({json.dumps(text)})"


@pytest.fixture(scope="module")
def running(chromium: Browser, galaxy_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All of them, so that who looks at one has not to wait for the next."""
    with window(chromium, galaxy_url) as galaxy:
        galaxy.log_in("site")
        galaxy.new_history()
        seeds = tmp_path_factory.mktemp("seeds") / "seeds.tif"
        tifffile.imwrite(seeds, np.where(coin_seeds(), 255, 0).astype("uint8"))
        slide, coins, cells, marks = uploaded(galaxy, SLIDE, COINS, CELLS, seeds)
        form = galaxy.tool("chunkwise_open")
        form.choose_text("store", "Coins (2-D)")
        reference = form.run()["reference"].wait()
        running = Running(galaxy)
        running.start("model-segmentation", Image=reference, Smallest_object="60")
        running.start("staining-area", Slides=built_list(galaxy, "slides", [slide]), Stain="DAB")
        running.start("hela-screen", Images=built_list(galaxy, "screen", [reference]))
        running.start("voronoi-cells", Seeds=marks, Image=coins, Threshold="80")
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


def test_a_model(running: Running, tmp_path: Path) -> None:
    """Maps by bioimageio.core, objects by scikit-image."""
    reader, results = running.reported("model-segmentation", picture(384, 303))
    maps = voxels(reader, results["Maps"], tmp_path / "maps")
    package = ROOT / "models" / "nuclei"
    # The network takes multiples of 16.
    whole = whole_image(package, tifffile.imread(COINS)[None, None], (304, 384))[0]
    np.testing.assert_allclose(maps, whole, atol=1e-4)
    how = yaml.safe_load((package / "rdf.yaml").read_text())["config"]["chunkwise"]["objects"]
    parameters = parameters_of(how["method"], 2, **how["parameters"] | {"min_size": 60})
    expected = reference_objects({name: maps[number] for name, number in how["channels"].items()}, parameters)
    np.testing.assert_array_equal(voxels(reader, results["Labels"], tmp_path / "labels")[0], expected)
    sizes = np.bincount(expected.ravel())[1:].tolist()
    assert [int(row["num_pixels"]) for row in rows_of(reader, results["Table of objects"])] == sizes != []
    wait_in_report(running.galaxy, said(f"{len(sizes)} objects in "))


def test_cells_around_seeds(running: Running, tmp_path: Path) -> None:
    """Seeds and image are TIFFs of the person's own machine."""
    reader, results = running.reported("voronoi-cells", picture(384, 303))
    seeds, smooth = coin_seeds(), ndimage.gaussian_filter(tifffile.imread(COINS), 3)
    nearest = segmentation.expand_labels(measure.label(seeds), 1000)
    np.testing.assert_array_equal(voxels(reader, results["Cells"], tmp_path), nearest * (smooth > 80) * ~seeds)


def test_the_stained_area_of_a_list_of_slides(running: Running, tmp_path: Path) -> None:
    """A TIFF of the person's own machine, in a list."""
    reader, results = running.reported("staining-area", said("tissue_rgb"))
    running.look_into("slides: overlay", picture(128, 128))
    even, stained = whole_staining(tifffile.imread(SLIDE))
    np.testing.assert_array_equal(np.moveaxis(voxels(reader, results["Evened slides"], tmp_path / "even"), 0, -1), even)
    np.testing.assert_array_equal(voxels(reader, results["Stained area"], tmp_path / "area")[0], stained)
    (row,) = rows_of(reader, results["Share of the area"])
    assert float(row["share"]) == stained.mean()


def test_the_nuclei_of_a_screen_on_the_storage(running: Running, tmp_path: Path) -> None:
    """A reference, in a list."""
    reader, results = running.reported("hela-screen", said("Coins (2-D)"))
    running.look_into("screen: overlay", picture(384, 303))
    objects, nuclei = whole_screen(tifffile.imread(COINS))
    np.testing.assert_array_equal(voxels(reader, results["All objects"], tmp_path / "all"), objects)
    np.testing.assert_array_equal(voxels(reader, results["Nuclei"], tmp_path / "nuclei"), nuclei)
    sizes = [int(row["num_pixels"]) for row in rows_of(reader, results["Tables of nuclei"])]
    assert sizes == [size for size in np.bincount(nuclei.ravel())[1:] if size]


def test_spots(running: Running, tmp_path: Path) -> None:
    reader, results = running.reported("spots-2d", picture(384, 303))
    _, blobs, marks = whole_spots(tifffile.imread(COINS), 0.3)
    np.testing.assert_array_equal(voxels(reader, results["Labels of the spots"], tmp_path), marks)
    rows = [[float(row[name]) for name in ("y", "x", "sigma")] for row in rows_of(reader, results["Table of spots"])]
    assert rows == blobs.tolist()
    assert len(rows) > 10


def test_a_tiff_becomes_an_ome_zarr_that_says_what_it_shows(running: Running, tmp_path: Path) -> None:
    """What the form was given stands in the OME-Zarr and in the RO-Crate."""
    reader, results = running.reported("convert-and-publish", said("The same"))
    np.testing.assert_array_equal(voxels(reader, results["OME-Zarr"], tmp_path), tifffile.imread(CELLS))
    store = tmp_path / results["OME-Zarr"]["metadata_store_root"]
    metadata: Any = zarr.open_group(store, mode="r").attrs["ome"]
    assert [one["label"] for one in metadata["omero"]["channels"]] == ["DNA", "membrane"]
    scale = metadata["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale[2:] == [2, 0.25, 0.25]
    assert "The same" in reader.content(results["Verification"]).decode()
    with zipfile.ZipFile(io.BytesIO(reader.content(results["RO-Crate"]))) as archive:
        graph = archive.read("ro-crate-metadata.json").decode()
    terms = ("Drawn cells", "obo/NCBITaxon_9606", "obo/FBbi_00000251", "cells that a program drew", "CC0-1.0")
    assert [one for one in terms if one not in graph] == []
