"""Make the test images of the Galaxy tools: ``python test-data/make.py`` writes them beside this file.

The photograph of coins comes with scikit-image and is a real picture; the cells are drawn, so that their
number is known. Everything is seeded: the same library versions give the same files. Each store is written
with zarr-python, not with chunkwise, so that a fault of ours cannot hide on both sides of a test.
"""

# scikit-image has no type hints.
# mypy: allow-untyped-calls

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import data, filters, measure
from zarr.codecs import ZstdCodec

HERE = Path(__file__).resolve().parent
KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
UNITS = {"time": "second", "space": "micrometer"}
SCALE = {"t": 60.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.5}
Array = NDArray[Any]


def axes_of(names: str) -> list[dict[str, str]]:
    """OME-Zarr axes, such as ``tczyx``."""
    axes = []
    for name in names:
        axis = {"name": name, "type": KINDS[name]}
        if KINDS[name] in UNITS:
            axis["unit"] = UNITS[KINDS[name]]
        axes.append(axis)
    return axes


def multiscale(name: str, names: str, levels: int) -> dict[str, Any]:
    """The multiscale metadata; every level halves y and x."""
    datasets = []
    for level in range(levels):
        scale = [SCALE[axis] * (2**level if axis in "yx" else 1) for axis in names]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    return {"name": name, "axes": axes_of(names), "datasets": datasets}


def write(
    name: str,
    pixels: Array,
    names: str,
    extra: dict[str, Any] | None = None,
    *,
    version: str = "0.5",
    levels: int = 1,
    beside: dict[str, Any] | None = None,
) -> None:
    """Write one OME-Zarr; ``extra`` goes beside the multiscale (omero, image-label), ``beside`` beside OME's block."""
    folder = HERE / f"{name}.ome.zarr"
    shutil.rmtree(folder, ignore_errors=True)
    form: Literal[2, 3] = 3 if version == "0.5" else 2
    group = zarr.open_group(str(folder), mode="w", zarr_format=form)
    block = multiscale(name, names, levels)
    if version == "0.5":
        group.attrs["ome"] = {
            "version": version,
            "multiscales": [block],
            **(extra or {}),
        }
        group.attrs.update(beside or {})
    else:
        group.attrs["multiscales"] = [{"version": version, **block}]
        for key, value in (extra or {}).items():
            group.attrs[key] = value
    for level in range(levels):
        part = pixels[..., :: 2**level, :: 2**level]
        chunks = tuple(1 if axis in "tc" else min(size, 64) for axis, size in zip(names, part.shape, strict=True))
        options: dict[str, Any] = {"chunks": chunks, "name": str(level)}
        if form == 3:
            options["dimension_names"] = list(names)
            options["compressors"] = [ZstdCodec(level=5)]
            # One shard an array: few files, as the tools' own output.
            whole = tuple(-(-size // chunk) * chunk for size, chunk in zip(part.shape, chunks, strict=True))
            options["shards"] = whole
        else:
            options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        array = group.create_array(shape=part.shape, dtype=part.dtype, **options)
        array[...] = part


def cells(count: int, seed: int) -> Array:
    """Draw bright balls on noise into 8 x 48 x 64 voxels, none touching another; uint16."""
    shape = (8, 48, 64)
    random = np.random.default_rng(seed)
    volume = np.zeros(shape)
    placed: list[NDArray[np.int64]] = []
    while len(placed) < count:
        centre = random.integers((2, 6, 6), (6, 42, 58))
        if all(np.hypot(*(centre - other)[1:]) > 14 for other in placed):
            placed.append(centre)
            z, y, x = np.ogrid[:8, :48, :64]
            distance = ((z - centre[0]) / 2.0) ** 2 + ((y - centre[1]) / 5.0) ** 2 + ((x - centre[2]) / 5.0) ** 2
            volume[distance <= 1] = 1000 + 200 * len(placed)
    noisy = ndimage.gaussian_filter(volume, 0.7) + random.normal(200, 20, shape)
    return noisy.clip(0, 65535).astype(np.uint16)


def discs() -> Array:
    """Label 14 discs that touch, in 96 x 96 pixels; one more lies alone in a corner."""
    y, x = np.indices((96, 96))
    labels, middles = np.zeros((96, 96), int), [(20 + 17 * i, 20 + 16 * j) for i in range(4) for j in range(4)][:14]
    distance = np.stack([np.hypot(y - a, x - b) for a, b in [*middles, (88, 88)]])
    labels = np.where(distance.min(axis=0) < 9, distance.argmin(axis=0) + 1, 0)
    return np.where((labels == 15) & (distance[14] > 5), 0, labels)


def perfect_maps(labels: Array) -> dict[str, Array]:
    """What a perfect model would say of objects: foreground, boundary, distance, flows, cell probability."""
    lowest, highest = ndimage.minimum_filter(labels, 3), ndimage.maximum_filter(labels, 3)
    distance, flows = np.zeros(labels.shape), np.zeros((2, *labels.shape))
    for number in np.unique(labels[labels > 0]):
        depth = ndimage.distance_transform_edt(labels == number)
        distance += depth / depth.max()
        inside = np.argwhere(labels == number)
        away = np.round(inside.mean(axis=0)) - inside
        flows[(slice(None), *inside.T)] = (5 * away / np.maximum(np.linalg.norm(away, axis=1), 1)[:, np.newaxis]).T
    return {
        "foreground": ndimage.gaussian_filter((labels > 0) * 1.0, 0.5),
        "boundary": ndimage.gaussian_filter((highest != lowest) * 1.0, 0.5),
        "distance": distance,
        "flow_y": flows[0],
        "flow_x": flows[1],
        "probability": np.where(labels > 0, 4.0, -4.0),
    }


def perfect_rays(labels: Array, count: int) -> dict[str, Array]:
    """The same for StarDist: how far inside a pixel lies, and the way to the edge along each ray."""
    y, x = np.indices(labels.shape)
    rays = np.zeros((count, *labels.shape))
    for k, angle in enumerate(2 * np.pi * np.arange(count) / count):
        going = labels > 0
        for step in np.arange(0.5, 30, 0.5):
            at = [np.rint(y + step * np.sin(angle)).astype(int), np.rint(x + step * np.cos(angle)).astype(int)]
            row, column = (np.clip(places, 0, size - 1) for places, size in zip(at, labels.shape, strict=True))
            going &= (labels[row, column] == labels) & (row == at[0]) & (column == at[1])
            rays[k][going] = step
    nearest = rays.min(axis=0)
    chance = np.where(labels > 0, 0.4 + 0.6 * nearest / nearest.max(), 0)
    return {"probability": chance, **{f"ray {k}": rays[k] for k in range(count)}}


def write_maps() -> None:
    """Write maps of 15 discs: those that most methods need, with what a model says of them, and those of StarDist."""
    says = {
        "method": "foreground-boundary",
        "channels": {"foreground": 0, "boundary": 1},
        "parameters": {"threshold": 0.5, "seed_threshold": 0.4, "min_size": 5},
    }
    beside = {"chunkwise": {"objects": says, "model": {"id": "perfect", "sha256": "0" * 64}}}
    for name, maps, more in (
        ("discs_maps", perfect_maps(discs()), beside),
        ("discs_stars", perfect_rays(discs(), 16), {}),
    ):
        omero = {"channels": [channel(label, "FFFFFF", 1) for label in maps]}
        write(name, np.stack(list(maps.values())).astype(np.float16), "cyx", {"omero": omero}, beside=more)


def channel(label: str, color: str, end: int) -> dict[str, Any]:
    """One channel of the omero block."""
    window = {"min": 0, "max": 65535, "start": 100, "end": end}
    return {"label": label, "color": color, "window": window, "active": True}


def resource(name: str, kind: str, file: str, number: int) -> dict[str, Any]:
    """One input or output of a run record; the same number is the same data."""
    identity = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    media = {"table": "text/tab-separated-values"}.get(kind, "application/vnd.zarr")
    known = {"size": 1000 + number, "modified": "2026-01-02T03:04:05+00:00"}
    return {
        "name": name,
        "kind": kind,
        "location": f"/data/{file}",
        "identity": identity,
        "media_type": media,
        **known,
    }


def write_records() -> None:
    """Write two run records that hang together: segment made the labels that measure read."""
    image = resource("image", "image", "coins_2d.ome.zarr", 1)
    labels = resource("output", "labels", "labels.ome.zarr", 2)
    table = resource("output", "table", "objects.tsv", 3)
    runs: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
        (
            "segment",
            {"sigma": 1.0, "threshold": "otsu", "fill_holes": True},
            [image],
            [labels],
        ),
        ("measure", {"properties": []}, [{**labels, "name": "labels"}, image], [table]),
    ]
    for number, (command, parameters, inputs, outputs) in enumerate(runs, start=1):
        record = {
            "chunkwise_record": 1,
            "id": f"urn:uuid:00000000-0000-4000-9000-{number:012d}",
            "command": command,
            "parameters": parameters,
            "inputs": inputs,
            "outputs": outputs,
            "software": {
                "chunkwise": "0.1.0",
                "python": "3.11.2",
                "scikit-image": "0.26.0",
            },
            "start": f"2026-01-02T03:0{number}:00+00:00",
            "end": f"2026-01-02T03:0{number}:30+00:00",
            "status": "completed",
            "results": {"objects": 22},
        }
        (HERE / f"{command}_record.json").write_text(json.dumps(record, indent=2) + "\n")
        pack_record(command, record)
    (HERE / "other.json").write_text('{"neither": "a reference nor a record"}\n')


def pack_record(command: str, record: dict[str, Any]) -> None:
    """Write the crate of a single run, as the tools hand it to their users."""
    from chunkwise.provenance.crate import build_crate
    from chunkwise.provenance.record import RunRecord

    crate = HERE / f"{command}.crate.zip"
    crate.unlink(missing_ok=True)
    build_crate([RunRecord.from_dict(record)], crate)


def write_crate(name: str) -> None:
    """Write a crate that says by what a label image is recognised; every sum is taken here, of the files."""
    from chunkwise.provenance.crate import build_crate
    from chunkwise.provenance.record import RunRecord

    folder = HERE / f"{name}.ome.zarr"
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    sums = {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in files}
    root = hashlib.sha256("".join(f"{sums[key]}  {key}\n" for key, _ in files).encode()).hexdigest()
    lines = "".join(f"{sums[key]}\t{path.stat().st_size}\t{key}\n" for key, path in files)
    manifest = gzip.compress(lines.encode(), mtime=0)
    record = json.loads((HERE / "segment_record.json").read_text())
    record["inputs"] = []
    output = record["outputs"][0] | {"location": f"/data/{name}.ome.zarr"}
    record["outputs"] = [output | {"fingerprint": {"level": "full", "algorithm": "sha256-manifest", "value": root}}]
    crate = HERE / f"{name}.crate.zip"
    crate.unlink(missing_ok=True)
    build_crate([RunRecord.from_dict(record)], crate, attachments={"manifest-1.tsv.gz": manifest})


def pack(name: str) -> None:
    """Put a store into a zip file, deflated, as other programs do."""
    store = HERE / f"{name}.ome.zarr"
    with zipfile.ZipFile(HERE / f"{name}.ome.zarr.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in store.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(store).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def write_files(coins: Array, nuclei: Array, other: Array) -> None:
    """Write images in other formats: what microscopes and other programs write."""
    tifffile.imwrite(HERE / "coins_2d.tif", coins, compression="zlib", software="")
    Image.fromarray(coins).save(HERE / "coins_2d.png", optimize=True)
    known = {
        "axes": "TCZYX",
        "Name": "cells",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 1.0,
        "Channel": {"Name": ["DAPI", "GFP"], "Color": [65535, 16711935]},
        "UUID": "00000000-0000-0000-0000-000000000001",
    }
    cells = np.stack([nuclei, other], axis=1)
    tifffile.imwrite(HERE / "cells_tczyx.ome.tif", cells, metadata=known, tile=(32, 32), compression="zlib")
    tifffile.imwrite(HERE / "planes.tif", nuclei[0], photometric="minisblack", compression="zlib", metadata=None)


def write_shapes(labels: Array) -> None:
    """The coins as a table of circles, and other shapes as QuPath would write them."""
    rows = ["x\ty\tradius"]
    for one in measure.regionprops(labels):
        y, x = one.centroid
        rows.append(f"{x:.2f}\t{y:.2f}\t{np.sqrt(one.area / np.pi):.2f}")
    (HERE / "coins_2d_points.tsv").write_text("\n".join(rows) + "\n")
    ring = [[[30.5, 20], [170.25, 35.5], [120, 140], [25, 90.75], [30.5, 20]]]
    hole = [[[60, 50], [110, 55], [90, 90], [60, 50]]]
    shapes: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("Polygon", ring + hole, {"name": "field", "objectType": "annotation"}),
        ("Point", [250, 80.4], {"radius": 40.5}),
        ("Polygon", [[[200, 100], [380, 100], [380, 290], [200, 290]]], {"name": "7"}),
        ("Point", [300, 200], {}),
    ]
    features = [
        {"type": "Feature", "geometry": {"type": kind, "coordinates": places}, "properties": properties}
        for kind, places, properties in shapes
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features}, indent=1)
    (HERE / "coins_2d_shapes.geojson").write_text(content + "\n")


def main() -> None:
    """Write every store and record."""
    write_records()
    write_maps()
    coins = data.coins()
    write("coins_2d", coins, "yx", levels=2)

    smooth = ndimage.gaussian_filter(coins, 1)
    mask = ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    objects = measure.label(mask, connectivity=2)
    sizes = np.bincount(objects.ravel())
    keep = np.flatnonzero(sizes >= 50)[1:]
    labels = np.zeros_like(objects, dtype=np.uint32)
    for number, old in enumerate(keep, start=1):
        labels[objects == old] = number
    write(
        "coins_2d_labels",
        labels,
        "yx",
        {"image-label": {"source": {"image": "../../"}}},
        levels=2,
    )

    write_crate("coins_2d_labels")
    # In which row of coins each lies.
    rows = [
        (number, 0, 1 + int(y) * 4 // len(labels))
        for number, (y, _) in enumerate(ndimage.center_of_mass(mask, labels, range(1, len(keep) + 1)), start=1)
    ]
    lines = ["\t".join(map(str, row)) for row in (("label", "t", "parent"), *rows)]
    (HERE / "coins_2d_rows.tsv").write_text("\n".join(lines) + "\n")
    write_shapes(labels)

    # What the threshold alone gives: with holes, specks, and coins that touch.
    write("coins_2d_mask", coins > filters.threshold_otsu(coins), "yx")

    # Another's opinion on the coins: one overlooked, one in two halves, two as one, one that is none, the rest smaller.
    other = np.zeros_like(labels)
    for number in range(2, len(keep) + 1):
        other[ndimage.binary_erosion(labels == number)] = number + 100
    middle = int(ndimage.center_of_mass(labels == 5)[0])
    other[middle:][other[middle:] == 105] = 200
    other[other == 111] = 110
    other[-8:-2, 2:20] = 300
    write("coins_2d_predicted", other, "yx", {"image-label": {"source": {"image": "../../"}}}, levels=2)

    nuclei = np.stack([cells(5, seed=1), cells(6, seed=2)])
    other = np.stack([cells(3, seed=3), cells(3, seed=4)])
    omero = {"channels": [channel("DAPI", "0000FF", 2500), channel("GFP", "00FF00", 2000)]}
    write("cells_tczyx", np.stack([nuclei, other], axis=1), "tczyx", {"omero": omero})
    # A piece of a slide: haematoxylin and DAB.
    colours = [channel(label, color, 255) for label, color in (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))]
    for one in colours:
        one["window"] |= {"start": 0, "max": 255}
    tissue = np.ascontiguousarray(np.moveaxis(data.immunohistochemistry()[200:328, 100:228], -1, 0))
    write("tissue_rgb", tissue, "cyx", {"omero": {"channels": colours}})
    slide = np.moveaxis(tissue, 0, -1)
    tifffile.imwrite(HERE / "tissue_rgb.tif", slide, photometric="rgb", compression="zlib", software="")
    write("cells_zyx_v04", nuclei[0], "zyx", version="0.4", levels=2)
    pack("cells_zyx_v04")

    write_files(coins, nuclei, other)

    plain = HERE / "plain.zarr"
    shutil.rmtree(plain, ignore_errors=True)
    group = zarr.open_group(str(plain), mode="w", zarr_format=3)
    group.create_array(name="numbers", data=np.arange(16, dtype=np.int32))

    for name, pixels in {
        "coins_2d": coins,
        "cells_zyx_v04": nuclei[0],
        "t1": nuclei[1],
    }.items():
        smooth = ndimage.gaussian_filter(pixels, 1)
        found = measure.label(smooth > filters.threshold_otsu(smooth))
        print(f"{name}: {found.max()} objects with the defaults")
    print(f"coins_2d_labels: {labels.max()} objects")


if __name__ == "__main__":
    main()
