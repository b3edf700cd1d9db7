"""bioimage.io packages: what their description says, in the terms of chunkwise.

A package is a folder with a description (``rdf.yaml`` or ``bioimageio.yaml``, format 0.4 or 0.5), weights, and
test tensors; the library unpacks those that come as zip files. Reading it runs no code of it and asks no network.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import open_file, read_file
from chunkwise.models.files import check_files, package_files
from chunkwise.site.keys import MODEL

__all__ = [
    "CODE_FORMATS",
    "Package",
    "Size",
    "Tensor",
    "bioimageio",
    "digest_of",
    "load_description",
    "read_package",
    "read_weights",
]

#: Formats that run Python code of the package when they are loaded.
CODE_FORMATS = ("pytorch_state_dict",)


@dataclass(frozen=True)
class Size:
    """Lengths that an axis of an input may have: ``least``, and every ``step`` more; 0 for that one only."""

    least: int
    step: int

    def fits(self, length: int) -> bool:
        """Whether a length is allowed."""
        return length == self.least if self.step == 0 else (length - self.least) % self.step == 0 <= length - self.least


@dataclass(frozen=True)
class Tensor:
    """One input or output."""

    id: str
    axes: str
    """In order, of ``bczyx``: batch, channel, and the spatial ones."""
    channels: tuple[str, ...]
    """Their names; one where there is no such axis, and none of an output whose number is not said."""
    sizes: dict[str, Size]
    """Of the spatial axes of an input."""
    batch: int | None = None
    """Where only one batch size is allowed."""
    halo: dict[str, int] | None = None
    """As the description declares it; of outputs."""
    pad: tuple[str, float] = ("symmetric", 0.0)
    """How an input that is too small is extended: NumPy's mode, and the value for ``constant``."""
    scale: dict[str, tuple[float, str]] | None = None
    """Edge of a voxel and its unit, of spatial axes that say it."""

    @property
    def spatial(self) -> str:
        """Names of the spatial axes in order."""
        return "".join(axis for axis in self.axes if axis in "zyx")


@dataclass(frozen=True)
class Package:
    """What is known of a package from reading it."""

    path: str
    name: str
    description: str
    version: str | None
    format_version: str
    license: str | None
    doi: str | None
    cite: tuple[str, ...]
    formats: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    objects: dict[str, Any] | None
    """``config.chunkwise.objects``: how its maps become objects."""
    sha256: str
    """Of all files, their names included."""

    @property
    def spatial(self) -> str:
        """The spatial axes of its inputs."""
        return self.inputs[0].spatial


def bioimageio() -> None:
    """Keep bioimageio's packages from the user's cache; called before they are imported."""
    os.environ.setdefault("BIOIMAGEIO_CACHE_PATH", os.path.join(tempfile.gettempdir(), f"chunkwise-{os.getuid()}"))


def load_description(path: str) -> Any:
    """Load a package's description in the newest form of the format, with its files where they are.

    Raises
    ------
    InputError
        If there is none, or it is not valid; with the first of what the validation says.
    PolicyError
        If it names files on the web that are needed to run it.
    """
    import warnings

    bioimageio()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bioimageio.spec import InvalidDescr, load_description
        from bioimageio.spec.model import ModelDescr

        if not os.path.isdir(path):
            zipped = "; it may be a zip file: unpack it first" if os.path.isfile(path) else ""
            raise InputError(f"There is no folder with a bioimage.io package at {path}{zipped}.")
        check_files(path)
        try:
            found = load_description(path, format_version="latest", perform_io_checks=False)
        except Exception as error:  # the library raises many kinds for what is no package
            raise InputError(
                f"{path} is not a bioimage.io package that can be read: {' '.join(str(error).split())[:300]}."
            ) from None
    if isinstance(found, InvalidDescr):
        first = next((e for detail in found.validation_summary.details for e in detail.errors), None)
        where = ".".join(map(str, first.loc)) if first else ""
        raise InputError(
            f"The description of {path} is not valid{f' at {where}' if where else ''}: {first.msg if first else ''}."
        )
    if not isinstance(found, ModelDescr):
        raise InputError(f"{path} describes a {found.type}, and a model is needed.")
    for what, source in _needed_files(found):
        inside = os.path.normpath(str(source))
        if "://" in str(source):
            raise PolicyError(
                f"The {what} of {path} are on the web ({source}), and chunkwise downloads nothing for models; on a "
                f"machine with a network run 'bioimageio package {os.path.basename(path.rstrip('/'))} model.zip', and "
                "add that."
            )
        if os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir:
            raise InputError(
                f"The {what} of {path} are outside the package ({source}), where its sha256 does not cover them; "
                "put them into the package."
            )
    return found


def read_weights(weights: Any) -> bytes:
    """Read a file of weights, after a look at the sha256 that its description gives.

    Raises
    ------
    InputError
        If it cannot be read, or has another sha256.
    """
    place = str(weights.source.absolute())
    try:
        content = read_file(place, largest=MODEL, what="weights")
    except OSError as error:
        raise InputError(f"The weights {place} cannot be read: {os.strerror(error.errno or 0)}.") from None
    if weights.sha256 is not None and hashlib.sha256(content).hexdigest() != str(weights.sha256):
        raise InputError(
            f"The weights {place} do not have the sha256 that the package gives for them; download the package again."
        )
    return content


def _needed_files(description: Any) -> Iterator[tuple[str, Any]]:
    for name, weights in description.weights.available_formats.items():
        yield f"{name} weights", weights.source
        for more in (getattr(weights, "external_data", None), getattr(weights, "architecture", None)):
            source = getattr(more, "source", None)
            if source is not None:
                yield f"{name} weights", source
    for tensor in (*description.inputs, *description.outputs):
        if tensor.test_tensor is not None:
            yield "test tensors", tensor.test_tensor.source


def read_package(path: str) -> Package:
    """Read a package.

    Raises
    ------
    InputError
        If it is not valid, or asks for what chunkwise does not do; the sentence says what.
    PolicyError
        If it needs files of the web.
    """
    path = os.path.abspath(path)
    found = load_description(path)
    inputs = tuple(_tensor(found, tensor, True) for tensor in found.inputs if not tensor.optional)
    outputs = tuple(_tensor(found, tensor, False) for tensor in found.outputs)
    for tensor in (*inputs, *outputs):
        if tensor.spatial != inputs[0].spatial:
            raise InputError(
                f"The tensors of {found.name} have different spatial axes ({inputs[0].id}: {inputs[0].spatial}, "
                f"{tensor.id}: {tensor.spatial}), which chunkwise does not run."
            )
    cite = tuple(str(entry.doi or entry.url or entry.text) for entry in found.cite)
    extra = found.config.model_dump().get("chunkwise") or {}
    objects = extra.get("objects") if isinstance(extra, dict) else None
    return Package(
        path=path,
        name=str(found.name),
        description=str(found.description or ""),
        version=None if found.version is None else str(found.version),
        format_version=_format_version(path),
        license=None if found.license is None else str(getattr(found.license, "value", found.license)),
        doi=str(found.id) if str(found.id or "").startswith("10.") else None,
        cite=cite,
        formats=tuple(found.weights.available_formats),
        inputs=inputs,
        outputs=outputs,
        objects=objects if isinstance(objects, dict) else None,
        sha256=digest_of(path),
    )


def _format_version(path: str) -> str:
    """The version that the package was written in, before it was read as the newest one."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bioimageio.spec import load_description

        return str(load_description(path, perform_io_checks=False).format_version)


def _tensor(description: Any, tensor: Any, is_input: bool) -> Tensor:
    axes, batch = "", None
    channels: tuple[str, ...] = ("0",)
    sizes: dict[str, Size] = {}
    halo: dict[str, int] = {}
    scale: dict[str, tuple[float, str]] = {}
    for axis in tensor.axes:
        name = {"batch": "b", "channel": "c"}.get(axis.type, str(axis.id))
        if name not in "bczyx" or axis.type not in ("batch", "channel", "space"):
            raise InputError(
                f"{description.name} has the axis '{axis.id}' of type {axis.type} in '{tensor.id}'; chunkwise runs "
                "models with batch, channel, z, y and x."
            )
        axes += name
        if name == "b":
            batch = axis.size if isinstance(axis.size, int) else None
            if batch not in (None, 1):
                raise InputError(
                    f"{description.name} takes batches of {batch} only; chunkwise runs models that take one at a time."
                )
        elif name == "c":
            channels = tuple(map(str, getattr(axis, "channel_names", ())))
        else:
            if is_input:
                sizes[name] = _size(description, tensor, axis)
            else:
                _check_same_size(description, tensor, axis)
            halo[name] = int(getattr(axis, "halo", 0) or 0)
            if getattr(axis, "unit", None):
                scale[name] = (float(axis.scale), str(getattr(axis.unit, "value", axis.unit)))
    if "y" not in axes or "x" not in axes:
        raise InputError(f"'{tensor.id}' of {description.name} has no axes y and x; chunkwise runs models of images.")
    pad = ("symmetric", 0.0)
    if is_input and tensor.pad is not None:
        pad = (str(tensor.pad.mode), float(getattr(tensor.pad, "value", 0.0)))
    return Tensor(str(tensor.id), axes, channels, sizes, batch, None if is_input else halo, pad, scale)


def _size(description: Any, tensor: Any, axis: Any) -> Size:
    size = axis.size
    if isinstance(size, int):
        return Size(size, 0)
    if hasattr(size, "step"):
        return Size(int(size.min), int(size.step))
    for other in description.inputs:
        for known in other.axes:
            if str(other.id) == str(size.tensor_id) and str(known.id) == str(size.axis_id) and known is not axis:
                if size.offset == 0 and known.scale == axis.scale:
                    return _size(description, other, known)
                break
    raise InputError(
        f"The length of the axis {axis.id} of '{tensor.id}' in {description.name} depends on another axis in a way "
        "that chunkwise does not support."
    )


def _check_same_size(description: Any, tensor: Any, axis: Any) -> None:
    """An output's axis has the length of an input's, or a number that equals it."""
    size = axis.size
    inputs = {
        (str(entry.id), str(known.id)): known
        for entry in description.inputs
        for known in entry.axes
        if known.type == "space"
    }
    if isinstance(size, int):
        if any(name == str(axis.id) and known.size == size for (_, name), known in inputs.items()):
            return
    elif hasattr(size, "tensor_id"):
        known = inputs.get((str(size.tensor_id), str(size.axis_id)))
        if known is not None and size.offset == 0 and known.scale == axis.scale and str(known.id) == str(axis.id):
            return
    raise InputError(
        f"The output '{tensor.id}' of {description.name} has a different size along {axis.id} than its input; "
        "chunkwise runs models whose outputs have the voxels of their inputs."
    )


def digest_of(path: str) -> str:
    """Sha256 over all files of a package and their names.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    lines = []
    try:
        for file in package_files(path):
            with open_file(file, what="file of a model") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            lines.append(f"{os.path.relpath(file, path)}\0{digest}\n")
    except OSError as error:
        raise InputError(f"The model package {path} cannot be read: {error}.") from None
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
