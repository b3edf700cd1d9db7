from __future__ import annotations

import json
import socket
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chunkwise.errors import InputError
from chunkwise.provenance.contexts import contexts
from chunkwise.provenance.crate import METADATA_FILE, build_crate
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.validate import profile_of, validate_crate

SHARED = Path(__file__).parents[3] / "shared" / "rocrate" / "contexts"


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("https://w3id.org/ro/crate/1.1/context", "ro-crate-1.1.jsonld"),
        ("https://w3id.org/ro/crate/1.3/context", "ro-crate-1.3.jsonld"),
        ("https://w3id.org/ro/terms/workflow-run/context", "workflow-run.jsonld"),
    ],
)
def test_the_context_is_the_published_one(address: str, file: str) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the published JSON-LD contexts are not at {SHARED}")
    assert json.loads(contexts()[address]) == json.loads((SHARED / file).read_bytes())


def test_terms_of_later_versions_and_of_the_run_profiles_are_unknown_to_plain_1_1() -> None:
    known = json.loads(contexts()["https://w3id.org/ro/crate/1.1/context"])["@context"]
    assert known.keys() & {"sha256", "digitalSourceType"} == set()
    assert "digitalSourceType" in json.loads(contexts()["https://w3id.org/ro/crate/1.3/context"])["@context"]


def test_no_network_no_noise_and_nothing_left_behind(
    chain: list[RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was used")

    build_crate(chain, tmp_path / "crate.zip")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert validate_crate(tmp_path / "crate.zip") == []
    assert list(scratch.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_profile_is_the_most_special_one_that_is_named(tmp_path: Path) -> None:
    def crate(*profiles: str) -> Path:
        links = [{"@id": profile} for profile in profiles]
        content = {"@graph": [{"@id": "./", "conformsTo": links}]}
        (tmp_path / METADATA_FILE).write_text(json.dumps(content))
        return tmp_path

    process, provenance = "https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/provenance/0.5"
    assert profile_of(crate(process)) == "process-run-crate"
    assert profile_of(crate(process, provenance)) == "provenance-run-crate"
    assert profile_of(crate()) == "ro-crate-1.1"


def archive(file: Path, **content: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as zipped:
        for name, data in content.items():
            zipped.writestr(name, data)
    return file


def test_what_is_no_crate_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        validate_crate(tmp_path / "absent.zip")
    with pytest.raises(InputError, match=r"has no ro-crate-metadata\.json"):
        validate_crate(tmp_path)
    with pytest.raises(InputError, match=r"has no ro-crate-metadata\.json"):
        validate_crate(archive(tmp_path / "a.zip", other=b""))
    with pytest.raises(InputError, match="is not JSON"):
        validate_crate(archive(tmp_path / "b.zip", **{METADATA_FILE: b"{"}))
    (tmp_path / "c.zip").write_bytes(b"PK not really")
    with pytest.raises(InputError, match="not a zip file"):
        validate_crate(tmp_path / "c.zip")
    with pytest.raises(InputError, match="no level"):
        validate_crate(tmp_path, level="lenient")
    with pytest.raises(InputError, match="no profile"):
        validate_crate(tmp_path, profile="mine")


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"@context": "x", "@graph": [1]}', b"null", b'{"@graph": {}}'])
def test_json_that_is_no_crate_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="not that of an RO-Crate"):
        validate_crate(archive(tmp_path / "a.zip", **{METADATA_FILE: content}))


@pytest.mark.parametrize(
    "content", [{}, {"@context": 7}, {"@context": "nowhere"}, {"@context": {}, "@graph": [{"@id": 3}, {"@type": []}]}]
)
def test_a_broken_crate_is_invalid_or_refused_but_never_a_crash(tmp_path: Path, content: dict[str, Any]) -> None:
    broken = archive(tmp_path / "a.zip", **{METADATA_FILE: json.dumps({"@graph": [], **content}).encode()})
    try:
        outcome: Any = validate_crate(broken)
    except InputError as error:
        outcome = str(error)
    assert outcome


def test_a_context_that_is_not_installed_is_an_issue(chain: list[RunRecord], tmp_path: Path) -> None:
    build_crate(chain, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        content = json.loads(zipped.read(METADATA_FILE))
    content["@context"] = ["https://w3id.org/ro/crate/1.1/context", "https://example.org/other/context"]
    issues = validate_crate(archive(tmp_path / "b.zip", **{METADATA_FILE: json.dumps(content).encode()}))
    about = [issue for issue in issues if "https://example.org/other/context" in issue.message]
    assert {issue.level for issue in about} == {"required"}
    assert not any("object at 0x" in str(issue) for issue in issues)
