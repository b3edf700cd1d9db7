"""A job that runs: its page says how far it is, and the dustbins of its results stop it."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from tests.browser.pages import JOB, SECONDS, Galaxy

from galaxy_server import RUN
from made_models import image_store

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

JOBS = RUN / "data" / "jobs_directory"
WORKSPACE = RUN / "workspace"
NAME = "stopped_by_the_dustbin"


def runs_of(name: str) -> list[Path]:
    """What the workspace keeps of runs on an image that have not come to their end."""
    return [plan.parents[1] for plan in WORKSPACE.glob(".runs/*/*/run/plan.json") if name in plan.read_text()]


@pytest.fixture
def noise() -> Iterator[str]:
    """An image on the site's storage whose medians take minutes; its name. What a stopped run keeps is removed."""
    numbers = np.random.default_rng(4).integers(0, 60000, (32, 256, 1024), np.uint16)
    store = image_store(RUN / "images", numbers, "zyx", f"noise-{time.time_ns()}.ome.zarr")
    yield store.name
    for folder in (store, *runs_of(store.name)):
        shutil.rmtree(folder)


def working() -> dict[int, Path]:
    """Processes that work in the folder of a job, and that folder."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            folder = process.joinpath("cwd").readlink()
        except OSError:
            continue  # it has ended
        if folder.is_relative_to(JOBS):
            found[int(process.name)] = JOBS.joinpath(*folder.relative_to(JOBS).parts[:2])
    return found


def test_a_job_says_how_far_it_is_and_the_dustbins_stop_it(galaxy: Galaxy, noise: str) -> None:
    galaxy.log_in("site")
    galaxy.new_history()
    form = galaxy.tool("chunkwise_open")
    form.choose("kind", "location")
    form.type("location", f"images:{noise}")
    image = form.run()["reference"].wait()
    form = galaxy.tool("chunkwise_filter")
    form.pick("image", image)
    form.choose("method", "median")
    form.type("size", "15")
    form.choose("where", "workspace")
    form.type("to_workspace", NAME)
    # There shall be many blocks, and none that takes long: a job that is stopped ends those that it has begun.
    form.type("block", "16,64,64")
    form.type("shard", "16,64,64")
    outputs = form.run()
    expect(outputs["reference"].box).to_have_attribute("data-state", "running", timeout=JOB)

    stderr = outputs["reference"].details().locator("#stderr")
    expect(stderr).to_contain_text(re.compile(r"write\s+[1-9]\d*/128 blocks.*left \d+"), timeout=JOB)
    # Of several lines the page shows the first, and all of them after a click on the arrows.
    galaxy.click(stderr.locator("svg").last)
    galaxy.page.mouse.wheel(0, 400)
    galaxy.shot("job-progress")
    processes = working()
    (folder,) = set(processes.values())

    for output in outputs.values():
        output.delete()
    galaxy.shot("job-stopped")
    expect(galaxy.page.locator("#current-history-panel .content-item")).to_have_count(1)
    end = time.monotonic() + JOB / SECONDS
    while (processes.keys() & working().keys() or folder.exists()) and time.monotonic() < end:
        time.sleep(1)
    assert not processes.keys() & working().keys()
    assert not folder.exists()
    # It was stopped on its way: what it had keeps the journal company, and nothing has the name of the result.
    (run,) = runs_of(noise)
    assert 0 < len(list(run.glob("store.partial/0/c/*/*/*"))) < 128
    assert list(WORKSPACE.rglob(f"{NAME}*")) == []
