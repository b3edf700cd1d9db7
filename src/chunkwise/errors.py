"""The errors that people see: one sentence that says what was wrong and what to do.

Every error that a command can foresee is a :class:`ChunkwiseError`. ``cli.main`` prints its
message on one line and exits with its code; nothing else is allowed to reach the terminal.
"""

from __future__ import annotations

__all__ = ["ChunkwiseError", "InputError", "PolicyError", "ResumableError", "VoxelsError"]


class ChunkwiseError(Exception):
    """An error with one sentence for the person who called, and an exit code."""

    exit_code = 1

    unread: tuple[str, ...] = ()
    """Objects of an array that could not be read, by their addresses."""


class InputError(ChunkwiseError):
    """The input or a parameter cannot be used; running again without a change fails again."""

    exit_code = 2


class VoxelsError(InputError):
    """The operation cannot take this image, as only its voxels or blocks show; there is nothing to resume."""


class PolicyError(ChunkwiseError):
    """The site's policy does not allow the location."""

    exit_code = 3


class ResumableError(ChunkwiseError):
    """The run stopped in the middle; the same command goes on from where it stopped."""

    exit_code = 4
