"""A form that was filled in wrongly: what the page says, and how it is mended."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.browser.pages import Galaxy

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


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
