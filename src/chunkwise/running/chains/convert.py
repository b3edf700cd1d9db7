"""From any format to any other: files are seen as the store that they would be, and fetched from it."""

from __future__ import annotations

import sys
from dataclasses import replace

from chunkwise.errors import InputError
from chunkwise.formats import as_store
from chunkwise.ngff.beside import OME_XML, within
from chunkwise.ngff.model import Collection, Finding, Image
from chunkwise.ngff.read import open_image, open_store
from chunkwise.ngff.volumes import EVERY, Selection, select
from chunkwise.reference import OpenedInput, Reference, locate
from chunkwise.running.chains.convert_group import convert_group
from chunkwise.running.chains.convert_list import convert_list, is_list
from chunkwise.running.chains.fetch import bytes_of, copy_to_store, format_of
from chunkwise.running.life import check_files
from chunkwise.running.one_file import FILES, write_one_file
from chunkwise.running.request import Request, Result
from chunkwise.storage.foreign import foreign_store, forget_files
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location

__all__ = ["run"]

#: Bytes of voxels from which on they are compared only where that is asked for.
CHECKED_BELOW = 64 * 2**30


def run(request: Request) -> Result:
    """Convert an image, all images of a plate or a collection, or a list of stores.

    See :func:`chunkwise.running.run.run`.
    """
    given = request.inputs["image"]
    if isinstance(given, str) and is_list(given, request.site):
        return convert_list(request, given, _find, _convert_any)
    check_files(request)
    opened = _open(request)
    return _convert_any(replace(request, inputs={"image": opened}), opened)


def _convert_any(request: Request, opened: OpenedInput) -> Result:
    request.keep_outside(opened.location)
    if isinstance(opened.store, Image) or format_of(request.to) in FILES:
        return _convert(request, opened)
    return convert_group(request, opened, _convert)


def _convert(request: Request, opened: OpenedInput) -> Result:
    """Convert one image."""
    values = request.values
    if not isinstance(opened.store, Image):
        open_image(opened.location)  # which says why it is none
    selection = select(opened.image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
    form = format_of(request.to)
    if form in FILES:
        if values["check"] == "yes":
            raise InputError(
                "--check compares the voxels of an OME-Zarr; a file of another format cannot be checked; leave it out."
            )
        return write_one_file(request, opened, selection, form)
    foreign = opened.location.foreign is not None
    attached = foreign_store(opened.location).attached if foreign else _beside_collection(opened)
    part = selection.level != opened.image.levels[0] or any(values[name] for name in ("channel", "time", "region"))
    whole = None if foreign else not part
    check = _checked(request, selection)
    return copy_to_store(request, opened, selection, form, attached, check=check, whole=whole)


def _beside_collection(opened: OpenedInput) -> dict[str, bytes]:
    """The OME-XML of a collection whose only image is written."""
    if opened.location == opened.image.location:
        return {}
    content = read_key(within(opened.location), OME_XML)
    return {} if content is None else {OME_XML: content}


def _open(request: Request) -> OpenedInput:
    """Open what was named: a file of another format, or an OME-Zarr."""
    given = request.inputs["image"]
    if not isinstance(given, str):
        if _said(request):
            raise _needless(request)
        return given
    return _find(request, *locate(given, request.site))


def _find(request: Request, location: Location, reference: Reference | None = None) -> OpenedInput:
    """Open what lies at a place that the policy allows; a collection of one image stands for that image."""
    records = () if reference is None else reference.records
    found = as_store(location, _said(request))
    if found is not None:
        forget_files()  # of a set, any file may have changed since it was opened for another run
        file = foreign_store(found)
        file.check()
        for remark in file.remarks:
            print(f"chunkwise convert: remark: {remark}", file=sys.stderr)
        # What a validation says of documents that no file has is of no use; what the reader says is kept.
        findings = tuple(Finding("warning", "file", remark) for remark in file.remarks)
        return OpenedInput(found, replace(open_image(found), findings=findings), records, reference)
    if _said(request):
        raise _needless(request)
    store = open_store(location)
    if isinstance(store, Collection) and store.kind != "well" and len(store.series) < 2:
        store = open_image(location)
    return OpenedInput(location, store, records, reference)


def _needless(request: Request) -> InputError:
    name = next(iter(_said(request))).replace("_", "-")
    return InputError(f"--{name} is for files that are not OME-Zarr; an OME-Zarr says it itself.")


def _checked(request: Request, selection: Selection) -> bool:
    """Whether all voxels are compared in the end: as was said, else if it does not take long."""
    said = request.values["check"]
    return bytes_of(selection) < CHECKED_BELOW if said is None else said == "yes"


def _said(request: Request) -> dict[str, str]:
    """What the person says of the file because it does not."""
    values = request.values
    names = ("pattern", "series", "axes", "voxel_size", "unit", "name")
    said = {name: str(values[name]) for name in names if values[name] is not None}
    if "voxel_size" not in said and said["unit"] == request.operation.parameters["unit"].default:
        del said["unit"]
    if values["channel_name"]:
        said["channel_name"] = "\n".join(values["channel_name"])
    return said
