"""Sentences that name options of the command line, as Python writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from chunkwise.errors import ChunkwiseError

__all__ = ["in_python", "python_words"]

_OPTION = re.compile(r"(?<![\w/.-])--([a-z][a-z-]*)")


def python_words(text: str) -> str:
    """Write ``--min-size`` as ``min_size``."""
    return _OPTION.sub(lambda found: found[1].replace("-", "_"), text)


@contextmanager
def in_python() -> Iterator[None]:
    """Let errors name parameters, not options."""
    try:
        yield
    except ChunkwiseError as error:
        error.args = (python_words(str(error)),)
        raise
