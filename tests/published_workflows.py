"""Published workflows, and what ours make in their place: compared with literal calls on the whole image.

Each runs the steps of ``workflows/`` as their file states them, in blocks that cut through what is found.
"""

# scikit-image has no type hints.
# mypy: allow-untyped-calls

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
import zarr
from scipy import ndimage
from skimage import color, exposure, feature, filters, measure, segmentation, util

from made_models import whole_image
from whole_image import reference_number, reference_split
from whole_objects import parameters_of, reference_objects
from whole_shapes import whole_shapes
from workflow_steps import MADE, WORKFLOWS, Steps, voxels

__all__ = [
    "NUCLEI",
    "PUBLISHED",
    "Pairs",
    "Published",
    "differing",
    "whole_screen",
    "whole_spots",
    "whole_staining",
]

ROOT = Path(__file__).parents[1]
NUCLEI = ROOT.parent / "shared" / "data" / "iwc_nuclei"
"""The image that comes with the published workflow for nuclei, and its authors' results."""

Pairs = dict[str, tuple[Any, Any]]
"""By the name of an output: ours, and theirs."""


@dataclass(frozen=True)
class Published:
    """A published workflow, and ours."""

    name: str
    """The folder of ours."""
    of: str
    """What was published, and where."""
    calls: str
    """What ours is compared with."""
    compare: Callable[[Path, bool], Pairs] | None = None
    """Runs ours in a folder, or (True) something that is not quite it."""

    @property
    def there(self) -> bool:
        """Whether ours is there, and compared."""
        return (WORKFLOWS / self.name).is_dir() and self.compare is not None


def differing(pairs: Pairs) -> list[str]:
    """The outputs that are not what they should be."""
    return [name for name, (ours, theirs) in pairs.items() if not np.array_equal(ours, theirs)]


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines(), dialect="excel-tab"))


def nuclei_counting(folder: Path, mutant: bool) -> Pairs:
    steps = Steps("nuclei-counting", folder, {"Image": NUCLEI / "input_image.tiff"}, "48,80")
    if mutant:
        steps.given["Smoothing"] = 2
    (row,) = rows_of(steps.result("Count"))
    published = int((NUCLEI / "objects_count.tabular").read_text().split()[-1])
    return {
        "Labels": (voxels(steps.result("Labels")), tifffile.imread(NUCLEI / "label_image.tiff")),
        "Count": (int(row["objects"]), published),
    }


def voronoi_cells(folder: Path, mutant: bool) -> Pairs:
    """The seeds are coins, so that a cell is the table around one."""
    seeds, image = MADE / "coins_2d_labels.ome.zarr", MADE / "coins_2d.ome.zarr"
    farthest = 10 if mutant else 100
    given = {"Seeds": seeds, "Image": image, "Threshold": 80, "Farthest voxel": farthest}
    steps = Steps("voronoi-cells", folder, given, "128,160")
    nearest = segmentation.expand_labels(measure.label(voxels(seeds) > 0), 1000)
    tissue = ndimage.gaussian_filter(voxels(image), 3) > 80
    return {"Cells": (voxels(steps.result("Cells")), nearest * tissue * ~(voxels(seeds) > 0))}


def whole_staining(rgb: Any) -> tuple[Any, Any]:
    """A slide with its intensity evened out, and where it has much of the third stain, DAB."""
    even = util.img_as_uint(exposure.equalize_adapthist(rgb))
    stain = color.rgb2hed(even)[..., 2]
    return even, stain > filters.threshold_otsu(stain)


def staining_area(folder: Path, mutant: bool) -> Pairs:
    """A piece of a slide stained with haematoxylin and DAB, the third stain."""
    slide = MADE / "tissue_rgb.ome.zarr"
    steps = Steps("staining-area", folder, {"Slides": slide, "Stain": "DAB"}, "37,51")
    if mutant:
        steps.state("even")["operation"]["clip_limit"] = 0.02
    even, stained = whole_staining(np.moveaxis(voxels(slide), 0, -1))
    (row,) = rows_of(steps.result("Share of the area"))
    return {
        "Evened slides": (voxels(steps.result("Evened slides")), np.moveaxis(even, -1, 0)),
        "Stained area": (voxels(steps.result("Stained area"))[0], stained),
        "Share of the area": (float(row["share"]), stained.mean()),
    }


def whole_screen(image: Any) -> tuple[Any, Any]:
    """All objects of an image of the screen, and those of them that are large and round enough."""
    smooth = ndimage.gaussian_filter(image, 3)
    objects = measure.label(smooth > filters.threshold_otsu(smooth), connectivity=1)
    objects = reference_split(objects, (1, 1), 20, 1).astype(int)
    table = measure.regionprops_table(objects, properties=("label", "area", "eccentricity"))
    round_ones = (table["area"] >= 500) & (table["area"] <= 100000) & (table["eccentricity"] <= 0.5)
    return objects, np.where(np.isin(objects, table["label"][round_ones]), objects, 0)


def hela_screen(folder: Path, mutant: bool) -> Pairs:
    """Coins, of which some touch and some are too far from round."""
    store = MADE / "coins_2d.ome.zarr"
    steps = Steps("hela-screen", folder, {"Images": store}, "67,91")
    if mutant:
        steps.given["Distance between centres"] = 8
    image = voxels(store)
    objects, nuclei = whole_screen(image)
    kept = measure.regionprops_table(nuclei, image, properties=("label", "area", "mean_intensity"))
    rows, (row,) = rows_of(steps.result("Tables of nuclei")), rows_of(steps.result("One row an image"))
    columns = zip(("label", "num_pixels", "intensity_mean-0"), kept.values(), strict=True)
    return {
        "All objects": (voxels(steps.result("All objects")), objects),
        "Nuclei": (voxels(steps.result("Nuclei")), nuclei),
        **{name: ([float(one[name]) for one in rows], values) for name, values in columns},
        "One row an image": ([float(row["objects"]), float(row["share"])], [len(kept["label"]), (nuclei > 0).mean()]),
    }


def nuclei_segmentation(folder: Path, mutant: bool) -> Pairs:
    """Coins, with holes filled and specks removed."""
    store = MADE / "coins_2d.ome.zarr"
    steps = Steps("nuclei-segmentation", folder, {"Image": store}, "67,91")
    if mutant:
        steps.given["Smoothing"] = 2
    smooth = ndimage.gaussian_filter(voxels(store), 1)
    filled = ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    return {"Labels": (voxels(steps.result("Labels")), reference_number(measure.label(filled), 50))}


def model_segmentation(folder: Path, mutant: bool) -> Pairs:
    """Coins, by the model that comes with chunkwise: whole by bioimageio.core, then cut into objects."""
    part, package = voxels(MADE / "coins_2d.ome.zarr")[:192, :208], ROOT / "models" / "nuclei"
    tifffile.imwrite(folder / "part.tif", part)
    steps = Steps("model-segmentation", folder, {"Image": folder / "part.tif", "Smallest object": 60}, "48,80")
    steps.state("predict")["model"] = package
    if mutant:
        steps.state("objects")["threshold"] = 0.9
    maps = voxels(steps.result("Maps"))
    whole = whole_image(package, part[None, None])[0]
    how = yaml.safe_load((package / "rdf.yaml").read_text())["config"]["chunkwise"]["objects"]
    parameters = parameters_of(how["method"], 2, **how["parameters"] | {"min_size": 60})
    objects = reference_objects({name: maps[number] for name, number in how["channels"].items()}, parameters)
    return {
        "Maps (to 1e-4)": (np.allclose(maps, whole, rtol=0, atol=1e-4), True),
        "Labels": (voxels(steps.result("Labels"))[0], objects),
    }


def whole_spots(image: Any, threshold: float) -> tuple[Any, Any, Any]:
    """An image with its contrast raised, its spots (y, x, sigma), and their labels."""
    even = exposure.equalize_adapthist(image)
    blobs = feature.blob_log(even, min_sigma=1, max_sigma=2, num_sigma=10, threshold=threshold, exclude_border=5)
    places = enumerate(blobs[:, :2].astype(int), 1)
    return even, blobs, whole_shapes(even.shape, [(number, place, 2) for number, place in places])


def spots_2d(folder: Path, mutant: bool) -> Pairs:
    """A few coins, whose faces and rims have spots enough."""
    part = voxels(MADE / "coins_2d.ome.zarr")[:100, :130]
    tifffile.imwrite(folder / "part.tif", part)
    steps = Steps("spots-2d", folder, {"Image": folder / "part.tif"}, "37,51")
    if mutant:
        steps.given["Border"] = 0
    even, blobs, marks = whole_spots(part, 0.05)
    rows = rows_of(steps.result("Table of spots"))
    return {
        "Image with its contrast raised": (voxels(steps.result("Image with its contrast raised")), even),
        "Table of spots": ([[float(row[name]) for name in ("y", "x", "sigma")] for row in rows], blobs),
        "Labels of the spots": (voxels(steps.result("Labels of the spots")), marks),
    }


def convert_and_publish(folder: Path, mutant: bool) -> Pairs:
    """Drawn cells, at two times, in two channels and eight planes."""
    file = MADE / "cells_tczyx.ome.tif"
    steps = Steps("convert-and-publish", folder, {"Image": file}, "3,17,23")
    if mutant:
        steps.state("convert")["selection"]["time"] = 1
    store = steps.result("OME-Zarr")
    array, metadata = zarr.open_array(store / "0", mode="r"), zarr.open_group(store, mode="r").attrs["ome"]
    channels = [one["label"] for one in metadata["omero"]["channels"]]
    scale = metadata["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    return {
        "Voxels": (np.asarray(array[...]), tifffile.imread(file)),
        "Channels": (channels, ["DAPI", "GFP"]),
        "Sizes of voxels": (scale[2:], [1.0, 0.5, 0.5]),
        "OME-Zarr 0.5, sharded": ((metadata["version"], array.shards is not None), ("0.5", True)),
    }


PUBLISHED = [
    Published(
        "nuclei-counting",
        "Segmentation and counting of cell nuclei in fluorescence microscopy images (IWC)",
        "its authors' own results",
        nuclei_counting,
    ),
    Published(
        "staining-area",
        "Histological Staining Area Quantification (IWC)",
        "`equalize_adapthist`, `rgb2hed`, `threshold_otsu`",
        staining_area,
    ),
    Published(
        "hela-screen",
        "Analyse HeLa fluorescence siRNA screen (GTN)",
        "`gaussian_filter`, `threshold_otsu`, `distance_transform_edt`, `peak_local_max`, `watershed`, `regionprops`",
        hela_screen,
    ),
    Published(
        "voronoi-cells",
        "Voronoi segmentation (GTN)",
        "`gaussian_filter`, `label`, `expand_labels`",
        voronoi_cells,
    ),
    Published(
        "nuclei-segmentation",
        "Introduction to image analysis (GTN): smooth, threshold, label, overlay",
        "`gaussian_filter`, `threshold_otsu`, `binary_fill_holes`, `label`",
        nuclei_segmentation,
    ),
    Published(
        "model-segmentation",
        "Run BioImage.IO models (GTN): inference, maps to objects, overlay",
        "bioimageio.core on the whole image, `label`, `watershed`",
        model_segmentation,
    ),
    Published("spots-2d", "2-D spot detection (GTN)", "`equalize_adapthist`, `blob_log`", spots_2d),
    Published(
        "convert-and-publish",
        "REMBI metadata (GTN), and conversion to OME-Zarr",
        "`tifffile.imread`, and what the TIFF says",
        convert_and_publish,
    ),
]
