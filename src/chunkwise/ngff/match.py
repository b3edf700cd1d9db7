"""Which voxels of an image belong to which voxels of a label image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isclose

from chunkwise.errors import InputError
from chunkwise.ngff.model import Image, Level
from chunkwise.ngff.units import conversion
from chunkwise.ngff.volumes import Geometry, Selection, VolumeSource, cut_of

__all__ = ["Match", "match_image", "match_selections", "region_of"]

#: Writers round the scale of lower levels; the shapes tell levels apart anyway.
TOLERANCE = 1e-3
#: Voxels that two origins may lie apart: writers of lower levels shift them by a half, or do not.
APART = 1.0
#: The same in time, where nothing is shifted and the next frame is another one.
APART_IN_TIME = 0.5
#: What rounding does to an origin, as a share of it.
ROUNDING = 1e-6

OFFER = "if the voxels are nevertheless the same, say so with --same-voxels"


@dataclass(frozen=True)
class Match:
    """What of an image belongs to labels."""

    labels: VolumeSource
    """As many volumes as the image's."""
    level: Level
    sources: tuple[VolumeSource, ...]
    """One a channel; their volumes and boxes are those of the labels."""
    geometry: Geometry
    """Of the labels' voxels: what labels and image say of it together."""
    remarks: tuple[str, ...]
    """What was taken on trust."""


def match_image(
    image: Image,
    labels: Selection,
    region: str | None,
    time: str | None,
    channels: tuple[int, ...],
    same_voxels: bool = False,
) -> Match:
    """Find the level of an image that has the shape, scale and place of labels.

    Axes of length 1 may be absent on one side, units are converted, and a side that says nothing of its scale or
    its place is taken at the other's word.

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
    same_voxels : bool
        Whether a person says that the voxels are the same: then only the shape counts, and labels of one time point
        hold for all of the image's.

    Raises
    ------
    InputError
        If no level fits, with both shapes and scales; or if it lies elsewhere, with both places.
    """
    cuts = [
        Selection(image, level, cut, (cut.channel,))
        for level in image.levels
        if (cut := _cut(image, level, region, time)) is not None
    ]
    still = same_voxels and labels.source.volumes == 1
    alike = [cut for cut in cuts if _sizes(cut, still) == _sizes(labels, still)]
    chosen = next((cut for cut in alike if _same_scale(labels, cut)), alike[0] if alike and same_voxels else None)
    if chosen is None:
        raise InputError(_no_level(image, labels, region, time, cuts))
    far = _apart(labels, chosen)
    cut_out = {"t": time is not None} | dict.fromkeys("zyx", region is not None)
    stated = [axis for axis in far if labels.image.placed and (image.placed or cut_out[axis])]
    if stated and not same_voxels:
        advice = "for labels of a cut, give its --region and --time, and "
        raise InputError(f"{_elsewhere(labels, chosen, stated[0], far)}; {advice}{OFFER}.")
    home, here = _home(labels.image), image.location.address.rstrip("/")
    # Labels inside the image are its own, whether they say where they lie or not.
    remarks = _remarks(labels, chosen, {} if home == here else far, home not in (None, here))
    of_labels = labels.source
    if chosen.source.volumes > of_labels.volumes:
        begin, volumes = chosen.source.first_time, chosen.source.volumes
        of_labels = replace(of_labels, first_time=begin, volumes=volumes, still=of_labels.first_time)
    # Labels that know their place keep it, unless it is not the one that they are said to have.
    keeps = labels.image.placed and not stated if image.placed or any(cut_out.values()) else True
    return Match(
        of_labels,
        chosen.level,
        tuple(replace(chosen.source, channel=channel).seen(labels.source.spatial) for channel in channels),
        _geometry(labels, chosen, keeps),
        () if same_voxels else remarks,
    )


def match_selections(
    first: Selection, second: Selection, same_voxels: bool = False
) -> tuple[VolumeSource, tuple[str, ...]]:
    """Make sure that two selections have the same voxels: shape, scale and place, and number of time points.

    Parameters
    ----------
    first, second : Selection
        What is held against each other.
    same_voxels : bool
        Whether a person says that the voxels are the same: then only the shape counts.

    Returns
    -------
    source : VolumeSource
        The second's; its volumes and boxes are those of the first.
    remarks : tuple of str
        What was taken on trust.

    Raises
    ------
    InputError
        If they have not; the sentence names both, with their shapes and scales, or with their places.
    """
    alike = _sizes(first) == _sizes(second)
    if not alike or not (same_voxels or _same_scale(first, second)):
        this, other = (
            f"{one.image.location.address} has {_text(one.image, one.cut_shape, one.level.scale)}"
            for one in (first, second)
        )
        offer = f"; {OFFER}" if alike else ""
        raise InputError(f"The two images have to have the same shape and scale, but {this}, and {other}{offer}.")
    far = _apart(first, second)
    if far and not same_voxels and first.image.placed and second.image.placed:
        raise InputError(f"{_elsewhere(first, second, next(iter(far)), far)}; {OFFER}.")
    homes = {_home(first.image), _home(second.image)} - {None}
    remarks = _remarks(first, second, far, len(homes) > 1)
    return second.source.seen(first.source.spatial), () if same_voxels else remarks


def region_of(region: str | None, first: Image, second: Image) -> str | None:
    """Say a region of one image in the axes of another: what the other lacks is left out, what it adds is whole."""
    parts = region.split(",") if region is not None else []
    if region is None or len(parts) != len(first.spatial):
        return region
    asked = dict(zip(first.spatial, parts, strict=True))
    return ",".join(asked.get(axis, ":") for axis in second.spatial)


def _cut(image: Image, level: Level, region: str | None, time: str | None) -> VolumeSource | None:
    """The cut of a level; None where the level has no such voxels."""
    try:
        return cut_of(image, level, time, region)
    except InputError:
        if level is image.levels[0]:
            raise
        return None


def _sizes(selection: Selection, still: bool = False) -> dict[str, int]:
    """How long a cut is along each axis that has more than one voxel; without time, where it stands still."""
    source = selection.source
    sizes = {"t": 1 if still else source.volumes} | dict(zip(source.spatial, source.shape, strict=True))
    return {axis: size for axis, size in sizes.items() if size > 1}


@dataclass(frozen=True)
class _Steps:
    """An axis that both of two cuts have."""

    name: str
    scales: tuple[float, float]
    origins: tuple[float, float]
    factor: float
    """The first's unit in the second's."""
    stated: bool
    """Whether both say how long a step is, so that lengths can be held against each other."""

    @property
    def same_scale(self) -> bool:
        first, second = self.scales
        return not self.stated or isclose(first * self.factor, second, rel_tol=TOLERANCE)

    @property
    def apart(self) -> float:
        """Steps from the first's origin to the second's."""
        (first, second), (a, b) = self.origins, self.scales
        return second / b - first * self.factor / b if self.stated else second / b - first / a

    @property
    def far(self) -> bool:
        rounding = ROUNDING * max(abs(o / s) for o, s in zip(self.origins, self.scales, strict=True))
        return abs(self.apart) > (APART_IN_TIME if self.name == "t" else APART) + rounding


def _shared(first: Selection, second: Selection) -> list[_Steps]:
    sides = []
    for one in (first, second):
        along = zip(one.image.axes, one.level.scale, one.translation, strict=True)
        sides.append({axis.name: (axis, scale, origin) for axis, scale, origin in along if axis.type != "channel"})
    calibrated = _calibrated(first.image) and _calibrated(second.image)
    found = []
    for name in (name for name in sides[0] if name in sides[1]):
        (axis, scale, origin), (other, other_scale, other_origin) = (side[name] for side in sides)
        # A step of time without a unit is 1 where nobody said anything.
        timed = all(a.unit is not None or s != 1 for a, s in ((axis, scale), (other, other_scale)))
        factor = conversion(axis.unit, other.unit) if axis.unit is not None and other.unit is not None else 1.0
        stated = (timed if name == "t" else calibrated) and factor is not None
        found.append(_Steps(name, (scale, other_scale), (origin, other_origin), factor or 1.0, stated))
    return found


def _calibrated(image: Image) -> bool:
    """Whether the metadata say how large voxels are; 1 without a unit is what writers put where nobody said so."""
    spatial = [(axis, s) for axis, s in zip(image.axes, image.levels[0].scale, strict=True) if axis.type == "space"]
    return any(axis.unit is not None or s != 1 for axis, s in spatial)


def _same_scale(first: Selection, second: Selection) -> bool:
    """Whether voxels are of one size, and time steps where there are several."""
    return all(steps.same_scale for steps in _shared(first, second) if steps.name != "t" or first.source.volumes > 1)


def _apart(first: Selection, second: Selection) -> dict[str, float]:
    """Axes along which two cuts begin at different places, and how many voxels apart."""
    return {steps.name: steps.apart for steps in _shared(first, second) if steps.far}


def _home(image: Image) -> str | None:
    """The image inside whose store a label image lies."""
    home, inside, _ = image.location.address.rstrip("/").rpartition("/labels/")
    return home if inside else None


def _remarks(first: Selection, second: Selection, far: dict[str, float], strangers: bool) -> tuple[str, ...]:
    """What of two cuts was taken on trust, because one of them says nothing of it.

    With ``strangers``, the first lies inside an image that is not the second's.
    """
    found = []
    if strangers and not first.image.placed and not second.image.placed:
        found.append(
            f"{first.image.location.address} is inside another image than {second.image.location.address}, and "
            "neither says where it is; they are taken to show the same place."
        )
    for one, other in ((first, second), (second, first)):
        here, there = one.image.location.address, other.image.location.address
        if not _calibrated(one.image) and _calibrated(other.image):
            size = _size_text(other.image, other.level.scale)
            found.append(
                f"{here} does not say how large its voxels are; they are taken to be those of {there}, {size}."
            )
        if far and not one.image.placed and other.image.placed:
            found.append(
                f"{here} does not say where it is, and {there} begins at {_place(other, list(far))}; they are taken "
                "to show the same place."
            )
    return tuple(found)


def _geometry(labels: Selection, image: Selection, keeps_place: bool) -> Geometry:
    """The labels' own geometry where it agrees with the image's, in its units; else the image's."""
    own, theirs = labels.geometry, image.geometry
    if not _calibrated(image.image) and (keeps_place or _calibrated(labels.image)):
        return own
    known = {
        axis: (scale, origin, unit)
        for axis, scale, origin, unit in zip(
            image.image.spatial, theirs.scale, theirs.origin, theirs.units, strict=True
        )
    }
    agrees = _calibrated(labels.image) and _same_scale(labels, image) and keeps_place
    same_units = all(
        known[axis][2] in (None, unit)
        for axis, unit in zip(labels.image.spatial, own.units, strict=True)
        if axis in known
    )
    if agrees and same_units:
        return own
    made = []
    for axis, scale, origin, unit in zip(labels.image.spatial, own.scale, own.origin, own.units, strict=True):
        wanted = theirs.units[-1]
        factor = conversion(unit, wanted) if unit is not None and wanted is not None else None
        alone = (scale, origin, unit) if factor is None else (scale * factor, origin * factor, wanted)
        made.append(known.get(axis, alone))
    return Geometry(
        tuple(scale for scale, _, _ in made), tuple(origin for _, origin, _ in made), tuple(unit for _, _, unit in made)
    )


def _no_level(image: Image, labels: Selection, region: str | None, time: str | None, cuts: list[Selection]) -> str:
    cut_of = "" if region is None and time is None else "the cut of "
    known = "; ".join(
        f"level {number}: {_text(image, level.shape, level.scale)}" for number, level in enumerate(image.levels)
    )
    wanted = _text(labels.image, labels.cut_shape, labels.level.scale)
    if any(_sizes(cut) == _sizes(labels) for cut in cuts):
        advice = OFFER[0].upper() + OFFER[1:]
    elif any(_sizes(cut, still=True) == _sizes(labels, still=True) for cut in cuts):
        advice = "Say with --time which time points of the image the labels belong to"
        if labels.source.volumes == 1:
            advice += ", or with --same-voxels that they hold for all"
    else:
        advice = "For labels of a cut, say with --region and --time which cut it was"
    return (
        f"No level of {cut_of}{image.location.address} has the shape and scale of the labels ({wanted}); "
        f"it has {known}. {advice}."
    )


def _elsewhere(first: Selection, second: Selection, axis: str, far: dict[str, float]) -> str:
    here, there = (one.image.location.address for one in (first, second))
    count = f"{abs(far[axis]):.6g}"
    step = ("time point" if axis == "t" else "voxel") + "s" * (count != "1")
    return (
        f"{here} begins at {_place(first, list(far))} and {there} at {_place(second, list(far))}, "
        f"{count} {step} apart along {axis}, so they do not show the same place"
    )


def _place(selection: Selection, names: list[str]) -> str:
    """Such as ``y 0 micrometer, x 320 micrometer``."""
    along = zip(selection.image.axes, selection.translation, strict=True)
    return ", ".join(
        f"{axis.name} {origin:.10g} {axis.unit or ''}".strip() for axis, origin in along if axis.name in names
    )


def _text(image: Image, shape: tuple[int, ...], scale: tuple[float, ...]) -> str:
    """Such as ``z 8, y 64, x 64 voxels of 1 x 0.5 x 0.5 micrometer``; channels do not count."""
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(image.axes, shape, strict=True) if axis.type != "channel")
    return f"{sizes} voxels of {_size_text(image, scale)}"


def _size_text(image: Image, scale: tuple[float, ...]) -> str:
    spatial = [(axis, s) for axis, s in zip(image.axes, scale, strict=True) if axis.type == "space"]
    units = {axis.unit or "units" for axis, _ in spatial}
    each = " x ".join(f"{s:g}" if len(units) == 1 else f"{s:g} {axis.unit or ''}".strip() for axis, s in spatial)
    return each + (f" {units.pop()}" if len(units) == 1 else "")
