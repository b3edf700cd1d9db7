"""What goes in, as a file; and what came out, as bytes: read by Galaxy's API, after a person has clicked for it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr
from scipy import ndimage
from tests.browser.pages import Invocation, Item

from galaxy_server import User

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["a_stack", "reader_of", "results_of", "rows_of", "voxels", "voxels_of"]


def a_stack(folder: Path) -> Path:
    """A TIFF as ImageJ writes it, with grain that a filter takes away."""
    numbers = np.random.default_rng(14)
    blobs = ndimage.gaussian_filter(numbers.normal(size=(6, 60, 80)), 3)
    stack = np.round(2000 + 30000 * blobs + numbers.normal(0, 150, blobs.shape)).clip(0, 65535).astype(np.uint16)
    file = folder / "stack.tif"
    metadata = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(file, stack, imagej=True, resolution=(4, 4), metadata=metadata)
    return file


def reader_of(told: dict[str, Any], url: str, user: str) -> User:
    """Somebody who can fetch what lies in the history of a thing."""
    reader = User(url, user)
    reader.history = told["history_id"]
    return reader


def voxels(user: User, dataset: dict[str, Any], folder: Path) -> NDArray[Any]:
    """The full-size array of a dataset, read by zarr-python."""
    user.download(dataset, folder)
    return np.asarray(zarr.open_array(folder / dataset["metadata_store_root"] / "0", mode="r")[...])


def voxels_of(item: Item, user: str, folder: Path) -> NDArray[Any]:
    """The same of an item in the history that the page shows."""
    reader = reader_of(item.told, item.galaxy.url, user)
    return voxels(reader, reader.wait(item.told["id"]), folder)


def results_of(invocation: Invocation, user: str) -> tuple[User, dict[str, dict[str, Any]]]:
    """What a workflow gave, by the names of its outputs, and somebody who can fetch it; of a list the first."""
    reader = reader_of(invocation.told, invocation.galaxy.url, user)
    ran = reader.call("GET", f"/api/invocations/{invocation.told['id']}")
    found = {name: output["id"] for name, output in ran["outputs"].items()}
    for name, output in ran["output_collections"].items():
        element, *_ = reader.call("GET", f"/api/dataset_collections/{output['id']}")["elements"]
        found[name] = element["object"]["id"]
    return reader, {name: reader.wait(identity) for name, identity in found.items()}


def rows_of(user: User, table: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of a table, by its columns."""
    return list(csv.DictReader(user.content(table).decode().splitlines(), dialect="excel-tab"))
