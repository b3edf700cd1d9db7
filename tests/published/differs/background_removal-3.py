"""Their difference of Gaussians goes on beyond the edge with the last voxel (nearest); what is below 0 becomes 0."""

import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage
from skimage.filters import difference_of_gaussians
from skimage.util import img_as_uint

folder = Path(sys.argv[1])
image, theirs = (tifffile.imread(folder / name) for name in ("input2_uint16.tiff", "input2_output_dog.tiff"))
assert np.array_equal(img_as_uint(difference_of_gaussians(image, low_sigma=0, high_sigma=20)), theirs)
for mode, apart in (("nearest", 0.5), ("reflect", 200)):
    plain = (image - ndimage.gaussian_filter(image.astype(float), 20, mode=mode)).clip(0)
    assert bool(np.abs(plain - theirs).max() <= apart) == (mode == "nearest")
