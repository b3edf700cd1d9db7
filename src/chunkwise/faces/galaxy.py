"""The Galaxy tool of a family of declared kernels, as XML for people to read; what tools share is in macros.xml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from chunkwise.faces.pages import exactness_words, reference_call
from chunkwise.operations import load_family, operations_of
from chunkwise.operations.model import Example, Operation, Parameter

__all__ = ["Found", "tool_xml"]


@dataclass(frozen=True)
class Found:
    """What a test of the tool has to find: of the result of an example."""

    shape: tuple[int, ...]
    dtype: str
    content: Mapping[str, Any]
    """What the record says of the voxels."""


#: Of the packages that results are equal to: the name at biii.eu, and what to cite.
_PACKAGES = {"scipy": ("scipy", "10.1038/s41592-019-0686-2"), "skimage": ("scikit-image", "10.7717/peerj.453")}

_TOOL = """\
<tool id="chunkwise_{name}" name="{title}" version="@TOOL_VERSION@+galaxy@VERSION_SUFFIX@" profile="@PROFILE@">
    <!-- Made by 'make faces' of src/chunkwise/operations/{name}/; numbers of the tests are those of the references. -->
    <description>of any size: {methods}</description>
    <macros>
        <import>macros.xml</import>
    </macros>
    <expand macro="head" operation="{edam}">
        <xrefs>
{xrefs}
        </xrefs>
    </expand>
    <command detect_errors="aggressive"><![CDATA[
@BEFORE@
chunkwise {name} "\\$image"
@RESULT@
@SELECTION@
@CHANNELS@
$selection.planes
--method '$operation.method'
{words}
@ADVANCED@
@AFTER@
]]></command>
    <expand macro="environment" id="chunkwise_{name}"/>
    <expand macro="file_sources"/>
    <inputs>
        <expand macro="image_input"/>
        <conditional name="operation">
            <param argument="--method" type="select" label="Method">
{options}
            </param>
{whens}
        </conditional>
        <expand macro="selection" channel_label="Channels" channel_help="{channels}">
{planes}
        </expand>
        <expand macro="destination"/>
        <expand macro="advanced"/>
    </inputs>
    <expand macro="outputs"/>
    <tests>
{tests}
    </tests>
    <help><![CDATA[
**What it does**

{about}

**Methods**

{items}

@HELP_INPUT@

**Outputs**

- *image*: an OME-Zarr 0.5 with a pyramid, scale and units as the image has them;
@HELP_WORKSPACE@
{more}@HELP_WHY@
]]></help>
    <expand macro="citations">
{citations}
    </expand>
</tool>
"""

_TEST = """\
        <!-- {number}: {what} -->
        <test expect_num_outputs="3">
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


def tool_xml(name: str, expected: Callable[[Operation, Example], Found]) -> str:
    """Write the tool of a family.

    Parameters
    ----------
    name : str
        Of the family; all its operations have a kernel, and take one image.
    expected : callable
        Works out what the tests have to find, by the operations' literal references.
    """
    family, operations = load_family(name), list(operations_of(name).values())
    usual = family.usual or operations[0].name
    known = {package: _PACKAGES[package] for one in operations for package in _PACKAGES if f"{package}." in one.equals}
    examples = [(one, example) for one in operations for example in one.examples]
    tests = [_test(n, one, example, expected(one, example)) for n, (one, example) in enumerate(examples, start=1)]
    tests.append(_FAILURE.format(number=len(tests) + 1, name=name, image=examples[0][1].image))
    citations = dict.fromkeys([doi for _, doi in known.values()] + [one.citation for one in operations if one.citation])
    return _TOOL.format(
        name=name,
        title=family.title,
        methods=", ".join(one.name for one in operations),
        edam=family.edam,
        xrefs="\n".join(f'            <xref type="biii">{found}</xref>' for found, _ in known.values()),
        words="\n".join(_words(one) for one in operations if one.parameters),
        options="\n".join(_option(one.name, one.title, one.name == usual) for one in operations),
        whens="\n".join(_when(one) for one in operations),
        channels="Names or numbers (from 0), separated by commas; leave empty for all",
        planes=_param("planes", operations[0].part["planes"], 12),
        tests="\n".join(tests),
        about="\n\n".join(_paragraphs(family.about)),
        items="\n".join(_item(one) for one in operations),
        more=f"{family.help.strip()}\n\n" if family.help else "",
        citations="\n".join(f'        <citation type="doi">{doi}</citation>' for doi in citations),
    )


def _paragraphs(about: str) -> list[str]:
    """What a command says of itself, without what is for a shell."""
    known = about.strip().split("\n\n")
    return [text for text in known if "chunkwise " not in text and not text.startswith("A run that was stopped")]


def _item(operation: Operation) -> str:
    equal = exactness_words(operation)
    return f"- *{operation.title}*: {operation.does}; {equal} to ``{reference_call(operation)}`` on the whole image."


def _option(value: str, words: str, selected: bool) -> str:
    chosen = ' selected="true"' if selected else ""
    return f'                <option value="{value}"{chosen}>{words}</option>'


def _when(operation: Operation) -> str:
    inside = [_param(name, one, 16) for name, one in operation.parameters.items()]
    start = f'            <when value="{operation.name}"'
    return "\n".join((f"{start}>", *inside, "            </when>")) if inside else f"{start}/>"


def _words(operation: Operation) -> str:
    """The options of a method, as Cheetah writes them."""
    lines = [f"#if $operation.method == '{operation.name}'"]
    for name, one in operation.parameters.items():
        value, option = f"$operation.{name}", f"--{name.replace('_', '-')}"
        if one.type is bool:
            lines.append(f"    {value}")
        elif one.default is None and not one.required:
            lines += [f"#if str({value}) not in ('', 'None')", f"    {option} '{value}'", "#end if"]
        else:
            lines.append(f"    {option} '{value}'")
    return "\n".join((*lines, "#end if"))


def _param(name: str, one: Parameter, indent: int) -> str:
    """A parameter as Galaxy asks for it."""
    option, space = f"--{name.replace('_', '-')}", " " * indent
    unit = f", in {one.unit}s" if one.unit and f"in {one.unit}s" not in one.help else ""
    words = f"{one.help[:1].upper()}{one.help[1:]}{unit}{'; an odd number' if one.odd else ''}"
    say = f"label={quoteattr(one.label)} help={quoteattr(words)}"
    optional = ' optional="true"' if one.default is None and not one.required else ""
    inside: list[str] = []
    if one.type is bool:
        kind = f'type="boolean" truevalue="{option}" falsevalue="" checked="false"'
    elif one.choices and one.type is str:
        kind = f'type="select"{optional}'
        inside = [_option(value, value, value == one.default).strip() for value in one.choices]
    elif one.type in (int, float) and not one.choices and not one.several:
        ends = {"min": one.least, "max": one.most}
        bounds = "".join(f' {end}="{value:.15g}"' for end, value in ends.items() if value is not None)
        value = optional or (' value="" optional="false"' if one.required else f' value="{one.default}"')
        kind = f'type="{"integer" if one.type is int else "float"}"{bounds}{value}'
        if one.odd:
            inside = ['<validator type="expression" message="An odd number">value % 2 == 1</validator>']
    else:
        raise AssertionError(f"there is no way yet to ask for {option} in Galaxy; faces/galaxy.py is the place for it")
    start = f'{space}<param argument="{option}" {kind} {say}'
    if not inside:
        return f"{start}/>"
    return "\n".join((f"{start}>", *(f"{space}    {line}" for line in inside), f"{space}</param>"))


def _asked(name: str, value: Any) -> str:
    """A parameter as a test gives it."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return f'                <param name="{name}" value={quoteattr(text)}/>'


def _property(name: str, value: Any) -> str:
    """What a test finds in the record."""
    kind, text = ("text", value) if isinstance(value, str) else ("value", json.dumps(value))
    return f'                <has_json_property_with_{kind} property="{name}" {kind}={quoteattr(text)}/>'


def _test(number: int, operation: Operation, example: Example, found: Found) -> str:
    part = [_asked(name, value) for name, value in example.part.items()]
    values = {"method": operation.name, **example.values}
    content = [_property(name, value) for name, value in found.content.items()]
    return _TEST.format(
        number=number,
        what=" ".join((operation.phrase, *(f"{name} {value}" for name, value in example.values.items()))),
        image=example.image,
        values="\n".join(_asked(name, value) for name, value in values.items()),
        part="\n".join(('            <section name="selection">', *part, "            </section>\n")) if part else "",
        shape=list(found.shape),
        dtype=found.dtype,
        family=operation.family,
        method=operation.name,
        content="\n".join(content),
    )
