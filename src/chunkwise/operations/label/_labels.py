"""What operations on labels have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from chunkwise.operations._part import LEVEL, PLANES, REGION, TABLE, TIME
from chunkwise.operations.model import Labels, Operation, Parameter

#: A label image has one channel.
PART: Final = {"level": LEVEL, "time": TIME, "region": REGION, "planes": PLANES}

#: Of what cannot be done plane by plane.
WHOLE: Final = {"level": LEVEL, "time": TIME, "region": REGION}

_HELP: Final = "the label image, or for some methods the mask: path or URL of an OME-Zarr, or a reference"
TAKES: Final = {"image": Labels("iu", label="Labels", metavar="LABELS", help=_HELP)}
MASK: Final = {"image": Labels("b", label="Labels", metavar="LABELS", help=_HELP)}

MEASURED: Final = TAKES | {"table": TABLE}

MISSING: Final = Parameter(
    str,
    "remove",
    "Objects without a row",
    "what becomes of objects that the table does not have; they are named in any case",
    choices={"remove": "remove them", "keep": "keep them as they are", "fail": "stop with an error"},
)
COLUMN: Final = Parameter(
    str, None, "Column", "column of the table whose numbers the objects get", metavar="NAME", required=True
)

DISTANCE: Final = Parameter(
    float,
    3.0,
    "Distance",
    "how far objects grow, in every direction",
    unit="voxel",
    least=0,
    most=255,
)


def reach(distance: float) -> int:
    """Voxels at that distance, or nearer, count."""
    return int(distance)


def in_32_bits(image: Any) -> Any:
    """Number the objects of a block by their order where SciPy, which computes in float64, would mix them up."""
    import numpy as np

    if image.dtype.itemsize < 8:
        return image
    zero = image.dtype.type(0)  # stays 0, and what is below it stays below
    ids = np.union1d(image, zero)
    return (np.searchsorted(ids, image) - np.searchsorted(ids, zero)).astype(np.int32)


def numbered(image: Any, objects: Any, number: Callable[[Any, Any], Any]) -> Any:
    """Give the objects of a block other numbers: ``number(ids, rows)``, by the rows of the table of objects."""
    import numpy as np

    from chunkwise.ops.label_runs import replace_labels

    def others(ids: Any) -> Any:
        known, found = np.flatnonzero(ids), np.zeros_like(ids)
        found[known] = number(ids[known], np.searchsorted(objects["ids"], ids[known]))
        return found

    return replace_labels(image, others, image.dtype)


def numbered_by_table(image: Any, *, objects: Any, **_: Any) -> Any:
    """Give the objects of a block the numbers that the table leaves them; 0 to those that are removed."""
    return numbered(image, objects, lambda _, rows: objects["values"][rows])


def keep(image: Any, objects: Any, kept: Callable[[Any], Any]) -> Any:
    """Leave the objects of a block for which ``kept(rows)`` is true."""
    return numbered(image, objects, lambda ids, rows: ids * kept(rows))


#: Of an operation on labels what most are, unless it says otherwise; by what the whole volume says of its objects; by a
#: table of them; by how far they grow; or of a mask.
of_labels: Final = partial(Operation, family="label", part=PART, takes=TAKES, gives=Labels(), exact={"iu": "bit"})
by_object: Final = partial(of_labels, needs={"objects": "objects"}, working_set=2.0)
by_table: Final = partial(
    by_object, takes=MEASURED, kernel=numbered_by_table, chain="chunkwise.running.chains.tabled:run"
)
growing: Final = partial(of_labels, parameters={"distance": DISTANCE}, reach=reach, working_set=36.0)
of_mask: Final = partial(
    of_labels,
    part=WHOLE,
    takes=MASK,
    gives=Labels(dtype="uint32"),
    chain="chunkwise.running.chains.components:run",
    exact={"b": "bit"},
)
