"""A site with an image in S3 and in files, for tests that hold the two against each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from chunkwise.site import Root, Site
from chunkwise.storage.location import resolve
from made_stores import write
from s3_server import S3

__all__ = ["Place"]


class Place:
    """A site with one posix root and two prefixes of S3, and an image in both."""

    def __init__(self, s3: S3, folder: Path) -> None:
        self.s3, self.folder = s3, folder
        self.prefix = s3.prefix()
        self.site = self.use(s3.url)
        self.voxels = np.random.default_rng(0).integers(0, 5000, (300, 300)).astype(np.uint16)
        self.image = write(folder / "i.ome.zarr", "0.5", "yx", (300, 300), chunk=64)
        array: Any = zarr.open_array(self.image / "0", mode="r+")
        array[...] = self.voxels
        own = Root("own", None, f"s3://images/{self.prefix}", True, **self.access(s3.url))
        s3.upload(self.image, resolve("own:i.ome.zarr", Site(folder, {"own": own}), write=True))

    def access(self, endpoint: str) -> dict[str, Any]:
        file = str(self.s3.credentials)
        return {"endpoint": endpoint, "credentials": "file", "credentials_file": file}

    def use(self, endpoint: str, more: str = "") -> Site:
        """Write the site file."""
        access = f'endpoint = "{endpoint}"\ncredentials = "file"\ncredentials_file = "{self.s3.credentials}"\n'
        self.file = self.folder / "site.toml"
        self.file.write_text(
            f'[roots.here]\npath = "{self.folder}"\naccess = "write"\n'
            f'[roots.images]\nurl = "s3://images/{self.prefix}"\n{access}'
            f'[roots.results]\nurl = "s3://results/{self.prefix}"\naccess = "write"\n{access}{more}'
        )
        return Site(
            self.file,
            {
                "here": Root("here", str(self.folder), None, True),
                "images": Root("images", None, f"s3://images/{self.prefix}", False, **self.access(endpoint)),
                "results": Root("results", None, f"s3://results/{self.prefix}", True, **self.access(endpoint)),
            },
        )

    def files(self, name: str) -> Path:
        """What is in S3 below the results, as files."""
        folder = self.folder / "downloads" / f"{name}-{os.urandom(3).hex()}"
        folder.mkdir(parents=True)
        return self.s3.download(resolve(f"results:{name}", self.site), folder)
