"""Objects that become one, as a table says."""

from chunkwise.operations.label._labels import COLUMN, MEASURED, MISSING, PART, numbered_by_table
from chunkwise.operations.model import Example, Labels, Operation

OPERATION = Operation(
    name="join",
    family="label",
    title="Joining of objects by a table",
    does="gives every object the number that it has in a column of a table, such as its parent's, so that objects of "
    "one number are one; 0 removes it",
    part=PART,
    parameters={"column": COLUMN, "missing": MISSING},
    takes=MEASURED,
    gives=Labels(),
    kernel=numbered_by_table,
    chain="chunkwise.running.chains.tabled:run",
    needs={"objects": "objects"},
    working_set=20.0,
    equals=(
        "numpy.where(numpy.isin(image, table['label']) | (missing != 'keep'), skimage.util.map_array(image, "
        "numpy.array(table['label'], image.dtype), numpy.array(table[column], image.dtype)), image)"
    ),
    exact={"iu": "bit"},
    examples=(Example("coins_2d_labels.ome.zarr", {"column": "parent"}, inputs={"table": "coins_2d_rows.tsv"}),),
)
