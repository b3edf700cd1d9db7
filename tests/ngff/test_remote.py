"""A store read over http, through the policy; names with blanks and per cent signs included."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import zarr

from chunkwise.errors import InputError, PolicyError
from chunkwise.ngff.read import open_image
from chunkwise.report.preview import read_plane
from chunkwise.site import Root, Site
from chunkwise.storage.location import resolve
from made_stores import write


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output to itself."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve ``tmp_path`` on loopback."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize("name", ["i.ome.zarr", "my image.zarr", "100%41.zarr"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_remote_image(tmp_path: Path, server: str, name: str, version: str) -> None:
    store = write(tmp_path / "public" / name, version, "cyx", (2, 16, 20))
    array = zarr.open_array(store / "0", mode="r+")
    array[...] = np.arange(640).reshape(2, 16, 20)
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{server}/public", False)})
    encoded = name.replace("%", "%25").replace(" ", "%20")
    image = open_image(resolve(f"{server}/public/{encoded}", site))
    assert image.levels[0].shape == (2, 16, 20)
    assert (read_plane(image, 1).data == array[1]).all()
    assert open_image(resolve(f"web:{encoded}", site)) == image


def test_what_is_not_there_or_not_allowed(tmp_path: Path, server: str) -> None:
    write(tmp_path / "private" / "i.zarr")
    (tmp_path / "public").mkdir()
    site = Site(tmp_path / "site.toml", {"web": Root("web", None, f"{server}/public", False)})
    with pytest.raises(InputError, match="is not a Zarr store"):
        open_image(resolve(f"{server}/public/absent.zarr", site))
    for path in ("private/i.zarr", "public/../private/i.zarr", "public/%2e%2e/private/i.zarr"):
        with pytest.raises(PolicyError):
            resolve(f"{server}/{path}", site)
    with pytest.raises(InputError):
        open_image(resolve(f"{server}/public/%252e%252e/private/i.zarr", site))
