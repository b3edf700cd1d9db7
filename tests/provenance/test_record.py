from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkwise.errors import InputError
from chunkwise.provenance.record import Recorder, RunRecord, identity_of, parse_record
from chunkwise.storage.location import Location


def test_a_record_survives_its_json(chain: list[RunRecord]) -> None:
    for record in chain:
        assert parse_record(record.to_json()) == record


def test_parameters_keep_their_types(chain: list[RunRecord]) -> None:
    assert json.loads(chain[0].to_json())["parameters"] == {
        "sigma": 1.0,
        "fill_holes": False,
        "region": None,
        "block": [64, 64],
    }


def test_numpy_numbers_become_plain() -> None:
    recorder = Recorder("segment", {"block": np.array([3])[0], "level": np.float32(0.5)})
    recorder.result("thresholds", [np.uint16(7)])
    record = recorder.finish()
    assert json.loads(record.to_json())["results"] == {"thresholds": [7]}
    assert record.parameters == {"block": 3, "level": 0.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {"deep": {1, 2}}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="cannot hold"):
        Recorder("segment", {"sigma": value})


def test_the_software_is_named_in_a_fixed_order(chain: list[RunRecord]) -> None:
    names = list(chain[0].software)
    assert names[:2] == ["chunkwise", "python"]
    assert names[2:] == sorted(names[2:])
    assert {"numpy", "scipy", "scikit-image", "tensorstore", "zarr", "dask"} <= set(names)


def test_no_environment_but_what_was_set_for_chunkwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-secret")
    monkeypatch.setenv("SOME_TOKEN", "token-secret")
    monkeypatch.setenv("CHUNKWISE_AGENT_NAME", "Ann Example")
    monkeypatch.setenv("CHUNKWISE_GALAXY_TOOL_ID", "chunkwise_segment")
    record = Recorder("segment", {}).finish()
    assert "secret" not in record.to_json()
    assert record.agent == {"name": "Ann Example"}
    assert record.galaxy == {"id": "chunkwise_segment"}


def test_a_location_below_a_root_is_recorded_without_the_root_s_path() -> None:
    location = Location("/facility/images/day 1/a.ome.zarr", "images", "/facility/images", "/facility/images")
    resource = Recorder("segment", {}).input("image", "image", location)
    assert (resource.root, resource.location) == ("images", "day 1/a.ome.zarr")


def test_a_relative_path_is_recorded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Recorder("open", {}).input("image", "image", "a.ome.zarr").location == str(tmp_path / "a.ome.zarr")
    url = "https://images.example.org/a.ome.zarr"
    assert Recorder("open", {}).input("image", "image", url).location == url


def test_an_output_file_is_described_once_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "objects.tsv"
    file.touch()
    assert Recorder("measure", {}).output("output", "table", file).fingerprint is None
    file.write_bytes(b"label\n1\n")
    resource = Recorder("measure", {}).output("output", "table", file)
    assert resource.size == 8
    assert resource.fingerprint is not None
    assert resource.fingerprint["value"] == hashlib.sha256(b"label\n1\n").hexdigest()
    copy = tmp_path / "galaxy_dataset.dat"
    copy.write_bytes(b"label\n1\n")
    assert Recorder("fetch", {}).output("output", "table", copy).identity == resource.identity


def test_identity_follows_the_bytes_only_where_all_were_read() -> None:
    full = {"level": "full", "algorithm": "sha256", "value": "ab"}
    weak = full | {"level": "metadata"}
    assert identity_of("/a", None, full) == identity_of("/b", "root", full)
    assert identity_of("/a", None, weak) != identity_of("/b", None, weak)
    assert identity_of("/a", None, weak) != identity_of("/a", None, weak | {"value": "cd"})
    assert identity_of("/a", None, weak) == identity_of("/a", None, dict(weak))


def test_a_fingerprint_of_level_none_is_no_fingerprint() -> None:
    resource = Recorder("open", {}).input("image", "image", "/a", fingerprint={"level": "none"})
    assert resource.fingerprint is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chunkwise_record": 2}, "newer chunkwise"),
        ({"chunkwise_record": None}, "newer chunkwise"),
        ({"id": "1"}, "urn:uuid"),
        ({"command": "../../etc"}, "not a command"),
        ({"command": 3}, "no text in 'command'"),
        ({"status": "maybe"}, "completed or failed"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": "2026-13-40T00:00:00.000+00:00"}, "ISO 8601"),
        ({"end": "2026-01-01T00:00:00"}, "time zone"),
        ({"inputs": {}}, "no list"),
        ({"inputs": ["x"]}, "not a JSON object"),
        ({"inputs": [{"name": "image"}]}, "lacks the key"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"software": {"numpy": 2}}, "no text in 'numpy'"),
        ({"workers": [1]}, "not a JSON object"),
        ({"results": {"x": float("nan")}}, "nan"),
    ],
)
def test_a_record_that_was_tampered_with_is_refused(chain: list[RunRecord], change: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RunRecord.from_dict(chain[0].to_dict() | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "film"}, "one of"),
        ({"identity": "urn:uuid:1"}, "urn:uuid"),
        ({"size": -1}, "whole number"),
        ({"size": True}, "whole number"),
        ({"modified": "today"}, "ISO 8601"),
        ({"fingerprint": {"level": "full"}}, "no text in 'algorithm'"),
        ({"description": []}, "not a JSON object"),
    ],
)
def test_a_resource_that_was_tampered_with_is_refused(chain: list[RunRecord], change: Any, words: str) -> None:
    content = chain[0].to_dict()
    content["inputs"][0] |= change
    with pytest.raises(InputError, match=words):
        RunRecord.from_dict(content)


@pytest.mark.parametrize("key", ["id", "command", "parameters", "inputs", "outputs", "software", "start", "end"])
def test_a_missing_key_is_named(chain: list[RunRecord], key: str) -> None:
    content = chain[0].to_dict()
    del content[key]
    with pytest.raises(InputError, match=f"lacks the key '{key}'"):
        RunRecord.from_dict(content)


@pytest.mark.parametrize("text", ["", "nonsense", "[" * 100_000, '{"a":' * 100_000])
def test_what_is_not_json_gets_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="not JSON"):
        parse_record(text)


def test_nesting_has_a_limit(chain: list[RunRecord]) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(InputError, match="nested too deep"):
        RunRecord.from_dict(chain[0].to_dict() | {"results": {"x": deep}})


def test_runs_of_a_process_begin_one_after_the_other() -> None:
    starts = [Recorder("segment", {}).start for _ in range(20)]
    assert starts == sorted(set(starts))
