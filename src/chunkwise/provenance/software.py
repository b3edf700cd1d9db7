"""Where the packages that chunkwise works with have their home."""

from __future__ import annotations

from typing import Final

__all__ = ["HOME_PAGES", "home_page"]

#: A crate has to name each program by a web address. The keys are also the packages whose version
#: can change a result or explain one; those not installed are left out of a record.
HOME_PAGES: Final[dict[str, str]] = {
    "chunkwise": "https://bio.tools/chunkwise",
    "python": "https://www.python.org/",
    "bioimageio.core": "https://bioimage-io.github.io/core-bioimage-io-python/",
    "connected-components-3d": "https://github.com/seung-lab/connected-components-3d",
    "dask": "https://www.dask.org/",
    "distributed": "https://distributed.dask.org/",
    "numpy": "https://numpy.org/",
    "onnxruntime": "https://onnxruntime.ai/",
    "pillow": "https://python-pillow.github.io/",
    "pyarrow": "https://arrow.apache.org/",
    "scikit-image": "https://scikit-image.org/",
    "scipy": "https://scipy.org/",
    "tensorstore": "https://google.github.io/tensorstore/",
    "tifffile": "https://github.com/cgohlke/tifffile",
    "zarr": "https://zarr.dev/",
}


def home_page(name: str) -> str:
    """Return the home page of a package; of one that is not known here, that of chunkwise."""
    return HOME_PAGES.get(name, HOME_PAGES["chunkwise"])
