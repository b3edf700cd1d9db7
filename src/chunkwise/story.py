"""The order in which people meet the commands: that of the work, in ``--help``, in Galaxy's tool panel, in the docs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

__all__ = ["STORY", "in_order"]

STORY: Final[dict[str, tuple[str, ...]]] = {
    "Look": ("open", "inspect"),
    "Import": ("convert",),
    "Prepare": ("channels", "project", "intensity", "filter", "background", "math"),
    "Find objects": ("threshold", "morphology", "segment", "predict", "objects", "label", "spots", "points"),
    "Measure": ("measure", "overlay"),
    "Check": ("compare", "verify"),
    "Export and document": ("fetch", "crate"),
    "Administer": ("model", "site", "workspace"),
}


def in_order(commands: Collection[str]) -> dict[str, list[str]]:
    """Put commands under the headings of the story."""
    return {part: [name for name in names if name in commands] for part, names in STORY.items()}
