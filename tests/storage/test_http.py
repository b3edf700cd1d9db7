"""Stores on a real web server: ranges, absent chunks, refusals, redirects, TLS, faults of the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError, InputError, PolicyError, ResumableError
from chunkwise.ngff.read import open_image
from chunkwise.site import Root, Site
from chunkwise.storage import arrays, kv, remote
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.share import chunk_share
from faulty_proxy import Proxy, faulty_proxy
from made_stores import digest, write
from web_server import Web, running_nginx

#: Answers that are no object and must not be taken for an absent one, at places of their own.
STATUSES = (301, 302, 303, 307, 308, 400, 401, 403, 410, 500, 503)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server that nothing may be asked of."""
    with running_nginx(tmp_path_factory.mktemp("secret")) as server:
        write(server.files / "i.ome.zarr")
        yield server


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, secret: Web) -> Iterator[Web]:
    """The server: below ``/403/`` chunks are refused with 403, metadata are there; and so on."""
    folder = tmp_path_factory.mktemp("web")
    blocks = []
    for status in STATUSES:
        answer = f"return {status} {secret.url}$request_uri;" if 300 < status < 400 else f"return {status};"
        blocks.append(f"location ~ ^/{status}/.*/0/c/ {{ {answer} }}")
        blocks.append(f"location ~ ^/root{status}/ {{ {answer} }}")
        blocks.append(f"location /{status}/ {{ alias {folder}/files/; }}")
    blocks.append(f"location /norange/ {{ max_ranges 0; alias {folder}/files/; }}")
    with running_nginx(folder, "\n        ".join(blocks)) as server:
        yield server


@pytest.fixture
def image(web: Web, request: pytest.FixtureRequest) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """A store with one absent chunk, under a name of its own, and its voxels."""
    name = re.sub(r"\W", "-", request.node.name) + ".ome.zarr"
    store = write(web.files / name, "0.5", "yx", (64, 64))
    voxels = np.random.default_rng(0).integers(1, 60000, (64, 64)).astype(np.uint16)
    voxels[8:16, 8:16] = 0
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = voxels
    assert not (store / "0" / "c" / "1" / "1").exists()
    yield name, voxels
    shutil.rmtree(store)


def site_of(folder: Path, url: str) -> Site:
    return Site(folder / "site.toml", {"web": Root("web", None, url, False)})


def site_file(folder: Path, url: str) -> Path:
    file = folder / "site.toml"
    file.write_text(f'[roots.web]\nurl = "{url}"\n[roots.here]\npath = "{folder}"\naccess = "write"\n')
    return file


def box(array: np.ndarray[Any, Any]) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in array.shape)


def level_of(folder: Path, url: str, name: str) -> Location:
    return resolve(f"web:{name}/0", site_of(folder, url))


def test_an_absent_chunk_is_the_fill_value(web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    name, voxels = image
    assert (arrays.open_array(level_of(tmp_path, web.url, name)).read(box(voxels)) == voxels).all()
    assert [request.path for request in web.requests() if request.status == 404] == [f"/{name}/0/c/1/1"]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.usefixtures("impatient")
def test_another_answer_is_never_zeros(
    web: Web, secret: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path, status: int
) -> None:
    name, voxels = image
    secret.requests()
    array = arrays.open_array(level_of(tmp_path, f"{web.url}/{status}", name))
    with pytest.raises(ChunkwiseError, match=rf"HTTP {status}\b") as caught:
        array.read(box(voxels))
    kinds = {3: PolicyError, 4: InputError, 5: ResumableError}
    assert isinstance(caught.value, kinds[status // 100])
    assert re.match(rf"{array_of(web, status, name)}/0/c/\d/\d cannot be read: ", str(caught.value))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    with pytest.raises(ChunkwiseError, match=rf"HTTP {status}\b"):
        open_image(resolve(f"web:{name}", site_of(tmp_path, f"{web.url}/root{status}")))
    assert secret.requests() == [], "a redirect was followed"
    tries = [request.path for request in web.requests() if request.status == status]
    assert max(tries.count(path) for path in tries) == (remote.TRIES if status in (308, 500, 503) else 1)


def test_how_many_chunks_are_there(web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    name, _ = image
    level = level_of(tmp_path, web.url, name)
    arrays.open_array(level)
    web.requests()
    found = chunk_share(level)
    assert found is not None
    assert (found.found, found.looked_for, found.total) == (63, 64, 64)
    asked = web.requests()
    assert len(asked) == 64
    assert all(request.sent == 0 for request in asked)
    lower = chunk_share(resolve(f"web:{name}/1", site_of(tmp_path, web.url)))
    assert lower is not None
    assert lower.found == 0
    assert chunk_share(level_of(tmp_path, f"{web.url}/403", name)) is None, "refused is not absent"


def array_of(web: Web, status: int, name: str) -> str:
    return f"{web.url}/{status}/{name}"


def test_a_redirect_says_what_to_do(
    web: Web, secret: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHUNKWISE_SITE", str(site_file(tmp_path, f"{web.url}/root302")))
    assert main(["open", "web:i.ome.zarr", "--output", str(tmp_path / "r.json")]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "redirects are not followed; ask your administrator" in said
    assert secret.requests() == []
    assert not (tmp_path / "r.json").exists()


def test_shards_are_read_by_ranges(web: Web, tmp_path: Path) -> None:
    store = write(web.files / "sharded.ome.zarr", "0.5", "yx", (512, 512), shards=(512, 512), chunk=32)
    voxels = np.random.default_rng(1).integers(0, 60000, (512, 512)).astype(np.uint16)
    whole: Any = zarr.open_array(store / "0", mode="r+")
    whole[...] = voxels
    shard = (store / "0" / "c" / "0" / "0").stat().st_size
    array = arrays.open_array(level_of(tmp_path, web.url, "sharded.ome.zarr"))
    assert array.chunks == (32, 32)
    web.requests()
    part = (slice(40, 100), slice(200, 250))
    assert (array.read(part) == voxels[part]).all()
    asked = web.requests()
    assert {request.path for request in asked} == {"/sharded.ome.zarr/0/c/0/0"}
    assert {request.status for request in asked} == {206}
    assert all(request.range.startswith("bytes=") for request in asked)
    # The index has 16 bytes a chunk and a checksum; 3 x 3 chunks are touched.
    index, chunks = 16 * 16**2 + 4, 9 * 32 * 32 * 2
    assert index < sum(request.sent for request in asked) < (index + chunks) * 1.2 < shard / 4
    assert len(asked) <= 1 + 9


def test_a_server_without_ranges_is_an_error(web: Web, tmp_path: Path) -> None:
    store = write(web.files / "whole.ome.zarr", "0.5", "yx", (64, 64), shards=(64, 64))
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = 7
    with pytest.raises(InputError, match="ignored by server"):
        arrays.open_array(level_of(tmp_path, f"{web.url}/norange", "whole.ome.zarr")).read((slice(0, 8), slice(0, 8)))


def test_only_listed_prefixes(web: Web, secret: Web, tmp_path: Path) -> None:
    site = site_of(tmp_path, f"{web.url}/403/deep")
    for text in (
        f"{web.url}/i.zarr",
        f"{web.url}/403/i.zarr",
        f"{web.url}/403/deeper/i.zarr",
        f"{web.url}/403/deep/../i.zarr",
        f"{web.url}/403/deep/%2e%2e/i.zarr",
        f"{web.url}/403/deep/a/..%2f../i.zarr",
        f"{web.tls_url}/403/deep/i.zarr",
        f"{secret.url}/403/deep/i.zarr",
        f"{secret.url}/i.ome.zarr",
        f"{web.url.replace('127.0.0.1', 'localhost')}/403/deep/i.zarr",
        f"{web.url}@{secret.url[7:]}/403/deep/i.zarr",
        "web:../i.zarr",
        "web:%2e%2e/i.zarr",
    ):
        with pytest.raises(PolicyError):
            resolve(text, site)
    inside = resolve("web:i.zarr", site)
    for path in ("../x", "a/../../x", "..", "0/../../x"):
        with pytest.raises(PolicyError):
            inside.child(path)
    assert inside.child("%2e%2e/x").address.endswith("/deep/i.zarr/%252e%252e/x")
    assert secret.requests() == []


def test_fingerprints(web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    name, _ = image
    here = fingerprint(Location(str(web.files / name)), "none", ("", "0", "1"))
    there = resolve(f"web:{name}", site_of(tmp_path, web.url))
    assert fingerprint(there, "none", ("", "0", "1")) == here
    for level in ("stat", "full"):
        with pytest.raises(InputError, match="--fingerprint none"):
            fingerprint(there, level)


def always(fault: str) -> Callable[[int, str, str], str]:
    return lambda count, method, path: fault


def twice_for_some(fault: str) -> Callable[[int, str, str], str]:
    """Fail the first two requests for a third of the objects."""
    seen: Counter[str] = Counter()

    def judge(count: int, method: str, path: str) -> str:
        seen[path] += 1
        return fault if seen[path] < 3 and zlib.crc32(path.encode()) % 3 == 0 else ""

    return judge


@pytest.mark.parametrize("fault", ["503", "429", "reset", "cut"])
@pytest.mark.usefixtures("impatient")
def test_a_fault_now_and_then_is_overcome(
    web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path, fault: str
) -> None:
    name, voxels = image
    with faulty_proxy(web.url) as proxy:
        proxy.fault = twice_for_some(fault)
        array = arrays.open_array(level_of(tmp_path, proxy.url, name))
        assert (array.read(box(voxels)) == voxels).all()
        assert sum(1 for *_, done in proxy.seen if done) > 10


@pytest.mark.parametrize("fault", ["503", "reset", "cut"])
@pytest.mark.usefixtures("impatient")
def test_a_lasting_fault_is_one_sentence(
    web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path, fault: str
) -> None:
    name, _ = image
    with faulty_proxy(web.url) as proxy:
        array = arrays.open_array(level_of(tmp_path, proxy.url, name))
        proxy.fault = always(fault)
        with pytest.raises(ResumableError, match=f"asked {remote.TRIES} times") as caught:
            array.read((slice(0, 8), slice(0, 8)))
        assert re.fullmatch(
            r"http://\S+ cannot be read: its server was asked [^\n]+ when the server works\.", str(caught.value)
        )
        # A connection that is lost while it waits is made anew once more, below the tries.
        assert len([path for _, path, done in proxy.seen if done]) in (remote.TRIES, remote.TRIES + 1)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_goes_away_stops_the_run_which_goes_on_later(
    web: Web,
    image: tuple[str, np.ndarray[Any, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, _ = image
    with faulty_proxy(web.url) as proxy:
        monkeypatch.setenv("CHUNKWISE_SITE", str(site_file(tmp_path, proxy.url)))
        words = ["segment", f"{proxy.url}/{name}", "--workers", "1", "--block", "16,16", "--shard", "16,16"]
        assert main([*words, "--output", str(tmp_path / "whole.ome.zarr")]) == 0
        before = len(proxy.seen)
        capsys.readouterr()
        proxy.fault = lambda count, method, path: "reset" if count > before + 40 else ""
        cut = [*words, "--output", str(tmp_path / "cut.ome.zarr")]
        assert main(cut) == 4
        said = capsys.readouterr().err.splitlines()[-1]
        assert "its server was asked" in said, said
        assert not (tmp_path / "cut.ome.zarr").exists()
        proxy.fault = always("")
        assert main(cut) == 0
    assert digest(tmp_path / "cut.ome.zarr") == digest(tmp_path / "whole.ome.zarr")
    # The same bytes as from the files.
    shutil.copytree(web.files / name, tmp_path / "copy.ome.zarr")
    words[1] = str(tmp_path / "copy.ome.zarr")
    assert main([*words, "--output", str(tmp_path / "local.ome.zarr")]) == 0
    assert digest(tmp_path / "local.ome.zarr") == digest(tmp_path / "whole.ome.zarr")


def test_a_silent_server_is_given_up(web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    name, _ = image
    code = (
        "import sys\nfrom chunkwise.storage import remote\nremote.TRIES, remote.DELAYS = 2, ('10ms', '10ms')\n"
        "from chunkwise.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    with faulty_proxy(web.url) as proxy:
        proxy.fault = always("stall")
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, "open", f"web:{name}", "--output", str(tmp_path / "r.json")],
            env=os.environ
            | {"CHUNKWISE_SITE": str(site_file(tmp_path, proxy.url)), "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "2"},
            capture_output=True,
            text=True,
            timeout=50,
        )
    assert done.returncode == 4
    assert "its server was asked 2 times and did not deliver it" in done.stderr
    assert time.monotonic() - begin < 30


def test_https_with_an_authority_of_ones_own(web: Web, image: tuple[str, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    name, _ = image
    site = site_file(tmp_path, web.tls_url)
    words = [sys.executable, "-m", "chunkwise.cli", "open", f"web:{name}", "--output", str(tmp_path / "r.json")]
    environment = os.environ | {"CHUNKWISE_SITE": str(site)}
    trusted = environment | {"TENSORSTORE_CA_BUNDLE": str(web.authority)}
    done = subprocess.run(words, env=trusted, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert any(request.path.startswith(f"/{name}/") for request in web.requests())
    (tmp_path / "r.json").unlink()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "certificate" in done.stderr.lower()
    assert web.requests() == []


def test_a_key_is_read_whole_or_not_at_all(web: Web, tmp_path: Path) -> None:
    (web.files / "d").mkdir()
    (web.files / "d" / "a b%41ü").write_bytes(b"text")
    place = resolve("web:d", site_of(tmp_path, web.url))
    assert kv.read_key(place, "a b%41ü") == b"text"
    assert kv.read_key(place, "absent") is None


def test_the_proxy_hands_on_what_it_does_not_break(web: Web, tmp_path: Path) -> None:
    (web.files / "e").mkdir()
    (web.files / "e" / "k").write_bytes(b"text")
    with faulty_proxy(web.url) as proxy:
        assert isinstance(proxy, Proxy)
        assert kv.read_key(resolve("web:e", site_of(tmp_path, proxy.url)), "k") == b"text"
        assert [method for method, _, _ in proxy.seen] == ["GET"]
