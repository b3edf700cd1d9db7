"""Objects that were measured, and are as some rules say."""

from __future__ import annotations

from typing import Any

from chunkwise.errors import InputError
from chunkwise.operations.label._labels import MEASURED, PART, numbered
from chunkwise.operations.label._rules import parse_rules
from chunkwise.operations.model import Example, Labels, Operation, Parameter


def rules(image: Any, *, objects: Any, **_: Any) -> Any:
    """Give objects the numbers that the rules leave them; 0 to those that they do not keep."""
    return numbered(image, objects, lambda _, rows: objects["values"][rows])


def refuses(rule: list[str] | None, **_: Any) -> str:
    """Refuse what is no rule."""
    try:
        parse_rules(rule or [])
    except InputError as error:
        return str(error)
    return ""


OPERATION = Operation(
    name="rules",
    family="label",
    title="Selection by rules",
    does="keeps the objects whose row in a table of measurements meets all rules, with their numbers or numbered anew",
    part=PART,
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
        "missing": Parameter(
            str,
            "remove",
            "Objects without a row",
            "what becomes of objects without a row in the table: removed, kept as if they met all rules, or the run "
            "fails; they are named in any case",
            choices=("remove", "keep", "fail"),
        ),
        "renumber": Parameter(bool, False, "Number anew", "number the objects that are kept 1, 2, 3, ... without gaps"),
    },
    refuses=refuses,
    takes=MEASURED,
    gives=Labels(),
    kernel=rules,
    chain="chunkwise.running.chains.tabled:run",
    needs={"objects": "objects"},
    working_set=20.0,
    equals=(
        "(lambda kept: numpy.where(numpy.isin(image, kept), numpy.searchsorted(kept, image) + 1 if renumber else image,"
        " 0))(numpy.intersect1d(numpy.append(table.query(' and '.join(rule))['label'], numpy.setdiff1d(image, "
        "table['label'])[: None if missing == 'keep' else 0]), image[image != 0])).astype(image.dtype)"
    ),
    exact={"iu": "bit"},
    examples=(
        Example(
            "coins_2d_labels.ome.zarr",
            {"rule": ["eccentricity < 0.4"]},
            inputs={"table": "coins_2d_labels.tsv"},
        ),
    ),
)
