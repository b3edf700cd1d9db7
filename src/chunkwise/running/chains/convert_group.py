"""A plate, a well or a collection, written anew: a run for each image, and a name for the result when all are there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.ngff.beside import within
from chunkwise.ngff.hierarchy import Hierarchy
from chunkwise.ngff.model import Collection, Plate
from chunkwise.ngff.read import open_image, open_store
from chunkwise.provenance.carried import carried_by
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput, describe, kind_of, metadata_paths
from chunkwise.running.beside import tell_left
from chunkwise.running.life import earlier_records, write_lacking, write_reports
from chunkwise.running.many import One, Outcome, Ready, do_each, failures, listed
from chunkwise.running.outputs import beside
from chunkwise.running.request import Destination, Request, Result
from chunkwise.running.unchanged import notes_of
from chunkwise.storage.fingerprint import ALGORITHM, fingerprint
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import ZIP_NAMES, Location, resolve
from chunkwise.storage.manifest import ATTACHED, FILE_NAME, Manifest, manifest_name
from chunkwise.storage.objects import is_about
from chunkwise.storage.writer import StoredObject, put_object

__all__ = ["convert_group"]

#: Of the images' own runs, in the run directory.
RUNS = os.path.join("scratch", "images")


def convert_group(request: Request, opened: OpenedInput, convert: Callable[[Request, OpenedInput], Result]) -> Result:
    """Convert every image of a plate, a well or a collection, into one of the same layout.

    Parameters
    ----------
    request : Request
        What was asked for.
    opened : OpenedInput
        The plate, well or collection.
    convert : callable
        Converts one image.

    Raises
    ------
    InputError
        If the result cannot be written where it is asked for.
    ResumableError
        If images failed: after all others are done, which are kept.
    """
    store = opened.store
    assert isinstance(store, Plate | Collection)
    kind, what = kind_of(store), "collection" if isinstance(store, Collection) else "plate"
    place, run_dir = _place(request, store, what)
    hierarchy = Hierarchy.of(store)
    if not hierarchy.images:
        raise InputError(f"{store.location.address} has no image that can be written anew.")
    known = fingerprint(store.location, "none", metadata_paths(store))
    recorded = request.recorded()
    plan = Plan(
        "convert",
        {"image": {"group": store.location.address, "fingerprint": known}},
        {name: value for name, value in recorded.items() if name not in ("workers", "memory", "block", "check")},
        {"images": list(hierarchy.images), "beside": hierarchy.state},
    )
    write_lacking(request, plan.hash, earlier_records(opened.records))
    recorder = Recorder("convert", recorded)
    remarks = [finding.line for finding in store.findings]
    about = describe(store) | ({"remarks": remarks} if remarks else {}) | carried_by(store.location)
    recorder.input("image", kind, store.location, fingerprint=known, description=about)
    run = Run.at(plan, run_dir, beside(place.address, ".partial", request.site))
    with run.locked(place.address):
        run.begin(plan, place.address)
        many = [_one(request, store, run, path) for path in hierarchy.images]
        done = list(do_each(request, many, convert))
        failed = failures(done, "images")
        if failed:
            raise ResumableError(
                f"{failed}. The others are done and kept in {run.store.address}: fix the cause and run the same "
                "command again to resume."
            )
        left = [*hierarchy.left]
        objects = _objects(run, hierarchy.images) + _copy(store.location, hierarchy.files, run, left)
        objects += [put_object(run.store, key, content) for key, content in hierarchy.documents.items()]
        if fingerprint(store.location, "none", metadata_paths(store)) != known:
            raise ResumableError(f"{store.location.address} changed while it was read; run the same command again.")
        # Their own directories go when the run is finished.
        noted_of = {path: notes_of(_folder(run, path)) for path in hierarchy.images}
        run.note_inputs({"chunkwise_inputs": 1, "images": noted_of})
        run.finish(place.address, len(objects))
    _summed(recorder, done, len(hierarchy.files), left)
    told = tell_left(recorder, left)
    made = open_store(resolve(place.address, request.site, write=True))
    manifest = Manifest.of(objects)
    mark = {"level": "full", "algorithm": ALGORITHM, "value": manifest.digest}
    recorder.output("output", kind, place, fingerprint=mark, size=manifest.size, description=describe(made))
    earlier = earlier_records(opened.records)
    listed, name = manifest.to_bytes(), manifest_name(len(earlier) + 1)
    put_object(run.folder, FILE_NAME, listed)
    noted = {"manifest": name, "manifest_sha256": hashlib.sha256(listed).hexdigest()}
    record = recorder.finish(plan={"hash": plan.hash}, blocks=noted)
    run.close(record.to_dict())
    attached = {name: listed} if len(listed) <= ATTACHED else {}
    reference = write_reports(request.to, record, earlier, kind, attached)
    return Result(reference, (f"{len(done)} images of a {what} in {place.address}", *told), place)


def _place(request: Request, store: Plate | Collection, what: str) -> tuple[Location, str]:
    """Where the result goes, and the run's own files."""
    to = request.to
    if request.plan:
        raise InputError(f"--plan is for one image, and {store.location.address} is a {what}; give one of its images.")
    name = (to.output or "").lower()
    if not to.output or to.format == "ozx" or name.endswith(ZIP_NAMES) or "://" in name:
        raise InputError(
            f"{store.location.address} is a {what}, which is written as a folder; give a path with --output."
        )
    place = resolve(to.output, request.site, write=True)
    folder = os.path.dirname(place.address)
    if not os.path.isdir(folder):
        raise InputError(f"The folder {folder} does not exist; make it first.")
    return place, to.run_dir or beside(place.address, ".run", request.site)


def _one(request: Request, store: Plate | Collection, run: Run, path: str) -> One:
    """An image, which is a whole store of its own until the plate has its name."""

    def prepare() -> Ready:
        image = open_image(store.location.child(path))
        place = resolve(os.path.join(run.store.address, path), request.site, write=True)
        os.makedirs(os.path.dirname(place.address), exist_ok=True)
        folder = _folder(run, path)
        to = Destination(output=place.address, run_dir=folder, shard=request.to.shard)
        return Ready(OpenedInput(image.location, image), to, place, folder, part=True)

    return One(path, path, prepare)


def _objects(run: Run, images: tuple[str, ...]) -> list[StoredObject]:
    """The objects of all images, from the manifests of their runs."""
    found = []
    for path in images:
        found += [replace(item, key=f"{path}/{item.key}") for item in listed(_folder(run, path))]
    return found


def _folder(run: Run, path: str) -> str:
    """Of the run of one image."""
    return os.path.join(run.folder, RUNS, hashlib.sha256(path.encode()).hexdigest()[:16])


def _copy(source: Location, files: tuple[str, ...], run: Run, left: list[str]) -> list[StoredObject]:
    """Copy files that belong to no image; they are few."""
    found = []
    for key in files:
        try:
            content = read_key(within(source), key)
        except (InputError, PolicyError) as error:
            left.append(str(error))
            continue
        if content is not None:
            written = put_object(run.store, key, content)
            found += [] if is_about(key) else [written]
    return found


def _summed(recorder: Recorder, done: list[Outcome], files: int, left: list[str]) -> None:
    """Note what the records of all images say together."""
    results = [(one.one.name, one.record.results) for one in done if one.record is not None]
    compared: list[Any] = [said["compared"] for _, said in results if "compared" in said]
    recorder.result("images", len(done))
    if compared:
        total = {name: sum(one[name] for one in compared) for name in ("voxels", "blocks", "different")}
        recorder.result("compared", total | {"images": len(compared)})
    carried: list[Any] = [said["carried"] for _, said in results if "carried" in said]
    labels = sum(len(one["labels"]) for one in carried)
    recorder.result("carried", {"label_images": labels, "files": files + sum(one["files"] for one in carried)})
    for name, said in results:
        sentences: Any = said.get("left_behind", [])
        left += [f"{name}: {sentence}" for sentence in sentences]
