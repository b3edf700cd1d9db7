"""What peers write is read here; what is written here is read by peers. docs/interop.md is written of it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from interop_page import Row, Table
from interop_peers import (
    CHANNELS,
    COLORS,
    ENVIRONMENTS,
    PEERS,
    SCALE,
    Peer,
    compare,
    make_inputs,
    run_peer,
    told_by_documents,
    told_by_us,
)
from made_stores import change_json, multiscale, write
from peer import told_level
from whole_image import reference_segment

pytestmark = pytest.mark.interop

BY_NAME = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)

ZIPPED = "t, c, 3-D image, zipped (fetch --output X.ozx)"

RIGHT = ("", "equal", "done", "not told")

#: What fails for a reason of the peer's: by peer and store (empty: all), words of what is seen, and the reason.
KNOWN: dict[tuple[str, str], tuple[str, str]] = {
    ("SpatialData", ""): ("read_zarr", "reads containers of its own only"),
    ("ome-zarr.js", ""): ("[] for ['cells']", "looks for the list of labels where 0.4 has it, and not below 'ome'"),
    ("ome-zarr-py", ZIPPED): ("ZipStore", "this version takes no zip files"),
    ("iohub", ""): ("Dataset directory not found", "this version reads 0.4 only, and chunkwise writes 0.5"),
    ("zarrita", "image with labels 0.5, defaults"): (
        "codecs is empty",
        "writes neither codecs nor a fill value unless told to; zarr-python and tensorstore do not read that either",
    ),
}


def not_known(peer: Peer, row: Row) -> dict[str, str]:
    """What is wrong in a row and not told by :data:`KNOWN`; where it is told, the reason becomes a remark."""
    wrong = {key: word for key, word in row.cells.items() if word not in RIGHT}
    words, reason = KNOWN.get((peer.name, row.what), KNOWN.get((peer.name, ""), ("", "")))
    if not wrong or not words or not all(words in word for word in wrong.values()):
        return wrong
    row.remark = "; ".join(part for part in (row.remark, reason) if part)
    return {}


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    rows = Table()
    yield rows
    if rows.whole:
        rows.write()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ENVIRONMENTS.exists():
        pytest.skip("the environments of the peers are missing: run 'make test-interop'")
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="module")
def inputs(place: Path) -> dict[str, np.ndarray[Any, Any]]:
    return make_inputs(place / "inputs")


def need(peer: Peer, table: Table, said: dict[str, Any] | None = None) -> None:
    if not peer.installed:
        pytest.skip(f"{peer.name} is not installed: run 'make test-interop'")
    if said:
        packages = ", ".join(f"{name} {number}" for name, number in said["versions"].items())
        engine = f"Python {said['python']}" if "python" in said else f"Node {said['node']}"
        table.versions[peer.name] = f"{packages}, {engine}"


def ours(*words: object) -> str:
    """Run a command; an empty text, or the sentence that it ended with."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in words])
    last = said.getvalue().strip().splitlines()[-1:]
    return "" if code == 0 else f"exit {code}: {' '.join(last)}"


# What they write


@BY_NAME
def test_what_it_writes_is_read(
    peer: Peer,
    table: Table,
    place: Path,
    inputs: dict[str, np.ndarray[Any, Any]],
    written: dict[str, Path],
    tmp_path: Path,
) -> None:
    need(peer, table)
    folder = place / peer.name
    folder.mkdir()
    said = run_peer(peer, "write", str(folder), str(place / "inputs"))
    need(peer, table, said)
    made = {what: one for what, one in said["made"].items() if "store" in one}
    stores = [path for one in made.values() for path in (one["store"], one.get("labels store")) if path]
    stores = [str(Path(one["store"]) / field) for one in made.values() for field in one.get("fields", [])[:1]] + stores
    theirs = run_peer(peer, "read", *stores)["stores"] if stores else {}
    rows = table.written[peer.name] = []
    for number, (what, one) in enumerate(said["made"].items()):
        work = tmp_path / str(number)
        work.mkdir()
        if one.get("store", "").endswith(".ozx") and ZIPPED not in written:
            rows.append(Row(what, {}, "not tried: zipped stores are not read yet"))
        else:
            rows.append(_of_theirs(what, one, theirs, inputs, work))
    wrong = {row.what: not_known(peer, row) for row in rows}
    assert {what: cells for what, cells in wrong.items() if cells} == {}
    assert not [row for row in rows if row.remark.startswith("could not be written")]


def _of_theirs(what: str, one: dict[str, Any], theirs: dict[str, Any], inputs: dict[str, Any], work: Path) -> Row:
    """Open, read, segment and measure one store of a peer."""
    row = Row(what)
    if "store" not in one:
        row.remark = one.get("cannot") or f"could not be written: {one['failed']}"
        return row
    try:
        _try_theirs(row, one, theirs, inputs, work)
    except Exception as error:
        row.cells["open"] = f"{type(error).__name__}: {error}"
    # Where it lay is of no interest to who reads the page.
    here = re.sub(r"/(container\.zarr/.*|[^/]+)$", "/", one["store"])
    row.cells = {key: word.replace(here, "") for key, word in row.cells.items()}
    return row


def _try_theirs(row: Row, one: dict[str, Any], theirs: dict[str, Any], inputs: dict[str, Any], work: Path) -> None:
    store = Path(one["store"])
    if wrong := ours("open", store, "--output", work / "ref.json"):
        row.cells["open"] = wrong
        return
    row.cells["open"] = "done"
    if "fields" in one:
        row.cells["open"] = _plate(store, one["fields"], work)
        store = store / one["fields"][0]
    told = told_by_us(store)
    if told["findings"]:
        row.remark = f"{len(told['findings'])} remarks, such as '{told['findings'][0]}'"
    array = inputs[one["input"]]
    itself = theirs.get(str(store), {})
    if "levels" not in itself:
        row.remark += f"; it does not read this itself: {itself.get('cannot') or itself.get('failed')}"
    row.cells.update(_values(told, itself, one, array, inputs))
    row.cells["segment"] = _segment(store, told, array, work)
    if "labels" in one or "labels store" in one:
        labels = Path(one.get("labels store") or store / "labels" / one["labels"])
        row.cells["measure"], hint = _measure(labels, store, array, inputs[one["input"] + "_labels"], work)
        row.remark += f"; {hint}" if hint else ""
    row.remark = row.remark.removeprefix("; ")


def _plate(store: Path, fields: list[str], work: Path) -> str:
    summary = work / "plate.json"
    if wrong := ours("inspect", store, "--json", summary):
        return wrong
    described = json.loads(summary.read_text())
    found = json.dumps(described)
    missing = [field for field in fields if field.rpartition("/")[0] not in found]
    if missing:
        return f"inspect lists no {missing[0]}"
    return ours("open", store / fields[0].rpartition("/")[0], "--output", work / "well.json") or "done"


def _values(
    told: dict[str, Any], theirs: dict[str, Any], one: dict[str, Any], array: Any, inputs: dict[str, Any]
) -> dict[str, str]:
    """Ours beside what went in, what was asked for, and what the peer says itself."""
    cells = compare(theirs, told) if "levels" in theirs else dict.fromkeys(compare(told, told), "not told")
    level = told["levels"][0]
    went_in = {told_level(array)["sha256"], told_level(array.astype(level["dtype"]))["sha256"]}
    if level["sha256"] not in went_in:
        cells["voxels"] = "level 0 is not what went in"
    elif "levels" not in theirs:
        cells["voxels"] = "equal"
    asked = one.get("asked", {})
    sized = [
        f"{axis} {level['scale'][axis]:g} for {size:g}"
        for axis, size in asked.get("scale", {}).items()
        if not np.isclose(level["scale"][axis], size)
    ]
    if sized:
        cells["scale"] = sized[0]
    elif "scale" in asked:
        cells["scale"] = "equal"
    for key, cell in (("units", "units"), ("channels", "channels"), ("colors", "channels")):
        if key in asked and told.get(key) != asked[key]:
            cells[cell] = f"{told.get(key)} for {asked[key]}"
        elif key in asked and cells[cell] == "not told":
            cells[cell] = "equal"
    if "labels" in one:
        listed = told["labels"].get(one["labels"])
        right = inputs[one["input"] + "_labels"]
        if listed is None:
            cells["labels"] = f"{one['labels']} is not listed"
        elif listed["levels"][0]["sha256"] != told_level(right.astype(listed["levels"][0]["dtype"]))["sha256"]:
            cells["labels"] = "level 0 is not what went in"
        elif cells["labels"] == "not told":
            cells["labels"] = "equal"
    return cells


def _volumes(array: Any) -> Any:
    """The first channel of what went in, as time points of volumes."""
    return array[:, 0] if array.ndim == 5 else array[None]


def _segment(store: Path, told: dict[str, Any], array: Any, work: Path) -> str:
    output = work / "segmented.ome.zarr"
    channel = ["--channel", "0"] if "c" in told["axes"] else []
    if wrong := ours("segment", store, *channel, "--output", output, "--no-pyramid", "--workers", 1):
        return wrong
    found = np.asarray(zarr.open_array(output / "0", mode="r")[...])
    right = np.stack([reference_segment(volume) for volume in _volumes(array)])
    # Axes that the peer added have length 1.
    return "done" if np.array_equal(found.reshape(right.shape), right) else "other labels than scikit-image's"


def _measure(labels: Path, store: Path, array: Any, right: Any, work: Path) -> tuple[str, str]:
    """Measure their labels on their image, and count with NumPy."""
    output = work / "objects.tsv"
    words: list[object] = ["measure", "--labels", labels, "--image", store, "--output", output, "--workers", 1]
    hint = ""
    wrong = ours(*words)
    if "--same-voxels" in wrong:
        # A peer that writes scale 1 for labels by default: the sentence says what to do, and that is done.
        hint = "measured with --same-voxels, as the error said: its labels have another scale than its image"
        wrong = ours(*words, "--same-voxels")
    if wrong:
        return wrong, hint
    with open(output, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    cells, volumes = _volumes(right), _volumes(array)
    count = sum(len(np.unique(one[one > 0])) for one in cells)
    voxels = int((cells > 0).sum())
    total = int(volumes[cells > 0].sum(dtype=np.int64))
    sums = next(column for column in rows[0] if column.startswith("intensity_sum"))
    found = (len(rows), sum(int(row["num_pixels"]) for row in rows), sum(int(row[sums]) for row in rows))
    return ("done" if found == (count, voxels, total) else f"{found} for {(count, voxels, total)}"), hint


def test_no_peer_brings_gigabytes_along() -> None:
    locks = sorted((ENVIRONMENTS.parent / "deploy" / "interop").glob("*.lock"))
    assert {lock.stem for lock in locks} == {peer.environment for peer in PEERS} - {"node"}
    for lock in locks:
        assert not re.findall(r"(?m)^(torch|nvidia|triton|tensorflow)\b.*", lock.read_text()), lock.name


def test_what_is_said_of_zarrita_is_so(table: Table, place: Path, inputs: dict[str, Any], tmp_path: Path) -> None:
    zarrita, tensorstore, zarr_python = (
        next(peer for peer in PEERS if peer.name == name) for name in ("zarrita", "tensorstore", "ome-zarr-py")
    )
    for peer in (zarrita, tensorstore, zarr_python):
        need(peer, table)
    made = run_peer(zarrita, "write", str(tmp_path), str(place / "inputs"))["made"]
    store = made["image with labels 0.5, defaults"]["store"]
    for peer in (tensorstore, zarr_python):
        assert "failed" in run_peer(peer, "read", store)["stores"][store], peer.name


# What we write


@pytest.fixture(scope="module")
def written(place: Path, inputs: dict[str, np.ndarray[Any, Any]]) -> dict[str, Path]:
    """Stores of ours, by what they are."""
    folder = place / "ours"
    folder.mkdir()
    sources = {}
    for name, version, axes in (("plane", "0.4", "yx"), ("stack", "0.4", "zyx"), ("series", "0.5", "tczyx")):
        entry = multiscale(axes, 1)
        entry["datasets"][0]["coordinateTransformations"] = [
            {"type": "scale", "scale": [SCALE.get(axis, 1.0) for axis in axes]}
        ]
        shown = [
            {"label": label, "color": color, "window": {"min": 0, "max": 65535, "start": 100, "end": 40000}}
            for label, color in zip(CHANNELS, COLORS, strict=True)
        ]
        extra = {"omero": {"channels": shown}} if "c" in axes else None
        sources[name] = write(
            folder / f"{name}.zarr", version, axes, inputs[name].shape, "uint16", entry, extra, chunk=32
        )
        zarr.open_array(sources[name] / "0", mode="r+")[...] = inputs[name]
    stores = {
        "2-D image (fetch)": folder / "plane.ome.zarr",
        "3-D image, a piece (fetch --region)": folder / "stack.ome.zarr",
        "t, c, 3-D image with labels (fetch, segment --into-source)": folder / "series.ome.zarr",
        "3-D labels (segment)": folder / "labels.ome.zarr",
        "3-D labels, a piece (fetch --region)": folder / "labels_piece.ome.zarr",
        "t, c, 3-D labels (segment)": folder / "series_labels.ome.zarr",
        "field of a plate, with labels (segment --into-source)": folder / "plate.ome.zarr" / "A" / "1" / "0",
    }
    piece = ("--region", "2:10,8:64,5:69")
    done = [
        ours("fetch", sources["plane"], "--output", folder / "plane.ome.zarr"),
        ours("fetch", sources["stack"], "--output", folder / "stack.ome.zarr", *piece),
        ours("fetch", sources["series"], "--output", folder / "series.ome.zarr"),
        ours("segment", folder / "series.ome.zarr", "--channel", "nuclei", "--into-source", "cells"),
        ours("segment", sources["stack"], "--output", folder / "labels.ome.zarr"),
        ours("fetch", folder / "labels.ome.zarr", "--output", folder / "labels_piece.ome.zarr", *piece),
        ours("segment", sources["series"], "--channel", "membranes", "--output", folder / "series_labels.ome.zarr"),
    ]
    field = stores["field of a plate, with labels (segment --into-source)"]
    plate = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "name": "plate", "field_count": 1}
    plate["wells"] = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    for group, block in ((field.parents[2], {"plate": plate}), (field.parent, {"well": {"images": [{"path": "0"}]}})):
        zarr.open_group(group, mode="a", zarr_format=3).attrs["ome"] = {"version": "0.5", **block}
    zarr.open_group(field.parents[1], mode="a", zarr_format=3)
    shutil.copytree(sources["series"], field)
    done.append(ours("segment", field, "--channel", "nuclei", "--into-source", "cells"))
    assert done == [""] * len(done)
    # Where chunkwise does not write zipped stores, this is a folder.
    zipped = folder / "series.ozx"
    assert ours("fetch", sources["series"], "--output", zipped) == ""
    if zipped.is_file():
        stores[ZIPPED] = zipped
    return stores


@BY_NAME
def test_what_we_write_it_reads(peer: Peer, table: Table, written: dict[str, Path]) -> None:
    need(peer, table)
    said = run_peer(peer, "read", *map(str, written.values()))
    need(peer, table, said)
    rows = table.read[peer.name] = []
    for what, store in written.items():
        theirs = said["stores"][str(store)]
        row = Row(what)
        rows.append(row)
        if "levels" in theirs:
            right = told_by_documents(store if what != ZIPPED else store.parent / "series.ome.zarr")
            if what == ZIPPED:
                right["labels"] = {}
            row.cells = compare(right, theirs)
        else:
            row.cells["voxels"] = (theirs.get("cannot") or theirs["failed"]).replace(f"{store.parent}/", "")
    if ZIPPED not in written:
        rows.append(Row(ZIPPED, {}, "not tried: fetch writes no zipped stores yet"))
    wrong = {row.what: not_known(peer, row) for row in rows}
    assert {what: cells for what, cells in wrong.items() if cells} == {}


def test_what_we_write_is_what_its_documents_say(written: dict[str, Path], inputs: dict[str, Any]) -> None:
    """The documents that peers are held against hold what went in, in the units that were given."""
    told = told_by_documents(written["t, c, 3-D image with labels (fetch, segment --into-source)"])
    assert told["levels"][0]["sha256"] == told_level(inputs["series"])["sha256"]
    assert told["levels"][0]["scale"] == {"t": 30.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}
    assert (told["channels"], told["colors"]) == (CHANNELS, COLORS)
    assert list(told["labels"]) == ["cells"]
    piece = told_by_documents(written["3-D image, a piece (fetch --region)"])
    assert piece["levels"][0]["translation"] == {"z": 4.0, "y": 4.0, "x": 1.25}
    assert piece["levels"][0]["sha256"] == told_level(inputs["stack"][2:10, 8:64, 5:69])["sha256"]


def test_mutant_a_scale_that_is_swapped_is_seen(written: dict[str, Path], tmp_path: Path) -> None:
    store = written["2-D image (fetch)"]
    right = told_by_documents(store)
    copy = tmp_path / "copy.ome.zarr"
    shutil.copytree(store, copy)

    def swap(document: dict[str, Any]) -> None:
        for dataset in document["attributes"]["ome"]["multiscales"][0]["datasets"]:
            dataset["coordinateTransformations"][0]["scale"].reverse()

    change_json(copy / "zarr.json", swap)
    cells = compare(right, told_by_us(copy))
    assert cells["scale"] == "level 0: y 0.25 for 0.5"
    assert cells["voxels"] == "equal"
    zarr.open_array(copy / "0", mode="r+")[3, 5] += 1
    assert compare(right, told_by_us(copy))["voxels"].startswith("level 0: sha256")
