r"""The manifest of a store: one line an object, by which every single one is recognised.

::

    9f86d081884c7d65...<TAB>8123<TAB>0/c/0/0/0

sha256 of the bytes, their number, the key; sorted by key, compressed. The bytes of the file depend on the objects
alone. Its root digest is the store's fingerprint of level ``full``: whoever trusts that one value can trust the
manifest that leads to it, whoever hands it over. No chunkwise is needed to find it out::

    zcat manifest.tsv.gz | awk -F'\t' '{print $1 "  " $3}' | sha256sum
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from chunkwise.errors import InputError
from chunkwise.storage.fingerprint import manifest_digest

__all__ = ["ATTACHED", "FILE_NAME", "Difference", "Manifest", "Object", "manifest_name"]

#: In a run directory.
FILE_NAME = "manifest.tsv.gz"

#: Bytes of a manifest that a crate takes in, some 50 000 objects; of a larger one the crate has name and sha256.
ATTACHED = 2 * 2**20

#: Bytes of text that are read of a file that says it is a manifest: some ten million objects.
LARGEST = 2**30

_LINE = re.compile(r"([0-9a-f]{64})\t(0|[1-9][0-9]{0,18})\t([^\n]+)\n")


class Object(Protocol):
    """What a manifest wants to know of an object."""

    @property
    def key(self) -> str:
        """Path inside the store."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""

    @property
    def size(self) -> int:
        """Their number."""


def manifest_name(number: int) -> str:
    """What the manifest of the run of a number is called in a crate."""
    return f"manifest-{number}.tsv.gz"


@dataclass(frozen=True)
class Difference:
    """The objects in which a store is not what its manifest says, each list sorted by key."""

    changed: tuple[str, ...] = ()
    """Other bytes, and not fewer of them."""
    truncated: tuple[str, ...] = ()
    """Fewer bytes than there were."""
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Added objects that have the bytes of a missing one, and which one."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.truncated or self.missing or self.added)


@dataclass(frozen=True)
class Manifest:
    """sha256 and size of every object of a store, by key."""

    objects: Mapping[str, tuple[str, int]]
    """In the order of the keys."""

    @classmethod
    def of(cls, objects: Iterable[Object]) -> Manifest:
        """Make the manifest of objects, in whatever order they come."""
        return cls({item.key: (item.sha256, item.size) for item in sorted(objects, key=lambda item: item.key)})

    @property
    def digest(self) -> str:
        """The root digest: the store's fingerprint of level ``full``."""
        return manifest_digest((key, sha256) for key, (sha256, _) in self.objects.items())

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(size for _, size in self.objects.values())

    def to_bytes(self) -> bytes:
        """The file: the same objects give the same bytes."""
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as file:
            for key, (sha256, size) in self.objects.items():
                file.write(f"{sha256}\t{size}\t{key}\n".encode("utf-8", "surrogateescape"))
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Manifest:
        """Read the file, which anybody may have written; ``name`` is what errors call it.

        Raises
        ------
        InputError
            If it is no manifest.
        """
        refusal = InputError(f"{name} is not a manifest of a store; chunkwise writes such files as {FILE_NAME}.")
        objects: dict[str, tuple[str, int]] = {}
        last, left = "", LARGEST
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                # A line is never longer than a path can be: what has no line breaks is not read whole.
                while line := file.readline(1 << 16):
                    left -= len(line)
                    match = _LINE.fullmatch(line.decode("utf-8", "surrogateescape"))
                    if match is None or match[3] <= last or left < 0:
                        raise refusal
                    last = match[3]
                    objects[last] = (match[1], int(match[2]))
        except (OSError, EOFError, zlib.error):
            raise refusal from None
        if not objects:
            raise refusal
        return cls(objects)

    def compare(self, now: Manifest) -> Difference:
        """Say in which objects a store, as it is now, is not what this manifest says."""
        before, after = self.objects, now.objects
        other = [key for key, value in before.items() if key in after and after[key] != value]
        missing = [key for key in before if key not in after]
        added = [key for key in after if key not in before]
        lost = {before[key]: key for key in reversed(missing)}
        return Difference(
            changed=tuple(key for key in other if after[key][1] >= before[key][1]),
            truncated=tuple(key for key in other if after[key][1] < before[key][1]),
            missing=tuple(missing),
            added=tuple(added),
            renamed={key: lost[after[key]] for key in added if after[key] in lost},
        )
