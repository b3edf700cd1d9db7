"""The door from Python: what ``import chunkwise`` gives, made of the declarations of the operations."""

from chunkwise.errors import ChunkwiseError, InputError, PolicyError, ResumableError
from chunkwise.python.apply import apply
from chunkwise.python.calls import function_of, list_operations
from chunkwise.python.handles import Image, Result, open

__all__ = [
    "ChunkwiseError",
    "Image",
    "InputError",
    "PolicyError",
    "Result",
    "ResumableError",
    "apply",
    "function_of",
    "list_operations",
    "open",
]
