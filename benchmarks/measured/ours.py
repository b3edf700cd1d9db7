"""What is measured of chunkwise's own parts; each function runs in a fresh process and prints a line of JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

import numpy as np

#: Labels of a block, about, of a dense image.
BLOCK_LABELS = 20_000


def count(array: str) -> dict[str, Any]:
    """Count the distinct labels of an array, whatever their numbers; background apart."""
    import zarr

    labels: Any = zarr.open_array(array, mode="r")
    step = labels.shards[0] if labels.shards else labels.chunks[0]
    found = np.zeros(0, np.uint64)
    for start in range(0, labels.shape[0], step):
        slab = labels[start : start + step].ravel()
        # Only where a run of one label begins: far fewer values to sort.
        begins = np.concatenate(([True], slab[1:] != slab[:-1]))
        found = np.union1d(found, slab[begins].astype(np.uint64))
    return {"objects": int(np.count_nonzero(found))}


def mosaic(source: str, target: str) -> dict[str, Any]:
    """Write the first channel of a plate's well as a plain 2-D image, mirrored on and on until it is large."""
    import zarr

    folder = next(
        os.path.dirname(os.path.join(path, "x"))
        for path, _, files in os.walk(source)
        for name in (".zattrs", "zarr.json")
        if name in files and b"multiscales" in _bytes(os.path.join(path, name))
    )
    attributes: Any = zarr.open_group(folder, mode="r").attrs.asdict()
    level = attributes.get("ome", attributes)["multiscales"][0]["datasets"][0]
    array: Any = zarr.open_array(os.path.join(folder, level["path"]), mode="r")
    data = array[0].squeeze()
    times = int(np.ceil((2**26 / data.size) ** 0.5))
    data = np.pad(data, [(0, n * (times - 1)) for n in data.shape], mode="symmetric")
    group = zarr.open_group(target, mode="w-", zarr_format=3)
    transformation = {"type": "scale", "scale": level["coordinateTransformations"][0]["scale"][-2:]}
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"],
                "datasets": [{"path": "0", "coordinateTransformations": [transformation]}],
            }
        ],
    }
    made: Any = group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=(512, 512))
    made[:] = data
    return {"shape": list(data.shape)}


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def level_zero(image: str, output: str) -> dict[str, Any]:
    """Write the full level of a store, sharded, without a pyramid: what :func:`pyramid` begins with."""
    from itertools import product

    from chunkwise.storage.arrays import open_array
    from chunkwise.storage.location import Location
    from chunkwise.storage.writer import json_bytes, put_object, write_box

    source, made = open_array(Location(f"{image}/0")), _output(image)
    layout = made.layout(0)
    put_object(output, "0/zarr.json", json_bytes(layout.document()))
    for index in product(*[range(-(-n // s)) for n, s in zip(layout.shape, layout.shards, strict=True)]):
        box = tuple(
            slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(index, layout.shards, layout.shape, strict=True)
        )
        write_box(output, "0", layout, box, source.read(box))
    return {"levels": made.n_levels}


def _output(image: str) -> Any:
    from chunkwise.ngff.layout import OutputImage
    from chunkwise.ngff.read import open_image
    from chunkwise.storage.location import Location

    opened = open_image(Location(image))
    level = opened.levels[0]
    return OutputImage(
        name="pyramid",
        axes=opened.axes,
        shape=level.shape,
        dtype=level.dtype,
        scale=level.scale,
        translation=(0.0,) * len(level.shape),
        labels=False,
        downsampling="mean",
    )


def factors(image: str) -> list[dict[str, int]]:
    """Of each level below the full one that chunkwise writes, the factors of its axes."""
    made = _output(image)
    found, factor, shape = [], dict.fromkeys("zyx", 1), made.volume_shape(0)
    for level in range(1, made.n_levels):
        factor = {axis: factor[axis] * step for axis, step in zip("zyx", made.factors(shape), strict=True)}
        shape = made.volume_shape(level)
        found.append(factor)
    return found


def _run(folder: str, store: str) -> Any:
    from chunkwise.blocks.plan import Plan
    from chunkwise.blocks.run import Run

    plan = Plan("bench", {}, {"folder": folder}, {})
    run = Run.at(plan, folder, store)
    run.begin(plan, os.path.join(folder, "none"))
    return run


def _bare_run(folder: str, store: str) -> Any:
    """A run on a store that is there already."""
    from chunkwise.blocks.run import Run
    from chunkwise.storage.location import Location

    os.makedirs(folder)
    return Run(folder, Location(store), "bench")


def pyramid(image: str, store: str, workers: str) -> dict[str, Any]:
    """Write the levels below the full one."""
    from chunkwise.blocks.job import Job
    from chunkwise.cluster.local import open_local
    from chunkwise.cluster.resources import Resources
    from chunkwise.ngff.layout import write_documents
    from chunkwise.ngff.pyramid import write_pyramid

    output = _output(image)
    # As a command does it: an image of few shards gets few workers.
    shards = int(np.prod([-(-n // s) for n, s in zip(output.shape, output.layout(0).shards, strict=True)]))
    with tempfile.TemporaryDirectory() as folder:
        run = _bare_run(os.path.join(folder, "run"), store)
        with open_local(Resources(int(workers), 2**30), shards) as executor:
            write_pyramid(output, Job(executor, run))
    write_documents(store, output)
    return {"levels": output.n_levels}


def read_ours(image: str) -> dict[str, Any]:
    """Read every chunk with chunkwise's reader."""
    from itertools import product

    from chunkwise.storage.arrays import open_array
    from chunkwise.storage.location import Location

    array = open_array(Location(f"{image}/0"))
    total = size = 0
    for index in product(*[range(-(-n // c)) for n, c in zip(array.shape, array.chunks, strict=True)]):
        box = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, array.chunks, array.shape, strict=True))
        chunk = array.read(box)
        total += int(chunk.flat[0])
        size += chunk.nbytes
    return {"MiB": size >> 20, "first voxels": total}


def floor(image: str, labels: str, output: str) -> dict[str, Any]:
    """Decode an image once, pass over its voxels once, encode and write the labels once; nothing else.

    What no program that reads the image and writes the labels can go below, on one thread, with these codecs.
    """
    from itertools import product

    from chunkwise.storage.arrays import open_array
    from chunkwise.storage.location import Location
    from chunkwise.storage.writer import ArrayLayout, encode_shard, put_object

    source, made = open_array(Location(f"{image}/0")), open_array(Location(f"{labels}/0"))
    with open(f"{labels}/0/zarr.json", encoding="utf-8") as file:
        document = json.load(file)
    shards = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
    axes = tuple(document["dimension_names"])
    layout = ArrayLayout(made.shape, made.dtype.name, made.chunks, shards, axes)
    spent = {"decode": 0.0, "pass": 0.0, "encode": 0.0}
    over = 0
    for index in product(*[range(-(-n // s)) for n, s in zip(made.shape, shards, strict=True)]):
        box = tuple(slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(index, shards, made.shape, strict=True))
        begin = time.process_time()
        voxels = source.read(box)
        decoded = time.process_time()
        over += int(np.count_nonzero(voxels > 4000))
        passed = time.process_time()
        data = made.read(box)
        read = time.process_time()
        content = encode_shard(layout, data)
        if content is not None:
            put_object(output, f"0/c/{'/'.join(map(str, index))}", content)
        written = time.process_time()
        spent["decode"] += decoded - begin
        spent["pass"] += passed - decoded
        spent["encode"] += written - read
    return {name: round(seconds, 3) for name, seconds in spent.items()} | {
        "floor": round(sum(spent.values()), 3),
        "over": over,
    }


def nothing(_context: object, _block: int) -> Any:
    """A kernel that does nothing."""
    from chunkwise.blocks.passes import BlockResult

    return BlockResult()


def blocks(number: str, workers: str) -> dict[str, Any]:
    """A pass over so many blocks with a kernel that does nothing."""
    # Workers import this file by its name.
    from ours import nothing as kernel

    from chunkwise.blocks.job import Job
    from chunkwise.blocks.passes import map_pass
    from chunkwise.cluster.local import open_local
    from chunkwise.cluster.resources import Resources

    with tempfile.TemporaryDirectory() as folder:
        run = _run(os.path.join(folder, "run"), os.path.join(folder, "store"))
        # Started workers are no part of the time of the pass.
        with open_local(Resources(int(workers), 2**30), int(number)) as executor:
            begin = time.monotonic()
            map_pass(Job(executor, run), "nothing", kernel, None, int(number))
            spent = time.monotonic() - begin
        journal = sum(
            os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(run.journal) for name in names
        )
        plan = os.path.getsize(os.path.join(run.folder, "plan.json"))
        begin = time.monotonic()
        done, _ = run.done("nothing", int(number))
        reading = time.monotonic() - begin
    assert done.all()
    return {
        "blocks": len(done),
        "pass_s": round(spent, 2),
        "us_a_block": round(spent / len(done) * 1e6, 1),
        "read_journal_s": round(reading, 2),
        "journal_MiB": round(journal / 2**20, 1),
        "plan_bytes": plan,
        "driver_peak_MiB": _peak() >> 20,
    }


def merge(number: str) -> dict[str, Any]:
    """Join and number so many provisional labels, one in eight joined to a later one; a block's worth at a time."""
    from chunkwise.blocks.merge import Components

    n = int(number)
    with tempfile.TemporaryDirectory(dir=".bench" if os.path.isdir(".bench") else None) as folder:
        # Compiled before it is measured: the kernels are cached.
        small = Components(folder, 2)
        small.describe(0, np.ones(2, np.int64), np.arange(2))
        small.join(np.array([[1, 2]]))
        small.number(np.array([0, 2]), 0, f"{folder}/table.npy")
        rng = np.random.default_rng(1)
        given = _peak()
        begin = time.process_time()
        components = Components(folder, n)
        pairs = 0
        for start in range(0, n, BLOCK_LABELS):
            stop = min(start + BLOCK_LABELS, n)
            components.describe(start, rng.integers(1, 5000, stop - start), np.arange(start, stop) * 7)
            first = rng.integers(start + 1, stop + 1, (stop - start) // 8)
            touching = np.stack([first, np.minimum(first + rng.integers(1, 5000, len(first)), n)], axis=1)
            components.join(touching)
            pairs += len(touching)
        counts = components.number(np.array([0, n]), 0, f"{folder}/table.npy")
        spent = time.process_time() - begin
        return {
            "labels": n,
            "pairs": pairs,
            "objects": counts[0],
            "merge_cpu_s": round(spent, 2),
            "ns_a_label": round(spent / n * 1e9, 1),
            "given_MiB": given >> 20,
            "own_memory_MiB": _own() >> 20,
            "peak_MiB": _peak() >> 20,
        }


def _own() -> int:
    """Memory that is no file's: what the system cannot take back by writing it to its file."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon:"))


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
