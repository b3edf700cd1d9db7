"""What can be measured of objects: the registry, which everything that is said of a column is made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

__all__ = ["REGISTRY", "Property"]


@dataclass(frozen=True)
class Property:
    """Something that is measured: a column, or several that belong together."""

    name: str
    meaning: str
    group: str
    """``place``, ``shape``, ``moments`` or ``intensity``; ``always`` for what cannot be chosen."""
    type: str
    """Of a value: ``i8``, ``u8``, ``f8``, or ``values`` for the type in which the image's values are kept."""
    unit: str
    """``scale`` stands for the unit of the axes, ``size`` for their product."""
    promise: str
    """``bit`` or ``rtol 1e-9``; empty where there is nothing to compare with."""
    in_skimage: bool = True
    """Whether scikit-image has it, under this name."""
    ends: str = ""
    """How the columns' names go on: ``axis`` (its number), ``letter`` (its), ``sides``, ``matrix``, ``powers``
    (up to 3 along each axis), ``seven``, ``percentile``."""
    needs: str = ""
    """What blocks have to sum up for it: ``second``, ``weighted``, ``euler``; ``box`` for the pass by object."""
    planes: bool = False
    """Whether it is for 2-D only."""
    default: bool = False
    """Whether it is measured unless something else is asked for."""


#: What most of a kind are, unless they say otherwise.
_always = partial(Property, group="always", type="i8", unit="1", promise="", in_skimage=False)
_place = partial(Property, group="place", type="f8", unit="voxel", promise="bit", default=True)
_physical = partial(_place, promise="", in_skimage=False)
_shape = partial(Property, group="shape", type="f8", unit="1", promise="bit")
_inertia = partial(_shape, unit="voxel", promise="rtol 1e-9", needs="second")
_outline = partial(_shape, unit="voxel", needs="box")
_moments = partial(Property, group="moments", type="f8", unit="1", promise="rtol 1e-9", ends="powers", needs="box")
_intensity = partial(Property, group="intensity", type="f8", unit="intensity", promise="bit")
_usual = partial(_intensity, default=True)
#: Sums of floats are rounded.
_SUMMED = "bit (floats: rtol 1e-9)"

REGISTRY = (
    _always("label", "number of the object in the label image", type="u8", unit="", promise="bit", in_skimage=True),
    _always("t", "time point in the label image, from 0; 0 if it has no time axis", unit=""),
    _place("num_pixels", "number of voxels", type="i8"),
    _physical("area_physical", "number of voxels times the size of one: area (2-D), volume (3-D)", unit="size"),
    _place("centroid", "mean coordinate", ends="axis"),
    _physical(
        "centroid_physical",
        "mean coordinate as a position: translation plus scale times voxels",
        unit="scale",
        ends="letter",
    ),
    _place("bbox", "bounding box: the smallest coordinates, then the largest plus 1", type="i8", ends="sides"),
    _place("equivalent_diameter_area", "diameter of the disk or ball with as many voxels"),
    _shape("extent", "voxels of the object divided by voxels of its bounding box"),
    _shape(
        "euler_number",
        "2-D: parts minus holes; 3-D: parts plus cavities minus tunnels; voxels that share a corner are connected",
        type="i8",
        needs="euler",
    ),
    _inertia(
        "inertia_tensor",
        "inertia about the centroid, per voxel; every voxel is a point",
        unit="voxel^2",
        ends="matrix",
    ),
    _inertia("inertia_tensor_eigvals", "eigenvalues of the inertia, the largest first", unit="voxel^2", ends="axis"),
    _inertia("axis_major_length", "longest axis of the ellipse or ellipsoid with the same inertia"),
    _inertia("axis_minor_length", "shortest axis of the ellipse or ellipsoid with the same inertia"),
    _inertia("eccentricity", "of that ellipse: 0 for a circle, near 1 for a line", unit="1", planes=True),
    _inertia(
        "orientation",
        "angle between the first axis (y) and the longest axis of that ellipse, from -pi/2 to pi/2",
        unit="radian",
        planes=True,
    ),
    _outline("area_convex", "voxels of the convex hull; nan if a 3-D object lies in one plane"),
    _outline("solidity", "voxels divided by voxels of the convex hull", unit="1"),
    _outline("feret_diameter_max", "longest distance between two points of the convex hull's outline"),
    _outline("area_filled", "voxels with those of its holes; what touches the outside at a corner is no hole"),
    _outline("perimeter", "length of the outline through the centres of the border pixels", planes=True),
    _outline(
        "perimeter_crofton", "length of the outline, from how often lines in four directions cross it", planes=True
    ),
    _moments(
        "moments",
        "sum of the products of these powers of the coordinates, from the corner of the bounding box",
        unit="voxel^n",
        promise="bit",
    ),
    _moments("moments_central", "the same from the centroid", unit="voxel^n"),
    _moments(
        "moments_normalized",
        "central moments that do not depend on the size; nan where the powers add up to less than 2",
    ),
    _moments("moments_hu", "Hu's moments, which do not depend on place, size and direction", ends="seven", planes=True),
    _usual("intensity_mean", "mean intensity", promise=_SUMMED),
    _usual("intensity_min", "smallest intensity", type="values"),
    _usual("intensity_max", "largest intensity", type="values"),
    _usual("intensity_sum", "sum of the intensities", type="values", promise=_SUMMED, in_skimage=False),
    _usual(
        "intensity_std",
        "standard deviation of the intensity, with the number of voxels as divisor",
        promise="rtol 1e-9",
    ),
    _intensity(
        "centroid_weighted",
        "mean coordinate, each voxel weighted by its intensity",
        unit="voxel",
        promise=_SUMMED,
        ends="axis",
        needs="weighted",
    ),
    _intensity("intensity_median", "median intensity", needs="box"),
    _intensity(
        "intensity_percentile",
        "percentile of the intensity, interpolated as numpy.percentile does",
        in_skimage=False,
        ends="percentile",
        needs="box",
    ),
    _always(
        "parent",
        "the parent: the object of the other label image with most of this one's voxels, of equal ones that with the "
        "lowest number; 0 if there is none",
        type="u8",
        unit="",
        promise="bit",
    ),
    _always(
        "parent_overlap",
        "voxels shared with the parent, divided by those of the object; 0 without a parent",
        type="f8",
        promise="bit",
    ),
    _always(
        "not_measured",
        "1 if the object's box does not fit in memory, so that columns that need it are nan; otherwise 0",
    ),
)
