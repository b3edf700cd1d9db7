"""From a request to the mask of two thresholds."""

from __future__ import annotations

from chunkwise.ngff.volumes import Selection
from chunkwise.ops.masks import HysteresisVolumes
from chunkwise.running.chains.local import run_with, selected
from chunkwise.running.labels import followed
from chunkwise.running.request import Around, Request, Result

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Keep what reaches above the higher; see :func:`chunkwise.running.run.run`."""
    return run_with(request, HysteresisVolumes)


def around(_: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows: objects are followed for some voxels."""
    return followed((0,) * len(selection.source.shape), numbered=False)
