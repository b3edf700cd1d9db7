"""Tubeness."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._ridges import SIGMAS, finite, ridge_filter, sigmas_of


def sato(image: Any, *, ridges: str, **widths: Any) -> Any:
    """Find tubes."""
    from skimage import filters

    called: Any = filters
    return called.sato(finite(image), sigmas_of(**widths), black_ridges=ridges == "dark")


OPERATION = ridge_filter(
    name="sato",
    title="Sato tubeness filter",
    does="shows lines and tubes by how much the image bends across them; gives floats",
    kernel=sato,
    equals=f"skimage.filters.sato(image, {SIGMAS}, black_ridges=ridges == 'dark')",
    citation="10.1016/S1361-8415(98)80009-1",
)
