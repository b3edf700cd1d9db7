"""Exports of the real Galaxy (tests/galaxy_invocation.py made them) and our records as one crate.

``one_image`` is a run of the workflow for nuclei on a deferred image; in ``two_images`` it was mapped over a list, so
that two jobs of each tool ran at the same time. ``nested`` is a workflow that has one within it.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.provenance.crate import METADATA_FILE, CrateDetails
from chunkwise.provenance.galaxy.export import read_galaxy_export
from chunkwise.provenance.galaxy.join import RecordFile
from chunkwise.provenance.galaxy.merge import merge_crate, merged_files
from chunkwise.provenance.publishing.workflow import published_workflow
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.validate import validate_crate
from galaxy_invocation import COMPLETED, Graph, check_run, graph_of, links, told_by_galaxy, utc

DATA = Path(__file__).parents[2] / "test-data"
EXPORTS = {name: DATA / f"{name}.rocrate.zip" for name in ("one_image", "two_images")}
FAILED = "http://schema.org/FailedActionStatus"


def edited(export: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the export once more, with other files in it."""
    with zipfile.ZipFile(export) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    change(files)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def in_zip(content: bytes, old: bytes, new: bytes) -> bytes:
    """Replace text in a file, and in the files of an archive."""
    if not content.startswith(b"PK\x03\x04"):
        return content.replace(old, new)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(buffer, "w") as after:
        for entry in before.infolist():
            after.writestr(entry, before.read(entry).replace(old, new))
    return buffer.getvalue()


def with_json(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    """Change what one JSON file of an export says."""

    def apply(files: dict[str, bytes]) -> None:
        content = json.loads(files[name])
        files[name] = json.dumps(change(content) or content).encode()

    return apply


def no_datasets(files: dict[str, bytes]) -> None:
    """What Galaxy writes if the files of the datasets are left out."""
    for name in [name for name in files if name.startswith("datasets/")]:
        del files[name]


@pytest.fixture(scope="module")
def crates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("merged")
    for name, export in EXPORTS.items():
        merge_crate(export, [], folder / f"{name}.zip")
    return {name: folder / f"{name}.zip" for name in EXPORTS}


def files_of(crate: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(crate) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_merged_crate_is_a_valid_provenance_run_crate(name: str, crates: dict[str, Path]) -> None:
    assert validate_crate(crates[name], profile="provenance-run-crate", level="recommended") == []


@pytest.mark.parametrize("name", EXPORTS)
def test_every_job_is_told_with_its_step_and_its_true_times(name: str, crates: dict[str, Path]) -> None:
    check_run(graph_of(files_of(crates[name])), EXPORTS[name])


def without_action(graph: Graph) -> None:
    del graph["#measure"]


def without_step(graph: Graph) -> None:
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    workflow["step"] = [link for link in workflow["step"] if link["@id"] != "#measure-step"]


def time_of_the_definition(graph: Graph) -> None:
    """Galaxy's own crate has these."""
    with zipfile.ZipFile(EXPORTS["one_image"]) as archive:
        theirs = json.loads(archive.read(METADATA_FILE))["@graph"]
    (action,) = (one for one in theirs if one["@type"] == "CreateAction")
    graph["#workflow-run"] |= {key: utc(action[key]) for key in ("startTime", "endTime")}


@pytest.mark.parametrize("mutate", [without_action, without_step, time_of_the_definition])
def test_mutant_is_caught(mutate: Callable[[Graph], None], crates: dict[str, Path]) -> None:
    graph = graph_of(files_of(crates["one_image"]))
    check_run(graph, EXPORTS["one_image"])
    mutate(graph)
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check_run(graph, EXPORTS["one_image"])


def test_mutants_are_caught_by_the_validator(crates: dict[str, Path], tmp_path: Path) -> None:
    """Both at once, for a validation takes seconds: an action is missing, and a step."""
    files = files_of(crates["one_image"])
    content = json.loads(files[METADATA_FILE])
    graph = {entity["@id"]: entity for entity in content["@graph"]}
    without_step(graph)
    without_action(graph)
    files[METADATA_FILE] = json.dumps(content | {"@graph": list(graph.values())}).encode()
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    found = {
        ((issue.entity or "").removeprefix("./"), words)
        for issue in validate_crate(tmp_path, profile="provenance-run-crate")
        for words in ("via step", "action representing the corresponding tool run", "via instrument")
        if words in issue.message
    }
    assert {("#measure-step", "via step"), ("#tool-measure", "via instrument")} <= found
    assert ("#measure-control", "action representing the corresponding tool run") in found


def test_directories_are_described_by_our_records(crates: dict[str, Path]) -> None:
    graph = graph_of(files_of(crates["one_image"]))
    (labels,) = (one for one in graph.values() if one.get("alternateName") == "cells_tczyx, DAPI: labels")
    facts = {graph[fact]["name"]: graph[fact]["value"] for fact in links(labels["additionalProperty"])}
    assert labels["@type"] == "Dataset"
    assert facts["shape"] == "[2, 1, 8, 48, 64]"
    (digest,) = (graph[one["@id"]] for one in labels["identifier"] if isinstance(one, dict))
    _, _, records = told_by_galaxy(EXPORTS["one_image"])
    (record,) = (record for record in records.values() if record.command == "segment")
    (written,) = (output for output in record.outputs if output.kind == "labels")
    assert written.fingerprint is not None
    assert digest["value"] == written.fingerprint["value"]
    # What Galaxy calls it is kept: its export names the datasets by these.
    with zipfile.ZipFile(EXPORTS["one_image"]) as archive:
        uuids = {one["name"]: one["dataset_uuid"] for one in json.loads(archive.read("datasets_attrs.txt"))}
    assert facts["UUID of the dataset in Galaxy"] == f"urn:uuid:{uuids['cells_tczyx, DAPI: labels']}"


def test_one_image_that_three_jobs_read_is_one_entity(crates: dict[str, Path]) -> None:
    graph = graph_of(files_of(crates["one_image"]))
    taken = [set(links(graph[action]["object"])) for action in ("#inspect", "#segment", "#measure")]
    (image,) = set.intersection(*taken)
    assert graph[image]["name"] == "cells_tczyx.ome.zarr"
    assert links(graph["#segment"]["result"])
    assert set(links(graph["#segment"]["result"])) & taken[2], "what was segmented was measured"


def test_small_datasets_have_their_hash_and_are_not_copied(crates: dict[str, Path]) -> None:
    files = files_of(crates["one_image"])
    graph = graph_of(files)
    with zipfile.ZipFile(EXPORTS["one_image"]) as archive:
        for dataset in json.loads(archive.read("datasets_attrs.txt")):
            if dataset["extension"] in ("png", "tabular", "json", "zip"):
                content = archive.read(dataset["file_name"])
                named = [one for one in graph.values() if one.get("sha256") == hashlib.sha256(content).hexdigest()]
                assert [one["@type"] for one in named if one["@id"].startswith("#")] == ["File"]
                assert content not in files.values() or dataset["extension"] == "json"
    assert sum(len(content) for content in files.values()) < 500_000


def test_the_workflow_is_kept_and_called_by_its_own_names(crates: dict[str, Path]) -> None:
    files = files_of(crates["one_image"])
    graph = graph_of(files)
    main_file = graph["./"]["mainEntity"]["@id"]
    with zipfile.ZipFile(EXPORTS["one_image"]) as archive:
        kept = {name for name in archive.namelist() if name.startswith("workflows/") and name[-1] != "/"}
        # The page of the workflow runs scripts from elsewhere.
        assert {name for name in files if name.startswith("workflows/")} == {one for one in kept if one[-5:] != ".html"}
        assert files[main_file] == archive.read(main_file)
    workflow = graph[main_file]
    assert workflow["name"] == "Nuclei segmentation of an OME-Zarr in place"
    inputs = {graph[one]["name"]: links(graph[one]["workExample"]) for one in links(workflow["input"])}
    assert set(inputs) == {"Image", "Channel of the nuclei", "Smoothing", "Smallest nucleus"}
    # In Galaxy's own crate these values are null.
    values = {name: graph[ids[0]].get("value") for name, ids in inputs.items()}
    assert values == {"Image": None, "Channel of the nuclei": "DAPI", "Smoothing": 1.0, "Smallest nucleus": 20}
    assert {graph[one]["name"] for one in links(workflow["output"])} >= {
        "Labels",
        "Overlay",
        "Table of nuclei",
        "RO-Crate",
        "Report on the image",
        "Pictures of the channels",
    }


def test_what_jobs_printed_and_their_command_lines_stay_out(crates: dict[str, Path]) -> None:
    metadata = files_of(crates["two_images"])[METADATA_FILE]
    for words in (b"gxfiles_path.py", b"blocks/s", b"end of job", b"file_sources", b"example.org", b"admin"):
        assert words not in metadata


@pytest.mark.parametrize("name", EXPORTS)
def test_records_given_by_hand_find_the_same_jobs(name: str, crates: dict[str, Path], tmp_path: Path) -> None:
    """Galaxy's export without files, and the records under names that say nothing, in another order."""
    bare = edited(EXPORTS[name], tmp_path / "bare.zip", no_datasets)
    _, _, records = told_by_galaxy(EXPORTS[name])
    files = []
    for number, record in enumerate(sorted(records.values(), key=lambda record: record.id)):
        (tmp_path / f"{number}.json").write_text(record.to_json())
        files.append(str(tmp_path / f"{number}.json"))
    crate = tmp_path / "crate.zip"
    assert main(["crate", "merge", "--galaxy", str(bare), "--runs", *files, "--output", str(crate)]) == 0
    check_run(graph_of(files_of(crate)), EXPORTS[name])


def test_one_of_two_records_is_enough(tmp_path: Path) -> None:
    """The job that has none is told by Galaxy alone, as those of other tools are."""
    bare = edited(EXPORTS["one_image"], tmp_path / "bare.zip", no_datasets)
    _, _, records = told_by_galaxy(EXPORTS["one_image"])
    (record,) = (record for record in records.values() if record.command == "measure")
    merged = merged_files(read_galaxy_export(bare), [RecordFile("measure", (record,))])
    graph = graph_of(merged.files)
    assert (merged.steps, merged.joined) == (4, 1)
    assert graph["#measure"]["identifier"] == record.id
    assert "left no run record" in graph["#segment"]["description"]
    assert graph["#segment-parameter-method%7Cthreshold"]["value"] == "otsu"


def test_a_workflow_within_a_workflow_is_told_step_by_step(tmp_path: Path) -> None:
    crate = tmp_path / "crate.zip"
    merged = merge_crate(DATA / "nested.rocrate.zip", [], crate)
    assert (merged.steps, merged.joined) == (2, 1)
    graph = graph_of(files_of(crate))
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    assert workflow["name"] == "Look, then segment"
    assert [graph[step]["name"] for step in links(workflow["step"])] == ["look", "nuclei / segment"]
    _, _, records = told_by_galaxy(DATA / "nested.rocrate.zip")
    (record,) = records.values()
    assert (graph["#nuclei-segment"]["identifier"], graph["#nuclei-segment"]["endTime"]) == (record.id, record.end)
    assert links(graph["#look"]["object"])[0] in links(graph["#nuclei-segment"]["object"]), "one image"
    assert validate_crate(crate, profile="provenance-run-crate") == []


def test_a_tool_of_the_tool_shed_is_named_with_its_address(tmp_path: Path) -> None:
    shed = "toolshed.g2.bx.psu.edu/repos/imgteam/inspect_image/inspect_image/1.2+galaxy0"

    def rename(files: dict[str, bytes]) -> None:
        for name in files:
            if name in ("jobs_attrs.txt",) or name.endswith(".ga"):
                files[name] = files[name].replace(b'"chunkwise_inspect"', json.dumps(shed).encode())

    merged = merged_files(read_galaxy_export(edited(EXPORTS["one_image"], tmp_path / "shed.zip", rename)), [])
    tool = graph_of(merged.files)["#tool-inspect"]
    assert (tool["name"], tool["identifier"]) == ("inspect_image", shed)
    assert tool["url"] == "https://toolshed.g2.bx.psu.edu/view/imgteam/inspect_image"


def test_a_job_that_galaxy_calls_failed_is_failed(tmp_path: Path) -> None:
    def fail(jobs: list[dict[str, Any]]) -> None:
        for job in jobs:
            if job["tool_id"] in ("chunkwise_inspect", "chunkwise_measure"):
                job["state"] = "error"

    export = edited(EXPORTS["one_image"], tmp_path / "failed.zip", with_json("jobs_attrs.txt", fail))
    crate = tmp_path / "crate.zip"
    merge_crate(export, [], crate)
    graph = graph_of(files_of(crate))
    states = {action: graph[action]["actionStatus"] for action in ("#inspect", "#segment", "#measure", "#crate")}
    assert states == {"#inspect": FAILED, "#segment": COMPLETED, "#measure": FAILED, "#crate": COMPLETED}
    assert graph["#measure"]["error"] == "Galaxy gave the job the state 'error'."
    assert graph["#workflow-run"]["actionStatus"] == FAILED
    assert validate_crate(crate, profile="provenance-run-crate") == []


def test_a_published_crate_tells_no_names(tmp_path: Path) -> None:
    """Secrets in the names of datasets, in settings of jobs and of the workflow, in paths and records."""
    secret = "PatientMiller"

    def plant(files: dict[str, bytes]) -> None:
        datasets = json.loads(files["datasets_attrs.txt"])
        for dataset in datasets:
            dataset["name"] = f"{dataset['name']} of {secret}"
        files["datasets_attrs.txt"] = json.dumps(datasets).encode()
        files["jobs_attrs.txt"] = files["jobs_attrs.txt"].replace(b'"otsu"', f'"{secret}"'.encode())
        files["jobs_attrs.txt"] = files["jobs_attrs.txt"].replace(b"Nuclei segmentation", secret.encode())
        invocation = files["invocation_attrs.txt"].replace(b'"DAPI"', f'"{secret}"'.encode())
        files["invocation_attrs.txt"] = invocation
        for name in files:
            if name.endswith((".json", ".zip")) and name.startswith("datasets/"):
                files[name] = in_zip(files[name], b"/galaxy/", f"/galaxy/{secret}/".encode())
            if name.startswith("workflows/"):
                for text in (b"The chunkwise maintainers", b"Galaxy", b"Which parameters,", b"otsu", b"Tool is not"):
                    kept = b"class: GalaxyWorkflow"
                    parts = [
                        part.replace(text, f"{secret} {text.decode()}".encode()) for part in files[name].split(kept)
                    ]
                    files[name] = kept.join(parts)
            if name == "invocation_attrs.txt" or name.endswith(".ga"):
                files[name] = files[name].replace(b'"class": "Organization"', b'"class": "Person"')

    export = edited(EXPORTS["one_image"], tmp_path / "secret.zip", plant)
    merge_crate(export, [], tmp_path / "open.zip")
    plain = files_of(tmp_path / "open.zip")
    assert secret.encode() in plain[METADATA_FILE]
    assert sum(secret.encode() in content for name, content in plain.items() if name.startswith("workflows/")) == 3
    words = ["crate", "merge", "--galaxy", str(export), "--publish", "--output", str(tmp_path / "crate.zip")]
    assert main(words) == 0
    files = files_of(tmp_path / "crate.zip")
    for name, content in files.items():
        assert secret.encode() not in content, name
        assert b"/galaxy/" not in content, name
        assert b"gxfiles" not in content, name
    graph = graph_of(files)
    assert graph["#inspect-parameter-pictures"]["value"] == "true"
    assert "#workflow-smoothing" in graph
    assert "#workflow-channel-of-the-nuclei" not in graph
    # Data are still recognised, and the chain still hangs together.
    with zipfile.ZipFile(tmp_path / "open.zip") as archive:
        before = {entity["@id"]: entity for entity in json.loads(archive.read(METADATA_FILE))["@graph"]}
    for action in ("#inspect", "#segment", "#measure", "#crate"):
        for key in ("object", "result"):
            data = [
                {one for one in links(told[action][key]) if told[one]["@type"] in ("File", "Dataset")}
                for told in (graph, before)
            ]
            assert data[0] == data[1]
    assert validate_crate(tmp_path / "crate.zip", profile="provenance-run-crate") == []


def test_a_published_workflow_is_its_steps_and_connections() -> None:
    files = read_galaxy_export(EXPORTS["one_image"]).files
    name = next(name for name in files if name.endswith(".gxwf.yml"))
    found = yaml.safe_load(published_workflow(name, files[name]))
    whole = yaml.safe_load(files[name])
    assert set(found) == set(whole) - {"creator", "doc", "report", "tags"}
    for step, told in whole["steps"].items():
        assert {key: found["steps"][step][key] for key in ("in", "tool_id", "tool_version", "uuid")} == {
            key: told[key] for key in ("in", "tool_id", "tool_version", "uuid")
        }
    assert found["steps"]["segment"]["tool_state"]["fill_holes"] is True
    assert "threshold" not in found["steps"]["segment"]["tool_state"]["method"]
    for bad in (b"a: &a [1]\nb: *a\n", b"- 1", b"\xff", b"{", b"!!python/object/apply:os.system [id]"):
        with pytest.raises(InputError, match="is not a workflow"):
            published_workflow("w.gxwf.yml", bad)


def another_run() -> RunRecord:
    recorder = Recorder("segment", {})
    recorder.output("output", "labels", "/somewhere/else.ome.zarr")
    return recorder.finish()


def test_a_record_of_no_job_is_refused_or_listed_outside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = another_run()
    (tmp_path / "other.json").write_text(other.to_json())
    words = ["crate", "merge", "--galaxy", str(EXPORTS["one_image"]), "--runs", str(tmp_path / "other.json")]
    crate = tmp_path / "crate.zip"
    assert main([*words, "--output", str(crate)]) == 2
    error = capsys.readouterr().err
    assert f"The run of 'segment' that began at {other.start} (record {other.id}) belongs to no job" in error
    assert error.count("\n") == 1
    assert not crate.exists()
    assert main([*words, "--outside", "--output", str(crate)]) == 0
    assert "4 steps of the workflow, 2 jobs with a run record, 1 outside the workflow" in capsys.readouterr().out
    graph = graph_of(files_of(crate))
    assert graph["#outside-segment"]["identifier"] == other.id
    assert "#outside-segment" in links(graph["./"]["mentions"])
    assert not [one for one in graph.values() if one["@type"] == "ControlAction" and "#outside" in str(one["object"])]


def test_a_record_that_fits_two_jobs_is_refused(tmp_path: Path) -> None:
    """Without any path of Galaxy in it, nothing tells one of the mapped jobs from the other."""
    bare = edited(EXPORTS["two_images"], tmp_path / "bare.zip", no_datasets)
    _, _, records = told_by_galaxy(EXPORTS["two_images"])
    (first, *_) = (record for record in records.values() if record.command == "segment")
    text = first.to_json()
    with zipfile.ZipFile(EXPORTS["two_images"]) as archive:
        for dataset in json.loads(archive.read("datasets_attrs.txt")):
            text = text.replace(f"dataset_{dataset['dataset_uuid']}", "somewhere")
    record = RunRecord.from_dict(json.loads(text))
    with pytest.raises(InputError, match="could belong to any of 2 jobs of Galaxy"):
        merged_files(read_galaxy_export(bare), [RecordFile("one", (record,))])


def test_mutant_a_record_of_another_invocation_is_not_joined() -> None:
    """Same tool, same hour; its output is a dataset that is not of this invocation."""
    _, _, records = told_by_galaxy(EXPORTS["two_images"])
    stranger = next(record for record in records.values() if record.command == "segment")
    with pytest.raises(InputError, match="belongs to no job"):
        merged_files(read_galaxy_export(EXPORTS["one_image"]), [RecordFile("stranger", (stranger,))])


def test_the_same_export_gives_the_same_bytes(crates: dict[str, Path], tmp_path: Path) -> None:
    merge_crate(EXPORTS["two_images"], [], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == crates["two_images"].read_bytes()


def test_what_a_person_says_comes_first(tmp_path: Path) -> None:
    invocation = read_galaxy_export(EXPORTS["one_image"])
    root = graph_of(merged_files(invocation, []).files)["./"]
    assert root["name"] == "Run of the workflow 'Nuclei segmentation of an OME-Zarr in place' in Galaxy"
    assert root["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    details = CrateDetails(name="Plate 7", license="CC-BY-4.0", author_name="Ann Example")
    root = graph_of(merged_files(invocation, [], details=details).files)["./"]
    assert (root["name"], root["license"]["@id"]) == ("Plate 7", "https://spdx.org/licenses/CC-BY-4.0")


def replaced(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__setitem__(name, content)


def dropped(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__delitem__(name)


def other_profile(files: dict[str, bytes]) -> None:
    files[METADATA_FILE] = files[METADATA_FILE].replace(b"wfrun/workflow/0.1", b"wfrun/workflow/0.5")


def without_workflow(files: dict[str, bytes]) -> None:
    for name in [name for name in files if name.endswith(".ga")]:
        del files[name]


def bomb(files: dict[str, bytes]) -> None:
    files["jobs_attrs.txt"] = b" " * (65 * 2**20)


def bad_uuid(datasets: list[dict[str, Any]]) -> None:
    datasets[0]["dataset_uuid"] = "../../etc"


def bad_time(jobs: list[dict[str, Any]]) -> None:
    jobs[0]["update_time"] = "yesterday"


def bad_identifier(jobs: list[dict[str, Any]]) -> None:
    jobs[0]["encoded_id"] = "<script>"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dropped(METADATA_FILE), "is not an RO-Crate"),
        (replaced(METADATA_FILE, b"{"), "is not JSON"),
        (replaced(METADATA_FILE, b"[]"), "is not a JSON object"),
        (replaced(METADATA_FILE, b"[" * 100_000), "nested too deep"),
        (dropped("invocation_attrs.txt"), "is not Galaxy's export of an invocation"),
        (other_profile, "follows Workflow Run Crate 0.5"),
        (replaced("export_attrs.txt", b'{"galaxy_export_version": "9"}'), "version 9 of Galaxy's export"),
        (without_workflow, "lacks the file of its workflow"),
        (replaced("jobs_attrs.txt", b"[{]"), "jobs_attrs.txt of"),
        (replaced("jobs_attrs.txt", b"{}"), "is not a list"),
        (replaced("jobs_attrs.txt", b"[]"), "so one of them was changed"),
        (replaced("invocation_attrs.txt", b"[]"), "contains 0 invocations"),
        (with_json("datasets_attrs.txt", bad_uuid), "which is not a UUID"),
        (with_json("jobs_attrs.txt", bad_time), "has the time 'yesterday'"),
        (with_json("jobs_attrs.txt", bad_identifier), "not one of Galaxy's"),
        (bomb, "unpacks to more than 64 MiB"),
        (replaced("../evil.txt", b""), "leads out of it"),
        (replaced("/etc/evil.txt", b""), "leads out of it"),
        (no_datasets, "contains no chunkwise run record"),
    ],
)
def test_bad_exports_get_one_sentence(
    change: Callable[[dict[str, bytes]], None], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = edited(EXPORTS["one_image"], tmp_path / "bad.zip", change)
    assert main(["crate", "merge", "--galaxy", str(export), "--output", str(tmp_path / "crate.zip")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "crate.zip").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        (b"", "is not a zip file"),
        (b"{}", "is not a zip file"),
        (b"PK\x05\x06", "is not a zip"),
    ],
)
def test_what_is_no_archive(
    content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "bad.zip").write_bytes(content)
    words_of_command = [
        "crate",
        "merge",
        "--galaxy",
        str(tmp_path / "bad.zip"),
        "--output",
        str(tmp_path / "crate.zip"),
    ]
    assert main(words_of_command) == 2
    assert words in capsys.readouterr().err


def test_a_damaged_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(EXPORTS["one_image"].read_bytes())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo("jobs_attrs.txt")
    content[entry.header_offset + 200] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(content)
    words = ["crate", "merge", "--galaxy", str(tmp_path / "bad.zip"), "--output", str(tmp_path / "crate.zip")]
    assert main(words) == 2
    assert "is not a zip file that can be read" in capsys.readouterr().err


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, one in inner for place in places(one, (*above, key)))]


def test_whatever_an_export_says_there_is_a_crate_or_a_sentence(tmp_path: Path) -> None:
    """Values of any type anywhere in Galaxy's files: never anything but an InputError."""
    chosen = random.Random(7)
    with zipfile.ZipFile(DATA / "nested.rocrate.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".txt", ".ga", METADATA_FILE))]
    merged, sentences = 0, []
    for _ in range(30):
        name = chosen.choice(names)

        def change(content: Any) -> None:
            where = chosen.choice([place for place in places(content) if place] or [()])
            for key in where[:-1]:
                content = content[key]
            if where and chosen.random() < 0.3:
                del content[where[-1]]
            elif where:
                content[where[-1]] = chosen.choice([None, True, -1, 1.5, "", "../..", [], [1], {}, [{}], "\0"])

        export = edited(DATA / "nested.rocrate.zip", tmp_path / "odd.zip", with_json(name, change))
        try:
            merged_files(read_galaxy_export(export), [])
            merged += 1
        except InputError as error:
            sentences.append(str(error))
    assert merged
    assert sentences
    assert not [sentence for sentence in sentences if "\n" in sentence]


def test_an_output_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "crate.zip").write_text("mine")
    words = ["crate", "merge", "--galaxy", str(EXPORTS["one_image"]), "--output", str(tmp_path / "crate.zip")]
    assert main(words) == 2
    assert (tmp_path / "crate.zip").read_text() == "mine"
