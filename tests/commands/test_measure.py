from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.measure
import tifffile
import zarr
from pyarrow import parquet

from chunkwise.cli import main
from made_stores import multiscale, write

DATA = Path(__file__).parents[3] / "shared" / "data"
CARDIO = DATA / "omezarr_fractal_cardio" / "cardio_B03_mip_levels1to4.zarr"
MITOCHECK = DATA / "mitocheck"
REPLACE = os.replace


def need(store: Path) -> Path:
    if not store.is_dir():
        pytest.skip(f"the image is not at {store}")
    return store


def voxels(store: Path, level: str = "0") -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / level, mode="r")[...])


def rows(table: Path) -> list[dict[str, float]]:
    with table.open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file, dialect="excel-tab")
        ]


def same(found: list[dict[str, float]], expected: dict[str, Any], names: dict[str, str]) -> None:
    """Assert that columns of scikit-image's table are there, under their names here."""
    assert len(found) == len(expected["label"]) > 0
    for name, values in expected.items():
        column = [row[names.get(name, name)] for row in found]
        if "std" in name:
            np.testing.assert_allclose(column, values, rtol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(column, values, err_msg=name)


@pytest.fixture
def movie(tmp_path: Path) -> tuple[Path, Path]:
    """Two frames of dividing cells, in two channels (as they are, and their negative), and their labels."""
    frames = [need(MITOCHECK) / f"xy_8bit__mitocheck_incenp_{time}" for time in ("t1", "t70")]
    pixels = np.stack([tifffile.imread(f"{frame}.tif") for frame in frames])
    marked = np.stack([tifffile.imread(f"{frame}_labels.tif") for frame in frames])
    image = write(tmp_path / "movie.ome.zarr", "0.4", "tcyx", (2, 2, *pixels.shape[1:]), "uint8", multiscale("tcyx", 1))
    zarr.open_array(image / "0", mode="r+")[...] = np.stack([pixels, 255 - pixels], axis=1)
    labels = write(
        tmp_path / "labels.ome.zarr", "0.5", "tyx", marked.shape, "uint16", multiscale("tyx", 1), {"image-label": {}}
    )
    zarr.open_array(labels / "0", mode="r+")[...] = marked
    return labels, image


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """An image of 2 channels and labels, made here: two levels each, y and x halved."""
    rng = np.random.default_rng(1)
    omero = {
        "omero": {
            "channels": [
                {"label": name, "color": "00FF00", "window": {"min": 0, "max": 9, "start": 0, "end": 9}}
                for name in ("DAPI", "GFP")
            ]
        }
    }
    image = write(tmp_path / "image.ome.zarr", axes="cyx", shape=(2, 40, 32), extra=omero)
    labels = write(tmp_path / "labels.ome.zarr", shape=(40, 32), dtype="uint32", extra={"image-label": {}})
    for level, step in (("0", 1), ("1", 2)):
        there = zarr.open_array(image / level, mode="r+")
        there[...] = rng.integers(0, 60000, there.shape).astype("uint16")
        zarr.open_array(labels / level, mode="r+")[...] = (np.arange(40 * 32).reshape(40, 32) // 96)[::step, ::step]
    return labels, image


def test_real_nuclei_with_three_channels_from_a_lower_level(tmp_path: Path) -> None:
    labels, output = need(CARDIO) / "labels" / "nuclei", tmp_path / "objects.tsv"
    arguments = ["--labels", str(labels), "--level", "1", "--image", str(CARDIO), "--output", str(output)]
    assert main(["measure", *arguments, "--block", "1,200,300"]) == 0
    intensities = np.moveaxis(voxels(CARDIO, "2"), 0, -1)
    names = ("label", "num_pixels", "centroid", "bbox", "equivalent_diameter_area")
    names += ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")
    expected = skimage.measure.regionprops_table(voxels(labels, "2"), intensities, properties=names)
    channels = {"0": "DAPI", "1": "nanog", "2": "Lamin B1"}
    same(
        rows(output),
        expected,
        {
            f"intensity_{of}-{n}": f"intensity_{of}-{c}"
            for n, c in channels.items()
            for of in ("mean", "min", "max", "std")
        },
    )
    first = rows(output)[0]
    assert first["area_physical"] == first["num_pixels"] * 1.3 * 1.3
    assert first["centroid_physical-x"] == first["centroid-2"] * 1.3


def test_every_time_point_has_rows_of_its_own(movie: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = movie
    output = tmp_path / "objects.tsv"
    arguments = ["--labels", str(labels), "--image", str(image), "--block", "77,99"]
    assert main(["measure", *arguments, "--output", str(output)]) == 0
    found = rows(output)
    assert [(row["t"], row["label"]) for row in found] == sorted((row["t"], row["label"]) for row in found)
    for time, volume in enumerate(voxels(labels)):
        here = [row for row in found if row["t"] == time]
        expected = skimage.measure.regionprops_table(
            volume, voxels(image)[time, 1], properties=("label", "num_pixels", "centroid", "intensity_mean")
        )
        same(here, expected, {"intensity_mean": "intensity_mean-1"})
    chosen = tmp_path / "chosen.tsv"
    assert main(["measure", *arguments, "--output", str(chosen), "--time", "1"]) == 0
    assert rows(chosen) == [row for row in found if row["t"] == 1]


def test_workers_and_blocks_change_nothing(movie: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = movie
    tables = []
    for number, spread in enumerate((["--workers", "1"], ["--workers", "2", "--block", "100,90"])):
        output = tmp_path / f"{number}.tsv"
        chosen = ["--properties", "num_pixels,bbox", "centroid", "intensity_mean", "intensity_sum"]
        arguments = ["--labels", labels, "--image", image, "--output", output, *chosen, *spread]
        # Workers are spawned by a process of its own, as they are in real life.
        subprocess.run([sys.executable, "-m", "chunkwise.cli", "measure", *arguments], check=True)
        tables.append(output.read_bytes())
    assert tables[0] == tables[1]
    assert tables[0].split(b"\n")[0].split(b"\t")[:4] == [b"label", b"t", b"num_pixels", b"centroid-0"]


def test_everything_on_two_workers(movie: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = movie
    tables = []
    for number, spread in enumerate((["--workers", "1"], ["--workers", "2", "--block", "100,90"])):
        output = tmp_path / f"{number}.tsv"
        chosen = ["--properties", "all", "--percentiles", "50,0", "--channel", "0"]
        arguments = ["--labels", labels, "--image", image, "--output", output, *chosen, *spread]
        subprocess.run([sys.executable, "-m", "chunkwise.cli", "measure", *arguments], check=True)
        tables.append(rows(output))
    for row in (row for table in tables for row in table):
        assert row["intensity_percentile-0-0"] == row["intensity_min-0"]
        assert row["intensity_percentile-50-0"] == row["intensity_median-0"]
    assert tables[0] == tables[1]
    assert {row["not_measured"] for row in tables[0]} == {0}
    names = ("label", "euler_number", "extent", "solidity", "feret_diameter_max", "perimeter", "intensity_median")
    expected = skimage.measure.regionprops_table(voxels(labels)[0], voxels(image)[0, 0], properties=names)
    same([row for row in tables[0] if row["t"] == 0], expected, {"intensity_median": "intensity_median-0"})


def test_the_dictionary_names_every_column(small: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = small
    output, columns = tmp_path / "a.tsv", tmp_path / "columns.tsv"
    arguments = ["--labels", str(labels), "--image", str(image), "--output", str(output), "--properties", "all"]
    record = ["--record", str(tmp_path / "record.json")]
    assert main(["measure", *arguments, "--dictionary", str(columns), *record]) == 0
    with columns.open(newline="") as file:
        said = {row["name"]: row for row in csv.DictReader(file, dialect="excel-tab")}
    assert list(said) == list(rows(output)[0])
    assert all(row["description"] for row in said.values())
    assert said["area_physical"]["unit"] == "micrometer^2"
    assert said["centroid_physical-y"]["unit"] == "micrometer"
    assert said["intensity_percentile-25-DAPI"]["description"].endswith("(25-DAPI)")
    content = json.loads((tmp_path / "record.json").read_text())
    assert [item["name"] for item in content["outputs"]] == ["output", "dictionary"]
    assert "dictionary" not in content["parameters"]
    assert content["results"]["not_measured"] == {"count": 0, "first": []}


def test_objects_too_large_for_memory_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write(tmp_path / "labels.ome.zarr", "0.5", "yx", (1500, 1500), "uint8", multiscale("yx", 1))
    there = zarr.open_array(labels / "0", mode="r+")
    there[10:20, 30:70] = 1
    there[100:1400, 7] = there[100, 7:1400] = 3
    output, record = tmp_path / "a.tsv", tmp_path / "record.json"
    # 305 MiB leave 5 to the image.
    arguments = ["--labels", str(labels), "--output", str(output), "--record", str(record), "--memory", "305Mi"]
    assert main(["measure", *arguments, "--properties", "num_pixels,perimeter", "--workers", "1"]) == 0
    assert "object 3 of time point 0 in the box 100:1400,7:1400" in capsys.readouterr().err
    found = rows(output)
    assert [row["not_measured"] for row in found] == [0, 1]
    assert [row["num_pixels"] for row in found] == [400, 1300 + 1393 - 1]
    assert [str(row["perimeter"]) == "nan" for row in found] == [False, True]
    said = json.loads(record.read_text())["results"]["not_measured"]
    box = {"y": [100, 1400], "x": [7, 1400]}
    assert said == {"count": 1, "first": [{"time": 0, "object": 3, "box": box, "num_pixels": 2692}]}


def test_parquet_holds_what_tsv_holds(small: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = small
    for name in ("a.tsv", "a.parquet"):
        arguments = ["--labels", str(labels), "--image", str(image), "--output", str(tmp_path / name)]
        assert main(["measure", *arguments, "--block", "9,9"]) == 0
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == rows(tmp_path / "a.tsv")


def test_one_channel_by_name(small: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = small
    arguments = ["--labels", str(labels), "--image", str(image), "--channel", "GFP", "--properties", "intensity_max"]
    assert main(["measure", *arguments, "--output", str(tmp_path / "a.tsv")]) == 0
    expected = skimage.measure.regionprops_table(
        voxels(labels), voxels(image)[1], properties=("label", "intensity_max")
    )
    found = rows(tmp_path / "a.tsv")
    assert list(found[0]) == ["label", "t", "intensity_max-GFP"]
    same(found, expected, {"intensity_max": "intensity_max-GFP"})


def test_the_empty_file_of_galaxy(small: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "dataset_7.dat"
    output.touch()
    assert main(["measure", "--labels", str(small[0]), "--output", str(output)]) == 0
    assert output.read_text().startswith("label\tt\tnum_pixels")
    output = tmp_path / "dataset_8.dat"
    output.touch()
    assert main(["measure", "--labels", str(small[0]), "--output", str(output), "--format", "parquet"]) == 0
    assert parquet.read_table(output).num_rows == 13


def test_no_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write(tmp_path / "labels.ome.zarr", dtype="uint8", extra={"image-label": {}})
    for name in ("a.tsv", "a.parquet"):
        assert main(["measure", "--labels", str(labels), "--output", str(tmp_path / name)]) == 0
        assert "No objects" in capsys.readouterr().out
    assert len((tmp_path / "a.tsv").read_text().splitlines()) == 1
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 0


def test_labels_of_a_cut_and_the_cut_of_the_image(movie: tuple[Path, Path], tmp_path: Path) -> None:
    cut = ["--time", "1:2", "--region", "8:180,100:250"]
    image, labels = str(movie[1]), str(tmp_path / "cut.ome.zarr")
    assert main(["segment", image, "--output", labels, "--channel", "0", *cut]) == 0
    output = tmp_path / "objects.tsv"
    assert main(["measure", "--labels", labels, "--image", image, "--output", str(output), *cut]) == 0
    found = rows(output)
    names = ("label", "num_pixels", "bbox", "intensity_mean", "intensity_max")
    expected = skimage.measure.regionprops_table(
        voxels(Path(labels))[0, 0], voxels(movie[1])[1, 1, 8:180, 100:250], properties=names
    )
    same(found, expected, {f"intensity_{of}": f"intensity_{of}-1" for of in ("mean", "max")})
    # The place is that in the image: the offset of the cut is in the labels' translation.
    assert found[0]["centroid_physical-x"] == pytest.approx(found[0]["centroid-1"] + 100)


@pytest.mark.parametrize("given", ["reference", "path"])
def test_the_chain_is_one_in_reference_and_crate(
    movie: tuple[Path, Path], given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels that were made are the labels that were read, by reference and by path."""
    monkeypatch.chdir(tmp_path)  # without a site file a reference is followed below the working directory only
    image, labels = str(movie[1]), str(tmp_path / "made.ome.zarr")
    assert main(["segment", image, "--output", labels, "--channel", "0", "--reference", "made.json"]) == 0
    outputs = ["--output", "a.tsv", "--reference", "a.json", "--record", "a.record"]
    source = "made.json" if given == "reference" else labels
    assert main(["measure", "--labels", source, "--image", image, *outputs]) == 0
    content, record = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "a.record"))
    assert content["kind"] == "table"
    assert content["store"] == {"path": str(tmp_path / "a.tsv")}
    assert content["fingerprint"] == record["outputs"][0]["fingerprint"]
    assert [r["command"] for r in content["records"]] == ["segment", "measure"][given == "path" :]
    assert main(["crate", "build", "--from", "made.json", "a.json", "--output", "crate.zip"]) == 0
    assert main(["crate", "validate", "crate.zip"]) == 0
    with zipfile.ZipFile("crate.zip") as archive:
        graph = {e["@id"]: e for e in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
    written = {link["@id"] for link in graph["#segment-1"]["result"]}
    read = {link["@id"] for link in graph["#measure-2"]["object"]}
    assert len([link for link in written & read if graph[link]["@type"] == "Dataset"]) == 1
    # The image that both read is one entity too, so there are two stores and no third.
    assert len([e for e in graph.values() if e["@type"] == "Dataset" and e["@id"] != "./"]) == 2


def test_record_says_what_was_done(small: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = small
    output, record = tmp_path / "a.tsv", tmp_path / "record.json"
    arguments = ["--labels", str(labels), "--image", str(image), "--output", str(output), "--record", str(record)]
    assert main(["measure", *arguments]) == 0
    content = json.loads(record.read_text())
    assert [item["name"] for item in content["inputs"]] == ["labels", "image"]
    assert content["results"] == {"objects": 13}
    assert content["parameters"]["channel"] == ["DAPI", "GFP"]
    assert content["outputs"][0]["size"] == output.stat().st_size
    assert sorted(path.name for path in (tmp_path / "a.tsv.run").iterdir()) == [
        "inputs.json",
        "journal",
        "plan.json",
        "record.json",
    ]


def test_a_run_that_was_stopped_goes_on(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the table is to get its name; what was measured is not measured again."""
    arguments = ["--labels", str(small[0]), "--block", "8,8", "--workers", "1", "--output"]
    assert main(["measure", *arguments, str(tmp_path / "whole.tsv")]) == 0

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(
            "chunkwise.storage.outputs.os.replace", lambda a, b: full() if str(b).endswith("a.tsv") else REPLACE(a, b)
        )
        assert main(["measure", *arguments, str(tmp_path / "a.tsv")]) == 4
    assert "No space left on device; make room" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.glob("*a.tsv*")) == ["a.tsv.run"]
    assert main(["measure", *arguments, str(tmp_path / "a.tsv")]) == 0
    assert "20 of 20 blocks were already done" in capsys.readouterr().err
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()


def test_labels_of_another_shape_or_scale(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, _ = small
    output = tmp_path / "a.tsv"
    other = write(tmp_path / "other.ome.zarr", shape=(24, 32))
    assert main(["measure", "--labels", str(labels), "--image", str(other), "--output", str(output)]) == 2
    said = capsys.readouterr().err
    assert "y 40, x 32 voxels of 1 x 1 micrometer" in said
    assert "level 0: y 24, x 32 voxels of 1 x 1 micrometer" in said
    entry = multiscale("yx", 1)
    entry["datasets"][0]["coordinateTransformations"][0]["scale"] = [0.5, 0.5]
    finer = write(tmp_path / "finer.ome.zarr", shape=(40, 32), entry=entry)
    assert main(["measure", "--labels", str(labels), "--image", str(finer), "--output", str(output)]) == 2
    assert "40, x 32 voxels of 0.5 x 0.5 micrometer" in capsys.readouterr().err
    assert not output.exists()
    assert not (tmp_path / "a.tsv.run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--properties", "area"], "There is no property 'area'; there are num_pixels"),
        (["--properties", "intensity_mean"], "needs an image"),
        (["--properties", "shape,intensity"], "The property intensity needs an image"),
        (["--properties", "label"], "There is no property 'label'"),
        (["--properties", ","], "names nothing to measure"),
        (["--percentiles", "5,101"], "numbers from 0 to 100"),
        (["--channel", "GFP"], "give it with --image"),
        (["--level", "9"], "has no level 9"),
        (["--time", "4"], "not entirely inside"),
        (["--block", "8,8,8"], "--block needs 2 sizes"),
        (["--block", "40,32", "--memory", "1M"], "give a smaller --block or a larger --memory"),
    ],
)
def test_options_that_make_no_sense(
    small: tuple[Path, Path], options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["measure", "--labels", str(small[0]), "--output", str(tmp_path / "a.tsv"), *options])
    assert code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "a.tsv").exists()


def test_inputs_that_are_no_labels(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, image = small
    floats = write(tmp_path / "floats.ome.zarr", dtype="float32")
    for given, said in ((floats, "float32 voxels"), (image, "2 channels")):
        assert main(["measure", "--labels", str(given), "--output", str(tmp_path / "a.tsv")]) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "a.tsv").write_text("mine")
    assert main(["measure", "--labels", str(labels), "--output", str(tmp_path / "a.tsv")]) == 2
    assert "not overwritten" in capsys.readouterr().err
    assert (tmp_path / "a.tsv").read_text() == "mine"


def test_a_chunk_that_cannot_be_read_leaves_nothing(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, image = small
    chunk = next((image / "0" / "c" / "0").glob("*/*"))
    chunk.write_bytes(chunk.read_bytes()[:10])
    arguments = ["--labels", str(labels), "--image", str(image), "--output"]
    assert main(["measure", *arguments, str(tmp_path / "a.tsv")]) != 0
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert str(chunk) in said
    assert [path.name for path in tmp_path.glob("*a.tsv*") if path.is_file()] == []
    shutil.rmtree(image / "0" / "c")  # chunks that are not there are fill value
    assert main(["measure", *arguments, str(tmp_path / "b.tsv")]) == 0
    assert {row["intensity_max-GFP"] for row in rows(tmp_path / "b.tsv")} == {0.0}


def test_a_summary_has_a_row_for_every_time_point(movie: tuple[Path, Path], tmp_path: Path) -> None:
    labels, image = movie
    there = zarr.open_array(labels / "0", mode="r+")
    there[1] = 0
    names = [
        "--labels",
        str(labels),
        "--parents",
        str(labels),
        "--image",
        str(image),
        "--output",
        str(tmp_path / "o.tsv"),
    ]
    more = ["--summary", str(tmp_path / "s.tsv"), "--children", str(tmp_path / "c.parquet")]
    record = tmp_path / "r.json"
    assert main(["measure", *names, *more, "--report", str(tmp_path / "r.html"), "--record", str(record)]) == 0
    first, second = rows(tmp_path / "s.tsv")
    frame, pixels = voxels(labels)[0], voxels(image)[0, 1]
    sizes = np.bincount(frame.ravel())[1:]
    sizes = sizes[sizes > 0]
    assert (first["t"], first["objects"], first["objects_with_parent"]) == (0, len(sizes), len(sizes))
    assert (first["num_pixels_sum"], first["share"]) == (sizes.sum(), sizes.sum() / frame.size)
    assert (first["num_pixels_mean"], first["num_pixels_median"]) == (sizes.mean(), np.median(sizes))
    assert (first["num_pixels_min"], first["num_pixels_max"]) == (sizes.min(), sizes.max())
    assert first["intensity_sum-1"] == pixels[frame > 0].sum()
    assert first["intensity_mean-1"] == pixels[frame > 0].mean()
    assert (second["t"], second["objects"], second["share"], second["num_pixels_max"]) == (1, 0, 0, 0)
    assert np.isnan(second["num_pixels_median"])
    children = parquet.read_table(tmp_path / "c.parquet").to_pydict()
    assert (children["num_pixels"], set(children["children"])) == (sizes.tolist(), {1})
    assert {row["parent"] == row["label"] and row["parent_overlap"] == 1 for row in rows(tmp_path / "o.tsv")} == {True}
    assert "% of the image" in (tmp_path / "r.html").read_text()
    outputs = {entry["name"]: entry["media_type"] for entry in json.loads(record.read_text())["outputs"]}
    assert (outputs["summary"], "parquet" in outputs["children"]) == ("text/tab-separated-values", True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--children", "c.tsv"], "--children counts objects by their parents; give the label image of these"),
        (["--parents", "IMAGE"], "has 2 channels, and a label image has only one; give a label image with --parents"),
        (["--parents", "OTHER"], "have to have the same shape and scale"),
        (["--same-voxels"], "applies to the image or the parents"),
    ],
)
def test_parents_that_are_none(
    options: list[str], said: str, small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, image = small
    other = write(tmp_path / "other.ome.zarr", shape=(40, 30), dtype="uint32", extra={"image-label": {}})
    places = {"IMAGE": str(image), "OTHER": str(other), "c.tsv": str(tmp_path / "c.tsv")}
    words = [places.get(word, word) for word in options]
    assert main(["measure", "--labels", str(labels), "--output", str(tmp_path / "o.tsv"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.tsv"))
