"""Galaxy's users name what the site lets them name, by whatever way Galaxy has; its own datasets are Galaxy's alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = pytest.mark.galaxy

RUN = Path(__file__).parents[2] / ".galaxy"
COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"


@pytest.fixture(scope="module")
def dataset(site_user: User) -> dict[str, Any]:
    """A store among Galaxy's datasets, and where it lies, which users are not told."""
    made = site_user.run("chunkwise_fetch", {"image": f"hda:{site_user.deferred(COINS)}", "format": "ome_zarr"})[
        "piece"
    ]
    assert made["state"] == "ok", site_user.error_of(made)
    whole = site_user.call("GET", f"/api/datasets/{made['id']}")
    (folder,) = (RUN / "data").rglob(f"dataset_{whole['uuid']}_files")
    return made | {"place": str(folder / made["metadata_store_root"])}


@pytest.fixture(scope="module")
def borrowed(dataset: dict[str, Any]) -> Iterator[None]:
    """Links into Galaxy's datasets that somebody with a share of the storage made there: a store, and one chunk."""
    store, image = (RUN / "images" / f"borrowed{name}.ome.zarr" for name in ("", "_chunk"))
    store.unlink(missing_ok=True)
    store.symlink_to(dataset["place"])
    shutil.rmtree(image, ignore_errors=True)
    shutil.copytree(dataset["place"], image)
    chunk = next(path for path in sorted((image / "0" / "c").rglob("*")) if path.is_file())
    chunk.unlink()
    chunk.symlink_to(Path(dataset["place"]) / chunk.relative_to(image))
    yield
    store.unlink()
    shutil.rmtree(image)


def forged(user: User, store: dict[str, str]) -> str:
    """A reference as anybody can paste one."""
    content = {"chunkwise_reference": 1, "kind": "image", "store": store, "description": {}, "fingerprint": {}}
    element = {"src": "pasted", "paste_content": json.dumps(content), "ext": "json", "name": "forged"}
    target = {"destination": {"type": "hdas"}, "elements": [element]}
    made = user.call("POST", "/api/tools/fetch", {"history_id": user.history, "targets": [target]})["outputs"][0]
    return f"hda:{made['id']}"


#: What is tried, and what the sentence says.
TRIED = {
    "reference by path": "none of this site's roots that are open to you",
    "reference by root": "no such root for you",
    "reference by uri": "none of this site's roots that are open to you",
    "deferred link": "leads out of its file source",
    "typed link": "none of this site's roots that are open to you",
    "chunk that is a link": "symbolic link",
    "reference to a dataset made by open": "give the dataset itself",
}


@pytest.fixture(scope="module")
def started(site_user: User, dataset: dict[str, Any], borrowed: None) -> dict[str, str]:
    """One job for each way, all started at once; the id of an output."""
    place, whole = dataset["place"], f"hda:{dataset['id']}"
    storage = "gxfiles://chunkwise_images"
    typed = {"source|kind": "location", "source|location": "images:borrowed.ome.zarr"}
    jobs = {
        "reference by path": ("inspect", {"image": forged(site_user, {"path": place})}),
        "reference by root": (
            "inspect",
            {"image": forged(site_user, {"root": "galaxy", "path": place.removeprefix(f"{RUN / 'data'}/")})},
        ),
        "reference by uri": ("inspect", {"image": forged(site_user, {"url": f"file://{place}"})}),
        "deferred link": ("inspect", {"image": f"hda:{site_user.deferred(f'{storage}/borrowed.ome.zarr')}"}),
        "typed link": ("open", typed),
        "chunk that is a link": ("fetch", {"image": f"hda:{site_user.deferred(f'{storage}/borrowed_chunk.ome.zarr')}"}),
        "reference to a dataset made by open": ("open", {"source|kind": "dataset", "source|image": whole}),
        "the dataset itself": ("inspect", {"image": whole}),
    }
    started = {}
    for name, (tool, inputs) in jobs.items():
        outputs = site_user.start(f"chunkwise_{tool}", inputs)[1]
        started[name] = outputs.get("report") or next(iter(outputs.values()))
    return started


def test_a_dataset_is_read_where_galaxy_hands_it_over(site_user: User, started: dict[str, str]) -> None:
    report = site_user.wait(started["the dataset itself"])
    assert report["state"] == "ok", site_user.error_of(report)
    assert b"y 303, x 384 (uint8)" in site_user.content(report)


@pytest.mark.parametrize("way", TRIED)
def test_nobody_else_leads_to_it(site_user: User, started: dict[str, str], way: str) -> None:
    output = site_user.wait(started[way])
    assert output["state"] == "error"
    message = site_user.error_of(output)
    assert TRIED[way] in message
    assert "Traceback" not in message
