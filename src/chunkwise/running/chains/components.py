"""From a mask to its objects: connected components, whole or parted."""

from __future__ import annotations

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.ops import split_passes
from chunkwise.ops.labelling import Labelling
from chunkwise.ops.masks import MaskVolumes
from chunkwise.ops.split_passes import SplitParameters
from chunkwise.ops.write_labels import write_labels
from chunkwise.running.chains.local import check, selected
from chunkwise.running.chains.segment import spacing_of
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.labels import by_time, check_connectivity, report_unsplit
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.sizes import in_voxels
from chunkwise.running.stores import StoreRun

__all__ = ["run"]


def run(request: Request) -> Result:
    """Number the objects of a mask; see :func:`chunkwise.running.run.run`."""
    opened = request.open("image")
    selection = selected(request, opened)
    check(request, selection)
    sizes = in_voxels(request, selection)
    source, values = selection.source, sizes.values
    connectivity = check_connectivity(values["connectivity"], len(source.shape))
    split = SplitParameters(spacing_of(selection), values["min_distance"]) if "min_distance" in values else None
    check_files(request)

    def projected(grid: Grid, threads: int = 1) -> int:
        # As read, the mask, its labels twice; when a unit is written also the unit.
        labelling = projected_memory(grid, block=2 + 1 + 4 + 4, unit=2 * 4, threads=threads)
        return max(labelling, split_passes.memory_of(grid) if split else 0)

    # Components that are parted may take all of a worker's memory, one at a time.
    grid, resources = fit_blocks(request, selection, projected, threads=split is None)
    recorded = request.recorded(method=request.operation.name, connectivity=connectivity)
    work = StoreRun(request, opened, selection, grid, recorded, sources=(source,))
    volumes = MaskVolumes(source, grid)
    with work.working(resources, volumes.n_blocks) as job:
        labelling = Labelling(volumes, [0] * volumes.n_volumes, False, connectivity, job)
        result = write_labels(labelling, 0, split, work.label_image)
        work.complete(result.output)
    if sizes.found:
        work.recorder.result("sizes_in_voxels", sizes.found)
    work.recorder.result("objects", result.counts)
    if split:
        report_unsplit(work, result, source.first_time, opened.image.spatial)
    return work.finish(result.output, [*by_time(result.counts, work.location.address, source.first_time), *sizes.lines])
