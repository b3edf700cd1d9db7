"""Draw every workflow as Galaxy's editor shows it: boxes at their places, what goes from where to where, the comments.

``.venv/bin/python workflows/pictures.py`` writes ``NAME.svg`` beside each ``NAME.gxwf.yml``. It reads that file, and
the tools' names from their wrappers; a Galaxy is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import yaml

HERE = Path(__file__).parent
TOOLS = HERE.parent / "tools" / "chunkwise"

#: Pixels. The editor's boxes are as wide, and tests/tools/test_workflows.py keeps the room that their lines take.
WIDTH, HEADING, TOOL, LINE, MARGIN = 200, 30, 22, 22, 20
#: Of one letter, on average; the fonts of browsers differ by less.
LETTER = 0.56
#: Fill and edge of what Galaxy calls by these names.
COLORS = {
    "none": ("#ffffff", "#c8ccd2"),
    "black": ("#e4e5e7", "#2c3143"),
    "blue": ("#dfe6f5", "#4a6fb5"),
    "turquoise": ("#d9f1f4", "#2a93a5"),
    "green": ("#dff2e3", "#3d9a55"),
    "lime": ("#ecf4d4", "#86a72c"),
    "orange": ("#fcead3", "#d58a29"),
    "yellow": ("#fbf5cf", "#c2a717"),
    "red": ("#fadfdf", "#c64545"),
    "pink": ("#f8dff0", "#bd4a95"),
}
STYLE = """
text { font-family: "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif; font-size: 12px; fill: #2c3143 }
.name { fill: #ffffff; font-weight: bold }
.tool { fill: #5d6475; font-size: 11px }
.out { text-anchor: end }
.kept { font-weight: bold }
.frame { font-size: 14px; font-weight: bold }
.heading { font-size: 16px; font-weight: bold }
.box { fill: #ffffff; stroke: #25537b }
.head { fill: #25537b }
.input .head { fill: #4f7a3a }
.input .box { stroke: #4f7a3a }
.line { fill: none; stroke: #25537b; stroke-width: 3; opacity: 0.75 }
.many { stroke-width: 1.5; stroke-dasharray: 5 3 }
.end { fill: #ffffff; stroke: #25537b; stroke-width: 2 }
"""


class Box(NamedTuple):
    """An input or a step: heading, what it is, its lines, and where it lies."""

    name: str
    title: str
    kind: str
    doc: str
    is_input: bool
    inputs: list[str]
    outputs: list[str]
    left: float
    top: float

    @property
    def height(self) -> float:
        """Pixels from the heading to the last line."""
        return HEADING + TOOL + LINE * (len(self.inputs) + len(self.outputs)) + 8

    def line(self, number: int) -> float:
        """Return the middle of a line, counted from the first input."""
        return self.top + HEADING + TOOL + LINE * (number + 0.5)

    def input_at(self, name: str) -> tuple[float, float]:
        """Return where lines to an input end."""
        return self.left, self.line(self.inputs.index(name))

    def output_at(self, name: str) -> tuple[float, float]:
        """Return where lines from an output begin."""
        return self.left + WIDTH, self.line(len(self.inputs) + self.outputs.index(name))


def connections(workflow: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """From which box and output to which box and input."""
    for name, step in workflow["steps"].items():
        for key, one in step.get("in", {}).items():
            source = one["source"] if isinstance(one, dict) else one
            for each in source if isinstance(source, list) else [source]:
                whence, _, output = each.partition("/")
                yield whence, output or "output", name, key


def boxes_of(workflow: dict[str, Any]) -> dict[str, Box]:
    """Inputs and steps by their names; outputs are those that something is made of, or that the user gets."""
    used = [_source(one) for one in workflow["outputs"].values()]
    used += [(whence, output) for whence, output, _, _ in connections(workflow)]
    found = {}
    together = {**workflow["inputs"], **workflow["steps"]}
    for number, (name, one) in enumerate(together.items(), start=1):
        is_input = name in workflow["inputs"]
        if "position" not in one:
            raise SystemExit(f"{workflow['label']}: {name} has no position.")
        found[name] = Box(
            name=name,
            title=f"{number}: {one.get('label', name)}",
            kind=_kind(one) if is_input else _tool_name(one),
            doc=" ".join(one.get("doc", "").split()),
            is_input=is_input,
            inputs=[] if is_input else list(one.get("in", {})),
            outputs=list(dict.fromkeys(output for whence, output in used if whence == name)),
            left=one["position"]["left"],
            top=one["position"]["top"],
        )
    return found


def _source(one: dict[str, str]) -> tuple[str, str]:
    whence, _, output = one["outputSource"].partition("/")
    return whence, output or "output"


def _kind(one: dict[str, Any]) -> str:
    kind = {"data": "dataset", "collection": "list of datasets", "float": "number", "int": "whole number"}
    words = kind.get(one["type"], one["type"])
    if "default" in one:
        return f"{words}, {one['default']} by default"
    return f"{words}, optional" if one.get("optional") else words


def _tool_name(step: dict[str, Any]) -> str:
    file = TOOLS / f"{step.get('tool_id')}.xml"
    if not file.is_file():
        return str(step.get("tool_id") or "workflow")
    return str(ElementTree.parse(file).getroot().get("name"))  # noqa: S314 - our own file


def draw(workflow: dict[str, Any]) -> str:
    """Return the picture of a workflow as SVG."""
    boxes = boxes_of(workflow)
    comments = workflow.get("comments", [])
    corners = [(box.left, box.top, box.left + WIDTH, box.top + box.height) for box in boxes.values()]
    for one in comments:
        (left, top), (width, height) = one["position"], one["size"]
        corners.append((left, top, left + width, top + height))
    left, top = (min(corner[i] for corner in corners) - MARGIN for i in (0, 1))
    width = max(corner[2] for corner in corners) + MARGIN - left
    height = max(corner[3] for corner in corners) + MARGIN - top
    lines = list(connections(workflow))
    ends = [line[2:] for line in lines]
    curves = [
        _curve(boxes[a].output_at(out), boxes[b].input_at(into), many=ends.count((b, into)) > 1)
        for a, out, b, into in lines
    ]
    kept = {_source(one): label for label, one in workflow["outputs"].items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{_n(left)} {_n(top)} {_n(width)} {_n(height)}"'
        f' width="{_n(width)}" height="{_n(height)}" role="img">',
        f"<title>{escape(workflow['label'])}</title>",
        f"<desc>{escape(_in_words(workflow, boxes))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}" fill="#f8f9fa"/>',
        *(line for one in comments if one["type"] == "frame" for line in _comment(one)),
        *curves,
        *(line for one in comments if one["type"] != "frame" for line in _comment(one)),
        *(line for box in boxes.values() for line in _box(box, kept)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _in_words(workflow: dict[str, Any], boxes: dict[str, Box]) -> str:
    """For those who do not see it: every step and what it takes."""
    steps = []
    for box in boxes.values():
        if not box.is_input:
            sources = [boxes[a].title for a, _, b, _ in connections(workflow) if b == box.name]
            steps.append(f"{box.title} ({box.kind}) takes {', '.join(dict.fromkeys(sources))}.")
    return " ".join(steps)


def _comment(one: dict[str, Any]) -> Iterator[str]:
    (left, top), (width, height) = one["position"], one["size"]
    fill, edge = COLORS[one.get("color", "none")]
    yield (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}" rx="6" fill="{fill}"'
        f' stroke="{edge}"/>'
    )
    if one["type"] == "frame":
        yield _text(one["title"], left + 10, top + 22, "frame", width - 20, 15)
        return
    at = top + 8.0
    # Headings and paragraphs; a paragraph's lines are one text.
    for part in re.findall(r"^#.*$|(?:^[^#\n].*\n?)+", one["text"], re.MULTILINE):
        heading = part.startswith("#")
        size = 16 if heading else 12
        for line in _wrapped(re.sub(r"[*`]|^#+ ", "", part), width - 24, size):
            at += size * 1.4
            yield f'<text{_class("heading" if heading else "")} x="{_n(left + 12)}" y="{_n(at)}">{escape(line)}</text>'
        at += 4


def _curve(start: tuple[float, float], end: tuple[float, float], many: bool) -> str:
    """A line as the editor draws it: it leaves to the right, and arrives from the left; thin if it is one of many."""
    (x, y), (u, v) = start, end
    reach = max(abs(u - x) / 2, 40)
    points = f"M {_n(x)} {_n(y)} C {_n(x + reach)} {_n(y)}, {_n(u - reach)} {_n(v)}, {_n(u)} {_n(v)}"
    return f'<path{_class("line many" if many else "line")} d="{points}"/>'


def _box(box: Box, kept: dict[tuple[str, str], str]) -> Iterator[str]:
    x, y = box.left, box.top
    yield f"<g{_class('input' if box.is_input else '')}>"
    if box.doc:
        yield f"<title>{escape(box.doc)}</title>"
    yield f'<rect class="box" x="{_n(x)}" y="{_n(y)}" width="{WIDTH}" height="{_n(box.height)}" rx="5"/>'
    corners = f"v {5 - HEADING} q 0 -5 5 -5 h {WIDTH - 10} q 5 0 5 5 v {HEADING - 5} z"
    yield f'<path class="head" d="M {_n(x)} {_n(y + HEADING)} {corners}"/>'
    yield _text(box.title, x + 10, y + 20, "name", size=13)
    yield _text(box.kind, x + 10, y + HEADING + 15, "tool", size=11)
    for name in box.inputs:
        u, v = box.input_at(name)
        yield f'<circle class="end" cx="{_n(u)}" cy="{_n(v)}" r="5"/>'
        yield _text(name.rpartition("|")[2].replace("_", " "), u + 12, v + 4)
    for name in box.outputs:
        u, v = box.output_at(name)
        label = kept.get((box.name, name))
        yield f'<circle class="end" cx="{_n(u)}" cy="{_n(v)}" r="5"/>'
        yield _text(label or name.replace("_", " "), u - 12, v + 4, "out kept" if label else "out", size=13)
    yield "</g>"


def _text(words: str, x: float, y: float, style: str = "", room: float = WIDTH - 24, size: float = 12) -> str:
    """A line of text, made narrower where it would not fit."""
    fit = f' textLength="{_n(room)}" lengthAdjust="spacingAndGlyphs"' if len(words) * size * LETTER > room else ""
    return f'<text{_class(style)} x="{_n(x)}" y="{_n(y)}"{fit}>{escape(words)}</text>'


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _wrapped(words: str, width: float, size: float) -> list[str]:
    most, lines = int(width / (size * LETTER)), [""]
    for word in words.split():
        if len(lines[-1]) + len(word) + 1 > most and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if words else []


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def picture_of(file: Path) -> Path:
    """Return where the picture of a workflow's file is."""
    return file.with_name(file.name.replace(".gxwf.yml", ".svg"))


def main() -> None:
    """Write the picture of every workflow."""
    for file in sorted(HERE.glob("*/*.gxwf.yml")):
        picture_of(file).write_text(draw(yaml.safe_load(file.read_text())))
        print(picture_of(file))


if __name__ == "__main__":
    main()
