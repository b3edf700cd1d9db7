"""What may leave in a published crate, and that nothing else does."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkwise.cli import build_parser, main
from chunkwise.errors import InputError
from chunkwise.operations.model import Parameter
from chunkwise.provenance.crate import crate_files
from chunkwise.provenance.publishing import record as module
from chunkwise.provenance.publishing import rules
from chunkwise.provenance.publishing.allowed import OUT, through
from chunkwise.provenance.publishing.blocks import FAILED, Neutral, publish_blocks, publish_manifest
from chunkwise.provenance.publishing.record import publish
from chunkwise.provenance.publishing.rules import PARAMETERS, PUBLISHED, WITHHELD
from chunkwise.provenance.record import Resource, RunRecord
from chunkwise.provenance.validate import validate_crate
from chunkwise.storage.manifest import Manifest

SECRETS = (
    "/home/agnes/Plate 7",
    "agnes",
    "gpu17.cells.example.org",
    "agnes@cells.example.org",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "account-0815",
    "unpublished drug",
)
PATH, USER, HOST, MAIL, TOKEN, ACCOUNT, NAME = SECRETS

TABLE = gzip.compress(
    (
        "pass\tblock\tstatus\tworker\tstart\tend\tobjects\tsha256\tbytes\terror\tmachine\n"
        f"label\t0\tdone\t{HOST}-17\t1.5\t2.5\t0/c/0/0/0,labels/{USER}/0\t{'ab' * 32},{'cd' * 32}\t12\t\t{HOST}\n"
        f"{NAME}-1\t1\tfailed\t{HOST}-18\t1.5\t2.5\t\t\t0\t{PATH}: denied for {MAIL}\t{HOST}\n"
    ).encode()
)


def planted(chain: list[RunRecord]) -> list[RunRecord]:
    """The two runs, with secrets wherever a record takes text."""
    first, second = chain
    store = replace(
        first.inputs[0],
        location=f"{PATH}/cells.ome.zarr",
        root=USER,
        description=first.inputs[0].description
        | {"name": NAME, "labels": [USER], "note": TOKEN}
        | {"channels": [{"index": 0, "name": NAME, "color": None, "window": [0, 1]}, {"index": 1, "name": "DAPI"}]},
    )
    first = replace(
        first,
        parameters=first.parameters
        | {"channel": NAME, "into_source": USER, "region": f"0:5,{USER}", "threshold": TOKEN, "secret": TOKEN},
        inputs=(
            store,
            replace(store, name=USER, location=f"https://{HOST}/{TOKEN}", root=None, identity=store.identity),
        ),
        outputs=(*first.outputs, replace(first.outputs[0], name=NAME, media_type=f"image/{USER}")),
        software=first.software | {"chunkwise": f"0.1.0+{USER}", USER: "1.0", "numpy": TOKEN},
        status="failed",
        error=f"{PATH} cannot be read by {MAIL}.",
        plan={"hash": "12" * 32, "folder": PATH, "shape": [1, 2]},
        workers=({"worker": f"{HOST}-17", "peak_rss_bytes": 300, "home": PATH}, {"worker": f"{HOST}-18"}),
        cluster={
            "kind": "slurm",
            "profile": ACCOUNT,
            "jobs": [{"id": "4711", "partition": ACCOUNT, "account": ACCOUNT, "nodes": HOST, "state": f"BY {USER}"}],
            "driver": {"id": "4710", "nodes": HOST, "cpu_seconds": 2.5},
            "total": {"submitted": 1, "states": {"COMPLETED": 1, USER: 2}, "user": USER},
        },
        results={
            "thresholds": [12],
            "objects": [20],
            "notes": [PATH],
            "model": {"id": USER, "name": NAME, "cite": [MAIL]},
        },
        build={"commit": "ab" * 20, "modified": True, "container": f"{USER}.sif", "container_digest": TOKEN},
        attempts=(
            {"id": first.id, "start": "2026-11-20T01:02:03.000+05:30", "end": HOST, "status": "failed", "error": PATH},
        ),
        agent={"name": USER, "orcid": "0000-0002-1825-0097", "mail": MAIL},
        galaxy={"id": f"{HOST}/repos/{USER}/chunkwise/chunkwise_segment/0.1", "version": "0.1+galaxy0", "user": USER},
    )
    return [first, replace(second, parameters=second.parameters | {"properties": [TOKEN], "format": USER})]


def contents(files: dict[str, bytes]) -> dict[str, bytes]:
    """All bytes of a crate that somebody can read: names, contents, and those of packed files."""
    unpacked = {name: gzip.decompress(content) for name, content in files.items() if name.endswith(".gz")}
    return (
        files
        | {f"{name} unpacked": content for name, content in unpacked.items()}
        | {"names": repr(list(files)).encode()}
    )


def leaks(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [
        (name, secret)
        for name, content in contents(files).items()
        for secret in (*SECRETS, "0000-0002-1825-0097", "4711", "4710")
        if secret.lower().encode() in content.lower()
    ]


def test_nothing_that_was_planted_is_in_the_crate(chain: list[RunRecord], tmp_path: Path) -> None:
    records = planted(chain)
    attached = {"blocks-1.tsv.gz": TABLE, f"{USER}.json": b"{}", "manifest.json": USER.encode()}
    assert len({secret for _, secret in leaks(crate_files(records, attachments=attached))}) > len(SECRETS), "no test"
    published, files = publish(records, attached)
    crate = crate_files(published, attachments=files)
    assert leaks(crate) == []
    for name, content in crate.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert validate_crate(tmp_path) == []


def test_what_the_voxels_add_up_to_is_published(chain: list[RunRecord]) -> None:
    first, second = chain
    content = {"voxels": 10, "minimum": 0, "maximum": 2.5, "sum": 9, "position_sum": "00ff" * 4, "not_finite": 1}
    made = replace(first.outputs[0], description={"content": content | {"name": NAME}})
    published, _ = publish([replace(first, outputs=(made, *first.outputs[1:])), second])
    assert published[0].outputs[0].description["content"] == content
    made = replace(made, description={"content": {"voxels": NAME, "position_sum": f"{NAME:0>16}"}})
    published, _ = publish([replace(first, outputs=(made, *first.outputs[1:])), second])
    assert published[0].outputs[0].description["content"] == {}


def test_what_is_of_use_is_still_there(chain: list[RunRecord]) -> None:
    (first, second), files = publish(planted(chain), {"blocks-1.tsv.gz": TABLE})
    assert first.parameters == {"sigma": 1.0, "fill_holes": False, "block": [64, 64], "channel": "0"}
    assert [item.location for item in first.inputs] == ["image-1.ome.zarr", "image-1.ome.zarr"]
    assert [item.location for item in first.outputs[:2]] == ["labels-1.ome.zarr", "picture-1.png"]
    assert second.inputs[0].location == "labels-1.ome.zarr", "the chain hangs together"
    assert [item.identity for item in first.outputs[:2]] == [item.identity for item in chain[0].outputs]
    assert first.outputs[0].fingerprint == chain[0].outputs[0].fingerprint
    assert first.inputs[0].description["channels"][0] == {"index": 0, "name": "0", "color": None, "window": [0, 1]}
    assert first.inputs[0].description["channels"][1]["name"] == "DAPI"
    assert first.software["chunkwise"] == "0.1.0"
    assert "numpy" not in first.software
    assert first.results == {"thresholds": [12], "objects": [20], "model": {}}
    assert first.workers == ({"worker": "worker-1", "peak_rss_bytes": 300}, {"worker": "worker-2"})
    assert first.cluster == {
        "kind": "slurm",
        "jobs": [{"id": "job-1", "nodes": "nodes-1"}],
        "driver": {"id": "job-2", "nodes": "nodes-1", "cpu_seconds": 2.5},
        "total": {"submitted": 1, "states": {"COMPLETED": 1}},
    }
    assert first.galaxy == {"id": "chunkwise_segment", "version": "0.1+galaxy0"}
    assert first.status == "failed"
    assert first.build == {"commit": "ab" * 20, "modified": True}
    assert first.attempts == (
        {"id": first.id, "start": "2026-11-19T19:32:03.000+00:00", "status": "failed", "error": FAILED},
    )
    rows = [line.split("\t") for line in gzip.decompress(files["blocks-1.tsv.gz"]).decode().splitlines()]
    assert rows[0] == ["pass", "block", "status", "worker", "start", "end", "objects", "sha256", "bytes", "error"]
    assert rows[1][:4] == ["label", "0", "done", "worker-1"]
    assert rows[1][6:8] == ["0/c/0/0/0,object", f"{'ab' * 32},{'cd' * 32}"]
    assert rows[2][0] == "pass-1"
    assert first.blocks is not None
    assert first.blocks["sha256"] == hashlib.sha256(files["blocks-1.tsv.gz"]).hexdigest()


def test_a_table_that_is_not_in_the_crate_is_not_spoken_of(chain: list[RunRecord]) -> None:
    (first, _), files = publish(chain)
    assert first.blocks == {"total": 64, "done": 64}
    assert files == {}


def test_a_published_chain_is_published_already(chain: list[RunRecord]) -> None:
    once, files = publish(planted(chain), {"blocks-1.tsv.gz": TABLE})
    assert publish(once, files) == (once, files)


def test_a_manifest_leaves_where_its_keys_are_numbers(chain: list[RunRecord]) -> None:
    def listed(*keys: str) -> bytes:
        return gzip.compress("".join(f"{'ab' * 32}\t12\t{key}\n" for key in keys).encode())

    said = {"total": 64, "manifest": "manifest-7.tsv.gz"}
    for keys, leaves in ((("0/c/0/0/0", "0/zarr.json", "zarr.json"), True), (("0/c/0/0/0", f"{USER}/0"), False)):
        attached = {"manifest-7.tsv.gz": listed(*keys)}
        (first, _), files = publish([replace(chain[0], blocks=said), chain[1]], attached)
        assert first.blocks is not None
        assert ("manifest" in first.blocks) == leaves
        assert list(files) == ["manifest-1.tsv.gz"] * leaves
        if leaves:
            assert gzip.decompress(files["manifest-1.tsv.gz"]) == gzip.decompress(attached["manifest-7.tsv.gz"])
            assert first.blocks["manifest_sha256"] == hashlib.sha256(files["manifest-1.tsv.gz"]).hexdigest()


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"pass\tblock\nlabel\n"), TABLE[:-20], gzip.compress(b"\xff\n")],
    ids=["no-gzip", "a-row-too-short", "cut-off", "no-text"],  # gzip writes the time, and a name may not change
)
def test_a_damaged_table_is_refused(chain: list[RunRecord], content: bytes) -> None:
    with pytest.raises(InputError, match="damaged"):
        publish(chain, {"blocks-1.tsv.gz": content})


def test_every_field_of_a_record_was_decided_on() -> None:
    """A field that somebody adds is withheld (the published record is made field by field); say so, or publish it."""
    known = {item.name for cls in (RunRecord, Resource) for item in fields(cls)}
    assert known == PUBLISHED | WITHHELD
    assert not PUBLISHED & WITHHELD


#: Options that name files or say how a file is written: no parameters of a record (commands/options.py and commands).
FILES = {
    *("help", "image", "labels", "truth", "predicted", "output", "to_workspace", "reference", "crate", "record"),
    *("run_dir", "overlay", "view", "report", "dictionary", "table", "html", "pictures", "plan"),
    *"bcdefgh",
    *("parents", "summary", "children", "points"),
    *("preview", "preview_region"),  # a preview has no record
}


@pytest.mark.parametrize("command", PARAMETERS)
def test_every_parameter_of_a_command_was_decided_on(command: str) -> None:
    parser = build_parser(command)
    options = {action.dest for action in parser._actions[-1].choices[command]._actions}  # type: ignore[index]
    assert options - FILES <= set(PARAMETERS[command]), "say in publishing/rules.py what of it may leave"
    assert set(PARAMETERS[command]) - options <= {"model_sha256", "into_source"}


def test_a_new_declaration_publishes_numbers_choices_and_no_text() -> None:
    def leaves(parameter: Parameter, *values: Any) -> list[bool]:
        rule = rules._rule("filter", "new", parameter)
        return [rule(value) is not OUT for value in values]

    assert leaves(Parameter(float, 1.0), 2.5, 3, None, TOKEN, True) == [True, True, True, False, False]
    assert leaves(Parameter(float, "otsu", choices=("otsu",)), "otsu", 2.5, TOKEN) == [True, True, False]
    assert leaves(Parameter(int, None, several=True), [1, 2], [TOKEN]) == [True, False]
    assert leaves(Parameter(bool, False), True, TOKEN) == [True, False]
    assert leaves(Parameter(str, None), USER, "otsu", [USER], None) == [False, False, False, True]
    assert PARAMETERS["filter"]["method"]("median") == "median"


def test_mutant_a_field_that_is_let_through_is_caught(chain: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(record: RunRecord) -> dict[str, Any]:
        return through(record.parameters, PARAMETERS[record.command] | {"secret": lambda value: value})

    monkeypatch.setattr(module, "_parameters", careless)
    assert {secret for _, secret in leaks(crate_files(publish(planted(chain))[0]))} == {TOKEN}


def test_mutant_a_block_list_is_caught(chain: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """Letting all through but what looks like a path is not enough."""
    results = {name: (lambda value: value) for name in ("notes", "model", "objects")}
    monkeypatch.setattr(module, "RESULTS", rules.RESULTS | results)
    assert {NAME, MAIL} <= {secret for _, secret in leaks(crate_files(publish(planted(chain))[0]))}


MARK = "Qx7-Zebra"
secret = st.text(alphabet="/@.:-_ \n\t\"'<&abc019é", max_size=6).flatmap(
    lambda text: st.sampled_from([MARK + text, text + MARK, text + MARK + text])
)
json_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | secret,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(secret, inner, max_size=3),
    max_leaves=8,
)


def strewn(draw: Callable[[Any], Any], content: Any, depth: int = 0) -> Any:
    """Replace values by secrets, and add keys, at random; ids and times stay, or it would be no record."""
    if isinstance(content, dict):
        kept = ("chunkwise_record", "id", "identity", "start", "end", "status", "command", "kind", "modified", "size")
        made = {k: v if k in kept and depth < 3 else strewn(draw, v, depth + 1) for k, v in content.items()}
        free = depth > 1 or (depth == 1 and not {"inputs", "identity", "worker"} & set(content))
        return made | (
            draw(st.dictionaries(secret, json_value, max_size=1)) if free and "identity" not in content else {}
        )
    if isinstance(content, list):
        return [strewn(draw, item, depth + 1) for item in content]
    if isinstance(content, str):
        return draw(secret | st.just(content))
    return draw(json_value) if depth > 2 and draw(st.booleans()) else content


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_text_of_a_record_leaves_unless_it_is_listed(data: st.DataObject, template: dict[str, Any]) -> None:
    content = strewn(data.draw, template)
    try:
        record = RunRecord.from_dict(content)
    except InputError:
        return  # no record: it cannot come to be published
    published, _ = publish([record])
    crate = crate_files(published)
    assert not [name for name, text in crate.items() if MARK.lower() in text.decode().lower()]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    from chunkwise.provenance.record import Recorder

    full = {"level": "full", "algorithm": "sha256", "value": "ab" * 32}
    recorder = Recorder("predict", {"channel": ["a", "b"], "model": "m", "map": ["foreground"], "block": [1, 2]})
    about = {"shape": [1, 2], "axes": [{"name": "y", "unit": "meter"}], "channels": [{"index": 0, "name": "a"}]}
    recorder.input("image", "image", "/a/b.ome.zarr", fingerprint=full, description=about | {"dtype": "uint8"})
    recorder.output("output", "image", "/a/c.ome.zarr", fingerprint=full, size=3, description=about)
    recorder.result("model", {"id": "m", "doi": "x", "version": "1", "license": "MIT", "reach": {"before": [1]}})
    recorder.result("objects", [3])
    return recorder.finish(
        plan={"hash": "x", "shape": [1]},
        blocks={"total": 1, "table": "blocks-1.tsv.gz", "sha256": "x"},
        workers=[{"worker": "w", "peak_rss_bytes": 3}],
        cluster={"kind": "slurm", "jobs": [{"id": "1", "nodes": "n", "state": "COMPLETED"}], "total": {"submitted": 1}},
    ).to_dict() | {
        "agent": {"name": "x"},
        "galaxy": {"id": "x", "version": "1"},
        "build": {"commit": "x", "container": "x"},
        "attempts": [{"error": "x"}],
    }


def test_the_command_publishes(chain: list[RunRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = []
    for number, record in enumerate(planted(chain)):
        sources.append(str(tmp_path / f"{number}.json"))
        Path(sources[-1]).write_text(record.to_json())
    crate = str(tmp_path / "crate.zip")
    about = ["--name", "Nuclei of Plate 7", "--license", "CC-BY-4.0"]
    assert main(["crate", "build", "--publish", "--from", *sources, "--output", crate, *about]) == 0
    assert "published" in capsys.readouterr().out
    with zipfile.ZipFile(crate) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        raw = Path(crate).read_bytes()
    assert leaks(files | {"the zip": raw}) == []
    assert b"Nuclei of Plate 7" in files["ro-crate-metadata.json"], "what the author typed for the crate stays"
    assert json.loads(files["records/segment-1.json"])["outputs"][0]["location"] == "labels-1.ome.zarr"
    assert main(["crate", "validate", crate]) == 0


def test_a_long_number_in_a_key_is_refused_at_once() -> None:
    for key in ("1" * 60 + "x", "0/c/" + "1" * 60, "1234567890"):
        assert publish_manifest(Manifest({key: ("ab" * 32, 1)}).to_bytes()) is None
    assert publish_manifest(Manifest({"0/c/10/123456789": ("ab" * 32, 1)}).to_bytes()) is not None


def test_a_table_without_line_breaks_is_not_read_whole() -> None:
    for content in (b"pass\tblock\n" + bytes(2**23), b"pass\tblock\nlabel\t0"):
        with pytest.raises(InputError, match="damaged"):
            publish_blocks(gzip.compress(content), Neutral())
