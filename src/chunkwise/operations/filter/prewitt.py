"""Edges, as Prewitt weighed them."""

from functools import partial

from chunkwise.operations.filter._along import AXIS, EQUALS, difference
from chunkwise.operations.filter._floats import floats

OPERATION = floats(
    name="prewitt",
    title="Prewitt filter",
    does="shows edges by the Prewitt operator, which weighs neighbours equally; gives floats",
    kernel=partial(difference, "prewitt"),
    equals=EQUALS.format(name="prewitt"),
    parameters={"axis": AXIS},
    scratch=24.0,  # scikit-image holds image, difference and its square in floats
)
