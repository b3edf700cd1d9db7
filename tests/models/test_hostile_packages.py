"""Packages that would never end, or take all memory: refused before any library reads them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chunkwise.errors import InputError
from chunkwise.models.library import add_package, find_model
from chunkwise.storage.yaml_text import check_yaml, parse_yaml
from made_models import make_package

GIB = 2**30


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("models") / "tiny")


def _bomb() -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines) + "\n"


def _weights(package: Path) -> Path:
    return next(package.glob("*.onnx"))


def _link_weights(package: Path) -> None:
    _weights(package).unlink()
    (package / "weights.onnx").symlink_to("/dev/zero")


def _pipe(package: Path) -> None:
    (package / "bioimageio.yaml").unlink()
    os.mkfifo(package / "bioimageio.yaml")


def _endless_description(package: Path) -> None:
    (package / "bioimageio.yaml").unlink()
    (package / "bioimageio.yaml").symlink_to("/dev/zero")


def _huge(package: Path) -> None:
    with open(_weights(package), "r+b") as file:
        file.truncate(20 * GIB)


def _aliases(package: Path) -> None:
    with open(package / "bioimageio.yaml", "a") as file:
        file.write(_bomb())


def _folder_of_links(package: Path) -> None:
    (package / "more").symlink_to("/proc")


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights are an endless device": (_link_weights, "is not a regular file but a device"),
    "the description is a pipe": (_pipe, "is not a regular file but a pipe|There is no model"),
    "the description is an endless device": (
        _endless_description,
        "is not a regular file but a device|There is no model",
    ),
    "huge weights": (_huge, r"has 2147\d+ bytes or more"),
    "aliases of aliases": (_aliases, "stand for more than"),
    "a folder from elsewhere": (_folder_of_links, "symbolic link to a folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("door", ["path", "add"])
def test_hostile_packages(tmp_path: Path, tiny: Path, name: str, door: str) -> None:
    package = tmp_path / "package"
    shutil.copytree(tiny, package)
    change, said = HOSTILE[name]
    change(package)
    (tmp_path / "library").mkdir()
    library = str(tmp_path / "library")
    doors: dict[str, Callable[[], object]] = {
        "path": partial(find_model, str(package), None),
        "add": partial(add_package, str(package), "bad", library, False),
    }
    with pytest.raises(InputError, match=said):
        doors[door]()
    assert list((tmp_path / "library").iterdir()) == []


def test_a_zip_that_unpacks_to_too_much(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "library").mkdir()
    packed = tmp_path / "bomb.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in tiny.iterdir():
            archive.write(file, file.name)
        archive.writestr("zeros", bytes(2**24))
    with pytest.raises(InputError, match=r"'model' of .limits. in the site file"):
        add_package(str(packed), "bomb", str(tmp_path / "library"), False, 2**24)
    assert list((tmp_path / "library").iterdir()) == []
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(InputError, match="not a regular file but a pipe"):
        add_package(str(tmp_path / "pipe.zip"), "bomb", str(tmp_path / "library"), False)


def test_yaml() -> None:
    assert parse_yaml(b"a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    for bad in (_bomb().encode(), b"a: &x [*x]\n", b"[" * 50_000, b"a: [", b"\xff\xfe\x00", b"a: *none"):
        with pytest.raises(ValueError, match=r"it is not YAML|stand for more|nested too deep"):
            check_yaml(bad)


def test_memory_stays_bounded(tmp_path: Path, tiny: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(tiny, package)
    _aliases(package)
    code = (
        "import sys\nfrom chunkwise.errors import InputError\nfrom chunkwise.models.library import find_model\n"
        "try:\n    find_model(sys.argv[1], None)\nexcept InputError as error:\n    print(error)\n"
    )
    limit = (4 * GIB, 4 * GIB)
    done = subprocess.run(
        [sys.executable, "-c", code, str(package)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert "stand for more than" in done.stdout, done.stderr
