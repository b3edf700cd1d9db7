"""From a request to an image that is calculated of several on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.layout import output_like
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.math import calculate
from chunkwise.ops.expression import evaluate, images_of, parse
from chunkwise.ops.local import apply_locally
from chunkwise.ops.mixed import MixedVolumes
from chunkwise.ops.write_unit import content_of
from chunkwise.running.chains.local import BASE
from chunkwise.running.labels import report_remarks
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.several import around, on_one_grid, open_all, others_of, roles_of, selected, selections_of
from chunkwise.running.stores import StoreRun, fit_blocks

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Calculate; see :func:`chunkwise.running.run.run`."""
    values, text = request.values, request.values["expression"]
    tree = parse(text)
    _check_images(images_of(tree), set(roles_of(request)), text)
    opened = open_all(request)
    chosen = selections_of(request, opened)
    first, letters = chosen["a"], "".join(chosen)
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
    item_in, item_out = sum(np.dtype(one).itemsize for one in types.values()), np.dtype(dtype).itemsize

    def projected(grid: Grid, threads: int = 1) -> int:
        # What is read, and the result, and as much where it is encoded; in between some voxels only are calculated.
        outer = 2 * (item_in + item_out)
        return projected_memory(grid, outer=outer, unit=2 * item_out, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, first, projected, work=len(chosen), threads=True)
    recorded = request.recorded(
        channel=[f"{letter}={name}" for letter, one in chosen.items() for name in one.channel_names]
    )
    output = output_like(
        first,
        first.image.name or "image",
        dtype,
        channels=count if count > 1 or "c" in first.image.axis_names else None,
        shard=request.to.shard,
        pyramid=request.to.pyramid,
        downsampling="nearest" if dtype == "bool" else "mean",
        omero=omero_of(_channels(chosen, widest, text), dtype),
    )
    none, own = (0,) * len(grid.shape), {"expression": text, "letters": letters, "dtype": dtype}
    volumes = MixedVolumes(
        first.source, grid, first.channels, calculate, own, none, False, dtype, {}, stacks=stacks, apart=True
    )
    work = StoreRun(request, opened["a"], first, grid, recorded, output=output, others=others_of(opened, chosen))
    with work.working(resources, volumes.n_groups * grid.n_units) as job:
        apply_locally(volumes, output, job)
        content = content_of(job.run, output)
        work.complete(output)
    report_remarks(work.recorder, tuple(remarks))
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
