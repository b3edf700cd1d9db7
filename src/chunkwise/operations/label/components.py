"""Objects of a mask."""

from chunkwise.operations.label._labels import of_mask
from chunkwise.operations.model import Example
from chunkwise.operations.segment import CONNECTIVITY

OPERATION = of_mask(
    name="components",
    title="Connected components of a mask",
    does="numbers the objects of a mask 1, 2, 3, ... in the order in which their first voxels come, row by row, as "
    "'chunkwise segment' does",
    parameters={"connectivity": CONNECTIVITY},
    equals="skimage.measure.label(image, connectivity=connectivity).astype('uint32')",
    examples=(Example("coins_2d_mask.ome.zarr", {"connectivity": 1}),),
)
