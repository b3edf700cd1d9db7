"""Validation of RO-Crates against the run profiles, without a network.

The rules are those of ``rocrate-validator``. It asks for JSON-LD contexts over the web, through one session; that is
replaced here by one that answers from :mod:`chunkwise.provenance.contexts` and knows no web.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.files import UNREADABLE_ZIP, open_zip, read_file
from chunkwise.provenance.contexts import contexts

__all__ = ["LEVELS", "PROFILES", "Issue", "profile_of", "read_metadata", "validate_crate"]

METADATA_FILE: Final = "ro-crate-metadata.json"
LEVELS: Final = ("required", "recommended", "optional")

#: Beginning of what a crate says it conforms to, and the profile's name; the most special one first.
PROFILES: Final = {
    "https://w3id.org/ro/wfrun/provenance/": "provenance-run-crate",
    "https://w3id.org/ro/wfrun/workflow/": "workflow-run-crate",
    "https://w3id.org/ro/wfrun/process/": "process-run-crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/": "workflow-ro-crate",
    "https://w3id.org/ro/crate/1.3": "ro-crate-1.3",
    "https://w3id.org/ro/crate/1.1": "ro-crate-1.1",
}
#: Fires on a workflow that lies in the crate itself, which the profile allows.
_SKIPPED: Final = {"provenance-run-crate": ["process-run-crate-0.5_5.1"]}

_LARGEST = 4 * 2**30  # bytes after unpacking; a crate of words is far below, a zip bomb far above
_LARGEST_METADATA = 256 * 2**20
_REPR = re.compile(r"""^\(["'](.*)["'], <.*>\)$""", re.DOTALL)  # the validator prints an exception's innards


@dataclass(frozen=True)
class Issue:
    """One rule that a crate breaks."""

    level: str
    """``required``, ``recommended`` or ``optional``."""
    check: str
    """Identifier of the rule, such as ``process-run-crate-0.5_3.1``."""
    entity: str | None
    """Identifier of the entity within the crate, where the rule speaks of one."""
    message: str

    def __str__(self) -> str:
        where = f" {self.entity}:" if self.entity else ""
        return f"{self.level}: {self.check}:{where} {' '.join(self.message.split())}"


def validate_crate(crate: Path | str, *, profile: str | None = None, level: str = "recommended") -> list[Issue]:
    """Validate a crate and return what is wrong with it, the gravest first.

    Parameters
    ----------
    crate : path
        A zip file, whatever its name ends in, or a folder.
    profile : str, optional
        A value of :data:`PROFILES`; by default what the crate says it conforms to.
    level : str
        ``required``, ``recommended`` or ``optional``; includes the levels before it.

    Raises
    ------
    InputError
        If there is no crate to be read, or the profile or level is unknown.
    """
    if level not in LEVELS:
        raise InputError(f"There is no level '{level}'; choose one of {', '.join(LEVELS)}.")
    if profile is not None and profile not in PROFILES.values():
        raise InputError(f"There is no profile '{profile}'; choose one of {', '.join(PROFILES.values())}.")
    crate = Path(crate)
    named = profile_of(crate)
    profile = profile or named
    with tempfile.TemporaryDirectory(prefix="chunkwise-crate-") as scratch:
        folder = crate
        if not crate.is_dir():
            folder = Path(scratch) / "crate"
            _unpack(crate, folder)
        return _run_validator(folder, profile, level, Path(scratch) / "cache")


def profile_of(crate: Path | str) -> str:
    """Return the most special profile that a crate says it conforms to.

    Raises
    ------
    InputError
        If there is no crate to be read.
    """
    crate = Path(crate)
    try:
        metadata = json.loads(read_metadata(crate))
    except (ValueError, RecursionError):
        raise InputError(f"The {METADATA_FILE} of {crate} is not JSON.") from None
    graph = metadata.get("@graph") if isinstance(metadata, dict) else None
    if not isinstance(graph, list) or not all(isinstance(entity, dict) for entity in graph):
        raise InputError(f"The {METADATA_FILE} of {crate} is not that of an RO-Crate: it has no '@graph' of entities.")
    return _choose_profile(graph)


def _choose_profile(graph: list[dict[str, Any]]) -> str:
    named: list[str] = []
    for entity in graph:
        if entity.get("@id") in ("./", METADATA_FILE):
            links = entity.get("conformsTo", [])
            for link in links if isinstance(links, list) else [links]:
                named.append(str(link.get("@id")) if isinstance(link, dict) else str(link))
    for beginning, profile in PROFILES.items():
        if any(name.startswith(beginning) for name in named):
            return profile
    return "ro-crate-1.1"


def read_metadata(crate: Path) -> bytes:
    """Return the metadata file of a crate, a zip file or a folder.

    Raises
    ------
    InputError
        If there is no crate to be read.
    """
    if not crate.exists():
        raise InputError(f"There is no file or folder {crate}; give a crate as a zip file or a folder.")
    try:
        if crate.is_dir():
            size = (crate / METADATA_FILE).stat().st_size
            if size <= _LARGEST_METADATA:
                return read_file(crate / METADATA_FILE, largest=_LARGEST_METADATA)
        else:
            with open_zip(crate) as archive:
                size = archive.getinfo(METADATA_FILE).file_size
                if size <= _LARGEST_METADATA:
                    return archive.read(METADATA_FILE)
    except (KeyError, FileNotFoundError):
        raise InputError(f"{crate} is not an RO-Crate: it has no {METADATA_FILE} at its top.") from None
    except UNREADABLE_ZIP:
        raise InputError(f"{crate} is not a zip file that can be read; give a crate as a zip or a folder.") from None
    except OSError as error:
        raise InputError(f"{crate} cannot be read: {error.strerror or error}.") from None
    raise InputError(f"The {METADATA_FILE} of {crate} is larger than {_LARGEST_METADATA // 2**20} MiB.")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip; zipfile cuts names that lead out of the folder, and makes no links."""
    try:
        with open_zip(archive) as content:
            if sum(entry.file_size for entry in content.infolist()) > _LARGEST:
                raise InputError(f"{archive} unpacks to more than {_LARGEST // 2**30} GiB; unpack it, give the folder.")
            content.extractall(folder)
    except UNREADABLE_ZIP:
        raise InputError(f"{archive} is not a zip file that can be read; give a crate as a zip or a folder.") from None
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked: {error.strerror or error}.") from None


def _run_validator(folder: Path, profile: str, level: str, cache: Path) -> list[Issue]:
    with _quietly():
        from rocrate_validator import services
        from rocrate_validator.models import Severity
        from rocrate_validator.utils.http import HttpRequester, find_offline_cache_miss

        settings = services.ValidationSettings(
            rocrate_uri=str(folder.resolve()),
            profile_identifier=profile,
            requirement_severity=Severity[level.upper()],
            skip_checks=_SKIPPED.get(profile, []),
            offline=True,
            cache_path=cache,  # else the one in the user's home would be opened
        )
        HttpRequester().session.close()
        HttpRequester().session = _Installed()
        try:
            found = services.validate(settings).get_issues(min_severity=Severity[level.upper()])
        except Exception as error:  # it has no bound on what it raises for a crate that is far from one
            missing = find_offline_cache_miss(error)
            if missing is not None:
                reason = f"it uses the terms of {missing.url}, which chunkwise does not have and does not download"
            else:
                reason = f"the validator gave up: {type(error).__name__}: {error}"
            raise InputError(f"The crate cannot be validated: {reason}.") from error
        finally:
            HttpRequester.reset()
    here = folder.resolve().as_uri() + "/"
    issues = {
        Issue(
            level=str(issue.severity.name).lower(),
            check=str(issue.identifier),
            entity=_short(issue.violatingEntity, here),
            message=_REPR.sub(r"\1", str(issue.message)),
        )
        for issue in found
    }
    return sorted(issues, key=lambda issue: (LEVELS.index(issue.level), issue.check, issue.entity or "", issue.message))


def _short(entity: str | None, here: str) -> str | None:
    """Name an entity as the crate does, not by the folder it was unpacked to."""
    if entity is None:
        return None
    return entity.removeprefix(here) or "./"


class _Installed:
    """What the validator takes for a session of ``requests``: it answers from what is installed, or says 504."""

    def __init__(self) -> None:
        self._documents = contexts()

    def get(self, url: str, **_: Any) -> Any:
        return self._answer(url, self._documents.get(url))

    def head(self, url: str, **_: Any) -> Any:
        return self._answer(url, None)

    def close(self) -> None:
        pass

    @staticmethod
    def _answer(url: str, document: bytes | None) -> Any:
        import requests

        answer = requests.Response()
        answer.url, answer.status_code = url, 504 if document is None else 200
        answer.headers["Content-Type"] = "application/ld+json"
        answer.raw = io.BytesIO(document or b"")
        return answer


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the validator's log, progress and warnings off the terminal; what it finds is returned."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
