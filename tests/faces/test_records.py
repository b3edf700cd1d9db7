"""What a declared operation did is done again from its crate, and its parameters are published: no list is its own."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from chunkwise.cli import main
from chunkwise.faces.pages import declared_families
from chunkwise.operations import operations_of
from chunkwise.operations.model import Example, Labels, Operation

ROOT = Path(__file__).parents[2]
#: A table is no store, and is not found again from a crate; what takes several images has tests of its own.
OPERATIONS = [one for name in declared_families() for one in operations_of(name).values() if len(one.takes) == 1]


def words(operation: Operation, example: Example) -> list[str]:
    """An example as it is typed."""
    found = ["--method", operation.name]
    for name, value in {**example.values, **example.part}.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            found.append(option)
        elif value is not False:
            found += [word for one in (value if isinstance(value, list) else [value]) for word in (option, str(one))]
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.family}-{one.name}")
def test_a_crate_is_enough_to_do_it_again(
    operation: Operation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = operation.examples[-1]
    shutil.copytree(ROOT / "test-data" / example.image, tmp_path / "image.ome.zarr")
    monkeypatch.chdir(tmp_path)
    asked = [operation.family, "image.ome.zarr", *words(operation, example)]
    assert main([*asked, "--output", "made.ome.zarr", "--record", "record.json", "--workers", "1"]) == 0
    assert main(["crate", "build", "--publish", "--from", "record.json", "--output", "crate.zip"]) == 0
    with zipfile.ZipFile("crate.zip") as crate:
        published = json.loads(crate.read(f"records/{operation.family}-1.json"))
    recorded = json.loads(Path("record.json").read_text())
    names = {"method", *operation.parameters, *operation.part} - {"channel"}
    assert {name: published["parameters"][name] for name in names} == {
        name: recorded["parameters"][name] for name in names
    }
    capsys.readouterr()
    role = operation.takes["image"]
    name = "labels" if isinstance(role, Labels) and role.kinds != "b" else "image"
    there = ["--map", f"{name}-1.ome.zarr=image.ome.zarr"]
    assert main(["crate", "rerun", "crate.zip", *there, "--output", "again"]) == 0
    assert "the same" in capsys.readouterr().out
