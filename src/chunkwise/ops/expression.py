"""Expressions over images: text is parsed by Python's ``ast`` and walked here; nothing is ever run as a program.

Numbers are calculated as float64, as NumPy does; a comparison makes a mask, and ``and``, ``or`` and ``not`` join masks.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError, VoxelsError

__all__ = ["LETTERS", "evaluate", "images_of", "parse"]

Array = np.ndarray[Any, Any]

#: Images, by the letters that stand for them.
LETTERS: Final = "abcdefgh"
CONSTANTS: Final = {"pi": np.pi, "inf": np.inf, "nan": np.nan}
#: Characters; nothing that a person writes is longer.
LONGEST: Final = 1000

#: Largest whole number up to which float64 holds all.
WHOLE: Final = 2**53

_BINARY: Final[dict[type, Callable[..., Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
}
_COMPARE: Final[dict[type, Callable[..., Any]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
#: Functions of numbers: how many they take (0: two or more), and NumPy's.
_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "abs": (1, np.abs),
    "sqrt": (1, np.sqrt),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "clip": (3, np.clip),
    "min": (0, lambda *values: reduce(np.minimum, values)),
    "max": (0, lambda *values: reduce(np.maximum, values)),
}
GRAMMAR: Final = (
    f"it may have numbers, the images a to h, {', '.join(CONSTANTS)}, + - * / // % **, comparisons, and, or, not, and "
    f"the functions {', '.join((*_FUNCTIONS, 'where'))}"
)


def parse(text: str) -> ast.expr:
    """Read an expression.

    Raises
    ------
    InputError
        If it is none; the sentence names the piece that is outside of the grammar.
    """
    if len(text) > LONGEST:
        raise InputError(f"--expression has {len(text)} characters, and may have {LONGEST} at most.")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        where = f" at character {error.offset}" if error.offset else ""
        raise InputError(f"--expression '{text}' cannot be read: {error.msg}{where}; {GRAMMAR}.") from None
    except (ValueError, RecursionError, MemoryError):
        raise InputError(f"--expression '{text}' cannot be read; {GRAMMAR}.") from None


def images_of(tree: ast.expr) -> set[str]:
    """The letters of the images in an expression."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in tuple(LETTERS)}


def evaluate(tree: ast.expr, text: str, images: Mapping[str, Array]) -> Array:
    """Calculate an expression.

    Parameters
    ----------
    tree : ast.expr
        As :func:`parse` gives it.
    text : str
        What it was read from, for the sentences.
    images : mapping of str to ndarray
        By their letters; all of one shape. Bool is a mask, everything else is numbers.

    Returns
    -------
    ndarray
        Of float64, or bool.

    Raises
    ------
    InputError
        If a piece is outside of the grammar.
    VoxelsError
        If images hold whole numbers that float64 does not.
    """
    known = {letter: image if image.dtype == bool else _exact(image, letter) for letter, image in images.items()}
    with np.errstate(all="ignore"):
        try:
            return np.asarray(_value(tree, text.strip(), known))
        except RecursionError:
            raise InputError("--expression has too many parentheses within each other.") from None


def _exact(image: Array, letter: str) -> Array:
    """Numbers as float64, if it holds them."""
    wide = image.dtype.kind in "iu" and image.dtype.itemsize == 8 and image.size
    if wide and (int(image.max()) > WHOLE or int(image.min()) < -WHOLE):
        raise VoxelsError(
            f"The image {letter} holds whole numbers beyond 2**53, which 64-bit floats would round; if "
            "that does not matter, make floats of them first with 'chunkwise intensity --method cast --dtype float64'."
        )
    return image.astype(np.float64)


def _value(node: ast.expr, text: str, known: Mapping[str, Array]) -> Any:
    def number(one: ast.expr) -> Any:
        found = _value(one, text, known)
        return found.astype(np.float64) if found.dtype == bool else found

    def mask(one: ast.expr) -> Any:
        found = _value(one, text, known)
        if found.dtype != bool:
            raise InputError(
                f"--expression has '{_piece(one, text)}', which is numbers, where a mask is needed: and, or, not and "
                "the first argument of where take masks, such as comparisons (a > 0)."
            )
        return found

    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            try:
                return np.bool_(value) if isinstance(value, bool) else np.float64(float(value))
            except OverflowError:
                raise InputError("--expression has a number that is larger than any float.") from None
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.Name(id=name) if name in CONSTANTS:
            return np.float64(CONSTANTS[name])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](number(left), number(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return np.negative(number(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return number(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(mask(operand))
        case ast.BoolOp(op=op, values=values):
            joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return reduce(joined, [mask(value) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            sides = [number(side) for side in (left, *others)]
            return reduce(np.logical_and, [_COMPARE[type(op)](*sides[n : n + 2]) for n, op in enumerate(ops)])
        case ast.Call(func=ast.Name(id="where"), args=[choice, one, other], keywords=[]):
            both = [_value(side, text, known) for side in (one, other)]
            if any(side.dtype != bool for side in both):
                both = [side.astype(np.float64) for side in both]
            return np.where(mask(choice), *both)
        case ast.Call(func=ast.Name(id="where"), keywords=[]):
            raise InputError(
                f"--expression has '{_piece(node, text)}', and where takes 3 arguments: a mask, and what becomes of a "
                "voxel where it is true, and where it is false."
            )
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            count, function = _FUNCTIONS[name]
            if len(args) == count or (not count and len(args) > 1):
                return function(*(number(one) for one in args))
            needed = f"{count or 'two or more'} argument{'s' if count != 1 else ''}"
            raise InputError(f"--expression has '{_piece(node, text)}', and {name} takes {needed}.")
    raise InputError(f"--expression has '{_piece(node, text)}', which is outside of its grammar; {GRAMMAR}.")


def _piece(node: ast.expr, text: str) -> str:
    """How a part of an expression was written."""
    return ast.get_source_segment(text, node) or text
