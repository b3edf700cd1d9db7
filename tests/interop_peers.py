"""The peers that are held beside us: how their scripts are run, what of their answers is compared, and with what."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import zarr

from chunkwise.ngff.read import open_image
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import resolve
from peer import told_level

__all__ = ["ENVIRONMENTS", "PEERS", "Peer", "compare", "make_inputs", "run_peer", "told_by_documents", "told_by_us"]

ENVIRONMENTS = Path(__file__).parents[1] / ".venv-interop"
SCRIPTS = Path(__file__).parent / "interop" / "peers"

SCALE = {"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.25}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
CHANNELS = ["nuclei", "membranes"]
COLORS = ["0000FF", "FF00FF"]


@dataclass(frozen=True)
class Peer:
    """A program that reads or writes OME-Zarr; its script lies in ``tests/interop/peers``."""

    name: str
    script: str
    environment: str

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" / "python"

    @property
    def installed(self) -> bool:
        return (ENVIRONMENTS / self.environment / "installed.lock").exists()


PEERS = (
    Peer("ome-zarr-py", "ome_zarr_py_peer.py", "ome-zarr-py"),
    Peer("ngff-zarr", "ngff_zarr_peer.py", "ngff-zarr"),
    Peer("ngio", "ngio_peer.py", "ngio"),
    Peer("iohub", "iohub_peer.py", "iohub"),
    Peer("SpatialData", "spatialdata_peer.py", "spatialdata"),
    Peer("bioio-ome-zarr", "bioio_ome_zarr_peer.py", "bioio-ome-zarr"),
    Peer("tensorstore", "tensorstore_peer.py", "tensorstore"),
    Peer("zarrita", "zarrita_peer.mjs", "node"),
    Peer("ome-zarr.js", "ome_zarr_js_peer.mjs", "node"),
)


def run_peer(peer: Peer, *words: str) -> dict[str, Any]:
    """Run the script of a peer in its own interpreter, and return what it says."""
    if peer.environment == "node":
        # Modules are looked for beside the script that imports them.
        for name in ("peer.mjs", peer.script):
            shutil.copy(SCRIPTS / name, ENVIRONMENTS / "node" / name)
        command = ["node", str(ENVIRONMENTS / "node" / peer.script)]
    else:
        command = [str(peer.python), str(SCRIPTS / peer.script)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer.script} {words[0]}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def make_inputs(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Write the arrays that every peer is given: bright blobs, and labels of them. Every axis has a size of its own."""
    folder.mkdir()
    random = np.random.default_rng(20261129)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    known: dict[str, Any] = {"scale": SCALE, "units": UNITS, "channels": CHANNELS, "colors": COLORS, "arrays": {}}
    for name, axes, shape in (
        ("plane", "yx", (80, 96)),
        ("stack", "zyx", (12, 64, 72)),
        ("series", "tczyx", (3, 2, 6, 64, 72)),
    ):
        seeds = random.random(shape) > 0.99
        sigma = [0 if axis in "tc" else 2 for axis in axes]
        smooth = scipy.ndimage.gaussian_filter(seeds.astype(np.float64), sigma)
        image = (smooth / smooth.max() * 50000 + random.integers(0, 500, shape)).astype(np.uint16)
        mask = image > 15000
        if name == "series":
            labels = np.stack([scipy.ndimage.label(one[0])[0][None] for one in mask])
        else:
            labels = scipy.ndimage.label(mask)[0]
        for key, array in ((name, image), (name + "_labels", labels.astype(np.uint32))):
            array.tofile(folder / f"{key}.bin")
            known["arrays"][key] = {"axes": axes, "shape": list(array.shape), "dtype": array.dtype.name}
            arrays[key] = array
    (folder / "inputs.json").write_text(json.dumps(known))
    return arrays


def told_by_us(place: Path, within: bool = True) -> dict[str, Any]:
    """What chunkwise reads, in the words of the peers' scripts; labels only where they are listed."""
    image = open_image(resolve(str(place), None))
    names = image.axis_names
    levels = []
    for level in image.levels:
        array = open_array(image.location.child(level.path))
        data = array.read(tuple(slice(0, n) for n in level.shape))
        levels.append(told_level(data, names, level.scale, level.translation))
    told: dict[str, Any] = {
        "axes": list(names),
        "levels": levels,
        "units": {axis.name: axis.unit for axis in image.axes if axis.unit},
        "findings": [f"{finding.where}: {finding.message}" for finding in image.findings],
    }
    if "c" in names:
        told["channels"] = [channel.name for channel in image.channels]
        told["colors"] = [channel.color for channel in image.channels]
    if within:
        told["labels"] = {name: told_by_us(place / "labels" / name, False) for name in image.labels}
    return told


def told_by_documents(place: Path, within: bool = True) -> dict[str, Any]:
    """What one of our stores says by its documents alone, and holds by zarr-python."""
    ome = json.loads((place / "zarr.json").read_text())["attributes"]["ome"]
    entry = ome["multiscales"][0]
    axes = [axis["name"] for axis in entry["axes"]]
    levels = []
    for dataset in entry["datasets"]:
        scale, origin = np.ones(len(axes)), np.zeros(len(axes))
        for step in [*dataset["coordinateTransformations"], *entry.get("coordinateTransformations", [])]:
            if step["type"] == "scale":
                scale, origin = scale * step["scale"], origin * step["scale"]
            else:
                origin = origin + step["translation"]
        levels.append(told_level(zarr.open_array(place / dataset["path"], mode="r")[...], axes, scale, origin))
    told: dict[str, Any] = {
        "axes": axes,
        "levels": levels,
        "units": {axis["name"]: axis["unit"] for axis in entry["axes"] if "unit" in axis},
        "labels": {},
    }
    if "omero" in ome:
        told["channels"] = [channel["label"] for channel in ome["omero"]["channels"]]
        told["colors"] = [channel["color"] for channel in ome["omero"]["channels"]]
    listed = place / "labels" / "zarr.json"
    if within and listed.exists():
        names = json.loads(listed.read_text())["attributes"]["ome"]["labels"]
        told["labels"] = {name: told_by_documents(place / "labels" / name, False) for name in names}
    return told


ASPECTS = ("voxels", "scale", "origin", "units", "channels", "labels")


def compare(right: dict[str, Any], told: dict[str, Any]) -> dict[str, str]:
    """Hold what somebody says of a store against what is so: aspect -> ``equal``, ``not told``, or the difference."""
    return {
        "voxels": _voxels(right, told),
        "scale": _by_level(right, told, "scale"),
        "origin": _by_level(right, told, "translation"),
        "units": _units(right, told),
        "channels": _channels(right, told),
        "labels": _labels(right, told),
    }


def _voxels(right: dict[str, Any], told: dict[str, Any]) -> str:
    if "axes" in told and "axes" in right and told["axes"] != right["axes"]:
        return f"axes {''.join(told['axes'])} for {''.join(right['axes'])}"
    if len(told["levels"]) != len(right["levels"]):
        return f"{len(told['levels'])} levels for {len(right['levels'])}"
    for number, (ours, theirs) in enumerate(zip(right["levels"], told["levels"], strict=True)):
        for key in ("shape", "dtype", "sha256"):
            if ours[key] != theirs[key]:
                return f"level {number}: {key} {theirs[key]} for {ours[key]}"
    return "equal"


def _by_level(right: dict[str, Any], told: dict[str, Any], key: str) -> str:
    pairs = [
        (number, ours[key], theirs[key])
        for number, (ours, theirs) in enumerate(zip(right["levels"], told["levels"], strict=False))
        if key in ours and key in theirs
    ]
    if not pairs:
        return "not told"
    for number, ours, theirs in pairs:
        for axis in theirs:
            if axis in ours and not np.isclose(ours[axis], theirs[axis], rtol=1e-9, atol=1e-12):
                return f"level {number}: {axis} {theirs[axis]:g} for {ours[axis]:g}"
    return "equal"


def _units(right: dict[str, Any], told: dict[str, Any]) -> str:
    if "units" not in told or "units" not in right:
        return "not told"
    return "equal" if told["units"] == right["units"] else f"{told['units']} for {right['units']}"


def _channels(right: dict[str, Any], told: dict[str, Any]) -> str:
    found = [(key, told[key], right[key]) for key in ("channels", "colors") if key in told and key in right]
    for key, theirs, ours in found:
        if [str(one).upper().lstrip("#") for one in theirs] != [str(one).upper().lstrip("#") for one in ours]:
            return f"{key} {theirs} for {ours}"
    return "equal" if found else "not told"


def _labels(right: dict[str, Any], told: dict[str, Any]) -> str:
    if "labels" not in told or "labels" not in right:
        return "not told"
    if sorted(told["labels"]) != sorted(right["labels"]):
        return f"{sorted(told['labels'])} for {sorted(right['labels'])}"
    for name, theirs in told["labels"].items():
        ours = {key: value for key, value in right["labels"][name].items() if key != "labels"}
        for aspect, word in compare(ours, theirs).items():
            if word not in ("equal", "not told"):
                return f"{name}, {aspect}: {word}"
    return "equal" if right["labels"] else "not told"
