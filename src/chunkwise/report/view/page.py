"""A view as one HTML file: tiles, script and style in it, and no other address.

The file works from a disk and inside Galaxy. A policy in its head allows its own script and style, by their hashes, and
pictures that are in it; everything else, requests to any server among it, is refused by the browser, whatever the
metadata of an image hold. Where scripts do not run, it shows a picture.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chunkwise.report.page import Page, templates
from chunkwise.report.pictures import CHANNEL_COLORS, composite, enlarge, label_colors, outlines
from chunkwise.report.view.fill import Frame, View
from chunkwise.report.view.scene import OVERVIEW, Layer
from chunkwise.report.view.tiles import EDGE, stitched

__all__ = ["SCRIPTS", "page_bytes", "scene_of", "still_of"]

Array = np.ndarray[Any, Any]

#: In the order in which they need each other.
SCRIPTS = ("png.js", "tiles.js", "paint.js", "controls.js", "objects.js", "start.js")


def page_bytes(page: Page, scene: dict[str, Any], still: Array, caption: str, left_out: Sequence[str]) -> bytes:
    """Make the page of a view.

    Parameters
    ----------
    page : Page
        What stands around it: heading, facts and tables.
    scene : dict
        What the script shows, as :func:`scene_of` returns it.
    still : ndarray
        The picture for readers without scripts: uint8, shape (y, x, 3).
    caption : str
        What it shows.
    left_out : sequence of str
        Sentences on what of the image is not in the page.
    """
    here = Path(__file__).parent
    # In a function of its own, the script leaves no names behind.
    inner = "\n".join((here / name).read_text() for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{inner}\n}})();\n'
    style = (here.parent / "templates" / "page.css").read_text() + (here / "view.css").read_text()
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
    policy += "base-uri 'none'; form-action 'none'"
    # Nothing of a name can end the script element or begin another: < is written as an escape of JSON.
    data = json.dumps(scene, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    picture = enlarge(still)
    text = (
        templates(here)
        .get_template("view.html.j2")
        .render(
            page=page,
            sources={},
            policy=policy,
            style=style,
            script=script,
            scene=data,
            still=_jpeg(picture),
            still_caption=caption,
            still_width=picture.shape[1],
            left_out=left_out,
        )
    )
    return text.encode()


def scene_of(
    title: str,
    layers: Sequence[Layer],
    view: View,
    space: Mapping[str, Any],
    objects: Mapping[int, Mapping[int, Any]],
) -> dict[str, Any]:
    """Say in JSON values what the script shows.

    Parameters
    ----------
    title : str
        Name of what is shown.
    layers : sequence of Layer
        What is shown.
    view : View
        Its tiles.
    space : mapping
        ``size``, ``step``, ``unit``, ``aspect``, ``firstTime`` and ``duration``.
    objects : mapping
        Tables of objects, packed, by layer and time point.
    """
    made = []
    for number, layer in enumerate(layers):
        sheets = []
        for index, sheet in enumerate(layer.sheets):
            frames = {
                f"{frame[0]},{frame[1]}": tiles
                for (one, other, frame), tiles in view.tiles.items()
                if (one, other) == (number, index)
            }
            if frames:
                sheets.append(
                    {
                        "step": list(sheet.step[1:]),
                        "offset": list(sheet.offset[1:]),
                        "shape": list(sheet.shape),
                        "frames": frames,
                    }
                )
        entry: dict[str, Any] = {"name": layer.name, "kind": layer.kind, "on": True, "sheets": sheets}
        entry |= _looks(layer, number, view, objects.get(number, {}), alone=len(layers) == 1)
        made.append(entry)
    return {
        "title": title,
        "tile": EDGE,
        "first": list(view.first),
        "times": view.times,
        "planes": view.planes,
        "layers": made,
        **space,
    }


def _looks(layer: Layer, number: int, view: View, objects: Mapping[int, Any], alone: bool) -> dict[str, Any]:
    """How a layer is drawn at first."""
    if layer.kind == "labels":
        names = {name: position for position, name in enumerate(layer.classes)}
        class_of: dict[str, dict[str, int]] = {}
        for (time, label), name in layer.class_of.items():
            class_of.setdefault(str(time), {})[str(label)] = names[name]
        return {
            "style": "filled" if alone else "outlines",
            "opacity": 1,
            "classes": [{"name": name, "color": list(bytes.fromhex(c))} for name, c in layer.classes.items()],
            "classOf": class_of,
            "objects": {str(time): table for time, table in objects.items()},
        }
    channels = []
    for place, (channel, color) in enumerate(zip(layer.channels, colors_of(layer), strict=True)):
        found = view.ranges[number, place]
        width = found.high - found.low
        black = round(255 * (found.black - found.low) / width)
        name = channel.name if channel.name != str(channel.index) else f"Channel {channel.index}"
        channels.append(
            {
                "name": name,
                "color": f"#{color}",
                "low": found.low,
                "high": found.high,
                "black": black,
                "white": max(black + 1, round(255 * (found.white - found.low) / width)),
                "exact": found.exact,
                "on": place < 4,
            }
        )
    return {"channels": channels}


def colors_of(layer: Layer) -> list[str]:
    """A colour for each channel: white for one alone, else those of the store, unless they are all alike."""
    if len(layer.channels) == 1:
        return ["FFFFFF"]
    usual = [CHANNEL_COLORS[n % len(CHANNEL_COLORS)] for n in range(len(layer.channels))]
    named = [channel.color or usual[n] for n, channel in enumerate(layer.channels)]
    return named if len(set(named)) == len(named) else usual


def still_of(layers: Sequence[Layer], view: View) -> tuple[Array, str]:
    """Draw the first plane from coarse tiles: the picture, and what it shows."""
    frame: Frame = view.first
    drawn: Array | None = None
    for number, layer in enumerate(layers):
        small = [n for n, sheet in enumerate(layer.sheets) if max(sheet.shape) <= OVERVIEW]
        index = max(n for n in small if (number, n, frame) in view.tiles)
        sheet = layer.sheets[index]
        planes = [stitched(tiles, sheet.shape, layer.kind == "labels") for tiles in view.tiles[number, index, frame]]
        if layer.kind == "image":
            grays = []
            for place, plane in enumerate(planes[:4]):
                found = view.ranges[number, place]
                values = found.low + plane * ((found.high - found.low) / 255)
                grays.append(
                    np.clip((values - found.black) * (255 / (found.white - found.black)), 0, 255).astype(np.uint8)
                )
            drawn = composite(grays, colors_of(layer)[:4])
            continue
        colors = label_colors(planes[0])
        if drawn is None:
            drawn = colors
            continue
        # Levels of labels may be others than those of the image.
        nearby = np.ix_(
            *(np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(drawn.shape[:2], sheet.shape, strict=True))
        )
        nearest = planes[0][nearby]
        drawn = np.where(outlines(nearest)[..., None], colors[nearby], drawn)
    assert drawn is not None
    names = ", ".join(layer.name for layer in layers)
    return np.asarray(drawn, np.uint8), f"A small picture of the first plane: {names}."


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _jpeg(picture: Array) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
