"""``chunkwise site check`` tries what the file promises; each promise is broken once, and that is seen."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chunkwise import __version__
from chunkwise.cli import main
from s3_server import S3
from slurm_server import Slurm

Check = Callable[..., dict[str, set[tuple[str, str]]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Write a site file, check it, and give what was said of each section."""

    def run(text: str, code: int = 0) -> dict[str, set[tuple[str, str]]]:
        (tmp_path / "site.toml").write_text(text.replace("TMP", str(tmp_path)))
        monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
        assert main(["site", "check", "--json"]) == code
        found: dict[str, set[tuple[str, str]]] = {}
        for row in json.loads(capsys.readouterr().out):
            found.setdefault(row["what"], set()).add((row["state"], row["says"]))
        return found

    return run


def states(found: dict[str, set[tuple[str, str]]], what: str) -> set[str]:
    return {state for state, _ in found[what]}


def test_a_site_that_keeps_its_word(tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("images", "results", "models"):
        (tmp_path / folder).mkdir()
    text = (
        '[roots.images]\npath = "TMP/images"\nusers = ["anna@example.org"]\n'
        '[roots.results]\npath = "TMP/results"\naccess = "write"\n'
        '[workspace]\nroot = "results"\nlayout = "user/job"\numask = "0027"\nkeep = "90d"\n'
        f'[clusters.here]\ninterface = "lo"\npython = "{sys.executable}"\nfolder = "TMP/results"\n'
        '[models]\nlibrary = "TMP/models"\n'
    )
    found = check(text)
    assert states(found, "roots.images") == states(found, "roots.results") == {"ok"}
    assert states(found, "workspace") == {"ok", "not tested"}
    assert states(found, "clusters.here") == {"ok"}
    assert states(found, "people") == {"not tested"}
    assert list((tmp_path / "results").iterdir()) == [], "nothing is left of what was tried"
    assert main(["site", "check"]) == 0
    said = capsys.readouterr().out
    assert f"ok          roots.images: {tmp_path}/images can be read\n" in said
    assert said.endswith("no problems.\n")


@pytest.mark.parametrize(
    ("text", "what", "says"),
    [
        ('[roots.a]\npath = "TMP/absent"', "roots.a", "cannot be read: No such file"),
        ('[roots.a]\npath = "TMP/site.toml"', "roots.a", "cannot be read: Not a directory"),
        ('[roots.a]\npath = "/proc"\naccess = "write"', "roots.a", "cannot be written to"),
        ('[roots.a]\nurl = "http://127.0.0.1:1/x"', "roots.a", "127.0.0.1:1"),
        (
            '[roots.a]\nurl = "s3://b"\nendpoint = "http://127.0.0.1:1"\ncredentials = "file"\n'
            'credentials_file = "TMP/open"',
            "roots.a",
            "can be read by others",
        ),
        (
            '[roots.r]\npath = "TMP"\naccess = "write"\n[workspace]\nroot = "r"\ngroup = "no-such-group"',
            "workspace",
            "no-such-group",
        ),
        ('[roots.r]\npath = "/proc"\naccess = "write"\n[workspace]\nroot = "r"', "workspace", "cannot be made"),
        ('[clusters.c]\ninterface = "ib99"', "clusters.c", "ib99 is not one of"),
        ('[clusters.c]\npython = "/bin/sh"', "clusters.c", "/bin/sh has no chunkwise"),
        ('[clusters.c]\nfolder = "TMP/absent"', "clusters.c", "cannot be read"),
        ('[models]\nlibrary = "TMP/absent"', "models", "cannot be read"),
        ('[models]\nlibrary = "TMP/everybody"', "models", "written by everybody"),
        (
            '[clusters.c]\nkind = "address"\naddress = "tls://127.0.0.1:1"\ntls_ca = "TMP/open"\n'
            'tls_cert = "TMP/open"\ntls_key = "TMP/open"',
            "clusters.c",
            "can be read by others",
        ),
    ],
)
def test_each_promise_that_is_broken(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch, text: str, what: str, says: str
) -> None:
    monkeypatch.setattr("chunkwise.storage.remote.TRIES", 1)
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "everybody").mkdir()
    (tmp_path / "everybody").chmod(0o777)
    found = check(text, 1)
    problems = [sentence for state, sentence in found[what] if state == "problem"]
    assert any(says in sentence for sentence in problems), found
    assert not any("\n" in sentence for sentence in problems)


def test_where_outputs_go(tmp_path: Path, check: Check) -> None:
    for folder in ("results", "jobs", "images"):
        (tmp_path / folder).mkdir()
    assert check("")["outputs"] == {("not tested", "no root may be written to, so no command can write a file")}
    results = '[roots.results]\npath = "TMP/results"\naccess = "write"\n'
    jobs = '[roots.jobs]\npath = "TMP/jobs"\naccess = "job"\n'
    assert states(check(results), "outputs") == {"ok", "not tested"}
    found = check(results + jobs)
    assert found["outputs"] == {("ok", "what commands write goes below results or jobs, and nowhere else")}
    assert states(found, "roots.jobs") == {"ok"}
    # A root at the same place undoes what another one promises.
    for root in ('[roots.images]\npath = "TMP/results"\n', '[roots.images]\npath = "TMP/jobs"\n'):
        ((_, says),) = [one for one in check(results + jobs + root, 1)["roots.images"] if one[0] == "problem"]
        assert "can be written, since another root" in says
    named = '[roots.images]\npath = "TMP/jobs"\naccess = "write"\n'
    assert "problem" in states(check(results + jobs + named, 1), "roots.jobs")
    assert "problem" in states(check('[roots.jobs]\npath = "TMP/absent"\naccess = "job"\n', 1), "roots.jobs")


def test_a_file_that_everybody_may_write(tmp_path: Path, check: Check) -> None:
    check("")
    (tmp_path / "site.toml").chmod(0o666)
    assert states(check("", 1), "file") == {"problem"}


def test_another_version_of_chunkwise(tmp_path: Path, check: Check) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 0.0.1\n")
    python.chmod(0o755)
    ((state, says),) = check(f'[clusters.c]\npython = "{python}"', 1)["clusters.c"] - {
        ("ok", "processes of the job itself")
    }
    assert (state, says) == ("problem", f"{python} has chunkwise 0.0.1, and this is {__version__}")


@pytest.fixture
def web() -> Iterator[str]:
    """A server that has nothing below /files, and sends everybody elsewhere from /moved."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301 if self.path.startswith("/moved") else 404)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_web_address(check: Check, web: str) -> None:
    assert check(f'[roots.a]\nurl = "{web}/files"\nroles = ["x"]')["roots.a"] == {("ok", f"{web}/files answers")}
    assert states(check(f'[roots.a]\nurl = "{web}/moved"', 1), "roots.a") == {"problem"}


def test_keys_from_the_environment(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setattr("chunkwise.storage.remote.TRIES", 1)
    text = '[roots.a]\nurl = "s3://b"\nendpoint = "http://127.0.0.1:1"\ncredentials = "environment"'
    assert "not tested" in states(check(text, 1), "roots.a")


@pytest.mark.s3
def test_on_a_real_s3(s3: S3, check: Check) -> None:
    root = (
        f'[roots.a]\nurl = "s3://results/{s3.prefix()}"\naccess = "write"\nendpoint = "{s3.url}"\n'
        f'credentials = "file"\ncredentials_file = "{s3.credentials}"\n'
    )
    found = check(root)["roots.a"]
    assert {state for state, _ in found} == {"ok"}
    assert any("can be written" in says for _, says in found)
    for broken in (root.replace("s3://results", "s3://absent"), root + 'credentials_profile = "guest"\n'):
        found = check(broken, 1)["roots.a"]
        assert "problem" in {state for state, _ in found}
        assert not any(s3.secret in says for _, says in found)


def test_an_address_where_nobody_speaks_tls(tmp_path: Path, check: Check) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = (
            f'[clusters.c]\nkind = "address"\naddress = "tls://127.0.0.1:{server.getsockname()[1]}"\n'
            'tls_ca = "TMP/ca"\ntls_cert = "TMP/cert"\ntls_key = "TMP/key"'
        )
        found = check(text, 1)
    assert states(found, "clusters.c") == {"ok", "problem"}


def test_without_slurm(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ((state, says),) = check('[clusters.c]\nkind = "slurm"', 1)["clusters.c"]
    assert (state, says) == ("problem", "sbatch, squeue, scancel, scontrol is not on the path")


@pytest.mark.cluster
def test_on_the_real_slurm(slurm: Slurm, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", os.environ.get("SLURM_CONF", str(slurm.conf)))
    profile = '[clusters.c]\nkind = "slurm"\npartition = "main"\nmemory_per_worker = "100MB"\n'
    assert check(profile)["clusters.c"] == {("ok", "sbatch would accept a worker")}
    for line, says in (
        ('partition = "absent"', "knows no partition 'absent'"),
        ('partition = "main"\nconstraint = "absent"', "sbatch would not accept a worker"),
        ('partition = "main"\nsbatch = ["--no-such-option"]', "sbatch would not accept a worker"),
    ):
        ((state, sentence),) = check(profile.replace('partition = "main"', line), 1)["clusters.c"]
        assert state == "problem"
        assert says in sentence


def test_without_a_site_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHUNKWISE_SITE", raising=False)
    monkeypatch.setattr("chunkwise.site.read.DEFAULT_SITE_FILE", tmp_path / "absent.toml")
    assert main(["site", "check"]) == 2
