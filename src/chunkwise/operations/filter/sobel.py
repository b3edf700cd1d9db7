"""Edges, as Sobel weighed them."""

from functools import partial

from chunkwise.operations.filter._along import AXIS, EQUALS, difference
from chunkwise.operations.filter._floats import floats

OPERATION = floats(
    name="sobel",
    title="Sobel filter",
    does="shows edges by the Sobel operator, with the weights 1, 2, 1; gives floats",
    kernel=partial(difference, "sobel"),
    equals=EQUALS.format(name="sobel"),
    parameters={"axis": AXIS},
    scratch=24.0,  # scikit-image holds image, difference and its square in floats
)
