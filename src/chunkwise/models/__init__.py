"""bioimage.io packages, and their inference tile by tile with the result of the whole image."""
