"""The policy: what may be opened, whichever way the place is written."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from chunkwise.cli import main
from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.site import Person, Root, Site
from chunkwise.storage.location import resolve


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Folders to read and to write, one that is like the first in name, one read-only inside the writable one."""
    for name in ("images/a/i.zarr", "images-secret/i.zarr", "results/protected", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    return Site(
        tmp_path / "site.toml",
        {
            "images": Root("images", str(tmp_path / "images"), None, False),
            "results": Root("results", str(tmp_path / "results"), None, True),
            "protected": Root("protected", str(tmp_path / "results" / "protected"), None, False),
            "web": Root("web", None, "https://images.example.org/public", False),
            "odd": Root("odd", None, "https://Images.Example.ORG/a%20b/", False),
            "bucket": Root("bucket", None, "s3://bucket/public", False),
        },
        "results",
    )


# ---- with a site: paths


@pytest.mark.parametrize("text", ["images/a/i.zarr", "images", "images/./a//i.zarr/", "images/b/../a/i.zarr"])
def test_below_a_root(tmp_path: Path, site: Site, text: str) -> None:
    location = resolve(f"{tmp_path}/{text}", site)
    assert location.root == "images"
    assert location.boundary == str(tmp_path / "images")
    assert location.address == os.path.realpath(tmp_path / text)
    assert resolve(f"file://{tmp_path}/{text}", site) == location


@pytest.mark.parametrize(
    "text",
    [
        "images-secret/i.zarr",
        "images/../images-secret/i.zarr",
        "images/a/../../images-secret",
        "",
        "..",
        "images/..",
        "imagesx",
        "image",
    ],
)
@pytest.mark.parametrize("typed", [True, False])
def test_outside_every_root(tmp_path: Path, site: Site, text: str, typed: bool) -> None:
    with pytest.raises(PolicyError, match="none of this site's roots"):
        resolve(f"{tmp_path}/{text}", site, typed=typed)


def test_percent_encoding_means_something_in_file_urls_only(tmp_path: Path, site: Site) -> None:
    with pytest.raises(PolicyError):
        resolve(f"file://{tmp_path}/images/%2e%2e/images-secret/i.zarr", site)
    assert resolve(f"{tmp_path}/images/%2e%2e/x", site).address == f"{tmp_path}/images/%2e%2e/x"
    with pytest.raises(InputError, match="another host"):
        resolve(f"file://server{tmp_path}/images", site)


@pytest.mark.parametrize("link", ["images/link", "images/a/link"])
def test_links_out_of_a_root_are_followed_before_the_comparison(tmp_path: Path, site: Site, link: str) -> None:
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PolicyError):
        resolve(str(tmp_path / link), site)
    with pytest.raises(PolicyError):
        resolve(str(tmp_path / link / "not-there-yet.zarr"), site, write=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "images" / "a")
    assert resolve(str(tmp_path / "elsewhere" / "back" / "i.zarr"), site).address == f"{tmp_path}/images/a/i.zarr"


def test_a_chain_of_links_and_a_loop(tmp_path: Path, site: Site) -> None:
    (tmp_path / "images" / "one").symlink_to(tmp_path / "images" / "two")
    (tmp_path / "images" / "two").symlink_to("../elsewhere")
    with pytest.raises(PolicyError):
        resolve(str(tmp_path / "images" / "one"), site)
    (tmp_path / "images" / "loop").symlink_to("loop")
    assert resolve(str(tmp_path / "images" / "loop"), site).address.startswith(f"{tmp_path}/images/")


def test_a_relative_path_counts_from_the_working_directory(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "images")
    assert resolve("a/i.zarr", site).root == "images"
    with pytest.raises(PolicyError):
        resolve("../images-secret/i.zarr", site)


def test_writing_needs_a_root_to_write_into(tmp_path: Path, site: Site) -> None:
    assert resolve(f"{tmp_path}/results/new.zarr", site, write=True).root == "results"
    assert resolve(f"{tmp_path}/results/new.zarr", site).root == "results"
    with pytest.raises(PolicyError, match="'images', which may be read but not written"):
        resolve(f"{tmp_path}/images/new.zarr", site, write=True)
    with pytest.raises(PolicyError, match="none of this site's roots"):
        resolve(f"{tmp_path}/elsewhere/new.zarr", site, write=True)


def test_the_innermost_root_decides(tmp_path: Path, site: Site) -> None:
    assert resolve(f"{tmp_path}/results/protected/x", site).root == "protected"
    with pytest.raises(PolicyError, match="'protected', which may be read but not written"):
        resolve(f"{tmp_path}/results/protected/x", site, write=True)


def test_a_root_by_name(tmp_path: Path, site: Site) -> None:
    location = resolve("images:a/i.zarr", site)
    assert (location.address, location.relative) == (f"{tmp_path}/images/a/i.zarr", "a/i.zarr")
    assert resolve("images:/a/i.zarr", site) == location
    assert resolve(f"images:{location.relative}", site, typed=False) == location
    assert resolve("images:.", site).relative == "."
    assert resolve("web:a/i.zarr", site).address == "https://images.example.org/public/a/i.zarr"
    assert resolve("web:a/i.zarr", site).relative == "a/i.zarr"
    for text in ("images:../images-secret/i.zarr", "images:a/../../elsewhere", "unknown:a", "web:../private/i.zarr"):
        with pytest.raises(PolicyError):
            resolve(text, site)


# ---- with a site: people


def shared(tmp_path: Path, user: str | None) -> Site:
    """A root for everybody; in it one for a laboratory, in that one for a guest; and Galaxy's own folder."""
    for name in ("data/all", "data/lab/own", "data/lab/guest/own", "galaxy/dataset"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    if not (tmp_path / "data" / "all" / "link").is_symlink():
        (tmp_path / "data" / "all" / "link").symlink_to(tmp_path / "data" / "lab" / "own")
    return Site(
        tmp_path / "site.toml",
        {
            "data": Root("data", str(tmp_path / "data"), None, False),
            "lab": Root("lab", str(tmp_path / "data" / "lab"), None, True, users=("*@lab.org",), groups=("lab",)),
            "guest": Root("guest", str(tmp_path / "data" / "lab" / "guest"), None, False, users=("Guest@x.org",)),
            "galaxy": Root("galaxy", str(tmp_path / "galaxy"), None, True, named_by_users=False),
            "web": Root("web", None, "https://images.example.org/a", False),
            "hidden": Root("hidden", None, "https://images.example.org/a/b", False, roles=("curator",)),
        },
        person=Person(user),
    )


@pytest.mark.parametrize("form", ["{top}/{path}", "file://{top}/{path}", "data:{inside}"])
@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize(
    ("user", "path", "root"),
    [
        ("anna@lab.org", "data/all", "data"),
        ("anna@lab.org", "data/lab/own", "lab"),
        ("anna@lab.org", "data/all/link", "lab"),
        ("anna@lab.org", "data/lab/guest/own", None),
        ("guest@x.org", "data/lab/guest/own", "guest"),
        ("guest@x.org", "data/lab/own", None),
        ("guest@x.org", "data/all/link", None),
        ("eve@lab.org.evil.org", "data/lab/own", None),
        (None, "data/all", "data"),
        (None, "data/lab", None),
        (None, "data/lab/own", None),
        (None, "data/lab/absent", None),
    ],
)
def test_the_innermost_root_decides_for_whom(
    tmp_path: Path, form: str, typed: bool, user: str | None, path: str, root: str | None
) -> None:
    site, text = shared(tmp_path, user), form.format(top=tmp_path, path=path, inside=path.removeprefix("data/"))
    if root is not None:
        assert resolve(text, site, typed=typed).root == root
        return
    with pytest.raises(PolicyError) as refused:
        resolve(text, site, typed=typed)
    # The sentence is that of a place that no root was ever over, and names no root that is closed.
    with pytest.raises(PolicyError) as nowhere:
        resolve("/nowhere", site, typed=typed)
    assert str(refused.value).replace(text.removeprefix("file://"), "/nowhere") == str(nowhere.value)
    assert "guest" not in str(nowhere.value).replace(str(tmp_path), "") or user == "guest@x.org"


def test_groups_and_roles(tmp_path: Path) -> None:
    site = shared(tmp_path, None)
    assert resolve("lab:own", replace(site, person=Person(groups=frozenset({"lab"})))).relative == "own"
    hidden = "https://images.example.org/a/b/i.zarr"
    assert resolve(hidden, replace(site, person=Person(roles=frozenset({"curator"})))).root == "hidden"
    for text in (hidden, "web:b/i.zarr", "hidden:i.zarr", "https://images.example.org/a/x/%2e%2e/b", "lab:own"):
        with pytest.raises(PolicyError, match="none of this site's roots"):
            resolve(text, site)


@pytest.mark.parametrize("typed", [True, False])
def test_the_name_of_a_closed_root_is_no_name(tmp_path: Path, typed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where the job's own folder lies below a root, nor elsewhere."""
    monkeypatch.chdir(tmp_path)
    said = set()
    for folder in (".", "galaxy"):
        site = shared(tmp_path, None)
        monkeypatch.chdir(tmp_path / folder)
        for name in ("lab", "hidden", "galaxy", "absent"):
            with pytest.raises(PolicyError) as refused:
                resolve(f"{name}:own", site, typed=typed)
            said.add(str(refused.value).replace(f"{name}:own", "X"))
    assert len(said) == 1


def test_two_roots_at_one_place(tmp_path: Path) -> None:
    """One to read for everybody, one to write for some: each gives what it gives."""
    place = str(tmp_path / "data")
    roots = {
        "read": Root("read", place, None, False),
        "write": Root("write", place, None, True, groups=("staff",)),
    }
    site = Site(tmp_path / "site.toml", roots)
    assert resolve(f"{place}/x", site).root == "read"
    with pytest.raises(PolicyError, match="not written"):
        resolve(f"{place}/x", site, write=True)
    staff = replace(site, person=Person(groups=frozenset({"staff"})))
    assert resolve(f"{place}/x", staff, write=True).root == "write"


def test_closed_roots_are_not_reached_from_inside_a_store(tmp_path: Path) -> None:
    site = shared(tmp_path, None)
    store = resolve(f"{tmp_path}/data", site)
    for path in ("lab", "lab/own", "all/link", "all/link/x", "all/../lab/own"):
        with pytest.raises(PolicyError, match="not allowed"):
            store.child(path)
    assert store.child("all").address == f"{tmp_path}/data/all"
    with pytest.raises(PolicyError, match="not allowed"):
        resolve("web:.", site).child("b")
    anna = resolve(f"{tmp_path}/data", shared(tmp_path, "anna@lab.org"))
    assert anna.child("lab/own").address == f"{tmp_path}/data/lab/own"
    with pytest.raises(PolicyError, match="not allowed"):
        anna.child("lab").child("guest/own")


def test_what_only_galaxy_may_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = shared(tmp_path, None)
    (tmp_path / "galaxy" / "other").mkdir()
    (tmp_path / "galaxy" / "dataset" / "link").symlink_to(tmp_path / "galaxy" / "other")
    (tmp_path / "data" / "all" / "into").symlink_to(tmp_path / "galaxy" / "other")
    dataset = f"{tmp_path}/galaxy/dataset"
    location = resolve(dataset, site)
    assert (location.root, location.relative) == ("galaxy", "dataset")
    assert resolve(f"{dataset}/new.zarr", site, write=True).relative == "dataset/new.zarr"
    for text in (f"file://{dataset}", "galaxy:dataset"):
        with pytest.raises(PolicyError, match="none of this site's roots"):
            resolve(text, site)
    for text in (dataset, f"{tmp_path}/data/all/into"):
        with pytest.raises(PolicyError, match="none of this site's roots"):
            resolve(text, site, typed=False)
    # Metadata and links are named by whoever wrote them: one dataset does not lead into another.
    with pytest.raises(PolicyError, match="not allowed"):
        location.child("link")
    with pytest.raises(PolicyError, match="not allowed"):
        resolve("data:all", site).child("into")


# ---- with a site: URLs


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://images.example.org/public/i.zarr", "https://images.example.org/public/i.zarr"),
        ("https://IMAGES.example.org/public/x/../i.zarr/", "https://images.example.org/public/i.zarr"),
        ("https://images.example.org/public", "https://images.example.org/public"),
        ("https://images.example.org//public//i.zarr", "https://images.example.org/public/i.zarr"),
        ("https://images.example.org/%70ublic/my%20i.zarr", "https://images.example.org/public/my%20i.zarr"),
        ("https://images.example.org/public/100%25.zarr", "https://images.example.org/public/100%25.zarr"),
        ("https://images.example.org/public/%3Fa%23b", "https://images.example.org/public/%3Fa%23b"),
        ("https://images.example.org/a%20b/i.zarr", "https://images.example.org/a%20b/i.zarr"),
        ("s3://bucket/public/i.zarr", "s3://bucket/public/i.zarr"),
    ],
)
def test_urls_below_a_root(site: Site, text: str, address: str) -> None:
    location = resolve(text, site)
    assert location.address == address
    assert location.is_url
    assert resolve(address, site, typed=False) == location
    if location.relative != ".":
        assert resolve(f"{location.root}:{location.relative}", site) == location


@pytest.mark.parametrize(
    "text",
    [
        "https://images.example.org/",
        "https://images.example.org/public-not/i.zarr",
        "https://images.example.org/private/i.zarr",
        "https://images.example.org/public/../private/i.zarr",
        "https://images.example.org/public/%2e%2e/private/i.zarr",
        "https://images.example.org/public/%2E%2e%2fprivate/i.zarr",
        "https://images.example.org/public%2f..%2fprivate",
        "https://images.example.org.evil.example/public/i.zarr",
        "https://images.example.org:8080/public/i.zarr",
        "http://images.example.org/public/i.zarr",
        "https://user@images.example.org/public/i.zarr",
        "https://images.example.org@evil.example/public/i.zarr",
        "https://images.example.org/public/i.zarr?redirect=x",
        "https://images.example.org/public/i.zarr#x",
        "https:///public/i.zarr",
        "s3://bucket2/public/i.zarr",
        "s3://bucket/private/i.zarr",
    ],
)
def test_urls_outside_every_root(site: Site, text: str) -> None:
    with pytest.raises(PolicyError):
        resolve(text, site)


def test_what_is_encoded_twice_stays_encoded(site: Site) -> None:
    address = resolve("https://images.example.org/public/%252e%252e/private/i.zarr", site).address
    assert address == "https://images.example.org/public/%252e%252e/private/i.zarr"


def test_urls_are_never_written(site: Site) -> None:
    with pytest.raises(PolicyError, match="may be read but not written"):
        resolve("https://images.example.org/public/new.zarr", site, write=True)


@pytest.mark.parametrize("text", ["ftp://images.example.org/public", "gs://bucket/x", "javascript://x", "HTTPS2://x"])
def test_other_schemes(site: Site, text: str) -> None:
    with pytest.raises(InputError, match="cannot read"):
        resolve(text, site)


# ---- without a site


def test_what_a_person_types_is_allowed(tmp_path: Path) -> None:
    location = resolve(str(tmp_path / "x" / ".." / "i.zarr"), None)
    assert (location.address, location.root, location.boundary) == (f"{tmp_path}/i.zarr", None, None)
    assert location.relative == location.address


def test_what_a_file_says_stays_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "work-secret").mkdir()
    (work / "link").symlink_to(tmp_path / "work-secret")
    monkeypatch.chdir(work)
    location = resolve(str(work / "i.zarr"), None, typed=False)
    assert location.boundary == str(work)
    for text in (tmp_path / "i.zarr", tmp_path / "work-secret", work / "..", work / "link" / "i.zarr", "../i.zarr"):
        with pytest.raises(PolicyError, match="outside the working directory"):
            resolve(str(text), None, typed=False)
    with pytest.raises(PolicyError, match="symbolic link"):
        resolve(str(work), None, typed=False).child("link")


@pytest.mark.parametrize("text", ["https://me:hush@x.org/i", "s3://me:hush@b/i", "ftp://hush@x/i", "file://hush@x/i"])
def test_a_password_is_not_repeated(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PolicyError, match="may not carry a user name") as caught:
        resolve(text, None)
    assert "hush" not in str(caught.value)
    for words in (["verify", text], ["convert", "i.ome.zarr", "--output", "o.ome.zarr", f"--record={text}"]):
        assert main(words) in (2, 3)
        assert "hush" not in capsys.readouterr().err


@pytest.mark.parametrize("end", ["?b", "#b"])
def test_of_a_file_url_nothing_is_left_out(end: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="%3F"):
        resolve(f"file://{tmp_path}/a{end}", None)
    with pytest.raises(InputError, match="not a URL"):
        resolve("https://[::1/i", None)


@pytest.mark.parametrize("typed", [True, False])
def test_urls_need_a_site(typed: bool) -> None:
    with pytest.raises(PolicyError, match="without a site file"):
        resolve("https://images.example.org/public/i.zarr", None, typed=typed)


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_is_no_location(text: str) -> None:
    with pytest.raises(ChunkwiseError):
        resolve(text, None)


# ---- going inside


def test_children_stay_inside_a_store(tmp_path: Path, site: Site) -> None:
    store = resolve(f"{tmp_path}/images/a", site)
    assert store.child("i.zarr").address == f"{tmp_path}/images/a/i.zarr"
    assert store.child("i.zarr").boundary == store.boundary
    assert store.child(".") == store.child("") == store
    assert store.child("x/../i.zarr") == store.child("i.zarr")
    for path in ("..", "../b", "i.zarr/../../b", "/etc/passwd", f"{tmp_path}/images", "../a-secret"):
        with pytest.raises(PolicyError, match="is not inside it"):
            store.child(path)


def test_links_inside_a_store_stay_inside_the_root(tmp_path: Path, site: Site) -> None:
    store = resolve(f"{tmp_path}/images/a", site)
    (tmp_path / "images" / "a" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "a" / "near").symlink_to(tmp_path / "images-secret")
    (tmp_path / "images" / "b").mkdir()
    (tmp_path / "images" / "a" / "shared").symlink_to(tmp_path / "images" / "b")
    for path in ("out", "out/x", "near/i.zarr"):
        with pytest.raises(PolicyError, match="symbolic link"):
            store.child(path)
    assert store.child("shared/x").address == f"{tmp_path}/images/b/x"


@pytest.mark.parametrize("path", ["..", "../i2.zarr", "0/../../private", "/../x"])
def test_children_of_a_url(site: Site, path: str) -> None:
    store = resolve("https://images.example.org/public/i.zarr", site)
    assert store.child("0").address == "https://images.example.org/public/i.zarr/0"
    with pytest.raises(PolicyError, match="is not inside it"):
        store.child(path)


@pytest.mark.parametrize(
    ("path", "tail"), [("a b", "a%20b"), ("%2e%2e/x", "%252e%252e/x"), ("a?b#c", "a%3Fb%23c"), ("100%", "100%25")]
)
def test_names_in_metadata_are_names_not_urls(site: Site, path: str, tail: str) -> None:
    store = resolve("https://images.example.org/public/i.zarr", site)
    assert store.child(path).address == f"https://images.example.org/public/i.zarr/{tail}"


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not in UTF-8"):
        resolve(os.fsdecode(b"/data/\xff.zarr"), None)
