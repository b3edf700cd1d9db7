"""Their dilation adds the footprint to the voxels (SciPy's ``structure``), so all are brighter."""

import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage
from skimage.morphology import disk

folder = Path(sys.argv[1])
image, theirs = np.asarray(Image.open(folder / "input3.png")), tifffile.imread(folder / "output3_dilation.tiff")
assert np.array_equal(ndimage.grey_dilation(image, structure=disk(2)), theirs)
assert not np.array_equal(ndimage.grey_dilation(image, footprint=disk(2)), theirs)
