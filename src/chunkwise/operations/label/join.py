"""Objects that become one, as a table says."""

from chunkwise.operations.label._labels import COLUMN, MISSING, by_table
from chunkwise.operations.model import Example

OPERATION = by_table(
    name="join",
    title="Joining of objects by a table",
    does="gives every object the number that it has in a column of a table, such as its parent's, so that objects of "
    "one number are one; 0 removes it",
    parameters={"column": COLUMN, "missing": MISSING},
    equals=(
        "numpy.where(numpy.isin(image, table['label']) | (missing != 'keep'), skimage.util.map_array(image, "
        "numpy.array(table['label'], image.dtype), numpy.array(table[column], image.dtype)), image)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr", {"column": "parent"}, inputs={"table": "coins_2d_rows.tsv"}),),
)
