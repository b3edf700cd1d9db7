"""Brightest plane along an axis."""

from chunkwise.operations.project._axis import place, projection

OPERATION = projection(
    "argmax",
    "Position of the brightest plane",
    "gives the position of the brightest plane, counted from 0 within what was chosen; among equals, the first",
    place,
    gives={"downsampling": "nearest", "contrast": "places"},
)
