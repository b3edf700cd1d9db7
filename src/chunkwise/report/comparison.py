"""The page that ``chunkwise compare`` writes: scores in tables, and a picture of the precision over the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkwise.report.page import Page, Picture, Section, Table

__all__ = ["comparison_page", "precision_picture"]

#: Time points that get a row; a page of thousands would help nobody, and the JSON has them all.
MOST_TIMES = 100

#: Size of the picture, and its margins: left, top, right, bottom.
SIZE = (960, 600)
MARGINS = (90, 40, 40, 80)
INK, SOFT, LINE = (28, 35, 48), (213, 218, 226), (0, 100, 180)


def comparison_page(truth: str, predicted: str, content: dict[str, Any]) -> Page:
    """Make the page.

    Parameters
    ----------
    truth, predicted : str
        Names of the two images.
    content : dict
        As the command writes it as JSON.
    """
    pooled, times = content["pooled"], content["times"]
    rows = pooled["thresholds"]
    objects, foreground = pooled["objects"], pooled["foreground"]
    first = rows[0]
    facts = [
        ("Truth", truth),
        ("Prediction", predicted),
        ("Objects in the truth", objects["truth"]),
        ("Objects predicted", objects["predicted"]),
        (f"Matched (IoU above {first['threshold']:g})", first["true_positives"]),
        ("Missed", first["false_negatives"]),
        ("Without a match in the truth", first["false_positives"]),
        ("Split objects", pooled["splits"]),
        ("Merged objects", pooled["merges"]),
        ("Mean average precision", _text(pooled["mean_average_precision"])),
        (f"Panoptic quality at {first['threshold']:g}", _text(first["panoptic_quality"])),
        ("Foreground IoU", _text(foreground["iou"])),
        ("Foreground Dice", _text(foreground["dice"])),
    ]
    picture = Picture(
        "average-precision",
        precision_picture([row["threshold"] for row in rows], [row["average_precision"] for row in rows]),
        "Average precision against the IoU threshold",
        "TP / (TP + FP + FN): how many of all objects, true and predicted, are matched.",
    )
    names: tuple[str, ...] = (
        "true_positives",
        "false_positives",
        "false_negatives",
        "precision",
        "recall",
        "f1",
        "average_precision",
    )
    names = (*names, "mean_matched_iou", "panoptic_quality")
    table = Table(
        ["IoU above", "TP", "FP", "FN", "Precision", "Recall", "F1", "AP", "Mean IoU of matches", "Panoptic quality"],
        [(f"{row['threshold']:g}", *(_text(row[name]) for name in names)) for row in rows],
    )
    text = ["All time points together."] if len(times) > 1 else []
    sections = [
        Section("In short", text, facts=facts, pictures=[picture]),
        Section("At every threshold", tables=[table]),
    ]
    if len(times) > 1:
        sections.append(_times_section(times, f"{first['threshold']:g}"))
    share = f"{content['share']:g}"
    words = [
        "A predicted object matches a true one if their intersection over union (IoU) is greater than the threshold. "
        "TP are the matches, FP predicted objects without one, FN true objects without one.",
        f"A true object is split if two or more predicted objects each cover at least {share} of it. "
        f"Objects are merged if one predicted object has at least {share} of itself in each of two or more true "
        "objects.",
    ]
    return Page("Label images compared", "Chunkwise comparison", [], [*sections, Section("Words", words)])


def _times_section(times: Sequence[dict[str, Any]], first: str) -> Section:
    rows = [
        (
            entry["t"],
            entry["objects"]["truth"],
            entry["objects"]["predicted"],
            entry["thresholds"][0]["true_positives"],
            entry["splits"],
            entry["merges"],
            _text(entry["mean_average_precision"]),
            _text(entry["foreground"]["dice"]),
        )
        for entry in times[:MOST_TIMES]
    ]
    left = len(times) - len(rows)
    more = [f"The other {left} time points are in the JSON."] if left else []
    columns = ["t", "In the truth", "Predicted", f"Matched at {first}", "Split", "Merged", "Mean AP", "Dice"]
    return Section("Time points", more, tables=[Table(columns, rows)])


def _text(value: float | None) -> str:
    if value is None:
        return "none"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def precision_picture(thresholds: Sequence[float], precision: Sequence[float]) -> np.ndarray[Any, Any]:
    """Draw the average precision (0 to 1, upwards) over the threshold (0.5 to 1).

    Returns
    -------
    ndarray
        uint8, shape (y, x, 3).
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(28)
    left, top, right, bottom = MARGINS
    width, height = SIZE[0] - left - right, SIZE[1] - top - bottom

    def place(threshold: float, value: float) -> tuple[float, float]:
        return left + (threshold - 0.5) * 2 * width, top + (1 - value) * height

    for step in range(6):
        (x, y), (end, _) = place(0.5, step / 5), place(1, step / 5)
        draw.line([(x, y), (end, y)], fill=SOFT, width=1 if step else 3)
        draw.text((x - 12, y), f"{step / 5:.1f}", fill=INK, font=font, anchor="rm")
        x, y = place(0.5 + step / 10, 0)
        draw.text((x, y + 12), f"{0.5 + step / 10:.1f}", fill=INK, font=font, anchor="mt")
    draw.text((left + width / 2, SIZE[1] - 14), "IoU threshold", fill=INK, font=font, anchor="mb")
    draw.text((left, top - 12), "average precision", fill=INK, font=font, anchor="lb")
    points = [place(threshold, value) for threshold, value in zip(thresholds, precision, strict=True)]
    draw.line(points, fill=LINE, width=4, joint="curve")
    for x, y in points:
        draw.ellipse([x - 7, y - 7, x + 7, y + 7], fill=LINE)
    return np.asarray(picture)
