"""A caller's own function, blockwise."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import textwrap
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chunkwise.errors import InputError
from chunkwise.operations import model
from chunkwise.operations._part import PART
from chunkwise.operations.model import Operation, Parameter
from chunkwise.python.calls import bind, call, destination_parameters, numpy_docs
from chunkwise.python.handles import Image, Result, open

__all__ = ["apply"]

_ABOUT = """\
Apply a function of your own to an image, block by block, with the result of the whole image.

``function(voxels, **values)`` is given a block with its halo (2-D or 3-D, one channel and time point; cut at the
image's edge) and returns an array of the same shape. The record identifies it: its name, and the sha256 of its source.
"""
_OWN: dict[str, tuple[Any, Any, str]] = {
    "function": (
        Callable[..., Any],
        inspect.Parameter.empty,
        "a function; a lambda or one defined in a notebook also works",
    ),
    "image": (str | Image | Result, inspect.Parameter.empty, "path or URL of an OME-Zarr, a reference, or a result"),
    "reach": (
        int | Sequence[int],
        inspect.Parameter.empty,
        "how far the function looks around each voxel, in voxels: one number for all axes, or one for each; if it is "
        "too small, the borders of blocks show",
    ),
    "dtype": (str, "same", "type of the result, or 'same'"),
    "working_set": (
        float,
        8.0,
        "memory that the function takes besides input and result, as a multiple of the bytes of its input",
    ),
}


@dataclass(frozen=True)
class _Callers:
    """The function, so that it can be sent to workers that cannot import it."""

    function: Callable[..., Any]

    def __call__(self, image: Any, **values: Any) -> Any:
        return self.function(image, **values)

    def __reduce__(self) -> tuple[Callable[[bytes], _Callers], tuple[bytes]]:
        import cloudpickle

        return _revive, (cloudpickle.dumps(self.function),)


def _revive(content: bytes) -> _Callers:
    return _Callers(pickle.loads(content))  # noqa: S301 -- sent by the run that this worker belongs to


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _identity(function: Callable[..., Any]) -> dict[str, str]:
    """Say which function it is: its name, its source where there is one, and the values that it takes from around it.

    A run is gone on with only where all of that is the same; where something cannot be told, never.
    """
    around: list[Any] = []
    while isinstance(function, functools.partial):
        around += [function.args, sorted(function.keywords.items())]
        function = function.func
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    found = {"function": name}
    unknown = uuid.uuid4().hex
    try:
        code = function if inspect.isroutine(function) else type(function)
        found["function_source"] = _sha256(textwrap.dedent(inspect.getsource(code)).encode())
        if inspect.isfunction(function):
            seen = inspect.getclosurevars(function)
            values = {**seen.globals, **seen.nonlocals}.items()
            plain = [(key, v) for key, v in sorted(values) if not (inspect.ismodule(v) or callable(v))]
            around += [plain, function.__defaults__, function.__kwdefaults__]
        elif not inspect.isroutine(function):
            around.append(function)
        found["function_values"] = _sha256(pickle.dumps(around))
    except (OSError, TypeError):  # no source
        version = getattr(inspect.getmodule(function), "__version__", None)
        found["function_values"] = unknown if version is None else _sha256(pickle.dumps([str(version), around]))
    except Exception:  # what cannot be pickled
        found["function_values"] = unknown
    return found


def _declare(given: dict[str, Any], values: dict[str, Any]) -> Operation:
    function, reach, dtype = given.pop("function"), given.pop("reach"), str(given.pop("dtype", "same"))
    if not callable(function):
        raise InputError(f"The function has to be callable, not {function!r}.")
    parts = list(reach) if isinstance(reach, list | tuple) else [reach]
    far = tuple(Parameter(int, least=0).accept(part, f"reach {reach}") for part in parts)
    axes = [axis for axis in given["image"].axes if axis in "zyx"]
    if len(far) not in (1, len(axes)):
        raise InputError(f"reach {reach} has to be one number, or one for each of the axes {''.join(axes)}.")
    working = Parameter(float, least=0).check("working_set", given.pop("working_set", 8.0))
    if dtype != "same":
        import numpy as np

        try:
            dtype = np.dtype(dtype).name
        except TypeError:
            raise InputError(f"dtype {dtype} is not a type of voxels; give one such as 'uint16', or 'same'.") from None
    if given.get("workers") != 1:
        try:
            pickle.dumps(_Callers(function))
        except Exception as error:
            raise InputError(
                f"The function cannot be sent to other processes ({' '.join(str(error).split())}); give workers=1."
            ) from None
    identity = _identity(function)
    parameters = {}
    for name, value in values.items():
        if not isinstance(value, bool | int | float | str) or name in (*PART, *identity, "image", "method"):
            raise InputError(
                f"{name}={value!r} cannot be passed to the function: it has to be a number, text, true or false, and "
                "its name must not be taken; functools.partial binds anything else."
            )
        parameters[name] = Parameter(type(value), value)
    return Operation(
        name="apply",
        family="apply",
        title="Caller's own function",
        does="applies a function of the caller's",
        takes={"image": model.Role()},
        gives=model.Image(dtype=dtype, downsampling="nearest" if dtype == "bool" else "mean"),
        part=PART | {name: Parameter(str, text) for name, text in identity.items()},
        parameters=parameters,
        kernel=_Callers(function),
        reach=lambda **_: far if len(far) > 1 else far[0],
        working_set=working,
        threads=False,  # nobody has said that it can do that
    )


_FIXED = _OWN | {name: (parameter.type, parameter.default, parameter.help) for name, parameter in PART.items()}
_ROWS = _FIXED | destination_parameters(Operation("apply", "apply", "", "", {"image": model.Image()}, model.Image()))


def apply(*args: Any, **options: Any) -> Any:  # noqa: D103 -- made below, of what the parameters say of themselves
    given = bind("apply", inspect.signature(apply), args, options)
    given["image"] = open(given["image"])
    return call("apply", _declare(given, given.pop("values", {})), given, made=True)


apply.__doc__ = numpy_docs(_ABOUT, _ROWS | {"values": (Any, inspect.Parameter.empty, "are passed to the function")})
apply.__module__ = "chunkwise"
apply.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD
            if name in ("function", "image")
            else inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=annotation,
        )
        for name, (annotation, default, _) in _ROWS.items()
    ]
    + [inspect.Parameter("values", inspect.Parameter.VAR_KEYWORD, annotation=Any)],
    return_annotation=Result,
)
