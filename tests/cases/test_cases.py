"""Inputs that once failed, each with the commands of its README, which are run as they stand there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from made_stores import change_json, multiscale, write

CASES = Path(__file__).parents[3] / "shared" / "cases"


def table(folder: Path) -> list[str]:
    return (folder / "o.tsv").read_text().splitlines()


def two_rows(folder: Path) -> None:
    header, *found = table(folder)
    columns = header.split("\t")
    for row, count, place in zip(found, ("150", "200"), ("9.5", "24.5"), strict=True):
        values = dict(zip(columns, row.split("\t"), strict=True))
        assert (values["num_pixels"], values["centroid-0"]) == (count, place)
        assert float(values["area_physical"]) == int(count) * 0.25
        assert values["intensity_mean-0"]


def one_row(folder: Path) -> None:
    header, row = table(folder)
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["num_pixels"] == "350"


def two_objects(folder: Path) -> None:
    found = np.asarray(zarr.open_array(folder / "s.ome.zarr" / "0", mode="r")[...])
    assert np.bincount(found.ravel()).tolist() == [40 * 64 - 350, 150, 200]


def labels_are_seen(folder: Path) -> None:
    found = json.loads((folder / "x.json").read_text())["labels"]
    assert [entry["name"] for entry in found] == ["nuc"]
    assert found[0]["shape"] == [3, 40, 44]


def labels_are_listed(folder: Path) -> None:
    store = folder / "oz.ome.zarr"
    block = json.loads((store / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    assert block == {"version": "0.5", "labels": ["nuc", "mine"]}
    made = json.loads((store / "labels" / "mine" / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert len(made["datasets"]) == 3  # as many as the image's
    assert main(["inspect", str(store), "--json", str(folder / "again.json")]) == 0
    found = json.loads((folder / "again.json").read_text())["labels"]
    assert [entry["name"] for entry in found] == ["nuc", "mine"]


def nothing(_: Path) -> None:
    """There is nothing but the words."""


def no_table(folder: Path) -> None:
    assert not [path for path in folder.iterdir() if path.name.startswith(("o.tsv", "c.json", "s.ome"))]


@dataclass(frozen=True)
class Expected:
    """What a command is to say, and what is to be there then."""

    words: tuple[str, ...]
    code: int = 0
    then: Callable[[Path], None] = nothing


def seen(*words: str) -> Expected:
    return Expected(words)


ELSEWHERE = ("begins at x 0 micrometer", "at x 320 micrometer", "640 voxels apart along x", "--same-voxels")
WHICH_TIME = ("t 3, y 40, x 64 voxels", "Say with --time which time points", "or with --same-voxels")
MEASURE = "chunkwise measure --labels"
EXPECTED = {
    "01-measure-ignores-translation": {
        f"{MEASURE} tileA_labels.zarr --image tileB_image.zarr --output o.tsv --workers 1": Expected(
            ELSEWHERE, 2, no_table
        ),
        "chunkwise compare tileA_labels.zarr tileB_labels.zarr --output c.json --workers 1": Expected(
            ELSEWHERE, 2, no_table
        ),
    },
    "02-unit-pixel": {
        "chunkwise inspect pixel.zarr": seen("y 40, x 64 (uint16)", "'pixel', which is not among"),
        "chunkwise inspect blank.zarr": seen("y 40, x 64 (uint16)", "' ', which is not among"),
        "chunkwise inspect null.zarr": seen("y 40, x 64 (uint16)", "axes[0].unit has to be text"),
    },
    "03-axes-without-type": {
        "chunkwise inspect cyx.zarr": seen("c 1, y 40, x 64 (uint16)"),
        "chunkwise inspect czyx.zarr": seen("c 1, z 1, y 40, x 64 (uint16)"),
        "chunkwise inspect zyx.zarr": seen("z 1, y 40, x 64 (uint16)"),
    },
    "04-one-broken-well-stops-the-plate": {
        "chunkwise inspect mask.zarr": seen("Plate", "1 field", "A/2"),
        "chunkwise inspect nofields.zarr": seen("Plate", "1 field", "A/2"),
        "chunkwise inspect empty.zarr": seen("Plate", "1 field", "A/2"),
        "chunkwise segment empty.zarr --output s.ome.zarr": Expected(("is a plate", "A/1/0"), 2, no_table),
        "chunkwise inspect mask.zarr/A/1/0": seen("y 40, x 64 (uint16)"),
    },
    "06-labels-flat-beside-flat-stack": {
        f"{MEASURE} labels_yx.zarr --image stack_z1.zarr --output o.tsv --workers 1": Expected(
            ("2 objects", "from level 0"), 0, two_rows
        ),
        f"{MEASURE} labels_yx.zarr --image movie_t3.zarr --output o.tsv --workers 1": Expected(WHICH_TIME, 2, no_table),
        f"{MEASURE} labels_t1.zarr --image movie_t3.zarr --output o.tsv --workers 1": Expected(WHICH_TIME, 2, no_table),
    },
    "07-bool-mask": {
        "chunkwise segment mask.zarr --sigma 0 --threshold 0 --output s.ome.zarr --workers 1": Expected(
            ("2 objects", "threshold 0"), 0, two_objects
        ),
        f"{MEASURE} mask.zarr --output o.tsv --workers 1": Expected(("1 object,",), 0, one_row),
    },
    "08-zipped-ome-zarr": {"chunkwise inspect x.ozx": seen("y 40, x 64 (uint16)")},
    "09-omero-without-display-values": {
        "chunkwise inspect label.zarr": seen("c 1, y 40, x 64 (uint16)", "color is missing"),
        "chunkwise inspect nowindow.zarr": seen("c 1, y 40, x 64 (uint16)", "window is missing"),
        "chunkwise inspect minmax.zarr": seen("c 1, y 40, x 64 (uint16)", "window.start is missing"),
    },
    "11-level-path-with-leading-slash": {
        "chunkwise inspect x.zarr": seen("y 40, x 64 (uint16)", "is read as '0', inside the group")
    },
    "12-ome-zarr-py-labels-not-listed": {
        "chunkwise inspect oz.ome.zarr --json x.json": Expected(
            ("z 3, y 40, x 44 (uint16), 3 levels",), 0, labels_are_seen
        ),
        "chunkwise segment oz.ome.zarr --into-source mine --workers 1 --sigma 0 --threshold 950": Expected(
            ("objects in",), 0, labels_are_listed
        ),
    },
}
COMMANDS = [(case, command) for case, commands in EXPECTED.items() for command in commands]


def commands_of(case: Path) -> list[str]:
    """The commands of a README, without what it says of them."""
    lines = [line for line in (case / "README").read_text().splitlines() if line.startswith("chunkwise ")]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def by_hand(folder: Path) -> None:
    """What ome-zarr-py 0.18 writes for case 12: it has labels, and a list of them that names no version."""
    pixels = np.random.default_rng(0).integers(0, 999, (3, 40, 44)).astype(np.uint16)
    store = folder / "oz.ome.zarr"
    for path, data, extra in ((store, pixels, {}), (store / "labels" / "nuc", pixels > 900, {"image-label": {}})):
        data = data if path is store else data.astype(np.uint32)
        write(path, "0.5", "zyx", data.shape, data.dtype, multiscale("zyx", 3), extra)
        for level in range(3):
            zarr.open_array(path / str(level), mode="r+")[...] = data[:, :: 2**level, :: 2**level]
    zarr.open_group(store / "labels", mode="a", zarr_format=3).attrs.update({"ome": {"labels": ["nuc"]}})
    change_json(store / "labels" / "zarr.json", lambda content: content.pop("consolidated_metadata", None))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make the stores of a case, once."""
    known: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            if name.startswith("12"):
                by_hand(folder)  # its make.py needs ome-zarr-py
            else:
                shutil.copyfile(CASES / name / "make.py", folder / "make.py")
                subprocess.run([sys.executable, "make.py"], cwd=folder, check=True)
            known[name] = folder
        return known[name]

    return make


def test_every_command_of_a_readme_is_run() -> None:
    if not CASES.is_dir():
        pytest.skip(f"the cases are not at {CASES}")
    found = {case.name: commands_of(case) for case in sorted(CASES.iterdir()) if (case / "README").is_file()}
    assert found == {name: list(commands) for name, commands in EXPECTED.items()}


@pytest.mark.parametrize(
    ("case", "command"),
    [pytest.param(*pair, id=" ".join(pair)) for pair in COMMANDS],
)
def test_cases(
    case: str,
    command: str,
    made: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not (CASES / case).is_dir():
        pytest.skip(f"the case is not at {CASES / case}")
    folder = tmp_path / "case"
    shutil.copytree(made(case), folder)
    monkeypatch.chdir(folder)
    expected = EXPECTED[case][command]
    code: Any = main(shlex.split(command)[1:])
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert code == expected.code, said
    for words in expected.words:
        assert words in said
    assert "Traceback" not in said
    expected.then(folder)
