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


@pytest.fixture
def link(dataset: dict[str, Any]) -> Iterator[str]:
    """A link that somebody with a share of the storage made there, into Galaxy's datasets."""
    place = RUN / "images" / "borrowed.ome.zarr"
    place.unlink(missing_ok=True)
    place.symlink_to(dataset["place"])
    yield place.name
    place.unlink()


@pytest.fixture
def borrowed_chunk(dataset: dict[str, Any]) -> Iterator[str]:
    """An image whose one chunk is such a link."""
    place = RUN / "images" / "borrowed_chunk.ome.zarr"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(dataset["place"], place)
    chunk = next(path for path in sorted((place / "0" / "c").rglob("*")) if path.is_file())
    target = Path(dataset["place"]) / chunk.relative_to(place)
    chunk.unlink()
    chunk.symlink_to(target)
    yield place.name
    shutil.rmtree(place)


def refused(user: User, image: str, tool: str = "chunkwise_inspect") -> str:
    """Give it to a tool, see it fail with one sentence, and give that."""
    output = next(iter(user.run(tool, {"image": f"hda:{image}"}).values()))
    assert output["state"] == "error"
    message = user.error_of(output)
    assert "error:" in message
    assert "Traceback" not in message
    return message


def pasted(user: User, text: str) -> str:
    """A dataset with this text, as anybody can make one."""
    element = {"src": "pasted", "paste_content": text, "ext": "json", "name": "forged"}
    target = {"destination": {"type": "hdas"}, "elements": [element]}
    body = {"history_id": user.history, "targets": [target]}
    made = user.call("POST", "/api/tools/fetch", body)["outputs"][0]
    assert user.wait(made["id"])["state"] == "ok"
    return str(made["id"])


def test_a_dataset_is_read_where_galaxy_hands_it_over(site_user: User, dataset: dict[str, Any]) -> None:
    outputs = site_user.run("chunkwise_inspect", {"image": f"hda:{dataset['id']}"})
    assert outputs["summary"]["state"] == "ok", site_user.error_of(outputs["summary"])
    assert json.loads(site_user.content(outputs["summary"]))["shape"] == [303, 384]


@pytest.mark.parametrize("store", [{"path": "PLACE"}, {"root": "galaxy", "path": "INNER"}, {"url": "file://PLACE"}])
def test_no_reference_names_a_dataset(site_user: User, dataset: dict[str, Any], store: dict[str, str]) -> None:
    place = dataset["place"]
    content = {"chunkwise_reference": 1, "kind": "image", "store": store, "description": {}, "fingerprint": {}}
    text = json.dumps(content).replace("PLACE", place).replace("INNER", place.removeprefix(f"{RUN / 'data'}/"))
    message = refused(site_user, pasted(site_user, text))
    assert "none of this site's roots that are open to you" in message or "no such root for you" in message


def test_no_link_on_the_storage_leads_to_a_dataset(site_user: User, link: str) -> None:
    assert "leads out of its file source" in refused(
        site_user, site_user.deferred(f"gxfiles://chunkwise_images/{link}")
    )
    inputs = {"source|kind": "location", "source|location": f"images:{link}"}
    reference = site_user.run("chunkwise_open", inputs)["reference"]
    assert reference["state"] == "error"
    assert "none of this site's roots" in site_user.error_of(reference)


def test_no_chunk_of_an_image_is_one_of_a_dataset(site_user: User, borrowed_chunk: str) -> None:
    image = site_user.deferred(f"gxfiles://chunkwise_images/{borrowed_chunk}")
    assert "symbolic link" in refused(site_user, image, "chunkwise_fetch")


def test_open_makes_no_reference_that_nobody_could_use(site_user: User, dataset: dict[str, Any]) -> None:
    inputs = {"source|kind": "dataset", "source|image": f"hda:{dataset['id']}"}
    reference = site_user.run("chunkwise_open", inputs)["reference"]
    assert reference["state"] == "error"
    assert "give the dataset itself" in site_user.error_of(reference)
