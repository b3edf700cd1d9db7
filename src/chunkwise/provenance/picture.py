"""The chain of runs as a picture: data and steps in rows from top to bottom, so that it is readable on a phone, too.

Rows are the layers of the graph. An arrow that passes rows goes through a thin place that is kept free in each of them,
and within rows the order is that of what is above and below (the barycentre heuristic of Sugiyama et al. 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from chunkwise.provenance.record import Resource, RunRecord

__all__ = ["Box", "Drawing", "draw_chain"]

WIDTH, HEIGHT = 184, 50
GAP, BETWEEN = 14, 36
"""Between boxes of a row, and between rows."""
MARGIN = 2
LETTERS, SMALL_LETTERS = 23, 30
"""That fit into a box, of its name and of the words below it."""


@dataclass(frozen=True)
class Box:
    """A step or a piece of data."""

    x: float
    y: float
    kind: str
    """``step``, ``failed``, or the kind of the data."""
    title: str
    note: str
    caption: str
    """The whole of it, for who points at it or hears it."""
    link: str | None = None

    @property
    def is_step(self) -> bool:
        """Whether it is a step, and no piece of data."""
        return self.kind in ("step", "failed")


@dataclass(frozen=True)
class Drawing:
    """Where everything is."""

    width: float
    height: float
    boxes: list[Box]
    arrows: list[str]
    """Paths of SVG."""


@dataclass(eq=False)
class _Node:
    layer: int
    kind: str = "bend"
    title: str = ""
    note: str = ""
    caption: str = ""
    link: str | None = None
    x: float = 0.0
    above: list[_Node] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)

    @property
    def width(self) -> int:
        return 8 if self.kind == "bend" else WIDTH


def draw_chain(records: Sequence[RunRecord], names: Mapping[str, str], notes: Mapping[str, str]) -> Drawing:
    """Lay the runs and their data out.

    Parameters
    ----------
    records : sequence of RunRecord
        In order, and joined by what one read of what another wrote (``chain.py``).
    names : mapping of str to str
        What data are called, by their identity.
    notes : mapping of str to str
        A few words below a name: of data by identity, of runs by their id.
    """
    data: dict[str, _Node] = {}
    steps: list[tuple[_Node, list[_Node], list[_Node]]] = []
    for number, record in enumerate(records, start=1):
        read = [_data(data, item, 0, names, notes) for item in record.inputs]
        layer = 1 + max((node.layer for node in read), default=-1)
        failed = record.status == "failed"
        step = _Node(layer, "failed" if failed else "step", f"{number} · {record.command}", notes.get(record.id, ""))
        step.link = f"#{record.command}-{number}"
        step.caption = f"Step {number}: {record.command}{', failed' if failed else ''}"
        known = set(data)
        written = [_data(data, item, layer + 1, names, notes) for item in record.outputs if item.identity not in known]
        steps.append((step, _once(read), _once(written)))
    made = {id(node) for _, _, written in steps for node in written}
    for node in data.values():  # what was there before stands right above its first reader
        readers = [step.layer for step, read, _ in steps if node in read]
        if id(node) not in made and readers:
            node.layer = min(readers) - 1
    nodes, routes = _routed([*data.values(), *(step for step, _, _ in steps)], _edges(steps))
    rows = _rows(nodes)
    width = max(sum(node.width for node in row) + GAP * (len(row) - 1) for row in rows) + 2 * MARGIN
    for row in rows:
        x = (width - sum(node.width for node in row) - GAP * (len(row) - 1)) / 2
        for node in row:
            node.x = x
            x += node.width + GAP
    boxes = [
        Box(
            node.x,
            _top(node),
            node.kind,
            _cut(node.title, LETTERS),
            _cut(node.note, SMALL_LETTERS),
            node.caption,
            node.link,
        )
        for row in rows
        for node in row
        if node.kind != "bend"
    ]
    height = len(rows) * (HEIGHT + BETWEEN) - BETWEEN + 2 * MARGIN
    return Drawing(width, height, boxes, [_path(route) for route in routes])


def _data(
    data: dict[str, _Node], item: Resource, layer: int, names: Mapping[str, str], notes: Mapping[str, str]
) -> _Node:
    if item.identity not in data:
        name, note = names.get(item.identity, item.kind), notes.get(item.identity, item.kind)
        data[item.identity] = _Node(layer, item.kind, name, note, f"{name}: {note}")
    return data[item.identity]


def _once(nodes: Iterable[_Node]) -> list[_Node]:
    return list({id(node): node for node in nodes}.values())


def _edges(steps: Sequence[tuple[_Node, list[_Node], list[_Node]]]) -> list[tuple[_Node, _Node]]:
    return [
        edge
        for step, read, written in steps
        for edge in (*((node, step) for node in read), *((step, node) for node in written))
    ]


def _routed(nodes: list[_Node], edges: list[tuple[_Node, _Node]]) -> tuple[list[_Node], list[list[_Node]]]:
    """Add a bend in every row that an arrow passes; arrows from one place share theirs."""
    bends: dict[tuple[int, int], _Node] = {}
    routes = []
    for start, end in edges:
        route = [start]
        for layer in range(start.layer + 1, end.layer):
            key = id(start), layer
            if key not in bends:
                bends[key] = _Node(layer)
                nodes.append(bends[key])
            route.append(bends[key])
        route.append(end)
        for upper, lower in pairwise(route):
            if not any(lower is other for other in upper.below):
                upper.below.append(lower)
                lower.above.append(upper)
        routes.append(route)
    return nodes, routes


def _rows(nodes: Sequence[_Node]) -> list[list[_Node]]:
    layers = sorted({node.layer for node in nodes})
    rows = [[node for node in nodes if node.layer == layer] for layer in layers]
    for sweep in range(4):
        _place(rows)
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            row.sort(key=lambda node: _middle(node, node.above if down else node.below))
            _place([row])
    return rows


def _place(rows: Iterable[list[_Node]]) -> None:
    for row in rows:
        for position, node in enumerate(row):
            node.x = position - (len(row) - 1) / 2


def _middle(node: _Node, others: Sequence[_Node]) -> float:
    return sum(other.x for other in others) / len(others) if others else node.x


def _top(node: _Node) -> float:
    return MARGIN + node.layer * (HEIGHT + BETWEEN)


def _path(route: Sequence[_Node]) -> str:
    x, y = _center(route[0]), _top(route[0]) + HEIGHT
    words = [f"M{x:g} {y:g}"]
    for node in route[1:]:
        nx, ny = _center(node), _top(node) - (0 if node.kind == "bend" else 5)
        half = (ny - y) / 2
        words.append(f"C{x:g} {y + half:g} {nx:g} {ny - half:g} {nx:g} {ny:g}")
        x, y = nx, ny
        if node.kind == "bend":
            y = _top(node) + HEIGHT
            words.append(f"V{y:g}")
    return "".join(words)


def _center(node: _Node) -> float:
    return node.x + node.width / 2


def _cut(text: str, letters: int) -> str:
    """Leave out the middle of what does not fit: names differ at their ends."""
    return text if len(text) <= letters else f"{text[: letters - 12]}…{text[-11:]}"
