"""Write what is made of the declarations: Galaxy's tools, and tables of the docs (``make faces``).

What the tools' tests have to find is worked out here, by the literal reference of each operation on the whole image.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import zarr
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chunkwise.cli import summaries  # noqa: E402
from chunkwise.faces.galaxy import tool_xml  # noqa: E402
from chunkwise.faces.galaxy_tests import Found  # noqa: E402
from chunkwise.faces.pages import (  # noqa: E402
    declared_families,
    exactness_sections,
    methods_table,
    options_tables,
)
from chunkwise.operations import families, operations_of  # noqa: E402
from chunkwise.operations.model import Example, Labels, Mask, Operation  # noqa: E402
from chunkwise.ops.expression import evaluate, parse  # noqa: E402
from chunkwise.report.pictures import contrast, label_colors, to_gray  # noqa: E402
from chunkwise.report.side_by_side import TINT, TRUE  # noqa: E402
from chunkwise.story import in_order  # noqa: E402
from operations.reference import reference_result  # noqa: E402
from whole_content import whole_content  # noqa: E402

__all__ = ["ROOT", "expected", "faces"]

#: What the tools bring for Galaxy's tables, which the example for administrators has as well.
SAMPLES = ("tool_data_table_conf.xml", "tool-data/chunkwise_models.loc", "tool-data/chunkwise_stores.loc")


def result(operation: Operation, example: Example) -> tuple[Any, str]:
    """The result of an example by the reference, and how equal to it the blocks are."""
    store = zarr.open_group(ROOT / "test-data" / example.image, mode="r")
    about: Any = dict(store.attrs)
    about = about.get("ome", about)
    axes = [axis["name"] for axis in about["multiscales"][0]["axes"]]
    values = operation.check({**example.values, **example.part})
    array: Any = store[values["level"]]
    whole = np.asarray(array[...])[tuple(_cut(axis, values, about) for axis in axes)]
    space = 2 if values.get("planes") else sum(axis in "zyx" for axis in axes)
    inputs = {role: _beside(ROOT / "test-data" / name) for role, name in example.inputs.items()}
    return reference_result(operation, whole, values, space, inputs), next(
        kind for letters, kind in operation.exact.items() if whole.dtype.kind in letters
    )


def _beside(path: Path) -> Any:
    """What an example takes beside its image: another one, or a table."""
    return np.asarray(zarr.open_array(path / "0", mode="r")[...]) if path.is_dir() else pandas.read_csv(path, sep="\t")


def expected(operation: Operation, example: Example) -> Found:
    """What a test of the Galaxy tool has to find."""
    made, kind = result(operation, example)
    content = whole_content(made.view("uint8") if made.dtype == bool else made)  # records count true as 1
    return Found(made.shape, str(made.dtype), content if kind == "bit" else {"voxels": content["voxels"]})


def brightness(operation: Operation, example: Example, region: str) -> tuple[int, float]:
    """Height and mean of the picture of a preview, but for its letters: two pictures four times as large, on white."""
    made, _ = result(operation, example)
    image = np.asarray(zarr.open_array(ROOT / "test-data" / example.image / "0", mode="r")[...])
    box = tuple(slice(*map(int, part.split(":"))) for part in region.split(","))
    window = contrast(image[box])
    gray = to_gray(image[box], *window).astype(float)
    if made.dtype == bool:
        after = np.where(made[box], (1 - TINT) * gray + TINT * np.mean(TRUE), gray)
    else:
        after = to_gray(made[box], *(window if made.dtype == image.dtype else contrast(made[box]))).astype(float)
    lines = 1 + isinstance(operation.gives, Mask) + len(operation.needs)
    height = 512 + 20 * (lines + 1) + 4 * 12
    white, pixels = 1060 * height, 2 * 512 * 512
    return height, float((gray.mean() + after.mean()) / 2 * pixels + 255 * (white - pixels)) / white


def _cut(axis: str, values: dict[str, Any], about: Any) -> Any:
    """What of an axis an example takes."""
    if axis == "c" and values.get("channel"):
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


def panel() -> str:
    """Galaxy's tool panel. It would sort a folder of tools by name; so each is listed, in the order of the work."""
    lines = []
    for part, commands in in_order(summaries()).items():
        files = [path.name for name in commands for path in _tools_of(name)]
        if files:
            lines.append(f'        <label id="chunkwise_part_{part.split()[0].lower()}" text="{part}"/>')
            lines += [f'        <tool file="@CHUNKWISE@/tools/chunkwise/{file}"/>' for file in files]
    return "\n".join(lines)


def _tools_of(name: str) -> list[Path]:
    """The tools that a command is; one with actions may be several."""
    return sorted(
        path
        for path in (ROOT / "tools/chunkwise").glob("chunkwise_*.xml")
        if path.stem == f"chunkwise_{name}" or path.stem.startswith(f"chunkwise_{name}_")
    )


def parts_of(name: str) -> dict[str, str]:
    """What is made of the page of a family; pages with tables of their own are held by tests/test_docs.py."""
    made = {"methods": methods_table, "options": options_tables}
    text = (ROOT / f"docs/commands/{name}.md").read_text()
    wanted = made if name in declared_families() else [part for part in made if f"<!-- {part}: " in text]
    return {part: made[part](name) for part in wanted}


def faces() -> dict[Path, str]:
    """Every file that is made, or holds a part that is."""
    tools = {
        ROOT / f"tools/chunkwise/chunkwise_{name}.xml": tool_xml(name, expected, brightness)
        for name in declared_families()
    }
    readme = "| command | what it does |\n|---|---|\n"
    readme += index("| [`chunkwise {name}`](docs/commands/{name}.md) | {summary} |")
    pages = [
        between("README.md", commands=readme),
        between("docs/index.md", commands="| | |\n|---|---|\n" + index("| [{name}](commands/{name}.md) | {summary} |")),
        between("docs/exactness.md", kernels=exactness_sections()),
        between("deploy/galaxy/example/tool_conf.xml", tools=panel()),
        *(between(f"docs/commands/{name}.md", **parts_of(name)) for name in families()),
    ]
    samples = {
        ROOT / "deploy/galaxy/example" / name: (ROOT / f"tools/chunkwise/{name}.sample").read_text() for name in SAMPLES
    }
    return tools | dict(pages) | samples


def tile(made: Any, of_labels: bool) -> Any:
    """Part of an image, enlarged; of labels a larger part, with the border."""
    if of_labels and made.dtype.kind == "f":
        return np.asarray(255 * np.cbrt(made / made.max()), "uint8")[-200:, :200]
    if of_labels:
        return (np.where(made, 255, 0).astype("uint8") if made.dtype == bool else label_colors(made))[-200:, :200]
    part = made[150:250, 20:120] if made.shape[0] > 250 else made[:100, :100]
    if made.dtype.kind == "f":  # may be negative, and would wrap around
        low, high = np.percentile(part, (1, 99))
        part = np.clip((part - low) / ((high - low) or 1), 0, 1) * 255
    part = np.asarray(part, "uint8") * (255 if made.dtype == bool else 1)
    return part.repeat(2, 0).repeat(2, 1)


def picture(name: str) -> Any:
    """Coins, or their labels, before and after each method of a family, as its examples are."""
    of_labels = any(isinstance(one.takes["image"], Labels) for one in operations_of(name).values())
    if any(one.mixes for one in operations_of(name).values()):
        return colours(name)
    coins = ("coins_2d_labels.ome.zarr", "coins_2d_mask.ome.zarr") if of_labels else ("coins_2d.ome.zarr",)
    shown = [("before", np.asarray(zarr.open_array(ROOT / "test-data" / coins[0] / "0", mode="r")[...]))]
    for operation in operations_of(name).values():
        example = next((one for one in operation.examples if one.image in coins and not one.part), None)
        if example is not None:
            words = " ".join(str(*one) if isinstance(one, list) else str(one) for one in example.values.values())
            made, _ = result(operation, example)
            if isinstance(operation.gives, Labels) and not of_labels:  # a few classes
                made = (made * (255 // made.max())).astype("uint8")
            shown.append((", ".join(filter(None, (operation.name, words))), made))
    if len(shown) == 1:  # it is for stacks
        return None
    return side_by_side("RGB" if of_labels else "L", [(words, tile(made, of_labels)) for words, made in shown])


def colours(name: str) -> Any:
    """A piece of a slide, and each channel that is made of it."""
    stored = np.asarray(zarr.open_array(ROOT / "test-data" / "tissue_rgb.ome.zarr" / "0", mode="r")[...])
    shown = [("before", np.moveaxis(stored, 0, -1)[:100, :100].repeat(2, 0).repeat(2, 1))]
    for operation in operations_of(name).values():
        if operation.channels is not None:
            made, _ = result(operation, operation.examples[0])
            names = operation.channels(**operation.own(operation.check(operation.examples[0].values)))
            shown += [(f"{operation.name}: {one}", tile(made[place], False)) for place, one in enumerate(names)]
    return side_by_side("RGB", shown)


def calculated() -> Any:
    """Coins, their labels, and what expressions make of both."""
    names = {"a": "coins_2d", "b": "coins_2d_labels"}
    images = {
        letter: np.asarray(zarr.open_array(ROOT / "test-data" / f"{name}.ome.zarr" / "0", mode="r")[...])
        for letter, name in names.items()
    }
    shown = [("a", tile(images["a"], False)), ("b", tile(images["b"].astype(float), False))]
    for text in ("where(b > 0, a, 0)", "sqrt(a) * (b > 0)", "a > 110 and b == 0"):
        shown.append((text, tile(evaluate(parse(text), text, images), False)))
    return side_by_side("L", shown)


def side_by_side(mode: str, shown: list[tuple[str, Any]]) -> Any:
    """Tiles in rows of five, with words above each."""
    size = (min(len(shown), 5) * 208 - 8, -(-len(shown) // 5) * 226 - 8)
    canvas = Image.new(mode, size, "white")
    for place, (words, drawn) in enumerate(shown):
        x, y = place % 5 * 208, place // 5 * 226
        canvas.paste(Image.fromarray(drawn), (x, y + 18))
        ImageDraw.Draw(canvas).text((x, y + 2), words, "black", ImageFont.load_default_imagefont())
    return canvas


def pictures() -> dict[Path, Any]:
    """Every picture that is made."""
    drawn = {name: picture(name) for name in declared_families()} | {"math": calculated()}
    return {ROOT / f"docs/images/{name}.png": canvas for name, canvas in drawn.items() if canvas is not None}


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
