"""Zarr's own metadata documents, v2 and v3: what is a group, what is an array, and how it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location

__all__ = ["ArrayInfo", "Node", "read_node"]

#: An exabyte of single bytes; beyond, numbers of voxels and blocks would no longer fit what counts them.
MOST_VOXELS = 10**18


@dataclass(frozen=True)
class ArrayInfo:
    """How an array is stored."""

    shape: tuple[int, ...]
    dtype: str
    """NumPy's name without byte order; unknown types keep the text of the metadata."""
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    codecs: tuple[str, ...]
    dimension_names: tuple[str | None, ...] | None = None


@dataclass(frozen=True)
class Node:
    """A group (``array`` is None) or an array of a Zarr hierarchy."""

    location: Location
    zarr_format: int
    attributes: dict[str, Any]
    array: ArrayInfo | None = None


def read_node(location: Location) -> Node | None:
    """Read what is at a location; None where there is no Zarr group or array.

    Raises
    ------
    InputError
        If a metadata document is damaged, or uses what chunkwise cannot read.
    """
    content = _read_json(location, "zarr.json")
    if content is not None:
        return _node_v3(location, content)
    array = _read_json(location, ".zarray")
    if array is None and read_key(location, ".zgroup") is None:
        return None
    attributes = _read_json(location, ".zattrs") or {}
    return Node(location, 2, attributes, None if array is None else _array_v2(location, array))


def _read_json(location: Location, name: str) -> dict[str, Any] | None:
    content = read_key(location, name)
    if content is None:
        return None
    try:
        parsed = parse_json(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The metadata {location.address}/{name} are damaged: {error}.") from None
    if not isinstance(parsed, dict):
        raise InputError(f"The metadata {location.address}/{name} are damaged: they are not a JSON object.")
    return parsed


def _sizes(value: Any, least: int, what: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        raise ValueError(f"{what} is not a list of whole numbers")
    if any(size < least for size in value):
        raise ValueError(f"{what} has a number below {least}")
    return tuple(value)


def _shape(value: Any) -> tuple[int, ...]:
    shape = _sizes(value, 0, "shape")
    if prod(shape) > MOST_VOXELS:
        raise ValueError("shape has more voxels than any image can have")
    return shape


def _array_v2(location: Location, content: dict[str, Any]) -> ArrayInfo:
    try:
        shape, chunks = (_shape(content["shape"]), _sizes(content["chunks"], 1, "chunks"))
        compressor, filters = content.get("compressor"), content.get("filters") or []
        if not isinstance(filters, list):
            raise TypeError("filters is not a list")
        codecs = [str(_object(entry, "a filter")["id"]) for entry in filters]
        if compressor:
            inner = _object(compressor, "compressor").get("cname")
            codecs.append(f"{compressor['id']} ({inner})" if inner else str(compressor["id"]))
        if len(shape) != len(chunks):
            raise ValueError("shape and chunks differ in length")
        return ArrayInfo(shape, _dtype_v2(content["dtype"]), chunks, None, tuple(codecs))
    except KeyError as error:
        raise InputError(f"The metadata {location.address}/.zarray are damaged: {error} is missing.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The metadata {location.address}/.zarray are damaged: {error}.") from None


def _dtype_v2(value: Any) -> str:
    """Give NumPy's name; a structured type is named by its fields."""
    if isinstance(value, list):
        return "structured (" + ", ".join(str(field[0]) for field in value) + ")"
    if not isinstance(value, str):
        raise TypeError("dtype is neither text nor a list of fields")
    try:
        return np.dtype(value).name
    except TypeError:
        return value


def _node_v3(location: Location, content: dict[str, Any]) -> Node:
    attributes = content.get("attributes", {})
    try:
        if content.get("zarr_format") != 3:
            raise ValueError("zarr_format is not 3")
        if not isinstance(attributes, dict):
            raise TypeError("attributes is not an object")
        if content.get("node_type") == "group":
            return Node(location, 3, attributes)
        if content.get("node_type") != "array":
            raise ValueError("node_type is neither group nor array")
        return Node(location, 3, attributes, _array_v3(content))
    except KeyError as error:
        raise InputError(f"The metadata {location.address}/zarr.json are damaged: {error} is missing.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"The metadata {location.address}/zarr.json are damaged: {error}.") from None


def _array_v3(content: dict[str, Any]) -> ArrayInfo:
    shape = _shape(content["shape"])
    kind, grid = _named(content["chunk_grid"], "chunk_grid")
    if kind != "regular":
        raise ValueError(f"the chunk grid '{kind}' is unknown to chunkwise")
    chunks, shards = (_sizes(grid["chunk_shape"], 1, "chunk_shape"), None)
    codecs = _codecs(content["codecs"])
    for name, configuration in codecs:
        if name == "sharding_indexed":
            shards, chunks = (chunks, _sizes(configuration["chunk_shape"], 1, "chunk_shape"))
            codecs = _codecs(configuration["codecs"])
            break
    # Some writers leave these out unless told; no library reads such an array.
    if not codecs:
        raise ValueError("codecs is empty, so nothing says how voxels are stored")
    if content["fill_value"] is None:
        raise ValueError("fill_value is null, so nothing says what the voxels of a missing chunk are")
    if len(shape) != len(chunks) or (shards is not None and len(shards) != len(chunks)):
        raise ValueError("shape and chunk_shape differ in length")
    names = content.get("dimension_names")
    if names is not None and (not isinstance(names, list) or len(names) != len(shape)):
        raise ValueError("dimension_names and shape differ in length")
    kind, _ = _named(content["data_type"], "data_type")
    return ArrayInfo(
        shape, kind, chunks, shards, tuple(name for name, _ in codecs), None if names is None else tuple(names)
    )


def _codecs(value: Any) -> list[tuple[str, dict[str, Any]]]:
    if not isinstance(value, list):
        raise TypeError("codecs is not a list")
    return [_named(entry, "a codec") for entry in value]


def _named(entry: Any, what: str) -> tuple[str, dict[str, Any]]:
    """Read a name with or without a configuration, as v3 writes codecs, data types and grids."""
    if isinstance(entry, str):
        return entry, {}
    name = _object(entry, what)["name"]
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} is not text")
    return name, _object(entry.get("configuration") or {}, f"the configuration of {what}")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{what} is not a JSON object")
    return value
