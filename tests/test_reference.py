"""References: what is written comes back, and what they say is never trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.ngff.read import open_store
from chunkwise.reference import (
    Reference,
    describe,
    make_reference,
    metadata_paths,
    open_image_input,
    open_input,
    read_reference,
)
from chunkwise.site import Root, Site
from chunkwise.storage.location import resolve
from made_stores import write

FINGERPRINT = {"level": "metadata", "algorithm": "sha256-manifest", "value": "0" * 64}
RECORD = {"chunkwise_record": 1, "command": "segment"}


def site_of(folder: Path, name: str = "images") -> Site:
    return Site(folder / "site.toml", {name: Root(name, str(folder.resolve()), None, False)})


def reference_to(path: Path, site: Site | None = None) -> Reference:
    return make_reference(open_store(resolve(str(path), site)), FINGERPRINT, [RECORD])


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    reference = reference_to(write(tmp_path / "i.ome.zarr", axes="cyx", shape=(2, 16, 16)))
    reference.write(tmp_path / "ref.json")
    assert read_reference(tmp_path / "ref.json") == reference
    assert (reference.kind, reference.root) == ("image", None)
    assert reference.place == str(tmp_path / "i.ome.zarr")
    assert reference.description["shape"] == [2, 16, 16]
    assert reference.description["axes"][1] == {"name": "y", "type": "space", "unit": "micrometer"}
    assert reference.description["levels"][1]["scale"] == [1.0, 2.0, 2.0]
    with pytest.raises(InputError, match="exists already"):
        reference.write(tmp_path / "ref.json")


def test_the_description_is_json(tmp_path: Path) -> None:
    store = open_store(resolve(str(write(tmp_path / "i.zarr", "0.4")), None))
    assert json.loads(json.dumps(describe(store))) == describe(store)
    assert metadata_paths(store) == ("", "0", "1")


def test_below_the_working_directory_a_reference_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "data" / "i.zarr")
    reference_to(store).write(tmp_path / "ref.json")
    monkeypatch.chdir(tmp_path)
    opened = open_image_input("ref.json", None)
    assert opened.location.address == str(store)
    assert opened.records == (RECORD,)
    assert opened.reference is not None
    assert opened.image.levels[0].shape == (16, 16)
    by_path = open_input("data/i.zarr", None)
    assert (by_path.records, by_path.reference) == ((), None)


def test_without_a_site_a_reference_does_not_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "secret" / "i.zarr")
    (tmp_path / "work").mkdir()
    reference_to(store).write(tmp_path / "work" / "ref.json")
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(PolicyError, match="outside the working directory"):
        open_input("ref.json", None)
    assert open_input(str(store), None).location.address == str(store)
    (tmp_path / "work" / "link").symlink_to(tmp_path / "secret")
    sly = Reference("image", str(tmp_path / "work" / "link" / "i.zarr"), None)
    sly.write(tmp_path / "work" / "sly.json")
    with pytest.raises(PolicyError, match="outside the working directory"):
        open_input("sly.json", None)


def test_with_a_site_it_names_root_and_path(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    site = site_of(tmp_path / "images")
    write(tmp_path / "images" / "a" / "i.zarr")
    reference = reference_to(tmp_path / "images" / "a" / "i.zarr", site)
    assert (reference.root, reference.place) == ("images", "a/i.zarr")
    reference.write(tmp_path / "ref.json")  # outside every root: a reference may lie anywhere
    opened = open_input(str(tmp_path / "ref.json"), site)
    assert opened.location.root == "images"
    with pytest.raises(PolicyError, match="no site file"):
        open_input(str(tmp_path / "ref.json"), None)
    with pytest.raises(PolicyError, match="no such root"):
        open_input(str(tmp_path / "ref.json"), site_of(tmp_path / "images", "other"))


@pytest.mark.parametrize("place", ["../secret/i.zarr", "/../secret/i.zarr", "a/../../secret/i.zarr", "link/i.zarr"])
def test_with_a_site_it_does_not_leave_the_root(tmp_path: Path, place: str) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    write(tmp_path / "secret" / "i.zarr")
    (tmp_path / "images" / "link").symlink_to(tmp_path / "secret")
    Reference("image", place, "images").write(tmp_path / "ref.json")
    with pytest.raises(PolicyError):
        open_input(str(tmp_path / "ref.json"), site_of(tmp_path / "images"))
    Reference("image", str(tmp_path / "secret" / "i.zarr"), None).write(tmp_path / "direct.json")
    with pytest.raises(PolicyError):
        open_input(str(tmp_path / "direct.json"), site_of(tmp_path / "images"))


def whole() -> dict[str, Any]:
    return {
        "chunkwise_reference": 1,
        "kind": "image",
        "store": {"path": "/data/i.zarr"},
        "description": {},
        "fingerprint": {},
        "records": [],
    }


def test_the_whole_one_is_accepted() -> None:
    assert Reference.from_json(json.dumps(whole())).place == "/data/i.zarr"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"chunkwise_reference": 2}, "newer chunkwise"),
        ({"kind": "movie"}, "kind"),
        ({"kind": ["image"]}, "kind"),
        ({"store": "/data/i.zarr"}, "store"),
        ({"store": {}}, "store"),
        ({"store": {"path": "i.zarr"}}, "absolute path"),
        ({"store": {"path": 1}}, "store"),
        ({"store": {"path": ""}}, "store"),
        ({"store": {"url": "/data/i.zarr"}}, "store"),
        ({"store": {"root": "images"}}, "store"),
        ({"store": {"path": "/data", "url": "https://example.org"}}, "store"),
        ({"description": []}, "description"),
        ({"fingerprint": "0"}, "fingerprint"),
        ({"records": {}}, "records"),
        ({"records": ["x"]}, "records"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_malformed_references_get_a_sentence(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    (tmp_path / "ref.json").write_text(json.dumps({**whole(), **change}))
    with pytest.raises(InputError, match=why):
        open_input(str(tmp_path / "ref.json"), None)


@pytest.mark.parametrize(
    "content",
    [b'{"chunkwise_reference": 1', b'{"chunkwise_reference": ' + b"[" * 99_999, b'{"chunkwise_reference"\xff'],
)
def test_damaged_references_get_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ref.json").write_bytes(content)
    with pytest.raises(InputError, match="is not JSON"):
        open_input(str(tmp_path / "ref.json"), None)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\x89PNG", b"chunkwise_reference"])
def test_other_files_are_no_references(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.json").write_bytes(content)
    assert read_reference(tmp_path / "file.json") is None
    with pytest.raises(
        InputError, match=r"is neither an image that can be read here nor a reference|is a PNG, not an OME-Zarr"
    ):
        open_input(str(tmp_path / "file.json"), None)


def test_a_table_is_no_image(tmp_path: Path) -> None:
    Reference("table", "/data/objects.tsv", None).write(tmp_path / "ref.json")
    with pytest.raises(InputError, match="refers to a table"):
        open_input(str(tmp_path / "ref.json"), None)


def test_a_url_in_a_reference_is_refused_without_a_site(tmp_path: Path) -> None:
    Reference("image", "https://example.org/i.zarr", None).write(tmp_path / "ref.json")
    with pytest.raises(PolicyError, match="URL"):
        open_input(str(tmp_path / "ref.json"), None)


def test_what_does_not_exist(tmp_path: Path) -> None:
    for text in (str(tmp_path / "absent.json"), "", "a\0b"):
        with pytest.raises(ChunkwiseError):
            open_input(text, None)


@pytest.mark.parametrize("value", ["NaN", "1e400", '"\\ud800"'])
def test_what_could_not_be_written_again_is_not_read(value: str) -> None:
    text = '{"chunkwise_reference": 1, "kind": "image", "store": {"path": "/a"}, "description": {"x": %s}}'
    assert Reference.from_json(text % "1").place == "/a"
    with pytest.raises(InputError, match="not JSON"):
        Reference.from_json(text % value)
