"""What lies below a plate, a well, a collection or an image: fields, images, labels.

One damaged part does not stop the whole: it counts as absent, and a finding says so.
"""

from __future__ import annotations

from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.lenient import ABSENT, broken, settle
from chunkwise.ngff.model import Collection, Finding, Plate, Well, bare_name
from chunkwise.ngff.zarr_json import Node, read_node
from chunkwise.storage.location import Location

__all__ = ["label_names", "open_collection", "open_plate", "open_well"]


def label_names(location: Location, image: dict[str, Any], findings: list[Finding]) -> tuple[str, ...]:
    """List the label images below an image; what is damaged of the list is a remark, for the image itself is whole.

    Parameters
    ----------
    location : Location
        Of the image.
    image : dict
        Its metadata: iohub puts the list there, and none into the group of the labels.
    findings : list of Finding
        Remarks are added to it.

    Raises
    ------
    PolicyError
        If a name leads to where the policy does not allow.
    """
    try:
        node = read_node(location.child("labels"))
        if node is None or node.array is not None:
            return ()
        version, attributes, beside = _version_of(node), node.attributes, image.get("labels")
        if not attributes and isinstance(beside, dict):
            attributes = beside if version == "0.4" else {"ome": {"version": version, **beside}}
            problem = "does not belong to an image: the list of labels has to be in their group"
            findings.append(Finding("deviation", "labels", problem, "it is used, because the group has none"))
        block, remarks = settle(node.location, attributes, "labels", version)
    except InputError as error:
        findings.append(Finding("warning", "labels", f"is not used: {_sentence(error)}"))
        return ()
    findings += [remark.within("labels") for remark in remarks]
    # The policy speaks before anybody relies on the names.
    return _present(node.location, block["labels"], "labels", "label image", findings)


def open_plate(node: Node, version: str) -> Plate:
    """Open a plate: its wells, and the fields of each.

    Raises
    ------
    InputError
        If its metadata break the specification, so that nobody knows what it holds.
    PolicyError
        If a well leads to where the policy does not allow.
    """
    location = node.location
    block, findings = settle(location, node.attributes, "plate", version)
    plate = block["plate"]
    rows = tuple(row["name"] for row in plate["rows"])
    columns = tuple(column["name"] for column in plate["columns"])
    wells = []
    for entry in plate["wells"]:
        row, column = rows[int(entry["rowIndex"])], columns[int(entry["columnIndex"])]
        wells.append(Well(entry["path"], row, column, _fields_of_well(location, entry["path"], findings)))
    name = plate.get("name") or bare_name(location)
    return Plate(location, version, name, rows, columns, tuple(wells), tuple(findings))


def open_well(node: Node, version: str) -> Collection:
    """Open one well of a plate: its fields.

    Raises
    ------
    InputError
        If its metadata break the specification.
    """
    findings: list[Finding] = []
    fields = _fields(node, version, findings)
    return Collection(
        node.location,
        version,
        _present(node.location, fields, "well.images", "field", findings),
        tuple(findings),
        "well",
    )


def _fields(node: Node, version: str, findings: list[Finding]) -> tuple[str, ...]:
    block, remarks = settle(node.location, node.attributes, "well", version)
    if "well" not in block:
        raise broken(node.location, version, [Finding("error", "well", "is missing")])
    findings += remarks
    return tuple(image["path"] for image in block["well"]["images"])


def _fields_of_well(plate: Location, path: str, findings: list[Finding]) -> tuple[str, ...]:
    """Read which fields a well has; a well that is not there is empty, as in a plate still being written."""
    location = plate.child(path)
    remarks: list[Finding] = []
    try:
        node = read_node(location)
        if node is None or node.array is not None:
            findings.append(Finding("warning", path, "is named by the plate, but there is no such well"))
            return ()
        fields = _fields(node, _version_of(node), remarks)
    except InputError as error:
        findings.append(Finding("deviation", path, f"cannot be used: {_sentence(error)}", ABSENT))
        return ()
    findings += [remark.within(path) for remark in remarks]
    return fields


def open_collection(node: Node, version: str) -> Collection:
    """Open a collection as bioformats2raw makes them: the images that it lists, else those with numbers.

    Raises
    ------
    InputError
        If its metadata break the specification.
    PolicyError
        If an image leads to where the policy does not allow.
    """
    location = node.location
    _, findings = settle(location, node.attributes, "bioformats2raw", version)
    listed = _listed_series(location, findings)
    if listed is not None:
        series = _present(location, listed, "series", "image", findings)
    else:
        numbers: list[str] = []
        while _is_there(location, str(len(numbers))):
            numbers.append(str(len(numbers)))
        series = tuple(numbers)
    return Collection(location, version, series, tuple(findings))


def _listed_series(location: Location, findings: list[Finding]) -> list[str] | None:
    """Read the list in ``OME``; None where there is none that can be used."""
    try:
        node = read_node(location.child("OME"))
        if node is None:
            return None
        version = _version_of(node)
        block = node.attributes.get("ome") if version == "0.5" else node.attributes
        if not isinstance(block, dict) or "series" not in block:
            return None
        block, remarks = settle(node.location, node.attributes, "series", version)
    except InputError as error:
        message = f"is not used, and images are looked for by number: {_sentence(error)}"
        findings.append(Finding("deviation", "OME", message))
        return None
    findings += [remark.within("OME") for remark in remarks]
    series: list[str] = block["series"]
    return series


def _present(
    location: Location, names: list[str] | tuple[str, ...], where: str, what: str, findings: list[Finding]
) -> tuple[str, ...]:
    """Keep what is there of what a list names; the rest is a remark."""
    found = []
    for index, name in enumerate(names):
        plain = name.lstrip("/")
        if plain != name:
            if not _is_there(location, plain):
                location.child(name)  # it means a place elsewhere, of which the policy speaks
            findings.append(Finding("deviation", f"{where}[{index}]", f"is {name!r}", f"it is read as {plain!r}"))
        if plain in found:
            findings.append(Finding("warning", f"{where}[{index}]", f"names {plain!r} a second time"))
        elif _is_there(location, plain):
            found.append(plain)
        else:
            findings.append(Finding("warning", f"{where}[{index}]", f"names {plain!r}, but there is no such {what}"))
    return tuple(found)


def _is_there(location: Location, path: str) -> bool:
    """Whether there is a group or an array; a damaged one is there, and says what it has when it is opened."""
    try:
        return bool(path) and read_node(location.child(path)) is not None
    except InputError:
        return True


def _version_of(node: Node) -> str:
    """Which version a group below another follows: what its Zarr can hold."""
    return "0.5" if node.zarr_format == 3 else "0.4"


def _sentence(error: InputError) -> str:
    return str(error).rstrip(".")
