"""Runs of every declared kernel: stopped and gone on with, refused in one sentence, and within the projected memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Image, Labels, Operation, Parameter
from killing import at_line
from operations import harness
from operations.reference import reference

ALL = [one for family in families() for one in operations_of(family).values()]
OF_IMAGES = [
    pytest.param(one, id=f"{one.family} {one.name}")
    for one in ALL
    if one.equals and isinstance(one.takes["image"], Image)
]
DECLARED = [pytest.param(one, id=f"{one.family} {one.name}") for one in ALL if one.equals and len(one.takes) == 1]


def words(operation: Operation, values: dict[str, Any], image: str = "i.ome.zarr", output: str = "o") -> list[str]:
    """A command."""
    given = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    more = [name for name, one in operation.takes.items() if name != "image" and isinstance(one, Image)]
    options += [word for name in more if not operation.takes[name].optional for word in (f"--{name}", image)]
    return [operation.family, image, "--method", operation.name, *options, "--output", output, "--workers", "1"]


def near(operation: Operation) -> dict[str, Any]:
    """Values that reach a little."""
    return max(
        harness.cases(operation)[1:] or harness.cases(operation),
        key=lambda one: (sum(operation.reach_of(one, 1)) in (1, 2), one != {}),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return harness.write_image(
        tmp_path_factory.mktemp("made") / "i.ome.zarr", next(harness.images((40, 50), "uint16")), "yx"
    )


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "i.ome.zarr")
    return tmp_path


@pytest.mark.parametrize("operation", DECLARED)
def test_a_run_that_was_stopped_gives_the_same_bytes(
    operation: Operation, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread = ["--block", "8,8", "--shard", "16,16"]
    values = near(operation)
    if operation.takes["image"].kinds == "b":
        shutil.rmtree("i.ome.zarr")
        harness.write_image(here / "i.ome.zarr", next(harness.images((40, 50), "bool")), "yx")
    if operation.mixes is not None:
        shutil.rmtree("i.ome.zarr")
        channels = harness.mixture(operation, next(harness.images((40, 50), "uint16")))
        harness.write_image(here / "i.ome.zarr", channels, "cyx")
    assert main([*words(operation, values, output="whole"), *spread]) == 0
    found = np.asarray(zarr.open_array("whole/0", mode="r")[...])
    volume = np.asarray(zarr.open_array("i.ome.zarr/0", mode="r")[...])
    assert harness.same(operation, volume.dtype, found, reference(operation, volume, values))

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        at_line(patched, 4, stop)
        assert main([*words(operation, values), *spread]) == 130
    assert not Path("o").exists()
    assert main([*words(operation, values), *spread, "--record", "r.json"]) == 0
    assert json.loads(Path("r.json").read_text())["blocks"]["resumed"] > 0
    assert made_stores.digest(Path("o")) == made_stores.digest(Path("whole"))


def refused(said: str, code: int, starts: str) -> None:
    """One sentence that begins so, and nothing is written."""
    assert code == 2
    last = said.strip().splitlines()[-1]
    assert "Traceback" not in said
    assert starts in last, last
    assert last.endswith("."), last
    assert not list(Path().glob("o*")), "something was written"


def out_of_range(parameter: Parameter) -> Iterator[Any]:
    """What may not be given."""
    if parameter.type in (int, float):
        yield from ("many", "nan", "inf")
        if parameter.least is not None:
            yield parameter.type(parameter.least) - 1
        if parameter.most is not None:
            yield parameter.type(parameter.most) + 2
        if parameter.type is int:
            yield 3.5
        if parameter.odd:
            yield 4
    elif parameter.choices:
        yield "no-such-choice"


BAD = [
    pytest.param(one, name, value, id=f"{one.family} {one.name} {name} {value}")
    for one in ALL
    for name, parameter in one.parameters.items()
    if (not parameter.several and parameter.type is not str) or (parameter.choices and not parameter.several)
    for value in out_of_range(parameter)
]


@pytest.mark.parametrize(("operation", "name", "value"), BAD)
def test_a_parameter_out_of_range(
    operation: Operation, name: str, value: Any, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = f"--{name.replace('_', '-')}"
    inputs: list[str] = []
    for role, one in operation.takes.items():
        inputs += [f"--{role}", "i.ome.zarr"] if one.option else ["i.ome.zarr"]
    needed = [
        word
        for other, parameter in operation.options.items()
        if parameter.required and other != name
        for word in (f"--{other}", "1")
    ]
    method = ["--method", operation.name] if has_methods(operation.family) else []
    try:
        code = main([operation.family, *inputs, *method, *needed, option, str(value), "--output", "o.ome.zarr"])
    except SystemExit as stop:  # argparse's own
        code = int(stop.code or 0)
    said = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in said
    assert option in said.strip().splitlines()[-1]
    assert not list(Path().glob("o*"))


@pytest.mark.parametrize("operation", DECLARED)
@pytest.mark.parametrize("dtype", ["float16", "complex64", "bool"])
def test_voxels_that_it_does_not_take(
    operation: Operation, dtype: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if ("e" if dtype == "float16" else np.dtype(dtype).kind) in operation.takes["image"].kinds:
        pytest.skip("it takes them")
    harness.write_image(Path("strange.ome.zarr"), np.ones((16, 16), dtype), "yx")
    code = main(words(operation, near(operation), "strange.ome.zarr"))
    takes, says = operation.takes["image"], dtype
    if dtype == "float16" and takes.kinds == "b" and not isinstance(takes, Labels):
        says = "is no mask, which"
    if dtype == "bool" and isinstance(takes, Labels):
        says = "is a mask, and"
    refused(capsys.readouterr().err, code, says)


@pytest.mark.parametrize("operation", OF_IMAGES)
def test_labels_where_intensities_are_meant(
    operation: Operation, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.write_image(Path("labels.ome.zarr"), np.ones((16, 16), "u2"), "yx", labels=True)
    code = main(words(operation, near(operation), "labels.ome.zarr"))
    refused(capsys.readouterr().err, code, "labels.ome.zarr is a label image, whose values only number the objects")


@pytest.mark.parametrize("operation", DECLARED)
def test_a_reach_larger_than_the_block(operation: Operation, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = max(harness.cases(operation), key=lambda one: operation.reach_of(one, 2))
    far = operation.reach_of(values, 2)[0]
    if far < 2:
        pytest.skip("it looks at the voxel alone")
    edge = far - 1
    code = main([*words(operation, values), "--block", f"{edge},{edge}", "--shard", "16,16"])
    refused(capsys.readouterr().err, code, f"looks {far}x{far} voxels around each voxel")


def test_methods_and_their_options(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["filter", "i.ome.zarr", "--method", "gaussian", "--size", "3", "--output", "o"])
    refused(capsys.readouterr().err, code, "--size is not an option of the method gaussian; its options are --sigma")
    with pytest.raises(SystemExit) as stop:
        main(["filter", "i.ome.zarr", "--method", "sharpest", "--output", "o"])
    assert stop.value.code == 2
    assert "--method: invalid choice: 'sharpest' (choose from" in capsys.readouterr().err
