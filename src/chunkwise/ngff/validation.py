"""Whether metadata follow the OME-Zarr specification, version 0.4 or 0.5.

Pure functions of parsed JSON: nothing is read. What needs the arrays (their number of axes, their
data type) is checked by :mod:`chunkwise.ngff.read`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chunkwise.ngff.model import Finding
from chunkwise.ngff.rules import Remarks
from chunkwise.ngff.rules_image import check_image, check_image_label, check_labels_list
from chunkwise.ngff.rules_plate import check_bioformats2raw, check_plate, check_series, check_well

__all__ = ["KINDS", "VERSIONS", "ome_block", "validate"]

VERSIONS = ("0.4", "0.5")

_RULES: dict[str, Callable[[Remarks, dict[str, Any], str], None]] = {
    "image": check_image,
    "label": check_image_label,
    "labels": lambda remarks, block, _: check_labels_list(remarks, block),
    "plate": check_plate,
    "well": check_well,
    "bioformats2raw": check_bioformats2raw,
    "series": check_series,
}

#: What a group can be checked as; one group can be several at once (a label image is an image too).
KINDS = tuple(_RULES)


def ome_block(attributes: Mapping[str, Any], version: str) -> Any:
    """Find where a version keeps its metadata among a group's attributes: 0.5 has them below ``ome``."""
    return attributes.get("ome") if version == "0.5" else attributes


def validate(attributes: object, kind: str, version: str) -> tuple[Finding, ...]:
    """Check the attributes of a group.

    Parameters
    ----------
    attributes : object
        Parsed JSON: ``.zattrs`` of Zarr v2, or ``attributes`` inside ``zarr.json`` of Zarr v3.
    kind : str
        One of :data:`KINDS`.
    version : str
        One of :data:`VERSIONS`.

    Returns
    -------
    tuple of Finding
        Errors break the specification; warnings are recommendations that were not followed.
    """
    remarks = Remarks()
    if not remarks.is_object(attributes, "attributes"):
        return tuple(remarks.findings)
    assert isinstance(attributes, dict)
    if version == "0.5" and not remarks.has(attributes, "ome", ""):
        return tuple(remarks.findings)
    block = ome_block(attributes, version)
    if remarks.is_object(block, "ome"):
        if version == "0.5" and remarks.has(block, "version", "ome"):
            remarks.version(block, version, "ome")
        _RULES[kind](remarks, block, version)
    return tuple(remarks.findings)
