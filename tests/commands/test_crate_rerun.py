"""A chain is done again from its crate, and comes to the same bytes; whatever is not as recorded is said."""

from __future__ import annotations

import os
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from chunkwise.cli import build_parser, main
from chunkwise.commands.crate.words import parser_of, words_of
from chunkwise.errors import InputError
from chunkwise.provenance.chain import in_order
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.crate import build_crate
from chunkwise.provenance.publishing.record import publish
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.rerun import Step, plan_rerun
from made_stores import multiscale, write

Edit = Callable[[list[RunRecord]], list[RunRecord]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an image, its labels, their table, and the crate of it all."""
    folder, before = tmp_path_factory.mktemp("made"), os.getcwd()
    os.chdir(folder)
    channels = {"omero": {"channels": [{"label": "spots", "color": "00FF00"}, {"label": "a  b", "color": "FF0000"}]}}
    image = write(folder / "image.ome.zarr", "0.5", "cyx", (2, 96, 80), "uint16", multiscale("cyx", 1), channels)
    y, x = np.mgrid[:96, :80]
    spots = sum(1000 * np.exp(-((y - r) ** 2 + (x - c) ** 2) / 30) for r, c in ((20, 20), (50, 30), (70, 64)))
    zarr.open_array(image / "0", mode="r+")[...] = np.stack([spots, 1200 - spots]).astype(np.uint16)
    one = ["--workers", "1"]
    assert main(["open", "image.ome.zarr", "--output", "image.json", "--fingerprint", "full"]) == 0
    segment = ["segment", "image.json", "--channel", "spots", "--fill-holes", "--block", "50,50", "--overlay", "o.png"]
    assert main([*segment, "--output", "labels.ome.zarr", "--reference", "labels.json", *one]) == 0
    measure = ["measure", "--labels", "labels.json", "--image", "image.json", "--percentiles", "10,90"]
    assert main([*measure, "--output", "objects.tsv", "--reference", "objects.json", *one]) == 0
    assert main(["crate", "build", "--from", "objects.json", "--output", "crate.zip"]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as it was made, and a working directory in it."""
    monkeypatch.chdir(made)
    return made


def rebuilt(folder: Path, edit: Edit) -> str:
    """The crate with its records edited, as somebody may do by hand."""
    edited = folder / "edited.zip"
    edited.unlink(missing_ok=True)
    build_crate(edit(in_order(read_records(folder / "crate.zip"))), edited)
    return str(edited)


def with_parameters(command: str, **values: Any) -> Edit:
    def edit(records: list[RunRecord]) -> list[RunRecord]:
        return [
            replace(record, parameters=record.parameters | values) if record.command == command else record
            for record in records
        ]

    return edit


def test_the_chain_comes_to_the_same_bytes(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crate", "rerun", "crate.zip", "--output", str(tmp_path / "again")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "segment-1 output (labels): same",
        "segment-1 overlay (picture): same",
        "measure-2 output (table): same",
        "all of 3 outputs the same",
    ]
    assert (tmp_path / "again" / "measure-2" / "output.tsv").read_bytes() == (here / "objects.tsv").read_bytes()
    before, again = (
        zarr.open_array(path / "0", mode="r")[...] for path in (here / "labels.ome.zarr", *labels_in(tmp_path))
    )
    np.testing.assert_array_equal(np.asarray(before), np.asarray(again))


def labels_in(folder: Path) -> list[Path]:
    return [folder / "again" / "segment-1" / "output.ome.zarr"]


def test_a_table_that_was_read_is_compared_and_read_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.tsv").write_text("x\ty\n5\t7\n")
    words = [
        "points",
        "image.json",
        "--points",
        "p.tsv",
        "--output",
        "p.ome.zarr",
        "--crate",
        "p.zip",
        "--workers",
        "1",
    ]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["crate", "rerun", "p.zip", "--output", "p-again"]) == 0
    assert "all of 1 output the same" in capsys.readouterr().out
    Path("p.tsv").write_text("x\ty\n5\t8\n")
    assert main(["crate", "rerun", "p.zip", "--output", "p-more"]) == 2
    assert f"{here}/p.tsv, which points-1 read, is not what it was: its sha256 differs." in capsys.readouterr().err


def test_the_commands_are_printed_as_a_person_would_give_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(here.rglob("*"))
    assert main(["crate", "rerun", "crate.zip", "--dry-run"]) == 0
    first, second = (shlex.split(line) for line in capsys.readouterr().out.splitlines())
    assert first[:3] == ["chunkwise", "segment", str(here / "image.ome.zarr")]
    assert first[first.index("--channel") + 1] == "spots"
    assert first[first.index("--block") + 1] == "50,50"
    assert "--fill-holes" in first
    assert "--shard" not in first, "the usual one was not asked for"
    output = first[first.index("--output") + 1]
    assert second[second.index("--labels") + 1] == output == "./segment-1/output.ome.zarr"
    assert [second[i + 1] for i, word in enumerate(second) if word == "--channel"] == ["spots", "1"]
    for words in (first, second):
        build_parser(words[1]).parse_args(words[1:])
    assert sorted(here.rglob("*")) == files, "nothing is written"


def test_every_other_command_comes_to_the_same_bytes(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> None:
        made = [f"others/{word[1:]}" if word.startswith("@") else word for word in words]
        assert main([*made, "--workers", "1"]) == 0

    Path("others").mkdir()
    run("fetch", "image.json", "--region", "0:64,8:72", "--output", "@p.ome.zarr", "--reference", "@p.json")
    run(
        "predict", "@p.json", "--model", "nuclei", "--channel", "0", "--output", "@m.ome.zarr", "--reference", "@m.json"
    )
    run("objects", "@m.json", "--min-size", "5", "--output", "@n.ome.zarr", "--reference", "@n.json")
    compared = ["--output", "@c.json", "--table", "@c.tsv", "--html", "@c.html", "--reference", "@c-ref.json"]
    run("compare", "@n.json", "@n.json", "--threshold", "0.5", "0.9", *compared)
    run("fetch", "@p.json", "--output", "@t.ome.tiff", "--reference", "@t.json")
    sources = ["others/c-ref.json", "others/t.json"]
    assert main(["crate", "build", "--from", *sources, "--output", "others/c.zip"]) == 0
    capsys.readouterr()
    assert main(["crate", "rerun", "others/c.zip", "--output", str(tmp_path / "again")]) == 0
    printed = capsys.readouterr().out
    assert "all of 7 outputs the same" in printed
    assert [line.split(" ")[0] for line in printed.splitlines()[:4]] == [
        "fetch-1",
        "predict-2",
        "objects-3",
        "compare-4",
    ]


def test_a_published_chain_needs_to_be_told_where_things_are(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate = rebuilt(here, lambda records: publish(records)[0])
    assert main(["crate", "rerun", crate, "--output", "none"]) == 2
    assert "--map image-1.ome.zarr=PATH" in capsys.readouterr().err
    assert not Path("none").exists()
    assert main(["crate", "rerun", crate, "--dry-run"]) == 0
    assert str(here) not in capsys.readouterr().out
    words = ["--map", "image-1.ome.zarr=image.ome.zarr", "--output", str(tmp_path / "again")]
    assert main(["crate", "rerun", crate, *words]) == 0
    assert "all of 3 outputs the same" in capsys.readouterr().out


def test_mutant_a_changed_parameter_gives_other_bytes(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crate = rebuilt(here, with_parameters("segment", sigma=2.5))
    assert main(["crate", "rerun", crate, "--output", str(tmp_path / "again")]) == 1
    printed = capsys.readouterr().out
    assert "segment-1 output (labels): differs" in printed
    assert "3 of 3 outputs differ" in printed


def test_an_image_that_was_changed_is_found_before_anything_is_done(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(here / "image.ome.zarr", tmp_path / "copy.ome.zarr")
    array = zarr.open_array(tmp_path / "copy.ome.zarr" / "0", mode="r+")
    array[1, 5, 5] = 77
    words = ["--map", f"image.ome.zarr={tmp_path / 'copy.ome.zarr'}", "--output", str(tmp_path / "again")]
    assert main(["crate", "rerun", "crate.zip", *words]) == 2
    assert "is not what it was" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_what_a_crate_names_is_not_trusted(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["crate", "rerun", str(here / "crate.zip"), "--output", "again"]) == 3
    error = capsys.readouterr().err
    assert "is outside the working directory" in error
    assert "--map" in error
    assert os.listdir(tmp_path) == []


def gone(records: list[RunRecord]) -> list[RunRecord]:
    first = records[0]
    moved = replace(first.inputs[0], location=f"{first.inputs[0].location}.moved")
    return [replace(first, inputs=(moved,)), *records[1:]]


def of_another_command(records: list[RunRecord]) -> list[RunRecord]:
    return [replace(records[0], command="site"), *records[1:]]


def all_failed(records: list[RunRecord]) -> list[RunRecord]:
    return [replace(record, status="failed", error="x") for record in records]


def of_other_inputs(records: list[RunRecord]) -> list[RunRecord]:
    return [replace(records[0], inputs=(replace(records[0].inputs[0], name="run_dir"),)), *records[1:]]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (gone, "What segment-1 read cannot be opened"),
        (of_another_command, "cannot be run again from a record"),
        (all_failed, "None of its runs was completed"),
        (of_other_inputs, "segment-1 read 'run_dir'"),
        (with_parameters("segment", surprise=1), "parameter 'surprise'"),
        (with_parameters("segment", run_dir="/tmp/x"), "parameter 'run_dir'"),
        (with_parameters("segment", sigma="much"), "does not understand what was recorded"),
        (with_parameters("segment", sigma={"a": 1}), "is not valid for --sigma"),
        (with_parameters("segment", fill_holes="yes"), "--fill-holes takes no value"),
        (with_parameters("segment", foreground="--run-dir=/tmp/x"), "does not understand"),
        (with_parameters("measure", properties=["--run-dir", "/tmp/x"]), "is not valid for --properties"),
        (with_parameters("segment", channel="--run-dir=/tmp/x"), "has no channel '--run-dir=/tmp/x'"),
    ],
)
def test_a_crate_that_makes_no_sense_gets_a_sentence(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, words: str
) -> None:
    crate = rebuilt(here, edit)
    files = sorted(here.rglob("*"))
    assert main(["crate", "rerun", crate, "--output", str(tmp_path / "again")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("chunkwise crate: error:") == 1
    assert error.splitlines()[-1].startswith("chunkwise crate: error:")
    assert sorted(here.rglob("*")) == files


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Say with --output"),
        (["--dry-run", "--map", "x"], "not of the form OLD=NEW"),
        (["--dry-run", "--map", "x=y"], "--map knows image.ome.zarr"),
        (["--output", "."], "is not an empty folder"),
        (["--output", "labels.json"], "is not an empty folder"),
    ],
)
def test_arguments_that_make_no_sense_get_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["crate", "rerun", "crate.zip", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_what_is_no_crate_gets_a_sentence(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("ro-crate-metadata.json", "{}")
    with zipfile.ZipFile(here / "crate.zip") as archive, zipfile.ZipFile(tmp_path / "edited.zip", "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name).replace(b'"sigma": 1.0', b'"sigma": 2.0'))
    for name in ("broken.zip", "empty.zip", "absent.zip", "edited.zip"):
        assert main(["crate", "rerun", str(tmp_path / name), "--dry-run"]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_other_versions_and_failed_runs_are_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def edit(records: list[RunRecord]) -> list[RunRecord]:
        older = replace(records[0], software=records[0].software | {"numpy": "1.0"})
        return [older, replace(records[1], status="failed", error="x")]

    assert main(["crate", "rerun", rebuilt(here, edit), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert f"# note: numpy 1.0 then, {np.__version__} now" in printed
    assert "# note: measure-2 failed when it was recorded" in printed
    assert "chunkwise measure" not in printed


CALLS = {
    "segment": ["image", "--output", "x", "--threshold", "-7", "--split", "distance", "--region", "0:5,1:7"],
    "predict": [
        "image",
        "--output",
        "x",
        "--model",
        "nuclei",
        "--channel",
        "a",
        "--channel",
        "b",
        "--dtype",
        "float16",
    ],
    "objects": ["image", "--output", "x", "--method", "flows", "--channels", "flow_y=1", "--flow-scale", "2.5"],
    "measure": ["--labels", "l", "--image", "i", "--output", "x", "--properties", "area_physical", "centroid"],
    "compare": ["t", "p", "--output", "x", "--threshold", "0.5", "0.75", "--share", "0.2", "--time", "1:3"],
    "fetch": ["image", "--output", "x", "--channel", "-1", "--shard", "4,5,6", "--memory", "2GiB"],
}


@pytest.mark.parametrize("command", CALLS)
def test_parameters_survive_the_way_through_words(command: str) -> None:
    names = {"compare": ("truth", "predicted"), "measure": ("labels", "image")}.get(command, ("image",))
    parser = parser_of(command)
    args = parser.parse_args(CALLS[command])
    args.command = command
    # What goes in and out is no parameter; every command leaves its own out of the record.
    out = {"command", "labels", "image", "truth", "predicted", "dictionary", "table", "html", "pictures", "into_source"}
    out |= {"output", "plan", "to_workspace", "reference", "crate", "record", "run_dir", "overlay", "view", "report"}
    out |= {"preview", "preview_region", "parents", "summary", "children"}

    def parameters_of(args: Any) -> dict[str, Any]:
        values = {name: value for name, value in vars(args).items() if name not in out}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    parameters = parameters_of(args)
    recorder = Recorder(command, parameters)
    for name in names:
        recorder.input(name, "image", f"/somewhere/{name}")
    recorder.output("output", "image", "/somewhere/output")
    (step,), _ = plan_rerun([recorder.finish()], {})
    words = words_of(step, {name: f"in/{name}" for name in names}, "out")
    again = parser_of(command).parse_args(words[1:])
    again.command = command
    assert parameters_of(again) == parameters
    assert [getattr(again, name) for name in names] == [f"in/{name}" for name in names]
    assert again.output == "out/output.ome.zarr"


def prediction(**parameters: Any) -> Step:
    recorder = Recorder("predict", {"dtype": "float32", **parameters})
    recorder.input("image", "image", "/somewhere/image")
    return plan_rerun([recorder.finish()], {})[0][0]


def test_a_model_is_named_by_the_library_or_by_the_person() -> None:
    assert "nuclei" in words_of(prediction(model="nuclei"), {"image": "x"}, "y")
    with pytest.raises(InputError, match="names its model by a path"):
        words_of(prediction(model="/home/agnes/model"), {"image": "x"}, "y")
    with pytest.raises(InputError, match="does not say which model"):
        words_of(prediction(), {"image": "x"}, "y")
    told = replace(prediction(model="/home/agnes/model"), model="/my/model")
    assert "/my/model" in words_of(told, {"image": "x"}, "y")


def test_another_model_of_the_same_name_is_refused() -> None:
    from chunkwise.commands.crate.rerun import _check_model
    from chunkwise.models.library import find_model

    here = find_model("nuclei", None)
    _check_model(prediction(model="nuclei", model_sha256=here.sha256), None)
    with pytest.raises(InputError, match="is not the one that predict-1 ran"):
        _check_model(prediction(model="nuclei", model_sha256="0" * 64), None)


def test_an_image_of_other_dates_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have been copied, or have got labels: that is told, and the result decides."""
    monkeypatch.chdir(tmp_path)
    image = write(tmp_path / "i.ome.zarr", entry=multiscale("yx", 1))
    zarr.open_array(image / "0", mode="r+")[2:5, 3:9] = 7
    assert main(["open", "i.ome.zarr", "--output", "i.json", "--fingerprint", "stat"]) == 0
    assert main(["segment", "i.json", "--output", "l.ome.zarr", "--crate", "c.zip", "--workers", "1"]) == 0
    for path in image.rglob("*"):
        os.utime(path, (1, 1))
    capsys.readouterr()
    assert main(["crate", "rerun", "c.zip", "--output", "again"]) == 0
    said = capsys.readouterr().out
    assert "is known only by sizes and dates, and these differ: it may have been copied" in said
    assert "all of 1 output the same" in said


def test_a_file_that_has_another_name_by_now_comes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", np.arange(600, dtype="uint16").reshape(20, 30))
    assert main(["convert", "cells.tif", "--output", "o.ome.zarr", "--crate", "c.zip"]) == 0
    os.rename("cells.tif", "dataset_7.dat")
    assert main(["crate", "rerun", "c.zip", "--output", "again", "--map", "cells.tif=dataset_7.dat"]) == 0
    assert "all of 1 output the same" in capsys.readouterr().out
