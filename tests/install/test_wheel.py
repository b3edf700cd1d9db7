"""What a packager does: build the sdist, from it and without network a wheel, and install that for others.

Everything that runs here is the installed wheel, on a read-only file system, as a user who has no home, owns nothing
but a folder for results, and may write no byte-code.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

from another_user import AS_NOBODY, NOBODY

#: Building takes both cores, and the runs are compared by their CPU-seconds.
pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
COINS = ROOT / "test-data" / "coins_2d.ome.zarr"
UV = Path(sys.executable).with_name("uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def without_network() -> list[str]:
    """What to put before a command so that it has no network; nothing where the system does not permit that."""
    words = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    return [] if subprocess.run([*words, "true"], capture_output=True).returncode else words


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build an sdist or a wheel in no environment but this one, as conda-forge and Debian do."""
    options = ["--offline", "--no-cache", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder)]
    call = [*without_network(), str(UV), "build", f"--{kind}", *options, str(source)]
    # The bin folder has cmake and ninja.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{UV.parent}:{environment['PATH']}"
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist makes: it shows that the sdist has all that a build needs."""
    sdist = build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    return build("wheel", sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A read-only virtual environment with the wheel in it; the packages that it needs are those of the tests."""
    place = tmp_path_factory.mktemp("installation")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        venv = place / "venv"
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True)
        installing = [UV, "pip", "install", "--quiet", "--offline", "--no-deps"]
        # From here, as the container does, pyproject.toml makes uv compile the byte-code.
        subprocess.run([*installing, "--python", venv / "bin" / "python", wheel], cwd=ROOT, check=True)
        (packages,) = venv.glob("lib/python*/site-packages")
        # Its own chunkwise comes first; the other's, which is installed as it lies, is told by a .pth that is not read.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield venv
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def results() -> Iterator[Path]:
    """The one folder where the user may write; not below pytest's, which lets nobody else in. An image is there."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(COINS, f"{name}/coins.ome.zarr")
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def run(installation: Path, folder: Path, *words: str) -> tuple[str, float]:
    """Run a program of the installation as the user; what it prints, and its CPU-seconds with all that it started."""
    environment = {
        "PATH": f"{installation / 'bin'}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
        "TMPDIR": str(folder),
    }
    before = os.times()
    done = subprocess.run([*AS_NOBODY, *words], env=environment, cwd=folder, capture_output=True, text=True)
    after = os.times()
    assert done.returncode == 0, done.stderr
    return done.stdout, after.children_user + after.children_system - before.children_user - before.children_system


def test_wheel_has_what_the_package_is_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        tags = Parser().parsestr(archive.read(f"chunkwise-{PROJECT['version']}.dist-info/WHEEL").decode())
        about = Parser().parsestr(archive.read(f"chunkwise-{PROJECT['version']}.dist-info/METADATA").decode())
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/chunkwise", "models"]
    here = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    sources = {name.removeprefix("src/") for name in here if name.startswith("src/")}
    models = {f"chunkwise/models/packages/{name[7:]}" for name in here if name.startswith("models/")}
    kernels = f"chunkwise/_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert {"chunkwise/py.typed", "chunkwise/_kernels.pyi", "chunkwise/report/templates/page.html.j2"} < sources
    assert {name for name in names if ".dist-info/" not in name} == {*sources, *models, kernels}
    # Of one Python and one kind of processor, as the kernels are.
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert tags["Root-Is-Purelib"] == "false"
    assert tags.get_all("Tag") == [f"{abi}-{abi}-{platform}"]
    asked = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(asked) == len(PROJECT["dependencies"])
    assert (about["Version"], about["License-File"]) == (PROJECT["version"], "LICENSE")


def test_it_runs_for_a_user_without_a_home(installation: Path, results: Path) -> None:
    where, _ = run(installation, results, "python", "-c", "import chunkwise._kernels as k; print(k.__file__, end='')")
    assert where.startswith(str(installation))
    assert Path(where).with_name("__pycache__").is_dir()  # by the installer
    assert run(installation, results, "chunkwise", "--help")[0].startswith("usage: chunkwise")
    assert run(installation, results, "chunkwise", "--version")[0] == f"chunkwise {PROJECT['version']}\n"
    run(installation, results, "chunkwise", "inspect", "coins.ome.zarr", "--json", "about.json", "--html", "about.html")
    run(installation, results, "chunkwise", "segment", "coins.ome.zarr", "--output", "labels.ome.zarr")
    run(installation, results, "chunkwise", "measure", "--labels", "labels.ome.zarr", "--output", "objects.tsv")
    assert len((results / "objects.tsv").read_text().splitlines()) > 10
    # What is made lies where it was asked for, or in a run's own folder; there is no cache, log or lock beside it.
    made = {"coins.ome.zarr", "about.json", "about.html", "labels.ome.zarr", "objects.tsv"}
    assert {path.name.removesuffix(".run") for path in results.iterdir()} == made
    with pytest.raises(OSError, match="Read-only file system"):
        (installation / "new").touch()


def test_first_and_tenth_run_cost_the_same(installation: Path, results: Path) -> None:
    """Nothing is compiled or cached when a user, a node or a container is new."""
    run(installation, results, "chunkwise", "--help")  # the interpreter's own files are read once
    command = ["chunkwise", "segment", "coins.ome.zarr", "--split", "distance", "--workers", "1", "--output"]
    first, *later = (run(installation, results, *command, f"{n}.ome.zarr")[1] for n in range(10))
    usual = statistics.median(later)  # one run of ten is disturbed now and then
    assert max(first, usual) < 1.3 * min(first, usual), (first, later)
