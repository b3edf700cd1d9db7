"""Records, crates and what a person says, made to do harm: each is one sentence, and does none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chunkwise.blocks.journal import Journal
from chunkwise.blocks.plan import Plan
from chunkwise.cli import main
from chunkwise.provenance.carried import carried_by
from chunkwise.provenance.crate import build_crate
from chunkwise.provenance.record import RunRecord
from chunkwise.storage.location import Location
from chunkwise.storage.writer import StoredObject

DATA = Path(__file__).parents[2] / "test-data"
RECORD: dict[str, Any] = json.loads((DATA / "segment_record.json").read_text())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(**values: Any) -> str:
    Path("r.json").write_text(json.dumps(RECORD | values))
    return "r.json"


def located(place: str) -> dict[str, Any]:
    first = {key: value for key, value in RECORD["inputs"][0].items() if key != "root"} | {"location": place}
    return {"inputs": [first]}


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    before = set(os.listdir("."))
    assert main(list(words)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert set(os.listdir(".")) == before
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"start": "0001-01-01T00:00:00+14:00"}, "has the time"),
        ({"end": "9999-12-31T23:59:59-14:00"}, "has the time"),
        ({"workers": [{"worker": "w", "cpu_seconds": 10**400}]}, "is not JSON"),
        ({"blocks": {"total": -(10**400)}}, "is not JSON"),
    ],
)
def test_times_and_numbers_that_nothing_can_be_done_with(
    values: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--output", "c.zip"], ["--output", "c.zip", "--publish"]):
        assert said in refusal(capsys, "crate", "build", "--from", record(**values), *words)
    assert said in refusal(capsys, "crate", "report", record(**values), "--html", "c.html")


def test_numbers_whose_sum_is_none_are_left_out_of_the_sums() -> None:
    workers = [{"worker": str(n), "cpu_seconds": 1.7e308, "peak_rss_bytes": 17 * 10**307} for n in range(3)]
    assert main(["crate", "build", "--from", record(workers=workers), "--output", "c.zip"]) == 0
    assert main(["crate", "report", "c.zip", "--html", "c.html"]) == 0


@pytest.mark.parametrize("place", ["x\necho harm\n#", "--into-source=x://", "x\x1b[2J"])
def test_a_dry_run_prints_no_place_that_a_shell_or_a_command_would_obey(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "not a path or URL" in refusal(capsys, "crate", "rerun", record(**located(place)), "--dry-run")


def test_a_dry_run_is_safe_to_be_given_to_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crate", "rerun", record(**located("x; echo harm; $(echo harm)")), "--dry-run"]) == 0
    printed = capsys.readouterr().out.replace("chunkwise ", "true ")
    assert subprocess.run(["sh", "-c", printed], capture_output=True, check=True).stdout == b""


def test_a_place_cannot_pass_for_a_line_of_verify(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    main(["verify", record(outputs=[], **located(f"{here}/gone\nsame     /data/x: every byte"))])
    assert not any(line.startswith("same") for line in capsys.readouterr().out.splitlines())


def test_texts_that_utf_8_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yml").write_text('name: "\\uD800x"\n')
    for words in (["--about", "a.yml"], ["--name", "a\udcff"], ["--author-name", "a\udcff"], ["--channel", "a\udcff"]):
        assert "UTF-8" in refusal(capsys, "crate", "build", "--from", record(), "--output", "c.zip", *words)


def crate() -> Path:
    build_crate(
        [RunRecord.from_dict(RECORD)], "made.zip", attachments={"blocks-1.tsv.gz": b"\x1f\x8b" + os.urandom(99)}
    )
    return Path("made.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_crates_that_cannot_be_unpacked(method: int, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(crate()) as made, zipfile.ZipFile("again.zip", "w", method) as again:
        for name in made.namelist():
            again.writestr(name, made.read(name))
        places = {entry.filename: entry.header_offset + 30 + len(entry.filename) for entry in again.infolist()}
    for name, start in places.items():
        content = bytearray(Path("again.zip").read_bytes())
        content[start + 12 : start + 60] = b"\xff" * 48
        Path("bad.zip").write_bytes(content)
        if name.startswith(("records", "blocks")):
            refusal(capsys, "crate", "build", "--from", "bad.zip", "--output", "c.zip")
        if name.startswith(("records", "blocks", "ro-crate-metadata")):
            refusal(capsys, "crate", "rerun", "bad.zip", "--dry-run")


def test_an_unpacked_crate_takes_nothing_along_from_elsewhere(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    private = tmp_path_factory.mktemp("private")
    with zipfile.ZipFile(crate()) as made:
        made.extractall("folder")
        made.extractall(private)
    leads: list[Callable[[], None]] = [
        lambda: Path("folder/blocks-1.tsv.gz").symlink_to(private / "blocks-1.tsv.gz"),
        lambda: Path("folder/records/segment-1.json").symlink_to(private / "records/segment-1.json"),
        lambda: Path("folder/records").symlink_to(private / "records"),
    ]
    for link, gone in zip(leads, ("blocks-1.tsv.gz", "records/segment-1.json", "records"), strict=True):
        shutil.copytree("folder", "saved")
        path = Path("folder", gone)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        link()
        assert "leads out of the crate" in refusal(capsys, "crate", "build", "--from", "folder", "--output", "c.zip")
        shutil.rmtree("folder")
        os.rename("saved", "folder")


def test_what_a_store_says_of_itself_cannot_stop_a_run(here: Path) -> None:
    store = here / "i.ome.zarr"
    store.mkdir()
    about = store / "ro-crate-metadata.json"
    code = "from chunkwise.provenance.carried import carried_by; from chunkwise.storage.location import Location\n"
    os.mkfifo(about)
    program = f"{code}assert carried_by(Location({str(store)!r})) == {{}}"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
    about.unlink()
    with about.open("wb") as file:
        file.truncate(2**40)  # of which there is nothing on the disk
    assert carried_by(Location(str(store))) == {}


def exported(file: str, edit: Callable[[Any], None]) -> str:
    """Galaxy's export with one of its files edited."""
    with zipfile.ZipFile(DATA / "two_images.rocrate.zip") as made, zipfile.ZipFile("g.zip", "w") as again:
        for name in made.namelist():
            content = made.read(name)
            if name.endswith(file):
                parsed = json.loads(content)
                edit(parsed)
                content = json.dumps(parsed).encode()
            again.writestr(name, content)
    return "g.zip"


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("invocation_attrs.txt", lambda them: them[0].update(steps=[{"order_index": [1]}])),
        ("invocation_attrs.txt", lambda them: them[0].update(subworkflow_invocations=[{"order_index": {}}])),
        ("jobs_attrs.txt", lambda them: them[0].update(create_time="0001-01-01T00:00:00+14:00")),
        ("jobs_attrs.txt", lambda them: them[0].update(params={"a": 10**400})),
    ],
)
def test_exports_with_values_that_nothing_can_be_done_with(
    file: str, edit: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    export = exported(file, edit)
    assert refusal(capsys, "crate", "merge", "--galaxy", export, "--output", "c.zip")


def test_a_job_that_ended_before_it_was_made_is_told_by_its_end() -> None:
    export = exported("jobs_attrs.txt", lambda them: them[0].update(update_time="2000-01-01T00:00:00"))
    assert main(["crate", "merge", "--galaxy", export, "--output", "c.zip", "--outside"]) == 0


def test_what_a_workflow_is_called_stays_text_in_the_page_and_the_readme() -> None:
    name = "</title><script>x</script>| [y](http://z)\n# more"
    export = exported(".ga", lambda workflow: workflow.update(name=name))
    assert main(["crate", "merge", "--galaxy", export, "--output", "c.zip"]) == 0
    with zipfile.ZipFile("c.zip") as made:
        for file in ("README.md", "ro-crate-preview.html"):
            assert "<script" not in made.read(file).decode()
        assert "\n# more" not in made.read("README.md").decode()


def test_an_export_with_workflows_that_fill_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
    export = exported("none", lambda _: None)
    with zipfile.ZipFile(export, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2):
            archive.writestr(f"workflows/{number}.cwl", bytes(40 * 2**20))
    assert "MiB" in refusal(capsys, "crate", "merge", "--galaxy", export, "--output", "c.zip")


def killed_run(folder: Path, store: str, key: str = "0/c/0", content: bytes = b"") -> Path:
    """The directory of a run that was killed, as anybody may make one."""
    run = folder / "x.run"
    plan = Plan("segment", {}, {}, {})
    run.mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps(plan.document()))
    failed = {**RECORD, "status": "failed", "error": "It ended without a word."}
    told = {"chunkwise_begun": 1, "store": store, "output": "", "table": "blocks-1.tsv.gz", "resumed": 0}
    (run / "begun.json").write_text(json.dumps(told | {"record": failed}))
    item = StoredObject(key, hashlib.sha256(content).hexdigest(), len(content))
    Journal(str(run / "journal"), plan.hash).append("write", 0, 0.0, 1.0, (item,))
    return run


def test_closing_a_run_removes_nothing_that_is_no_lock(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "requirements.lock").write_text("precious")
    run = killed_run(here, "../requirements")
    assert "is not a lock file" in refusal(capsys, "crate", "build", "--from", str(run), "--output", "c.zip")
    assert (here / "requirements.lock").read_text() == "precious"
    assert not (run / "record.json").exists()


def test_closing_a_run_does_not_tell_what_lies_elsewhere(here: Path) -> None:
    (here / "private").write_bytes(b"guessed")
    for name, key in (("a", "../../private"), ("b", str(here / "private")), ("c", "scratch/../../../private")):
        run = killed_run(here / name, "../x.partial", key, b"guessed")
        assert main(["crate", "build", "--from", str(run), "--output", f"{name}.zip"]) == 0
        blocks = json.loads((run / "record.json").read_text())["blocks"]
        assert (blocks["done"], blocks["lost"]) == (0, 1)


def test_closing_a_run_writes_only_where_the_site_lets_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = killed_run(here / "data", "../x.partial")
    (here / "job").mkdir()
    (here / "site.toml").write_text(
        f'[roots.data]\npath = "{here}/data"\n[roots.jobs]\npath = "{here}/job"\naccess = "job"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(here / "site.toml"))
    before = sorted(path.name for path in (here / "data").rglob("*"))
    assert main(["crate", "build", "--from", str(run), "--output", "job/c.zip"]) == 3
    assert "read but not written" in capsys.readouterr().err
    assert sorted(path.name for path in (here / "data").rglob("*")) == before


def test_a_report_opens_only_so_many_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = located(f"{here}/i.ome.zarr")["inputs"][0]
    many = [one | {"identity": f"urn:uuid:{number:08x}-0000-0000-0000-000000000000"} for number in range(300)]
    assert main(["crate", "report", record(inputs=many, outputs=[]), "--html", "p.html"]) == 0
    assert capsys.readouterr().err.count("\n") == 101
