"""Tests of the Galaxy tool of a family, for planemo: examples of the declarations, and what they have to give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from chunkwise.operations.model import Example, Operation, Voxels

__all__ = ["Found", "images_of", "tests_of"]


@dataclass(frozen=True)
class Found:
    """What a test of the tool has to find: of the result of an example."""

    shape: tuple[int, ...]
    dtype: str
    content: Mapping[str, Any]
    """What the run's record, in the crate, says of the voxels."""


_TEST = """\
        <!-- {number}: {what} -->
        <test expect_num_outputs="2">
            <param name="image" value="{image}" ftype="ome_zarr" class="Directory"/>
            <conditional name="operation">
{values}
            </conditional>
{part}            <expand macro="made" command="{family}" method="{method}" shape="{shape}" dtype="{dtype}">
{content}
            </expand>
        </test>"""

_FAILURE = """\
        <!-- {number}: a level that is not there -->
        <test expect_failure="true">
            <param name="image" value="{image}" ftype="ome_zarr" class="Directory"/>
            <section name="selection">
                <param name="level" value="99"/>
            </section>
            <expand macro="refused" command="{name}" because="99"/>
        </test>"""


_PREVIEW = """\
        <!-- {number}: a preview: a picture of the region before and after, and no other output -->
        <test expect_num_outputs="1">
            <param name="image" value="{image}" ftype="ome_zarr" class="Directory"/>
            <conditional name="operation">
{values}
            </conditional>
            <conditional name="destination">
                <param name="where" value="preview"/>
                <param name="preview_region" value="{region}"/>
            </conditional>
            <output name="preview" ftype="png">
                <assert_contents>
                    <has_image_width width="1060"/>
                    <has_image_height height="{height}"/>
                    <has_image_channels channels="3"/>
                    <has_image_mean_intensity mean_intensity="{mean:.1f}" eps="3"/>
                </assert_contents>
            </output>
            <assert_stdout>
                <has_text text="Preview of {phrase}: {where}"/>
            </assert_stdout>
        </test>"""


#: Of the previews in tests.
PREVIEWED = "40:168,100:228"


def tests_of(
    operations: list[Operation],
    expected: Callable[[Operation, Example], Found],
    brightness: Callable[[Operation, Example, str], tuple[int, float]],
) -> list[str]:
    """Write the tests; parameters as of :func:`chunkwise.faces.galaxy.tool_xml`."""
    examples = _tested(operations)
    tests = [_test(n, one, example, expected(one, example)) for n, (one, example) in enumerate(examples, start=1)]
    shown = next(
        (
            (one, example)
            for one, example in examples
            if one.previews and one.kernel and example.image.startswith("coins")
        ),
        None,
    )
    if shown:
        tests.append(_preview(len(tests) + 1, *shown, *brightness(*shown, PREVIEWED)))
    tests.append(_FAILURE.format(number=len(tests) + 1, name=operations[0].family, image=examples[0][1].image))
    return tests


def _tested(operations: list[Operation]) -> list[tuple[Operation, Example]]:
    """The examples that the tool's tests run: the first of every method, and one of a part of an image.

    A job of Galaxy takes seconds, whatever it does; to try many values is for the tests of the operations.
    """
    found = [(one, one.examples[0]) for one in operations]
    parts = [(one, example) for one in operations for example in one.examples[1:] if example.part]
    return found + parts[:1]


def images_of(operation: Operation) -> dict[str, Voxels]:
    """The images that a method takes beside the first, of which the last ones may be left out."""
    return {name: one for name, one in operation.takes.items() if name != "image" and isinstance(one, Voxels)}


def _asked(name: str, value: Any) -> str:
    """A parameter as a test gives it."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return f'                <param name="{name}" value={quoteattr(text)}/>'


def _property(name: str, value: Any) -> str:
    """What a test finds in the record."""
    kind, text = ("text", value) if isinstance(value, str) else ("value", json.dumps(value))
    return f'                <has_json_property_with_{kind} property="{name}" {kind}={quoteattr(text)}/>'


def _preview(number: int, operation: Operation, example: Example, height: int, mean: float) -> str:
    values = {"method": operation.name, **example.values}
    places = zip("yx", PREVIEWED.split(","), strict=True)
    return _PREVIEW.format(
        number=number,
        image=example.image,
        values="\n".join(_asked(name, value) for name, value in values.items()),
        region=PREVIEWED,
        height=height,
        mean=mean,
        phrase=operation.phrase,
        where=", ".join(f"{axis} {part}" for axis, part in places),
    )


def _test(number: int, operation: Operation, example: Example, found: Found) -> str:
    part = [_asked(name, value) for name, value in example.part.items() if name != "planes"]
    alone = {name: value for name, value in example.part.items() if name == "planes"}  # asked for beside the method
    values = {"method": operation.name, **example.values, **alone}
    kinds = {True: 'ftype="ome_zarr" class="Directory"', False: 'ftype="tabular"'}
    files = [
        f'{" " * 16}<param name="{role}" value="{file}" {kinds[file.endswith(".zarr")]}/>'
        for role, file in example.inputs.items()
    ]
    if images_of(operation):
        count = _asked("count", 1 + sum(role in images_of(operation) for role in example.inputs))
        inside = [f"    {line}" for line in (count, *files)]
        files = [f'{" " * 16}<conditional name="images">', *inside, f"{' ' * 16}</conditional>"]
    content = [_property(name, value) for name, value in found.content.items()]
    return _TEST.format(
        number=number,
        what=" ".join((operation.phrase, *(f"{name} {value}" for name, value in example.values.items()))),
        image=example.image,
        values="\n".join([*(_asked(name, value) for name, value in values.items()), *files]),
        part="\n".join(('            <section name="selection">', *part, "            </section>\n")) if part else "",
        shape=list(found.shape),
        dtype=found.dtype,
        family=operation.family,
        method=operation.name,
        content="\n".join(content),
    )
