"""Run a bioimage.io model on an image of any size, with the result of the whole image.

The model's own description says which axes and channels it takes, how the image is normalised, and what the
result is called. Statistics are those of the whole image; tiles overlap by what the network looks around
itself. The result is an image (OME-Zarr 0.5) with the model's maps as channels; 'chunkwise objects' makes
labels of it.

  chunkwise predict cells.ome.zarr --model nuclei --output maps.ome.zarr --channel DAPI

A model of two dimensions is run on every plane of a volume, each normalised by itself. A run that was stopped
goes on where it stopped when the same command is given again. 'chunkwise model list' names the models.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from chunkwise.commands.options import (
    add_image,
    add_level,
    add_region,
    add_resources,
    add_store_output,
    add_time,
    parameters_of,
)
from chunkwise.errors import InputError

if TYPE_CHECKING:  # bioimageio.core and the like are imported when the command runs
    from chunkwise.models.library import Approved
    from chunkwise.models.package import Package
    from chunkwise.ngff.model import Axis, Image
    from chunkwise.ngff.volumes import Selection

__all__ = ["add_arguments", "run"]

#: Voxels of the middle of a tile, along each axis, unless --block says otherwise or memory is short.
TILE = {2: 1024, 3: 96}
#: Networks do some hundred times the work of a filter on a voxel; so many workers pay for themselves earlier.
WORK = 64
#: A voxel's edge may differ from the model's by this factor without a word.
NEAR = 1.3
#: By more than this, sizes are taken for an error of the metadata.
MOST_RESCALED = 16
#: Maps of a shard together have no more voxels than so many shards of a usual image.
MAPS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_image(parser)
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model", required=True, metavar="ID", help="its name in the site's library, or one that comes with chunkwise"
    )
    group.add_argument(
        "--channel",
        action="append",
        metavar="NAME|N",
        help="channel of the image, by name or number; once for each channel that the model takes, in its order "
        "(default: all, where the image has as many as the model takes)",
    )
    group.add_argument(
        "--map",
        action="append",
        metavar="NAME",
        help="output of the model to keep, by its name in the description; may be given several times (default: all)",
    )
    group.add_argument(
        "--dtype",
        choices=("float32", "float16", "uint8"),
        default="float32",
        help="of the result; uint8 maps 0 to 1 onto 0 to 255, for probabilities (default: float32)",
    )
    group.add_argument(
        "--rescale",
        action="store_true",
        help="show the model voxels of the size that it was made for, interpolated from the image's, and bring its "
        "maps back to the image's voxels (default: voxels as they are, and a note where they are far from that size)",
    )
    group = parser.add_argument_group("which part of the image")
    add_level(group)
    add_time(group)
    add_region(group)
    add_store_output(parser, "image of maps", into_source=False)
    add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Predict; see the module's text."""
    from chunkwise.blocks.grid import Grid
    from chunkwise.blocks.passes import Workers
    from chunkwise.cluster.resources import find_resources, fit_grid
    from chunkwise.cluster.start import open_executor
    from chunkwise.commands.stores import StoreWriter, check_block, check_chunks, check_small_outputs
    from chunkwise.models.library import find_model
    from chunkwise.models.package import read_package
    from chunkwise.models.predict import Inference, predict, projected_memory, tile_axes
    from chunkwise.models.rescale import Rescaled
    from chunkwise.models.session import choose_format
    from chunkwise.ngff.layout import OutputImage
    from chunkwise.ngff.model import Channel
    from chunkwise.ngff.volumes import select
    from chunkwise.ops.fetch import omero_of
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site

    site = load_site()
    opened = open_image_input(args.image, site)
    model = find_model(args.model, site)
    package = read_package(model.path)
    weights = choose_format(package, site is not None and site.models.code)
    # The selection is of one channel; the others are beside it.
    selection = select(opened.image, args.level, "0", args.time, args.region)
    source = selection.source
    channels = _channels(opened.image, package, args.channel)
    _check_axes(selection, package)
    kept = _outputs(package, args.map)
    check_small_outputs(args, "reference", "crate", "record")
    factors = _factors(selection, package) if args.rescale else None
    if factors is None:
        _compare_pixels(selection, package)
    names = [name for index in kept for name in _map_names(package, index, len(kept) > 1)]
    shard_asked = args.shard or _shard(source.shape, len(names))
    shard = shard_asked or _usual_shard(source.shape)
    slots = find_resources(None, None, None, site, gpu=True)
    resources = find_resources(args.workers, args.memory, prod(source.shape) * source.volumes * WORK, site, gpu=True)
    check_chunks(selection, resources)
    flat = len(source.shape) - len(package.spatial)
    check_block(args.block, opened.image.spatial)
    usual = (*shard[:flat], *(min(TILE[len(package.spatial)], s) for s in shard[flat:]))
    grid = fit_grid(
        lambda grid: projected_memory(package, model.reach, grid, 1, len(names), args.dtype, source.dtype, factors),
        Grid.fit(source.shape, shard, args.block or usual),
        shard,
        resources,
        fixed=args.block is not None,
    )
    count = source.volumes * grid.n_units
    threads = max(1, slots.workers // min(resources.workers, count)) if resources.cluster.kind == "local" else 1
    axes, position = _with_channels(opened.image.axes)
    about = {"model": {"id": model.id, "sha256": model.sha256}}
    if model.objects is not None:
        about["objects"] = model.objects
    recorded = parameters_of(args) | {
        "channel": [opened.image.channels[c].name for group in channels for c in group],
        "map": [package.outputs[index].id for index in kept],
        "model": model.id,
        "model_sha256": model.sha256,
        "block": list(grid.block),
        "shard": list(shard),
    }
    del recorded["into_source"]
    size = source.volumes * prod(source.shape) * len(names) * {"float32": 4, "float16": 2, "uint8": 1}[args.dtype]
    read = tuple(replace(source, channel=c) for group in channels for c in group)
    writer = StoreWriter("predict", args, site, opened, selection, recorded, grid, "maps", size, False, read)
    output = OutputImage(
        name=writer.name,
        axes=axes,
        shape=_put(selection.cut_shape, opened.image.axes, position, len(names)),
        dtype=args.dtype,
        scale=_put(selection.level.scale, opened.image.axes, position, 1.0),
        translation=_put(selection.translation, opened.image.axes, position, 0.0),
        labels=False,
        shard=shard_asked,
        omero=omero_of(tuple(Channel(index, name) for index, name in enumerate(names)), args.dtype),
        pyramid=not args.no_pyramid,
        downsampling="mean",
        about=about,
        placed=opened.image.placed,
    )
    work = Inference(
        path=model.path,
        sha256=model.sha256,
        weights=weights,
        threads=threads,
        inputs=tuple(
            tuple(
                cut if factors is None else Rescaled(cut, factors)
                for cut in (replace(source, channel=c) for c in group)
            )
            for group in channels
        ),
        pads=tuple(tensor.pad for tensor in package.inputs),
        axes=tile_axes(package, model.reach, source.shape, grid.block, factors),
        grid=grid,
        output=output,
        outputs=tuple(kept),
        factors=factors,
    )
    work.try_out()
    workers = Workers()
    with writer.writing(workers) as under_way, open_executor(resources, count, under_way.folder, workers) as executor:
        notes = predict(work, executor, under_way, workers)
        work.check_model()
        writer.complete(output)
    notes += _bounds(model)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    writer.recorder.result("model", _about(model, weights, work))
    writer.recorder.result("notes", notes)
    writer.report(output, workers)
    listed = ", ".join(names)
    print(f"{len(names)} map{'s' if len(names) > 1 else ''} ({listed}) of {model.id} in {writer.location.address}")
    return 0


def _channels(image: Image, package: Package, asked: list[str] | None) -> list[tuple[int, ...]]:
    """Which channels of the image each input of the model takes."""
    from chunkwise.ngff.match import select_channels

    needed = [len(tensor.channels) for tensor in package.inputs]
    total = sum(needed)
    wanted = ", ".join(
        name if len(package.inputs) == 1 else f"{tensor.id}: {name}"
        for tensor in package.inputs
        for name in tensor.channels
    )
    has = ", ".join(f"{entry.index} ({entry.name})" for entry in image.channels)
    if asked is None:
        if len(image.channels) != total:
            raise InputError(
                f"{package.name} takes {total} channel{'s' if total > 1 else ''} ({wanted}), and "
                f"{image.location.address} has {len(image.channels)}: {has}; choose with --channel, once for each."
            )
        found = tuple(range(total))
    else:
        if len(asked) != total:
            raise InputError(
                f"{package.name} takes {total} channel{'s' if total > 1 else ''} ({wanted}), and --channel was given "
                f"{len(asked)} time{'s' if len(asked) > 1 else ''}."
            )
        # The same channel may be asked for twice here: a model may want a stain where there is only one.
        found = tuple(select_channels(image, [name])[0] for name in asked)
    groups, at = [], 0
    for count in needed:
        groups.append(found[at : at + count])
        at += count
    return groups


def _check_axes(selection: Selection, package: Package) -> None:
    missing = [axis for axis in package.spatial if axis not in selection.image.spatial]
    if missing:
        raise InputError(
            f"{package.name} takes images with the axes {', '.join(package.spatial)}, and "
            f"{selection.image.location.address} has no {' and no '.join(missing)}."
        )
    if selection.source.dtype in ("bool", "complex64", "complex128"):
        raise InputError(
            f"{selection.image.location.address} holds {selection.source.dtype} voxels, and models take numbers."
        )
    if selection.image.kind == "labels":
        print(f"note: {selection.image.location.address} is a label image.", file=sys.stderr)


def _outputs(package: Package, asked: list[str] | None) -> list[int]:
    known = [tensor.id for tensor in package.outputs]
    for name in asked or ():
        if name not in known:
            raise InputError(f"{package.name} has no output '{name}'; it has {', '.join(known)}.")
    return [index for index, name in enumerate(known) if asked is None or name in asked]


def _map_names(package: Package, index: int, several: bool) -> list[str]:
    tensor = package.outputs[index]
    if not tensor.channels:
        raise InputError(f"{package.name} does not say which channels its output '{tensor.id}' has.")
    plain = tensor.channels == ("0",) or (len(tensor.channels) == 1 and several)
    return [tensor.id if plain else f"{tensor.id}: {name}" if several else name for name in tensor.channels]


def _usual_shard(shape: tuple[int, ...]) -> tuple[int, ...]:
    from chunkwise.ngff.layout import shard_of

    return shard_of(shape)[1]


def _shard(shape: tuple[int, ...], maps: int) -> tuple[int, ...] | None:
    """Smaller shards where there are many maps, whose shards one worker holds together; None for the usual ones."""
    from chunkwise.ngff.layout import shard_of

    chunk, shard = shard_of(shape)
    usual = shard
    while prod(usual) * maps > MAPS * prod(shard) and shard != chunk:
        longest = max(range(len(shard)), key=lambda axis: usual[axis] / chunk[axis])
        if usual[longest] <= chunk[longest]:
            break
        usual = tuple(n // 2 if axis == longest else n for axis, n in enumerate(usual))
    return None if usual == shard else usual


def _with_channels(axes: tuple[Axis, ...]) -> tuple[tuple[Axis, ...], int | None]:
    """The axes of the result, and where an axis for the maps was put in; None where the image has one."""
    from chunkwise.ngff.model import Axis

    if any(axis.type == "channel" for axis in axes):
        return axes, None
    position = sum(axis.type == "time" for axis in axes)
    return (*axes[:position], Axis("c", "channel"), *axes[position:]), position


def _put(values: tuple[Any, ...], axes: tuple[Axis, ...], position: int | None, value: Any) -> tuple[Any, ...]:
    """Values along the axes of the image as those along the axes of the result."""
    if position is None:
        return tuple(value if axis.type == "channel" else v for axis, v in zip(axes, values, strict=True))
    return (*values[:position], value, *values[position:])


def _compare_pixels(selection: Selection, package: Package) -> None:
    """Say where the image's voxels are far from those that the model was made for."""
    said = package.inputs[0].scale or {}
    for number, axis in enumerate(selection.spatial_axes):
        if axis.name not in said or axis.unit is None:
            continue
        factor = _in_units_of(axis, said[axis.name][1])
        if factor is None:
            continue
        edge = said[axis.name][0] * factor
        here = selection.spatial_scale[number]
        if edge > 0 and here > 0 and not 1 / NEAR <= here / edge <= NEAR:
            position = selection.image.axis_names.index(axis.name)
            best = min(
                range(len(selection.image.levels)),
                key=lambda level: abs(selection.image.levels[level].scale[position] / edge - 1),
            )
            print(
                f"note: {package.name} was made for voxels of {edge:g} {axis.unit} along {axis.name}, and these have "
                f"{here:g}; the nearest of the image's levels is --level {best} "
                f"({selection.image.levels[best].scale[position]:g}), and --rescale interpolates.",
                file=sys.stderr,
            )
            return


def _factors(selection: Selection, package: Package) -> tuple[float, ...] | None:
    """Voxels of the model for each one of the image, along each spatial axis; None where they have one size."""
    said = package.inputs[0].scale or {}
    missing = [axis for axis in package.spatial if axis not in said]
    if missing:
        raise InputError(
            f"{package.name} does not say which voxel size it was made for (along {', '.join(missing)}), so nothing "
            "can be rescaled; leave --rescale out, or choose a resolution with --level."
        )
    found = []
    for axis, here in zip(selection.spatial_axes, selection.spatial_scale, strict=True):
        if axis.name not in package.spatial:
            found.append(1.0)
            continue
        edge, unit = said[axis.name]
        factor = _in_units_of(axis, unit)
        if factor is None or not here > 0 < edge:
            raise InputError(
                f"{package.name} was made for voxels of {edge:g} {unit} along {axis.name}, and those of "
                f"{selection.image.location.address} are {here:g} {axis.unit or 'of no stated unit'}, which cannot be "
                "compared; leave --rescale out."
            )
        found.append(here / (edge * factor))
    if min(found) < 1 / MOST_RESCALED or max(found) > MOST_RESCALED:
        raise InputError(
            f"The voxels of {selection.image.location.address} differ from those that {package.name} was made for by a "
            f"factor of more than {MOST_RESCALED}; check the image's voxel size, or choose another --level."
        )
    if min(found) < 0.5:
        print(
            "note: the model's voxels are more than twice as large as the image's: detail between them is left out, "
            "and a coarser --level is the better source.",
            file=sys.stderr,
        )
    return tuple(found) if any(factor != 1 for factor in found) else None


def _in_units_of(axis: Axis, unit: str) -> float | None:
    """How many of an axis's unit one of a model's is; None where either is none of length."""
    from chunkwise.ngff.units import conversion, standard_unit

    known = standard_unit(unit, "space")
    return conversion(known, axis.unit) if known is not None and axis.unit is not None else None


def _bounds(model: Approved) -> list[str]:
    if not model.reach.unbounded:
        return []
    return [
        f"{model.id} looks at the whole image at once ({', '.join(model.reach.unbounded)}), so that its result on "
        "tiles is near to that on the whole image, and not the same."
    ]


def _about(model: Approved, weights: str, work: Any) -> dict[str, Any]:
    """What the record says of the model."""
    return {
        "id": model.id,
        "sha256": model.sha256,
        **{key: model.about.get(key) for key in ("name", "version", "license", "doi", "cite")},
        "weights": weights,
        "stride": list(model.reach.stride),
        "reach": {"before": list(model.reach.before), "after": list(model.reach.after), "found_by": model.how},
        "exact": not model.reach.unbounded,
        "tile": [axis.tile for axis in work.axes],
        "halo": [axis.halo for axis in work.axes],
        **({} if work.factors is None else {"rescaled_by": list(work.factors)}),
        "extended_to": [axis.extended for axis in work.axes],
        "left_out": list(work.session().left_out),
        "checked": {"of": "sha256 of every file", "at": ["start", "each worker", "end"]},
    }
