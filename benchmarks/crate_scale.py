"""What a run crate costs, whatever the size of the data: entities, bytes, seconds.

    .venv/bin/python benchmarks/crate_scale.py

Two runs whose log was made up, line by line as workers write it; all that comes after the last block is the real code
that closes a run. One has 100 000 blocks. The other wrote a store of 1 GiB in 4096 objects, and its crate has the
manifest of the store, too. The hashes are in the log: the writer took them while the bytes were in memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from chunkwise.blocks.job import Workers
from chunkwise.blocks.journal import Entry
from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.crate import METADATA_FILE, build_crate
from chunkwise.provenance.record import Recorder
from chunkwise.provenance.validate import validate_crate
from chunkwise.storage.manifest import Manifest, manifest_name
from chunkwise.storage.writer import StoredObject

__all__ = ["closed_run", "figures", "store_objects"]

WORKERS = 100


def store_objects(count: int, size: int) -> list[StoredObject]:
    """Objects of a store, with hashes like those of real bytes."""
    digests = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(count))
    return [StoredObject(f"0/c/{number // 64}/{number % 64}", digest, size) for number, digest in enumerate(digests)]


def closed_run(folder: Path, objects: list[StoredObject]) -> Path:
    """Make up the log of a run that wrote one object a block, close the run, and return its crate."""
    edge = 64
    layout = {"shape": [edge * len(objects), edge, edge], "block": [edge] * 3}
    plan = Plan("measure", {"image": "made up"}, {"sigma": 1.0}, layout)
    run = Run.at(plan, str(folder / "run"), str(folder / "run" / "scratch"))
    run.begin(plan, str(folder / "none"))
    recorder = Recorder("measure", plan.parameters)
    recorder.input("image", "image", "/made/up/image.ome.zarr", size=2**30)
    mark = {"level": "full", "algorithm": "sha256-manifest", "value": Manifest.of(objects).digest}
    size = sum(item.size for item in objects)
    recorder.output("output", "labels", "/made/up/labels.ome.zarr", size=size, fingerprint=mark)
    workers, began = Workers(), 1.7e9
    os.makedirs(run.journal)
    for number in range(WORKERS):
        name = f"node{number:03d}-4711"
        lines = [
            Entry(plan.hash, "write", block, "done", (objects[block],), None, name, began + block, began + block + 0.5)
            for block in range(number, len(objects), WORKERS)
        ]
        Path(run.journal, f"{name}.jsonl").write_bytes(b"".join(entry.line() for entry in lines))
        workers.peak_rss_bytes[name], workers.cpu_seconds[name], workers.blocks[name] = 2**30, 3600.0, len(lines)
    crate = folder / "crate.zip"
    table, sums = run.table()
    named = {"table": "blocks-1.tsv.gz", "sha256": hashlib.sha256(table).hexdigest()}
    told = {"hash": plan.hash, **layout, "blocks": sums["total"]}
    record = recorder.finish(plan=told, blocks=sums | named, workers=workers.rows())
    build_crate([record], crate, attachments={"blocks-1.tsv.gz": table})
    return crate


def figures(crate: Path) -> tuple[int, int, int]:
    """Entities, bytes of the metadata, and bytes of a crate."""
    with zipfile.ZipFile(crate) as archive:
        metadata = archive.read(METADATA_FILE)
    return len(json.loads(metadata)["@graph"]), len(metadata), crate.stat().st_size


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for title, count, size in (("100 000 blocks", 100_000, 2**18), ("a store of 1 GiB", 4096, 2**18)):
        with tempfile.TemporaryDirectory() as place:
            objects = store_objects(count, size)
            made = closed_run(Path(place), objects)
            with zipfile.ZipFile(made) as archive:
                tables = {name: archive.read(name) for name in archive.namelist() if name.startswith("blocks-")}
            manifest = {manifest_name(1): Manifest.of(objects).to_bytes()} if count < 50_000 else {}
            crate, records = Path(place, "again.zip"), read_records(made)
            began = time.perf_counter()
            build_crate(records, crate, attachments=tables | manifest)
            built = time.perf_counter() - began
            began = time.perf_counter()
            issues = validate_crate(crate)
            judged = time.perf_counter() - began
            entities, metadata, whole = figures(crate)
            print(
                f"{title}: {entities} entities, {metadata / 1e3:.0f} kB of metadata, crate of {whole / 1e6:.2f} MB; "
                f"written in {built:.2f} s, judged in {judged:.1f} s, {len(issues)} issues"
            )
            if issues:
                sys.exit("\n".join(map(str, issues)))


if __name__ == "__main__":
    main()
