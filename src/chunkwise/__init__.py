"""Chunkwise: exact, blockwise work on OME-Zarr images where they lie."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("chunkwise")
