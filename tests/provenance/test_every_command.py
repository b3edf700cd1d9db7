"""The crates of every command that writes one, and of the chains of both workflows, hold to their profiles.

Each is written by the command itself, of a real run, and judged without a network at what a crate must and should
have; one check is left out, which fires on the workflow file in a crate of a chain, although the profile allows it.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import build_parser, main, summaries
from chunkwise.provenance.validate import _SKIPPED, profile_of, validate_crate
from made_models import make_package
from outputs_world import KERNELS, plain_method

MADE = Path(__file__).parents[2] / "test-data"
COINS = MADE / "coins_2d.ome.zarr"

#: Of each crate: the command that wrote it, and those whose runs it tells.
CHAINS = {
    "fetch": ["fetch"],
    "convert": ["convert"],
    "compare": ["compare"],
    "overlay": ["overlay"],
    "points": ["points"],
    "math": ["math"],
    "spots": ["spots"],
    "segment": ["segment"],
    "predict": ["predict"],
    "objects": ["predict", "objects"],
    "measure": ["segment", "measure"],
    "measure of a model's": ["predict", "objects", "measure"],
    **{family: [family] for family in KERNELS},
}


@pytest.fixture(scope="session")
def crates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run every command once, handing references on as Galaxy does."""
    folder = tmp_path_factory.mktemp("chains")
    by = {"method": "foreground-boundary", "channels": {"foreground": 0, "boundary": 1}}
    model = make_package(folder / "tiny", extra={"config": {"chunkwise": {"objects": by}}})
    found: dict[str, Path] = {}

    def run(name: str, *words: Any) -> str:
        crate, reference = folder / f"{len(found)}.zip", folder / f"{len(found)}.json"
        reports = ["--crate", crate, "--reference", reference, "--workers", 1]
        assert main([str(word) for word in (*words, *reports)]) == 0
        found[name] = crate
        return str(reference)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # without a site file, a reference is followed below the working directory only
        run("convert", "convert", COINS, "--output", folder / "again.ome.zarr")
        run("fetch", "fetch", COINS, "--region", "0:50,0:60", "--output", folder / "piece.ome.zarr")
        two = MADE / "coins_2d_labels.ome.zarr", MADE / "coins_2d_predicted.ome.zarr"
        run("compare", "compare", *two, "--output", folder / "compared.json")
        run("math", "math", COINS, "--b", two[0], "--expression", "a/(b+1)", "--output", folder / "math.ome.zarr")
        run("spots", "spots", COINS, "--output", folder / "spots.tsv")
        run("overlay", "overlay", COINS, "--labels", two[0], "--output", folder / "drawn.png")
        circles = MADE / "coins_2d_points.tsv"
        run("points", "points", COINS, "--points", circles, "--output", folder / "circles.ome.zarr")
        labels = run("segment", "segment", COINS, "--output", folder / "labels.ome.zarr")
        for family in KERNELS:
            how = ["--method", plain_method(family)]
            run(family, family, COINS, *how, "--output", folder / f"{family}.ome.zarr")
        measure = ["measure", "--image", COINS, "--output"]
        run("measure", *measure, folder / "coins.tsv", "--labels", labels)
        maps = run("predict", "predict", COINS, "--model", model, "--output", folder / "maps.ome.zarr")
        labels = run("objects", "objects", maps, "--output", folder / "objects.ome.zarr")
        run("measure of a model's", *measure, folder / "objects.tsv", "--labels", labels)
    return found


def entities(crate: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(crate) as archive:
        graph: list[dict[str, Any]] = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    return graph


def test_no_command_is_left_out() -> None:
    writers = set()
    for command in summaries():
        (parsers,) = (one for one in build_parser(command)._actions if isinstance(one, argparse._SubParsersAction))
        if "--crate" in parsers.choices[command]._option_string_actions:
            writers.add(command)
    assert writers == {runs[-1] for runs in CHAINS.values()}


@pytest.mark.parametrize("name", CHAINS)
def test_its_crate_is_valid(crates: dict[str, Path], name: str) -> None:
    profile = "process-run-crate" if len(CHAINS[name]) == 1 else "provenance-run-crate"
    assert profile_of(crates[name]) == profile
    assert validate_crate(crates[name], level="recommended") == []


def test_one_check_only_is_left_out() -> None:
    assert _SKIPPED == {"provenance-run-crate": ["process-run-crate-0.5_5.1"]}


@pytest.mark.parametrize("name", CHAINS)
def test_its_crate_tells_every_run(crates: dict[str, Path], name: str) -> None:
    graph = entities(crates[name])
    actions = [one for one in graph if one["@type"] == "CreateAction" and one["@id"] != "#workflow-run"]
    assert [action["name"] for action in actions] == [f"chunkwise {command}" for command in CHAINS[name]]
    assert all(action["actionStatus"] == "http://schema.org/CompletedActionStatus" for action in actions)
    assert len(graph) < 220


def test_stores_lie_in_place_with_size_date_and_fingerprint(crates: dict[str, Path]) -> None:
    graph = {one["@id"]: one for one in entities(crates["segment"])}
    (labels,) = (one for one in graph.values() if one.get("name") == "labels.ome.zarr")
    assert labels["@type"] == "Dataset"
    folder = Path(labels["contentUrl"].removeprefix("file://"))
    assert int(labels["contentSize"]) == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert labels["dateModified"] == graph["#segment-1"]["endTime"]
    identity, mark = labels["identifier"]
    assert identity == f"urn:uuid:{labels['@id'].removeprefix('#')}"
    assert graph[mark["@id"]]["propertyID"] == "sha256-manifest"
    assert len(graph[mark["@id"]]["value"]) == 64


def test_the_model_is_an_entity_of_the_runs_that_used_it(crates: dict[str, Path]) -> None:
    graph = {one["@id"]: one for one in entities(crates["objects"])}
    (model,) = (one for one in graph.values() if one.get("additionalType") == "https://w3id.org/fair4ml/MLModel")
    assert model["name"] == "Tiny model"
    assert len(model["sha256"]) == 64
    assert model["license"]["@id"] == "https://spdx.org/licenses/CC0-1.0"
    assert model["citation"] == "10.5281/zenodo.0000000"
    for action in ("#predict-1", "#objects-2"):
        assert {"@id": model["@id"]} in graph[action]["object"]
