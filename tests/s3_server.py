"""A real S3 server for the tests (deploy/s3: OpenStack Swift), and what tests do with it."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chunkwise.site import Root, Site
from chunkwise.storage import kv
from chunkwise.storage.location import Location, resolve

__all__ = ["S3", "running_s3"]

ROOT = Path(__file__).parents[1]


class S3:
    """A running instance; its buckets are ``images`` and ``results``."""

    def __init__(self, folder: Path) -> None:
        self.credentials = folder / "credentials"
        self.url = (folder / "url").read_text().strip()
        self.log = folder / "log" / "proxy.log"
        self._numbers = itertools.count()

    @property
    def secret(self) -> str:
        """The owner's key, which has to be found nowhere else."""
        lines = self.credentials.read_text().splitlines()
        return next(line.split("=")[1].strip() for line in lines if line.startswith("aws_secret"))

    def prefix(self) -> str:
        """A place that no other test uses."""
        return f"{os.getpid()}-{os.urandom(4).hex()}-{next(self._numbers)}"

    def root(self, name: str, url: str, writable: bool = False, profile: str = "default", endpoint: str = "") -> Root:
        """A root of the site, with keys from the file."""
        return Root(
            name,
            None,
            url,
            writable,
            endpoint=endpoint or self.url,
            credentials="file",
            credentials_file=str(self.credentials),
            credentials_profile=profile,
        )

    def upload(self, folder: Path, location: Location) -> None:
        """Put a folder's files."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                kv.put_key(location, path.relative_to(folder).as_posix(), path.read_bytes())

    def download(self, location: Location, folder: Path) -> Path:
        """Get all objects as files."""
        keys = kv.list_keys(location)
        for key, content in zip(keys, kv.contents_of(location, keys), strict=True):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content or b"")
        return folder

    def place(self, bucket: str = "results") -> Location:
        """A new place to write to."""
        root = self.root("own", f"s3://{bucket}/{self.prefix()}", writable=True)
        return resolve("own:store.zarr", Site(ROOT / "none.toml", {"own": root}), write=True)


@contextmanager
def running_s3() -> Iterator[S3]:
    """The instance of ``deploy/s3/up.sh``: one that runs is left running, one that was started here is stopped."""
    folder, script = ROOT / ".cluster" / "s3", ROOT / "deploy" / "s3"
    answer = subprocess.run([script / "up.sh"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield S3(folder)
    finally:
        if "runs already" not in answer.stdout:
            subprocess.run([script / "down.sh"], check=True, capture_output=True)
