"""From a request to masks: without holes, or of two thresholds."""

from __future__ import annotations

from chunkwise.ngff.volumes import Selection
from chunkwise.ops.masks import FilledVolumes, HysteresisVolumes
from chunkwise.running.chains.local import run_with, selected
from chunkwise.running.labels import followed
from chunkwise.running.request import Around, Request, Result

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Fill holes, or keep what reaches above the higher threshold; see :func:`chunkwise.running.run.run`."""
    return run_with(request, HysteresisVolumes if _has_thresholds(request) else FilledVolumes)


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows: holes, or objects, are followed for some voxels."""
    what = "Objects" if _has_thresholds(request) else "Holes"
    return followed((0,) * len(selection.source.shape), what=what, numbered=False)


def _has_thresholds(request: Request) -> bool:
    return "low" in request.values
