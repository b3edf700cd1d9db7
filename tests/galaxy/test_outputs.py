"""What a person sees of results: names that tell the image, images alone where one is asked for, one box of errors."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = pytest.mark.galaxy

ROOT = Path(__file__).parents[2]
RUN = ROOT / ".galaxy"
CELLS = "gxfiles://chunkwise_images/cells_tczyx.ome.zarr"
COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"
#: What breaks out of shells, templates and pages, where it is not kept a name.
HOSTILE = 'Anna\'s "mice" <b>$HOME</b> `id` #2: Zellkerne für ä'


def renamed(user: User, identity: str, name: str) -> str:
    """Give a dataset another name, as on its page."""
    user.call("PUT", f"/api/histories/{user.history}/contents/{identity}", {"name": name})
    return identity


def names(user: User, outputs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Names of outputs whose job ended well."""
    assert all(one["state"] == "ok" for one in outputs.values()), user.error_of(next(iter(outputs.values())))
    return {output: str(one["name"]) for output, one in outputs.items()}


def failed(user: User, tool: str, inputs: dict[str, Any]) -> list[str]:
    """What the page says above a failed job, box by box."""
    job, outputs = user.start(tool, inputs)
    assert user.wait(next(iter(outputs.values())))["state"] == "error"
    return [str(message["desc"]) for message in user.call("GET", f"/api/jobs/{job}?full=true")["job_messages"]]


def test_results_are_called_by_image_and_channel_all_the_way(analyst: User) -> None:
    image = f"hda:{analyst.deferred(CELLS)}"
    segmented = analyst.run("chunkwise_segment", {"image": image, "selection|channel": "DAPI"})
    assert names(analyst, segmented) == {
        "labels": "cells_tczyx, DAPI: labels",
        "overlay": "cells_tczyx, DAPI: overlay",
        "view": "cells_tczyx, DAPI: view",
        "crate": "cells_tczyx, DAPI: RO-Crate (Segment objects)",
    }
    measured = analyst.run("chunkwise_measure", {"labels": f"hda:{segmented['labels']['id']}"})
    assert names(analyst, measured)["objects"] == "cells_tczyx, DAPI: table"


NAMES = ["';touch @PWNED@;'", "$(touch @PWNED@)", "`touch @PWNED@`", '-x "y" <b> ü']


@pytest.fixture(scope="module")
def brought(analyst: User) -> dict[str, str]:
    """A file brought in under each of these names, all at once: the outputs."""
    (RUN / "workspace" / "pwned-by-name").unlink(missing_ok=True)
    shutil.copyfile(ROOT / "test-data" / "coins_2d.tif", RUN / "images" / "coins_2d.tif")
    started = {}
    for name in NAMES:
        image = analyst.deferred("gxfiles://chunkwise_images/coins_2d.tif", "tiff", again=True)
        renamed(analyst, image, name.replace("@PWNED@", str(RUN / "workspace" / "pwned-by-name")))
        started[name] = analyst.start("chunkwise_convert", {"image": f"hda:{image}"})[1]["output"]
    return started


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_brought_in_under_its_name_which_no_shell_reads(
    analyst: User, brought: dict[str, str], name: str
) -> None:
    made = analyst.wait(brought[name])
    proof = RUN / "workspace" / "pwned-by-name"
    assert not proof.exists()
    assert made["state"] == "ok", analyst.error_of(made)
    document = json.loads(analyst.content(made, "image.ome.zarr/zarr.json"))
    assert document["attributes"]["ome"]["multiscales"][0]["name"] == name.replace("@PWNED@", str(proof))


@pytest.mark.parametrize("name", [HOSTILE, "x" * 250])
def test_a_name_stays_the_name_whatever_is_in_it(analyst: User, name: str) -> None:
    image = renamed(analyst, analyst.deferred(COINS, again=True), name)
    found = names(analyst, analyst.run("chunkwise_filter", {"image": f"hda:{image}"}))
    assert found["output"] == f"{name}: filtered (gaussian)"[:255]


def test_a_reference_is_called_by_its_image(site_user: User) -> None:
    typed = site_user.run("chunkwise_open", {"source|kind": "location", "source|location": "images:coins_2d.ome.zarr"})
    assert names(site_user, typed) == {"reference": "coins_2d"}
    found = site_user.run(
        "chunkwise_threshold", {"image": f"hda:{typed['reference']['id']}", "operation|method": "otsu"}
    )
    assert names(site_user, found)["output"] == "coins_2d: mask (otsu)"


def test_where_an_image_is_asked_for_only_images_are_offered(site_user: User) -> None:
    """All that the tools make lies in the history; of it, stores, single-file stores and references are images."""
    from tests.galaxy.conftest import User

    user = User(site_user.url, "site")
    image = f"hda:{user.deferred(COINS)}"
    for tool, inputs in {
        "open": {"source|kind": "location", "source|location": "images:coins_2d.ome.zarr"},
        "inspect": {"image": image},
        "segment": {"image": image},
        "fetch": {"image": image, "format": "ozx"},
    }.items():
        names(user, user.run(f"chunkwise_{tool}", inputs))
    form = user.call("GET", f"/api/tools/chunkwise_segment/build?history_id={user.history}")
    (field,) = (one for one in form["inputs"] if one["name"] == "image")
    offered = sorted(one["name"] for one in field["options"]["hda"])
    assert offered == sorted([COINS, "coins_2d", "coins_2d: labels", "coins_2d: piece (single file)"])


def test_shapes_are_no_image_and_a_table_is_called_by_its_name(analyst: User) -> None:
    """Galaxy offers GeoJSON, which is a kind of JSON, where a reference is taken; the form refuses it."""
    files = {
        "shapes": ("geojson", '{"type": "FeatureCollection", "features": []}'),
        "places": ("tabular", "a\tb\n1\t2"),
    }
    elements = [
        {"src": "pasted", "paste_content": text, "ext": kind, "name": name} for name, (kind, text) in files.items()
    ]
    body = {"history_id": analyst.history, "targets": [{"destination": {"type": "hdas"}, "elements": elements}]}
    shapes, places = (
        f"hda:{analyst.wait(one['id'])['id']}" for one in analyst.call("POST", "/api/tools/fetch", body)["outputs"]
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        analyst.start("chunkwise_filter", {"image": shapes})
    assert "neither an image nor a reference" in refused.value.read().decode()
    (sentence,) = failed(analyst, "chunkwise_points", {"image": f"hda:{analyst.deferred(COINS)}", "points": places})
    assert sentence.startswith("Fatal error: places has no column for x ")


def test_a_failed_job_has_one_box_with_one_sentence(analyst: User) -> None:
    cells = f"hda:{analyst.deferred(CELLS)}"
    (sentence,) = failed(analyst, "chunkwise_segment", {"image": cells})
    assert sentence.startswith("Fatal error: ")
    assert "0 (DAPI), 1 (GFP)" in sentence
    assert "chunkwise" not in sentence
    assert len(sentence.splitlines()) == 1


def test_so_has_a_job_that_fails_before_chunkwise_begins(analyst: User) -> None:
    outside = analyst.deferred("gxfiles://chunkwise_images/../config")
    (sentence,) = failed(analyst, "chunkwise_inspect", {"image": f"hda:{outside}"})
    assert "leads out of its file source" in sentence


def test_a_single_file_is_an_image_when_it_is_uploaded_as_one(analyst: User) -> None:
    file = RUN / "images" / f"cells-{time.time_ns()}.ozx"
    shutil.copyfile(ROOT / "test-data" / "cells_zyx_v04.ome.zarr.zip", file)
    element = {"src": "url", "url": f"gxfiles://chunkwise_images/{file.name}", "ext": "ome_zarr.zip", "name": "a.ozx"}
    target = {"destination": {"type": "hdas"}, "elements": [element]}
    body = {"history_id": analyst.history, "targets": [target], "auto_decompress": False}
    try:
        made = analyst.call("POST", "/api/tools/fetch", body)["outputs"][0]
        assert analyst.wait(made["id"])["state"] == "ok"
    finally:
        file.unlink()
    found = names(analyst, analyst.run("chunkwise_inspect", {"image": f"hda:{made['id']}"}))
    assert found["report"] == "a: view"


def test_labels_can_be_given_to_tools_that_want_the_type_zarr(analyst: User) -> None:
    """As docs/galaxy.md says: change the datatype of the dataset. Other tools test for exactly this name."""
    piece = analyst.run("chunkwise_fetch", {"image": f"hda:{analyst.deferred(COINS)}", "format": "ome_zarr"})["piece"]
    assert piece["extension"] == "ome_zarr"
    place = f"/api/histories/{analyst.history}/contents/{piece['id']}"
    analyst.call("PUT", place, {"datatype": "zarr"})
    changed = analyst.wait(piece["id"])
    assert (changed["state"], changed["extension"]) == ("ok", "zarr"), changed
    assert changed["metadata_store_root"] == piece["metadata_store_root"]
    names(analyst, analyst.run("chunkwise_inspect", {"image": f"hda:{piece['id']}"}))
