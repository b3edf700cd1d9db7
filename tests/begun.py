"""A run that has begun, in a folder of a test."""

from __future__ import annotations

from pathlib import Path

from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run

__all__ = ["begun"]


def begun(folder: Path, plan: Plan | None = None, output: Path | None = None) -> Run:
    """Begin a run of a plan, or go on with it; other tests than those of runs do not look at what is planned."""
    plan = plan or Plan("test", {}, {}, {})
    run = Run.at(plan, str(folder / "run"), str(folder / "partial"))
    run.begin(plan, str(output or folder / "out"))
    return run
