from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chunkwise.errors import InputError
from chunkwise.provenance.crate import METADATA_FILE, PREVIEW_FILE, CrateDetails, build_crate, crate_files, in_order
from chunkwise.provenance.people import orcid_url
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.validate import validate_crate

SHARED = Path(__file__).parents[3] / "shared" / "rocrate"


def entities(files: dict[str, bytes]) -> dict[str, Any]:
    return {entity["@id"]: entity for entity in json.loads(files[METADATA_FILE])["@graph"]}


def links(value: Any) -> list[str]:
    return [link["@id"] for link in (value if isinstance(value, list) else [value])]


def test_the_crate_of_a_chain_is_valid(chain: list[RunRecord], tmp_path: Path) -> None:
    build_crate(chain, tmp_path / "crate.zip", attachments={"blocks-1.tsv.gz": b"table"})
    assert validate_crate(tmp_path / "crate.zip") == []


def test_the_crate_is_valid_for_the_original_validator_and_contexts(chain: list[RunRecord], tmp_path: Path) -> None:
    """The command line of rocrate-validator with the published context files, not with ours."""
    if not SHARED.is_dir():
        pytest.skip(f"the published JSON-LD contexts are not at {SHARED}")
    build_crate(chain, tmp_path / "crate.zip", attachments={"blocks-1.tsv.gz": b"table"})
    subprocess.run([sys.executable, SHARED / "seed_cache.py", tmp_path / "cache"], check=True)
    command: list[Any] = [Path(sys.executable).with_name("rocrate-validator"), "-y", "validate", "--no-paging"]
    command += ["--offline", "--cache-path", tmp_path / "cache", "-p", "provenance-run-crate", "-l", "recommended"]
    command += ["-s", "process-run-crate-0.5_5.1"]  # fires on a workflow that lies in the crate, as the profile allows
    done = subprocess.run([*command, tmp_path / "crate.zip"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_crate_with_every_detail_is_valid(chain: list[RunRecord], tmp_path: Path) -> None:
    details = CrateDetails(
        name="Nuclei",
        description="Nuclei of plate 7.",
        license="CC-BY-4.0",
        author_name="Ann Example",
        author_orcid="0000-0002-1825-0097",
        organization="Institute",
        organization_url="https://example.org/institute",
    )
    build_crate(chain[:1], tmp_path / "crate.zip", details=details)
    assert validate_crate(tmp_path / "crate.zip") == []


def test_what_the_batch_system_accounts_for_is_in_the_crate(chain: list[RunRecord]) -> None:
    files = crate_files(chain)
    found = entities(files)
    usage = {found[link]["propertyID"]: found[link]["value"] for link in links(found["#segment-1"]["resourceUsage"])}
    assert usage["jobs_submitted"] == 1
    assert usage["jobs_max_rss_bytes"] == 400_000_000
    assert "jobs_cpu_seconds" not in usage, "what is not known is left out, never 0"
    records = [
        json.loads(content) for name, content in files.items() if name.endswith(".json") and b"profile" in content
    ]
    assert any(record.get("cluster", {}).get("jobs", [{}])[0].get("nodes") == "node1" for record in records)


def test_a_failed_run_without_outputs_is_valid(tmp_path: Path) -> None:
    recorder = Recorder("segment", {})
    record = recorder.finish("failed", error="No threshold was found.")
    build_crate([record], tmp_path / "crate.zip")
    assert validate_crate(tmp_path / "crate.zip") == []
    action = entities(crate_files([record]))["#segment-1"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"] == "No threshold was found."


def without(entity: str, key: str) -> Any:
    return lambda graph: graph[entity].pop(key)


def status_as_object(graph: dict[str, Any]) -> None:
    graph["#segment-1"]["actionStatus"] = {"@id": "http://schema.org/CompletedActionStatus"}


def unknown_term(graph: dict[str, Any]) -> None:
    graph["#segment-1"]["resultOf"] = "x"


@pytest.mark.parametrize(
    ("kind", "mutate", "broken"),
    [
        ("process", without("#segment-1", "instrument"), [("required", "process-run-crate-0.5_1.1")]),
        ("process", status_as_object, [("recommended", "process-run-crate-0.5_8.7")]),
        ("process", without("records/segment-1.json", "encodingFormat"), [("recommended", "ro-crate-1.1_27.1")]),
        ("process", unknown_term, [("required", "ro-crate-1.1_3.1")]),
        (
            "provenance",
            without("workflow.json", "step"),
            [
                ("required", "provenance-run-crate-0.5_4.1"),  # once a step
                ("required", "provenance-run-crate-0.5_4.1"),
                ("recommended", "provenance-run-crate-0.5_11.1"),
            ],
        ),
        ("provenance", without("workflow.json", "conformsTo"), [("recommended", "workflow-ro-crate-1.0_8.1")]),
    ],
)
def test_a_crate_that_breaks_a_rule_is_caught(
    chain: list[RunRecord], tmp_path: Path, kind: str, mutate: Any, broken: list[tuple[str, str]]
) -> None:
    files = crate_files(chain, kind=kind)
    content = json.loads(files[METADATA_FILE])
    mutate({entity["@id"]: entity for entity in content["@graph"]})
    files[METADATA_FILE] = json.dumps(content).encode()
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    issues = validate_crate(tmp_path)
    assert [(issue.level, issue.check) for issue in issues] == broken


def test_an_output_that_is_the_next_input_is_one_entity(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain))
    shared = set(links(graph["#segment-1"]["result"])) & set(links(graph["#measure-2"]["object"]))
    assert len(shared) == 1
    assert graph[shared.pop()]["name"] == "labels of mine.ome.zarr"


def test_the_crate_says_what_was_done(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain))
    action = graph["#segment-1"]
    assert action["startTime"] == chain[0].start
    assert action["endTime"] == chain[0].end
    tool = graph[action["instrument"]["@id"]]
    assert tool["name"] == "chunkwise segment"
    program = graph[tool["softwareRequirements"]["@id"]]
    assert (program["name"], program["softwareVersion"]) == ("chunkwise", chain[0].software["chunkwise"])
    packages = {graph[name]["name"]: graph[name]["softwareVersion"] for name in links(program["softwareRequirements"])}
    assert {"chunkwise": program["softwareVersion"], **packages} == chain[0].software
    values = {graph[name]["name"]: graph[name].get("value") for name in links(action["object"])}
    assert values | {"sigma": 1.0, "fill_holes": False, "region": "not set", "block": "[64, 64]"} == values
    image = next(graph[name] for name in links(action["object"]) if graph[name]["name"] == "cells.ome.zarr")
    facts = {graph[name]["name"]: graph[name]["value"] for name in links(image["additionalProperty"])}
    assert facts["location"] == "/nowhere/cells.ome.zarr"
    assert facts["fingerprint (sha256, level metadata)"] == "cd" * 32
    assert facts["shape"] == "[2, 512, 512]"
    assert image["contentSize"] == "12345678"


def test_data_inside_a_store_are_named_with_the_store() -> None:
    recorder = Recorder("segment", {})
    identity = recorder.input("image", "image", "/somewhere/plate.zarr/A/1/0").identity.removeprefix("urn:uuid:")
    assert entities(crate_files([recorder.finish()]))[f"#{identity}"]["name"] == "plate.zarr/A/1/0"


def test_a_table_of_blocks_is_linked_to_its_run(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain, attachments={"blocks-1.tsv.gz": b"table"}))
    assert "blocks-1.tsv.gz" in links(graph["#segment-1"]["result"])
    assert "blocks-1.tsv.gz" not in links(graph["#measure-2"]["result"])


def test_the_size_does_not_depend_on_the_number_of_blocks(chain: list[RunRecord]) -> None:
    def size(blocks: int) -> int:
        record = replace(chain[0], blocks={"total": blocks, "done": blocks})
        return sum(len(content) for content in crate_files([record]).values())

    assert abs(size(10) - size(10_000_000)) < 100


def test_the_same_records_give_the_same_bytes(chain: list[RunRecord], tmp_path: Path) -> None:
    build_crate(chain, tmp_path / "a.zip", attachments={"x.tsv": b"1", "b.tsv": b"2"})
    build_crate([*reversed(chain), chain[0]], tmp_path / "b.zip", attachments={"b.tsv": b"2", "x.tsv": b"1"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_date_is_that_of_the_last_run_not_of_building(chain: list[RunRecord]) -> None:
    old = [replace(record, end=f"202{number}-02-03T23:30:00.000-02:00") for number, record in enumerate(chain)]
    assert entities(crate_files(old))["./"]["datePublished"] == "2021-02-04"


def test_only_words_are_in_the_zip(chain: list[RunRecord], tmp_path: Path) -> None:
    build_crate(chain, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        records = ["records/measure-2.json", "records/segment-1.json"]
        assert archive.namelist() == ["README.md", *records, METADATA_FILE, PREVIEW_FILE, "workflow.json"]
        assert json.loads(archive.read("records/segment-1.json")) == chain[0].to_dict()


def test_other_software_reads_the_crate(chain: list[RunRecord], tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    build_crate(chain, tmp_path / "a.zip")
    crate = ROCrate(tmp_path / "a.zip")
    assert [entity.id for entity in crate.root_dataset["mentions"]] == [
        "#segment-1",
        "#measure-2",
        "#workflow-run",
        "#organize",
    ]
    assert crate.dereference("#segment-1")["instrument"]["name"] == "chunkwise segment"
    assert crate.mainEntity.id == "workflow.json"


def test_runs_with_other_packages_are_other_instruments(chain: list[RunRecord]) -> None:
    other = replace(chain[1], software=chain[1].software | {"numpy": "1.0"})
    graph = entities(crate_files([chain[0], other], kind="process"))
    instruments = [graph[step]["instrument"]["@id"] for step in ("#segment-1", "#measure-2")]
    assert len(set(instruments)) == 2
    assert all(graph[name]["softwareVersion"] == chain[0].software["chunkwise"] for name in instruments)


def test_the_oldest_run_comes_first_also_across_time_zones(chain: list[RunRecord]) -> None:
    early = replace(chain[0], start="2026-01-01T10:00:00.000+05:00")
    late = replace(chain[1], start="2026-01-01T06:00:00.000+00:00")
    assert in_order([late, early]) == [early, late]


def test_two_records_under_one_id_are_refused(chain: list[RunRecord]) -> None:
    with pytest.raises(InputError, match="differ"):
        in_order([chain[0], replace(chain[0], parameters={})])
    with pytest.raises(InputError, match="no run record"):
        in_order([])


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", METADATA_FILE, ".hidden"])
def test_an_attachment_may_not_choose_any_name(chain: list[RunRecord], name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        crate_files(chain, attachments={name: b""})


def test_the_page_reads_well_and_escapes(chain: list[RunRecord]) -> None:
    evil = replace(chain[0], parameters={"<script>alert(1)</script>": "<img src=x>"})
    page = crate_files([evil, chain[1]])[PREVIEW_FILE].decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "Step 1: segment" in page
    assert "(from step 1)" in page
    assert "11.8 MiB" in page
    assert "axes c, y (micrometer), x (micrometer)" in page
    assert "levels 2" in page
    assert "1234.5" in page


def test_building_changes_no_record(chain: list[RunRecord]) -> None:
    before = copy.deepcopy(chain)
    crate_files(chain)
    assert chain == before


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("0000-0002-1825-0097", True),
        ("https://orcid.org/0000-0002-1694-233X", True),
        ("0000-0002-1825-0098", False),
        ("0000-0002-1825", False),
        (None, False),
    ],
)
def test_orcids_are_checked_by_their_last_character(text: str | None, valid: bool) -> None:
    assert (orcid_url(text) is not None) is valid


def test_what_was_read_at_the_place_of_an_output_is_that_output() -> None:
    """Named by its path, a store is known by its metadata only; the run that wrote it knows every byte."""
    full = {"level": "full", "algorithm": "sha256-manifest", "value": "ab" * 32}
    weak = {"level": "metadata", "algorithm": "sha256-manifest", "value": "cd" * 32}
    place = "/nowhere/labels.ome.zarr"

    def read(fingerprint: dict[str, Any]) -> RunRecord:
        measure = Recorder("measure", {})
        measure.input("labels", "labels", place, fingerprint=fingerprint)
        return measure.finish()

    before = read(weak)
    time.sleep(0.002)  # records know milliseconds
    segment = Recorder("segment", {})
    segment.output("output", "labels", place, fingerprint=full)
    made = segment.finish()
    time.sleep(0.002)
    after, other = read(weak), read(full | {"value": "ef" * 32})
    graph = entities(crate_files([before, made, after, other]))
    (written,) = links(graph["#segment-2"]["result"])
    assert links(graph["#measure-3"]["object"]) == [written]
    assert graph[written]["@id"] == f"#{made.outputs[0].identity.removeprefix('urn:uuid:')}"
    # What was read before it was written, or has other bytes, is something else.
    assert links(graph["#measure-1"]["object"]) != [written]
    assert links(graph["#measure-4"]["object"]) != [written]
