"""Forms of tools, filled and run by clicks: what comes out is held against tifffile, SciPy and scikit-image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from playwright.sync_api import expect
from scipy import ndimage
from skimage import filters
from tests.browser.pages import Galaxy
from tests.browser.results import a_stack, voxels_of

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


def test_a_tiff_is_brought_in_filtered_and_thresholded(galaxy: Galaxy, tmp_path: Path) -> None:
    """From a file on the person's own machine, each form on the result of the last one."""
    file = a_stack(tmp_path)
    volume = tifffile.imread(file)
    galaxy.log_in("analyst")
    galaxy.new_history()
    upload = galaxy.upload()
    upload.choose(file)
    galaxy.shot("tiff-upload")
    (uploaded,) = upload.start()
    uploaded.wait()

    form = galaxy.tool("chunkwise_convert")
    form.pick("image", uploaded)
    galaxy.shot("tiff-form")
    brought = form.run()["output"].wait()
    galaxy.shot("tiff-brought-in")
    found = voxels_of(brought, "analyst", tmp_path / "brought")
    np.testing.assert_array_equal(found, volume)

    form = galaxy.tool("chunkwise_filter")
    form.pick("image", brought)
    form.choose("method", "median")
    form.type("size", "5")
    galaxy.shot("filter-form")
    filtered = form.run()["output"].wait()
    smooth = ndimage.median_filter(volume, 5)
    assert (smooth != volume).mean() > 0.5
    np.testing.assert_array_equal(voxels_of(filtered, "analyst", tmp_path / "filtered"), smooth)

    form = galaxy.tool("chunkwise_threshold")
    form.pick("image", filtered)
    form.choose("method", "li")
    form.choose("foreground", "dark")
    galaxy.shot("threshold-form")
    mask = form.run()["output"].wait()
    galaxy.shot("threshold-done")
    dark = smooth <= filters.threshold_li(smooth)
    assert 0.2 < dark.mean() < 0.8
    np.testing.assert_array_equal(voxels_of(mask, "analyst", tmp_path / "mask") > 0, dark)
    assert [item.name for item in (brought, filtered, mask)] == [
        "stack: image",
        "stack: filtered (median)",
        "stack: mask (li)",
    ]


def test_a_wrong_channel_is_said_in_one_sentence(galaxy: Galaxy) -> None:
    """The field of the form is named; there are no options of a command line on a page."""
    galaxy.log_in("site")
    galaxy.new_history()
    form = galaxy.tool("chunkwise_open")
    form.choose_text("store", "Cells, two channels, over time (3-D)")
    cells = form.run()["reference"].wait()
    form = galaxy.tool("chunkwise_segment")
    form.pick("image", cells)
    form.type("channel", "DAPY")
    labels = form.run()["labels"].wait("error")
    info = labels.expand().locator(".info")
    info.wait_for()
    galaxy.shot("wrong-channel")
    # The box in the history has room for three lines, and begins with what went wrong.
    told, end = info.inner_text().strip().splitlines()
    assert end == "chunkwise: end of job, exit code 2"
    galaxy.click(labels.box.locator('a[href$="/error"]'))
    messages = galaxy.page.locator("#dataset-error-job-messages pre")
    expect(messages).to_have_count(1)
    galaxy.shot("wrong-channel-message")
    sentence = messages.inner_text().strip().removeprefix("Fatal error: ")
    assert told == f"chunkwise segment: error: {sentence}"
    assert re.fullmatch(r"images:[\w.]+ has no channel 'DAPY'; it has 0 \(DAPI\), 1 \(GFP\)\.", sentence)

    form = labels.run_again("chunkwise_segment")
    form.type("channel", "DAPI")
    galaxy.shot("wrong-channel-mended")
    assert form.run()["labels"].wait().name == "Cells, two channels, over time (3-D), DAPI: labels"
