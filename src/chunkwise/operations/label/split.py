"""Objects of a mask, those that touch apart."""

from chunkwise.operations.label._labels import of_mask
from chunkwise.operations.model import Example
from chunkwise.operations.segment import CONNECTIVITY, MIN_DISTANCE

OPERATION = of_mask(
    name="split",
    title="Splitting of touching objects of a mask",
    does="numbers the objects of a mask, and cuts those that touch where they narrow, by a watershed from the points "
    "deepest inside, as 'chunkwise segment' does where it splits",
    parameters={"min_distance": MIN_DISTANCE, "connectivity": CONNECTIVITY},
    equals=(
        "skimage.measure.label((lambda distance: (lambda seeds: skimage.segmentation.watershed(numpy.unique(-distance, "
        "return_inverse=True)[1].reshape(image.shape) * (image.size + 1) + numpy.where(seeds, seeds.cumsum().reshape("
        "image.shape), image.size), seeds * seeds.cumsum().reshape(image.shape), connectivity or image.ndim, "
        "mask=image))(numpy.isin(numpy.arange(image.size), numpy.ravel_multi_index(skimage.feature.peak_local_max("
        "distance, min_distance, labels=skimage.measure.label(image, connectivity=connectivity), exclude_border=False"
        ").T, image.shape)).reshape(image.shape)))(scipy.ndimage.distance_transform_edt(image, sampling=spacing)), "
        "connectivity=connectivity).astype('uint32')"
    ),
    examples=(Example("coins_2d_mask.ome.zarr", {"min_distance": 25}),),
)
