"""The library of approved models: packages in a folder, and beside each a JSON that says what was found out.

``ID/`` is the package as it was added, unpacked; ``ID.chunkwise.json`` is the approval: the sha256 of its
files, what its own test gave, and how far its network looks. Packages that come with chunkwise are found
without any library.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import UNREADABLE_ZIP, open_zip, read_file
from chunkwise.models.files import DESCRIPTIONS, check_files, check_unpacked
from chunkwise.models.network import Reach, UnknownOperatorError, analyse
from chunkwise.models.package import CODE_FORMATS, Package, digest_of, load_description, read_package, read_weights
from chunkwise.models.probe import probe
from chunkwise.models.session import Session, choose_format, find_device
from chunkwise.site.keys import MODEL
from chunkwise.site.model import Site
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.outputs import write_atomically
from chunkwise.storage.writer import json_bytes

__all__ = ["Approved", "add_package", "approved_models", "find_model", "library_of", "remove_package", "test_package"]

MARK = "chunkwise_model"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SUFFIX = ".chunkwise.json"


@dataclass(frozen=True)
class Approved:
    """A model that may be run, and what is known of it."""

    id: str
    path: str
    sha256: str
    reach: Reach
    how: str
    """``graph`` or ``probes``."""
    about: dict[str, Any]
    """Name, version, licence, DOI, citations and formats, for people and for records."""
    tested: dict[str, Any]
    """What the package's own test gave; empty where it was not run."""
    objects: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The content of the JSON beside the package."""
        return {
            MARK: 1,
            "id": self.id,
            "sha256": self.sha256,
            "reach": {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.reach).items()},
            "how": self.how,
            "about": self.about,
            "tested": self.tested,
            "objects": self.objects,
        }


def library_of(site: Site | None) -> str | None:
    """The site's folder of approved packages."""
    return site.models.library if site is not None else None


def find_model(name: str, site: Site | None) -> Approved:
    """Find a model that may be run.

    Parameters
    ----------
    name : str
        Its id; in a person's own shell, where there is no site file, also the path of a package.
    site : Site or None
        The administrator's file.

    Raises
    ------
    InputError
        If there is none of that name, or it cannot be read.
    PolicyError
        If it is not approved, or its files are not those that were.
    """
    library = library_of(site)
    for folder, ours in ((library, False), (_shipped(), True)):
        if folder is None or not _ID.fullmatch(name):
            continue
        path = _package_path(folder, name)
        if path is not None:
            return _read(folder, name, path, ours)
    if site is None and os.path.exists(name):
        check_files(name, MODEL)
        return examine(name, os.path.basename(os.path.abspath(name)), {})
    known = ", ".join(entry.id for entry in approved_models(site)) or "none"
    if os.path.exists(name):
        raise PolicyError(f"This site runs only approved models ({known}), given by name and not by path.")
    raise InputError(f"There is no model '{name}'; the known models are: {known}.")


def approved_models(site: Site | None, library: str | None = None) -> list[Approved]:
    """All models that may be run, by id; those that are damaged are left out."""
    found: dict[str, Approved] = {}
    for folder, ours in ((_shipped(), True), (library or library_of(site), False)):
        if folder is None or not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            path = _package_path(folder, name)
            if path is None:
                continue
            try:
                found[name] = _read(folder, name, path, ours)
            except (InputError, PolicyError):
                continue
    return [found[name] for name in sorted(found)]


def examine(path: str, name: str, tested: dict[str, Any], code_allowed: bool = False) -> Approved:
    """Find out stride and reach of a package's network, by its graph or, where that cannot be read, by probes.

    Raises
    ------
    InputError
        If the package is not valid, or no backend for it is there.
    PolicyError
        If it needs code that is not trusted.
    """
    package = read_package(path)
    reach, how = None, "graph"
    if "onnx" in package.formats:
        try:
            reach = _from_graph(package)
        except UnknownOperatorError:
            reach = None
    if reach is None:
        how = "probes"
        weights = choose_format(package, code_allowed)
        reach = probe(package, Session(package, weights, 1, find_device(weights)).forward)
    about = {
        "name": package.name,
        "description": package.description,
        "version": package.version,
        "license": package.license,
        "doi": package.doi,
        "cite": list(package.cite),
        "formats": list(package.formats),
        "format_version": package.format_version,
        "inputs": {tensor.id: list(tensor.channels) for tensor in package.inputs},
        "outputs": {tensor.id: list(tensor.channels) for tensor in package.outputs},
        "axes": package.spatial,
        "voxel": {axis: list(size) for axis, size in (package.inputs[0].scale or {}).items()},
    }
    return Approved(name, package.path, package.sha256, reach, how, about, tested, package.objects)


def add_package(source: str, name: str | None, library: str, code_allowed: bool, largest: int = MODEL) -> Approved:
    """Approve a package: validate it, run its own test, find out how far it looks, and copy it into the library.

    Raises
    ------
    InputError
        If it fails in any of these, or its name is taken.
    PolicyError
        If it needs code, or files of the web.
    """
    name = name or os.path.basename(source.rstrip("/")).removesuffix(".zip")
    if not _ID.fullmatch(name):
        raise InputError(f"'{name}' is not a model's id: use letters, digits, dots, dashes and underscores; give --id.")
    if not os.path.isdir(library):
        raise InputError(f"The library {library} is not a folder; make it first.")
    if _package_path(library, name) is not None:
        raise InputError(f"The library {library} already has a model '{name}'; remove it first, or give another --id.")
    target, growing = os.path.join(library, name), os.path.join(library, f".{name}.partial")
    shutil.rmtree(growing, ignore_errors=True)  # of somebody who was interrupted
    try:
        _copy(source, growing, largest)
        found = examine(growing, name, test_package(growing, code_allowed), code_allowed)
        approved = replace(found, path=target)
        record = os.path.join(library, name + SUFFIX)
        if os.path.exists(record):
            os.unlink(record)  # of a package that somebody took away by hand
        os.rename(growing, target)
        write_atomically(record, json_bytes(approved.document()))
    except (InputError, PolicyError) as error:
        raise type(error)(str(error).replace(growing, source)) from None  # people know it by that name
    except OSError as error:
        raise InputError(f"The package cannot be copied into {library}: {os.strerror(error.errno or 0)}.") from None
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return approved


def _copy(source: str, folder: str, largest: int) -> None:
    """Copy a package, or unpack it: in the library every package is a folder."""
    if os.path.isdir(source):
        check_files(source, largest)
        shutil.copytree(source, folder)
        return
    try:
        with open_zip(source) as archive:
            check_unpacked(archive, source, largest)
            archive.extractall(folder)  # names that lead out of the folder are led back into it
    except (*UNREADABLE_ZIP, FileNotFoundError):
        raise InputError(f"{source} is neither a folder nor a zip file with a bioimage.io package.") from None


def remove_package(name: str, library: str) -> None:
    """Take a package out of the library.

    Raises
    ------
    InputError
        If it is not there.
    """
    path = _package_path(library, name) if _ID.fullmatch(name) else None
    if path is None:
        raise InputError(f"The library {library} has no model '{name}'.")
    record = os.path.join(library, name + SUFFIX)
    if os.path.exists(record):
        os.unlink(record)  # first: without it the package is not approved
    shutil.rmtree(path)


def test_package(path: str, code_allowed: bool) -> dict[str, Any]:
    """Run a package's own test tensors by bioimageio.core, in each format whose backend is there.

    Raises
    ------
    InputError
        If a result differs from the one that the package has, or nothing can be run.
    """
    import importlib.util
    import warnings

    package = read_package(path)
    first = choose_format(package, code_allowed)
    formats = [
        name
        for name in package.formats
        if name == first
        or (name == "torchscript" and importlib.util.find_spec("torch") is not None)
        or (name in CODE_FORMATS and code_allowed and importlib.util.find_spec("torch") is not None)
    ]
    description = load_description(path)
    for name in formats:
        read_weights(getattr(description.weights, name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bioimageio.core import test_model

        for name in formats:
            try:
                summary = test_model(path, weight_format=name)  # type: ignore[arg-type]
            except Exception as error:  # backends raise many kinds
                raise InputError(f"The test of {package.name} ({name}) did not run: {str(error)[:300]}.") from None
            if summary.status != "passed":
                errors = [f"{entry.name}: {e.msg}" for entry in summary.details for e in entry.errors]
                reason = " ".join((errors or ["no reason given"])[0].split())[:300].rstrip(".")
                raise InputError(f"The model {package.name} fails its own test ({name}): {reason}.")
    return {"status": "passed", "formats": formats, "bioimageio.core": metadata.version("bioimageio.core")}


def _from_graph(package: Package) -> Reach:
    import onnx

    weights = load_description(package.path).weights.onnx
    content = read_weights(weights)
    try:
        if getattr(weights, "external_data", None) is not None:
            model = onnx.load(str(weights.source.absolute()))
        else:
            model = onnx.load_from_string(content)
    except Exception as error:  # of protobuf, of the onnx package, of the file system
        raise InputError(
            f"The ONNX weights of {package.name} cannot be read: {' '.join(str(error).split())}."
        ) from None
    constants = {entry.name for entry in model.graph.initializer}
    inputs = [entry.name for entry in model.graph.input if entry.name not in constants]
    sizes = {}
    for name, tensor in zip(inputs, package.inputs, strict=False):
        if not tensor.axes.endswith(tensor.spatial):
            raise UnknownOperatorError("channels come last")
        wanted = 256 if len(tensor.spatial) == 2 else 64
        sizes[name] = [
            1 if axis == "b" else max(1, len(tensor.channels)) if axis == "c" else _near(tensor.sizes[axis], wanted)
            for axis in tensor.axes
        ]
    return analyse(model, len(package.spatial), sizes)


def _near(size: Any, wanted: int) -> int:
    return int(
        size.least if size.step == 0 else size.least + max(0, -(-(wanted - size.least) // size.step)) * size.step
    )


def _read(folder: str, name: str, path: str, ours: bool) -> Approved:
    """An entry with its approval; one of ours is approved by being there."""
    try:
        content = parse_json(read_file(os.path.join(folder, name + SUFFIX)))
        reach: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content["reach"].items()}
        known = Approved(
            content["id"],
            path,
            content["sha256"],
            Reach(**reach),
            content["how"],
            content["about"],
            content["tested"],
            content["objects"],
        )
    except FileNotFoundError:
        if ours:
            return examine(path, name, {})
        raise PolicyError(
            f"The model '{name}' is in the library but not approved; an administrator can approve it with "
            "'chunkwise model add'."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{folder}/{name}{SUFFIX} is damaged; remove the model and add it again.") from None
    if digest_of(path) != known.sha256:
        if ours:
            return examine(path, name, {})
        raise PolicyError(
            f"The files of the model '{name}' are not the ones that were approved; an administrator has to remove "
            "the model and add it again."
        )
    return known


def _package_path(folder: str, name: str) -> str | None:
    path = os.path.join(folder, name)
    described = any(os.path.isfile(os.path.join(path, file)) for file in DESCRIPTIONS)
    return path if described else None


def _shipped() -> str | None:
    """The packages that come with chunkwise: in a wheel beside this file, in a checkout at its top."""
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in (os.path.join(here, "packages"), os.path.join(here, *[os.pardir] * 3, "models")):
        if os.path.isdir(folder):
            return os.path.normpath(folder)
    return None
