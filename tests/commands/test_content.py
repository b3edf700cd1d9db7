"""What the record says of a result's voxels is what numpy says of the store as a whole, whatever the blocks."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.blocks.journal import Entry
from chunkwise.cli import main
from killing import at_line
from made_models import image_store
from whole_content import whole_content

MADE = Path(__file__).parents[2] / "test-data"
COINS, CELLS, MOVIE = (MADE / f"{name}.ome.zarr" for name in ("coins_2d", "cells_zyx_v04", "cells_tczyx"))
SPLIT = ["--fill-holes", "--min-size", 50, "--split", "distance"]

#: Every way to write a store: the words of the command.
CASES: dict[str, list[Any]] = {
    "segment": ["segment", COINS],
    "segment, several time points": ["segment", MOVIE, "--channel", 0],
    "segment, 3-D, no pyramid": ["segment", CELLS, "--no-pyramid"],
    "segment --split": ["segment", COINS, *SPLIT],
    "segment, nothing found": ["segment", COINS, "--threshold", 300],
    "segment --split, mostly empty": ["segment", COINS, *SPLIT, "--threshold", 230],
    "objects": ["objects", MADE / "discs_maps.ome.zarr"],
    "objects, stardist": ["objects", MADE / "discs_stars.ome.zarr", "--method", "stardist"],
    "objects, threshold": ["objects", MADE / "discs_maps.ome.zarr", "--method", "threshold"],
    "fetch": ["fetch", COINS],
    "fetch, several channels": ["fetch", MOVIE],
    "fetch, floats": ["fetch", MADE / "discs_maps.ome.zarr"],
    "fetch, region in a zip file": ["fetch", COINS, "--region", "10:200,30:250", "--format", "ozx"],
    "predict": ["predict", MOVIE, "--channel", 0, "--model", "nuclei"],
    "predict, uint8": ["predict", COINS, "--model", "nuclei", "--dtype", "uint8"],
}


def content_of(record: Path) -> dict[str, Any]:
    (output,) = (one for one in json.loads(record.read_text())["outputs"] if one["name"] == "output")
    found: dict[str, Any] = output["description"]["content"]
    return found


def result(words: list[Any], folder: Path, name: str, *more: Any) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Run a command; what its record says, and the array as zarr-python reads it."""
    output, record = folder / f"{name}.{'ozx' if 'ozx' in words else 'ome.zarr'}", folder / f"{name}.json"
    assert main([str(word) for word in (*words, *more, "--output", output, "--record", record)]) == 0
    store: Any = zarr.storage.ZipStore(output, mode="r") if output.is_file() else output
    group = zarr.open_group(store, mode="r")
    array: Any = group["0"]
    return content_of(record), np.asarray(array[...])


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_numpy_says_of_the_whole_store(name: str, tmp_path: Path) -> None:
    words = CASES[name]
    flat = words[1] != CELLS and words[1] != MOVIE
    small = ["--block", "40,50" if flat else "3,20,30", "--shard", "64,64" if flat else "4,32,32"]
    whole, array = result(words, tmp_path, "whole", "--workers", 1)
    assert whole == whole_content(array)
    parted, again = result(words, tmp_path, "parted", "--workers", 1, *small)
    np.testing.assert_array_equal(array, again)
    assert parted == whole


def test_workers_change_nothing(tmp_path: Path) -> None:
    small = ["--block", "40,50", "--shard", "64,64"]
    alone, array = result(CASES["segment --split"], tmp_path, "alone", "--workers", 1, *small)
    several, _ = result(CASES["segment --split"], tmp_path, "several", "--workers", 2, *small)
    assert alone == several == whole_content(array)


def test_shards_that_are_not_written_are_counted(tmp_path: Path) -> None:
    """Of three quarters nothing is stored, since they hold nothing but the fill value."""
    image = np.zeros((128, 128), np.uint16)
    image[70:90, 70:100] = 1000
    store = image_store(tmp_path, image, "yx")
    for name, words in {"copied": ["fetch", store], "labelled": ["segment", store, "--split", "distance"]}.items():
        found, array = result(words, tmp_path, name, "--workers", 1, "--shard", "64,64")
        assert [file.name for file in (tmp_path / f"{name}.ome.zarr" / "0" / "c").rglob("*") if file.is_file()] == ["1"]
        assert found == whole_content(array)
        assert (found["voxels"], found["minimum"]) == (128 * 128, 0)


def test_maps_of_floats_that_are_no_numbers(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(100, 90)).astype(np.float32)
    image[3, 4], image[70, 80], image[99, 0] = np.nan, np.inf, -np.inf
    found, array = result(["fetch", image_store(tmp_path, image, "yx")], tmp_path, "piece", "--shard", "32,32")
    assert found == whole_content(array)
    assert found["not_finite"] == 3


def interrupted(words: list[Any], output: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop a run when it has written half of its 30 units; the command that goes on."""

    def stop() -> None:
        raise KeyboardInterrupt

    command = [str(word) for word in (*words, "--output", output, "--shard", "64,64", "--workers", 1)]
    with monkeypatch.context() as patched:
        at_line(patched, 15, stop)
        assert main(command) == 130
    assert len(list((output.parent / f"{output.name}.partial" / "0" / "c").rglob("*"))) > 5
    return command


@pytest.mark.parametrize("lost", [False, True], ids=["as it was", "an object is lost"])
def test_a_run_that_is_resumed_says_the_same(lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = interrupted(CASES["fetch"], tmp_path / "piece.ome.zarr", monkeypatch)
    if lost:  # its unit is written again, so that the journal has two lines about it
        (tmp_path / "piece.ome.zarr.partial" / "0" / "c" / "1" / "1").unlink()
    assert main([*command, "--record", str(tmp_path / "record.json")]) == 0
    array = np.asarray(zarr.open_array(tmp_path / "piece.ome.zarr" / "0", mode="r")[...])
    assert content_of(tmp_path / "record.json") == whole_content(array)


def test_a_run_that_an_earlier_chunkwise_began_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than the sums of what was done since."""
    command = interrupted(CASES["fetch"], tmp_path / "piece.ome.zarr", monkeypatch)
    (segment,) = (tmp_path / "piece.ome.zarr.run" / "journal").glob("*.jsonl")
    entries = [entry for line in segment.read_bytes().splitlines(keepends=True) if (entry := Entry.parse(line))]
    segment.write_bytes(b"".join(replace(entry, content=None).line() for entry in entries))
    assert main([*command, "--record", str(tmp_path / "record.json")]) == 0
    with pytest.raises(KeyError, match="content"):
        content_of(tmp_path / "record.json")


def test_mutant_two_voxels_swapped_in_the_store(tmp_path: Path) -> None:
    """Everything but the position-sensitive sum stays what it was."""
    found, array = result(CASES["fetch"], tmp_path, "piece")
    one, other = np.argwhere(array == array.min())[0], np.argwhere(array == array.max())[-1]
    store: Any = zarr.open_array(tmp_path / "piece.ome.zarr" / "0", mode="r+")
    store[tuple(one)], store[tuple(other)] = array.max(), array.min()
    swapped = whole_content(np.asarray(store[...]))
    assert swapped.pop("position_sum") != found.pop("position_sum")
    assert swapped == found


def test_the_crate_says_it_also_where_a_later_run_read_the_result(tmp_path: Path) -> None:
    reference, crate = tmp_path / "labels.json", tmp_path / "crate.zip"
    found, _ = result(["segment", COINS], tmp_path, "objects", "--reference", reference)
    words = ["measure", "--labels", reference, "--image", COINS, "--output", tmp_path / "t.tsv", "--crate", crate]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main([str(word) for word in words]) == 0
    with zipfile.ZipFile(crate) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    (value,) = (entity["value"] for entity in graph if entity.get("name") == "content")
    assert json.loads(value) == found
