"""The published workflow for nuclei on a mosaic of its image: by Galaxy, by the command line on Slurm, and by literal
calls on the whole mosaic; for benchmarks/published_scale.py and a test.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
import zarr
from scipy import ndimage
from skimage import exposure, filters, measure, util

from cluster_jobs import ENVIRONMENT, ROOT, RUN, driver_of, files_of, record_in, slurm, staging_of
from galaxy_invocation import invoke
from galaxy_server import User
from made_stores import digest, multiscale
from published_workflows import NUCLEI
from workflow_steps import WORKFLOWS, Steps

__all__ = [
    "BLOCKS",
    "RUN",
    "STEPS",
    "STORES",
    "Run",
    "added",
    "by_galaxy",
    "by_hand",
    "files_of",
    "mosaic",
    "whole",
    "wrong",
]

FLOW = "nuclei-counting"
#: An eighth of the published image, which is what the workflow takes of it; of a mosaic that would be another size.
KERNEL = 25
CHUNK = 1024
#: Blocks that end inside shards, and in one direction inside tiles of the mosaic.
BLOCKS = {"A": "2048,2048", "B": "1500,4000"}
#: Whose jobs go through Pulsar by REST; the tests' users have everything kept that was staged.
WAY = "rest"
#: The site's profile for these users (deploy/galaxy/only_for_tests/site.toml), for the command line.
SITE = """[roots.all]
path = "/"
access = "write"
[cluster]
default = "tests"
[clusters.tests]
kind = "slurm"
partition = "main"
memory_per_worker = "4GB"
walltime = "2h"
"""
STORES = {
    "smooth": "Smoothed image",
    "threshold": "Mask",
    "label": "Labels",
    "brighten": "Image to look at",
    "overlay": "Overlay",
}
TABLES = ("Table of nuclei", "Count")
STEPS = (*STORES, "count")


@dataclass
class Step:
    """What a step took."""

    wall: float
    cpu: float
    """Of its workers, and of what drives them."""
    workers: int
    peak: int
    """Of the largest worker."""
    driver: int
    """Peak of the driver, where Slurm accounts for it."""
    blocks: int


@dataclass
class Run:
    """What a run of the workflow made and took."""

    name: str
    block: str
    """As asked for; empty where it was chosen by the memory of a worker."""
    stores: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    """Of each step, bytes of a worker."""
    chosen: dict[str, int] = field(default_factory=dict)
    """The same, had the blocks not been asked for."""
    wall: float = 0.0
    moved: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Files and bytes that were staged, or kept by Galaxy, by what they are."""

    @cached_property
    def digests(self) -> dict[str, str]:
        """Of every level of every store, all files with their names; of every table, its bytes."""
        found = {
            f"{name}/{level.name}": digest(level)
            for name, store in self.stores.items()
            for level in sorted(store.iterdir())
            if level.is_dir()
        }
        return found | {name: hashlib.sha256(content).hexdigest() for name, content in self.tables.items()}


def mosaic(store: Path, edge: int) -> int:
    """Write the mosaic as plain OME-Zarr; its bytes before compression."""
    image = tifffile.imread(NUCLEI / "input_image.tiff")
    tile = np.pad(image, [(0, n) for n in image.shape], mode="symmetric")
    if not store.exists():
        part = store.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        group = zarr.open_group(part, mode="w", zarr_format=3)
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale("yx", levels=1)]}
        array: Any = group.create_array(
            "0", shape=(edge, edge), dtype=tile.dtype, chunks=(CHUNK, CHUNK), dimension_names=["y", "x"]
        )
        for y in range(0, edge, CHUNK):
            rows = np.arange(y, min(y + CHUNK, edge)) % tile.shape[0]
            array[y : y + CHUNK] = tile[np.ix_(rows, np.arange(edge) % tile.shape[1])]
        part.rename(store)
    return edge * edge * tile.itemsize


def adapt(workflow: dict[str, Any]) -> None:
    """What is said of a mosaic beside what the workflow says: the tiles' size, and an overlay of full resolution."""
    workflow["steps"]["brighten"]["tool_state"]["operation"]["kernel_size"] = KERNEL
    workflow["steps"]["overlay"]["tool_state"] |= {"black": 0.0, "white": 65535.0}


def in_place(block: str, name: str) -> str:
    """The workflow as a user changes it in the editor: images go to the workspace, references to the next step."""
    workflow = yaml.safe_load((WORKFLOWS / FLOW / f"{FLOW}.gxwf.yml").read_text())
    adapt(workflow)
    for label in STORES:
        state = workflow["steps"][label]["tool_state"]
        state["destination"] = {"where": "workspace", "to_workspace": f"{name}-{label}"}
        state["advanced"]["block"] = block or None
        workflow["outputs"][STORES[label]]["outputSource"] = f"{label}/reference"
    for step in workflow["steps"].values():
        for key, source in step["in"].items():
            if isinstance(source, str) and source.endswith("/output"):
                step["in"][key] = source.replace("/output", "/reference")
    del workflow["report"]  # it shows the picture
    return str(yaml.safe_dump(workflow, sort_keys=False))


def by_galaxy(store: Path, name: str, block: str, limit: int) -> Run:
    """Run the workflow by Galaxy, Pulsar and Slurm."""
    url = f"http://127.0.0.1:{(RUN / 'port').read_text().strip()}"
    user, admin = User(url, WAY), User(url, "admin")
    before = files_of(RUN / "data" / "objects")
    location = {"source|kind": "location", "source|location": f"images:{store.name}"}
    reference = user.run("chunkwise_open", location)["reference"]
    run, begin = Run("Galaxy, Pulsar, Slurm", block), time.monotonic()
    image = {"Image": {"src": "hda", "id": reference["id"]}}
    invocation = invoke(user, in_place(block, name), image, limit)
    run.wall = time.monotonic() - begin
    told = user.call("GET", f"/api/invocations/{invocation}?view=element")
    jobs = {one["workflow_step_label"]: one["job_id"] for one in told["steps"] if one["job_id"]}
    staged = [staging_of(WAY, admin.job_of(reference)["external_id"])]
    for label, job in jobs.items():
        done = admin.call("GET", f"/api/jobs/{job}?full=true")
        if done["state"] != "ok":
            raise SystemExit(f"{label} ended as {done['state']}: {done['stderr']}")
        staged.append(staging_of(WAY, done["external_id"]))
        if label in STEPS:
            command = done["tool_id"].removeprefix("chunkwise_")
            record = record_in(user.content(done["outputs"]["crate"]), command)
            cpu, driver = accounted(driver_of(staged[-1]))
            run.steps[label] = step_of(record, cpu, driver)
    outputs = {label: user.wait(one["id"]) for label, one in told["outputs"].items()}
    for label in STORES.values():
        run.stores[label] = RUN / "workspace" / json.loads(user.content(outputs[label]))["store"]["path"]
    run.tables = {label: user.content(outputs[label]) for label in TABLES}
    kept = {file: size for file, size in files_of(RUN / "data" / "objects").items() if file not in before}
    run.moved = {
        "in Pulsar's folders of the jobs": added([files_of(folder) for folder in staged]),
        "in Galaxy's object store": added([kept]),
        "the table of nuclei, which is in both": (1, len(run.tables["Table of nuclei"])),
    }
    return run


def added(found: list[dict[Path, int]]) -> tuple[int, int]:
    """Files and bytes."""
    return sum(map(len, found)), sum(sum(one.values()) for one in found)


def accounted(job: str) -> tuple[float, int]:
    """What Slurm says of a job: CPU-seconds, and the most bytes that it held."""
    cpu, held = 0.0, 0
    time.sleep(3)  # the last look at a job reaches the database a moment after its end
    for line in slurm("sacct", "-n", "-P", "-o", "TotalCPU,MaxRSS,JobID", "-j", job).splitlines():
        spent, peak, name = line.split("|")
        if "." not in name:
            days, _, clock = spent.rpartition("-")
            cpu = sum(float(part) * 60**n for n, part in enumerate(reversed(clock.split(":")))) + 86400 * int(days or 0)
        elif peak:
            unit = "BKMG".find(peak[-1])
            held = max(held, int(float(peak.rstrip("BKMG")) * 1024 ** max(unit, 0)))
    return cpu, held


def step_of(record: dict[str, Any], cpu: float, driver: int) -> Step:
    """What a record says, and what its driver took."""
    begin, end = (datetime.fromisoformat(record[key]).timestamp() for key in ("start", "end"))
    workers = [one for one in record["workers"] if one["blocks"]]
    return Step(
        wall=end - begin,
        cpu=cpu + sum(one["cpu_seconds"] for one in workers),
        workers=len(workers),
        peak=max(one["peak_rss_bytes"] for one in workers),
        driver=driver,
        blocks=record["plan"]["blocks"],
    )


class OnSlurm(Steps):
    """The steps by the command line, with workers that are batch jobs."""

    def __init__(self, store: Path, folder: Path, block: str, workers: int) -> None:
        super().__init__(FLOW, folder, {"Image": store}, block)
        adapt(self.workflow)
        self.workers = workers
        self.took: dict[str, Step] = {}
        self.planned: dict[str, int] = {}
        self.chosen: dict[str, int] = {}
        site = folder / "site.toml"
        site.write_text(SITE)
        told = ("GALAXY_", "CHUNKWISE_")
        self.environment = {key: value for key, value in ENVIRONMENT.items() if not key.startswith(told)}
        self.environment |= {"CHUNKWISE_SITE": str(site)}

    def run(self, step: str) -> Path:
        """Ask for the plans, then run a step."""
        words, output = self.words(step)
        words = [str(ROOT / ".venv" / "bin" / "chunkwise"), *words, "--workers", str(self.workers)]
        where = words.index("--block")
        for plans, asked in ((self.planned, words), (self.chosen, words[:where] + words[where + 2 :])):
            plan = subprocess.run([*asked, "--plan", "json"], env=self.environment, check=True, capture_output=True)
            plans[step] = json.loads(plan.stdout)["memory_bytes_a_worker"]
        record, before = output.with_suffix(".json"), os.times()
        subprocess.run([*words, "--record", str(record)], env=self.environment, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        self.took[step] = step_of(json.loads(record.read_text()), cpu, 0)
        shutil.rmtree(f"{output}.run", ignore_errors=True)
        return output


def by_hand(store: Path, folder: Path, block: str, workers: int) -> Run:
    """Run the steps by the command line on Slurm."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps = OnSlurm(store, folder, block, workers)
    run = Run("command line, Slurm", block, steps=steps.took, planned=steps.planned, chosen=steps.chosen)
    run.stores = {label: steps.result(label) for label in STORES.values()}
    run.tables = {label: steps.result(label).read_bytes() for label in TABLES}
    run.wall = sum(step.wall for step in run.steps.values())
    return run


def whole(image: Any) -> dict[str, Any]:
    """The literal calls, on the whole image."""
    smooth = ndimage.gaussian_filter(image, 3)
    mask = smooth > filters.threshold_otsu(smooth)
    labels = measure.label(mask, connectivity=1)
    even = util.img_as_uint(exposure.equalize_adapthist(image, KERNEL, 0.01, 256))
    # Two voxels wide along y and x: of one voxel this is skimage.segmentation.find_boundaries(labels, mode="inner").
    cross = np.zeros((5, 5), bool)
    cross[2] = cross[:, 2] = True
    edge = ndimage.grey_dilation(labels, footprint=cross) != ndimage.grey_erosion(labels, footprint=cross)
    grey = np.rint(exposure.rescale_intensity(even, (0, 65535), (0.0, 255.0))).astype(np.uint8)
    drawn = np.repeat(grey[None], 3, axis=0)
    drawn[:, edge & (labels > 0)] = np.array([[255], [0], [0]], np.uint8)
    names = ("label", "area", "bbox", "intensity_mean", "intensity_min", "intensity_max")
    table = measure.regionprops_table(labels, image, properties=names)
    return {
        "Smoothed image": smooth,
        "Mask": mask,
        "Labels": labels,
        "Image to look at": even,
        "Overlay": drawn,
        "Table of nuclei": np.stack(list(table.values())).astype(float),
        "Count": float(labels.max()),
    }


#: What ours are called, in the order of :func:`whole`.
COLUMNS = (
    "label",
    "num_pixels",
    *(f"bbox-{n}" for n in range(4)),
    *(f"intensity_{n}-0" for n in ("mean", "min", "max")),
)


def wrong(run: Run, expected: dict[str, Any]) -> list[str]:
    """The outputs that differ from those of the literal calls."""
    found: dict[str, Any] = {label: zarr.open_array(store / "0", mode="r")[...] for label, store in run.stores.items()}
    lines = {label: [line.split("\t") for line in run.tables[label].decode().splitlines()] for label in TABLES}
    head, *rows = lines["Table of nuclei"]
    found["Table of nuclei"] = np.array([[float(row[head.index(one)]) for row in rows] for one in COLUMNS])
    head, row = lines["Count"]
    found["Count"] = float(row[head.index("objects")])
    return [label for label, theirs in expected.items() if not np.array_equal(found[label], theirs)]
