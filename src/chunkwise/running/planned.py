"""What a run would take, said before anything starts: as text for people, as JSON for rules that place jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from chunkwise.cluster.resources import Resources, size_words
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.running.rates import measured_on, rate_of
from chunkwise.running.request import Request

__all__ = ["Planned"]


class Planned(Exception):
    """Comes out of a run in the place of its result where only the plan was asked for; nothing has been written.

    Parameters
    ----------
    request : Request
        What was asked for.
    sources : iterable of VolumeSource
        What would be read.
    resources : Resources
        As decided for the run.
    tasks : int
        As in :meth:`chunkwise.running.life.LifeCycle.working`.
    expected : mapping
        ``shape``, ``block``, ``blocks``, ``bytes_written`` and ``files``; None of what is not known beforehand.
    """

    def __init__(
        self,
        request: Request,
        sources: Iterable[VolumeSource],
        resources: Resources,
        tasks: int,
        expected: Mapping[str, Any],
    ) -> None:
        operation, read = request.operation, [(prod(s.shape) * s.volumes, np.dtype(s.dtype)) for s in sources]
        rate = rate_of(operation, request.values)
        hours = None if rate is None else rate * sum(voxels for voxels, _ in read) / 10**6 / 3600
        self.content: dict[str, Any] = {
            "chunkwise_plan": 1,
            "operation": operation.family,
            "method": operation.name,
            "bytes_read": sum(voxels * dtype.itemsize for voxels, dtype in read),
            **expected,
            "cluster": resources.cluster.kind,
            "workers": min(resources.workers, tasks),
            "threads": min(resources.threads, tasks),
            "memory_bytes_a_worker": resources.needed,
            "memory_bytes_allowed": resources.memory_per_worker,
            "cpu_seconds_a_million_voxels": rate,
            "cpu_hours": None if hours is None else float(f"{hours:.3g}"),
        }
        super().__init__(f"the plan of {operation.family}")

    def text(self, form: str) -> str:
        """The plan as ``json``, or as ``text``."""
        told = self.content
        if form == "json":
            return json.dumps(told)
        sizes = "x".join(map(str, told["block"] or told["shape"]))
        workers, each = f"{told['workers']} worker{'s' if told['workers'] > 1 else ''}", "per worker"
        if told["threads"] > 1:
            workers, each = f"{told['threads']} threads", "for all threads together"
        written = "as much as the objects found need"
        if told["bytes_written"] is not None:
            written = f"{size_words(told['bytes_written'])} before compression"
        hours = "not known: nothing was measured for this"
        if told["cpu_hours"] is not None:
            rate = told["cpu_seconds_a_million_voxels"]
            spent = f"{told['cpu_hours']:g}" if told["cpu_hours"] >= 0.001 else "less than 0.001"
            hours = f"{spent}, from {rate:g} CPU-seconds per million voxels ({measured_on()})"
        rows = {
            "blocks": f"{told['blocks']} of {sizes} voxels, by {workers}",
            "read": f"{size_words(told['bytes_read'])} before compression, in each pass over the image",
            "written": f"{written}, in {told['files']} file{'s' if told['files'] > 1 else ''} at most",
            "memory": f"{size_words(told['memory_bytes_a_worker'])} {each}, of "
            f"{size_words(told['memory_bytes_allowed'])} that may be used",
            "CPU-hours": hours,
        }
        return "\n".join(f"{name:<10} {words}" for name, words in rows.items())
