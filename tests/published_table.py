"""What chunkwise is asked in place of each published case of galaxy-image-analysis, or why it cannot be asked.

A line of the table is a command, or several with ``|`` between: the first reads the case's image, each other what the
one before wrote. ``{name}`` is a parameter of the case, as a file; ``{grid}`` an empty image of its width and height.
``chunkwise`` and ``--method`` are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TABLE", "Ours"]


@dataclass(frozen=True)
class Ours:
    """One line of the table."""

    words: str = ""
    """The command; empty where there is no operation."""
    why: str = ""
    """Why there is none, or why the result is another."""
    refused: str = ""
    """Of a case that has to fail: what the error says."""
    script: str = ""
    """The script in ``tests/published/differs`` that shows the difference with their libraries alone."""

    @property
    def steps(self) -> list[str]:
        return self.words.split(" | ")


EDGE = "an even square has no middle: SciPy moves it by half a voxel, and ours is odd (2r + 1)"
SCALE = "no operation changes the size of an image; its lower resolutions are made with every result"
JOIN = "no operation puts images side by side"
RULES = "--rule area>=5 --rule area<=50 --rule solidity>=0.5 --rule solidity<=0.9"
SPOTS = "*spots* finds others: their tool smooths, thresholds and drops the border in its own way"
SPLIT = "no operation makes an image of each channel or plane: tools take a channel, a region or a time point in place"
NOT = "the mask is given with true and false exchanged: its file says that 0 is white, and they follow that"
FLOAT_OVERLAY = "overlay {im1} --labels {not_im2} --color FF0000"

TABLE: dict[str, Ours] = {
    "2d_auto_threshold-0": Ours("threshold local {input} --size 51"),
    "2d_auto_threshold-2": Ours("threshold otsu {input}"),
    "2d_auto_threshold-6": Ours("threshold otsu {input}"),
    "2d_auto_threshold-8": Ours("threshold yen {input}"),
    "2d_simple_filter-0": Ours("filter gaussian {input} --sigma 3"),
    # They divide the size by the ratio of a voxel's edges to their geometric mean; the edges are 1 and 0.5.
    "2d_simple_filter-2": Ours(
        "convert {input} --voxel-size 1,0.5 | filter gaussian --sigma 2.121320343559643 --sizes-in micrometres"
    ),
    "2d_simple_filter-4": Ours("filter gradient {input} --sigma 3 --axis x"),
    "2d_simple_filter-6": Ours("filter log {input} --sigma 3 --axis x"),
    "2d_simple_filter-8": Ours("filter mean {input} --size 5"),
    "2d_simple_filter-10": Ours("filter mean {input} --size 3"),
    "2d_simple_filter-12": Ours("filter median {input} --size 5"),
    "2d_simple_filter-14": Ours("filter median {input} --size 3"),
    "2d_simple_filter-16": Ours("filter prewitt {input} --axis y | math --expression a*3 --dtype float64"),
    "2d_simple_filter-18": Ours("filter sobel {input} --axis y | math --expression a*4 --dtype float64"),
    "2d_simple_filter-20": Ours("intensity cast {input} --dtype float32 | filter gaussian --sigma 3"),
    "2d_simple_filter-22": Ours(why="no operation smooths along two of three axes"),
    "2d_simple_filter-24": Ours(
        "convert {input} --voxel-size 2,1,0.5 | intensity cast --dtype float32 | "
        "filter gradient --sigma 3 --axis y --sizes-in micrometres"
    ),
    "2d_simple_filter-26": Ours(
        "intensity cast {input} --dtype float32 | filter mean --size 3",
        why="by the size of the voxels their window is 2 x 3 x 6 voxels, and even windows have no middle",
    ),
    "2d_simple_filter-28": Ours(
        "intensity cast {input} --dtype float32 | filter prewitt --axis x --planes | "
        "math --expression a*3 --dtype float32"
    ),
    "2d_simple_filter-30": Ours("filter gradient {input} --sigma 3 --axis x"),
    "2d_simple_filter-32": Ours(
        "intensity cast {input} --dtype float32 | filter sobel --axis x --planes | "
        "math --expression a*4 --dtype float32"
    ),
    "2d_simple_filter-34": Ours(why="the image is not among the published files at hand"),
    "2d_simple_filter-36": Ours(
        "intensity cast {input} --dtype float32 | filter gaussian --sigma 3 --planes",
        why="their filter of planes takes no volume; ours does",
    ),
    "anisotropic_diffusion-0": Ours(why="no operation: every step depends on the whole plane's last one"),
    "background_removal-1": Ours("background white-tophat {input_image} --radius 15"),
    "background_removal-3": Ours(
        "background gaussian {input_image} --sigma 20",
        why="beyond its edge the image goes on with its last voxel there, and mirrored here (SciPy's default)",
    ),
    "clip_image-0": Ours("intensity cast {input} --dtype float32 | intensity clip --low 0.5"),
    "clip_image-2": Ours("intensity clip {input} --low 60 --high 50", refused="60"),
    "clip_image-4": Ours(why="nothing is to be done, and *clip* without a bound is refused"),
    "colorize_labels-0": Ours(why="no operation: colours by a graph of the neighbours of the whole image"),
    "colorize_labels-2": Ours(why="no operation: colours by a graph of the neighbours of the whole image"),
    "count_objects-0": Ours(why="labels in four samples: the table counts colours, not objects of one label image"),
    "crop_image-1": Ours(why="no operation: an image a label, cut out by its bounding box"),
    "crop_image-3": Ours(why="no operation: an image a label, cut out by its bounding box"),
    "crop_image-5": Ours(why="no operation: an image a label, cut out by its bounding box"),
    "label_to_binary-0": Ours("label mask {input}"),
    "mergeneighboursinlabelimage-0": Ours(why="no operation joins objects by their distance"),
    "morphological_operations-1": Ours("morphology dilate {image} --radius 2"),
    "morphological_operations-3": Ours(why=EDGE),
    "morphological_operations-5": Ours(
        "morphology dilate {image} --radius 2",
        why="they add the footprint to the voxels (SciPy's *structure*), so that all are 1 brighter, or more",
    ),
    "morphological_operations-7": Ours(why=EDGE),
    "points_association_nn-0": Ours(why="no operation follows points through time"),
    "projective_transformation-1": Ours(why="no operation moves an image"),
    "repeat_channels-0": Ours(why="no operation writes a channel several times"),
    "2d_auto_threshold-4": Ours("threshold hysteresis {input} --low 180 --high 240"),
    "2d_feature_extraction-1": Ours(
        "measure --labels {labels} --image {intensities} --properties num_pixels intensity_mean perimeter"
    ),
    "2d_feature_extraction-3": Ours(
        "measure --labels {labels} --image {intensities}",
        why="their tool takes no image of several channels; ours measures each",
    ),
    "2d_filter_segmentation_by_features-0": Ours(f"label rules {{labels}} --table {{features}} {RULES}"),
    "2d_filter_segmentation_by_features-2": Ours(
        f"label rules {{labels}} --table {{features}} {RULES} --missing fail", refused="without a row in the table"
    ),
    "2d_filter_segmentation_by_features-4": Ours(f"label rules {{labels}} --table {{features}} {RULES} --missing keep"),
    "2d_filter_segmentation_by_features-6": Ours(
        why="a table of a mask, whose one object is called True there: masks have no rows of a table here"
    ),
    "2d_filter_segmentation_by_features-8": Ours(
        f"label rules {{labels}} --table {{features}} {RULES}",
        refused="a label image has only one",
    ),
    "2d_histogram_equalization-0": Ours(
        "intensity equalize {input} --dtype float64 | intensity rescale --dtype float64 | "
        "math --expression a*65535 --dtype uint16"
    ),
    "binary2labelimage-1": Ours(
        why="seeds of their watershed are found by peak_local_max in the whole image; *segment* splits by other seeds"
    ),
    "binary2labelimage-3": Ours(why="the same watershed, which takes no volumes there"),
    "binary2labelimage-5": Ours(
        "threshold value {input} --threshold 0 | label components --connectivity 1",
        refused="only one",
    ),
    "color_deconvolution-1": Ours("channels deconvolve {input} --stains hed"),
    "color_deconvolution-3": Ours(why="no operation makes colours of stains"),
    "color_deconvolution-5": Ours("channels deconvolve {input} --stains hdx"),
    "color_deconvolution-7": Ours("channels hsv {input}", refused="takes three: red, green and blue"),
    "image_info-0": Ours(why="*inspect* says the same in its own words; theirs are compared letter by letter"),
    "image_math-0": Ours("math {image} --expression a*2 --dtype float64"),
    "image_math-2": Ours("math {image} --b {image+} --expression a+b+1 --dtype float64"),
    "image_math-4": Ours("math {image} --expression abs(a) --dtype float64"),
    "overlay_images-0": Ours(why="no operation shows two images in red and green, each stretched over its own range"),
    "overlay_images-2": Ours(why="their numbers are letters drawn by Matplotlib"),
    "overlay_images-4": Ours("overlay {im1} --labels {im2} --color FF0000 --mode thick --black 0 --white 65535"),
    "overlay_images-6": Ours(f"{FLOAT_OVERLAY} --black 0 --white 1", why=NOT),
    "overlay_images-8": Ours(f"{FLOAT_OVERLAY} --black=-2 --white 1", why=NOT),
    "overlay_images-10": Ours(f"{FLOAT_OVERLAY} --black=-2 --white 2", why=NOT),
    "points2labelimage-0": Ours("points {grid} --points {input} --no-header --columns x=2,y=1 | label mask"),
    **{f"points2labelimage-{number}": Ours("points {grid} --points {input}") for number in (2, 4, 6, 8, 10)},
    "ridge_filter-1": Ours(why="no operation gives their Hessian filter (scikit-image's *hessian*)"),
    "ridge_filter-3": Ours(
        "convert {input} --axes YXC | filter sato --sigma-min 0.5 --sigma-max 20 --sigmas 10 --ridges dark"
    ),
    "ridge_filter-5": Ours("filter frangi {input} --sigma-min 0.5 --sigma-max 20 --sigmas 10"),
    "segmetrics-1": Ours(why="*compare* matches objects by overlap; their measures (Rand index, NSD ...) are others"),
    **{f"split_image-{number}": Ours(why=SPLIT) for number in (0, 2, 4, 6)},
    "split_labelmap-0": Ours(why="no operation takes a border of one voxel from objects that touch, and no others"),
    **{f"spot_detection_2d-{number}": Ours(why=SPOTS) for number in (1, 3, 5)},
    "voronoi_tessellation-0": Ours("label expand {input} --distance 14"),  # the diagonal of their image
    **{f"concat_channels-{number}": Ours(why=JOIN) for number in (0, 2, 4, 6, 8)},
    **{f"scale_image-{number}": Ours(why=SCALE) for number in (1, 3, 5, 7, 9)},
}
