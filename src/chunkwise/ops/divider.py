"""What parts a connected component: the only thing in which splitting by shape and by a model's maps differ."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from chunkwise.blocks.grid import Box

__all__ = ["Divider"]

Array = np.ndarray[Any, Any]


class Divider(Protocol):
    """Parts one component at a time, from what lies inside its bounding box; small and picklable.

    The parts depend on the component alone: its shape, and what was measured at its own voxels. So they are
    the same whatever the blocks, and whatever lies around it.
    """

    @property
    def bytes_read(self) -> int:
        """Bytes that :meth:`read` holds for each voxel of a box."""

    @property
    def bytes_a_voxel(self) -> int:
        """Bytes that :meth:`divide` holds at most for each voxel of a box."""

    def may_divide(self, extents: Array) -> Array:
        """Whether components can have two parts, judging by the sizes of their bounding boxes, ``(n, ndim)``."""

    def read(self, volume: int, box: Box) -> Array | None:
        """Read what is needed beside the components: ``(n, *box)``, or nothing."""

    def divide(self, mask: Array, maps: Array | None, connectivity: int) -> tuple[Array, int]:
        """Part a component.

        Parameters
        ----------
        mask : ndarray of bool
            Its bounding box padded by one voxel, clipped at the volume; everything else taken away.
        maps : ndarray, optional
            What :meth:`read` gave, of this box.
        connectivity : int
            Under which the component is connected.

        Returns
        -------
        parts : ndarray of int32
            0 outside the component, 1..n inside.
        n : int
            Number of parts, 1 or more.
        """
