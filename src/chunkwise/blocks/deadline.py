"""When this process has to end: a worker whose batch job has a time limit begins no block that it might not finish."""

from __future__ import annotations

import time

__all__ = ["is_past", "set_deadline"]

_deadline: float | None = None


def set_deadline(at: float | None) -> None:
    """Begin no further block of a batch after this time, in seconds since the epoch; None for no limit."""
    global _deadline
    _deadline = at


def is_past() -> bool:
    """Whether the time has come."""
    return _deadline is not None and time.time() >= _deadline
