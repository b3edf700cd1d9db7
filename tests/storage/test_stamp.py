"""Stamps: sums over objects, of bounded size, that tell whether anything changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from chunkwise.storage import stamp
from chunkwise.storage.location import Location
from chunkwise.storage.stamp import Objects, Stamp, kind_of, sweep
from foreign_files import opened
from killing import chunks, plain_store, rewrite_unseen


def objects_of(store: Path, *boxes: tuple[slice, ...]) -> Objects:
    return Objects(Location(str(store / "0")), boxes or [(slice(0, 64), slice(0, 64))])


def test_keys_of_boxes(tmp_path: Path) -> None:
    """Each once, also where boxes share chunks; nothing outside."""
    store = plain_store(tmp_path / "i", np.ones((4, 64, 64), np.uint8), chunk=8)
    cut = (slice(9, 17), slice(0, 8))
    objects = objects_of(store, (slice(0, 1), *cut), (slice(2, 3), *cut), (slice(2, 3), *cut))
    keys = sorted(objects.keys(range(objects.count)))
    assert keys == ["c/0/1/0", "c/0/2/0", "c/2/1/0", "c/2/2/0"]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 127, 128, 129, 1000, 4096, 5000])
def test_every_object_comes_once(tmp_path: Path, count: int) -> None:
    store = plain_store(tmp_path / "i", np.ones((8, 8), np.uint8), chunk=8)
    objects = objects_of(store, (slice(0, 8), slice(0, 8 * count)))
    assert objects.count == count
    assert len(set(objects.keys(range(count)))) == count


def test_a_tiff_is_one_object_and_its_tiles_are_none(tmp_path: Path) -> None:
    """Looking at the file once for every tile told nothing more, and took seconds for a large one."""
    tifffile.imwrite(tmp_path / "a.tif", np.ones((64, 64), np.uint8), tile=(16, 16))
    array = opened(tmp_path / "a.tif").location.child("0")
    objects = Objects(array, [(slice(0, 64), slice(0, 64))])
    assert list(objects.keys(range(objects.count))) == ["a.tif"]
    before = sweep(objects, kind_of(array)).groups
    rewrite_unseen(tmp_path / "a.tif")
    assert sweep(objects, kind_of(array)).groups != before


def test_its_size_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = plain_store(tmp_path / "i", np.ones((8, 8), np.uint8), chunk=8)
    million = objects_of(store, (slice(0, 8000), slice(0, 8000)))
    monkeypatch.setattr(stamp, "_files", lambda *_: stamp._Sum(1))
    found = sweep(million, "stat")
    text = json.dumps(Stamp("stat", million.count, tuple(found.groups)).to_dict())
    assert found.reached == 1_000_000
    assert len(text) < 2000
    assert Stamp.from_dict(json.loads(text)).groups == tuple(found.groups)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"kind": "stat", "count": 4, "groups": [[4, "zz"]], "left_out": []},
        {"kind": "other", "count": 4, "groups": [], "left_out": []},
        {"kind": "stat", "count": 4, "groups": [[5, "00"]], "left_out": []},
        {"kind": "stat", "count": 4, "groups": [[3, "00"], [2, "00"]], "left_out": []},
    ],
)
def test_what_is_no_stamp(content: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (any is caught)
        Stamp.from_dict(content)


def test_left_out_is_summed_up_beside(tmp_path: Path) -> None:
    store = plain_store(tmp_path / "i", np.ones((64, 64), np.uint8), chunk=8)
    objects = objects_of(store)
    whole, parted = sweep(objects, "stat"), sweep(objects, "stat", ["c/1/2"])
    assert whole.groups[0][1] == (parted.groups[0][1] + parted.beside[0]) % 2**128
    chunks(store)[10].write_bytes(b"other")
    assert chunks(store)[10].relative_to(store / "0").as_posix() == "c/1/2"
    assert sweep(objects, "stat", ["c/1/2"]).groups == parted.groups
    assert sweep(objects, "stat").groups != whole.groups


def test_file_systems_whose_inodes_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert kind_of(Location(str(tmp_path))) == "stat"
    monkeypatch.setattr(stamp, "_file_system", lambda path: "fuse.sshfs" if os.path.exists(path) else "")
    assert kind_of(Location(str(tmp_path))) == "stat-without-inode"
    file = tmp_path / "i.ozx"
    file.touch()
    assert kind_of(Location(f"{file}/0", archive=str(file))) == "stat-without-inode"
    assert kind_of(Location("https://example.org/i.zarr/0")) == "tags"


def test_chunks_inside_a_file(tmp_path: Path) -> None:
    """As in an archive: the file stands for them."""
    store = plain_store(tmp_path / "i", np.ones((64, 64), np.uint8), chunk=8)
    objects = objects_of(store)
    archive = tmp_path / "i" / "0" / "a.zip"
    archive.write_bytes(b"one")
    inside = Location(str(archive))
    objects.array = inside
    before = sweep(objects, "stat").groups
    archive.write_bytes(b"two!")
    assert sweep(objects, "stat").groups != before
