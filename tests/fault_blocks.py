"""What workers are told to do where a test wants them to fail; imported by them, too."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chunkwise.blocks.passes import BlockResult

__all__ = ["Greedy", "greedy"]


@dataclass(frozen=True)
class Greedy:
    """Which block takes how much."""

    block: int
    size: int


def greedy(context: Greedy, block: int) -> BlockResult:
    """Take memory, and hold it until somebody ends this process."""
    if block == context.block:
        held = bytearray(b"\1") * context.size
        time.sleep(30)
        del held
    time.sleep(0.02)
    return BlockResult()
