"""The box that several filters look at."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.operations.model import Parameter

SIZE: Final = Parameter(
    int,
    3,
    "Size",
    "edge length of the box around each voxel that is looked at",
    unit="voxel",
    measures="window",
    least=1,
    most=255,
    odd=True,
)


def reach(size: int | tuple[int, ...], **_: Any) -> int | tuple[int, ...]:
    """How far a box of that edge, or of those edges, reaches from its middle."""
    return size // 2 if isinstance(size, int) else tuple(edge // 2 for edge in size)
