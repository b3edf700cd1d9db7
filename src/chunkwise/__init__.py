"""Chunkwise: exact, blockwise work on OME-Zarr images where they lie."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up only when somebody asks: it takes longer than everything else here."""
    if name == "__version__":
        from importlib.metadata import version

        return version("chunkwise")
    raise AttributeError(name)
