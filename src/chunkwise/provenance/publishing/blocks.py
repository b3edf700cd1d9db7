"""Tables of blocks and manifests as they may be given to anybody: written anew, columns and values by a list."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.provenance.publishing.allowed import DIGEST, OUT, Rule, matching, texts, word
from chunkwise.storage.manifest import Manifest

__all__ = ["FAILED", "Neutral", "publish_blocks", "publish_manifest"]

FAILED: Final = "The run failed; what it said is not published."


class Neutral:
    """Numbers in place of names: the same name gets the same number all over a crate."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[object, int]] = {}

    def __call__(self, what: str, name: object) -> str:
        """Return ``what`` with the number of a name."""
        numbers = self._numbers.setdefault(what, {})
        return f"{what}-{numbers.setdefault(name, len(numbers) + 1)}"


#: Passes of the operations; those that are done again and again end in a number.
_PASSES: Final = (
    *("boxes", "check", "check-files", "check-labels", "compare", "copy", "copy-labels", "count", "decide", "files"),
    *("histogram", "holes", "join", "join-holes", "label", "level", "measure", "objects", "parents", "predict"),
    *("radius", "rims", "split", "spots", "statistics", "values", "write"),
)
#: Keys of chunks, and of the metadata of an image, its levels and its labels, which are numbered. A number ends where
#: its digits do: without that there are as many ways to part them as there are sums, and a long key is never done.
_KEY = re.compile(r"(?:\d{1,9}(?!\d)|c|\.|/)+|(?:\d{1,3}/)?(?:zarr\.json|\.zarray|\.zattrs|\.zgroup)")
#: Characters of a line of a table; real ones are shorter by far, and what has no line breaks is not read whole.
_LONGEST: Final = 2**22
_DIGITS: Final[Rule] = matching(r"\d{1,19}(?:\.\d{1,9})?")


def publish_blocks(content: bytes, neutral: Neutral) -> bytes:
    """Rewrite a table of blocks, line by line; columns that are not known are left out.

    Raises
    ------
    InputError
        If it is damaged.
    """
    columns: dict[str, Any] = {
        "pass": lambda text: text if re.sub(r"-\d+$", "", text) in _PASSES else neutral("pass", text),
        **dict.fromkeys(("block", "volume", "attempt"), _DIGITS),
        "slices": texts,
        "status": word("done", "failed", "lost"),
        "worker": lambda text: neutral("worker", text),
        "start": _DIGITS,
        "end": _DIGITS,
        "objects": lambda text: ",".join(_key(key) for key in text.split(",")),
        "sha256": lambda text: text if all(not part or DIGEST.fullmatch(part) for part in text.split(",")) else OUT,
        "bytes": _DIGITS,
        "error": lambda text: FAILED if text else "",
    }
    buffer = io.BytesIO()
    try:
        with (
            gzip.open(io.BytesIO(content), "rt", encoding="utf-8", newline="\n") as source,
            gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as target,
        ):
            names = source.readline(_LONGEST).rstrip("\n").split("\t")
            kept = [(position, name) for position, name in enumerate(names) if name in columns]
            target.write(("\t".join(name for _, name in kept) + "\n").encode())
            while line := source.readline(_LONGEST):
                if not line.endswith("\n"):
                    raise ValueError("a line of the table is too long, or has no end")
                cells = line.rstrip("\n").split("\t")
                row = [columns[name](cells[position]) for position, name in kept]
                target.write(("\t".join("" if cell is OUT else cell for cell in row) + "\n").encode())
    except (OSError, EOFError, ValueError, IndexError, zlib.error):
        raise InputError("A table of blocks in the crate is damaged, so it cannot be published.") from None
    return buffer.getvalue()


def publish_manifest(content: bytes) -> bytes | None:
    """Write a manifest anew; None where a key has a name in it, which no digest would be right without.

    Raises
    ------
    InputError
        If it is damaged.
    """
    manifest = Manifest.from_bytes(content, "A manifest in the crate")
    return manifest.to_bytes() if all(_KEY.fullmatch(key) for key in manifest.objects) else None


def _key(key: str) -> str:
    """Keep the key of a chunk or of its metadata; what passes leave for each other lies in ``scratch``."""
    return key if not key or _KEY.fullmatch(key) else "scratch" if key.startswith("scratch/") else "object"
