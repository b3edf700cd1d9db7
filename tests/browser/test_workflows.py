"""Workflows as a person runs them: the first ten clicks, each file imported and run, and the tour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
import zarr
from playwright.sync_api import expect
from scipy import ndimage
from skimage import filters, measure, segmentation
from tests.browser.histories import uploaded
from tests.browser.pages import JOB, REPORT, Galaxy
from tests.browser.reports import file_of, name_of, picture, reported, wait_in_report
from tests.browser.results import results_of, voxels

from galaxy_server import ROOT, RUN
from made_models import whole_image
from whole_objects import parameters_of, reference_objects

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

NUCLEI, COUNTING = file_of("nuclei-segmentation"), file_of("nuclei-counting")
CELLS, MODEL = file_of("voronoi-cells"), file_of("model-segmentation")
TOUR = ROOT / "deploy/galaxy/example/tours/chunkwise.yml"


def coins_of_the_whole_image(sigma: float, smallest: int) -> np.ndarray:
    """The coins by SciPy and scikit-image."""
    image = np.asarray(zarr.open_array(RUN / "images" / "coins_2d.ome.zarr" / "0", mode="r")[:])
    smooth = ndimage.gaussian_filter(image, sigma)
    objects = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)), connectivity=2)
    sizes = np.bincount(objects.ravel())
    kept = [number for number in range(1, len(sizes)) if sizes[number] >= smallest]
    table = np.zeros(len(sizes), np.uint32)
    table[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(table[objects])


def test_the_first_ten_clicks(galaxy: Galaxy, tmp_path: Path) -> None:
    """From the login to labels over an image, a table and a report; nothing is typed, no address is known."""
    galaxy.log_in("site")
    galaxy.new_history()
    galaxy.clicks = 0
    galaxy.tool("chunkwise_open").run()["reference"].wait()
    galaxy.shot("newcomer-1-image")
    form = galaxy.public_workflow(name_of(NUCLEI))
    galaxy.shot("newcomer-2-workflow")
    invocation = form.run()
    report = reported(galaxy, invocation, picture(384, 303), "newcomer-3-report")
    assert galaxy.clicks < 10
    assert "nuclei" in report.inner_text().lower()

    reader, results = results_of(invocation, "site")
    expected = coins_of_the_whole_image(1, 50)
    rows = reader.content(results["Table of nuclei"]).decode().splitlines()[1:]
    assert [int(row.split("\t")[2]) for row in rows] == np.bincount(expected.ravel())[1:].tolist()
    np.testing.assert_array_equal(voxels(reader, results["Labels"], tmp_path), expected)


def test_the_published_way_to_count_nuclei(galaxy: Galaxy, tmp_path: Path) -> None:
    """From a TIFF of the person's own machine to a count, a table and a picture; by SciPy's call on the whole image."""
    galaxy.log_in("analyst")
    galaxy.new_history()
    (image,) = uploaded(galaxy, ROOT / "test-data" / "coins_2d.tif")
    form = galaxy.own_workflow(COUNTING, name_of(COUNTING))
    form.pick("Image", image)
    galaxy.shot("counting-1-form")
    invocation = form.run()
    reported(galaxy, invocation, picture(768, 606), "counting-2-report")

    reader, results = results_of(invocation, "analyst")
    smooth = ndimage.gaussian_filter(tifffile.imread(ROOT / "test-data" / "coins_2d.tif"), 3)
    expected, count = ndimage.label(smooth > filters.threshold_otsu(smooth))
    np.testing.assert_array_equal(voxels(reader, results["Labels"], tmp_path), expected)
    head, row = (line.split("\t") for line in reader.content(results["Count"]).decode().splitlines())
    assert int(row[head.index("objects")]) == count == 22


def test_a_model_by_a_workflow_imported_from_its_file(galaxy: Galaxy, tmp_path: Path) -> None:
    """The shipped file is chosen in the page, and its form filled; maps by bioimageio.core, objects by scikit-image."""
    galaxy.log_in("site")
    galaxy.new_history()
    image = galaxy.tool("chunkwise_open").run()["reference"].wait()
    form = galaxy.own_workflow(MODEL, name_of(MODEL))
    form.pick("Image", image)
    form.type("Smallest object", "60")
    galaxy.shot("model-1-form")
    invocation = form.run()
    reported(galaxy, invocation, picture(384, 303), "model-2-report")

    reader, results = results_of(invocation, "site")
    coins = np.asarray(zarr.open_array(RUN / "images" / "coins_2d.ome.zarr" / "0", mode="r")[:])
    maps = voxels(reader, results["Maps"], tmp_path / "maps")
    package = ROOT / "models" / "nuclei"
    # The network takes multiples of 16.
    np.testing.assert_allclose(maps, whole_image(package, coins[None, None], (304, 384))[0], atol=1e-4)
    how = yaml.safe_load((package / "rdf.yaml").read_text())["config"]["chunkwise"]["objects"]
    parameters = parameters_of(how["method"], 2, **how["parameters"] | {"min_size": 60})
    expected = reference_objects({name: maps[number] for name, number in how["channels"].items()}, parameters)
    np.testing.assert_array_equal(voxels(reader, results["Labels"], tmp_path / "labels")[0], expected)
    rows = reader.content(results["Table of objects"]).decode().splitlines()[1:]
    sizes = np.bincount(expected.ravel())[1:].tolist()
    assert [int(row.split("\t")[2]) for row in rows] == sizes
    assert sizes
    wait_in_report(galaxy, f"document.body.innerText.includes('{len(sizes)} objects in ')")


def test_cells_around_seeds_and_nuclei_by_workflows_imported_from_their_files(galaxy: Galaxy, tmp_path: Path) -> None:
    """Seeds and image are TIFFs of the person's own machine; by scikit-image's call on the whole image."""
    coins = tifffile.imread(ROOT / "test-data" / "coins_2d.tif")
    seeds = np.asarray(zarr.open_array(ROOT / "test-data" / "coins_2d_labels.ome.zarr" / "0", mode="r")[:]) > 0
    tifffile.imwrite(tmp_path / "seeds.tif", np.where(seeds, 255, 0).astype("uint8"))
    galaxy.log_in("analyst")
    galaxy.new_history()
    spots, image = uploaded(galaxy, tmp_path / "seeds.tif", ROOT / "test-data" / "coins_2d.tif")
    form = galaxy.own_workflow(CELLS, name_of(CELLS))
    form.pick("Seeds", spots)
    form.pick("Image", image)
    form.type("Threshold", "80")
    galaxy.shot("cells-1-form")
    invocation = form.run()
    reported(galaxy, invocation, picture(384, 303), "cells-2-report")
    reader, results = results_of(invocation, "analyst")
    nearest = segmentation.expand_labels(measure.label(seeds), 1000)
    expected = nearest * (ndimage.gaussian_filter(coins, 3) > 80) * ~seeds
    np.testing.assert_array_equal(voxels(reader, results["Cells"], tmp_path / "cells"), expected)

    form = galaxy.own_workflow(NUCLEI, name_of(NUCLEI))
    form.pick("Image", image)
    invocation = form.run()
    reported(galaxy, invocation, picture(384, 303), "nuclei-report")
    reader, results = results_of(invocation, "analyst")
    labels = voxels(reader, results["Labels"], tmp_path / "labels")
    np.testing.assert_array_equal(labels, coins_of_the_whole_image(1, 50))


def test_the_tour_leads_to_a_report(galaxy: Galaxy) -> None:
    """Step by step to its end; a person does what a step asks for, and clicks *Continue*."""
    page = galaxy.page
    galaxy.log_in("site")
    galaxy.new_history()
    page.goto(f"{galaxy.url}/tours/chunkwise")
    steps = yaml.safe_load(TOUR.read_text())["steps"]
    for number, step in enumerate(steps, 1):
        expect(page.locator(".tour-title")).to_have_text(step["title"], timeout=JOB)
        if "element" in step:
            expect(page.locator(step["element"]).first).to_be_visible()
        galaxy.shot(f"tour-{number:02}")
        if step["title"] == "Choose the workflow":
            galaxy.form_of(name_of(NUCLEI))
        if step["title"] == "Wait until it is done":
            expect(page.locator(f"#center {REPORT}")).to_be_visible(timeout=2 * JOB)
        if number < len(steps):
            galaxy.click(page.locator(".tour-next"))
    wait_in_report(galaxy, picture(384, 303))
    galaxy.shot("tour-report")
    galaxy.click(page.locator(".tour-end"))
    expect(page.locator(".tour-element")).to_have_count(0)
