"""``chunkwise segment`` on real stores: equal to the whole image, resumable, and clear about bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import select
from chunkwise.storage.location import resolve
from whole_image import reference_segment

SHARED = Path(__file__).parents[3] / "shared" / "data"
STORES = sorted(
    path
    for pattern in ("omezarr_galaxy_image_analysis/*.zarr", "omezarr_ngio_axes/*.zarr", "omezarr_fractal_cardio/*.zarr")
    for path in SHARED.glob(pattern)
)
PLAIN = [
    "stardist_nuclei/img2d.tif",
    "mitocheck/xy_8bit__mitocheck_incenp_t1.tif",
    "mitocheck/xy_8bit__mitocheck_incenp_t70.tif",
]

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")


def equal_to_whole_image(store: Path, folder: Path, channel: int, blocks: int, **options: Any) -> None:
    """Segment a store with several block shapes, by one and two workers, and compare with the whole image."""
    image = open_image(resolve(str(store), None))
    source = select(image, 0, str(channel), None, None).source
    expected = [reference_segment(source.read(t, source.bounds), **options) for t in range(source.volumes)]
    ndim = len(source.shape)
    whole = source.shape
    shapes = [whole, tuple(max(1, n // 3) for n in whole), tuple(max(1, -(-n // (2 + i))) for i, n in enumerate(whole))]
    digests = set()
    for number, block in enumerate(shapes[:blocks]):
        for workers in (1, 2) if number == 1 else (1,):
            output = folder / f"{number}-{workers}.ome.zarr"
            words = ["segment", str(store), "--output", str(output), "--channel", str(channel)]
            words += ["--block", ",".join(map(str, block)), "--workers", str(workers)]
            for name, value in options.items():
                words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
            assert main(words) == 0
            labels = np.asarray(zarr.open_array(output / "0", mode="r")[...])
            assert labels.ndim == len(image.axes)
            labels = labels.reshape(len(expected), *labels.shape[-ndim:])
            for found, reference in zip(labels, expected, strict=True):
                np.testing.assert_array_equal(found, reference)
            digests.add(made_stores.digest(output))
    assert len(digests) == 1, "the bytes depend on the blocks or the workers"


@needs_shared
@pytest.mark.parametrize("store", STORES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shared_stores(store: Path, tmp_path: Path) -> None:
    image = open_image(resolve(str(store), None))
    for channel in range(len(image.channels)):
        folder = tmp_path / str(channel)
        folder.mkdir()
        # Every channel is compared; all block shapes and worker numbers with the first.
        equal_to_whole_image(store, folder, channel, 3 if channel == 0 else 1, fill_holes=True, min_size=3)


@needs_shared
@pytest.mark.parametrize("name", PLAIN)
def test_shared_pictures_made_ome_zarr(name: str, tmp_path: Path) -> None:
    import tifffile

    data = tifffile.imread(SHARED / name)
    assert data.ndim == 2
    store = tmp_path / "image.ome.zarr"
    made_stores.write(store, "0.4", "yx", data.shape, data.dtype, entry=made_stores.multiscale("yx", 1))
    zarr.open_array(store / "0", mode="r+")[...] = data
    equal_to_whole_image(store, tmp_path, 0, 3, threshold="li", connectivity=1)


# --- what a person asks for ---


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Two time points, two channels, three dimensions; OME-Zarr 0.5."""
    store = made_stores.write(tmp_path / "cells.ome.zarr", "0.5", "tczyx", (2, 2, 6, 40, 48))
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(3).normal(size=(2, 2, 6, 40, 48))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = (gaussian_filter(noise, (0, 0, 1, 2, 2)) * 20000 + 9000).clip(0).astype(np.uint16)
    return store


def test_region_and_time_are_cut_first(cells: Path, tmp_path: Path) -> None:
    output = tmp_path / "cut.ome.zarr"
    words = ["segment", str(cells), "--output", str(output), "--channel", "1", "--time", "1:2"]
    assert main([*words, "--region", "1:5,10:33,4:44", "--block", "2,9,9"]) == 0
    array: Any = zarr.open_array(cells / "0", mode="r")
    expected = reference_segment(array[1, 1, 1:5, 10:33, 4:44])
    found: Any = zarr.open_array(output / "0", mode="r")
    assert found.shape == (1, 1, 4, 23, 40)
    np.testing.assert_array_equal(found[0, 0], expected)
    multiscale = json.loads((output / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    transformations = multiscale["datasets"][0]["coordinateTransformations"]
    assert transformations[1] == {"type": "translation", "translation": [1.0, 0.0, 1.0, 10.0, 4.0]}
    assert [axis.get("unit") for axis in multiscale["axes"]] == ["second", None, *["micrometer"] * 3]


def test_every_level_is_every_second_voxel(tmp_path: Path) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (700, 900))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 9, (700, 900))
    assert main(["segment", str(store), "--output", str(tmp_path / "l.ome.zarr"), "--shard", "128,256"]) == 0
    from ome_zarr_models.v05 import Image

    group = zarr.open_group(tmp_path / "l.ome.zarr", mode="r")
    Image.from_zarr(group)
    above: Any = group["0"]
    for level in ("1", "2"):
        below: Any = group[level]
        np.testing.assert_array_equal(below[...], above[::2, ::2])
        above = below
    assert "3" not in group


def test_into_source(cells: Path) -> None:
    words = ["segment", str(cells), "--into-source", "nuclei", "--channel", "0"]
    assert main(words) == 0
    image = open_image(resolve(str(cells), None))
    assert image.labels == ("nuclei",)
    assert open_image(resolve(str(cells / "labels" / "nuclei"), None)).kind == "labels"
    assert main([*words]) == 2, "labels of that name exist"


def test_reference_record_crate_and_overlay(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["open", str(cells), "--output", "ref.json"]) == 0
    words = ["segment", "ref.json", "--output", "l.ome.zarr", "--channel", "0", "--reference", "out.json"]
    assert main([*words, "--record", "record.json", "--crate", "crate.zip", "--overlay", "overlay.png"]) == 0
    reference = json.loads(Path("out.json").read_text())
    record = json.loads(Path("record.json").read_text())
    assert reference["records"][-1] == record
    assert record["parameters"]["sigma"] == 1.0
    assert record["parameters"]["connectivity"] == 3
    assert len(record["results"]["thresholds"]) == len(record["results"]["objects"]) == 2
    assert record["software"]["chunkwise"]
    # The fingerprint that the writer computed is the one that reading every byte gives.
    assert main(["open", "l.ome.zarr", "--output", "full.json", "--fingerprint", "full"]) == 0
    assert json.loads(Path("full.json").read_text())["fingerprint"] == reference["fingerprint"]
    assert main(["crate", "validate", "crate.zip"]) == 0
    from PIL import Image

    with Image.open("overlay.png") as picture:
        assert picture.mode == "RGB"
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 10


def test_labels_of_labels_can_be_segmented_by_a_number(cells: Path, tmp_path: Path) -> None:
    assert main(["segment", str(cells), "--output", str(tmp_path / "a.ome.zarr"), "--channel", "0"]) == 0
    words = ["segment", str(tmp_path / "a.ome.zarr"), "--output", str(tmp_path / "b.ome.zarr")]
    assert main([*words, "--threshold", "0", "--sigma", "0"]) == 0
    a: Any = zarr.open_array(tmp_path / "a.ome.zarr" / "0", mode="r")
    b: Any = zarr.open_array(tmp_path / "b.ome.zarr" / "0", mode="r")
    np.testing.assert_array_equal(a[...], b[...])


# --- killed and resumed ---


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "chunkwise.cli", *words],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("phase", ["write"])
def test_kill_9_then_the_same_command_gives_the_same_bytes(tmp_path: Path, phase: str) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (400, 400), chunk=8)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (400, 400))
    common = ["segment", str(store), "--block", "16,16", "--shard", "32,32", "--workers", "1"]
    assert main([*common, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
    words = [*common, "--output", str(tmp_path / "killed.ome.zarr")]
    process = _start(words)
    journal = tmp_path / "killed.ome.zarr.run" / "journal"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        lines = b"".join(file.read_bytes() for file in journal.glob("*.jsonl")) if journal.is_dir() else b""
        if lines.count(b'"pass":"%s"' % phase.encode()) > 20:
            break
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.ome.zarr").exists()
    segment = next(journal.glob("*.jsonl"))
    segment.write_bytes(segment.read_bytes()[:-7])  # a torn tail
    # What a writer leaves that is killed between writing and renaming.
    half = tmp_path / "killed.ome.zarr.partial" / "0" / "c" / "0" / ".0.0123456789ab.tmp"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half a shard")
    done_before = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed.ome.zarr.partial").rglob("c/*/[0-9]*")}
    assert main(words) == 0
    assert made_stores.digest(tmp_path / "killed.ome.zarr") == made_stores.digest(tmp_path / "whole.ome.zarr")
    if phase == "write":
        kept = [p for p, at in done_before.items() if _moved(p, tmp_path).stat().st_mtime_ns == at]
        assert len(kept) > 10, "blocks that were done were done again"


def _moved(path: Path, folder: Path) -> Path:
    return folder / "killed.ome.zarr" / path.relative_to(folder / "killed.ome.zarr.partial")


def test_other_parameters_do_not_go_on_with_a_run(cells: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["segment", str(cells), "--output", str(tmp_path / "o.ome.zarr"), "--channel", "0"]
    assert main(words) == 0
    run = tmp_path / "o.ome.zarr.run"
    (run / "record.json").unlink()
    shutil.rmtree(tmp_path / "o.ome.zarr")
    assert main([*words, "--sigma", "2"]) == 2
    assert "other parameters" in capsys.readouterr().err


# --- bad input: one sentence, no traceback, nothing under the final name ---


def refused(capsys: Any, folder: Path, words: list[str], *said: str, begun: bool = False) -> None:
    """Assert that a command says one sentence with these words, and leaves nothing behind but a record of its work."""
    before = sorted(folder.rglob("*"))
    output = folder / "refused.ome.zarr"
    code = main(["segment", *words, "--output", str(output)])
    err = capsys.readouterr().err
    last = err.strip().splitlines()[-1]
    assert code not in (0, 70), err
    assert last.startswith("chunkwise segment: error: ")
    assert "Traceback" not in err
    for word in said:
        assert word in last, last
    left = [Path(f"{output}.run", *name) for name in ((), ("plan.json",), ("record.json",))] if begun else []
    assert sorted(folder.rglob("*")) == sorted(before + left), "something was left behind"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--channel", "DAPI"], "no channel 'DAPI'"),
        ([], "choose one with --channel: 0 (0), 1 (1)"),
        (["--channel", "0", "--level", "7"], "no level 7"),
        (["--channel", "0", "--time", "5"], "not entirely inside"),
        (["--channel", "0", "--time", "1:1"], "selects nothing"),
        (["--channel", "0", "--time", "a"], "neither a number nor a range"),
        (["--channel", "0", "--region", "0:6,0:40,0:49"], "not entirely inside the image: x goes from 0 to 48"),
        (["--channel", "0", "--region", "0:6,0:40"], "has 2 ranges"),
        (["--channel", "0", "--region", "0:6,9:9,0:48"], "selects nothing along y"),
        (["--channel", "0", "--connectivity", "4"], "a whole number from 1 to 3"),
        (["--channel", "0", "--sigma", "-1"], "--sigma"),
        (["--channel", "0", "--block", "9,9"], "--block needs 3"),
        (["--channel", "0", "--shard", "9,9"], "--shard needs 3"),
        (["--channel", "0", "--min-size", "-4"], "--min-size"),
        (["--channel", "0", "--min-size", "9" * 30], "--min-size"),
        (["--channel", "0", "--workers", "0"], "--workers"),
        (["--channel", "0", "--memory", "6k"], "is stored in chunks of"),
        (["--channel", "0", "--memory", "100M"], "give a larger --memory"),
        (["--channel", "0", "--memory", "100M", "--block", "9,9,9"], "a smaller --block"),
        (["--channel", "0", "--crate", "/no/such/folder/c.zip"], "does not exist"),
    ],
)
def test_refused_options(cells: Path, tmp_path: Path, capsys: Any, options: list[str], said: str) -> None:
    refused(capsys, tmp_path, [str(cells), *options], said)


def test_results_do_not_take_each_others_place(cells: Path, tmp_path: Path, capsys: Any) -> None:
    one = str(tmp_path / "one.json")
    refused(capsys, tmp_path, [str(cells), "--channel", "0", "--reference", one, "--crate", one], "both name")
    output = str(tmp_path / "refused.ome.zarr")
    refused(capsys, tmp_path, [str(cells), "--channel", "0", "--crate", output], "--output and --crate both name")
    # A run directory in the place of the output would be in the way when all is done.
    refused(capsys, tmp_path, [str(cells), "--channel", "0", "--run-dir", output], "--output and --run-dir both name")
    assert main(["segment", str(cells), "--channel", "0", "--output", str(cells / "labels.zarr")]) == 2
    assert "which is only read; choose a place outside" in capsys.readouterr().err
    assert not list(cells.glob("labels.zarr*"))


def test_a_folder_that_cannot_be_written_to(cells: Path, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], capture_output=True).returncode:
        pytest.skip("file systems can only be mounted by root here")
    try:
        shown = main(["segment", str(cells), "--channel", "0", "--output", str(folder / "o.ome.zarr")])
        assert (shown, "cannot be written to" in capsys.readouterr().err) == (2, True)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_who_reads_the_output_may_leave(cells: Path) -> None:
    words = [sys.executable, "-m", "chunkwise.cli", "inspect", str(cells)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


def test_a_damaged_record_is_told_before_the_work(
    cells: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["open", str(cells), "--output", "cells.json"]) == 0
    made_stores.change_json(tmp_path / "cells.json", lambda content: content["records"].append({"id": [5]}))
    refused(capsys, tmp_path, ["cells.json", "--channel", "0"], "damaged run record")
    assert main(["fetch", "cells.json", "--output", str(tmp_path / "piece.ome.tiff")]) == 2
    assert "damaged run record" in capsys.readouterr().err
    assert not list(tmp_path.glob("piece*"))


def test_refused_places(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, cells: Path) -> None:
    refused(capsys, tmp_path, [str(tmp_path / "nothing.zarr")], "nothing.zarr")
    refused(capsys, tmp_path, ["https://example.org/x.zarr"], "without a site file URLs are not opened")
    site = tmp_path / "site.toml"
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link.ome.zarr").symlink_to(cells)
    site.write_text(f'[roots.images]\npath = "{tmp_path}/root"\naccess = "write"\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    refused(
        capsys, tmp_path, [str(tmp_path / "root" / ".." / "cells.ome.zarr"), "--channel", "0"], "none of this site's"
    )
    refused(capsys, tmp_path, [str(tmp_path / "root" / "link.ome.zarr"), "--channel", "0"], "none of this site's")
    shutil.copytree(cells, tmp_path / "root" / "copy.ome.zarr")
    refused(capsys, tmp_path, [str(tmp_path / "root" / "copy.ome.zarr"), "--channel", "0"], "none of this site's")
    chunk = next(p for p in (tmp_path / "root" / "copy.ome.zarr" / "0" / "c").rglob("*") if p.is_file())
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    words = ["segment", str(tmp_path / "root" / "copy.ome.zarr"), "--channel", "0"]
    assert main([*words, "--output", str(tmp_path / "root" / "o.ome.zarr")]) == 3
    assert "symbolic link" in capsys.readouterr().err


def test_an_output_that_exists_is_kept(cells: Path, tmp_path: Path, capsys: Any) -> None:
    output = tmp_path / "there.ome.zarr"
    output.mkdir()
    (output / "precious").write_text("data")
    assert main(["segment", str(cells), "--channel", "0", "--output", str(output)]) == 2
    assert "exists" in capsys.readouterr().err
    assert (output / "precious").read_text() == "data"


def test_a_truncated_chunk_is_named_and_the_run_goes_on_when_it_is_mended(
    cells: Path, tmp_path: Path, capsys: Any
) -> None:
    chunk = next(p for p in (cells / "0" / "c").rglob("*") if p.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:20])
    output = tmp_path / "o.ome.zarr"
    words = ["segment", str(cells), "--channel", "0", "--output", str(output), "--block", "6,8,48"]
    assert main(words) == 4
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(chunk) in said
    assert "Traceback" not in said
    assert not output.exists()
    chunk.write_bytes(content)
    assert main(words) == 0


@pytest.mark.parametrize("dtype", ["complex64", "bool", "float16"])
def test_types_that_cannot_be_segmented(tmp_path: Path, capsys: Any, dtype: str) -> None:
    store = made_stores.write(tmp_path / "odd.ome.zarr", "0.5", "yx", (16, 16), dtype)
    refused(capsys, tmp_path, [str(store)], {"float16": "float16", "bool": "bool", "complex64": "complex"}[dtype])


def test_no_threshold_found(tmp_path: Path, capsys: Any) -> None:
    store = made_stores.write(tmp_path / "nan.ome.zarr", "0.5", "yx", (16, 16), "float32")
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.nan
    refused(capsys, tmp_path, [str(store)], "No threshold was found by 'otsu'", begun=True)


def test_a_full_disk_leaves_a_run_that_goes_on(cells: Path, tmp_path: Path, capsys: Any) -> None:
    """A real full file system, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "none", disk], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        words = ["segment", str(cells), "--channel", "0", "--sigma", "0", "--output", str(disk / "o.ome.zarr")]
        assert main(words) == 4
        assert "no space left" in capsys.readouterr().err
        assert not (disk / "o.ome.zarr").exists()
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        assert main(words) == 0
        assert (disk / "o.ome.zarr" / "zarr.json").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_no_pyramid(tmp_path: Path) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (300, 600), chunk=8)
    assert main(["segment", str(store), "--output", str(tmp_path / "l.ome.zarr"), "--no-pyramid"]) == 0
    assert len(open_image(resolve(str(tmp_path / "l.ome.zarr"), None)).levels) == 1
