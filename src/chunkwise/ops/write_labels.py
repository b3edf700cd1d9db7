"""From a mask to a label image: components, parted where that is asked for, numbered, written; as a chain of passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ops.divider import Divider
from chunkwise.ops.labelling import Labelling
from chunkwise.ops.split_passes import COMPONENTS, Splitting, Unsplit

__all__ = ["LabelResult", "label_type", "write_labels"]


@dataclass(frozen=True)
class LabelResult:
    """What came out."""

    output: OutputImage
    counts: list[int]
    """Objects of each volume."""
    unsplit: list[Unsplit] = field(default_factory=list)
    """The first components that were too large for memory to be parted."""
    n_unsplit: int = 0


def write_labels(
    labelling: Labelling, min_size: int, divider: Divider | None, make_output: Callable[[str], OutputImage]
) -> LabelResult:
    """Label, part, number and write.

    Parameters
    ----------
    labelling : Labelling
        With the mask; holes are filled already where that is asked for.
    min_size : int
        Objects of fewer voxels are dropped, after parting.
    divider : Divider, optional
        How components are parted; without it they stay what they are.
    make_output : callable
        ``make_output(dtype) -> OutputImage``; the dtype is known only when the objects are counted.

    Raises
    ------
    ResumableError
        If the run stopped in the middle.
    """
    job = labelling.job
    counts = labelling.number_objects(min_size)
    output = make_output(label_type(counts))
    if divider is None:
        labelling.write(output)
        write_pyramid(output, job)
        return LabelResult(output, counts)
    labelling.write(output, COMPONENTS, "components")
    grid = labelling.volumes.grid
    splitting = Splitting(output, counts, labelling.connectivity, grid, divider, job)
    counts, unsplit, n_unsplit = splitting.number_parts(min_size)
    output = make_output(label_type(counts))
    splitting.write(output)
    write_pyramid(output, job)
    return LabelResult(output, counts, unsplit, n_unsplit)


def label_type(counts: list[int]) -> str:
    """The type of labels that number so many objects of each volume."""
    return "uint32" if max(counts) < 2**32 else "uint64"
