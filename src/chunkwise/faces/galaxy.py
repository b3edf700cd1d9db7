"""The Galaxy tool of a family of declared kernels, as XML for people to read; what tools share is in macros.xml."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.sax.saxutils import quoteattr

from chunkwise.faces.galaxy_tests import Found, images_of, tests_of
from chunkwise.faces.pages import exactness_words, reference_call
from chunkwise.faces.sentences import on_page
from chunkwise.operations import load_family, operations_of
from chunkwise.operations.model import Example, Family, Operation, Parameter, Table

__all__ = ["tool_xml"]


#: Of the packages that results are equal to: the name at biii.eu, and what to cite.
_PACKAGES = {"scipy": ("scipy", "10.1038/s41592-019-0686-2"), "skimage": ("scikit-image", "10.7717/peerj.453")}

#: Help of a choice that methods of several images have.
_SAME = "Only if you are sure that all images show the same voxels although their metadata say otherwise"

#: Value of the first choice of a select that need not be chosen.
USUAL = "usual"

_TOOL = """\
<tool id="chunkwise_{name}" name="{title}" version="@TOOL_VERSION@+galaxy@VERSION_SUFFIX@" profile="@PROFILE@">
    <!-- Made by 'make faces' of src/chunkwise/operations/{name}/; numbers of the tests are those of the references. -->
    <description>{line}</description>
    <macros>
        <import>macros.xml</import>
    </macros>
    <expand macro="head" operation="{edam}">
        <xrefs>
{xrefs}
        </xrefs>
    </expand>
    <command><![CDATA[
@BEFORE@
{located}chunkwise {name} "\\$image"
@RESULT@
{preview}@SELECTION@
{chosen}--method '$operation.method'
{words}
@ADVANCED@
@AFTER@
]]></command>
    <expand macro="environment" id="chunkwise_{name}"/>
    <expand macro="file_sources"/>
    <inputs>
        <expand macro="image_input"{asked}/>
        <conditional name="operation">
            <param name="method" type="select" label="Method" help="What to do; the methods are explained below">
{options}
            </param>
{whens}
        </conditional>
{selection}
        <expand macro="{destination}"/>
        <expand macro="advanced"/>
    </inputs>
    <expand macro="outputs" {made}/>
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

- *{result}*: an OME-Zarr 0.5 with a pyramid, scale and units as the {source};
@HELP_WORKSPACE@
{more}@HELP_WHY@
]]></help>
    <expand macro="citations">
{citations}
    </expand>
</tool>
"""

#: Which part of an image.
_SECTION = """\
        <expand macro="selection" channel_label="Channels" expanded="false" channel_help="Names or numbers (from 0), \
separated by commas{also}. Leave empty for all channels"/>"""

#: How one of several images is meant.
_ALSO = "; those of all images, unless you write b=GFP, which is the channel GFP of image b"

#: Which part of a label image.
_PLAIN_SECTION = """\
        <section name="selection" title="Time points and region" expanded="false">
            <expand macro="part"/>
        </section>"""

_LABELS = (
    "A label image, such as 'Segment objects' makes{masks}. A dataset, a reference or a deferred dataset; nothing is "
    "copied"
)


def tool_xml(
    name: str,
    expected: Callable[[Operation, Example], Found],
    brightness: Callable[[Operation, Example, str], tuple[int, float]],
) -> str:
    """Write the tool of a family.

    Parameters
    ----------
    name : str
        Of the family; all its operations have a kernel, and take one image.
    expected : callable
        Works out what the tests have to find, by the operations' literal references.
    brightness : callable
        The same for the picture that is a preview of a region: its height, and its mean.
    """
    family, operations = load_family(name), list(operations_of(name).values())
    usual = family.usual or operations[0].name
    known = {package: _PACKAGES[package] for one in operations for package in _PACKAGES if f"{package}." in one.equals}
    first, by_title = operations[0], sorted(operations, key=lambda one: one.title.lower())
    citations = dict.fromkeys([doi for _, doi in known.values()] + [one.citation for one in operations if one.citation])
    return _TOOL.format(
        name=name,
        title=family.title,
        line=family.line or "of any size",
        edam=family.edam,
        **_seen(family, operations),
        located="".join(_located(one) for one in operations),
        xrefs="\n".join(f'            <xref type="biii">{found}</xref>' for found, _ in known.values()),
        words="\n".join(_words(one) for one in operations if one.parameters or one.offers("planes")),
        options="\n".join(_option(one.name, one.title, one.name == usual) for one in by_title),
        whens="\n".join(_when(one) for one in operations),
        preview="@PREVIEW@\n" if first.previews else "",
        tests="\n".join(tests_of(operations, expected, brightness)),
        about=on_page(name, "\n\n".join(_paragraphs(family.about))),
        items="\n".join(_item(one) for one in by_title),
        more=f"{family.help.strip()}\n\n" if family.help else "",
        citations="\n".join(f'        <citation type="doi">{doi}</citation>' for doi in citations),
    )


def _seen(family: Family, operations: list[Operation]) -> dict[str, str]:
    """What differs between tools of images and of labels, which have no channels."""
    first, several = operations[0], any(images_of(one) for one in operations)
    if "channel" in first.part:
        return {
            "asked": "",
            "chosen": "@CHANNELS@\n",
            "made": f'what="{family.made}"',
            "result": "image",
            "source": "image has them",
            "selection": _SECTION.format(also=_ALSO if several else ""),
            "destination": "destination" if first.previews else "destination_without_preview",
        }
    of_masks = " and ".join(f"'{one.title}'" for one in operations if one.takes["image"].kinds == "b")
    masks = f"; for {of_masks}, a mask" if of_masks else ""
    return {
        "asked": f' label="Labels" help={quoteattr(_LABELS.format(masks=masks))}',
        "chosen": "",
        "made": f'what="{family.made}" of="@IMAGE@"',
        "result": "labels",
        "source": "labels have them; a mask, where the method makes one",
        "selection": _PLAIN_SECTION,
        "destination": 'destination_without_preview" what="the labels',
    }


def _paragraphs(about: str) -> list[str]:
    """What a command says of itself, without what is for a shell."""
    known = about.strip().split("\n\n")
    return [text for text in known if "chunkwise " not in text and not text.startswith("A run that was stopped")]


def _item(operation: Operation) -> str:
    call, does = reference_call(operation), on_page(operation.family, operation.does)
    if len(call) > 80:  # nobody reads it here; docs/exactness.md has it
        return f"- *{operation.title}*: {does}."
    equal = exactness_words(operation)
    return f"- *{operation.title}*: {does}; {equal} to ``{call}`` on the whole image."


def _option(value: str, words: str, selected: bool) -> str:
    chosen = ' selected="true"' if selected else ""
    return f'                <option value="{value}"{chosen}>{words}</option>'


def _when(operation: Operation) -> str:
    inside = _asked_images(operation)
    inside += [_file(name, one) for name, one in operation.takes.items() if isinstance(one, Table)]
    inside += [_param(name, one, 16) for name, one in operation.parameters.items()]
    if "same_voxels" in operation.part:
        inside.append(f'                <expand macro="same_voxels" help="{_SAME}"/>')
    if "sizes_in" in operation.options:
        inside.append('                <expand macro="sizes_in"/>')
    if operation.offers("planes"):
        inside.append(_param("planes", operation.part["planes"], 16))
    start = f'            <when value="{operation.name}"'
    return "\n".join((f"{start}>", *inside, "            </when>")) if inside else f"{start}/>"


def _words(operation: Operation) -> str:
    """The options of a method, as Cheetah writes them."""
    lines = [f"#if $operation.method == '{operation.name}'"]
    lines += _each_image(operation, """'--$name' "\\$$name\"""")
    lines += [f'    --{name} "\\${name}"' for name, one in operation.takes.items() if isinstance(one, Table)]
    if "same_voxels" in operation.part:
        lines.append("    $operation.same_voxels")
    for name, one in operation.parameters.items():
        value, option = f"$operation.{name}", f"--{name.replace('_', '-')}"
        if one.type is bool:
            lines.append(f"    {value}")
        elif one.default is None and not one.required:
            said = f"{value}" if one.type is str and not one.choices else f"str({value}) not in ('', 'None', '{USUAL}')"
            lines += [f"#if {said}", f"    {option} '{value}'", "#end if"]
        else:
            lines.append(f"    {option} '{value}'")
    if "sizes_in" in operation.options:
        lines.append("    --sizes-in '$operation.sizes_in'")
    if operation.offers("planes"):
        lines.append("    $operation.planes")
    return "\n".join((*lines, "#end if"))


def _in_words(text: str) -> str:
    """A clause of the command line as a form has it: tools for commands, and no word on giving an option again."""
    text = re.sub(r"'chunkwise (\w+)'", lambda found: f"'{load_family(found.group(1)).title}'", text)
    text = text.replace("; may be given several times", "")
    return text[:1].upper() + text[1:]


def _each_image(operation: Operation, line: str) -> list[str]:
    """A line of the command for each of those that are given, as many as the form was told."""
    names = "".join(images_of(operation))
    start = f"#for $name in '{names}'[:int(str($operation.images.count)) - 1]"
    return [start, f"    {line}", "#end for"] if names else []


def _located(operation: Operation) -> str:
    """Where the other images of a method lie, and its table, as the shell is told before the command."""
    lines = _each_image(operation, "$locate($name, $operation.images[$name])")
    tables = [name for name, one in operation.takes.items() if isinstance(one, Table)]
    lines += [f"    $locate_table('{name}', $operation.{name})" for name in tables]
    return "\n".join((f"#if $operation.method == '{operation.name}'", *lines, "#end if\n")) if lines else ""


def _asked_images(operation: Operation) -> list[str]:
    """The other images as Galaxy asks for them: first for how many.

    Galaxy writes "Nothing selected" into a field for data that may stay empty.
    """
    images = images_of(operation)
    if not images:
        return []
    fields = [
        f'<expand macro="image_input" name="{name}" {said}/>'
        for name, one in images.items()
        for said in [f"label={quoteattr(one.label)} help={quoteattr(_in_words(one.help))}"]
    ]
    least = 1 + sum(not one.optional for one in images.values())
    lines = [
        '    <param name="count" type="select" label="How many images?" help="The first, and those that follow it">'
    ]
    cases = []
    for count in range(least, len(images) + 2):
        chosen = ' selected="true"' if count == least else ""
        lines.append(f'        <option value="{count}"{chosen}>{count}</option>')
        cases += [f'    <when value="{count}">', *(f"        {one}" for one in fields[: count - 1]), "    </when>"]
    lines = ['<conditional name="images">', *lines, "    </param>", *cases, "</conditional>"]
    return [f"{' ' * 16}{line}" for line in lines]


def _file(name: str, one: Table) -> str:
    """A table as Galaxy asks for it."""
    said = f"label={quoteattr(one.label)} help={quoteattr(_in_words(one.help))}"
    return f'                <param name="{name}" type="data" format="tabular,csv,parquet" {said}/>'


def _param(name: str, one: Parameter, indent: int) -> str:
    """A parameter as Galaxy asks for it."""
    option, space = f"--{name.replace('_', '-')}", " " * indent
    odd = one.odd
    if one.measures:  # the unit is a choice of its own, and what voxels have to be is said when the tool runs
        one = one.in_micrometres
    units = one.unit if one.unit == "percent" else f"{one.unit}s"
    unit = f", in {units}" if one.unit and not one.measures and one.unit not in one.help else ""
    words = f"{_in_words(one.help)}{unit}{'; an odd number of voxels' if odd else ''}"
    if one.default is None and not one.required and not one.choices:
        words += f". Leave empty for {one.default_words or 'none'}"
    say = f"label={quoteattr(one.label)} help={quoteattr(words)}"
    optional = ' optional="true"' if one.default is None and not one.required else ""
    inside: list[str] = []
    if one.type is bool:
        kind = f'type="boolean" truevalue="{option}" falsevalue="" checked="false"'
    elif one.choices and one.type is str:
        kind = 'type="select"'
        said = {value: _in_words(means) for value, means in one.meanings.items()}
        inside = [_option(value, words, value == one.default).strip() for value, words in said.items()]
        if one.default is None:  # never "Nothing selected": what happens then is a choice like any other
            inside.insert(0, _option(USUAL, one.default_words.capitalize(), True).strip())
    elif one.type is str and one.required:  # of several, one field that holds them all
        kind = 'type="text" optional="false"'
        inside = ['<validator type="empty_field"/>', '<expand macro="plain_text"/>']
    elif one.type is str and not one.several:
        kind, inside = f'type="text"{optional}', ['<expand macro="safe_text"/>']
    elif one.type in (int, float) and not one.choices and not one.several:
        ends = {"min": one.least, "max": one.most}
        bounds = "".join(f' {end}="{value:.15g}"' for end, value in ends.items() if value is not None)
        value = optional or (' value="" optional="false"' if one.required else f' value="{one.default}"')
        kind = f'type="{"integer" if one.type is int else "float"}"{bounds}{value}'
        if one.odd:
            inside = ['<validator type="expression" message="An odd number">value % 2 == 1</validator>']
    else:
        raise AssertionError(f"there is no way yet to ask for {option} in Galaxy; faces/galaxy.py is the place for it")
    start = f'{space}<param name="{name}" {kind} {say}'
    if not inside:
        return f"{start}/>"
    return "\n".join((f"{start}>", *(f"{space}    {line}" for line in inside), f"{space}</param>"))
