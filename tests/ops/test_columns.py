"""The one source of the columns: the page, the Galaxy tool and scikit-image agree with it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import skimage.measure

from chunkwise.errors import InputError
from chunkwise.ops.columns import (
    DEFAULT,
    GROUPS,
    INTENSITIES,
    PROPERTIES,
    REGISTRY,
    Objects,
    choose,
    columns_page,
    dictionary,
    table_columns,
)

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_registry() -> None:
    assert columns_page() in (ROOT / "docs" / "columns.md").read_text()


def test_the_galaxy_tool_offers_every_property_and_group() -> None:
    tool = ElementTree.parse(ROOT / "tools" / "chunkwise" / "chunkwise_measure.xml")
    offered = [entry.get("value") for entry in tool.findall(".//param[@name='properties']/option")]
    assert set(offered) == {*PROPERTIES, *INTENSITIES, *GROUPS}
    assert len(offered) == len(set(offered))


@pytest.mark.parametrize("ndim", [2, 3])
def test_names_are_those_of_scikit_image(ndim: int) -> None:
    labels, image = np.ones((5,) * ndim, np.uint8), np.ones((*(5,) * ndim, 2))
    chosen = choose(["all", "all_moments"], ndim, True)
    names = [entry.name for entry in REGISTRY if entry.in_skimage and entry.name in chosen]
    theirs = set(skimage.measure.regionprops_table(labels, image, properties=names))
    own = {column.name for column in table_columns(Objects("zyx"[-ndim:], ("0", "1")), chosen)}
    assert len(theirs) > 20
    assert theirs <= own
    assert not any("physical" in name for name in theirs)


def test_groups_leave_out_what_cannot_be() -> None:
    assert choose(None, 2, False) == tuple(name for name in DEFAULT if name in PROPERTIES)
    assert choose(None, 2, True) == DEFAULT
    moments = set(choose(["all_moments"], 2, False))
    assert set(choose(["all"], 2, True)) == {*PROPERTIES, *INTENSITIES} - moments
    flat = {"eccentricity", "orientation", "perimeter", "perimeter_crofton"}
    assert set(choose(["all"], 2, True)) - set(choose(["all"], 3, True)) == flat
    assert moments - set(choose(["all_moments"], 3, False)) == {"moments_hu"}
    assert choose(["solidity,bbox", "num_pixels"], 3, False) == ("num_pixels", "bbox", "solidity")
    with pytest.raises(InputError, match="2-D images only"):
        choose(["perimeter"], 3, False)


def test_units_of_scaled_columns() -> None:
    columns = table_columns(Objects("zyx"), ("area_physical", "centroid_physical"))
    text = dictionary(columns, ["micrometer", "nanometer", None], "zyx")
    said = {line.split("\t")[0]: line.split("\t")[1] for line in text.splitlines()}
    assert said["area_physical"] == "micrometer nanometer unit of the scale"
    assert [said[f"centroid_physical-{axis}"] for axis in "zy"] == ["micrometer", "nanometer"]
