"""The administrator's guide is a script: its steps lead from an empty folder to a job in place on a real Slurm."""

from __future__ import annotations

import base64
import http.cookiejar
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from scipy import ndimage
from skimage import filters, measure

from galaxy_server import User
from slurm_server import Slurm

pytestmark = [pytest.mark.galaxy, pytest.mark.cluster]

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "admin.md").read_text()
PASSWORD = "a-password-for-tests"


def blocks(text: str) -> str:
    """All commands of a part of the guide, as one script."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


class Site:
    """A place for the guide: its own folders, its own port, and the Slurm that the tests use."""

    def __init__(self, folder: Path, slurm: Slurm) -> None:
        free = [ROOT / ".venv/bin/python", ROOT / "deploy/galaxy/free_port.py", "8820"]
        port = subprocess.run(free, check=True, capture_output=True, text=True).stdout.strip()
        self.slurm = slurm
        self.galaxy, self.results = folder / "galaxy", folder / "results"
        self.url = f"http://127.0.0.1:{port}"
        self.images = folder / "images"
        self.places = {"CHUNKWISE": ROOT, "GALAXY": self.galaxy, "IMAGES": self.images, "RESULTS": self.results}
        self.places |= {"URL": self.url, "ADMIN": "admin@example.org"}
        ours = ("CHUNKWISE", "GALAXY", "PYTHON", "VIRTUAL_ENV")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        self.environment["SLURM_CONF"] = slurm.conf
        self.folder = folder

    def run(self, part: str) -> str:
        """Run a part of the guide, with this site's places; what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(part)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def here(self, part: str) -> str:
        """The commands, each place of the guide's first block being one of this site."""
        given, _, _ = GUIDE.partition("## 1. The storage")
        names = [line.split("=")[0].removeprefix("export ") for line in blocks(given).splitlines()]
        assert names == list(self.places), "the guide asks for other places than this test gives"
        return "\n".join([f"export {name}='{place}'" for name, place in self.places.items()] + [blocks(part)])

    def register(self, name: str) -> str:
        """Do what the page does where somebody registers and makes a key; the key."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        browser.open(self.url, timeout=60).read()
        context = json.load(browser.open(f"{self.url}/context", timeout=60))
        form = {"email": f"{name}@example.org", "username": name, "password": PASSWORD, "confirm": PASSWORD}
        form["session_csrf_token"] = context["session_csrf_token"]
        request = urllib.request.Request(f"{self.url}/user/create", json.dumps(form).encode())
        request.add_header("content-type", "application/json")
        browser.open(request, timeout=60).read()
        ask = urllib.request.Request(f"{self.url}/api/authenticate/baseauth")
        ask.add_header("authorization", "Basic " + base64.b64encode(f"{form['email']}:{PASSWORD}".encode()).decode())
        return str(json.load(urllib.request.urlopen(ask, timeout=60))["api_key"])

    def stop(self) -> None:
        """End both processes of Galaxy, each with its children."""
        for name in ("celery", "web"):
            file = self.galaxy / f"{name}.pid"
            if file.exists():
                try:
                    os.killpg(int(file.read_text()), signal.SIGTERM)
                except ProcessLookupError:
                    continue


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, slurm: Slurm) -> Iterator[tuple[Site, str]]:
    """The guide up to its last step but one; the site, and what the commands printed."""
    place = Site(tmp_path_factory.mktemp("guide"), slurm)
    before, after = GUIDE.split("## 6. The administrator's key\n")
    try:
        printed = place.run(before.partition("## 1. The storage")[2])
        key = place.galaxy / "admin.key"
        key.touch(mode=0o600)
        key.write_text(place.register("admin"))
        printed += place.run(after.partition("## 8. ")[0])
        yield place, printed
    finally:
        place.stop()


@pytest.fixture(scope="module")
def administrator(site: tuple[Site, str]) -> User:
    """The administrator, who is told the numbers of batch jobs."""
    return User(site[0].url, "admin", (site[0].galaxy / "admin.key").read_text())


@pytest.fixture(scope="module")
def person(site: tuple[Site, str]) -> User:
    """An ordinary user who has just registered."""
    return User(site[0].url, "person", site[0].register("person"))


def test_every_command_of_the_guide_is_run() -> None:
    """All blocks of bash are in the part that the fixture and the last test run."""
    first, last = GUIDE.index("```bash"), GUIDE.rindex("```bash")
    assert GUIDE.index("## What you have to decide") < first
    assert last < GUIDE.index("## The other ways")


def test_the_checks_say_that_all_is_well(site: tuple[Site, str]) -> None:
    _, printed = site
    assert "promises, no problems." in printed
    assert printed.count("coins_2d.ome.zarr") == 2, "two nodes see the image"
    for promise in ("roots.images", "roots.results", "roots.jobs", "clusters.cpu"):
        assert promise in printed
    assert printed.count("/workflows/run?id=") == len(list((ROOT / "workflows").glob("*/*.gxwf.yml")))
    config = site[0].galaxy / "config"
    assert config.stat().st_mode & 0o077 == 0
    for file in config.rglob("*"):
        assert file.is_dir() or not re.search(r"@[A-Z_]+@|way [LBC]\b", file.read_text()), file


def test_what_users_find(person: User) -> None:
    """Lists that are filled, tools in their section, the storage, and the workflows."""
    for tool, listed in (("chunkwise_open", "Coins, a photograph"), ("chunkwise_predict", "nuclei (yx):")):
        form = person.call("GET", f"/api/tools/{tool}/build?history_id={person.history}")
        assert listed in json.dumps(form["inputs"])
    sources = person.call("GET", "/api/remote_files/plugins")
    assert "gxfiles://chunkwise_images" in {source["uri_root"] for source in sources}
    published = person.call("GET", "/api/workflows?show_published=true")
    assert len(published) == len(list((ROOT / "workflows").glob("*/*.gxwf.yml")))


def test_the_first_job(site: tuple[Site, str], person: User, administrator: User) -> None:
    place, _ = site
    reference = person.run("chunkwise_open", {"source|kind": "table", "source|store": "coins"})["reference"]
    assert reference["state"] == "ok", person.job_of(reference)
    where = {"destination|where": "workspace", "destination|to_workspace": "coins"}
    settings = {"min_size": 50, "fill_holes": "true", "advanced|block": "100,100"}
    outputs = person.run("chunkwise_segment", {"image": f"hda:{reference['id']}"} | settings | where)
    assert {output["state"] for output in outputs.values()} == {"ok"}, person.job_of(outputs["reference"])

    (store,) = place.results.rglob("coins")
    user, _job, _name = store.relative_to(place.results).parts
    assert user.startswith("user-")
    found = zarr.open_array(store / "0", mode="r")[:]
    image = np.asarray(zarr.open_array(place.images / "coins_2d.ome.zarr" / "0", mode="r")[:])
    smooth = ndimage.gaussian_filter(image, 1)
    objects = measure.label(ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth)), connectivity=2)
    sizes = np.bincount(objects.ravel())
    kept = np.nonzero(sizes[1:] >= 50)[0] + 1
    assert len(kept) > 20
    np.testing.assert_array_equal(found, np.searchsorted(kept, objects, side="right") * np.isin(objects, kept))

    # Both were batch jobs of the cluster, under the class that the rules say.
    numbers = {str(administrator.job_of(output)["external_id"]) for output in (reference, outputs["reference"])}
    assert len(numbers) == 2
    for _ in range(60):
        told = place.slurm.call(
            "sacct", "-n", "-X", "-P", "-o", "State,Partition", "-j", ",".join(numbers)
        ).splitlines()
        if sorted(told) == ["COMPLETED|main", "COMPLETED|short"]:
            break
        time.sleep(1)
    assert sorted(told) == ["COMPLETED|main", "COMPLETED|short"]
    printed = place.run(GUIDE.partition("## 8. ")[2].partition("\n## ")[0])
    assert str(store) in printed
    assert "COMPLETED" in printed
