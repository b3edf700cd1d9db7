"""What the Galaxy tools' tests expect of the voxels comes from SciPy, scikit-image and bioimageio.core, not from us.

Each reference below works on the whole image of ``test-data``, with the parameters of one test in the tools' XML. The
lines that the XML has of them are printed by ``python tests/tools/test_expected_content.py``, out of these references.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas
import pytest
import zarr

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # for the script

from made_models import whole_image  # noqa: E402
from whole_content import whole_content  # noqa: E402
from whole_image import Array, reference_segment, reference_split  # noqa: E402
from whole_objects import parameters_of, reference_objects, reference_stars  # noqa: E402
from whole_shapes import whole_shapes  # noqa: E402

TOOLS = ROOT / "tools" / "chunkwise"


def stored(name: str) -> Array:
    return np.asarray(zarr.open_array(ROOT / "test-data" / f"{name}.ome.zarr" / "0", mode="r")[...])


def coins(min_size: int = 0) -> Array:
    return reference_segment(stored("coins_2d"), fill_holes=True, min_size=min_size)


def discs(method: str, **options: Any) -> Array:
    """Objects of the maps, which are computed with as float32."""
    names = ["foreground", "boundary", "distance", "flow_y", "flow_x", "probability"]
    maps = dict(zip(names, stored("discs_maps").astype(np.float32), strict=True))
    return reference_objects(maps, parameters_of(method, 2, **options))[np.newaxis]


def stars() -> Array:
    chance, *rays = stored("discs_stars").astype(np.float32)
    maps = {"probability": chance} | {str(number): ray for number, ray in enumerate(rays)}
    return reference_stars(maps, parameters_of("stardist", 2).values)[np.newaxis]


def nuclei() -> Array:
    """Maps of a part of the coins; images are mirrored at their end up to what the network takes."""
    part = stored("coins_2d")[np.newaxis, np.newaxis, :200, 50:300]
    maps = whole_image(ROOT / "models" / "nuclei", part, (208, 256))[0]
    return np.asarray(np.rint(np.clip(maps.astype(np.float64), 0, 1) * 255), np.uint8)


def circles() -> Array:
    table = pandas.read_csv(ROOT / "test-data" / "coins_2d_points.tsv", sep="\t")
    places = table[["y", "x"]].round().astype(int).to_numpy()
    return whole_shapes((303, 384), list(zip(range(1, len(table) + 1), places, table["radius"], strict=True)))


def drawings() -> Array:
    found = json.loads((ROOT / "test-data" / "coins_2d_shapes.geojson").read_text())["features"]
    (field, round, square, point) = (one["geometry"]["coordinates"] for one in found)
    middles = [np.rint(one[::-1]).astype(int) for one in (round, point)]
    shown = [(1, field, 0), (2, middles[0], found[1]["properties"]["radius"]), (7, square, 0), (3, middles[1], 0)]
    return whole_shapes((303, 384), shown)


#: By the tool and the number of its test: the whole result.
EXPECTED: dict[tuple[str, int], Callable[[], Array]] = {
    ("segment", 1): lambda: coins(50).astype(np.uint32),
    ("segment", 2): lambda: np.stack(
        [reference_segment(volume, threshold=500) for volume in stored("cells_tczyx")[:, 0]]
    )[:, np.newaxis].astype(np.uint32),
    ("segment", 3): lambda: reference_split(coins(), (0.5, 0.5), 15, 2, 50).astype(np.uint32),
    ("segment", 4): lambda: reference_segment(stored("coins_2d"), 2, fill_holes=True, min_size=400).astype(np.uint32),
    ("fetch", 2): lambda: stored("cells_tczyx")[1:2, :1, :, :32, 16:64],
    ("fetch", 3): lambda: stored("coins_2d"),
    ("convert", 1): lambda: stored("coins_2d"),
    ("convert", 2): lambda: stored("cells_tczyx"),
    ("convert", 3): lambda: stored("coins_2d"),
    ("convert", 4): lambda: stored("cells_zyx_v04"),
    ("objects", 1): lambda: discs("foreground-boundary", seed_threshold=0.4, min_size=5).astype("u4"),
    ("objects", 2): lambda: discs("threshold").astype("u4"),
    ("objects", 3): lambda: discs("flows", steps=50).astype("u4"),
    ("objects", 4): lambda: stars().astype("u4"),
    ("objects", 5): lambda: discs("foreground-distance", min_size=120, min_distance=4).astype("u4"),
    ("predict", 2): nuclei,
    ("points", 1): lambda: circles().astype("u4"),
    ("points", 2): lambda: drawings().astype("u4"),
}
#: Last digits of a network's maps are the processor's: few of 100000 rounded voxels may be another by 1.
ROUGH = {("predict", 2): r'"sum": 9592[0-9]{2},'}
#: Tests that write a store, and have no reference here, with the reason.
WITHOUT = {
    ("segment", 5): "a preview, whose picture Galaxy looks at itself",
    ("fetch", 1): "an OME-TIFF, whose pixels Galaxy looks at itself",
    ("fetch", 4): "a TIFF, whose pixels Galaxy looks at itself",
    ("fetch", 5): "a PNG, whose pixels Galaxy looks at itself",
    ("predict", 1): "floats of a network, whose last digits are the processor's; tests/models holds them",
}


def lines(tool: str, number: int, array: Array) -> list[str]:
    """What the XML has to say of a result's record."""
    content, rough = whole_content(array), ROUGH.get((tool, number))
    if rough is not None:
        assert re.search(rough, json.dumps(content, indent=2))
        del content["position_sum"], content["sum"]
    found = []
    for name, value in content.items():
        kind = "text" if isinstance(value, str) else "value"
        found.append(f'<has_json_property_with_{kind} property="{name}" {kind}="{value}"/>')
    return [*found, *([] if rough is None else [f"<has_text_matching expression={quoteattr(rough)}/>"])]


def successful_tests() -> dict[tuple[str, int], ElementTree.Element]:
    """The tests of the tools that write stores."""
    found = {}
    for tool in ("segment", "fetch", "convert", "objects", "predict", "points"):
        tests = ElementTree.parse(TOOLS / f"chunkwise_{tool}.xml").findall("tests/test")
        found |= {(tool, n): test for n, test in enumerate(tests, start=1) if test.get("expect_failure") != "true"}
    return found


def asserted(test: ElementTree.Element) -> set[tuple[str, ...]]:
    """What a test says of the record in the crate."""
    known = test.findall("output[@name='crate']/assert_contents/has_archive_member/*")
    return {(one.tag, *(value for _, value in sorted(one.attrib.items()))) for one in known}


def missing(test: ElementTree.Element, wanted: list[str]) -> set[tuple[str, ...]]:
    """What of some lines a test does not say."""
    inside = f"<has_archive_member>{''.join(wanted)}</has_archive_member>"
    element = ElementTree.fromstring(
        f"<test><output name='crate'><assert_contents>{inside}</assert_contents></output></test>"
    )
    return asserted(element) - asserted(test)


@pytest.mark.parametrize(("tool", "number"), EXPECTED)
def test_the_tools_expect_what_the_whole_image_gives(tool: str, number: int) -> None:
    array = EXPECTED[tool, number]()
    test = successful_tests()[tool, number]
    assert not missing(test, lines(tool, number, array))
    # A mutant: two voxels in each other's place. Where sums are expected roughly, it is not seen.
    first, last = np.argwhere(array == array.min())[0], np.argwhere(array == array.max())[-1]
    array[tuple(first)], array[tuple(last)] = array.max(), array.min()
    seen = {attributes[0] for _, *attributes in missing(test, lines(tool, number, array))}
    assert seen == (set() if (tool, number) in ROUGH else {"position_sum"})


def test_every_result_that_is_written_is_compared() -> None:
    assert set(successful_tests()) == {*EXPECTED, *WITHOUT}


if __name__ == "__main__":
    for (tool, number), reference in EXPECTED.items():
        print(f"{tool}, test {number}:", *lines(tool, number, reference()), sep="\n    ")
