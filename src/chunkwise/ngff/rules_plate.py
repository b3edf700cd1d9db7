"""Rules of the OME-Zarr specifications 0.4 and 0.5 for plates, wells and bioformats2raw collections."""

from __future__ import annotations

import re
from typing import Any

from chunkwise.ngff.rules import Remarks, is_number

__all__ = ["check_bioformats2raw", "check_plate", "check_series", "check_well"]

NAME = re.compile(r"[A-Za-z0-9]+\Z", re.ASCII)
WELL_PATH = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9]+\Z", re.ASCII)


def check_plate(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``plate``."""
    plate = remarks.block(block, "plate", version)
    if plate is None:
        return
    remarks.text(plate, "name", "plate")
    remarks.integer(plate, "field_count", "plate", 1)
    remarks.recommends(plate, ["name"], "plate")
    remarks.own_version(plate, version, "plate")
    if "acquisitions" in plate:
        _check_acquisitions(remarks, plate["acquisitions"])
    rows = _check_names(remarks, plate, "rows")
    columns = _check_names(remarks, plate, "columns")
    if remarks.has(plate, "wells", "plate"):
        for well, where in remarks.entries(plate["wells"], "plate.wells", 1, distinct=True):
            _check_plate_well(remarks, well, where, rows, columns, version)


def _check_acquisitions(remarks: Remarks, acquisitions: Any) -> None:
    ids = []
    for entry, here in remarks.entries(acquisitions, "plate.acquisitions"):
        if remarks.has(entry, "id", here) and remarks.integer(entry, "id", here, 0):
            if entry["id"] in ids:
                remarks.error(f"{here}.id", f"is {entry['id']}, as in an earlier acquisition")
            ids.append(entry["id"])
        remarks.integer(entry, "maximumfieldcount", here, 1)
        remarks.integer(entry, "starttime", here, 0)
        remarks.integer(entry, "endtime", here, 0)
        remarks.text(entry, "name", here)
        remarks.text(entry, "description", here)
        remarks.recommends(entry, ["name", "maximumfieldcount"], here)


def _check_names(remarks: Remarks, plate: dict[str, Any], key: str) -> list[str] | None:
    """Check rows or columns; return their names, or None where they cannot be read."""
    where = f"plate.{key}"
    if not remarks.has(plate, key, "plate") or not remarks.is_list(plate[key], where, 1):
        return None
    remarks.distinct(plate[key], where)
    names: list[str] = []
    for index, entry in enumerate(plate[key]):
        here = f"{where}[{index}]"
        if not remarks.is_object(entry, here) or not remarks.has(entry, "name", here):
            return None
        name = entry["name"]
        if not isinstance(name, str) or not NAME.match(name):
            remarks.error(f"{here}.name", f"is {name!r} and has to consist of letters and digits")
            return None
        if name in names:
            remarks.error(f"{here}.name", f"is {name!r}, as in an earlier entry")
        names.append(name)
    return names


def _check_plate_well(
    remarks: Remarks, well: Any, where: str, rows: list[str] | None, columns: list[str] | None, version: str
) -> None:
    whole = [
        remarks.has(well, "path", where),
        *(
            remarks.has(well, key, where) and remarks.integer(well, key, where, 0)
            for key in ("rowIndex", "columnIndex")
        ),
    ]
    path = well.get("path")
    if "path" in well and (not isinstance(path, str) or not WELL_PATH.match(path)):
        remarks.error(f"{where}.path", f"is {path!r} and has to be a row's name, '/' and a column's name")
        return
    if rows is None or columns is None or not all(whole):
        return
    row, column = int(well["rowIndex"]), int(well["columnIndex"])
    if row >= len(rows) or column >= len(columns):
        remarks.error(where, f"points at row {row} and column {column} of {len(rows)} rows and {len(columns)} columns")
        return
    expected = f"{rows[row]}/{columns[column]}"
    if path == expected:
        return
    message = f"is {path!r}, but its row and column are {expected!r}"
    if version == "0.5":
        remarks.error(f"{where}.path", message)
    elif path != f"{columns[column]}/{rows[row]}":
        # The official test suite of 0.4 calls column/row valid, against the text of 0.4.
        remarks.warning(f"{where}.path", message)


def check_well(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``well``."""
    well = remarks.block(block, "well", version)
    if well is None:
        return
    remarks.own_version(well, version, "well")
    if not remarks.has(well, "images", "well"):
        return
    for entry, here in remarks.entries(well["images"], "well.images", 1, distinct=True):
        remarks.integer(entry, "acquisition", here)
        if remarks.has(entry, "path", here) and not (isinstance(entry["path"], str) and NAME.match(entry["path"])):
            remarks.error(f"{here}.path", f"is {entry['path']!r} and has to consist of letters and digits")


def check_bioformats2raw(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``bioformats2raw.layout``, the mark of a collection of numbered images."""
    key = "bioformats2raw.layout"
    if key not in block:
        if version == "0.5":
            remarks.error(key, "is missing")
    elif not is_number(block[key]) or block[key] != 3:
        remarks.error(key, f"is {block[key]!r} and has to be 3")


def check_series(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``series``, the list of images in the ``OME`` group of a collection."""
    if "series" not in block:
        if version == "0.5":
            remarks.error("series", "is missing")
    elif remarks.is_list(block["series"], "series"):
        for index, entry in enumerate(block["series"]):
            if not isinstance(entry, str) or not entry:
                remarks.error(f"series[{index}]", "has to be text")
