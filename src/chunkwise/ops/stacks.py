"""Volumes that are made of stacks: planes, time points or channels, one after the other, become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chunkwise.ops.local import Array, LocalVolumes, apply_kernel

__all__ = ["StackedVolumes"]


@dataclass(frozen=True)
class StackedVolumes(LocalVolumes):
    """What is made of a cut along one of its axes; the grid is that of the result, whose axis has the length 1.

    Other than with :class:`~chunkwise.ops.local.LocalVolumes`, the kernel is given a stack of blocks.
    """

    axis: str = "z"

    @property
    def n_volumes(self) -> int:
        """Time points times channels of the result."""
        return (1 if self.axis == "t" else self.source.volumes) * (1 if self.axis == "c" else len(self.channels))

    def compute(self, number: int) -> Array:
        """Read the blocks of a stack in their order, and make one of them."""
        volume, block = self.place(number)
        box = self.grid.block_box(block)
        shape = tuple(part.stop - part.start for part in box)
        if self.axis == "z":
            whole = (slice(0, self.source.shape[0]), *box[1:]) if len(box) == 3 else box
            stack = self.read_box(volume, whole).reshape(-1, *shape[-2:])
        else:
            count = len(self.channels)
            volumes = range(volume, self.source.volumes * count, count)
            if self.axis == "c":
                volumes = range(volume * count, (volume + 1) * count)
            stack = np.empty((len(volumes), *shape), self.source.dtype)
            for place, one in enumerate(volumes):
                stack[place] = self.read_box(one, box)
        name = ",".join(f"{part.start}:{part.stop}" for part in box)
        made = apply_kernel(self.kernel, stack, self.values, False, self.dtype, name, shape=stack.shape[1:])
        return made.reshape(shape)
