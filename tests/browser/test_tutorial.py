"""The tutorial as a person does it: its hands-on boxes, by clicks, with the words that they name."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from skimage import filters
from tests.browser.histories import rename, uploaded
from tests.browser.pages import Galaxy, Item, ToolForm
from tests.browser.reports import file_of, picture, reported
from tests.browser.results import results_of, rows_of, voxels_of
from tests.test_tutorials import CELLS, parts, text
from tests.tutorials import MAIN, filled, prose, steps_of

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


def preset(inputs: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What a form says before anything is filled in, by name."""
    for entry in inputs:
        if entry["type"] == "conditional":
            yield from preset([entry["test_param"], *(one for case in entry["cases"] for one in case["inputs"])])
        elif entry["type"] == "section":
            yield from preset(entry["inputs"])
        else:
            yield entry["name"], entry.get("value")


def fill_in(form: ToolForm, values: dict[str, Any], datasets: dict[str, Item]) -> None:
    """Fill in what a form does not say already; datasets are those that the text named before."""
    there = list(preset(form.told["inputs"]))
    for name, value in values.items():
        if value in datasets:
            form.pick(name, datasets[value])
        elif isinstance(value, bool):
            form.switch(name, value)
        elif next(one for key, one in there if key == name) in (value, [value]):
            continue
        elif form.field(name).locator(".multiselect").count():
            form.choose(name, str(value))
        else:
            form.type(name, str(value))


def per_time(rows: list[dict[str, str]]) -> str:
    """What the tutorial says of a summary."""
    first, second = (row["objects"] for row in rows)
    return f"{first} at the first time point and {second} at the second"


def test_the_hands_on_boxes_lead_to_the_answers(galaxy: Galaxy, tmp_path: Path) -> None:
    """All that are about the image of the repository; forms are filled in while the jobs before them run."""
    said = prose(parts(text())[0])
    galaxy.log_in("analyst")
    galaxy.new_history()
    datasets = dict(zip([CELLS.name], uploaded(galaxy, CELLS), strict=True))
    summaries = []
    *steps, by_workflow = steps_of(parts(text())[0])
    for number, step in enumerate(steps):
        problems: list[str] = []
        values = filled(step, problems)
        assert problems == []
        form = galaxy.tool(step.id)
        fill_in(form, values, datasets)
        galaxy.shot(f"tutorial-{number:02}")
        made = form.run()
        if step.result:
            datasets[step.result] = made[MAIN.get(step.id.removeprefix("chunkwise_"), "output")]
            rename(datasets[step.result], step.result)
        if "summary_table" in made:
            summaries.append(made["summary_table"])

    assert by_workflow.id == "workflow"
    form = galaxy.own_workflow(file_of("nuclei-counting"), by_workflow.name)
    for field in by_workflow.fields:
        if field.value in datasets:
            form.pick(field.label, datasets[field.value])
        else:
            form.type(field.label, str(field.value))
    galaxy.shot("tutorial-workflow")
    invocation = form.run()
    invocation.report()
    reader, results = results_of(invocation, "analyst")
    overlay = Image.open(BytesIO(reader.content(results["Overlay"])))
    reported(galaxy, invocation, picture(*overlay.size), "tutorial-report")
    assert f"{per_time(rows_of(reader, results['Count']))}, as by hand." in said

    smooth = [ndimage.gaussian_filter(volume, 1) for volume in tifffile.imread(CELLS)[:, 0]]
    expected = [ndimage.label(volume > filters.threshold_otsu(volume))[0] for volume in smooth]
    labels = datasets["labels"].wait()
    np.testing.assert_array_equal(np.squeeze(voxels_of(labels, "analyst", tmp_path)), expected)
    for summary in summaries:
        found = rows_of(reader, reader.wait(summary.wait().told["id"]))
        assert per_time(found) in said
    counts = [row["objects"] for row in rows_of(reader, reader.wait(summaries[0].told["id"]))]
    assert counts == [str(one.max()) for one in expected]
    assert [one.name for one in summaries] == ["labels: summary", "larger labels: summary"]
