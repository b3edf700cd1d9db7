"""How well predicted objects match true ones, from counts of objects and voxels.

A predicted object matches a true one at a threshold if their intersection over union (IoU) is *greater* than it,
as in the 2018 Data Science Bowl. Above one half an object can match one other only, so that nothing has to be
assigned; the panoptic quality (Kirillov and others, CVPR 2019) and StarDist's ``matching`` rest on the same fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import fsum
from typing import Any

import numpy as np

__all__ = ["SCALE", "THRESHOLDS", "Tally", "count_matches", "scores", "total"]

Array = np.ndarray[Any, Any]

#: Of the 2018 Data Science Bowl. Written out: sums of 0.05 would miss the doubles that are meant.
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

#: From one half to one, float64 steps by 2**-53: sums of IoUs are kept as whole numbers of it, and so do not
#: depend on their order.
SCALE = 2**53


@dataclass(frozen=True)
class Tally:
    """Counts of one volume, or of several together."""

    truth_objects: int = 0
    predicted_objects: int = 0
    truth_voxels: int = 0
    predicted_voxels: int = 0
    overlap_voxels: int = 0
    """Foreground in both."""
    splits: int = 0
    """True objects of which two predicted objects or more cover their share each."""
    merges: int = 0
    """Predicted objects of which two true objects or more cover their share each."""
    matches: tuple[int, ...] = ()
    """Pairs above each threshold."""
    iou_sums: tuple[int, ...] = ()
    """Their summed IoU, times :data:`SCALE`."""

    def __add__(self, other: Tally) -> Tally:
        """Add the counts of other objects."""
        made: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            a, b = getattr(self, name), getattr(other, name)
            if isinstance(a, tuple):
                # Where nothing was counted yet there are no thresholds.
                made[name] = tuple(x + y for x, y in zip_longest(a, b, fillvalue=0))
            else:
                made[name] = a + b
        return Tally(**made)


def count_matches(iou: Array, thresholds: Sequence[float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count pairs above each threshold, and add up their IoUs.

    Parameters
    ----------
    iou : ndarray of float64
        Of pairs of objects.
    thresholds : sequence of float
        Each of 0.5 or more.

    Returns
    -------
    matches, iou_sums : tuple of int
        As :class:`Tally` has them.
    """
    iou = iou[iou > 0.5]
    whole = (iou * SCALE).astype(np.int64)
    counts, sums = [], []
    for threshold in thresholds:
        above = iou > threshold
        counts.append(int(above.sum()))
        # In two halves: a thousand IoUs would overflow int64.
        sums.append((int((whole[above] >> 32).sum()) << 32) + int((whole[above] & 0xFFFFFFFF).sum()))
    return tuple(counts), tuple(sums)


def total(tallies: Sequence[Tally]) -> Tally:
    """Pool volumes: every object counts the same."""
    return sum(tallies, Tally())


def scores(tally: Tally, thresholds: Sequence[float]) -> dict[str, Any]:
    """Work out what the counts mean; JSON values.

    A ratio of nothing to nothing is 1 where there is no object on either side (nothing was to be found, and
    nothing was found), and 0 otherwise. A mean over no pairs is None.
    """
    empty = not tally.truth_objects and not tally.predicted_objects
    nothing = 1.0 if empty else 0.0

    def ratio(part: float, whole: float) -> float:
        return part / whole if whole else nothing

    rows: list[dict[str, Any]] = []
    for threshold, tp, iou_sum in zip(thresholds, tally.matches, tally.iou_sums, strict=True):
        fp, fn = tally.predicted_objects - tp, tally.truth_objects - tp
        rows.append(
            {
                "threshold": threshold,
                "true_positives": tp,
                "false_positives": fp,
                "false_negatives": fn,
                "precision": ratio(tp, tp + fp),
                "recall": ratio(tp, tp + fn),
                "f1": ratio(2 * tp, 2 * tp + fp + fn),
                "average_precision": ratio(tp, tp + fp + fn),
                "mean_matched_iou": iou_sum / (SCALE * tp) if tp else None,
                "panoptic_quality": ratio(2 * iou_sum, SCALE * (2 * tp + fp + fn)),
            }
        )
    union = tally.truth_voxels + tally.predicted_voxels - tally.overlap_voxels
    return {
        "objects": {"truth": tally.truth_objects, "predicted": tally.predicted_objects},
        "mean_average_precision": fsum(row["average_precision"] for row in rows) / len(rows),
        "thresholds": rows,
        "foreground": {
            "truth_voxels": tally.truth_voxels,
            "predicted_voxels": tally.predicted_voxels,
            "overlap_voxels": tally.overlap_voxels,
            "iou": ratio(tally.overlap_voxels, union),
            "dice": ratio(2 * tally.overlap_voxels, tally.truth_voxels + tally.predicted_voxels),
        },
        "splits": tally.splits,
        "merges": tally.merges,
    }
