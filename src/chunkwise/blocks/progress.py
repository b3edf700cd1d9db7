"""One line that says how far a pass is: blocks done, rate, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["Progress", "clock"]


class Progress:
    """Progress of one pass, on standard error.

    On a terminal one line is rewritten. In a job's log lines are added: one after a second, the next
    ones after twice the time each, up to half a minute, so that the log of a short run shows that it
    moves and that of a long one stays readable; and one at the end.

    Parameters
    ----------
    name : str
        Of the pass.
    total : int
        Blocks of the pass.
    voxels : int
        Of all blocks together; 0 where a rate of voxels says nothing.
    skipped : int
        Blocks that were done before.
    note : callable, optional
        Gives what there is to say of the workers, at the end of the line.
    unit : str
        What is counted.
    """

    #: Seconds before the first line of a log, and between two lines at most.
    FIRST, LONGEST = 1.0, 30.0

    #: Whether anything is said at all.
    shown = True

    def __init__(
        self,
        name: str,
        total: int,
        voxels: int,
        skipped: int = 0,
        note: Callable[[], str] | None = None,
        unit: str = "blocks",
    ) -> None:
        self._name, self._total, self._voxels, self._note, self._unit = name, total, voxels, note, unit
        self._done = self._skipped = skipped
        self._begin = self._last = time.monotonic()
        self._live = sys.stderr.isatty()
        self._pause = 0.2 if self._live else self.FIRST
        if skipped and self.shown:
            print(f"{name:<10} {skipped} of {total} {unit} were already done", file=sys.stderr, flush=True)

    def advance(self, blocks: int) -> None:
        """Say that blocks are done."""
        self._done += blocks
        if not self.shown:
            return
        now = time.monotonic()
        if self._done == self._total or now - self._last >= self._pause:
            self._last = now
            if not self._live:
                self._pause = min(2 * self._pause, self.LONGEST)
            self._show(now)

    def _show(self, now: float) -> None:
        spent = max(now - self._begin, 1e-6)
        fresh = self._done - self._skipped
        rate = fresh / spent
        speed = f"{rate * self._voxels / self._total / 1e6:6.1f} Mvoxel/s" if self._voxels else ""
        left = (self._total - self._done) / rate if rate else 0.0
        text = f"{self._name:<10} {self._done}/{self._total} {self._unit}  {rate:6.1f} {self._unit}/s  {speed}  " + (
            f"left {clock(left)}" if self._done < self._total else f"took {clock(spent)}"
        )
        if self._done < self._total and self._note is not None and (note := self._note()):
            text += f"  {note}"
        if self._live:
            print(f"\r\x1b[K{text}", end="" if self._done < self._total else "\n", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Write a time span as ``1:02:03``, ``2:03`` or ``2.3 s``."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole >= 10 else f"{seconds:.1f} s"
