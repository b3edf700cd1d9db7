"""``chunkwise objects`` on real stores: as the model says, equal to the whole image, and clear about bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.operations.objects import METHODS
from chunkwise.ops import objects, seeds
from chunkwise.ops.maps import values_of
from whole_objects import parameters_of, reference_objects

MADE = Path(__file__).parents[2] / "test-data"
MAPS, STARS = MADE / "discs_maps.ome.zarr", MADE / "discs_stars.ome.zarr"
ALL = {
    "foreground-boundary": ["--seed-threshold", "0.4", "--min-size", "5"],
    "foreground-distance": ["--channels", "foreground=0,distance=distance"],
    "flows": ["--channels", "flow_y=3,flow_x=4,probability=5", "--steps", "60"],
    "stardist": [],
}


def labels_of(store: Path) -> Any:
    return zarr.open_array(store / "0", mode="r")[...]


def run(folder: Path, *words: str, maps: Path = MAPS) -> tuple[Any, dict[str, Any]]:
    """Run the command; gives the labels and the record."""
    place = folder / f"{len(list(folder.iterdir()))}.ome.zarr"
    record = place.with_suffix(".json")
    assert main(["objects", str(maps), "--output", str(place), "--record", str(record), *words]) == 0
    return labels_of(place), json.loads(record.read_text())


def test_the_model_says_how_and_the_person_has_the_last_word(tmp_path: Path) -> None:
    array: Any = zarr.open_array(MAPS / "0", mode="r")
    maps = {"foreground": values_of(array[0]), "boundary": values_of(array[1])}
    labels, record = run(tmp_path, "--block", "17,23", "--shard", "32,32")
    expected = parameters_of("foreground-boundary", 2, seed_threshold=0.4, min_size=5)
    np.testing.assert_array_equal(labels[0], reference_objects(maps, expected))
    assert labels.max() == 15
    assert record["results"]["objects"] == [15]
    assert record["results"]["unsplit"] == {"count": 0, "first": []}
    known = record["parameters"]
    assert known["method"] == "foreground-boundary"
    assert (known["threshold"], known["seed_threshold"], known["min_size"]) == (0.5, 0.4, 5)
    assert known["channels"] == "foreground=0,boundary=1"
    assert known["model"] == f"perfect {'0' * 64}"
    assert not {"steps", "grid", "min_distance"} & set(known), "options of other methods are no parameters of this"

    labels, record = run(tmp_path, "--min-size", "0", "--seed-threshold", "0.9", "--threshold", "0.3")
    expected = parameters_of("foreground-boundary", 2, seed_threshold=0.9, threshold=0.3)
    np.testing.assert_array_equal(labels[0], reference_objects(maps, expected))
    # What the model says of one method says nothing of another.
    _, record = run(tmp_path, "--method", "threshold")
    assert (record["parameters"]["min_size"], record["results"]["objects"]) == (0, [2])


@pytest.mark.parametrize("method", ALL)
def test_workers_and_blocks_change_no_byte(tmp_path: Path, method: str) -> None:
    maps = STARS if method == "stardist" else MAPS
    digests = set()
    for block, workers in (("96,96", 1), ("13,31", 1), ("32,20", 2)):
        output = tmp_path / f"{workers}-{block}.ome.zarr"
        words = ["objects", str(maps), "--output", str(output), "--method", method, "--shard", "32,32"]
        if workers == 2 and method in ("flows", "foreground-distance"):
            continue  # workers take long to come; the passes are those of foreground-boundary
        assert main([*words, *ALL[method], "--block", block, "--workers", str(workers)]) == 0
        digests.add(made_stores.digest(output))
        assert labels_of(output).max() == 15
    assert len(digests) == 1


def test_time_region_and_level(tmp_path: Path) -> None:
    """The cut comes first, for every map."""
    entry = made_stores.multiscale("tcyx", 1)
    store = made_stores.write(tmp_path / "maps.ome.zarr", "0.5", "tcyx", (3, 2, 96, 96), "float16", entry, chunk=32)
    whole: Any = zarr.open_array(MAPS / "0", mode="r")[:2]
    zarr.open_array(store / "0", mode="r+")[...] = np.stack([0 * whole, whole, whole[:, ::-1, ::-1]])
    folder = tmp_path / "out"
    folder.mkdir()
    words = ["--method", "foreground-boundary", "--time", "1:3", "--region", "5:70,20:96", "--block", "20,20"]
    labels, _ = run(folder, *words, maps=store)
    assert labels.shape == (2, 1, 65, 76)
    for found, part in zip(labels[:, 0], (whole, whole[:, ::-1, ::-1]), strict=True):
        cut = values_of(part[:, 5:70, 20:96])
        maps = {"foreground": cut[0], "boundary": cut[1]}
        np.testing.assert_array_equal(found, reference_objects(maps, parameters_of("foreground-boundary", 2)))


def test_a_killed_run_of_stardist_ends_with_the_same_bytes(tmp_path: Path) -> None:
    words = ["objects", str(STARS), "--method", "stardist", "--block", "12,12", "--shard", "12,12", "--workers", "1"]
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    words += ["--output", str(tmp_path / "killed.ome.zarr")]
    process = subprocess.Popen(
        [sys.executable, "-m", "chunkwise.cli", *words],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = tmp_path / "killed.ome.zarr.run" / "journal"

    def lines() -> int:
        content = b"".join(file.read_bytes() for file in journal.glob("*.jsonl")) if journal.is_dir() else b""
        return content.count(b'"pass":"decide-1"')

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and lines() < 6:
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert lines() < 64, "the pass was over before the run was killed"
    assert main(words) == 0
    assert made_stores.digest(tmp_path / "killed.ome.zarr") == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, record = run(tmp_path, "--method", "stardist", "--max-radius", "9", maps=STARS)
    left_out = record["results"]["left_out"]
    assert len(left_out) == 1
    assert left_out[0]["count"] > 10
    assert left_out[0]["largest_radius"] > 9
    assert labels.max() < 15 or record["results"]["rounds"] > 0
    said = capsys.readouterr().err
    assert f"the polygons of {left_out[0]['count']} pixels reach farther than --max-radius 9" in said
    place = left_out[0]["place"]
    assert f"from pixel {place[0]},{place[1]} of time point 0" in said


def test_too_large_groups_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeds, "BYTES_A_VOXEL", 10**6)
    labels, record = run(tmp_path, "--workers", "1", "--memory", "1GiB")
    assert labels.max() == 2
    assert record["results"]["unsplit"]["count"] == 1
    assert "1 object was too large for --memory to be split, and stayed whole: object 1" in capsys.readouterr().err


def test_every_method_can_be_chosen() -> None:
    assert ["auto", *objects.METHODS] == list(METHODS)


# --- bad input ---


def store_saying(folder: Path, says: Any, axes: str = "cyx", dtype: str = "float32") -> Path:
    """Maps of nothing, and what a model is to have said of them."""
    shape = {"yx": (16, 16), "cyx": (2, 16, 16), "czyx": (17, 4, 16, 16)}[axes]
    store = made_stores.write(folder / "maps.ome.zarr", "0.5", axes, shape, dtype, made_stores.multiscale(axes, 1))
    document = json.loads((store / "zarr.json").read_text())
    document["attributes"]["chunkwise"] = says
    (store / "zarr.json").write_text(json.dumps(document))
    return store


BOUNDARY = {"method": "foreground-boundary"}
WRONG: list[tuple[Any, list[str], str]] = [
    (None, [], "does not say how its maps become objects; give --method, one of threshold, foreground-boundary"),
    ({"objects": {}}, [], "does not say how its maps become objects"),
    ({"objects": "stardist"}, [], "gives as 'objects' is not a table of settings"),
    ({"objects": {"method": "magic"}}, [], "asks for the method 'magic'"),
    ({"objects": BOUNDARY | {"parameters": [1]}}, [], "gives as 'parameters' of 'objects' is not a table"),
    ({"objects": BOUNDARY | {"parameters": {"steps": 3}}}, [], "gives 'steps', which is not a parameter of"),
    ({"objects": BOUNDARY | {"parameters": {"threshold": "0.5"}}}, [], "gives as threshold has to be a finite number"),
    ({"objects": BOUNDARY | {"parameters": {"fill_holes": 1}}}, [], "gives as fill_holes has to be true or false"),
    ({"objects": BOUNDARY | {"channels": {"boundary": 7}}}, [], "has no channel '7'"),
    ({"objects": BOUNDARY | {"channels": {"boundary": [1]}}}, [], "gives [1] as the channel of 'boundary'"),
    (None, ["--method", "flows"], "has 2 channel(s), and the method flows needs probability, flow_y, flow_x"),
    (None, ["--method", "stardist"], "has distances along 1 ray(s) from channel 1 on"),
    (None, ["--method", "threshold", "--threshold", "nan"], "--threshold nan has to be a finite number"),
    (None, ["--method", "threshold", "--connectivity", "3"], "--connectivity 3 has to be between 1 and 2"),
    (None, ["--method", "threshold", "--min-distance", "3"], "--min-distance is not an option of the method threshold"),
    (None, ["--method", "stardist", "--fill-holes"], "--fill-holes is not an option of the method stardist"),
    (None, ["--method", "foreground-distance", "--min-distance", "0"], "--min-distance 0 has to be a whole number"),
    (None, ["--method", "threshold", "--channels", "boundary=1"], "is not what the method threshold needs"),
    (None, ["--method", "threshold", "--channels", "0"], "is not what the method threshold needs: foreground=N"),
    (None, ["--method", "threshold", "--block", "8"], "--block needs 2 sizes"),
]


@pytest.mark.parametrize(
    ("says", "words", "sentence"), WRONG, ids=lambda value: "" if isinstance(value, dict) else None
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], says: Any, words: list[str], sentence: str
) -> None:
    store = store_saying(tmp_path, says)
    assert main(["objects", str(store), "--output", str(tmp_path / "l.ome.zarr"), *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps.ome.zarr"]


def test_maps_that_cannot_mean_what_a_method_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = store_saying(tmp_path, None, "czyx", "uint8")
    words = ["objects", str(store), "--output", str(tmp_path / "l.ome.zarr"), "--method"]
    assert main([*words, "flows"]) == 2
    assert "write the maps as float16 or float32" in capsys.readouterr().err
    assert main([*words, "threshold", "--threshold", "128"]) == 2
    assert "stand for 0 to 1; --threshold 128 is outside that range" in capsys.readouterr().err
    made_stores.change_json(store / "0" / "zarr.json", lambda content: content.update(data_type="float32"))
    assert main([*words, "stardist"]) == 2
    assert "StarDist's objects are 2-D only" in capsys.readouterr().err
