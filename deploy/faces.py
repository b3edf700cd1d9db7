"""Write what is made of the declarations: Galaxy's tools, and tables of the docs (``make faces``).

What the tools' tests have to find is worked out here, by the literal reference of each operation on the whole image.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chunkwise.cli import summaries  # noqa: E402
from chunkwise.faces.galaxy import Found, tool_xml  # noqa: E402
from chunkwise.faces.pages import (  # noqa: E402
    declared_families,
    exactness_sections,
    methods_table,
    options_tables,
)
from chunkwise.operations import families, operations_of  # noqa: E402
from chunkwise.operations.model import Example, Operation  # noqa: E402
from operations.reference import reference_result  # noqa: E402
from whole_content import whole_content  # noqa: E402

__all__ = ["ROOT", "expected", "faces"]


def result(operation: Operation, example: Example) -> tuple[Any, str]:
    """The result of an example by the reference, and how equal to it the blocks are."""
    store = zarr.open_group(ROOT / "test-data" / example.image, mode="r")
    about: Any = dict(store.attrs)
    about = about.get("ome", about)
    axes = [axis["name"] for axis in about["multiscales"][0]["axes"]]
    values = operation.check({**example.values, **example.part})
    array: Any = store[values["level"]]
    whole = np.asarray(array[...])[tuple(_cut(axis, values, about) for axis in axes)]
    space = 2 if values["planes"] else sum(axis in "zyx" for axis in axes)
    return reference_result(operation, whole, values, space), next(
        kind for letters, kind in operation.exact.items() if whole.dtype.kind in letters
    )


def expected(operation: Operation, example: Example) -> Found:
    """What a test of the Galaxy tool has to find."""
    made, kind = result(operation, example)
    content = whole_content(made.view("uint8") if made.dtype == bool else made)  # records count true as 1
    return Found(made.shape, str(made.dtype), content if kind == "bit" else {"voxels": content["voxels"]})


def _cut(axis: str, values: dict[str, Any], about: Any) -> Any:
    """What of an axis an example takes."""
    if axis == "c" and values["channel"]:
        names = [channel.get("label") for channel in about.get("omero", {}).get("channels", [])]
        return [names.index(one) if one in names else int(one) for one in values["channel"]]
    text = values["time"] if axis == "t" else None
    if axis in "zyx" and values["region"]:
        parts = values["region"].split(",")
        text = parts["zyx".index(axis) - 3 + len(parts)]
    first, _, last = (text or ":").partition(":")
    if text and not last:
        return slice(int(first), int(first) + 1)
    return slice(int(first or 0), int(last) if last else None)


def between(path: str, **parts: str) -> tuple[Path, str]:
    """A page whose marked parts are written anew."""
    text = (ROOT / path).read_text()
    for name, content in parts.items():
        start, end = f"<!-- {name}: made by make faces -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{path} lacks the lines {start.strip()} and {end}.")
        text = f"{before}{start}\n{content}\n\n{end}{after}"
    return ROOT / path, text


def index(row: str) -> str:
    """Rows of an index of all commands; ``row`` is a template with ``{name}`` and ``{summary}``."""
    return "\n".join(row.format(name=name, summary=summary) for name, summary in summaries().items())


def parts_of(name: str) -> dict[str, str]:
    """What is made of the page of a family; pages with tables of their own are held by tests/test_docs.py."""
    made = {"methods": methods_table, "options": options_tables}
    text = (ROOT / f"docs/commands/{name}.md").read_text()
    wanted = made if name in declared_families() else [part for part in made if f"<!-- {part}: " in text]
    return {part: made[part](name) for part in wanted}


def faces() -> dict[Path, str]:
    """Every file that is made, or holds a part that is."""
    tools = {ROOT / f"tools/chunkwise/chunkwise_{name}.xml": tool_xml(name, expected) for name in declared_families()}
    readme = "| command | what it does |\n|---|---|\n"
    readme += index("| [`chunkwise {name}`](docs/commands/{name}.md) | {summary} |")
    pages = [
        between("README.md", commands=readme),
        between("docs/index.md", commands="| | |\n|---|---|\n" + index("| [{name}](commands/{name}.md) | {summary} |")),
        between("docs/exactness.md", kernels=exactness_sections()),
        *(between(f"docs/commands/{name}.md", **parts_of(name)) for name in families()),
    ]
    return tools | dict(pages)


def picture(name: str) -> Any:
    """Coins before and after each method of a family, as its examples are."""
    coins = np.asarray(zarr.open_array(ROOT / "test-data/coins_2d.ome.zarr/0", mode="r")[...])
    shown = [("before", coins)]
    for operation in operations_of(name).values():
        example = next((one for one in operation.examples if one.image == "coins_2d.ome.zarr" and not one.part), None)
        if example is not None:
            words = " ".join(f"{word} {value}" for word, value in example.values.items())
            shown.append((", ".join(filter(None, (operation.name, words))), result(operation, example)[0]))
    canvas = Image.new("L", (min(len(shown), 5) * 208 - 8, -(-len(shown) // 5) * 226 - 8), 255)
    for place, (words, made) in enumerate(shown):
        part = np.asarray(made[150:250, 20:120], "uint8") * (255 if made.dtype == bool else 1)
        x, y = place % 5 * 208, place // 5 * 226
        canvas.paste(Image.fromarray(part.repeat(2, 0).repeat(2, 1)), (x, y + 18))
        ImageDraw.Draw(canvas).text((x, y + 2), words, 0, ImageFont.load_default_imagefont())
    return canvas


def pictures() -> dict[Path, Any]:
    """Every picture that is made."""
    return {ROOT / f"docs/images/{name}.png": picture(name) for name in declared_families()}


def is_shown(path: Path, canvas: Any) -> bool:
    """Whether a picture lies there already; another version of Pillow may write other bytes of it."""
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.size == canvas.size and image.tobytes() == canvas.tobytes()


def main() -> None:
    """Write them."""
    for path, canvas in pictures().items():
        if not is_shown(path, canvas):
            canvas.save(path, optimize=True)
            print(path.relative_to(ROOT))
    for path, text in faces().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
