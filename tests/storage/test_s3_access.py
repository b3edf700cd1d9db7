"""Who may do what on a real S3 server: keys, prefixes, buckets and servers that do not fit, and what is said."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from chunkwise.blocks.run import Run
from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError, InputError, PolicyError, ResumableError
from chunkwise.ngff.read import open_image
from chunkwise.site import Root, Site
from chunkwise.storage import arrays, kv, remote
from chunkwise.storage.location import Location, resolve
from faulty_proxy import faulty_proxy
from made_stores import write
from s3_place import Place
from s3_server import S3
from web_server import free_port

pytestmark = pytest.mark.s3


@pytest.fixture
def place(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(s3, tmp_path)
    monkeypatch.setenv("CHUNKWISE_SITE", str(made.file))
    monkeypatch.chdir(tmp_path)
    return made


def said_by(place: Place, root: Root, capsys: pytest.CaptureFixture[str] | None = None) -> str:
    site = Site(place.file, {"x": root})
    with pytest.raises(ChunkwiseError) as caught:
        open_image(resolve("x:i.ome.zarr", site))
    words = str(caught.value)
    assert words.endswith(".")
    assert "\n" not in words
    assert place.s3.secret not in words
    return words


@pytest.mark.usefixtures("impatient")
def test_keys_that_do_not_fit(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"s3://images/{place.prefix}"
    good = place.access(place.s3.url)
    guest, nobody = (good | {"credentials_profile": name} for name in ("guest", "nobody"))
    assert "(HTTP 403, AccessDenied)" in said_by(place, Root("x", None, url, False, **guest))
    assert "no keys for the profile 'nobody'" in said_by(place, Root("x", None, url, False, **nobody))
    wrong = tmp_path / "wrong"
    wrong.write_text("[default]\naws_access_key_id = lab:owner\naws_secret_access_key = guessed\n")
    wrong.chmod(0o600)
    words = said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    assert "(HTTP 403, SignatureDoesNotMatch)" in words
    assert "the keys of the root 'x' have to be correct" in words
    wrong.chmod(0o644)
    remote._check_keys.cache_clear()
    words = said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    assert "can be read by others" in words
    wrong.write_bytes(b"\xff\xfenonsense")
    wrong.chmod(0o600)
    remote._check_keys.cache_clear()
    assert "is damaged" in said_by(place, Root("x", None, url, False, **good | {"credentials_file": str(wrong)}))
    absent = good | {"credentials_file": str(tmp_path / "absent")}
    assert "No such file" in said_by(place, Root("x", None, url, False, **absent))


def test_keys_from_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root("x", None, f"s3://images/{place.prefix}", False, endpoint=place.s3.url, credentials="environment")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set" in said_by(place, root)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "lab:owner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", place.s3.secret)
    assert open_image(resolve("x:i.ome.zarr", Site(place.file, {"x": root}))).levels[0].shape == (300, 300)


def test_nothing_that_travels_holds_a_key(place: Place) -> None:
    location = resolve("images:i.ome.zarr", place.site)
    run = Run("folder", location, "hash")
    for text in (repr(location), str(location), pickle.dumps(run).decode("latin-1"), repr(run)):
        assert place.s3.secret not in text
    assert str(place.s3.credentials) not in repr(run)
    # A worker can open it with what travelled.
    store = pickle.loads(pickle.dumps(location))
    assert open_image(store).levels[0].shape == (300, 300)


def test_site_check_tries_buckets_and_keys(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    def root(name: str, bucket: str, profile: str = "default", access: str = "read") -> str:
        return (
            f'[roots.{name}]\nurl = "s3://{bucket}/a"\naccess = "{access}"\nendpoint = "{place.s3.url}"\n'
            f'credentials = "file"\ncredentials_file = "{place.s3.credentials}"\ncredentials_profile = "{profile}"\n'
        )

    place.file.write_text(root("good", "images") + root("written", "results", access="write"))
    assert main(["site", "check"]) == 0
    assert "s3://results/a can be written" in capsys.readouterr().out
    place.file.write_text(root("absent", "absent") + root("closed", "images", "guest"))
    assert main(["site", "check"]) == 1
    said = capsys.readouterr().out
    assert "there is no bucket 'absent'" in said
    assert "(HTTP 403, AccessDenied)" in said
    assert place.s3.secret not in said


@pytest.mark.usefixtures("impatient")
def test_a_chunk_that_cannot_be_read_is_named(place: Place) -> None:
    with faulty_proxy(place.s3.url) as proxy:
        array = arrays.open_array(resolve("images:i.ome.zarr/0", place.use(proxy.url)))
        for fault, said in (("403", "HTTP 403"), ("503", "HTTP 503"), ("302", "HTTP 302"), ("reset", "CURL error")):
            proxy.fault = lambda count, method, path, fault=fault: fault
            with pytest.raises(ChunkwiseError, match=said) as caught:
                array.read((slice(0, 64), slice(0, 64)))
            assert str(caught.value).startswith(f"s3://images/{place.prefix}/i.ome.zarr/0/c/0/0 cannot be read: ")


@pytest.mark.usefixtures("impatient")
def test_servers_and_buckets_that_are_not_there(place: Place) -> None:
    good = place.access(place.s3.url)
    down = good | {"endpoint": f"http://127.0.0.1:{free_port()}"}
    words = said_by(place, Root("x", None, "s3://images/a", False, **down))
    assert "its server was asked 6 times and did not deliver it (CURL error Could not connect" in words
    root = Root("x", None, "s3://absent/a", True, **good)
    target = resolve("x:s.zarr", Site(place.file, {"x": root}), write=True)
    for ask in (lambda: kv.list_keys(target), lambda: kv.put_key(target, "k", b"v")):
        with pytest.raises((InputError, ResumableError), match="there is no bucket 'absent' at its server"):
            ask()
    with pytest.raises(InputError, match="there is no bucket 'absent'"):
        open_image(target)


def test_only_listed_prefixes(place: Place) -> None:
    prefix = place.prefix
    for text in (
        "s3://images/other/i.zarr",
        f"s3://images/{prefix}x/i.zarr",
        f"s3://images/{prefix}/../other/i.zarr",
        f"s3://images/{prefix}/%2e%2e/other",
        f"s3://images/{prefix}/a/%2E%2e%2f../other",
        "s3://images",
        f"s3://image/{prefix}/i.zarr",
        f"s3://images@results/{prefix}/i.zarr",
        f"s3://images:80/{prefix}/i.zarr",
        f"{place.s3.url}/images/{prefix}/i.ome.zarr",
        "images:../i.zarr",
        "images:%2e%2e/i.zarr",
    ):
        with pytest.raises(PolicyError):
            resolve(text, place.site)
    for text in (f"s3://images/{prefix}/i.zarr", "images:i.zarr"):
        with pytest.raises(PolicyError, match="may be read but not written"):
            resolve(text, place.site, write=True)
    inside = resolve("images:i.ome.zarr", place.site)
    for path in ("../x", "..", "0/../../x", "a/%2e%2e/../../../x"):
        with pytest.raises(PolicyError):
            inside.child(path)
    assert kv.read_key(inside, "%2e%2e/zarr.json") is None
    assert kv.read_key(inside, "zarr.json") is not None


def test_a_public_bucket_is_read_without_keys(place: Place, tmp_path: Path) -> None:
    """Without keys a request for an object is that of a web page: any web server can stand for the bucket."""
    from web_server import running_nginx

    with running_nginx(tmp_path / "public") as web:
        write(web.files / "bucket" / "i.ome.zarr", "0.5", "yx", (16, 16))
        root = Root("x", None, "s3://bucket", False, endpoint=web.url)
        place_of = resolve("x:i.ome.zarr", Site(place.file, {"x": root}))
        assert open_image(place_of).levels[0].shape == (16, 16)
        assert (arrays.open_array(place_of.child("0")).read((slice(0, 16), slice(0, 16))) == 0).all()
        assert isinstance(place_of, Location)
