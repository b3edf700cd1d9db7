"""What the docs say of operations that they say themselves: tables in Markdown."""

from __future__ import annotations

import argparse

from chunkwise.faces.parser import add_arguments
from chunkwise.operations import families, operations_of
from chunkwise.operations.model import Operation

__all__ = [
    "declared_families",
    "exactness",
    "exactness_sections",
    "exactness_words",
    "methods_table",
    "options_tables",
    "reference_call",
]


def declared_families() -> list[str]:
    """Families whose operations all say what they equal, as those of kernels do."""
    return [name for name in families() if all(one.equals for one in operations_of(name).values())]


def _kinds(letters: str) -> str:
    """Kinds of voxels in words."""
    words = {"integers": "i" in letters or "u" in letters, "floats": "f" in letters, "masks": "b" in letters}
    return " and ".join(word for word, there in words.items() if there)


def exactness(operation: Operation) -> str:
    """How equal, as a row of ``docs/exactness.md`` says it."""
    if len(operation.exact) == 1:
        return next(iter(operation.exact.values()))
    return ", ".join(f"{_kinds(letters)}: {kind}" for letters, kind in operation.exact.items())


def exactness_words(operation: Operation) -> str:
    """The same, for people."""
    rough = [_kinds(letters) for letters, kind in operation.exact.items() if kind != "bit"]
    return f"identical, for {' and '.join(rough)} up to a rounding," if rough else "identical"


def reference_call(operation: Operation) -> str:
    """The literal reference on one line."""
    return " ".join(operation.equals.split())


def methods_table(name: str) -> str:
    """What each method of a family does."""
    rows = [f"| `{one.name}` | {one.does} | {_code(reference_call(one))} |" for one in operations_of(name).values()]
    return "\n".join(("| `--method` | what it does | on the whole volume |", "|---|---|---|", *rows))


def exactness_sections() -> str:
    """The rows of all declared kernels for ``docs/exactness.md``."""
    found = []
    for name in declared_families():
        rows = [
            f"| {one.name} | {_code(reference_call(one))} | {exactness(one)} |" for one in operations_of(name).values()
        ]
        head = (f"### {name}\n", "| method | reference, on the whole volume | kind |", "|---|---|---|")
        found.append("\n".join((*head, *rows)))
    return "\n\n".join(found)


def options_tables(name: str) -> str:
    """Every option of a family, as its parser says them."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser, name)
    found = []
    for group in parser._action_groups:
        rows = [f"| `{_call(action)}` | {action.help or ''} |" for action in group._group_actions]
        if rows:
            title = str(group.title)
            head = [] if title == "positional arguments" else [f"### {title[:1].upper()}{title[1:]}\n"]
            found.append("\n".join((*head, "| option | meaning |", "|---|---|", *rows)))
    return "\n\n".join(found)


def _code(text: str) -> str:
    """Code in a cell of a table."""
    return f"`{text}`".replace("|", "\\|")


def _call(action: argparse.Action) -> str:
    """An option with its value."""
    value = "\\|".join(map(str, action.choices)) if action.choices else str(action.metavar or "").replace("|", "\\|")
    return " ".join(filter(None, (*action.option_strings[:1], "" if action.nargs == 0 else value)))
