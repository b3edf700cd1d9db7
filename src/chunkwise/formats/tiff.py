"""TIFF in its many kinds, read by tifffile: plain and BigTIFF, tiles and strips, OME-TIFF, ImageJ, pyramids.

A chunk of the store is a tile or strip of the file, and is decoded when a box asks for it; nothing reads a whole image.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from chunkwise.errors import InputError
from chunkwise.formats.described import DescribedFile, amend
from chunkwise.formats.ome_set import in_other_files, set_as_store
from chunkwise.formats.tiff_array import TiffArray, axes_of, channels_of
from chunkwise.formats.tiff_files import noted, open_tiff
from chunkwise.formats.tiff_metadata import facts_of, unused_xml
from chunkwise.formats.tiff_planes import OpenFile, SeriesPlanes, explained
from chunkwise.formats.tiff_refused import refuse_broken, refuse_cut, refuse_undecodable
from chunkwise.ngff.model import bare_name
from chunkwise.storage.location import Location

__all__ = ["chosen_series", "open_file_as_store"]


def open_file_as_store(location: Location) -> DescribedFile:
    """Open a TIFF as a store; see :func:`chunkwise.storage.foreign.foreign_store`."""
    assert location.foreign is not None
    path, said = location.foreign.path, dict(location.foreign.said)
    with explained(path), noted() as first:
        tif, file = open_tiff(path, lambda real: real == path or location.allows(real))
        if in_other_files(tif, path):
            return set_as_store(location, tif.ome_metadata, os.path.basename(path))
    with explained(path), noted() as notes:
        number, series = chosen_series(tif, said.get("series"), path)
        if series.is_multifile or tif.is_ndtiff:
            raise InputError(
                f"Planes of {path} lie in other files, which only its own program finds; write it again as one file."
            )
        refuse_undecodable(series, path)
        words = unused_xml(tif, series)
    letters = axes_of(series, said.get("axes"), path, "".join(f"; {one}" for one in words))
    with explained(path), noted() as more:
        levels = [TiffArray(SeriesPlanes(level, file, path), letters, path) for level in series.levels]
    with explained(path):
        facts = facts_of(tif, series, number)
    axes = levels[0].axes
    sizes, channels, remarks = amend(said, axes, facts.sizes, channels_of(facts, levels[0]), path)
    known = {axis: value for axis, value in sizes.items() if axis in axes}
    told = tuple(f"{path}: {text}" for text in dict.fromkeys((*first, *notes, *more, *facts.dropped)))
    return DescribedFile(
        name=said.get("name") or facts.name or bare_name(location),
        axes=axes,
        levels=levels,
        files=(os.path.basename(path),),
        sizes=known,
        channels=channels,
        remarks=(*remarks, *told),
        attached=facts.attached,
        check=partial(_check, list(series.levels), tif, file, path),
    )


def _check(levels: list[Any], tif: Any, file: OpenFile, path: str) -> None:
    """Look at every plane, whether it is there; millions of them take a while, so that workers do not do it again."""
    with explained(path), noted():
        refuse_cut(tif, file, path)
        for level in levels:
            refuse_broken(level, file.size, path)


def chosen_series(tif: Any, wanted: str | None, path: str) -> tuple[int, Any]:
    """Find the series, or scene, that is asked for; that there is one is what most files are like.

    Raises
    ------
    InputError
        If there are several and none is asked for, or there is no such one.
    """
    found = tif.series
    if not found:
        raise InputError(f"The TIFF {path} holds no image.")
    if wanted is None and len(found) > 1:
        listed = ", ".join(f"{n} ({'x'.join(map(str, one.shape))} {one.axes})" for n, one in enumerate(found[:8]))
        raise InputError(f"{path} holds {len(found)} images; choose one with --series: {listed}.")
    number = 0 if wanted is None else int(wanted)
    if number >= len(found):
        raise InputError(f"{path} has no image {number}; it holds {len(found)}, counted from 0.")
    return number, found[number]
