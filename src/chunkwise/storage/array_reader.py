"""What reads an array, whatever format it is stored in."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

__all__ = ["ArrayReader", "Box"]

Box = tuple[slice, ...]


class ArrayReader(Protocol):
    """A readable array; ``read`` returns native byte order, absent chunks as the fill value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    """What is read at once: the inner chunks of a sharded array."""
    files: tuple[int, ...]
    """Of what lies in one file or object: the shards of a sharded array."""

    def key(self, index: tuple[int, ...]) -> str:
        """Give the key of the file of an index, counted in :attr:`files`."""

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """Read a box given by slices with start and stop, one an axis.

        Raises
        ------
        InputError
            If a chunk is damaged or refused.
        ResumableError
            If the array's server does not answer.
        """
