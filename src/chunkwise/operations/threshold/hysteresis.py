"""Two thresholds: what is brighter than the lower, if it reaches above the higher."""

from __future__ import annotations

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Mask, Parameter


def refuses(low: float, high: float) -> str:
    """Refuse a lower threshold that is higher."""
    return f"--low {low:g} is larger than --high {high:g}." if low > high else ""


OPERATION = of_image(
    name="hysteresis",
    family="threshold",
    title="Hysteresis threshold",
    does="keeps what is brighter than one number, and connected across faces with what is brighter than another; for "
    "faint ends of bright objects",
    parameters={
        "low": Parameter(
            float, None, "Lower threshold", "number that voxels of the mask have to be brighter than", required=True
        ),
        "high": Parameter(
            float, None, "Higher threshold", "number that each object has to exceed somewhere", required=True
        ),
    },
    refuses=refuses,
    gives=Mask(),
    chain="chunkwise.running.chains.masks:run",
    working_set=12.0,
    equals="skimage.filters.apply_hysteresis_threshold(image, low, high)",
    examples=(Example("coins_2d.ome.zarr", {"low": 100.0, "high": 180.0}),),
)
