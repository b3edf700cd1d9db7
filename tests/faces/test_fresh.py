"""What is made of the declarations is as they are now, and its expected numbers are those of the references."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from chunkwise.operations import find
from chunkwise.operations.model import Example

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """The script of ``make faces``."""
    spec = importlib.util.spec_from_file_location("deploy_faces", ROOT / "deploy" / "faces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["deploy_faces"] = module
    spec.loader.exec_module(module)
    return module


def test_what_is_made_is_fresh(made: ModuleType) -> None:
    old = [path.relative_to(ROOT) for path, text in made.faces().items() if path.read_text() != text]
    assert not old, "run 'make faces' and commit what it writes"


def test_pictures_are_fresh(made: ModuleType) -> None:
    for path, canvas in made.pictures().items():
        assert made.is_shown(path, canvas), "run 'make faces' and commit what it writes"
        was = canvas.getpixel((300, 100))
        canvas.putpixel((300, 100), tuple(255 - one for one in was) if isinstance(was, tuple) else 255 - was)
        assert not made.is_shown(path, canvas)


def test_a_page_without_its_marks_is_refused(made: ModuleType) -> None:
    with pytest.raises(SystemExit, match="lacks the lines"):
        made.between("docs/scale.md", options="")


def test_mutant_another_reference_gives_other_numbers(made: ModuleType) -> None:
    operation, example = find("filter", "maximum"), Example("coins_2d.ome.zarr", {"size": 5})
    other = replace(operation, equals="scipy.ndimage.maximum_filter(image, size, origin=1)")
    assert made.expected(operation, example).content != made.expected(other, example).content


def test_an_example_takes_its_part_of_the_image(made: ModuleType) -> None:
    part = {"channel": ["GFP"], "time": "1", "region": "0:4,8:40,16:64"}
    whole = Example("cells_tczyx.ome.zarr", {"size": 3}, {})
    cut = made.expected(find("filter", "maximum"), replace(whole, part=part))
    assert made.expected(find("filter", "maximum"), whole).shape == (2, 2, 8, 48, 64)
    assert cut.shape == (1, 1, 4, 32, 48)
    planes = made.expected(find("filter", "maximum"), replace(whole, part=part | {"planes": True}))
    assert planes.content["sum"] < cut.content["sum"]
