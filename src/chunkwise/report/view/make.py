"""Make the view of an image, of labels over an image, or of two label images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chunkwise.ngff.model import Image
from chunkwise.ngff.units import conversion, short_unit
from chunkwise.ngff.volumes import EVERY, Selection, VolumeSource, select
from chunkwise.report.page import Page, Section, Table
from chunkwise.report.view.fill import View, fill
from chunkwise.report.view.objects import MOST_OBJECTS, count_objects, countable, packed
from chunkwise.report.view.page import page_bytes, scene_of, still_of
from chunkwise.report.view.scene import Layer, Window, image_layer, labels_layer, labels_of_image, window_of
from chunkwise.report.view.words import left_out, ranges_table
from chunkwise.storage.outputs import write_atomically

__all__ = ["Matches", "view_of_comparison", "view_of_image", "view_of_labels", "write_view"]

#: Bytes that a page has at most.
LARGEST_PAGE = 12 * 10**6

#: Of that, what script, style, tables and the small picture may take.
AROUND = 400_000

MATCHED, MISSED, EXTRA = "40E060", "FF40C0", "FF8C00"


@dataclass(frozen=True)
class Shown:
    """What a view is made of."""

    space: Selection
    """Whose voxels are the space."""
    layers: tuple[Layer, ...]
    window: Window | None
    remarks: tuple[str, ...] = ()


def view_of_image(image: Image) -> Shown:
    """Show an image with the label images in it, or a label image alone."""
    selection = select(image, 0, EVERY)
    window = window_of(selection)
    if image.kind == "labels":
        return Shown(selection, (labels_layer(selection, image.name, None, window),), window)
    labels, remarks = labels_of_image(selection, window)
    return Shown(selection, (image_layer(selection, window), *labels), window, tuple(remarks))


def view_of_labels(selection: Selection, labels: Image, name: str) -> Shown:
    """Show labels over what they were made of.

    Parameters
    ----------
    selection : Selection
        What the labels were made of.
    labels : Image
        The finished labels, of the same voxels.
    name : str
        What they are called.
    """
    window = window_of(selection)
    found = select(labels, 0)
    layers = (image_layer(selection, window), labels_layer(found, name, None, window))
    return Shown(selection, layers, window)


@dataclass
class Matches:
    """What a comparison says of single objects, as far as a page lists them."""

    first_time: int
    truth: dict[tuple[int, int], str]
    predicted: dict[tuple[int, int], str]

    def take(self, columns: Mapping[str, Any]) -> None:
        """Take rows of the table of a comparison."""
        if len(self.truth) + len(self.predicted) >= 2 * MOST_OBJECTS:
            return
        rows = zip(*(columns[name].tolist() for name in ("t", "label", "predicted_label", "matched")), strict=True)
        for time, label, predicted, matched in rows:
            time -= self.first_time
            if label:
                self.truth[time, label] = "found" if matched else "missed"
            if predicted and matched:
                self.predicted[time, predicted] = "right"
            elif predicted and not label:
                self.predicted[time, predicted] = "extra"


def view_of_comparison(truth: Selection, predicted: Selection, judged: VolumeSource, matches: Matches) -> Shown:
    """Show two label images, with the objects that were found, missed, and found where there is none."""
    window = window_of(truth)
    first = labels_layer(truth, "Truth", None, window)
    second = labels_layer(predicted, "Prediction", judged, window)
    found, missed, extra = "In the truth, and found", "In the truth, and missed", "Predicted, without a match"
    right = "Predicted, and in the truth"
    kinds = {"found": found, "missed": missed, "right": right, "extra": extra}
    layers = (
        replace(
            first,
            classes={found: MATCHED, missed: MISSED},
            class_of={key: kinds[kind] for key, kind in matches.truth.items()},
        ),
        replace(
            second,
            classes={right: "00A0FF", extra: EXTRA},
            class_of={key: kinds[kind] for key, kind in matches.predicted.items()},
        ),
    )
    return Shown(truth, layers, window)


def write_view(shown: Shown, path: str, page: Page) -> tuple[str, ...]:
    """Write the page of a view.

    Parameters
    ----------
    shown : Shown
        What it shows.
    path : str
        The HTML file; must not exist.
    page : Page
        What stands around the view.

    Returns
    -------
    tuple of str
        Sentences on what of the image is not in the page.

    Raises
    ------
    InputError
        If the file exists already, or voxels cannot be read.
    """
    space, layers = _space(shown), shown.layers
    depth, times = space["size"][0], space["duration"]
    objects, remarks = _objects(layers, times)
    classes = sum(len(layer.class_of) for layer in layers) * 16
    used = AROUND + classes + len(json.dumps(objects))
    view = fill(layers, depth, times, LARGEST_PAGE - used)
    _only_shown(objects, view)
    sentences = left_out(shown.space, layers, view, depth, times, shown.window)
    sentences += [sentence for layer in layers for sentence in layer.left_out] + list(shown.remarks) + remarks
    still, caption = still_of(layers, view)
    scene = scene_of(page.title, layers, view, space, objects)
    made = replace(page, sections=[*page.sections, *_about(layers, view)])
    write_atomically(path, page_bytes(made, scene, still, caption, sentences))
    return tuple(sentences)


def _space(shown: Shown) -> dict[str, Any]:
    """Size, scale and unit of the space."""
    selection = shown.space
    source = selection.source.seen("zyx")
    size = list(source.shape)
    if shown.window is not None:
        size[1:] = [part.stop - part.start for part in shown.window]
    axes = {axis.name: (axis.unit, s) for axis, s in zip(selection.spatial_axes, selection.spatial_scale, strict=True)}
    unit, across = axes["x"]
    step: list[float] | None = []
    for name in "zyx":
        other, scale = axes.get(name, (unit, 1.0))
        factor = conversion(other, unit) if other and unit else None
        if step is not None:
            step = None if factor is None else [*step, scale * factor]
    aspect = step[1] / step[2] if step else axes["y"][1] / across
    return {
        "size": size,
        "step": step,
        "unit": short_unit(unit) if unit and step else "",
        "aspect": aspect if 0.05 < aspect < 20 else 1,
        "firstTime": source.first_time,
        "duration": source.volumes,
    }


def _objects(layers: Sequence[Layer], times: int) -> tuple[dict[int, dict[int, Any]], list[str]]:
    """Count the objects of the label images that are small enough, and say which ones are not."""
    found: dict[int, dict[int, Any]] = {}
    remarks = []
    labels = [(number, layer) for number, layer in enumerate(layers) if layer.kind == "labels"]
    for number, layer in labels:
        sheet = layer.sheets[-1]
        if not countable(sheet.source, times * len(labels)):
            remarks.append(
                f"The sizes of the objects of {layer.name} are not in the page, because it has many voxels to count; "
                "measure them for a table of all."
            )
            continue
        source = replace(sheet.source, channel=layer.channels[0].index)
        tables = {time: count_objects(source, time) for time in range(times)}
        found[number] = {time: packed(table) for time, table in tables.items()}
        most = max(len(table) for table in tables.values())
        if most > MOST_OBJECTS:
            remarks.append(f"Of the {most} objects of {layer.name}, sizes of the first {MOST_OBJECTS} are in the page.")
    return found, remarks


def _only_shown(objects: dict[int, dict[int, Any]], view: View) -> None:
    """Forget the objects of time points that the page does not show."""
    for tables in objects.values():
        for time in set(tables) - set(view.times):
            del tables[time]


def _about(layers: Sequence[Layer], view: View) -> list[Section]:
    rows = ranges_table(layers, view)
    if not rows:
        return []
    table = Table(
        ["Channel", "Least value kept", "Greatest value kept", "Step", "Black at first", "White at first"],
        rows,
        "Values are kept in 256 steps; values beyond the limits are shown as the limits.",
    )
    return [Section("Values in this page", tables=[table])]
