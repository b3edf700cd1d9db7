"""Volumes that are made of several at once: channels of an image, or images on one grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chunkwise.blocks.grid import Box
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.local import Array, LocalVolumes, apply_kernel

__all__ = ["MixedVolumes"]


@dataclass(frozen=True)
class MixedVolumes(LocalVolumes):
    """What is made of stacks; each gives as many channels as are done ``together``.

    Other than with :class:`~chunkwise.ops.local.LocalVolumes`, the kernel is given a block of every member of a stack,
    in one array where they are channels of one image.
    """

    stacks: tuple[tuple[VolumeSource, ...], ...] = ()
    apart: bool = False
    """Whether the kernel is given a tuple: the members are images, each with a type of its own."""

    @property
    def n_volumes(self) -> int:
        """Time points times channels of the result."""
        return self.source.volumes * len(self.stacks) * self.together

    def read_stack(self, group: int, box: Box) -> tuple[Array, ...]:
        """Read a box of all that belongs together."""
        time, stack = divmod(group, len(self.stacks))
        return tuple(source.read(time, box) for source in self.stacks[stack])

    def compute_group(self, group: int, block: int) -> dict[int, Array]:
        """Read the blocks of a stack, and make the channels of them; errors as of :meth:`compute`."""
        box = self.grid.block_box(block)
        read = self.read_stack(group, box)
        voxels = read if self.apart else np.stack(read)
        name = ",".join(f"{part.start}:{part.stop}" for part in box)
        shape = (self.together, *read[0].shape)
        made = apply_kernel(self.kernel, voxels, self.values, False, self.dtype, name, shape=shape)
        return {group * self.together + n: made[n] for n in range(self.together)}
