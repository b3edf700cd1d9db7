"""Finding run records in what people have in their hands: a record, a reference, a crate.

Only JSON is read. What the records name, the stores above all, is never opened.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Final

from chunkwise.errors import InputError
from chunkwise.files import is_zip, open_file, open_zip, read_file
from chunkwise.provenance.attachments import UNREADABLE, check_crate, check_inside, holds_records, is_crate_folder
from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import RunRecord
from chunkwise.storage.json_text import parse_json

__all__ = ["read_records", "records_in", "records_in_crate"]

_LARGEST: Final = 64 * 2**20  # bytes; a record is of constant size, a few kilobytes
_RECORD_IN_CRATE = re.compile(r"records/[^/]+\.json")


def read_records(file: Path | str) -> list[RunRecord]:
    """Return the run records of a record file, a reference or a crate, in the order in which they lie there.

    Raises
    ------
    InputError
        If the file cannot be read, is none of these, or holds no record; of a crate, also if one of its files is not
        what its metadata say.
    """
    file = Path(file)
    try:
        contents: list[Json] | None
        if holds_records(file):
            check_crate(file)
        if is_crate_folder(file):
            contents = _from_folder(file)
        elif file.is_dir():
            raise InputError(f"{file} is a folder; give the reference or run record (JSON) that a command wrote.")
        elif is_zip(file):
            contents = _from_crate(file)
        elif file.stat().st_size > _LARGEST:
            raise InputError(f"{file} is too large to be a reference, a run record or a crate.")
        else:
            contents = _from_json(parse_json(read_file(file, largest=_LARGEST), finite=True))
    except FileNotFoundError:
        raise InputError(f"There is no file {file}; give the reference or run record that a command wrote.") from None
    except UNREADABLE as error:
        if isinstance(error, UnicodeDecodeError):
            raise _no_json(file) from None
        if isinstance(error, RecursionError):
            raise InputError(f"{file} is nested too deeply to be a reference or a run record.") from None
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except ValueError:
        raise _no_json(file) from None
    if contents is None:
        raise InputError(f"{file} is not a reference, run record or crate of chunkwise.")
    if not contents:
        raise InputError(f"{file} contains no run record: no run has been recorded in it.")
    try:
        return [RunRecord.from_dict(content) for content in contents]
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _no_json(file: Path) -> InputError:
    with open_file(file) as opened:
        if opened.read(2) == b"PK":
            return InputError(f"{file} is a zip file that is damaged or broken off; copy it again.")
    return InputError(f"{file} is not JSON; give a reference or a run record that a command wrote.")


def records_in(content: Json) -> list[RunRecord]:
    """Return the run records in JSON that may be anything: none where it is neither a record nor a reference.

    Raises
    ------
    InputError
        If it is one of these, and a record in it is broken.
    """
    return [RunRecord.from_dict(record) for record in _from_json(content) or []]


def records_in_crate(content: IO[bytes], name: str) -> list[RunRecord]:
    """Return the run records in a zip file that may be anything, from an archive: none where it is no crate of ours.

    Raises
    ------
    InputError
        If it is one, and a record in it is broken, or the records are absurdly large.
    """
    try:
        with zipfile.ZipFile(content) as archive:
            contents = _in_archive(archive, name)
    except (ValueError, RecursionError, *UNREADABLE):
        return []  # other tools may call anything a zip file
    return [record for one in contents for record in records_in(one)]


def _from_json(content: Json) -> list[Json] | None:
    if not isinstance(content, dict):
        return None
    if "chunkwise_record" in content:
        return [content]
    if "chunkwise_reference" in content:
        records = content.get("records", [])
        return records if isinstance(records, list) else None
    return None


def _from_folder(folder: Path) -> list[Json]:
    """Read the records of a crate that was unpacked."""
    files = [check_inside(file, folder) for file in sorted((folder / "records").glob("*.json"))]
    if sum(file.stat().st_size for file in files) > _LARGEST:
        raise InputError(f"The run records in {folder} are too large.")
    return [parse_json(read_file(file, largest=_LARGEST), finite=True) for file in files]


def _from_crate(file: Path) -> list[Json]:
    with open_zip(file) as archive:
        return _in_archive(archive, str(file))


def _in_archive(archive: zipfile.ZipFile, name: str) -> list[Json]:
    entries = [entry for entry in archive.infolist() if _RECORD_IN_CRATE.fullmatch(entry.filename)]
    if sum(entry.file_size for entry in entries) > _LARGEST:
        raise InputError(f"The run records in {name} are too large.")
    return [parse_json(archive.read(entry), finite=True) for entry in sorted(entries, key=lambda entry: entry.filename)]
