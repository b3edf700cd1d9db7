"""Objects that were measured, and are as some rules say."""

from __future__ import annotations

from typing import Any

from chunkwise.errors import InputError
from chunkwise.operations.label._labels import MISSING, by_table
from chunkwise.operations.label._rules import parse_rules
from chunkwise.operations.model import Example, Parameter


def refuses(rule: list[str] | None, **_: Any) -> str:
    """Refuse what is no rule."""
    try:
        parse_rules(rule or [])
    except InputError as error:
        return str(error)
    return ""


OPERATION = by_table(
    name="rules",
    title="Selection by rules",
    does="keeps the objects whose row in a table of measurements meets all rules, with their numbers or numbered anew",
    parameters={
        "rule": Parameter(
            str,
            None,
            "Rules",
            "what a row has to meet, such as 'num_pixels >= 50 and eccentricity < 0.9': columns of the table, compared "
            "(< <= > >= == !=) with numbers; may be given several times",
            metavar="RULE",
            several=True,
            required=True,
        ),
        "missing": MISSING,
        "renumber": Parameter(bool, False, "Number anew", "number the objects that are kept 1, 2, 3, ... without gaps"),
    },
    refuses=refuses,
    equals=(
        "(lambda kept: numpy.where(numpy.isin(image, kept), numpy.searchsorted(kept, image) + 1 if renumber else image,"
        " 0))(numpy.intersect1d(numpy.append(table.query(' and '.join(rule))['label'], numpy.setdiff1d(image, "
        "table['label'])[: None if missing == 'keep' else 0]), image[image != 0])).astype(image.dtype)"
    ),
    examples=(
        Example(
            "coins_2d_labels.ome.zarr",
            {"rule": ["eccentricity < 0.4"]},
            inputs={"table": "coins_2d_labels.tsv"},
        ),
    ),
)
