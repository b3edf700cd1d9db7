"""What can be measured of objects: the registry, which everything that is said of a column is made from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REGISTRY", "Property"]


@dataclass(frozen=True)
class Property:
    """Something that is measured: a column, or several that belong together."""

    name: str
    group: str
    """``place``, ``shape``, ``moments`` or ``intensity``; ``always`` for what cannot be chosen."""
    type: str
    """Of a value: ``i8``, ``u8``, ``f8``, or ``values`` for the type in which the image's values are kept."""
    unit: str
    """``scale`` stands for the unit of the axes, ``size`` for their product."""
    meaning: str
    promise: str
    """``bit`` or ``rtol 1e-9``; empty where there is nothing to compare with."""
    reference: str = ""
    """What scikit-image calls it."""
    ends: str = ""
    """How the columns' names go on: ``axis`` (its number), ``letter`` (its), ``sides``, ``matrix``, ``powers``
    (up to 3 along each axis), ``seven``, ``percentile``."""
    needs: str = ""
    """What blocks have to sum up for it: ``second``, ``weighted``, ``euler``; ``box`` for the pass by object."""
    planes: bool = False
    """Whether it is for 2-D only."""
    default: bool = False
    """Whether it is measured unless something else is asked for."""


REGISTRY = (
    Property("label", "always", "u8", "", "number of the object in the label image", "bit", "label"),
    Property("t", "always", "i8", "", "time point in the label image, from 0; 0 if it has no time axis", ""),
    Property("num_pixels", "place", "i8", "voxel", "number of voxels", "bit", "num_pixels", default=True),
    Property(
        "area_physical",
        "place",
        "f8",
        "size",
        "number of voxels times the size of one: area (2-D), volume (3-D)",
        "",
        default=True,
    ),
    Property("centroid", "place", "f8", "voxel", "mean coordinate", "bit", "centroid", "axis", default=True),
    Property(
        "centroid_physical",
        "place",
        "f8",
        "scale",
        "mean coordinate as a position: translation plus scale times voxels",
        "",
        ends="letter",
        default=True,
    ),
    Property(
        "bbox",
        "place",
        "i8",
        "voxel",
        "bounding box: the smallest coordinates, then the largest plus 1",
        "bit",
        "bbox",
        "sides",
        default=True,
    ),
    Property(
        "equivalent_diameter_area",
        "place",
        "f8",
        "voxel",
        "diameter of the disk or ball with as many voxels",
        "bit",
        "equivalent_diameter_area",
        default=True,
    ),
    Property(
        "extent", "shape", "f8", "1", "voxels of the object divided by voxels of its bounding box", "bit", "extent"
    ),
    Property(
        "euler_number",
        "shape",
        "i8",
        "1",
        "2-D: parts minus holes; 3-D: parts plus cavities minus tunnels; voxels that share a corner are connected",
        "bit",
        "euler_number",
        needs="euler",
    ),
    Property(
        "inertia_tensor",
        "shape",
        "f8",
        "voxel^2",
        "inertia about the centroid, per voxel; every voxel is a point",
        "rtol 1e-9",
        "inertia_tensor",
        "matrix",
        "second",
    ),
    Property(
        "inertia_tensor_eigvals",
        "shape",
        "f8",
        "voxel^2",
        "eigenvalues of the inertia, the largest first",
        "rtol 1e-9",
        "inertia_tensor_eigvals",
        "axis",
        "second",
    ),
    Property(
        "axis_major_length",
        "shape",
        "f8",
        "voxel",
        "longest axis of the ellipse or ellipsoid with the same inertia",
        "rtol 1e-9",
        "axis_major_length",
        needs="second",
    ),
    Property(
        "axis_minor_length",
        "shape",
        "f8",
        "voxel",
        "shortest axis of the ellipse or ellipsoid with the same inertia",
        "rtol 1e-9",
        "axis_minor_length",
        needs="second",
    ),
    Property(
        "eccentricity",
        "shape",
        "f8",
        "1",
        "of that ellipse: 0 for a circle, near 1 for a line",
        "rtol 1e-9",
        "eccentricity",
        needs="second",
        planes=True,
    ),
    Property(
        "orientation",
        "shape",
        "f8",
        "radian",
        "angle between the first axis (y) and the longest axis of that ellipse, from -pi/2 to pi/2",
        "rtol 1e-9",
        "orientation",
        needs="second",
        planes=True,
    ),
    Property(
        "area_convex",
        "shape",
        "f8",
        "voxel",
        "voxels of the convex hull; nan if a 3-D object lies in one plane",
        "bit",
        "area_convex",
        needs="box",
    ),
    Property(
        "solidity", "shape", "f8", "1", "voxels divided by voxels of the convex hull", "bit", "solidity", needs="box"
    ),
    Property(
        "feret_diameter_max",
        "shape",
        "f8",
        "voxel",
        "longest distance between two points of the convex hull's outline",
        "bit",
        "feret_diameter_max",
        needs="box",
    ),
    Property(
        "area_filled",
        "shape",
        "f8",
        "voxel",
        "voxels with those of its holes; what touches the outside at a corner is no hole",
        "bit",
        "area_filled",
        needs="box",
    ),
    Property(
        "perimeter",
        "shape",
        "f8",
        "voxel",
        "length of the outline through the centres of the border pixels",
        "bit",
        "perimeter",
        needs="box",
        planes=True,
    ),
    Property(
        "perimeter_crofton",
        "shape",
        "f8",
        "voxel",
        "length of the outline, from how often lines in four directions cross it",
        "bit",
        "perimeter_crofton",
        needs="box",
        planes=True,
    ),
    Property(
        "moments",
        "moments",
        "f8",
        "voxel^n",
        "sum of the products of these powers of the coordinates, from the corner of the bounding box",
        "bit",
        "moments",
        "powers",
        "box",
    ),
    Property(
        "moments_central",
        "moments",
        "f8",
        "voxel^n",
        "the same from the centroid",
        "rtol 1e-9",
        "moments_central",
        "powers",
        "box",
    ),
    Property(
        "moments_normalized",
        "moments",
        "f8",
        "1",
        "central moments that do not depend on the size; nan where the powers add up to less than 2",
        "rtol 1e-9",
        "moments_normalized",
        "powers",
        "box",
    ),
    Property(
        "moments_hu",
        "moments",
        "f8",
        "1",
        "Hu's moments, which do not depend on place, size and direction",
        "rtol 1e-9",
        "moments_hu",
        "seven",
        "box",
        planes=True,
    ),
    Property(
        "intensity_mean",
        "intensity",
        "f8",
        "intensity",
        "mean intensity",
        "bit (floats: rtol 1e-9)",
        "intensity_mean",
        default=True,
    ),
    Property(
        "intensity_min", "intensity", "values", "intensity", "smallest intensity", "bit", "intensity_min", default=True
    ),
    Property(
        "intensity_max", "intensity", "values", "intensity", "largest intensity", "bit", "intensity_max", default=True
    ),
    Property(
        "intensity_sum",
        "intensity",
        "values",
        "intensity",
        "sum of the intensities",
        "bit (floats: rtol 1e-9)",
        default=True,
    ),
    Property(
        "intensity_std",
        "intensity",
        "f8",
        "intensity",
        "standard deviation of the intensity, with the number of voxels as divisor",
        "rtol 1e-9",
        "intensity_std",
        default=True,
    ),
    Property(
        "centroid_weighted",
        "intensity",
        "f8",
        "voxel",
        "mean coordinate, each voxel weighted by its intensity",
        "bit (floats: rtol 1e-9)",
        "centroid_weighted",
        "axis",
        "weighted",
    ),
    Property(
        "intensity_median", "intensity", "f8", "intensity", "median intensity", "bit", "intensity_median", needs="box"
    ),
    Property(
        "intensity_percentile",
        "intensity",
        "f8",
        "intensity",
        "percentile of the intensity, interpolated as numpy.percentile does",
        "bit",
        ends="percentile",
        needs="box",
    ),
    Property(
        "parent",
        "always",
        "u8",
        "",
        "the parent: the object of the other label image with most of this one's voxels, of equal ones that with the "
        "lowest number; 0 if there is none",
        "bit",
    ),
    Property(
        "parent_overlap",
        "always",
        "f8",
        "1",
        "voxels shared with the parent, divided by those of the object; 0 without a parent",
        "bit",
    ),
    Property(
        "not_measured",
        "always",
        "i8",
        "1",
        "1 if the object's box does not fit in memory, so that columns that need it are nan; otherwise 0",
        "",
    ),
)
