"""Which voxels of an image belong to which voxels of a label image."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

from chunkwise.errors import InputError
from chunkwise.ngff.model import Image, Level
from chunkwise.ngff.volumes import Selection, VolumeSource, parse_region, parse_time, select

__all__ = ["check_same_grid", "match_image", "select_channels"]

#: Writers round the scale of lower levels; the shapes tell levels apart anyway.
TOLERANCE = 1e-3


def select_channels(image: Image, names: list[str] | None) -> tuple[int, ...]:
    """Find channels by name or index; all of them where none is asked for.

    Raises
    ------
    InputError
        If one is not there, or is asked for twice.
    """
    if names is None:
        return tuple(range(len(image.channels)))
    found = [select(image, 0, name).source.channel for name in names]
    if len(set(found)) < len(found):
        raise InputError(f"--channel names the same channel of {image.location.address} more than once.")
    return tuple(found)


def match_image(
    image: Image, labels: Selection, region: str | None, time: str | None, channels: tuple[int, ...]
) -> tuple[Level, tuple[VolumeSource, ...]]:
    """Find the level of an image that has the shape and scale of labels.

    Parameters
    ----------
    image : Image
        The image that the labels belong to.
    labels : Selection
        What is measured of the label image.
    region, time : str, optional
        What was cut out of the image before the labels were made of it.
    channels : tuple of int
        Of the image.

    Returns
    -------
    level : Level
        Of the image.
    sources : tuple of VolumeSource
        One a channel; their volumes and boxes are those of the labels.

    Raises
    ------
    InputError
        If no level fits; the sentence gives both shapes and scales.
    """
    for level in image.levels:
        cut = _cut(image, level, region, time)
        if cut is not None and _fits(image, level, cut, labels):
            return level, tuple(replace(cut, channel=channel) for channel in channels)
    cut_of = "" if region is None and time is None else "the cut of "
    known = "; ".join(
        f"level {number}: {_text(image, level.shape, level.scale)}" for number, level in enumerate(image.levels)
    )
    wanted = _text(labels.image, labels.cut_shape, labels.level.scale)
    raise InputError(
        f"No level of {cut_of}{image.location.address} has the shape and scale of the labels ({wanted}); "
        f"it has {known}. For labels of a cut, say with --region and --time which one it was."
    )


def check_same_grid(first: Selection, second: Selection) -> None:
    """Make sure that two selections have the same voxels: axes, shape, scale and units, and number of time points.

    Raises
    ------
    InputError
        If not; the sentence names both, with their shapes and scales.
    """
    if not _fits(second.image, second.level, second.source, first):
        this, other = (
            f"{one.image.location.address} has {_text(one.image, one.cut_shape, one.level.scale)}"
            for one in (first, second)
        )
        raise InputError(f"The two images have to be of one shape and scale, but {this}, and {other}.")


def _cut(image: Image, level: Level, region: str | None, time: str | None) -> VolumeSource | None:
    """The cut of a level; None where the level has no such voxels."""
    sizes = dict(zip(image.axis_names, level.shape, strict=True))
    shape = tuple(sizes[axis] for axis in image.spatial)
    try:
        bounds = parse_region(region, image.spatial, shape)
        first, last = parse_time(time, sizes.get("t", 1))
    except InputError:
        if level is image.levels[0]:
            raise
        return None
    return VolumeSource(
        array=image.location.child(level.path),
        axes=image.axis_names,
        channel=0,
        origin=tuple(start for start, _ in bounds),
        shape=tuple(stop - start for start, stop in bounds),
        first_time=first,
        volumes=last - first,
        dtype=level.dtype,
    )


def _fits(image: Image, level: Level, cut: VolumeSource, labels: Selection) -> bool:
    spatial = [axis for axis in image.axes if axis.type == "space"]
    scale = [s for s, axis in zip(level.scale, image.axes, strict=True) if axis.type == "space"]
    if image.spatial != labels.image.spatial or cut.shape != labels.source.shape:
        return False
    for axis, other in zip(spatial, labels.spatial_axes, strict=True):
        if axis.unit is not None and other.unit is not None and axis.unit != other.unit:
            return False
    return cut.volumes == labels.source.volumes and all(
        isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(scale, labels.spatial_scale, strict=True)
    )


def _text(image: Image, shape: tuple[int, ...], scale: tuple[float, ...]) -> str:
    """Such as ``z 8, y 64, x 64 voxels of 1 x 0.5 x 0.5 micrometer``; channels do not count."""
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(image.axes, shape, strict=True) if axis.type != "channel")
    spatial = [(axis, s) for axis, s in zip(image.axes, scale, strict=True) if axis.type == "space"]
    units = {axis.unit or "units" for axis, _ in spatial}
    each = " x ".join(f"{s:g}" if len(units) == 1 else f"{s:g} {axis.unit or ''}".strip() for axis, s in spatial)
    return f"{sizes} voxels of {each}" + (f" {units.pop()}" if len(units) == 1 else "")
