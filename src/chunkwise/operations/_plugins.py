"""Operations of other packages: found by entry points, and loaded when one is named; on a site only those it lists."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

from chunkwise.errors import InputError, PolicyError
from chunkwise.operations.model import Operation
from chunkwise.site import load_site

__all__ = ["GROUP", "load_plugin"]

#: Of entry points: ``family.method = "module:OPERATION"``.
GROUP = "chunkwise.operations"


def load_plugin(family: str, method: str) -> Operation | None:
    """Load an operation of another package; None where no package brings it.

    Raises
    ------
    InputError
        If it cannot be loaded, or is something else.
    PolicyError
        If the site does not list it as it is.
    """
    name = f"{family}.{method}"
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        return None
    packages = sorted(f"{entry.dist.name}=={entry.dist.version}" for entry in found if entry.dist)
    if len(found) > 1:
        raise InputError(f"Several packages provide the operation '{name}': {', '.join(packages)}; keep one of them.")
    entry, what = found[0], f"The operation '{name}' of {packages[0]}"
    origin = f"{packages[0]} sha256={hashlib.sha256(_file_of(entry.module, what).read_bytes()).hexdigest()}"
    site = load_site()
    if site is not None and origin not in site.plugins:
        changed = any(listed.startswith(f"{packages[0]} ") for listed in site.plugins)
        raise PolicyError(
            f"{what} is {'not the one that' if changed else 'not among those that'} the site file {site.file} lists; "
            f'an administrator who trusts it as it is now puts "{origin}" into operations of [plugins].'
        )
    try:
        operation = entry.load()
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(operation, Operation) or (operation.family, operation.name) != (family, method):
        raise InputError(f"{what} is not declared as an operation of that family and name.")
    if operation.kernel is None or operation.chain:
        raise InputError(f"{what} has to be declared with a kernel.")
    return replace(operation, origin=origin)


def _file_of(module: str, what: str) -> Path:
    """Find the file of a module without running anything of its package."""
    parts, path = module.split("."), None
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        spec = next(filter(None, (finder.find_spec(name, path) for finder in sys.meta_path)), None)
        if spec is None:
            raise InputError(f"{what} cannot be loaded: there is no module {name}.")
        path = spec.submodule_search_locations
    if spec is None or not spec.has_location or spec.origin is None:
        raise InputError(f"{what} cannot be loaded: the module {module} has no file.")
    return Path(spec.origin)
