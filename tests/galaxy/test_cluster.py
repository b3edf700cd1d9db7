"""From the real Galaxy to the real cluster and back, each way, with nothing moved; who may, and what users do wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
import zarr
from scipy import ndimage
from skimage import filters, measure

from cluster_jobs import ROOT, RUN, files_of, record_in, size_of, slurm, staging_of, until
from made_stores import digest, multiscale, write
from mosaic_runs import by_galaxy, mosaic, whole, wrong
from published_workflows import NUCLEI

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

pytestmark = [pytest.mark.galaxy, pytest.mark.cluster]

WAYS = ("rest", "mq", "slurm")
SHAPE = (48, 320, 512)
#: What a job may move in all, either way: references, crates, tables, pictures, the wrapper itself.
SMALL = 1_000_000


def make_blobs(path: Path) -> np.ndarray[Any, Any]:
    """An image of some hundred blobs on noise, in 960 files."""
    rng = np.random.default_rng(4)
    seeds = np.zeros(SHAPE, np.float32)
    seeds[tuple(rng.integers(0, size, 400) for size in SHAPE)] = 1
    blobs = ndimage.gaussian_filter(seeds, 4)
    image = (blobs / blobs.max() * 3000 + rng.normal(200, 20, SHAPE)).clip(0, 65535).astype(np.uint16)
    write(path, axes="zyx", shape=SHAPE, entry=multiscale("zyx", levels=1), chunk=16)
    zarr.open_array(path / "0", mode="r+")[:] = image
    return image


class Blobs:
    """The image of these tests, and what one process makes of it without Galaxy."""

    def __init__(self, folder: Path) -> None:
        self.store = RUN / "images" / "blobs.ome.zarr"
        shutil.rmtree(self.store, ignore_errors=True)
        self.image = make_blobs(self.store)
        self.labels = folder / "labels.ome.zarr"
        self.table = folder / "objects.tsv"
        plain = {key: value for key, value in os.environ.items() if not key.startswith("CHUNKWISE_")}
        segment = ["segment", self.store, "--output", self.labels, "--min-size", "50", "--fill-holes", "--workers", "1"]
        measure_ = ["measure", "--labels", self.labels, "--image", self.store, "--output", self.table, "--workers", "1"]
        for words in (segment, measure_):
            subprocess.run([ROOT / ".venv/bin/chunkwise", *words], check=True, env=plain, capture_output=True)


@pytest.fixture(scope="module")
def blobs(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def users(cluster: str) -> dict[str, User]:
    """A user for each way."""
    from tests.galaxy.conftest import User

    return {way: User(cluster, way) for way in WAYS}


def opened(user: User, location: str) -> dict[str, Any]:
    """Open an image where it lies; the reference, or what became of it."""
    return user.run("chunkwise_open", {"source|kind": "location", "source|location": location})["reference"]


def kept_of(user: User) -> dict[Path, int]:
    """What Galaxy's storage has of the datasets of a user's history, and the sizes: other tests use the same Galaxy."""
    listed = user.call("GET", f"/api/histories/{user.history}/contents?v=dev&view=detailed&limit=1000")
    uuids = [dataset["uuid"] for dataset in listed if dataset.get("uuid")]
    stored = files_of(RUN / "data" / "objects")
    return {file: size for file, size in stored.items() if any(uuid in str(file) for uuid in uuids)}


def segment_inputs(reference: dict[str, Any], name: str) -> dict[str, Any]:
    """What the segmentation of the blobs asks for."""
    where = {"destination|where": "workspace", "destination|to_workspace": name}
    return {
        "image": f"hda:{reference['id']}",
        "min_size": 50,
        "fill_holes": "true",
        "advanced|block": "16,160,256",
        "browse": False,  # the page to browse is the one thing that may have megabytes
    } | where


def done(user: User, outputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The outputs of a job, all of which went well."""
    for output in outputs.values():
        assert output["state"] == "ok", user.job_of(output)
    return outputs


# Galaxy's own Slurm takes two minutes for this chain, Pulsar by RabbitMQ 43 s: it is one for 'make test-slow'.
@pytest.fixture(scope="module", params=["rest", "mq", pytest.param("slurm", marks=pytest.mark.slow)])
def results(request: pytest.FixtureRequest, users: dict[str, User], blobs: Blobs) -> dict[str, Any]:
    """Open, segment into the workspace, measure and crate, by one way; and what Galaxy's own storage got by it."""
    user = users[request.param]
    before = kept_of(user)
    reference = opened(user, "images:blobs.ome.zarr")
    done(user, {"reference": reference})
    segmented = done(user, user.run("chunkwise_segment", segment_inputs(reference, "blobs")))
    labels = f"hda:{segmented['reference']['id']}"
    image = {"intensities|choice": "with", "intensities|image": f"hda:{reference['id']}"}
    measured = done(user, user.run("chunkwise_measure", {"labels": labels} | image))
    crates = [{"src": "hda", "id": outputs["crate"]["id"]} for outputs in (segmented, measured)]
    crate = done(user, user.run("chunkwise_crate", {"from": {"values": crates}}))
    kept = {file: size for file, size in kept_of(user).items() if file not in before}
    return {
        "way": request.param,
        "user": user,
        "kept": kept,
        "reference": reference,
        "segmented": segmented,
        "measured": measured,
        "crate": crate["crate"],
    }


def reference_of(results: dict[str, Any]) -> dict[str, Any]:
    """The content of the reference to the labels."""
    content: dict[str, Any] = json.loads(results["user"].content(results["segmented"]["reference"]))
    return content


def store_of(results: dict[str, Any]) -> Path:
    """Where the labels lie."""
    store = reference_of(results)["store"]
    assert store["root"] == "results"
    return RUN / "workspace" / store["path"]


def test_labels_are_those_of_one_process(results: dict[str, Any], blobs: Blobs) -> None:
    store = store_of(results)
    assert {file.relative_to(store) for file in store.rglob("c/*/*/*")} == {
        file.relative_to(blobs.labels) for file in blobs.labels.rglob("c/*/*/*")
    }
    assert array_bytes(store) == array_bytes(blobs.labels)


def array_bytes(store: Path) -> dict[str, str]:
    """Digests of the arrays of a store; its top document holds its name."""
    return {folder.name: digest(folder) for folder in store.iterdir() if folder.is_dir()}


def test_labels_are_those_of_scikit_image(blobs: Blobs) -> None:
    smooth = ndimage.gaussian_filter(blobs.image, 1)
    objects = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)), connectivity=3)
    sizes = np.bincount(objects.ravel())
    kept = np.flatnonzero(sizes >= 50)[1:]
    table = np.zeros(sizes.size, np.int64)
    table[kept] = np.arange(1, kept.size + 1)
    assert kept.size > 100
    np.testing.assert_array_equal(zarr.open_array(blobs.labels / "0", mode="r")[:], table[objects])


def test_table_is_that_of_one_process(results: dict[str, Any], blobs: Blobs) -> None:
    assert results["user"].content(results["measured"]["objects"]) == blobs.table.read_bytes()


def test_several_workers_on_several_nodes(results: dict[str, Any]) -> None:
    record = record_in(results["user"].content(results["segmented"]["crate"]))
    workers = [worker for worker in record["workers"] if worker["blocks"]]
    assert len(workers) >= 2
    assert record["cluster"]["kind"] == "slurm"
    assert len({job["nodes"] for job in record["cluster"]["jobs"]}) >= 2


def test_crate_is_valid_and_names_both_runs(results: dict[str, Any], tmp_path: Path) -> None:
    content = results["user"].content(results["crate"])
    file = tmp_path / "crate.zip"
    file.write_bytes(content)
    subprocess.run([ROOT / ".venv/bin/chunkwise", "crate", "validate", file], check=True, capture_output=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
    actions = {entity["name"] for entity in graph if entity["@type"] == "CreateAction"}
    assert {"chunkwise segment", "chunkwise measure"} <= actions


def test_nothing_moves(results: dict[str, Any], admin: User, blobs: Blobs) -> None:
    """Pulsar's folder of a job holds all that was staged either way: the tests' users have it kept."""
    assert size_of(blobs.store) > 5 * SMALL
    assert 0 < sum(results["kept"].values()) < SMALL
    if results["way"] == "slurm":
        return
    for output in (results["reference"], *results["segmented"].values(), *results["measured"].values()):
        job = admin.job_of(output)
        staged = size_of(staging_of(results["way"], job["external_id"]))
        assert 0 < staged < SMALL, job["tool_id"]


def test_workflow_in_place(users: dict[str, User], blobs: Blobs) -> None:
    """The published workflow, its labels sent to the workspace, as a user would change it in the editor."""
    text = (ROOT / "workflows/nuclei-segmentation/nuclei-segmentation.gxwf.yml").read_text()
    workflow = yaml.safe_load(text)
    steps = workflow["steps"]
    steps["segment"]["tool_state"]["destination"] = {"where": "workspace", "to_workspace": "by-workflow"}
    steps["measure"]["in"]["labels"] = "segment/reference"
    workflow["outputs"]["Labels"]["outputSource"] = "segment/reference"
    user = users["mq"]
    reference = opened(user, "images:blobs.ome.zarr")
    done(user, {"reference": reference})
    made = user.call("POST", "/api/workflows", {"workflow": {"yaml_content": yaml.safe_dump(workflow)}})
    inputs = {"Image": {"src": "hda", "id": reference["id"]}, "Smoothing": 1.0, "Smallest nucleus": 50}
    body = {"history_id": user.history, "inputs": inputs, "inputs_by": "name"}
    invocation = user.call("POST", f"/api/workflows/{made['id']}/invocations", body)["id"]

    def finished() -> dict[str, Any] | None:
        found = user.call("GET", f"/api/invocations/{invocation}?view=element")
        return found if set(workflow["outputs"]) - {"Pictures of the channels"} <= set(found["outputs"]) else None

    outputs = until(60, finished, "the workflow is scheduled")["outputs"]
    results = done(user, {name: user.wait(output["id"]) for name, output in outputs.items()})
    assert user.content(results["Table of nuclei"]) == blobs.table.read_bytes()
    store = json.loads(user.content(results["Labels"]))["store"]
    assert array_bytes(RUN / "workspace" / store["path"]) == array_bytes(blobs.labels)


def test_store_of_galaxy_is_worked_on_where_it_is_mounted(users: dict[str, User], admin: User) -> None:
    """Labels that Galaxy keeps are made by its own Slurm, whichever way the user's other jobs go."""
    user = users["rest"]
    reference = opened(user, "images:coins_2d.ome.zarr")
    outputs = done(user, user.run("chunkwise_segment", {"image": f"hda:{reference['id']}"}))
    assert outputs["labels"]["metadata_store_root"] == "labels.ome.zarr"
    # What another machine's batch system gave it is what Slurm knows it by.
    driver = admin.job_of(outputs["labels"])["external_id"]
    assert slurm("sacct", "-n", "-X", "-P", "-o", "State", "-j", driver).strip() == "COMPLETED"


@pytest.mark.parametrize("way", WAYS)
def test_a_mistake_is_told_in_one_sentence(users: dict[str, User], way: str) -> None:
    user = users[way]
    failed = opened(user, "images:no-such.ome.zarr")
    assert failed["state"] == "error"
    sentence = user.error_of(failed).strip()
    assert sentence.startswith("chunkwise open: error:")
    assert "no-such.ome.zarr" in sentence
    assert "Traceback" not in sentence
    assert sentence.splitlines()[1:] == ["chunkwise: end of job, exit code 2"]


def test_users_and_groups(users: dict[str, User], cluster: str) -> None:
    """The root ``private`` is for one user and for one group; a reference gives nobody else a right."""
    from tests.galaxy.conftest import User

    store = RUN / "private" / "secret.ome.zarr"
    if not store.exists():
        write(store, shape=(32, 32))
    own = opened(users["rest"], "private:secret.ome.zarr")
    done(users["rest"], {"by e-mail": own})
    done(users["mq"], {"by group": opened(users["mq"], "private:secret.ome.zarr")})
    stranger = User(cluster, "patient")
    refused = opened(stranger, "private:secret.ome.zarr")
    text = users["rest"].content(own).decode()
    element = {"src": "pasted", "paste_content": text, "ext": "json", "name": "not mine"}
    target = {"destination": {"type": "hdas"}, "elements": [element]}
    body = {"history_id": stranger.history, "targets": [target]}
    pasted = stranger.call("POST", "/api/tools/fetch", body)["outputs"][0]
    assert stranger.wait(pasted["id"])["state"] == "ok"
    inspected = stranger.run("chunkwise_inspect", {"image": f"hda:{pasted['id']}"})["report"]
    for failed in (refused, inspected):
        assert failed["state"] == "error"
        sentence = stranger.error_of(failed)
        assert "chunkwise" in sentence
        assert "error:" in sentence
        assert "private" in sentence
        assert "Traceback" not in sentence


def make_gigabyte(path: Path) -> None:
    """A store of 1 GiB in 2048 files: holes of zeros, which count like other bytes, and some blobs."""
    shape, chunk = (512, 1024, 1024), 64
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale("zyx", levels=1)]}
    names = ["z", "y", "x"]
    group.create_array("0", shape=shape, dtype="uint16", chunks=(chunk,) * 3, compressors=None, dimension_names=names)
    seeds = np.zeros((chunk,) * 3, np.float32)
    seeds[tuple(np.random.default_rng(6).integers(10, chunk - 10, (3, 6)))] = 1
    blobs = (ndimage.gaussian_filter(seeds, 3) * 1e6).astype("<u2").tobytes()
    for z, y, x in np.ndindex(*(size // chunk for size in shape)):
        file = path / "0" / "c" / str(z) / str(y) / str(x)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            if (z + y + x) % 16 == 0:
                out.write(blobs)
            out.truncate(2 * chunk**3)


@pytest.mark.slow  # half a milliard voxels
@pytest.mark.parametrize("way", ["rest", "mq"])
def test_nothing_moves_of_a_gigabyte(users: dict[str, User], admin: User, way: str) -> None:
    """What docs/admin.md says: kilobytes, for a store of a gigabyte and thousands of files."""
    store = RUN / "images" / "gigabyte.ome.zarr"
    if not store.exists():
        make_gigabyte(store)
    files = files_of(store)
    assert len(files) > 1000
    assert sum(files.values()) > 2**30
    user = users[way]
    before = kept_of(user)
    reference = opened(user, "images:gigabyte.ome.zarr")
    done(user, {"reference": reference})
    where = {"destination|where": "workspace", "destination|to_workspace": "gigabyte"}
    where |= {"browse": False}
    outputs = done(user, user.run("chunkwise_segment", {"image": f"hda:{reference['id']}"} | where))
    kept = {file: size for file, size in kept_of(user).items() if file not in before}
    staged = [files_of(staging_of(way, admin.job_of(one)["external_id"])) for one in (reference, outputs["crate"])]
    for name, found in zip(("open", "segment"), staged, strict=True):
        print(f"{way} {name}: {len(found)} files, {sum(found.values())} bytes staged")
    print(f"{way}: {len(kept)} files, {sum(kept.values())} bytes in Galaxy's object store")
    assert all(sum(found.values()) < SMALL for found in staged)
    assert sum(kept.values()) < SMALL


@pytest.mark.slow  # eight jobs one after the other, most with workers of their own
@pytest.mark.skipif(not NUCLEI.is_dir(), reason="the published workflow's data are not beside the checkout")
@pytest.mark.usefixtures("cluster")
def test_published_workflow_on_a_mosaic_is_what_the_whole_gives() -> None:
    """What benchmarks/published_scale.py does at a scale that wants half an hour."""
    store = RUN / "images" / "mosaic.ome.zarr"
    shutil.rmtree(store, ignore_errors=True)
    mosaic(store, 1300)
    run = by_galaxy(store, f"mosaic{time.time_ns()}", "300,700", 600)
    image: Any = zarr.open_array(store / "0", mode="r")[:]
    assert wrong(run, whole(image)) == []
    mirrored = whole(image[:, ::-1])
    assert wrong(run, mirrored) == [label for label in mirrored if label != "Count"]
