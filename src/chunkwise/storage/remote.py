"""Web and S3 servers: how they are reached, how long is waited for them, what their answers mean.

* Reading: an object that is not there (HTTP 404) is absent, as Zarr has it. Every other answer that is not the object
  is an error, never voxels: also 403, which some S3 servers give for an absent object where the keys may not list.
* Retries: an answer of 429 or 5xx, a lost connection and a silent server are tried again, :data:`TRIES` times in all.
* Redirects are not followed: they could lead out of what the site allows.
* Keys of S3 come from a file or from the environment, and are read by tensorstore where they are needed; no object of
  chunkwise holds them.
"""

from __future__ import annotations

import configparser
import os
import re
import stat
import threading
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from chunkwise.errors import ChunkwiseError, InputError, PolicyError, ResumableError
from chunkwise.files import open_file
from chunkwise.site import S3Access
from chunkwise.storage.location import Location

__all__ = ["SERVER_ERRORS", "TRIES", "context", "explain", "kvstore_spec", "words_of"]

#: How often a request is made in all before the server is given up.
TRIES = 6

#: How long is waited before the second try, and at most before a later one; each waits twice as long as the one before.
DELAYS = ("500ms", "8s")

#: Requests of one process under way at once: a worker owns one core, and waits for the server most of the time.
AT_ONCE = 8

#: What tensorstore raises when a server does not give what it was asked for.
SERVER_ERRORS = (ValueError, OSError, RuntimeError)

#: A server that accepts a connection, and one that sends nothing any more, is given up after so many seconds.
PATIENCE = {"TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS": "20", "TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS": "30"}

_STATUS = re.compile(r"HTTP code (\d{3})|http_response_code='(\d{3})'")
#: How tensorstore names the chunk that it could not read.
_CHUNK = re.compile(
    r'Error reading (?:"(?P<key>[^"]+)"|(?P<url>https?://\S+)): (?:All \d+ retry attempts failed: )?(?P<rest>.*)',
    re.DOTALL,
)
_GIVEN_UP = re.compile(r"^(?:ABORTED: )?All \d+ retry attempts failed: ")
_INTERNAL = re.compile(r" \[(?:tensorstore_spec|source locations|http_response|x-amzn|HTTP code|curl_code)")
_CODES = (
    "ABORTED",
    "DATA_LOSS",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "UNKNOWN",
)


def context() -> Any:
    """What all reading and writing of a process, or of one of its threads, shares: limits of tensorstore.

    One decoding thread: the unit of parallelism is the worker, or the thread that works on a block, which owns one
    core. Nothing is cached between reads.
    """
    return _context(threading.get_ident())


@lru_cache(maxsize=64)
def _context(_: int) -> Any:
    for name, seconds in PATIENCE.items():
        os.environ.setdefault(name, seconds)
    os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES", "1")
    import tensorstore as ts

    retries = {"max_retries": TRIES - 1, "initial_delay": DELAYS[0], "max_delay": DELAYS[1]}
    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},
            "data_copy_concurrency": {"limit": 1},
            "file_io_concurrency": {"limit": 4},
            "http_request_concurrency": {"limit": AT_ONCE},
            "http_request_retries": retries,
            "s3_request_concurrency": {"limit": AT_ONCE},
            "s3_request_retries": retries,
        }
    )


def kvstore_spec(location: Location) -> dict[str, Any]:
    """Describe a location as a tensorstore key-value store.

    Raises
    ------
    InputError
        If the site says that there are keys for it, and there are none.
    """
    if not location.is_url:
        return {"driver": "file", "path": location.address.rstrip("/") + "/"}
    parts = urlsplit(location.address)
    if parts.scheme != "s3":
        return {"driver": "http", "base_url": location.address.rstrip("/") + "/"}
    path, access = unquote(parts.path).strip("/"), location.s3
    if access is None:
        raise AssertionError(f"{location.address} did not come from a root of the site")
    spec: dict[str, Any] = {
        "driver": "s3",
        "bucket": parts.netloc,
        "path": f"{path}/" if path else "",
        "aws_region": access.region,
        "aws_credentials": _credentials(access),
    }
    if access.endpoint is not None:
        spec["endpoint"] = access.endpoint
    return spec


def _credentials(access: S3Access) -> dict[str, str]:
    if access.credentials == "environment":
        missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)]
        if missing:
            raise InputError(
                f"The site takes the keys for this S3 root from the environment, and {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not set in it; ask your administrator."
            )
        return {"type": "environment"}
    if access.credentials == "file":
        file = access.file or ""
        _check_keys(file, access.profile)
        # Without a name for the second file, in which there are no keys, tensorstore looks for it at home.
        return {"type": "profile", "profile": access.profile, "credentials_file": file, "config_file": os.devnull}
    return {"type": "anonymous"}


@lru_cache(maxsize=16)
def _check_keys(file: str, profile: str) -> None:
    """Refuse a file of keys that others may read, or that lacks the profile, without telling what is in it."""
    try:
        with open_file(file, largest=2**20) as content:
            mode = os.fstat(content.fileno()).st_mode
            keys = configparser.ConfigParser(interpolation=None, default_section="")
            keys.read_string(content.read().decode())
            there = keys.has_option(profile, "aws_access_key_id") and keys.has_option(profile, "aws_secret_access_key")
    except OSError as error:
        answer = os.strerror(error.errno or 0)
        raise InputError(f"The file of S3 keys {file} cannot be read: {answer}; ask your administrator.") from None
    except (ValueError, configparser.Error):
        raise InputError(f"The file of S3 keys {file} is damaged; ask your administrator.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"The file of S3 keys {file} can be read by others; its mode has to be 0600.")
    if not there:
        raise InputError(f"The file of S3 keys {file} has no keys for the profile '{profile}'; ask your administrator.")


def words_of(error: Exception) -> str:
    """Keep the library's own words, which name the chunk, without its internal state and the server's page."""
    words = _GIVEN_UP.sub("", _INTERNAL.split(str(error))[0])
    for code in _CODES:
        words = words.removeprefix(f"{code}: ")
    return words.rstrip(".").replace("\n", " ")


def explain(location: Location, error: Exception, action: str = "read") -> ChunkwiseError:
    """Say in one sentence why a server did not do what it was asked for.

    Parameters
    ----------
    location : Location
        The place, or the one above it.
    error : Exception
        As tensorstore raised it.
    action : {"read", "written"}
        What was tried.

    Returns
    -------
    ChunkwiseError
        :class:`ResumableError` where the same may go well later: a server that does not answer, and all that keeps
        a run from writing.
    """
    text, answer = str(error), words_of(error)
    found, chunk = _STATUS.search(text), _CHUNK.match(answer)
    status = int(found[1] or found[2]) if found else 0
    address = location.address
    if chunk is not None:
        address = chunk["url"] or f"s3://{urlsplit(address).netloc}/{quote(chunk['key'])}"
        answer = chunk["rest"]
    begin = f"{address} cannot be {action}"
    later: type[ChunkwiseError] = InputError if action == "read" else ResumableError
    if 300 <= status < 400:
        return PolicyError(
            f"{begin}: the server redirects to another address (HTTP {status}), and redirects are not followed; ask "
            "your administrator to put that address into the site file."
        )
    if "retry attempts failed" in text:
        # The words for a status are the server's; some have none.
        what = f"it answers HTTP {status}" if status else answer
        return ResumableError(
            f"{begin}: its server was asked {TRIES} times and did not deliver it ({what}); run the same command "
            "again when the server works."
        )
    if status in (401, 403):
        return later(f"{begin}: the server refuses it (HTTP {status}{_code(answer)}); {_advice(location, action)}.")
    if status == 404:
        bucket = urlsplit(address).netloc
        return later(
            f"{begin}: there is no bucket '{bucket}' at its server; correct the name, or have the bucket made."
        )
    if status:
        return later(f"{begin}: the server answers HTTP {status}{_code(answer)}; ask whoever runs it.")
    return later(f"{begin}: {answer}.")


def _code(answer: str) -> str:
    """S3's own word for what is wrong, such as ``AccessDenied``."""
    word = answer.partition(":")[0]
    return f", {word}" if re.fullmatch(r"[A-Z][A-Za-z0-9]+", word) and word not in ("Unknown", "Forbidden") else ""


def _advice(location: Location, action: str) -> str:
    if location.s3 is None:
        return "ask for the right to read it"
    if action == "read":
        return (
            f"the keys of the root '{location.root}' have to be correct and allow reading and listing: without "
            "listing, even an object that is not there is refused"
        )
    return f"the keys of the root '{location.root}' have to be correct and allow writing"
