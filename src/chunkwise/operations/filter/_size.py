"""The box that several filters look at."""

from __future__ import annotations

from typing import Final

from chunkwise.operations.model import Parameter

SIZE: Final = Parameter(
    int, 3, "Size", "edge of the neighbourhood, a box around the voxel", unit="voxel", least=1, most=255, odd=True
)


def reach(size: int) -> int:
    """How far a box of that edge reaches from its middle."""
    return size // 2
