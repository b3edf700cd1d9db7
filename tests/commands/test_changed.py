"""What a run reads changes while it works, or between its being stopped and gone on with: refused, never mixed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.storage.stamp import Swept
from killing import CHANGES, at_line, chunks, lines, plain_store, rewrite_unseen, start, wait_for
from made_models import make_package, noise

_STORE = "--block 32,32 --shard 64,64 --output out"
_TABLE = "--block 32,32 --output out"
#: The image among its words that is to change, and the words.
COMMANDS: dict[str, tuple[str, list[str]]] = {
    "segment": ("image", f"segment image {_STORE}".split()),
    "predict": ("image", f"predict image --model tiny {_STORE}".split()),
    "objects": ("maps", f"objects maps --method foreground-boundary {_STORE}".split()),
    "fetch": ("image", f"fetch image {_STORE}".split()),
    "filter": ("image", f"filter image --method median {_STORE}".split()),
    "threshold": ("image", f"threshold image --method li {_STORE}".split()),
    "measure the labels": ("labels", f"measure --labels labels --image image {_TABLE}".split()),
    "measure the image": ("image", f"measure --labels labels --image image {_TABLE}".split()),
    "compare the truth": ("truth", f"compare truth labels {_TABLE}".split()),
    "compare the prediction": ("labels", f"compare truth labels {_TABLE}".split()),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    make_package(folder / "tiny")
    plain_store(folder / "image", noise((160, 160)))
    rng = np.random.default_rng(0)
    plain_store(folder / "maps", rng.random((2, 160, 160), np.float32))
    numbers = np.arange(1, 101, dtype=np.uint16).reshape(10, 10)
    for name, shift in (("labels", 0), ("truth", 3)):
        plain_store(folder / name, np.roll(np.kron(numbers, np.ones((16, 16), np.uint16)), shift), labels=True)
    return folder


@pytest.fixture
def here(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(words: list[str], output: str) -> tuple[int, str]:
    """Do the command with one worker; exit code, and a digest of what it made."""
    code = main([*words[:-1], output, "--workers", "1"])
    path = Path(output)
    made = "" if not path.exists() else made_stores.digest(path) if path.is_dir() else path.read_bytes().hex()
    return code, made


def stopped(words: list[str], monkeypatch: pytest.MonkeyPatch, number: int = 5) -> None:
    """Begin the command, and stop it when some blocks are done."""

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        at_line(patched, number, stop)
        assert main([*words, "--workers", "1"]) == 130
    assert not Path(words[-1]).exists()
    assert Path(f"{words[-1]}.run", "journal").is_dir()


def last(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


@pytest.fixture
def remove() -> Callable[[], None]:
    """Do what the sentence says."""

    def do() -> None:
        shutil.rmtree("out.run")
        shutil.rmtree("out.partial", ignore_errors=True)

    return do


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_that_changes_before_the_run_goes_on(
    here: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, remove: Callable[[], None]
) -> None:
    changing, words = COMMANDS[command]
    before = done(words, "before")
    assert before[0] == 0
    stopped(words, monkeypatch)
    noted = Path("out.run/inputs.json").read_bytes()
    rewrite_unseen(chunks(here / changing)[7])
    for _ in range(2):  # it stays refused
        assert done(words, "out") == (2, "")
        said = last(capsys)
        assert f"{here / changing / '0'} is not what it was when this run began" in said
        assert f"remove {here / 'out.run'}" in said
        assert said.endswith("to start over.")
        assert Path("out.run/inputs.json").read_bytes() == noted
    after = done(words, "after")
    assert after[0] == 0
    assert after[1] != before[1], "the change does not show, so that this test says nothing"
    remove()
    assert done(words, "out") == after


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_that_changes_during_the_run(
    here: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    changing, words = COMMANDS[command]
    with monkeypatch.context() as patched:
        at_line(patched, 5, lambda: rewrite_unseen(chunks(here / changing)[7]))
        assert done(words, "out") == (2, "")
    assert f"{here / changing / '0'} changed while it was read" in last(capsys)
    assert not Path("out.partial").exists()
    assert {path.name for path in Path("out.run").iterdir()} <= {"record.json", "plan.json"}
    record = json.loads(Path("out.run/record.json").read_text())
    assert record["status"] == "failed"
    assert "changed while it was read" in record["error"]
    # And the same command begins anew.
    assert done(words, "out") == done(words, "after")


@pytest.mark.parametrize("change", CHANGES)
def test_every_way_to_change(here: Path, change: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    words = COMMANDS["segment"][1]
    chunk = chunks(here / "image")[7]
    if change == "new":
        chunk.unlink()
    stopped(words, monkeypatch)
    CHANGES[change](chunk)
    assert done(words, "out") == (2, "")
    assert "is not what it was when this run began" in last(capsys)


@pytest.mark.parametrize("change", CHANGES)
def test_an_ome_tiff_that_is_written_while_the_image_changes(
    here: Path, change: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from chunkwise.ops import tiff

    chunk = chunks(here / "image")[7]
    if change == "new":
        chunk.unlink()
    named = tiff._name_by_content

    def late(path: str) -> None:
        CHANGES[change](chunk)
        named(path)

    monkeypatch.setattr(tiff, "_name_by_content", late)
    assert main(["fetch", "image", "--output", "cut.ome.tiff"]) == 2
    assert "changed while it was read" in last(capsys)
    assert not [path for path in here.iterdir() if "cut" in path.name]


def test_what_is_not_read_may_change(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*COMMANDS["segment"][1][:-2], "--region", "0:64,0:64", "--output", "out"]
    whole = done(words, "whole")
    stopped(words, monkeypatch, 3)
    rewrite_unseen(chunks(here / "image")[-1])
    (here / "image" / "labels").mkdir()
    assert done(words, "out") == whole
    checked = json.loads(Path("out.run/record.json").read_text())["inputs"][0]["checked"]
    assert checked == {
        "fingerprint": "taken",
        "of": "size, mtime, ctime, inode",
        "objects": 4,
        "compared": 4,
        "at": ["start", "resume", "end"],
    }


def test_a_model_that_changes(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    words = COMMANDS["predict"][1]
    readme = here / "tiny" / "README.md"
    with monkeypatch.context() as patched:
        at_line(patched, 5, lambda: readme.write_text("# Other\n"))
        assert done(words, "out") == (2, "")
    assert "The files of the model" in last(capsys)
    stopped(words, monkeypatch)
    readme.write_text("# Yet another\n")
    assert done(words, "out") == (2, "")
    assert "another input or other parameters" in last(capsys)


def test_metadata_that_change(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def rename(content: dict[str, Any]) -> None:
        content["attributes"]["ome"]["multiscales"][0]["name"] += "!"

    words = COMMANDS["fetch"][1]
    with monkeypatch.context() as patched:
        at_line(patched, 5, lambda: made_stores.change_json(here / "image" / "zarr.json", rename))
        assert done(words, "out") == (2, "")
    assert "changed while it was read" in last(capsys)


def test_mutant_a_comparison_that_finds_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, old voxels and new ones are mixed, with exit 0: what these tests are about is real."""
    words = COMMANDS["fetch"][1]
    before = done(words, "before")
    stopped(words, monkeypatch, 4)
    for chunk in chunks(here / "image"):
        rewrite_unseen(chunk)
    monkeypatch.setattr(Swept, "fits", lambda self, stamp: True)
    mixed, after = done(words, "out"), done(words, "after")
    assert mixed[0] == 0
    assert mixed[1] not in (before[1], after[1])


def test_a_chunk_that_cannot_be_read_may_be_mended(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """But only the one that could not be read, and only if nobody read it before."""
    words = COMMANDS["segment"][1]
    whole = done(words, "whole")
    chunk, other = chunks(here / "image")[7], chunks(here / "image")[12]
    content = chunk.read_bytes()
    for also, code in ((False, 0), (True, 2)):
        chunk.write_bytes(content[:20])
        assert done(words, "out") == (4, "")
        noted = json.loads(Path("out.run/inputs.json").read_text())
        assert noted["inputs"]["image"]["left_out"] == ["c/1/2"]
        chunk.write_bytes(content)
        if also:
            rewrite_unseen(other)
        assert done(words, "out")[0] == code, last(capsys)
        if not also:
            assert made_stores.digest(Path("out")) == whole[1]
            shutil.rmtree("out")
    shutil.rmtree("out.run")
    shutil.rmtree("out.partial")
    # Damaged when some blocks had read it: nobody knows whether it is mended into what it was.
    with monkeypatch.context() as patched:
        at_line(patched, 5, lambda: [chunk.write_bytes(content[:20]) for chunk in chunks(here / "image")])
        assert done(words, "out")[0] == 4
    for one in chunks(here / "image"):
        one.write_bytes(content)
    assert done(words, "out") == (2, "")


def test_a_damaged_shard_may_not_be_mended(here: Path, capsys: Any) -> None:
    """Other parts of it were read: with one of other voxels in its place, both would be in the result."""
    words = COMMANDS["measure the image"][1]
    voxels = noise((160, 160))
    for name, content in (("image", voxels), ("other", voxels + 100)):
        array: Any = zarr.create_array(
            here / name / "0", shape=(160, 160), dtype="uint16", chunks=(32, 32), shards=(160, 160),
            dimension_names=["y", "x"], overwrite=True,
        )  # fmt: skip
        array[...] = content
    (shard,), (other,) = chunks(here / "image"), chunks(here / "other")
    content = shard.read_bytes()
    begin, size = np.frombuffer(content[-16 * 25 - 4 : -4], "<u8").reshape(25, 2)[24].tolist()
    shard.write_bytes(content[:begin] + bytes(size) + content[begin + size :])
    assert done(words, "out") == (4, "")
    assert "1 of 25 blocks failed" in last(capsys)
    shard.write_bytes(other.read_bytes())
    assert done(words, "out") == (2, "")
    assert "is not what it was when this run began" in last(capsys)


def test_a_run_of_an_earlier_chunkwise(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    words = COMMANDS["segment"][1]
    stopped(words, monkeypatch)
    Path("out.run/inputs.json").write_text('{"chunkwise_inputs": 1, "inputs": {}}')
    assert done(words, "out") == (2, "")
    assert "damaged" in last(capsys)
    for damaged in ("{", "null", "[" * 100_000):
        Path("out.run/inputs.json").write_text(damaged)
        assert done(words, "out") == (2, "")
        assert "damaged" in last(capsys)
    Path("out.run/inputs.json").unlink()
    assert done(words, "out") == (2, "")
    assert "because an earlier chunkwise wrote it" in last(capsys)
    Path("out.run/record.json").write_text("[" * 100_000)
    assert done(words, "out") == (2, "")
    assert "left over from another run" in last(capsys)


def test_a_reference_by_what_it_was_checked(here: Path, capsys: Any) -> None:
    """Of every level; what was only handed on is called that."""
    for level, told in (("none", "compared"), ("stat", "compared"), ("sample", "handed on"), ("full", "handed on")):
        assert main(["open", "image", "--output", f"{level}.json", "--fingerprint", level]) == 0
        words = ["segment", f"{level}.json", "--output", f"{level}.ome.zarr", "--workers", "1"]
        assert main([*words, "--record", f"r-{level}.json", "--crate", f"{level}.zip"]) == 0
        checked = json.loads(Path(f"r-{level}.json").read_text())["inputs"][0]["checked"]
        assert checked["fingerprint"] == told
        assert checked["compared"] == checked["objects"] == 25
        if level in ("stat", "full"):  # one of each kind
            assert main(["crate", "validate", f"{level}.zip"]) == 0
    rewrite = CHANGES["rewritten"]
    rewrite(chunks(here / "image")[0])
    capsys.readouterr()
    assert main(["segment", "stat.json", "--output", "again.ome.zarr", "--workers", "1"]) == 2
    assert "is not what its reference says" in last(capsys)
    assert not Path("again.ome.zarr.run").exists()
    # Labels that are written into the image are no change of it.
    assert main(["open", "image", "--output", "own.json", "--fingerprint", "stat"]) == 0
    assert main(["segment", "own.json", "--into-source", "cells", "--workers", "1"]) == 0
    measure = ["measure", "--labels", "image/labels/cells", "--image", "own.json", "--output", "t.tsv"]
    assert main([*measure, "--record", "t.json", "--workers", "1"]) == 0
    told = {item["name"]: item["checked"]["fingerprint"] for item in json.loads(Path("t.json").read_text())["inputs"]}
    assert told == {"labels": "taken", "image": "handed on"}


def test_in_the_workspace_the_next_job_begins_anew(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Nobody can remove anything there by hand."""
    (here / "results").mkdir()
    (here / "site.toml").write_text(
        f'[roots.here]\npath = "{here}"\n[roots.results]\npath = "{here}/results"\naccess = "write"\n'
        '[workspace]\nroot = "results"\nlayout = "flat"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(here / "site.toml"))
    words = [*COMMANDS["segment"][1][:-2], "--workers", "1", "--to-workspace", "cells"]

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        at_line(patched, 5, stop)
        assert main(words) == 130
    assert list((here / "results" / ".runs").glob("*/*/run/journal"))
    rewrite_unseen(chunks(here / "image")[7])
    assert main(words) == 2
    said = last(capsys)
    assert "what was computed has been removed: run the same job again to start over" in said
    assert str(here / "results" / ".runs") not in said
    left = {path.name for path in (here / "results" / ".runs").glob("*/*/**/*") if path.is_file()}
    assert left <= {"plan.json", "record.json"}
    assert main(words) == 0
    monkeypatch.delenv("CHUNKWISE_SITE")
    assert made_stores.digest(here / "results" / "cells") == done(COMMANDS["segment"][1], "after")[1]


# --- kill -9, with two workers, of a model's run in the middle of its tiles ---


@pytest.fixture
def model_run(here: Path) -> list[str]:
    shutil.rmtree("image")
    plain_store(here / "image", noise((256, 256)))
    where = ["--block", "16,16", "--shard", "32,32", "--workers", "2", "--output", "out"]
    return ["predict", "image", "--model", "tiny", *where]


def test_predict_is_killed_in_the_middle_of_its_tiles(model_run: list[str], here: Path, capsys: Any) -> None:
    alone = ["--workers", "1"]  # whose bytes are the same, and who need not start
    assert main([*model_run[:-1], "whole", *alone]) == 0
    for change in (False, True):
        process = start(model_run)
        assert wait_for(process, here / "out.run", "predict", 20), process.communicate()
        process.kill()
        process.communicate()
        assert lines(here / "out.run", "predict") < 8 * 8
        assert not Path("out").exists()
        if change:
            rewrite_unseen(chunks(here / "image")[40])
            assert main([*model_run, *alone]) == 2
            assert "is not what it was when this run began" in last(capsys)
        else:
            assert main([*model_run, *alone]) == 0
            assert made_stores.digest(Path("out")) == made_stores.digest(Path("whole"))
            shutil.rmtree("out")
            shutil.rmtree("out.run")


def killed_again_and_again(words: list[str], folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill a run anywhere, and now and then change its input: the same bytes or a refusal; counts what happened."""
    luck, told = random.Random(seed), dict.fromkeys(("kills", "in the middle", "resumed", "refused", "whole"), 0)
    run, changed, passes = folder / "out.run", False, ("statistics-raw", "predict", "level-1")
    while told["kills"] < kills or told["whole"] == 0:
        before = sum(lines(run, name) for name in passes)
        enough = before + luck.choice((-1, 0, 1, luck.randrange(40), luck.randrange(40), 1000))
        told["resumed"] += before > 0 and not changed
        process = start(words)
        while process.poll() is None and (told["kills"] >= kills or sum(lines(run, name) for name in passes) <= enough):
            time.sleep(0.005)
        if process.poll() is None:
            process.kill()
            told["kills"] += 1
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            told["in the middle"] += lines(run, "predict") > 1
            if not changed and luck.random() < 0.25:
                rewrite_unseen(luck.choice(chunks(folder / "image")))
                changed = (run / "inputs.json").exists()
        elif changed:
            assert process.returncode == 2, told
            told["refused"] += 1
            changed = False
            shutil.rmtree(run)
            shutil.rmtree("out.partial", ignore_errors=True)
        else:
            assert process.returncode == 0, told
            told["whole"] += 1
            assert main([*words[:-1], "whole", "--workers", "1"]) == 0
            assert made_stores.digest(Path("out")) == made_stores.digest(Path("whole")), told
            for name in ("out", "out.run", "whole", "whole.run"):
                shutil.rmtree(name)
    return told


@pytest.mark.slow
def test_killed_forty_times(model_run: list[str], here: Path) -> None:
    told = killed_again_and_again(model_run, here, 40, 2)
    print(told)
    assert told["kills"] >= 40
    assert told["in the middle"] >= 10
    assert told["resumed"] >= 10
    assert told["refused"] >= 2
    assert told["whole"] >= 2
