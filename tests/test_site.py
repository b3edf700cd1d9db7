"""The site file: read strictly, found where the administrator said."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunkwise.errors import InputError
from chunkwise.site import load_site

WHOLE = """
[roots.images]
path = "{folder}/link"

[roots.web]
url = "https://images.example.org/public/"
access = "read"

[roots.results]
path = "{folder}/results"
access = "write"

[workspace]
root = "results"
"""


def test_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    (tmp_path / "site.toml").write_text(WHOLE.format(folder=tmp_path))
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    site = load_site()
    assert site is not None
    assert site.workspace is not None
    assert site.workspace.root == "results"
    assert site.roots["images"].path == str(tmp_path / "images")
    assert not site.roots["images"].writable
    assert site.roots["web"].url == "https://images.example.org/public"
    assert site.roots["results"].writable


def test_without_a_file_there_is_no_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", tmp_path / "absent.toml")
    assert load_site() is None
    (tmp_path / "present.toml").write_text("")
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", tmp_path / "present.toml")
    site = load_site()
    assert site is not None
    assert site.roots == {}


def test_a_named_file_that_is_missing_is_an_error_not_a_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "absent.toml"))
    with pytest.raises(InputError, match="cannot be read"):
        load_site()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[roots", "cannot be read"),
        ("\xff", "cannot be read"),
        ("[surprise]\n", "unknown section 'surprise'"),
        ("[roots]\nimages = 1\n", "has to be a section"),
        ('roots = "x"\n', "roots"),
        ('workspace = "x"\n', "workspace"),
        ('[roots.a]\npath = "/data"\nmode = "x"\n', "unknown key 'mode'"),
        ("[roots.a]\n", "either a path or a url"),
        ('[roots.a]\npath = "/data"\nurl = "https://x"\n', "either a path or a url"),
        ('[roots.a]\npath = "data"\n', "absolute"),
        ("[roots.a]\npath = 1\n", "in quotation marks"),
        ("[roots.a]\nurl = 1\n", "text"),
        ('[roots.a]\npath = "/data"\naccess = "all"\n', "access"),
        ('[roots.a]\nurl = "ftp://x"\n', "has to begin"),
        ('[roots.a]\nurl = "https://me:hush@x"\n', "address alone"),
        ('[roots.a]\nurl = "https://x/?a=b"\n', "address alone"),
        ('[roots.a]\nurl = "https://[::1/x"\n', "address alone"),
        ('[roots.a]\nurl = "s3://x"\naccess = "job"\n', "jobs run in folders"),
        ('[roots.a]\npath = "/data"\naccess = "job"\nusers = ["x@y.z"]\n', "everybody's jobs"),
        ('[roots.a]\npath = "/data"\naccess = "job"\nnamed_by_users = true\n', "nobody may name"),
        ('[roots.a]\npath = "/data"\naccess = "job"\n[workspace]\nroot = "a"\n', "no reference could name"),
        ('[roots.a]\nurl = "https://x"\naccess = "write"\n', "only be read"),
        ('[workspace]\nroot = "absent"\n', "workspace"),
        ('[roots.a]\npath = "/data"\n[workspace]\nroot = "a"\n', "workspace"),
        ('[roots."a/b"]\npath = "/data"\n', "name"),
        ('[roots."a:b"]\npath = "/data"\n', "name"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, why: str) -> None:
    (tmp_path / "site.toml").write_bytes(content.encode("latin-1"))
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    with pytest.raises(InputError, match=why) as caught:
        load_site()
    assert str(tmp_path / "site.toml") in str(caught.value)
