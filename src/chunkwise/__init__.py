"""Chunkwise: exact, blockwise work on OME-Zarr images where they lie.

``open`` gives an image; ``list_operations()`` says which functions there are; ``apply`` runs a function of your own.
"""

__all__ = ["__version__", "apply", "list_operations", "open"]

_OTHERS = ("ChunkwiseError", "Image", "InputError", "PolicyError", "Result", "ResumableError")


def __getattr__(name: str) -> object:
    """Import what is asked for only then: NumPy and Dask take longer than a command needs for its help."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("chunkwise")
    if name in __all__ or name in _OTHERS:
        return getattr(import_module("chunkwise.python"), name)
    if not name.startswith("_") and name in import_module("chunkwise.operations").families():
        return import_module("chunkwise.python").function_of(name)
    raise AttributeError(f"module 'chunkwise' has no attribute '{name}'")


def __dir__() -> list[str]:
    from importlib import import_module

    return sorted({*__all__, *_OTHERS, *import_module("chunkwise.operations").families()})
