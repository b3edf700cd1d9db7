"""From a request to an image that is calculated of several on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.math import calculate
from chunkwise.ops.expression import evaluate, images_of, parse
from chunkwise.running.request import Request, Result
from chunkwise.running.several import around, on_one_grid, open_all, roles_of, selected, selections_of, write_mixed

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Calculate; see :func:`chunkwise.running.run.run`."""
    values, text = request.values, request.values["expression"]
    tree = parse(text)
    _check_images(images_of(tree), set(roles_of(request)), text)
    opened = open_all(request)
    chosen = selections_of(request, opened)
    sources, remarks = on_one_grid(request, chosen)
    widest = max(chosen.values(), key=lambda one: len(one.channels))
    count = len(widest.channels)
    for letter, one in chosen.items():
        if len(one.channels) not in (1, count):
            raise InputError(
                f"The image {letter} has {len(one.channels)} channels, and another has {count}; choose them with "
                f"--channel, as in --channel {letter}={one.channel_names[0]}."
            )
    stacks = tuple(tuple(channels[n % len(channels)] for channels in sources.values()) for n in range(count))
    types = {letter: one.source.dtype for letter, one in chosen.items()}
    probe = evaluate(tree, text, {letter: np.ones(1, dtype) for letter, dtype in types.items()})
    dtype = values["dtype"] or ("bool" if probe.dtype == bool else "float32")
    work, output = write_mixed(
        *(request, opened, chosen, remarks, calculate),
        {"expression": text, "letters": "".join(chosen), "dtype": dtype},
        stacks=stacks,
        channels=_channels(chosen, widest, text),
        dtype=dtype,
    )
    content = work.content(output)
    lines = [work.written(output)]
    if content is not None and content.not_finite:
        work.recorder.result("not_finite", content.not_finite)
        lines.append(
            f"  {content.not_finite} of {content.voxels} voxels are infinite or no numbers: divided by zero, the "
            "logarithm or root of what has none, too large, or so in the images"
        )
    return work.finish(output, lines)


def _check_images(named: set[str], given: set[str], text: str) -> None:
    """Refuse images that the expression does not name, and names without an image."""
    for letter in sorted(named - given):
        raise InputError(
            f"--expression '{text}' names the image {letter}, which is not given; give it with --{letter}."
        )
    for letter in sorted(given - named):
        which = "the first image, a" if letter == "a" else f"the image {letter}; name it, or leave out --{letter}"
        raise InputError(f"--expression '{text}' does not name {which}.")


def _channels(chosen: Mapping[str, Selection], widest: Selection, text: str) -> tuple[Channel, ...]:
    """Names and colours: those of the only image, or of the one with most channels; one that several make is new."""
    if len(chosen) > 1 and len(widest.channels) == 1:
        return (Channel(0, text.strip()[:60]),)
    return tuple(replace(widest.image.channels[channel], window=None) for channel in widest.channels)
