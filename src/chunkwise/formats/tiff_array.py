"""Planes of TIFFs with axes in the order of OME-Zarr, where samples of a pixel are channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.formats.tiff_metadata import TiffFacts
from chunkwise.formats.tiff_planes import Planes, explained
from chunkwise.ngff.model import Channel
from chunkwise.storage.array_reader import Box

__all__ = ["LETTERS", "TiffArray", "axes_of", "channels_of"]

#: Letters of tifffile that mean an axis of OME-Zarr; samples of a pixel, such as red, green and blue, are channels.
LETTERS: Final = {"T": "t", "C": "c", "Z": "z", "Y": "y", "X": "x", "S": "s"}


def axes_of(series: Any, said: str | None, path: str, why: str = "") -> str:
    """Give a letter for every axis of a series: one of ``tczyxs``, or ``-`` for one of length 1 that means nothing.

    ``why``: what there is to say where the file does not say it.

    Raises
    ------
    InputError
        If neither the file nor the person says it.
    """
    shape, given = series.shape, series.axes
    if said is not None:
        said = said.lower()
        kept = "".join(axis for axis in said if axis in "tczyxs")
        if len(said) != len(shape) or kept != said or len(set(said)) < len(said) or not {"y", "x"} <= set(said):
            sizes = "x".join(map(str, shape))
            raise InputError(
                f"--axes '{said}' does not fit {path}, whose array is {sizes}: give one letter of t, c, z, y, x and s "
                "(samples) for each, y and x among them."
            )
        return said
    letters = "".join(LETTERS.get(axis, "-" if size == 1 else "?") for axis, size in zip(given, shape, strict=True))
    if "?" in letters or not {"y", "x"} <= set(letters):
        at = letters.find("?")
        which = f"what the {shape[at]} planes along its axis {at} are" if at >= 0 else "which axes are y and x"
        example = letters.replace("?", "z", 1).replace("-", "c")
        raise InputError(
            f"{path} does not say {which}; say it with --axes, such as {example} (its axes: {given}{why})."
        )
    return letters


class TiffArray:
    """An array of planes with axes in the order of OME-Zarr; samples are channels.

    Parameters
    ----------
    planes : Planes
        In the file's own order.
    letters : str
        Of the axes of the planes, as :func:`axes_of` gives them.
    path : str
        Of the file, for sentences.
    """

    def __init__(self, planes: Planes, letters: str, path: str) -> None:
        self._planes, self._letters, self._path = planes, letters, path
        length = dict(zip(letters, planes.shape, strict=True))
        chunk = dict(zip(letters, planes.chunks, strict=True))
        self.samples = length.get("s", 1)
        # Samples of a pixel that lie side by side are decoded together; those in planes of their own are not.
        self._apart = chunk.get("s", 1) < self.samples
        self.axes = "".join(axis for axis in "tczyx" if axis in letters or (axis == "c" and "s" in letters))
        self.shape = tuple(length.get(axis, 1) * (self.samples if axis == "c" else 1) for axis in self.axes)
        self.chunks = tuple(chunk.get("s", 1) if axis == "c" else chunk[axis] for axis in self.axes)
        self.files = self.chunks
        self.dtype = planes.dtype

    def key(self, index: tuple[int, ...]) -> str:
        """Give a name for a chunk; there is no file of that name."""
        return "c/" + "/".join(map(str, index))

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """Read a box, axes as in :attr:`axes`."""
        parts = dict(zip(self.axes, box, strict=True))
        where = ", ".join(f"{axis} {part.start}:{part.stop}" for axis, part in parts.items())
        with explained(self._path, f" at {where}"):
            if "s" not in self._letters:
                return self._ordered(parts, "tczyx")
            wanted = parts["c"]
            span = slice(wanted.start // self.samples, -(-wanted.stop // self.samples))
            first = span.start * self.samples
            if self._apart and span.stop - span.start == 1:
                parts["s"] = slice(wanted.start - first, wanted.stop - first)
                first = wanted.start
            whole = self._ordered({**parts, "c": span}, "tcszyx")
        at = self.axes.index("c")
        joined = whole.reshape(*whole.shape[:at], -1, *whole.shape[at + 2 :])
        take = slice(wanted.start - first, wanted.stop - first)
        return np.ascontiguousarray(joined[(slice(None),) * at + (take,)])

    def _ordered(self, parts: Mapping[str, slice], order: str) -> np.ndarray[Any, Any]:
        """Read by the file's own axes, and put them in an order; ``c`` and ``s`` are there if one of them is."""
        asked = tuple(
            slice(0, 1) if letter == "-" else parts.get(letter, slice(0, size))
            for letter, size in zip(self._letters, self._planes.shape, strict=True)
        )
        data = self._planes.read(asked)
        kept = [n for n, letter in enumerate(self._letters) if letter != "-"]
        data = data.reshape([data.shape[n] for n in kept])
        letters = [self._letters[n] for n in kept]
        if "s" in letters and "c" not in letters:
            data, letters = data[np.newaxis], ["c", *letters]
        data = data.transpose([letters.index(axis) for axis in order if axis in letters])
        return np.ascontiguousarray(data)


def channels_of(facts: TiffFacts, array: TiffArray) -> tuple[Channel, ...]:
    """Name the channels; samples of a colour picture are red, green and blue."""
    count = array.shape[array.axes.index("c")] // array.samples if "c" in array.axes else 1
    named = facts.channels if len(facts.channels) == count else ()
    channels = list(named) or [Channel(index, str(index)) for index in range(count)]
    if array.samples == 1:
        return tuple(channels)
    parts = ("red", "green", "blue", "alpha") if facts.rgb and array.samples in (3, 4) else ()
    colors = ("FF0000", "00FF00", "0000FF", None)
    made: list[Channel] = []
    for channel in channels:
        for sample in range(array.samples):
            part = parts[sample] if parts else str(len(made))
            name = part if count == 1 else f"{channel.name} {part}" if parts else part
            made.append(Channel(len(made), name, colors[sample] if parts else None))
    return tuple(made)
