"""What planemo cannot try: deferred and referenced images, the workspace, and what a user may do wrong on purpose."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from scipy import ndimage
from skimage import filters, measure

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = pytest.mark.galaxy

ROOT = Path(__file__).parents[2]
RUN = ROOT / ".galaxy"
CELLS = "gxfiles://chunkwise_images/cells_tczyx.ome.zarr"
COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"


def inspected(user: User, image: str) -> str:
    """Inspect a dataset and return the page."""
    outputs = user.run("chunkwise_inspect", {"image": f"hda:{image}"})
    assert outputs["report"]["state"] == "ok", user.error_of(outputs["report"])
    return user.content(outputs["report"]).decode()


def test_deferred_image_is_read_in_place(analyst: User) -> None:
    image = analyst.deferred(CELLS)
    page = inspected(analyst, image)
    assert "Image cells_tczyx.ome.zarr: t 2, c 2, z 8, y 48, x 64 (uint16)" in page
    assert str(RUN) not in page, "a place of the server"
    # It is still deferred: nothing was copied into Galaxy.
    assert analyst.wait(image)["state"] == "deferred"


def test_dataset_of_type_ome_zarr(analyst: User) -> None:
    outputs = analyst.run("chunkwise_fetch", {"image": f"hda:{analyst.deferred(COINS)}", "format": "ome_zarr"})
    assert outputs["piece"]["state"] == "ok", analyst.error_of(outputs["piece"])
    assert "y 303, x 384 (uint8)" in inspected(analyst, outputs["piece"]["id"])


def test_reference_below_a_root(site_user: User) -> None:
    inputs = {"source|kind": "location", "source|location": "images:coins_2d.ome.zarr"}
    reference = site_user.run("chunkwise_open", inputs)["reference"]
    assert reference["state"] == "ok", site_user.error_of(reference)
    content = json.loads(site_user.content(reference))
    assert content["chunkwise_reference"] == 1
    assert "y 303, x 384 (uint8)" in inspected(site_user, reference["id"])


def test_report_is_a_page_that_asks_nobody(analyst: User) -> None:
    """Galaxy shows pages of tools that the administrator did not allow-list as plain text; ours is listed."""
    outputs = analyst.run("chunkwise_inspect", {"image": f"hda:{analyst.deferred(CELLS)}"})
    path = f"/datasets/{outputs['report']['id']}/display/"
    page, kind = analyst.get(f"{path}?preview=True")
    assert kind.startswith("text/html")
    text = page.decode()
    # Being listed, the page is shown as it is: all of it is in it, and it may ask nobody for more.
    assert "default-src &#39;none&#39;; script-src &#39;sha256-" in text
    named = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert named
    assert all(one.startswith("data:") for one in named)
    assert not re.search(r"<iframe|\son\w+=|javascript:|https?://", text)
    assert {"DAPI", "GFP"} <= set(re.findall(r"DAPI|GFP", text))


@pytest.fixture(scope="module")
def coins(analyst: User) -> str:
    """The coins as a deferred dataset."""
    return f"hda:{analyst.deferred(COINS)}"


@pytest.fixture(scope="module")
def segmented(analyst: User, coins: str) -> dict[str, dict[str, Any]]:
    """What the segmentation of the coins gave, in blocks that are smaller than a coin."""
    inputs = {"image": coins, "fill_holes": "true", "min_size": 50, "advanced|block": "32,32"}
    outputs = analyst.run("chunkwise_segment", inputs)
    assert outputs["labels"]["state"] == "ok", analyst.error_of(outputs["labels"])
    return outputs


def test_labels_are_those_of_the_whole_image(
    analyst: User, segmented: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    labels = segmented["labels"]
    assert labels["metadata_store_root"] == "labels.ome.zarr"
    analyst.download(labels, tmp_path)
    found = np.asarray(zarr.open_array(tmp_path / "labels.ome.zarr" / "0", mode="r")[:])

    image = np.asarray(zarr.open_array(RUN / "images" / "coins_2d.ome.zarr" / "0", mode="r")[:])
    smooth = ndimage.gaussian_filter(image, 1)
    objects = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)), connectivity=2)
    kept = [number for number in range(1, objects.max() + 1) if (objects == number).sum() >= 50]
    expected = np.zeros_like(found)
    for new, old in enumerate(kept, start=1):
        expected[objects == old] = new
    assert len(kept) == 22
    np.testing.assert_array_equal(found, expected)


def test_crate_joins_the_runs(analyst: User, coins: str, segmented: dict[str, dict[str, Any]]) -> None:
    labels = f"hda:{segmented['labels']['id']}"
    inputs = {"labels": labels, "intensities|choice": "with", "intensities|image": coins}
    measured = analyst.run("chunkwise_measure", inputs)
    assert measured["crate"]["state"] == "ok", analyst.error_of(measured["crate"])
    crates = [{"src": "hda", "id": outputs["crate"]["id"]} for outputs in (measured, segmented)]
    crate = analyst.run("chunkwise_crate", {"from": {"values": crates}})["crate"]
    assert crate["state"] == "ok", analyst.error_of(crate)
    with zipfile.ZipFile(io.BytesIO(analyst.content(crate))) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}

    def ids(entity: dict[str, Any], key: str) -> set[str]:
        value = entity[key]
        return {one["@id"] for one in (value if isinstance(value, list) else [value])}

    actions = {entity["name"]: entity for entity in graph if entity["@type"] == "CreateAction"}
    segment, measure_ = actions["chunkwise segment"], actions["chunkwise measure"]
    # Galaxy moved the labels in between; they are one thing all the same.
    shared = ids(segment, "result") & ids(measure_, "object")
    assert [entities[one]["name"] for one in shared] == ["labels.ome.zarr"]
    assert ids(segment, "object") & ids(measure_, "object"), "both read the image"


def test_results_in_the_workspace(site_user: User) -> None:
    name = f"coins-{time.time_ns()}"
    image = f"hda:{site_user.deferred(COINS)}"
    inputs = {"image": image, "destination|where": "workspace", "destination|to_workspace": name, "min_size": 50}
    outputs = site_user.run("chunkwise_segment", inputs)
    assert outputs["reference"]["state"] == "ok", site_user.error_of(outputs["reference"])
    assert "labels" not in outputs
    assert list((RUN / "workspace").glob(f"*/*/{name}*/zarr.json"))
    labels = f"hda:{outputs['reference']['id']}"
    inputs = {"labels": labels, "intensities|choice": "with", "intensities|image": image}
    measured = site_user.run("chunkwise_measure", inputs)
    assert measured["objects"]["state"] == "ok", site_user.error_of(measured["objects"])
    header, first, *_ = site_user.content(measured["objects"]).decode().splitlines()
    assert header.split("\t")[:3] == ["label", "t", "num_pixels"]
    assert first.split("\t")[:2] == ["1", "0"]


def test_reference_to_elsewhere_is_refused(analyst: User, site_user: User) -> None:
    """A reference is a text that anybody can write; what it names is held against the policy every time."""
    inputs = {"source|kind": "location", "source|location": "images:coins_2d.ome.zarr"}
    reference = site_user.run("chunkwise_open", inputs)["reference"]
    text = site_user.content(reference).decode()
    for user, forged in ((site_user, text.replace("coins_2d.ome.zarr", "../config")), (analyst, text)):
        element = {"src": "pasted", "paste_content": forged, "ext": "json", "name": "forged"}
        target = {"destination": {"type": "hdas"}, "elements": [element]}
        body = {"history_id": user.history, "targets": [target]}
        made = user.call("POST", "/api/tools/fetch", body)["outputs"][0]
        assert user.wait(made["id"])["state"] == "ok"
        outputs = user.run("chunkwise_inspect", {"image": f"hda:{made['id']}"})
        assert outputs["report"]["state"] == "error"
        message = user.error_of(outputs["report"])
        assert "chunkwise inspect: error:" in message
        assert "Traceback" not in message


#: Addresses, and what is said of them.
REFUSED = {
    "gxfiles://chunkwise_images/../config": "error:",
    "gxfiles://chunkwise_images/no-such.ome.zarr": "chunkwise inspect: error:",
    "https://127.0.0.1:1/x.ome.zarr": "without a site file",
    "gxfiles://chunkwise_images/';touch @PWNED@;'": "error:",
    "https://127.0.0.1:1/';touch @PWNED@;'": "error:",
    "https://127.0.0.1:1/$(touch @PWNED@)": "error:",
}


@pytest.fixture(scope="module")
def refused(analyst: User) -> dict[str, str]:
    """A job on each address, all at once: the outputs."""
    (RUN / "workspace" / "pwned").unlink(missing_ok=True)
    uris = {uri: uri.replace("@PWNED@", str(RUN / "workspace" / "pwned")) for uri in REFUSED}
    images = analyst.all_deferred(*uris.values())
    started = {uri: analyst.start("chunkwise_inspect", {"image": f"hda:{images[uris[uri]]}"}) for uri in uris}
    return {uri: outputs["report"] for uri, (_, outputs) in started.items()}


@pytest.mark.parametrize("uri", REFUSED)
def test_addresses_that_are_refused(analyst: User, refused: dict[str, str], uri: str) -> None:
    """Galaxy does not sanitise the address of a deferred dataset: the wrapper has to quote it."""
    report = analyst.wait(refused[uri])
    assert not (RUN / "workspace" / "pwned").exists()
    assert report["state"] == "error"
    message = analyst.error_of(report)
    assert REFUSED[uri] in message
    assert "Traceback" not in message


def test_an_address_is_no_shell(galaxy_url: str) -> None:
    """An e-mail address may hold back quotes and ``$``, and Galaxy puts it into job scripts: ours leave it out."""
    from tests.galaxy.conftest import User

    proof = RUN / "workspace" / "pwned-by-mail"
    email = f"`touch${{IFS}}{proof}`{{user.id}}@example.org"
    admin = User(galaxy_url, "admin")
    body = {"username": "mallory", "email": email, "password": "a-password-for-tests"}
    known = [user for user in admin.call("GET", "/api/users") if user["username"] == "mallory"]
    mallory = known[0] if known else admin.call("POST", "/api/users", body)
    assert mallory["email"] == email
    key = RUN / "mallory.key"
    key.touch(mode=0o600)
    key.write_text(str(admin.call("POST", f"/api/users/{mallory['id']}/api_key", {})))
    user = User(galaxy_url, "mallory")
    outputs = user.run("chunkwise_inspect", {"image": f"hda:{user.deferred(COINS)}"})
    assert outputs["report"]["state"] == "ok", user.error_of(outputs["report"])
    assert not proof.exists()
