"""The tutorial is what happens: its steps fit the forms, are run as written, and lead to its answers and pictures."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.tools.test_xml import tool_of
from tests.tutorials import Run, Step, filled, prose, steps_of, unfounded, workflow_problems

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorials" / "nuclei-counting" / "tutorial.md"
WORKFLOW = yaml.safe_load((ROOT / "workflows" / "nuclei-counting" / "nuclei-counting.gxwf.yml").read_text())
CELLS = ROOT / "test-data" / "cells_tczyx.ome.tif"
MICROGRAPH = ROOT.parent / "shared" / "data" / "iwc_nuclei" / "input_image.tiff"
#: From this heading on, the text is about an image that is not in the repository.
REAL = "\n# A real image\n"


def text() -> str:
    return TUTORIAL.read_text()


def parts(of: str) -> tuple[str, str]:
    """What is about the image of the repository, and what about the micrograph; the conclusion has no figures."""
    drawn, _, real = of.partition(REAL)
    return drawn, real


def rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines(), dialect="excel-tab"))


def per_time(summary: Path) -> str:
    first, second = (row["objects"] for row in rows(summary))
    return f"{first} at the first time point and {second} at the second"


def records(crate: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(crate) as archive:
        return [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("records/")]


def threshold_of(crate: Path) -> list[int]:
    (record,) = records(crate)
    return [one["threshold"] for one in record["results"]["statistics"]]


def run_steps(steps: list[Step], runner: Run) -> list[dict[str, Path]]:
    return [
        runner.workflow(WORKFLOW, {one.label: one.value for one in step.fields})
        if step.id == "workflow"
        else runner.step(step)
        for step in steps
    ]


def drawn_sentences(steps: list[Step], folder: Path) -> list[str]:
    """Run the steps on the drawn image, and say in the words of the tutorial what came out."""
    find = ["chunkwise_filter", "chunkwise_threshold", "chunkwise_label"]
    first_time = ["chunkwise_inspect", *find, "chunkwise_measure", "chunkwise_overlay"]
    assert [step.id for step in steps] == [*first_time, *find, "chunkwise_measure", "workflow"]
    made = run_steps(steps, Run(folder, {CELLS.name: CELLS}))
    inspect, _, mask, _, count, overlay, _, larger, _, joined, workflow = made
    image = json.loads(inspect["json"].read_text())
    t, c, z, y, x = image["shape"]
    size = " x ".join(f"{one:g}" for one in image["scale"][2:])
    first, second = threshold_of(mask["crate"])
    table = [row for row in rows(count["objects"]) if row["t"] == "0"]
    smallest, largest = (pick(table, key=lambda row: int(row["num_pixels"])) for pick in (min, max))
    dimmest, brightest = (pick(table, key=lambda row: float(row["intensity_max-DAPI"])) for pick in (min, max))
    assert (dimmest, brightest) == (smallest, largest)
    merged = max(int(row["num_pixels"]) for row in rows(joined["objects"]) if row["t"] == "0")
    shares = [f"{float(row['share']):.1%}".replace("%", " %") for row in rows(count["summary_table"])]
    drawn = re.search(r"DAPI: (\d) and (\d) balls", (ROOT / "test-data" / "README.md").read_text())
    assert drawn is not None
    same_picture(overlay["picture"], "outlines.png")
    known = {*table[0], *rows(count["summary_table"])[0]}
    named = re.findall(r"columns?\s(?:> )?`([^`]+)`(?: and `([^`]+)`)?", text())
    assert named
    assert {one for several in named for one in several if one} <= known
    names = " and ".join(one["name"] for one in image["channels"])
    low, high = smallest, largest
    return [
        f"DAPI, shows {drawn[1]} nuclei at the first time point and {drawn[2]} at the second.",
        f"It has {t} time points, {c} channels ({names}), and {z} planes of {y} x {x} voxels.",
        f"{size} micrometres (z, y, x).",
        f"{first} at the first time point, and {second} at the second.",
        f"{per_time(count['summary_table'])} (column `objects` of the summary): all that were drawn.",
        f"{shares[0]} and {shares[1]} (column `share`).",
        f"{low['num_pixels']} and {high['num_pixels']} voxels (column `num_pixels` of the table), which are"
        f" {float(low['area_physical']):g} and {float(high['area_physical']):g} cubic micrometres",
        f"Why is number {high['label']} the largest of the first time point, and number {low['label']} the smallest?",
        f"Number {brightest['label']} is the brightest of them, and number {dimmest['label']} the dimmest.",
        f"with a coloured outline and a number from 1 to {len(table)}",
        f"{per_time(joined['summary_table'])}.",
        f"Two nuclei have become one object of {merged} voxels: their blurred rims met above the threshold, which is"
        f" now {threshold_of(larger['crate'])[0]} instead of {first}. The largest nucleus had {high['num_pixels']}"
        " voxels before.",
        f"{per_time(workflow['count/summary_table'])}, as by hand.",
        f"It describes {len(records(workflow['crate/crate']))}: those by hand, and another",
    ]


def real_sentences(steps: list[Step], folder: Path) -> list[str]:
    """The same of the micrograph, on which the workflow runs twice."""
    assert [step.id for step in steps] == ["workflow"] * 2
    usual, less = run_steps(steps, Run(folder, {"nuclei.tiff": MICROGRAPH}))
    (row,), (other,) = rows(usual["count/summary_table"]), rows(less["count/summary_table"])
    published = int((MICROGRAPH.parent / "objects_count.tabular").read_text().split()[-1])
    assert int(row["objects"]) == published
    same_picture(usual["overlay/picture"], "nuclei.png")
    return [
        f"with red outlines and numbers from 1 to {row['objects']}",
        f"with a smoothing of {steps[0].fields[1].value}",
        f"It counts {row['objects']} nuclei, as many as the published workflow, with a threshold of"
        f" {threshold_of(usual['threshold/crate'])[0]}.",
        "Look at the numbers 2 and 15,",  # in the picture, which is the run's
        "Dim parts beside the numbers 2 and 15,",
        f"It counts {other['objects']} objects, and the smallest has {other['num_pixels_min']} voxels in place of"
        f" {row['num_pixels_min']}:",
    ]


def same_picture(made: Path, name: str) -> None:
    shown = TUTORIAL.parent / "images" / name
    assert np.array_equal(np.asarray(Image.open(made)), np.asarray(Image.open(shown))), f"copy {made} to {shown}"


def form_problems(of: str) -> list[str]:
    found: list[str] = []
    known = {CELLS.name, "nuclei.tiff"}
    for step in steps_of(of):
        if step.id == "workflow":
            found += workflow_problems(step, WORKFLOW)
            given = [one.value for one in step.fields if one.label == "Image"]
        else:
            values = filled(step, found)
            given = [values[name] for name in ("image", "labels") if name in values]
        found += [f"{step.name}: nothing is called {one!r} before" for one in given if one not in known]
        known.add(step.result)
    return found


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return drawn_sentences(steps_of(parts(text())[0]), tmp_path_factory.mktemp("drawn"))


def test_head_and_boxes_are_those_of_the_training_network() -> None:
    _, head, body = text().split("---\n", 2)
    told = yaml.safe_load(head)
    needed = {"layout", "title", "zenodo_link", "level", "questions", "objectives", "time_estimation", "key_points"}
    assert needed | {"contributions"} <= set(told)
    assert told["layout"] == "tutorial_hands_on"
    assert told["level"] in ("Introductory", "Intermediate", "Advanced")
    assert re.fullmatch(r"(\d+H)?(\d+M)?", told["time_estimation"])
    # Every box is closed by its class, in the order in which they were opened.
    open_boxes = []
    for line in body.splitlines():
        if opened := re.search(r"<(agenda|hands-on|question|solution)-title>.*</\1-title>", line):
            open_boxes.append(opened[1].replace("-", "_"))
        if closed := re.search(r"\{: \.(\w+)\}$", line):
            assert open_boxes.pop() == closed[1]
    assert open_boxes == []
    assert body.count("<question-title>") == body.count("<solution-title>") > 5


def test_every_form_is_filled_in_with_its_own_words() -> None:
    assert len(steps_of(text())) == 13
    assert form_problems(text()) == []


def test_datasets_to_look_at_are_called_so() -> None:
    results = {step.result for step in steps_of(text())}
    outputs = {str(one.get("label")).rpartition(": ")[2] for one in tool_of("measure").iter("data")}
    for name in re.findall(r"(?:icon of|that of) `([^`]+)`", text()):
        dataset, _, output = name.partition(": ")
        assert name in {*results, *WORKFLOW["outputs"]} or (dataset in results and output in outputs), name


def test_steps_on_the_drawn_image_lead_to_the_answers(drawn: list[str]) -> None:
    assert unfounded(parts(text())[0], drawn) == []


@pytest.mark.skipif(not MICROGRAPH.is_file(), reason="the published workflow's image is not beside the checkout")
def test_steps_on_the_micrograph_lead_to_the_answers(tmp_path: Path) -> None:
    part = parts(text())[1]
    assert unfounded(part, real_sentences(steps_of(part), tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('*"Smoothing (sigma)"*', '*"Sigma"*', "Filter an image, Gaussian filter has no 'Sigma'"),
        ('*"Summarise the image"*: `Yes`', '*"Summarise the image"*: `1`', "'1' is neither Yes nor No"),
        ("`Otsu threshold`", "`Otsu`", "Threshold an image, Method: 'Otsu' is no choice"),
        ("[Change labels](", "[Label objects](", "chunkwise_label is called 'Change labels', not 'Label objects'"),
        ("(chunkwise_overlay)", "(chunkwise_draw)", "there is no tool chunkwise_draw"),
        ('In *"Channels, time points and region"*', 'In *"Channel"*', "Filter an image has no 'Channel'"),
        ('*"Neighbours"*: `1`', '*"Neighbours"*: `4`', "4' is out of range"),
        ('*"Labels"*: `mask`', '*"Labels"*: `masks`', "Change labels: nothing is called 'masks' before"),
        ('*"Channel of the nuclei"*', '*"Channel"*', "Nuclei counting in place has no 'Channel'"),
        ("Run **Nuclei counting in place**", "Run **Nuclei counting**", "is called 'Nuclei counting in place'"),
    ],
)
def test_mutant_a_word_that_no_form_has_is_seen(old: str, new: str, said: str) -> None:
    assert old in text()
    assert any(said in one for one in form_problems(text().replace(old, new, 1)))


def test_mutant_every_figure_that_is_changed_is_seen(drawn: list[str]) -> None:
    """Each figure of the prose in turn, one higher in its last digit; and a sentence of which a run knows nothing."""
    part = parts(text())[0]
    figures = [found for found in re.finditer(r"\d", part) if prose(changed(part, found)) != prose(part)]
    assert len(figures) > 50
    for found in figures:
        assert unfounded(changed(part, found), drawn), part[found.start() - 30 : found.end() + 30]
    assert unfounded(part + "\nThere are 7 nuclei.\n", drawn)


def changed(part: str, found: re.Match[str]) -> str:
    return part[: found.start()] + str((int(found[0]) + 1) % 10) + part[found.end() :]


def test_mutant_another_smoothing_in_a_step_leads_elsewhere(tmp_path: Path) -> None:
    part = parts(text())[0]
    steps = steps_of(part.replace('*"Smoothing (sigma)"*: `1`', '*"Smoothing (sigma)"*: `2`', 1))[:5]
    *_, mask, _, count = run_steps(steps, Run(tmp_path, {CELLS.name: CELLS}))
    assert f"{threshold_of(mask['crate'])[0]} at the first time point" not in prose(part)
    assert rows(count["objects"])[0]["num_pixels"] != "357"
