"""What workers are told to do where a test wants them to fail; imported by them, too."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from chunkwise.blocks.passes import BlockResult

__all__ = ["Greedy", "greedy"]


@dataclass(frozen=True)
class Greedy:
    """Which block takes how much."""

    block: int
    size: int
    beside: bool = False
    """Whether a process of its own takes it, which Dask does not look at, so that the batch system has to."""


def greedy(context: Greedy, block: int) -> BlockResult:
    """Take memory, and hold it until somebody ends this process."""
    if block == context.block and context.beside:
        holds = f"import time; held = bytearray(b'1') * {context.size}; time.sleep(30)"
        subprocess.run([sys.executable, "-c", holds], check=True)
    elif block == context.block:
        held = bytearray(b"\1") * context.size
        time.sleep(30)
        del held
    time.sleep(0.02)
    return BlockResult()
