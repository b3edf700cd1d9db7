"""A folder of TIFFs as one image: a pattern says which part of their names is the channel, the time, the plane."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from math import prod
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.files import unreadable
from chunkwise.formats.described import DescribedFile, amend
from chunkwise.formats.tiff import chosen_series
from chunkwise.formats.tiff_array import TiffArray, axes_of, channels_of
from chunkwise.formats.tiff_files import noted, open_member
from chunkwise.formats.tiff_metadata import facts_of
from chunkwise.formats.tiff_planes import SeriesPlanes, SetPlanes, explained
from chunkwise.formats.tiff_refused import refuse_broken, refuse_cut, refuse_undecodable
from chunkwise.ngff.model import Channel, bare_name
from chunkwise.storage.location import Location

__all__ = ["open_file_as_store", "sorted_by_pattern"]

#: What stands for a part of a name: times and planes are numbers, channels may have names.
PLACES: Final = {"t": r"(?P<t>\d+)", "c": r"(?P<c>.+?)", "z": r"(?P<z>\d+)"}
WORDS: Final = {"t": "time point", "c": "channel", "z": "plane"}


def open_file_as_store(location: Location) -> DescribedFile:
    """Open a folder as a store; see :func:`chunkwise.storage.foreign.foreign_store`."""
    assert location.foreign is not None
    folder, said = location.foreign.path, dict(location.foreign.said)
    try:
        names = [one.name for one in os.scandir(folder) if one.is_file()]
    except OSError as error:
        raise unreadable(folder, error, "folder") from None
    files, values, remarks = sorted_by_pattern(names, said["pattern"], folder)
    members = _Members(location, files, said)
    first, like = os.path.join(folder, files[0]), members.open(files[0])
    letters = axes_of(members.series, said.get("axes"), first)
    inside = dict(zip(letters, like.shape, strict=True))
    for axis in values:
        if inside.get(axis, 1) > 1:
            raise InputError(
                f"The pattern says that every file is one {WORDS[axis]} ({{{axis}}}), and {first} holds {inside[axis]} "
                f"of them along an axis of its own; leave {{{axis}}} out of the pattern, or say with --axes what that "
                "axis is."
            )
    letters = "".join("-" if axis in values else axis for axis in letters)
    planes = SetPlanes(tuple(len(found) for found in values.values()), files, members.open, like)
    array = TiffArray(planes, "".join(values) + letters, folder)
    with explained(first):
        facts = facts_of(members.tif, members.series, members.number)
    if "c" in values:
        facts = replace(facts, channels=tuple(Channel(n, name) for n, name in enumerate(values["c"])))
    sizes, channels, lacks = amend(said, array.axes, facts.sizes, channels_of(facts, array), folder)
    told = (*lacks, *(f"{first}: {words}" for words in (*members.notes, *facts.dropped)), *remarks)
    return DescribedFile(
        name=said.get("name") or bare_name(location),
        axes=array.axes,
        levels=[array],
        files=tuple(files),
        sizes={axis: value for axis, value in sizes.items() if axis in array.axes},
        channels=channels,
        remarks=told,
        check=members.check,
    )


class _Members:
    """The files, which are opened when they are read, and held to be like the first."""

    def __init__(self, location: Location, files: Sequence[str], said: Mapping[str, str]) -> None:
        self._location, self._files, self._said = location, files, said
        with noted() as self.notes:
            self.tif, _ = open_member(location, files[0])
            with explained(files[0]):
                self.number, self.series = chosen_series(self.tif, said.get("series"), files[0])
                refuse_undecodable(self.series, files[0])

    def open(self, name: str) -> SeriesPlanes:
        """Open a file; see :class:`chunkwise.formats.tiff_planes.SetPlanes`."""
        return SeriesPlanes(*self._open(name))

    def _open(self, name: str) -> tuple[Any, Any, str]:
        assert self._location.foreign is not None
        path = os.path.join(self._location.foreign.folder, name)
        tif, file = open_member(self._location, name)
        with explained(path), noted(), file.lock:
            series = chosen_series(tif, self._said.get("series"), path)[1]
        first = self.series
        if (series.shape, series.axes, series.dtype) != (first.shape, first.axes, first.dtype):
            raise InputError(
                f"{path} has {_words(series)}, and {self._files[0]} has {_words(first)}; the files of one image are of "
                "one size and type."
            )
        return series, file, path

    def check(self) -> None:
        """Look at every file; see :class:`chunkwise.storage.foreign.ForeignStore`."""
        for name in self._files:
            series, file, path = self._open(name)
            with explained(path), noted():
                refuse_cut(series.keyframe.parent, file, path)
                refuse_broken(series, file.size, path)


def _words(series: Any) -> str:
    return f"{'x'.join(map(str, series.shape))} pixels of {series.dtype} ({series.axes})"


def sorted_by_pattern(
    names: Sequence[str], pattern: str, folder: str
) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Put files in the order of the numbers in their names.

    Parameters
    ----------
    names : sequence of str
        All files of the folder.
    pattern : str
        Such as ``img_c{c}_t{t}_z{z}.tif``.
    folder : str
        For sentences.

    Returns
    -------
    files : list of str
        One for each time, channel and plane, the last the fastest.
    values : dict
        What stands in their names, by axis, in order.
    remarks : list of str
        What is odd about them.

    Raises
    ------
    InputError
        If the pattern cannot be used, no file fits it, or files are missing or double.
    """
    shape = _expression(pattern)
    found: dict[tuple[str | int, ...], str] = {}
    axes = [axis for axis in "tcz" if axis in shape.groupindex]
    fitting = [(name, match) for name in sorted(names) if (match := shape.fullmatch(name))]
    if not fitting:
        raise InputError(f"No file in {folder} fits the pattern {pattern}; its files are {_some(sorted(names))}.")
    numbered = {axis for axis in axes if all(match[axis].isdecimal() for _, match in fitting)}
    for name, match in fitting:
        key = tuple(int(match[axis]) if axis in numbered else match[axis] for axis in axes)
        if key in found:
            raise InputError(
                f"{found[key]} and {name} in {folder} have the same numbers by the pattern {pattern}; move one of them "
                "away, or make the pattern narrower."
            )
        found[key] = name
    others = sorted(set(names) - set(found.values()))
    values = [sorted({key[n] for key in found}) for n in range(len(axes))]
    remarks = [remark for axis, one in zip(axes, values, strict=True) for remark in _steps(axis, one, folder, pattern)]
    wanted = prod(len(one) for one in values)
    if wanted != len(found):
        first = next(key for key in product(*values) if key not in found)
        which = ", ".join(f"{axis} {value}" for axis, value in zip(axes, first, strict=True))
        raise InputError(
            f"{wanted - len(found)} of {wanted} files are missing in {folder}, the first being that of {which} by "
            f"the pattern {pattern}; add them, or move the files of incomplete sets away."
        )
    files = [found[key] for key in product(*values)]
    if others:
        kind = "file does" if len(others) == 1 else "files do"
        remarks.append(f"{folder}: {len(others)} {kind} not fit the pattern and will not be read: {_some(others)}")
    return files, {axis: list(map(str, one)) for axis, one in zip(axes, values, strict=True)}, remarks


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{([tcz])\}", pattern)
    used = parts[1::2]
    text = "".join(parts[::2])
    if not used or len(set(used)) < len(used) or any(letter in text for letter in "/\\{}"):
        raise InputError(
            f"The pattern '{pattern}' cannot be used; it is the name of the files with {{c}}, {{t}} or {{z}}, each at "
            "most once, where the channel, the time point or the plane stands, such as img_c{c}_t{t}_z{z}.tif."
        )
    if "" in parts[2:-1:2]:
        raise InputError(f"The pattern '{pattern}' has two parts side by side, so that nothing says where one ends.")
    return re.compile("".join(PLACES[part] if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.DOTALL)


def _steps(axis: str, values: Sequence[Any], folder: str, pattern: str) -> list[str]:
    """Refuse numbers that are left out; what goes in even steps is said. Channels are numbered as anybody likes."""
    if axis == "c" or len(values) < 2:
        return []
    steps = [after - before for before, after in pairwise(values)]
    if len(set(steps)) > 1:
        at = next(n for n, step in enumerate(steps) if step > min(steps))
        raise InputError(
            f"No file in {folder} has {axis} {values[at] + min(steps)} by the pattern {pattern}, and there are files "
            f"of {axis} {values[at]} and of {axis} {values[at + 1]}; add what is missing, or move away what follows "
            "it."
        )
    step = steps[0]
    return [] if step == 1 else [f"{folder}: the files' numbers along {axis} go in steps of {step}"]


def _some(names: Sequence[str]) -> str:
    return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "none"
