"""Objects of a mask."""

from chunkwise.operations.label._labels import MASK, WHOLE
from chunkwise.operations.model import Example, Labels, Operation
from chunkwise.operations.segment import CONNECTIVITY

OPERATION = Operation(
    name="components",
    family="label",
    title="Connected components of a mask",
    does="numbers the objects of a mask 1, 2, 3, ... in the order in which their first voxels come, row by row, as "
    "'segment' does",
    part=WHOLE,
    parameters={"connectivity": CONNECTIVITY},
    takes=MASK,
    gives=Labels(dtype="uint32"),
    chain="chunkwise.running.chains.components:run",
    equals="skimage.measure.label(image, connectivity=connectivity).astype('uint32')",
    exact={"b": "bit"},
    examples=(Example("coins_2d_mask.ome.zarr", {"connectivity": 1}),),
)
