"""A run: its plan, its directory, and what its journal says is done.

The run directory holds::

    record.json    the run record, written last; of a run that failed and can go on it says so
    begun.json     what the record says already; while it is there without a record of its own, the run has no end
    manifest.tsv.gz  the objects of the store with their sha256
    plan.json      what is computed from what; constant size whatever the number of blocks
    inputs.json    what the objects that are read were like when the run began
    journal/       the one log, a segment a process
    scratch/       what passes hand on to each other; removed when the run is complete

The unfinished store grows beside the output, under ``OUTPUT.partial``, and is renamed when every
block is done, or made one zip file; on S3 it gets the document at its root last. See :mod:`chunkwise.storage.growth`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from chunkwise.blocks.journal import read_entries
from chunkwise.blocks.plan import Plan
from chunkwise.blocks.table import make_table
from chunkwise.errors import InputError, ResumableError
from chunkwise.files import read_file
from chunkwise.storage.growth import CLAIM, check_files, growth_of
from chunkwise.storage.location import Location
from chunkwise.storage.lock import held
from chunkwise.storage.manifest import FILE_NAME
from chunkwise.storage.writer import StoredObject, json_bytes, put_object

__all__ = ["BEGUN", "INPUTS", "PLAN", "RECORD", "Run"]

#: The run record in the run directory; unless it says that the run failed, the run is complete.
RECORD = "record.json"

#: How the record of a run that is not complete begins.
BEGUN = "begun.json"

#: What is computed from what.
PLAN = "plan.json"

#: What the objects that are read were like when the run began.
INPUTS = "inputs.json"

#: Folders in the run directory.
FOLDERS = ("journal", "scratch", "cluster", "array")

#: Lines of the journal whose objects are looked at together.
TOGETHER = 64


@dataclass(frozen=True)
class Run:
    """One run in progress; small and picklable, handed to every worker."""

    folder: str
    store: Location
    """Of the unfinished output."""
    hash: str
    rounds: bool = False
    """Whether all its processes have to round alike (:mod:`chunkwise.blocks.rounding`)."""

    @classmethod
    def at(cls, plan: Plan, folder: str, partial: str | Location, rounds: bool = False) -> Run:
        """Name a run, and touch nothing.

        Parameters
        ----------
        plan : Plan
            What to do.
        folder : str
            The run directory.
        partial : str or Location
            Where the store grows until it is whole: a folder on the same file system, or its own place on S3.
        rounds : bool
            Whether all its processes have to round alike.
        """
        place = Location(os.path.abspath(partial)) if isinstance(partial, str) else partial
        return cls(os.path.abspath(folder), place, plan.hash, rounds)

    def begin(self, plan: Plan, output: str) -> None:
        """Begin the run, or go on with one of the same plan, whose store will have the address ``output``.

        Raises
        ------
        InputError
            If the output exists, or the directory belongs to another run.
        """
        growing = growth_of(self.store)
        growing.check(self.folder, output)
        known = os.path.join(self.folder, PLAN)
        if os.path.lexists(known):
            self._refuse_links()
        if os.path.exists(known) and self._came_to_an_end():
            # An earlier run came to its end here, and its output is gone: nothing is left to go on with.
            self.forget()
        content = json_bytes(plan.document())
        if os.path.exists(known):
            if read_file(known) != content:
                raise InputError(
                    f"{self.folder} holds an unfinished run with another input or other parameters; remove it to "
                    "start over, or give another --run-dir."
                )
        else:
            if os.path.isdir(self.folder) and os.listdir(self.folder):
                raise InputError(f"The run directory {self.folder} exists and is not empty; give another --run-dir.")
            growing.check_empty()
            put_object(self.folder, PLAN, content)
        growing.take(self.folder, output)

    def _refuse_links(self) -> None:
        """Refuse to go on where somebody put a link: no run makes one, and what is written would go where it leads.

        Raises
        ------
        InputError
            If there is one, in what the run wrote or in its unfinished store.
        """
        places = [(self.folder, os.path.join(self.folder, name)) for name in FOLDERS]
        if not self.store.is_url:
            places.append((self.store.address, self.store.address))
        for whole, top in places:
            entries = (os.path.join(folder, name) for folder, *both in os.walk(top) for name in chain(*both))
            for path in chain([top], entries):
                if os.path.islink(path):
                    raise InputError(f"{path} is a symbolic link, which no run makes; remove {whole} to start over.")

    def _came_to_an_end(self) -> bool:
        """Whether there is a record that does not speak of a run that can go on."""
        try:
            content = json.loads(read_file(self.path(RECORD)))
        except FileNotFoundError:
            return False
        except (ValueError, RecursionError):
            return True
        failed = isinstance(content, dict) and content.get("status") == "failed"
        return not (failed and os.path.exists(self.path(BEGUN)))

    @contextmanager
    def locked(self, output: str | None = None, patience: float = 0.0) -> Iterator[None]:
        """Hold the output against a second run; the kernel lets go of the lock when this process ends, however.

        Parameters
        ----------
        output : str, optional
            What people know the run by; else its directory.
        patience : float
            Seconds to wait for another run to end.

        Raises
        ------
        InputError
            If another run is at work on the same output.
        ResumableError
            If it still is after the waiting.
        """
        named = output or self.folder
        busy: InputError | ResumableError = InputError(
            f"Another run is working on {named}; wait for it, or end it first."
        )
        if patience:
            busy = ResumableError(
                f"Another run with the same input, parameters and name is still working on {named}; run this command "
                "again when it has ended, or give another name."
            )
        with held(
            growth_of(self.store).lock_file(self.folder),
            busy,
            patience,
            f"for another run of the same input, parameters and name to end: {named}",
        ):
            yield

    @property
    def journal(self) -> str:
        """Folder of the journal."""
        return os.path.join(self.folder, "journal")

    def note_inputs(self, content: dict[str, Any]) -> None:
        """Note what the inputs are like, so that the run is not gone on with when they are others."""
        put_object(self.folder, INPUTS, json_bytes(content))

    def noted_inputs(self) -> Any:
        """What was noted of the inputs; None where nothing was, because no block was begun.

        Raises
        ------
        InputError
            If the run was begun by a chunkwise that did not note it, or the note is damaged.
        """
        path = self.path(INPUTS)
        try:
            content = json.loads(read_file(path))
            if content is None:
                raise ValueError("nothing is recorded")
            return content
        except FileNotFoundError:
            if not os.path.isdir(self.journal):
                return None
            raise InputError(
                f"{self.folder} does not say what its input was like when the run began, because an earlier "
                f"chunkwise wrote it, so it is unknown whether the input is still the same; remove {self.remains} to "
                "start over."
            ) from None
        except (ValueError, RecursionError):
            raise InputError(f"{path} is damaged; remove {self.remains} to start over.") from None

    @property
    def remains(self) -> str:
        """What has to be removed for the run to begin anew, in words."""
        grown = self.store.address
        return self.folder if os.path.dirname(grown) == self.folder else f"{self.folder} and {grown}"

    def path(self, key: str) -> str:
        """Where a file that only passes need lies: its key begins with ``scratch/``."""
        return os.path.join(self.folder, key)

    def place(self, key: str) -> str | Location:
        """What holds an object: keys that begin with ``scratch/`` are in the run directory, others in the store."""
        return self.folder if key.startswith("scratch/") else self.store

    def done(self, name: str, count: int) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], dict[int, Any]]:
        """The blocks of a pass that are done: their line is there, and their objects have the hashes it names.

        Parameters
        ----------
        name : str
            Of the pass.
        count : int
            Number of its blocks.

        Returns
        -------
        done : ndarray of bool, shape (count,)
        data : dict
            What the lines of done blocks hand on, where they hand on something.
        """
        done, data = np.zeros(count, np.bool_), {}
        entries = (
            entry
            for entry in read_entries(self.journal, self.hash, name)
            if entry.status == "done" and entry.block < count
        )
        while batch := list(islice(entries, TOGETHER)):
            whole = self._whole({item for entry in batch for item in entry.objects})
            for entry in batch:
                # A later line of the same block is about the same objects, as they are now.
                done[entry.block] = whole.issuperset(entry.objects)
                if entry.data is not None:
                    data[entry.block] = entry.data
        return done, {block: value for block, value in data.items() if done[block]}

    def contents(self) -> Iterator[Any]:
        """What the log says that the voxels of every block add up to that wrote some of the full resolution.

        A block that was done twice is named once: it wrote the same voxels.
        """
        named = bytearray()
        for entry in read_entries(self.journal, self.hash, having="content"):
            if entry.content is None or entry.status != "done":
                continue
            if entry.block >= len(named):
                named.extend(bytes(entry.block + 1 - len(named)))
            if not named[entry.block]:
                named[entry.block] = 1
                yield entry.content

    def stored_objects(self) -> list[StoredObject]:
        """The objects of the store that the journal names; the last line about an object counts."""
        objects = {
            item.key: item
            for entry in read_entries(self.journal, self.hash)
            if entry.status == "done"
            for item in entry.objects
            if not item.key.startswith("scratch/")
        }
        return [objects[key] for key in sorted(objects)]

    def table(self, sure: bool = True, named: bool = False) -> tuple[bytes, dict[str, int]]:
        """The table of blocks, and the sums over it; see :func:`chunkwise.blocks.table.make_table`.

        Parameters
        ----------
        sure : bool
            Whether every block is done, so that the log is believed; else the objects are looked at.
        named : bool
            Whether the store has its final name already, so that what only passes needed is gone.
        """

        def whole(items: set[StoredObject]) -> set[StoredObject]:
            gone = {item for item in items if named and item.key.startswith("scratch/")}
            return gone | self._whole(items - gone)

        return make_table(self.journal, self.hash, None if sure else whole)

    def _whole(self, items: set[StoredObject]) -> set[StoredObject]:
        """Those that are there with the bytes that they were written with."""
        scratch = [item for item in items if item.key.startswith("scratch/")]
        stored = [item for item in items if not item.key.startswith("scratch/")]
        sure = [*check_files(self.folder, scratch), *growth_of(self.store).are_whole(stored)]
        return {item for item, whole in zip([*scratch, *stored], sure, strict=True) if whole}

    def check_there(self) -> None:
        """Make sure that nobody removed the run directory, or began to, since the run began.

        Raises
        ------
        ResumableError
            If somebody did: then the log may lack blocks, and the store what they wrote.
        """
        if not os.path.exists(self.path(PLAN)):
            raise ResumableError(
                f"The run directory {self.folder} was removed during the run; run the same command again to start over."
            )

    def finish(self, output: str, objects: int = 0, zipped: bool = False) -> None:
        """Give the store its final name, or make one zip file of it, and remove what only passes needed.

        Parameters
        ----------
        output : str
            Its final address.
        objects : int
            How many the store has, at least.
        zipped : bool
            Whether it becomes a zip file.

        Raises
        ------
        ResumableError
            If something took the output's name in the meantime, or objects are gone.
        """
        self.check_there()
        growth_of(self.store).finish(output, objects, zipped)
        shutil.rmtree(os.path.join(self.folder, "scratch"), ignore_errors=True)

    def close(self, record: dict[str, Any]) -> None:
        """Write the record of a run that is complete; how it began need not be known any more."""
        put_object(self.folder, RECORD, json_bytes(record))
        with suppress(OSError):
            os.unlink(self.path(BEGUN))

    def abandon(self) -> None:
        """Remove what was computed, for runs that would fail again; where work had begun, plan and record stay."""
        growth_of(self.store).remove()
        kept = {}
        if os.path.isdir(self.journal):
            for name in (PLAN, RECORD):
                with suppress(OSError, InputError):
                    kept[name] = read_file(self.path(name))
        self.forget()
        if RECORD in kept:
            for name, content in kept.items():
                put_object(self.folder, name, content)

    def forget(self) -> None:
        """Empty the run directory of what a run puts there; whatever else somebody keeps in it stays."""
        for name in FOLDERS:
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)
        for name in (RECORD, BEGUN, FILE_NAME, INPUTS, PLAN, CLAIM):
            with suppress(OSError):
                os.unlink(os.path.join(self.folder, name))
        with suppress(OSError):
            os.rmdir(self.folder)  # not where something is left
