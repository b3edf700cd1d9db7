"""``chunkwise convert`` of an OME-Zarr: all that hangs on the image comes along, and nothing from outside the store."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image import Image

import made_stores
from chunkwise.cli import main
from chunkwise.ngff.read import check_strictly, open_store
from chunkwise.ops import copy_files, write_unit
from chunkwise.storage.location import Location
from chunkwise.storage.writer import put_object, write_box
from foreign_files import noise
from killing import at_line

CARDIO = Path(__file__).parents[3] / "shared/data/omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr"

COLORS = [{"label-value": 1, "rgba": [255, 0, 0, 255]}]
PROPERTIES = [{"label-value": 1, "cell type": "glia"}]


def voxels(store: Path, path: str) -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array(store / path, mode="r")[...])


def attributes(store: Path) -> Any:
    return json.loads((store / "zarr.json").read_text())["attributes"]


def fill(store: Path, path: str) -> None:
    array: Any = zarr.open_array(store / path, mode="r+")
    array[...] = noise(array.shape, "uint16") % 5


def furnished(folder: Path, version: str, shape: tuple[int, ...] = (2, 40, 50)) -> Path:
    """An image with labels, a table, a crate, OME-XML, notes, and attributes that nobody knows."""
    entry = made_stores.multiscale("cyx", 2) | {"type": "gaussian", "further": {"a": 1}}
    entry["axes"][2]["orientation"] = "left to right"
    window = {"min": 0, "max": 9, "start": 0, "end": 5}
    channels = [
        {"label": name, "color": "00FF00", "window": window, "wavelength_id": f"W{name}", "active": name == "b"}
        for name in "ab"
    ]
    extra = {"omero": {"channels": channels, "rdefs": {"model": "color"}}, "rois": [1, 2]}
    store = made_stores.write(folder / "a.ome.zarr", version, "cyx", shape, entry=entry, extra=extra)
    fill(store, "0")
    for name, axes in (("cells", "yx"), ("deep/nuclei", "cyx")):
        said = {"image-label": {"source": {"image": "../../"}, "colors": COLORS, "properties": PROPERTIES, "by": "me"}}
        size = shape[-2:] if axes == "yx" else (1, *shape[-2:])
        labels = made_stores.write(
            store / "labels" / name, version, axes, size, entry=made_stores.multiscale(axes, 1), extra=said
        )
        fill(labels, "0")
    listed = {"labels": ["cells", "deep/nuclei"]}
    block = listed if version == "0.4" else {"ome": {"version": "0.5", **listed}}
    zarr.open_group(store / "labels", mode="a", zarr_format=2 if version == "0.4" else 3).attrs.update(
        {**block, "made by": "hand"}
    )
    document = store / (".zattrs" if version == "0.4" else "zarr.json")
    top = (lambda content: content) if version == "0.4" else (lambda content: content["attributes"])
    made_stores.change_json(document, lambda content: top(content).update(lab={"bench": 7}))
    for key, content in FILES.items():
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        (store / key).write_bytes(content)
    return store


#: Files beside the image; some are empty, and some are called as the image's own might be.
FILES = {
    "OME/METADATA.ome.xml": b"<OME/>",
    "ro-crate-metadata.json": b"{}",
    "tables/measured/obs/0": bytes(range(256)),
    "tables/.zgroup": b'{"zarr_format": 2}',
    "notes.txt": b"",
    "labels/cells/notes.txt": b"of the labels",
}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_all_comes_along(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source, output = furnished(tmp_path, version), tmp_path / "o.ome.zarr"
    reports = ["--record", str(tmp_path / "r.json"), "--crate", str(tmp_path / "c.zip")]
    assert main(["convert", str(source), "--output", str(output), *reports]) == 0
    said = capsys.readouterr().out
    assert f"with labels cells, deep/nuclei and {len(FILES)} other files" in said
    assert f"all {2 * 2000 + 2 * 2000} voxels were read again" in said
    for path in ("0", "labels/cells/0", "labels/deep/nuclei/0"):
        np.testing.assert_array_equal(voxels(output, path), voxels(source, path), path)
    assert {key: (output / key).read_bytes() for key in FILES} == FILES
    about = attributes(output)
    assert about["lab"] == {"bench": 7}
    assert (about["rois"] if version == "0.4" else about["ome"]["rois"]) == [1, 2]
    (entry,) = about["ome"]["multiscales"]
    assert entry["further"] == {"a": 1}
    assert entry["type"] == "mean"
    assert "version" not in entry
    assert entry["axes"][2]["orientation"] == "left to right"
    assert about["ome"]["omero"]["rdefs"] == {"model": "color"}
    assert [channel["wavelength_id"] for channel in about["ome"]["omero"]["channels"]] == ["Wa", "Wb"]
    assert [channel["active"] for channel in about["ome"]["omero"]["channels"]] == [False, True]
    for name in ("cells", "deep/nuclei"):
        label = attributes(output / "labels" / name)["ome"]["image-label"]
        assert label == {"source": {"image": "../../"}, "colors": COLORS, "properties": PROPERTIES, "by": "me"}
    assert attributes(output / "labels") == {
        "made by": "hand",
        "ome": {"version": "0.5", "labels": ["cells", "deep/nuclei"]},
    }
    for place in (output, output / "labels/cells", output / "labels/deep/nuclei"):
        check_strictly(open_store(Location(str(place))))
        assert open_store(Location(str(place))).version == "0.5"
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    assert results["carried"] == {"labels": ["cells", "deep/nuclei"], "files": len(FILES)}
    assert any("of how its lower levels were made" in sentence for sentence in results["left_behind"])
    assert main(["verify", str(tmp_path / "c.zip")]) == 0
    assert main(["crate", "validate", str(tmp_path / "c.zip")]) == 0


@pytest.mark.skipif(not CARDIO.exists(), reason="the published images are not beside the checkout")
def test_a_published_image_with_labels_and_tables(tmp_path: Path) -> None:
    output = tmp_path / "o.ome.zarr"
    assert main(["convert", str(CARDIO), "--output", str(output)]) == 0
    np.testing.assert_array_equal(voxels(output, "0"), voxels(CARDIO, "1"))
    np.testing.assert_array_equal(voxels(output, "labels/nuclei/0"), voxels(CARDIO, "labels/nuclei/1"))
    assert made_stores.digest(output / "tables") == made_stores.digest(CARDIO / "tables")
    image = Image.from_zarr(zarr.open_group(output, mode="r"))
    assert image.labels is not None
    labels = image.labels.get_label_paths() if hasattr(image.labels, "get_label_paths") else ["nuclei"]
    assert list(labels) == ["nuclei"]
    channels = attributes(output)["ome"]["omero"]["channels"]
    assert [channel["wavelength_id"] for channel in channels] == ["A01_C01", "A01_C02", "A02_C03"]


def stop() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("line", [13, 26, 44])
def test_stopped_and_gone_on_with(tmp_path: Path, line: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While labels are written, while files are copied, and while labels are compared."""
    source = furnished(tmp_path, "0.4", (2, 70, 80))
    words = ["convert", str(source), "--shard", "32,64", "--workers", "1", "--output"]
    assert main([*words, str(tmp_path / "whole.ome.zarr")]) == 0
    output = tmp_path / "stopped.ome.zarr"
    with monkeypatch.context() as patch:
        at_line(patch, line, stop)
        assert main([*words, str(output)]) == 130
    assert not output.exists()
    assert main([*words, str(output)]) == 0
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_a_table_that_changed_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = furnished(tmp_path, "0.4", (2, 70, 80))
    words = ["convert", str(source), "--shard", "32,64", "--workers", "1", "--output", str(tmp_path / "o.ome.zarr")]
    with monkeypatch.context() as patch:
        at_line(patch, 20, stop)
        assert main(words) == 130
    (source / "tables/measured/obs/0").write_bytes(b"others")
    assert main(words) == 2
    assert "holds an unfinished run with another input" in capsys.readouterr().err


def test_mutant_labels_and_files_that_differ_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = furnished(tmp_path, "0.4"), tmp_path / "o.ome.zarr"

    def lose(place: Any, array: str, *args: Any) -> Any:
        return [] if array == "labels/cells/0" else write_box(place, array, *args)

    with monkeypatch.context() as patch:
        patch.setattr(write_unit, "write_box", lose)
        assert main(["convert", str(source), "--output", str(output)]) == 2
    assert f"is not equal to {source}/labels/cells/0 at y " in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(copy_files, "put_object", lambda place, key, content: put_object(place, key, content[:-1]))
        patch.setattr(copy_files, "LISTING", "files.json")
        monkeypatch.setattr(copy_files, "json_bytes", lambda keys: json.dumps(keys).encode() + b" ")
        assert main(["convert", str(source), "--output", str(output)]) == 2
    assert "is not equal to it; 5 of 6 files differ" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("part", [("--channel", "a"), ("--level", "1")])
def test_of_a_part_only_the_image_is_taken(
    tmp_path: Path, part: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = furnished(tmp_path, "0.4"), tmp_path / "o.ome.zarr"
    assert main(["convert", str(source), "--output", str(output), *part]) == 0
    assert "left behind: " in capsys.readouterr().out
    assert sorted(path.name for path in output.iterdir()) == ["0", "zarr.json"]


def test_nothing_leads_out_of_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Links, and names that are no plain paths, stay behind and are named."""
    source, output = furnished(tmp_path, "0.4"), tmp_path / "o.ome.zarr"
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"outside the store")
    other = made_stores.write(secret / "labels", "0.4", "yx", (40, 50), entry=made_stores.multiscale("yx", 1))
    made_stores.change_json(other / ".zattrs", lambda content: content.update({"image-label": {}}))
    os.symlink(secret / "key", source / "tables/key")
    os.symlink(secret, source / "tables/folder")
    os.symlink(other, source / "labels/linked")
    os.symlink(other / "0", source / "labels/cells/inner")
    os.mkfifo(source / "tables/pipe")
    (source / "tables/line\nbreak").write_bytes(b"x")
    (source / "labels/cells/0/note").write_bytes(b"in an array")
    names = ["cells", "linked", "cells/0", "deep/../cells", "none", "", "."]
    made_stores.change_json(source / "labels/.zattrs", lambda content: content.update(labels=names))
    assert main(["convert", str(source), "--output", str(output), "--record", str(tmp_path / "r.json")]) == 0
    assert "left behind: The label image labels/linked is a link out of the store." in capsys.readouterr().out
    said = " ".join(json.loads((tmp_path / "r.json").read_text())["results"]["left_behind"])
    for sentence in (
        "The label image labels/linked is a link out of the store.",
        "tables/folder is a link to a folder.",
        "labels/cells/inner is a link to a folder.",
        "tables/pipe is not a regular file",
        "'tables/key' inside",
        r"'tables/line\nbreak' has a name that is no plain path.",
        "'labels/deep/../cells' has a name that is no plain path.",
    ):
        assert sentence in said, sentence
    assert attributes(output / "labels")["ome"]["labels"] == ["cells"]
    found = [path for path in output.rglob("*") if path.is_symlink() or path.name in ("key", "pipe", "linked", "inner")]
    assert not found
    assert not [path for path in output.rglob("*") if path.is_file() and b"outside the store" in path.read_bytes()]


def test_a_name_that_leaves_the_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = furnished(tmp_path, "0.4")
    made_stores.change_json(source / "labels/.zattrs", lambda content: content.update(labels=["../../secret"]))
    assert main(["convert", str(source), "--output", str(tmp_path / "o.ome.zarr")]) == 3
    assert "which is not inside it" in capsys.readouterr().err
    assert not (tmp_path / "o.ome.zarr").exists()


def test_a_store_in_a_zip_file(tmp_path: Path) -> None:
    source = furnished(tmp_path, "0.5")
    packed, output = tmp_path / "a.ozx", tmp_path / "o.ozx"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(source))
    assert main(["convert", str(packed), "--output", str(output)]) == 0
    with zipfile.ZipFile(output) as archive:
        assert {key: archive.read(key) for key in FILES} == FILES
        assert "labels/deep/nuclei/zarr.json" in archive.namelist()
