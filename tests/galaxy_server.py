"""A real Galaxy for the tests, and a small client for its API."""

from __future__ import annotations

import fcntl
import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "RUN", "User", "running_galaxy"]

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".galaxy"


class User:
    """A user of the running Galaxy, with a history of their own."""

    def __init__(self, url: str, name: str, key: str = "") -> None:
        self.url = url
        self.key = key or (RUN / f"{name}.key").read_text().strip()
        self.history = self.call("POST", "/api/histories", {"name": f"test of {name}"})["id"]
        self._deferred: dict[str, str] = {}

    def raw(self, method: str, path: str, body: object = None) -> bytes:
        """Speak to the API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("x-api-key", self.key)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> tuple[bytes, str]:
        """What a browser gets: content and content type."""
        request = urllib.request.Request(self.url + path)
        request.add_header("x-api-key", self.key)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read()), str(answer.headers["content-type"])

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Speak to the API; its JSON."""
        return json.loads(self.raw(method, path, body) or b"null")

    def deferred(self, uri: str, extension: str = "ome_zarr", *, again: bool = False) -> str:
        """Make a deferred dataset: Galaxy keeps the address, the bytes stay.

        That is a job, so that an address has one dataset, unless another is asked for.
        """
        if again or uri not in self._deferred:
            self._deferred |= self.all_deferred(uri, extension=extension)
        return self._deferred[uri]

    def all_deferred(self, *uris: str, extension: str = "ome_zarr") -> dict[str, str]:
        """Make several by one job; their ids by their addresses."""
        elements = [{"src": "url", "url": uri, "ext": extension, "deferred": True, "name": uri} for uri in uris]
        target = {"destination": {"type": "hdas"}, "elements": elements}
        made = self.call("POST", "/api/tools/fetch", {"history_id": self.history, "targets": [target]})
        found = {uri: str(output["id"]) for uri, output in zip(uris, made["outputs"], strict=True)}
        assert {self.wait(identity)["state"] for identity in found.values()} == {"deferred"}
        return found

    def start(self, tool: str, inputs: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """Start a tool, and do not wait; the job, and the ids of its outputs by name."""
        prepared = {
            key: {"values": [{"src": "hda", "id": value.removeprefix("hda:")}]}
            if isinstance(value, str) and value.startswith("hda:")
            else value
            for key, value in inputs.items()
        }
        body = {"history_id": self.history, "tool_id": tool, "inputs": prepared}
        made = self.call("POST", "/api/tools", body)
        return str(made["jobs"][0]["id"]), {output["output_name"]: str(output["id"]) for output in made["outputs"]}

    def run(self, tool: str, inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Run a tool and wait; its outputs by name. A failed job is among them with the state ``error``."""
        return {name: self.wait(identity) for name, identity in self.start(tool, inputs)[1].items()}

    def wait(self, identity: str) -> dict[str, Any]:
        """Wait until a dataset will not change any more."""
        for _ in range(600):
            dataset: dict[str, Any] = self.call("GET", f"/api/histories/{self.history}/contents/{identity}")
            if dataset["state"] in ("ok", "error", "deferred", "empty", "paused", "discarded"):
                return dataset
            time.sleep(0.5)
        raise AssertionError(f"dataset {identity} stayed {dataset['state']}")

    def content(self, dataset: dict[str, Any], name: str = "") -> bytes:
        """The bytes of a dataset, or of one of its extra files, as a browser gets them."""
        query = f"?filename={urllib.parse.quote(name)}" if name else ""
        return self.raw("GET", f"/api/histories/{self.history}/contents/{dataset['id']}/display{query}")

    def download(self, dataset: dict[str, Any], folder: Path) -> None:
        """Write every extra file of a dataset below a folder."""
        for entry in self.call("GET", f"/api/datasets/{dataset['id']}/extra_files"):
            if entry["class"] == "File":
                file = folder / entry["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(self.content(dataset, entry["path"]))

    def job_of(self, dataset: dict[str, Any]) -> dict[str, Any]:
        """What Galaxy knows of the job that made a dataset."""
        job: dict[str, Any] = self.call("GET", f"/api/jobs/{dataset['creating_job']}?full=true")
        return job

    def error_of(self, dataset: dict[str, Any]) -> str:
        """What the job of a failed dataset wrote to stderr."""
        return str(self.job_of(dataset)["stderr"])


@contextmanager
def running_galaxy() -> Iterator[str]:
    """The address of the running Galaxy. One that ran before is left running.

    Several processes may use it; the last of them stops it. That it was started for tests, a file says, and that it is
    in use, a lock that the kernel lets go of when a process ends, however.
    """
    RUN.mkdir(exist_ok=True)
    started = RUN / "started-for-tests"
    with (RUN / "used-by-tests").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        if subprocess.run(["bash", "-c", ". deploy/galaxy/common.sh; alive gunicorn"], cwd=ROOT).returncode:
            started.touch()
        subprocess.run([ROOT / "deploy" / "galaxy" / "up.sh"], check=True)
        yield f"http://127.0.0.1:{(RUN / 'port').read_text().strip()}"
        with suppress(BlockingIOError):  # others use it
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if started.exists():
                subprocess.run([ROOT / "deploy" / "galaxy" / "down.sh"], check=True)
                started.unlink()
