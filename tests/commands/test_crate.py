from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chunkwise.cli import main
from chunkwise.provenance.record import Recorder, RunRecord


@pytest.fixture
def records() -> list[RunRecord]:
    segment = Recorder("segment", {"sigma": 1})
    segment.input("image", "image", "/nowhere/cells.ome.zarr")
    labels = segment.output("output", "labels", "/nowhere/labels.ome.zarr")
    first = segment.finish()
    measure = Recorder("measure", {})
    measure.input("labels", "labels", "/nowhere/labels.ome.zarr", identity=labels.identity)
    measure.output("output", "table", "/nowhere/objects.tsv")
    return [first, measure.finish()]


@pytest.fixture
def sources(records: list[RunRecord], tmp_path: Path) -> list[str]:
    """A reference with both records, as 'measure' hands it on, and the record of the first run alone."""
    reference = {"chunkwise_reference": 1, "records": [record.to_dict() for record in records]}
    (tmp_path / "objects.json").write_text(json.dumps(reference))
    (tmp_path / "record.json").write_text(records[0].to_json())
    return [str(tmp_path / "objects.json"), str(tmp_path / "record.json")]


def commands_in(crate: Path) -> list[str]:
    with zipfile.ZipFile(crate) as archive:
        return sorted(name for name in archive.namelist() if name.startswith("records/"))


def test_build_then_validate(sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate = tmp_path / "dataset_7.dat"  # as Galaxy names and makes it
    crate.touch()
    assert main(["crate", "build", "--from", *sources, "--output", str(crate)]) == 0
    assert "2 runs (segment, measure)" in capsys.readouterr().out
    assert commands_in(crate) == ["records/measure-2.json", "records/segment-1.json"]
    assert main(["crate", "validate", str(crate)]) == 0
    assert capsys.readouterr().out == f"{crate}: valid (provenance-run-crate, recommended)\n"


def test_the_profile_may_be_chosen(sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crate = str(tmp_path / "a.zip")
    assert main(["crate", "build", "--from", *sources, "--profile", "process", "--output", crate]) == 0
    assert main(["crate", "validate", crate]) == 0
    assert "valid (process-run-crate, recommended)" in capsys.readouterr().out


def test_from_may_be_repeated_and_may_be_a_crate(sources: list[str], tmp_path: Path) -> None:
    assert main(["crate", "build", "--from", sources[1], "--output", str(tmp_path / "a.zip")]) == 0
    arguments = ["crate", "build", "--from", str(tmp_path / "a.zip"), "--from", sources[0]]
    assert main([*arguments, "--output", str(tmp_path / "b.zip")]) == 0
    assert commands_in(tmp_path / "b.zip") == ["records/measure-2.json", "records/segment-1.json"]


def test_a_crate_that_was_changed_is_neither_valid_nor_built_on(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["crate", "build", "--from", sources[1], "--output", str(tmp_path / "a.zip")])
    with zipfile.ZipFile(tmp_path / "a.zip") as given, zipfile.ZipFile(tmp_path / "b.zip", "w") as changed:
        for name in given.namelist():
            changed.writestr(name, given.read(name).replace(b'"sigma": 1', b'"sigma": 2'))
    assert main(["crate", "validate", str(tmp_path / "b.zip")]) == 1
    assert "required: sha256: records/segment-1.json in" in capsys.readouterr().out
    assert main(["crate", "build", "--from", str(tmp_path / "b.zip"), "--output", str(tmp_path / "c.zip")]) == 2
    assert "was changed after the crate was made" in capsys.readouterr().err
    (tmp_path / "d.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:2000])
    assert main(["crate", "build", "--from", str(tmp_path / "d.zip"), "--output", str(tmp_path / "c.zip")]) == 2
    assert "damaged or broken off" in capsys.readouterr().err


def test_an_invalid_crate_gives_one_line_an_issue(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["crate", "build", "--from", sources[1], "--output", str(tmp_path / "a.zip")])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "crate")
    metadata = tmp_path / "crate" / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text().replace('"license"', '"keywords"'))
    capsys.readouterr()
    assert main(["crate", "validate", str(tmp_path / "crate")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["required", "recommended"]
    assert "`license`" in lines[0]
    assert lines[-1].endswith("not valid, 2 rules are broken (process-run-crate, recommended)")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "not a reference, run record or crate"),
        (b'{"chunkwise_reference": 1, "records": {}}', "not a reference, run record or crate"),
        (b'{"chunkwise_reference": 1, "records": []}', "contains no run record"),
        (b'{"chunkwise_reference": 1, "records": [3]}', "not a run record"),
        (b'{"chunkwise_record": 7}', "newer chunkwise"),
        (b"PK\x05\x06" + b"\0" * 18, "contains no run record"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_bad_input_gets_one_sentence_and_no_crate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    code = main(["crate", "build", "--from", str(tmp_path / "bad.json"), "--output", str(tmp_path / "a.zip")])
    error = capsys.readouterr().err
    assert code == 2
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--author-orcid", "0000-0002-1825-0098"], "not an ORCID"),
        (["--organization-url", "https://example.org"], "without its name"),
        (["--organization", "A", "--organization-url", "example.org"], "not a web address"),
        (["--organism", "NCBI:9606"], "'NCBI:9606' cannot be read as the organism"),
        (["--modality", "NCBI:txid9606"], "cannot be read as the modality"),
        (["--channel", ""], "is not a channel"),
        (["--about", "/nowhere/about.yml"], "/nowhere/about.yml cannot be read"),
        (["--source-crate", "/nowhere/x.json"], "/nowhere/x.json cannot be read"),
    ],
)
def test_details_that_cannot_be_used(
    sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["crate", "build", "--from", *sources, "--output", str(tmp_path / "a.zip"), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


def test_an_output_that_exists_is_kept(sources: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_text("mine")
    assert main(["crate", "build", "--from", *sources, "--output", str(tmp_path / "a.zip")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "a.zip").read_text() == "mine"


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from chunkwise.cli import build_parser; build_parser('crate').format_help()\n"
        "print(sorted({'rocrate', 'rocrate_validator', 'rdflib', 'jinja2', 'numpy', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
