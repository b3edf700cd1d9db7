"""From a request to the maps of a bioimage.io model."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import ceil, prod
from typing import Any

from chunkwise.cluster.resources import find_resources
from chunkwise.errors import InputError
from chunkwise.models.library import Approved, find_model
from chunkwise.models.package import Package, read_package
from chunkwise.models.predict import Inference, halo_of, memory_of, predict, tile_axes
from chunkwise.models.rescale import Rescaled
from chunkwise.models.session import choose_format
from chunkwise.ngff.layout import shard_of
from chunkwise.ngff.model import Axis, Channel, Image
from chunkwise.ngff.units import conversion, standard_unit
from chunkwise.ngff.volumes import EVERY, Selection, select
from chunkwise.reference import OpenedInput
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.life import check_files
from chunkwise.running.request import Around, Request, Result
from chunkwise.running.stores import StoreRun, laid_out

__all__ = ["around", "run", "selected"]

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


def run(request: Request) -> Result:
    """Predict; see :func:`chunkwise.running.run.run`."""
    values, site = request.values, request.site
    opened = request.open("image")
    model = find_model(values["model"], site)
    package = read_package(model.path)
    weights = choose_format(package, site is not None and site.models.code)
    selection, channels = _cut(request, opened, package)
    source, dtype = selection.source, values["dtype"]
    _check_axes(selection, package)
    kept = _outputs(package, values["map"])
    check_files(request)
    factors = _factors(selection, package) if values["rescale"] else None
    if factors is None:
        _compare_pixels(selection, package)
    names = [name for index in kept for name in _map_names(package, index, len(kept) > 1)]
    shard_asked = request.to.shard or _shard(source.shape, len(names))
    shard = shard_of(source.shape, shard_asked)[1]
    flat = len(source.shape) - len(package.spatial)
    usual = (*shard[:flat], *(min(TILE[len(package.spatial)], s) for s in shard[flat:]))
    slots = find_resources(None, None, None, site, here=request.here, gpu=True)
    # One channel's worth of work: the network's is the same, however many it reads.
    grid, resources = fit_blocks(
        request,
        replace(selection, channels=selection.channels[:1]),
        lambda grid: memory_of(package, model.reach, grid, 1, len(names), dtype, source.dtype, factors),
        shard=shard,
        usual=usual,
        work=WORK,
        gpu=True,
    )
    count = source.volumes * grid.n_units
    threads = max(1, slots.workers // min(resources.workers, count)) if resources.cluster.kind == "local" else 1
    about: dict[str, Any] = {"model": {"id": model.id, "sha256": model.sha256}}
    if model.objects is not None:
        about["objects"] = model.objects
    recorded = request.recorded(
        channel=selection.channel_names,
        map=[package.outputs[index].id for index in kept],
        model=model.id,
        model_sha256=model.sha256,
    )
    output = laid_out(
        *(request, selection, dtype, [Channel(index, name) for index, name in enumerate(names)]),
        name="maps",
        count=len(names),
        shard=shard_asked,
        about=about,
    )
    store = StoreRun(request, opened, selection, grid, recorded, output=output, shard=shard)
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
    with store.working(resources, count) as job:
        notes = predict(work, job)
        work.check_model()
        store.complete(output)
    notes += _bounds(model)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    store.recorder.result("model", _about(model, weights, work))
    store.recorder.result("notes", notes)
    maps = f"{len(names)} map{'s' if len(names) > 1 else ''} ({', '.join(names)})"
    return store.finish(output, [f"{maps} of {model.id} in {store.location.address}"])


def selected(request: Request, opened: OpenedInput) -> Selection:
    """What of the image is read: the channels that the model takes, in its order."""
    return _cut(request, opened, read_package(find_model(request.values["model"], request.site).path))[0]


def _cut(request: Request, opened: OpenedInput, package: Package) -> tuple[Selection, list[tuple[int, ...]]]:
    """What of the image is read, and which channels of it each input of the model takes."""
    values = request.values
    whole = select(opened.image, values["level"], EVERY, values["time"], values["region"])
    groups = _channels(opened.image, package, values["channel"])
    channels = tuple(channel for group in groups for channel in group)
    return replace(whole, source=replace(whole.source, channel=channels[0]), channels=channels), groups


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows: as far as the network looks."""
    model = find_model(request.values["model"], request.site)
    package = read_package(model.path)
    _check_axes(selection, package)
    words = ["If the model normalises by statistics of the image, the preview uses those of the part that was read."]
    far = halo_of(model.reach, package.outputs)
    flat = (0,) * (len(selection.source.shape) - len(far))
    factors = _factors(selection, package) if request.values["rescale"] else None
    if factors is not None:
        far = tuple(ceil(voxels / factor) + 2 for voxels, factor in zip(far, factors[len(flat) :], strict=True))
        words.append("Voxels are interpolated at other positions than in the full run.")
    return Around((*flat, *far), (*(1 for _ in flat), *model.reach.stride), (*words, *_bounds(model)))


def _channels(image: Image, package: Package, asked: list[str] | None) -> list[tuple[int, ...]]:
    """Which channels of the image each input of the model takes."""
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
                f"{image.location.address} has {len(image.channels)}: {has}; choose with --channel, given once for "
                "each."
            )
        found = tuple(range(total))
    else:
        if len(asked) != total:
            raise InputError(
                f"{package.name} takes {total} channel{'s' if total > 1 else ''} ({wanted}), and --channel was given "
                f"{len(asked)} time{'s' if len(asked) > 1 else ''}."
            )
        # The same channel may be asked for twice here: a model may want a stain where there is only one.
        found = tuple(select(image, 0, name).channels[0] for name in asked)
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


def _shard(shape: tuple[int, ...], maps: int) -> tuple[int, ...] | None:
    """Smaller shards where there are many maps, whose shards one worker holds together; None for the usual ones."""
    chunk, shard = shard_of(shape)
    usual = shard
    while prod(usual) * maps > MAPS * prod(shard) and shard != chunk:
        longest = max(range(len(shard)), key=lambda axis: usual[axis] / chunk[axis])
        if usual[longest] <= chunk[longest]:
            break
        usual = tuple(n // 2 if axis == longest else n for axis, n in enumerate(usual))
    return None if usual == shard else usual


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
            "can be rescaled; leave out --rescale, or choose a resolution with --level."
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
                f"{selection.image.location.address} are {here:g} {axis.unit or 'of no stated unit'}, which cannot "
                "be compared; leave out --rescale."
            )
        found.append(here / (edge * factor))
    if min(found) < 1 / MOST_RESCALED or max(found) > MOST_RESCALED:
        raise InputError(
            f"The voxels of {selection.image.location.address} differ from those that {package.name} was made for by a "
            f"factor of more than {MOST_RESCALED}; check the image's voxel size, or choose another --level."
        )
    if min(found) < 0.5:
        print(
            "note: the model's voxels are more than twice as large as the image's: detail between them is lost, and "
            "a coarser --level is the better source.",
            file=sys.stderr,
        )
    return tuple(found) if any(factor != 1 for factor in found) else None


def _in_units_of(axis: Axis, unit: str) -> float | None:
    """How many of an axis's unit one of a model's is; None where either is none of length."""
    known = standard_unit(unit, "space")
    return conversion(known, axis.unit) if known is not None and axis.unit is not None else None


def _bounds(model: Approved) -> list[str]:
    if not model.reach.unbounded:
        return []
    return [
        f"{model.id} looks at the whole image at once ({', '.join(model.reach.unbounded)}), so its result on tiles "
        "is close to that on the whole image, but not the same."
    ]


def _about(model: Approved, weights: str, work: Inference) -> dict[str, Any]:
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
