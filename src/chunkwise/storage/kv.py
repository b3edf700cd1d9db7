"""Small objects of a store by key, and all objects of one on S3: read, put, claimed, listed, removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chunkwise.files import check_absent, check_size, read_file, unreadable
from chunkwise.storage.foreign import foreign_store, key_below
from chunkwise.storage.location import Location
from chunkwise.storage.remote import SERVER_ERRORS, context, explain, kvstore_spec
from chunkwise.storage.zipped import archive_of, key_in

__all__ = ["claim_key", "contents_of", "list_keys", "put_key", "read_key", "remove_keys", "tags_of"]

#: Requests of a process that are made together; tensorstore limits how many of them are under way.
TOGETHER = 64


def read_key(location: Location, key: str) -> bytes | None:
    """Read one object below a location; None where there is no such object.

    Raises
    ------
    InputError
        If the object exists and cannot be read, or is larger than the site lets one be.
    PolicyError
        If the key leads out of what the policy allows, or the server sends us elsewhere.
    ResumableError
        If the server does not answer.
    """
    place = location.child(key)
    if location.foreign is not None:
        return foreign_store(location).documents.get(key_below(place))
    if location.archive is not None:
        return archive_of(location).read(key_in(place), largest=location.largest)
    if location.is_url:
        result = _ask(place, "read", lambda: _open(location).read(key).result())
        if result.state != "value":
            return None
        check_size(place.address, len(result.value), location.largest, "document", "document")
        return bytes(result.value)
    path = os.path.join(location.address, key)
    try:
        return read_file(path, location.allows, largest=location.largest, what="document", key="document")
    except FileNotFoundError:
        check_absent(path, location.address, "document")
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise unreadable(path, error, "document") from None


def put_key(location: Location, key: str, content: bytes) -> str:
    """Put one object below an S3 location, whole or not at all; returns the server's tag of it.

    Raises
    ------
    ResumableError
        If the server does not take it.
    """
    return _tag(_ask(location.child(key), "written", lambda: _open(location).write(key, content).result()))


def claim_key(location: Location, key: str, content: bytes) -> bytes:
    """Put an object where there is none, and return what is there afterwards: ours, or what another was faster with.

    Raises
    ------
    ResumableError
        If the server does not answer, or does not take it.
    """

    def claim() -> bytes:
        store = _open(location)
        found = store.read(key).result()
        if found.state != "value":
            # Written only where there still is nothing, which the server decides.
            store.write(key, content, if_equal=found.stamp.generation).result()
            found = store.read(key).result()
        return bytes(found.value)

    return bytes(_ask(location.child(key), "written", claim))


def list_keys(location: Location, only: str | None = None) -> list[str]:
    """List the objects below an S3 location, sorted; all of them, or the one of a name, if it is there.

    Unlike reading, listing tells a bucket that is not there from an object that is not there.

    Raises
    ------
    InputError
        If it may not be listed.
    ResumableError
        If the server does not answer.
    """
    wanted = _one_key(only) if only is not None else None
    keys = _ask(location, "read", lambda: _open(location).list(wanted).result())
    return sorted(key.decode("utf-8", "surrogateescape") for key in keys)


def tags_of(location: Location, keys: Iterable[str]) -> Iterator[str | None]:
    """Ask for the server's tags of objects, without their bytes; None for one that is not there.

    In a zip file, what its directory says of the bytes of an entry stands for a tag.
    """
    if location.archive is not None:
        archive = archive_of(location)
        yield from (archive.tag(key_in(location, key)) for key in keys)
        return
    for found in _ask_each(location, keys, "read", lambda store, key: store.read(key, byte_range=slice(0, 0))):
        yield _tag(found.stamp) if found.state == "value" else None


def contents_of(location: Location, keys: Iterable[str]) -> Iterator[bytes | None]:
    """Read objects, a few at a time; None for one that is not there."""
    for found in _ask_each(location, keys, "read", lambda store, key: store.read(key), together=4):
        yield bytes(found.value) if found.state == "value" else None


def remove_keys(location: Location, keys: Iterable[str]) -> None:
    """Remove objects below an S3 location; one that is gone already is no error.

    Raises
    ------
    ResumableError
        If the server does not do it.
    """
    for _ in _ask_each(location, keys, "written", lambda store, key: store.write(key, None)):
        pass


def _open(location: Location) -> Any:
    spec, shared = kvstore_spec(location), context()
    import tensorstore as ts

    return ts.KvStore.open(spec, context=shared).result()


def _ask(place: Location, action: str, request: Callable[[], Any]) -> Any:
    try:
        return request()
    except SERVER_ERRORS as error:
        raise explain(place, error, action) from None


def _ask_each(
    location: Location, keys: Iterable[str], action: str, request: Callable[[Any, str], Any], together: int = TOGETHER
) -> Iterator[Any]:
    """Make a request for every key, several under way at once; results in the order of the keys."""
    store = _ask(location, action, lambda: _open(location))
    left = list(keys)
    for start in range(0, len(left), together):
        futures = [(key, request(store, key)) for key in left[start : start + together]]
        for key, future in futures:
            yield _ask(location.child(key), action, future.result)


def _one_key(key: str) -> Any:
    import tensorstore as ts

    return ts.KvStore.KeyRange(key, f"{key}\0")


def _tag(stamp: Any) -> str:
    return bytes(stamp.generation).decode("latin-1").lstrip("\0")
