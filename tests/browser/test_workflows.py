"""What a newcomer does: the first ten clicks, and the tour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
import zarr
from playwright.sync_api import expect
from scipy import ndimage
from skimage import filters, measure
from tests.browser.pages import JOB, REPORT, Galaxy
from tests.browser.reports import file_of, name_of, picture, reported, wait_in_report
from tests.browser.results import results_of, voxels

from galaxy_server import ROOT, RUN

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

NUCLEI = file_of("nuclei-segmentation")
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
