from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.metrics
import tifffile
import zarr
from lxml import html
from PIL import Image
from pyarrow import parquet

from chunkwise.cli import main
from chunkwise.errors import ResumableError
from made_stores import multiscale, write

DATA = Path(__file__).parents[3] / "shared" / "data"
MITOCHECK = DATA / "mitocheck"
DSB = DATA / "dsb2018_nuclei2d"
TEST_DATA = Path(__file__).parents[2] / "test-data"


def need(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"the images are not at {folder}")
    return folder


def voxels(store: Path, level: str = "0") -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / level, mode="r")[...])


def store(path: Path, axes: str, pixels: np.ndarray[Any, Any], labels: bool = True) -> Path:
    extra = {"image-label": {}} if labels else None
    made = write(path, "0.5", axes, pixels.shape, pixels.dtype, multiscale(axes, 1), extra, chunk=64)
    zarr.open_array(made / "0", mode="r+")[...] = pixels
    return made


def rows(table: Path) -> list[dict[str, float]]:
    with table.open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file, dialect="excel-tab")
        ]


def iou_matrix(truth: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """IoU of every pair of objects, from scikit-image's contingency table."""
    table = skimage.metrics.contingency_table(truth.astype(int), predicted.astype(int)).toarray()
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    iou = np.where(table > 0, table / np.maximum(union, 1), 0)
    return iou[1:][:, 1:][table.sum(axis=1)[1:] > 0][:, table.sum(axis=0)[1:] > 0]


@pytest.fixture
def movie(tmp_path: Path) -> tuple[Path, Path]:
    """Dividing cells at two times: outlines that people drew, and what ``chunkwise segment`` finds."""
    frames = [need(MITOCHECK) / f"xy_8bit__mitocheck_incenp_{time}" for time in ("t1", "t70")]
    pixels = np.stack([tifffile.imread(f"{frame}.tif") for frame in frames])
    drawn = np.stack([tifffile.imread(f"{frame}_labels.tif") for frame in frames])
    image = store(tmp_path / "movie.ome.zarr", "tyx", pixels, labels=False)
    found = tmp_path / "found.ome.zarr"
    assert main(["segment", str(image), "--output", str(found), "--min-size", "20"]) == 0
    return store(tmp_path / "truth.ome.zarr", "tyx", drawn.astype(np.uint16)), found


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """Two label images of 40 x 32, one moved by a pixel."""
    labels = (np.arange(40 * 32).reshape(40, 32) // 96).astype(np.uint32)
    return store(tmp_path / "truth.ome.zarr", "yx", labels), store(tmp_path / "p.ome.zarr", "yx", np.roll(labels, 1, 0))


def test_people_against_segment(movie: tuple[Path, Path], tmp_path: Path) -> None:
    truth, found = movie
    output, table = tmp_path / "c.json", tmp_path / "m.tsv"
    arguments = [str(truth), str(found), "--output", str(output), "--table", str(table), "--block", "77,99"]
    assert main(["compare", *arguments]) == 0
    content, written = json.loads(output.read_text()), rows(table)
    matched = 0
    for t in range(2):
        iou = iou_matrix(voxels(truth)[t], voxels(found)[t])
        entry = content["times"][t]
        assert entry["t"] == t
        assert entry["objects"] == {"truth": iou.shape[0], "predicted": iou.shape[1]}
        for row in entry["thresholds"]:
            tp = int((iou > row["threshold"]).sum())
            assert row["average_precision"] == tp / (sum(iou.shape) - tp)
            if tp:
                assert row["mean_matched_iou"] == pytest.approx(iou[iou > row["threshold"]].mean(), rel=1e-12)
        matched += int((iou > 0.5).sum())
        best = [row["iou"] for row in written if row["t"] == t and row["label"]]
        assert best == iou.max(axis=1).tolist()
    assert content["pooled"]["thresholds"][0]["true_positives"] == matched == sum(row["matched"] for row in written)
    assert matched > 5
    both = (voxels(truth) > 0) & (voxels(found) > 0)
    assert content["pooled"]["foreground"]["overlap_voxels"] == both.sum()
    means = [entry["mean_average_precision"] for entry in content["times"]]
    assert content["mean_average_precision_of_times"] == pytest.approx(np.mean(means))


def test_masks_of_the_data_science_bowl(tmp_path: Path) -> None:
    """Each against its own, moved by two pixels: IoUs of small and large nuclei."""
    for number, file in enumerate(sorted((need(DSB) / "masks").iterdir())[::23]):
        mask = tifffile.imread(file).astype(np.uint16)
        truth = store(tmp_path / f"{number}.ome.zarr", "yx", mask)
        moved = store(tmp_path / f"{number}m.ome.zarr", "yx", np.roll(mask, 2, axis=1))
        output = tmp_path / f"{number}.json"
        assert main(["compare", str(truth), str(moved), "--output", str(output)]) == 0
        iou = iou_matrix(mask, voxels(moved))
        for row in json.loads(output.read_text())["pooled"]["thresholds"]:
            tp = int((iou > row["threshold"]).sum())
            assert (row["true_positives"], row["false_positives"]) == (tp, iou.shape[1] - tp)


def test_workers_and_blocks_change_nothing(movie: tuple[Path, Path], tmp_path: Path) -> None:
    made = []
    for number, spread in enumerate((["--workers", "1"], ["--workers", "2", "--block", "100,90"])):
        outputs = [tmp_path / f"{number}.{end}" for end in ("json", "tsv", "html")]
        where = ["--output", outputs[0], "--table", outputs[1], "--html", outputs[2]]
        # Workers are spawned by a process of its own, as they are in real life.
        subprocess.run([sys.executable, "-m", "chunkwise.cli", "compare", *movie, *where, *spread], check=True)
        made.append([path.read_bytes() for path in outputs])
    assert made[0] == made[1]


def test_level_time_and_region_are_of_both(movie: tuple[Path, Path], tmp_path: Path) -> None:
    truth, found = movie
    output = tmp_path / "c.json"
    cut = ["--time", "1", "--region", "8:180,100:250"]
    assert main(["compare", str(truth), str(found), "--output", str(output), "--threshold", "0.7", *cut]) == 0
    content = json.loads(output.read_text())
    iou = iou_matrix(*(voxels(side)[1, 8:180, 100:250] for side in movie))
    assert [entry["t"] for entry in content["times"]] == [1]
    assert content["pooled"]["objects"] == {"truth": iou.shape[0], "predicted": iou.shape[1]}
    assert [row["true_positives"] for row in content["pooled"]["thresholds"]] == [(iou > 0.7).sum()]
    lower = tmp_path / "lower.json"
    both = [str(TEST_DATA / f"coins_2d_{name}.ome.zarr") for name in ("labels", "predicted")]
    assert main(["compare", *both, "--output", str(lower), "--level", "1"]) == 0
    truth_voxels = json.loads(lower.read_text())["pooled"]["foreground"]["truth_voxels"]
    assert truth_voxels == (voxels(Path(both[0]), "1") > 0).sum()


def test_parquet_holds_what_tsv_holds(small: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("a.tsv", "a.parquet"):
        where = ["--output", str(tmp_path / f"{name}.json"), "--table", str(tmp_path / name)]
        assert main(["compare", *map(str, small), *where, "--block", "9,9"]) == 0
    found = rows(tmp_path / "a.tsv")
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == found
    assert len(found) > 12


def test_the_page_and_its_picture(movie: tuple[Path, Path], tmp_path: Path) -> None:
    truth, found = movie
    where = ["--output", str(tmp_path / "c.json"), "--html", str(tmp_path / "r" / "r.html"), "--pictures"]
    (tmp_path / "r").mkdir()
    assert main(["compare", str(truth), str(found), *where, str(tmp_path / "r")]) == 0
    tree = html.fromstring((tmp_path / "r" / "r.html").read_bytes())
    assert tree.xpath("string(//h1)") == "Label images compared"
    assert tree.xpath("//img/@src") == ["average-precision.png"]
    content = json.loads((tmp_path / "c.json").read_text())
    facts = dict(zip(*(tree.xpath(f"//table[@class='facts']//{tag}/text()") for tag in ("th", "td")), strict=True))
    assert facts["Truth"] == "made"  # its name; in Galaxy, places mean nothing to people
    assert facts["Objects in the truth"] == str(content["pooled"]["objects"]["truth"])
    assert facts["Mean average precision"] == f"{content['pooled']['mean_average_precision']:.3f}"
    assert len(tree.xpath("//section[h2='At every threshold']//tbody/tr")) == 10
    assert len(tree.xpath("//section[h2='Time points']//tbody/tr")) == 2
    picture = np.asarray(Image.open(tmp_path / "r" / "average-precision.png"))
    # The points are where the values are: the first on the left edge.
    first = content["pooled"]["thresholds"][0]["average_precision"]
    assert picture[round(40 + (1 - first) * 480), 90].tolist() == [0, 100, 180]
    assert picture[round(40 + (1 - first) * 480) - 12, 90].tolist() != [0, 100, 180]


def test_nothing_on_either_side(tmp_path: Path) -> None:
    empty = store(tmp_path / "a.ome.zarr", "yx", np.zeros((9, 9), np.uint8))
    output, table = tmp_path / "c.json", tmp_path / "m.tsv"
    where = ["--output", str(output), "--table", str(table), "--html", str(tmp_path / "r.html")]
    assert main(["compare", str(empty), str(empty), *where]) == 0
    content = json.loads(output.read_text())
    assert content["pooled"]["mean_average_precision"] == content["mean_average_precision_of_times"] == 1
    assert content["pooled"]["thresholds"][0]["mean_matched_iou"] is None
    assert rows(table) == []


def test_record_reference_and_crate(movie: tuple[Path, Path], tmp_path: Path) -> None:
    truth, found = movie
    names = ["c.json", "m.tsv", "r.html", "record.json", "ref.json", "crate.zip"]
    output, table, page, record, reference, crate = (tmp_path / name for name in names)
    reports = ["--record", str(record), "--reference", str(reference), "--crate", str(crate)]
    where = ["--output", str(output), "--table", str(table), "--html", str(page)]
    assert main(["compare", str(truth), str(found), *where, *reports]) == 0
    content = json.loads(record.read_text())
    assert [item["name"] for item in content["inputs"]] == ["truth", "predicted"]
    assert [item["name"] for item in content["outputs"]] == ["output", "table", "html"]
    assert content["parameters"]["threshold"][:2] == [0.5, 0.55]
    assert not {"truth", "table", "html"} & set(content["parameters"])
    assert content["results"]["objects"] == json.loads(output.read_text())["pooled"]["objects"]
    assert json.loads(reference.read_text())["store"] == {"path": str(output)}
    assert main(["crate", "validate", str(crate)]) == 0
    with zipfile.ZipFile(crate) as archive:
        graph = {e["@id"]: e for e in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
    assert len([e for e in graph.values() if e["@type"] == "Dataset" and e["@id"] != "./"]) == 2
    kept = sorted(path.name for path in (tmp_path / "c.json.run").iterdir())
    assert kept == ["inputs.json", "journal", "plan.json", "record.json"]


def test_kill_9_then_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = store(tmp_path / "t.ome.zarr", "tyx", rng.integers(0, 900, (2, 160, 160)).astype(np.uint16))
    found = store(tmp_path / "p.ome.zarr", "tyx", rng.integers(0, 900, (2, 160, 160)).astype(np.uint16))

    def command(name: str) -> list[str]:
        where = ["--output", str(tmp_path / f"{name}.json"), "--table", str(tmp_path / f"{name}.tsv")]
        spread = ["--block", "4,40", "--workers", "1"]
        return [sys.executable, "-m", "chunkwise.cli", "compare", str(truth), str(found), *where, *spread]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "killed.json.run" / "journal"

    def lines() -> int:
        return sum(path.read_bytes().count(b"\n") for path in journal.glob("*.jsonl"))

    while lines() < 20 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.json").exists()
    assert not (tmp_path / "killed.tsv").exists()
    again = subprocess.run(command("killed"), check=True, capture_output=True, text=True)
    assert "blocks were already done" in again.stderr
    for end in ("json", "tsv"):
        assert (tmp_path / f"killed.{end}").read_bytes() == (tmp_path / f"whole.{end}").read_bytes()


def test_a_full_disk_at_the_end_leaves_the_way_free(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table and the page are there when the JSON cannot be written; the same command goes on."""
    where = [
        "--output",
        str(tmp_path / "c.json"),
        "--table",
        str(tmp_path / "m.tsv"),
        "--html",
        str(tmp_path / "r.html"),
    ]
    from chunkwise.running.chains import compare as chain

    honest = chain.write_atomically

    def full(path: Path | str, content: bytes) -> None:
        if str(path).endswith("c.json"):
            raise ResumableError("The disk is full.")
        honest(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(chain, "write_atomically", full)
        assert main(["compare", *map(str, small), *where]) == 4
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == []
    assert main(["compare", *map(str, small), *where, "--threshold", "0.6"]) == 0
    assert "1 of 1 blocks were already done" in capsys.readouterr().err


def test_images_of_another_shape_scale_or_number_of_times(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, _ = small
    output = tmp_path / "c.json"
    labels = np.ones((24, 32), np.uint8)
    finer = multiscale("yx", 1)
    finer["datasets"][0]["coordinateTransformations"][0]["scale"] = [0.5, 0.5]
    others = [
        (store(tmp_path / "other.ome.zarr", "yx", labels), "y 24, x 32 voxels of 1 x 1 micrometer"),
        (write(tmp_path / "finer.ome.zarr", shape=(40, 32), entry=finer), "y 40, x 32 voxels of 0.5 x 0.5 micrometer"),
        (store(tmp_path / "t.ome.zarr", "tyx", np.ones((2, 40, 32), np.uint8)), "t 2, y 40, x 32 voxels of 1 x 1"),
    ]
    for other, text in others:
        assert main(["compare", str(truth), str(other), "--output", str(output)]) == 2
        said = capsys.readouterr().err
        assert f"{truth} has y 40, x 32 voxels of 1 x 1 micrometer, and {other} has {text}" in said
    assert not output.exists()
    assert not (tmp_path / "c.json.run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "0.4"], "--threshold 0.4 has to be at least 0.5"),
        (["--threshold", "0.5", "1"], "--threshold 1 has to be at least 0.5"),
        (["--threshold", "nan"], "--threshold nan has to be"),
        (["--share", "0"], "--share 0 is not a fraction"),
        (["--share", "1.5"], "--share 1.5 is not a fraction"),
        (["--pictures", "p"], "needs --html"),
        (["--level", "9"], "has no level 9"),
        (["--time", "4"], "not entirely inside"),
        (["--region", "0:99,0:9"], "not entirely inside"),
        (["--block", "8,8,8"], "--block needs 2 sizes"),
        (["--block", "40,32", "--memory", "1M"], "give a smaller --block or a larger --memory"),
    ],
)
def test_options_that_make_no_sense(
    small: tuple[Path, Path], options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *map(str, small), "--output", str(tmp_path / "c.json"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()
    assert not (tmp_path / "c.json.run").exists()


def test_inputs_that_are_no_labels_and_outputs_that_exist(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = map(str, small)
    floats = str(write(tmp_path / "floats.ome.zarr", shape=(40, 32), dtype="float32"))
    several = str(write(tmp_path / "several.ome.zarr", axes="cyx", shape=(2, 40, 32)))
    for pair, said in (((truth, floats), "float32 voxels"), ((several, found), "2 channels")):
        assert main(["compare", *pair, "--output", str(tmp_path / "c.json")]) == 2
        assert said in capsys.readouterr().err
    for option, name in (("--output", "a"), ("--table", "b"), ("--html", "c"), ("--crate", "d")):
        (tmp_path / name).write_text("mine")
        arguments = [truth, found, "--output", str(tmp_path / "c.json"), option, str(tmp_path / name)]
        assert main(["compare", *arguments]) == 2
        assert "not overwritten" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == "mine"


def test_a_chunk_that_cannot_be_read_is_named(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = next(path for path in (small[1] / "0" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:10])
    where = ["--output", str(tmp_path / "c.json"), "--table", str(tmp_path / "m.tsv")]
    assert main(["compare", *map(str, small), *where]) != 0
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert str(chunk) in said
    assert "Traceback" not in said
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
