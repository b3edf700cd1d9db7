"""Stores read from a real web server, through the policy; names with blanks and per cent signs included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.errors import InputError, PolicyError
from chunkwise.ngff.model import Image
from chunkwise.ngff.read import open_image, open_store
from chunkwise.reference import describe, kind_of
from chunkwise.report.preview import read_plane
from chunkwise.site import Root, Site
from chunkwise.storage.location import resolve
from made_stores import change_json, write
from web_server import Web, running_nginx

SHARED = Path(__file__).parents[3] / "shared" / "data"
#: Of several writers: images of 0.4 and 0.5, plates.
STORES = sorted(
    path
    for pattern in (
        "omezarr_galaxy_image_analysis/*.zarr",
        "omezarr_ngio_axes/*.zarr",
        "omezarr_hcs_metadata_only/*.zarr",
    )
    for path in SHARED.glob(pattern)
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_nginx(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.mark.parametrize("name", ["i.ome.zarr", "my image.zarr", "100%41.zarr"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_remote_image(tmp_path: Path, web: Web, name: str, version: str) -> None:
    store = write(web.files / "public" / version / name, version, "cyx", (2, 16, 20))
    array = zarr.open_array(store / "0", mode="r+")
    array[...] = np.arange(640).reshape(2, 16, 20)
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{web.url}/public/{version}", False)})
    encoded = name.replace("%", "%25").replace(" ", "%20")
    image = open_image(resolve(f"{web.url}/public/{version}/{encoded}", site))
    assert image.levels[0].shape == (2, 16, 20)
    assert (read_plane(image, 1).data == array[1]).all()
    assert open_image(resolve(f"web:{encoded}", site)) == image


def test_what_is_not_there_or_not_allowed(tmp_path: Path, web: Web) -> None:
    write(web.files / "private" / "i.zarr")
    (web.files / "open").mkdir()
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{web.url}/open", False)})
    web.requests()
    with pytest.raises(InputError, match="is not a Zarr store"):
        open_image(resolve(f"{web.url}/open/absent.zarr", site))
    for path in ("private/i.zarr", "open/../private/i.zarr", "open/%2e%2e/private/i.zarr"):
        with pytest.raises(PolicyError):
            resolve(f"{web.url}/{path}", site)
    with pytest.raises(InputError):
        open_image(resolve(f"{web.url}/open/%252e%252e/private/i.zarr", site))
    assert not any("/private/" in request.path and request.status == 200 for request in web.requests())


def test_metadata_that_point_elsewhere(tmp_path: Path, web: Web) -> None:
    write(web.files / "hidden" / "i.zarr")
    for number, path in enumerate(("../../hidden/i.zarr/0", "/hidden/i.zarr/0", f"{web.url}/hidden/i.zarr/0")):
        store = write(web.files / "pointing" / f"{number}.zarr")
        change_json(store / "zarr.json", lambda content, path=path: point(content, path))
        site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{web.url}/pointing", False)})
        web.requests()
        with pytest.raises((InputError, PolicyError)):
            open_image(resolve(f"web:{number}.zarr", site))
        assert not any(request.path.startswith("/hidden/") for request in web.requests())


def point(content: Any, path: str) -> None:
    content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = path


def test_a_reference_that_was_edited_by_hand(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    write(web.files / "shown" / "i.zarr")
    write(web.files / "hidden2" / "i.zarr")
    file = tmp_path / "site.toml"
    file.write_text(f'[roots.web]\nurl = "{web.url}/shown"\n[roots.here]\npath = "{tmp_path}"\naccess = "write"\n')
    monkeypatch.setenv("CHUNKWISE_SITE", str(file))
    reference = tmp_path / "r.json"
    assert main(["open", "web:i.zarr", "--output", str(reference)]) == 0
    good = json.loads(reference.read_text())["store"]
    assert good == {"root": "web", "path": "i.zarr"}
    web.requests()
    for store in ({"root": "web", "path": "../hidden2/i.zarr"}, {"url": f"{web.url}/hidden2/i.zarr"}):
        change_json(reference, lambda content, store=store: content.update(store=store))
        assert main(["inspect", str(reference), "--json", str(tmp_path / "s.json")]) == 3
        assert web.requests() == []
    change_json(reference, lambda content: content.update(store=good))
    assert main(["inspect", str(reference), "--json", str(tmp_path / "s.json")]) == 0


@pytest.mark.skipif(not STORES, reason="the folder ../shared/data is not here")
@pytest.mark.parametrize("store", STORES, ids=lambda path: path.name)
def test_stores_of_other_writers_are_the_same_from_far(tmp_path: Path, web: Web, store: Path) -> None:
    (web.files / "shared").unlink(missing_ok=True)
    (web.files / "shared").symlink_to(SHARED)
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{web.url}/shared", False)})
    near = open_store(resolve(str(store), None))
    far = open_store(resolve(f"web:{store.relative_to(SHARED).as_posix()}", site))
    assert describe(far) == describe(near)
    assert kind_of(far) == kind_of(near)
    if isinstance(near, Image) and isinstance(far, Image):
        assert (read_plane(far, 0).data == read_plane(near, 0).data).all()
