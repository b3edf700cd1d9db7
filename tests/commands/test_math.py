"""Expressions over images are NumPy's on the whole images, in float64; images that do not fit are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.cli import main
from chunkwise.errors import InputError
from chunkwise.ops import expression
from chunkwise.ops.expression import evaluate, parse
from made_stores import multiscale, write

Array = np.ndarray[Any, Any]

#: How NumPy says what is said here.
NUMPY: dict[str, Any] = {
    **{name: getattr(np, name) for name in ("abs", "sqrt", "exp", "log", "clip", "where")},
    "pi": np.float64(np.pi),
    "F": np.float64,
    "min": np.minimum,
    "max": np.maximum,
}


def stored(path: Path, voxels: Array, axes: str, scale: float = 1.0, names: tuple[str, ...] = ()) -> Path:
    entry = multiscale(axes, 1)
    for dataset in entry["datasets"]:
        dataset["coordinateTransformations"] = [
            {"type": "scale", "scale": [scale if axis in "zyx" else 1.0 for axis in axes]}
        ]
    extra = {"omero": {"channels": [{"label": name, "color": "00FF00"} for name in names]}} if names else {}
    write(path, "0.5", axes, voxels.shape, voxels.dtype, entry, extra)
    array: Any = zarr.open_array(path / "0", mode="r+")
    array[...] = voxels
    return path


def run(folder: Path, text: str, *words: str, name: str = "o.ome.zarr") -> Array:
    spread = ["--workers", "1", "--output", str(folder / name), "--record", str(folder / f"{name}.json")]
    assert main(["math", str(folder / "a"), f"--expression={text}", *words, *spread]) == 0
    return np.asarray(zarr.open_array(folder / name / "0", mode="r")[...])


def random_expression(rng: np.random.Generator, depth: int, mask: bool = False) -> str:
    """An expression of the whole grammar; as Python reads it, it is NumPy's, too."""
    if mask:
        kind = rng.integers(3) if depth else 0
        if kind == 0:
            sides = [random_expression(rng, max(depth - 1, 0)) for _ in range(2)]
            return f"({sides[0]} {rng.choice(['<', '<=', '>', '>=', '==', '!='])} {sides[1]})"
        one, other = (random_expression(rng, depth - 1, True) for _ in range(2))
        return f"(not {one})" if kind == 1 else f"({one} {rng.choice(['and', 'or'])} {other})"
    if depth == 0:
        return str(rng.choice(["a", "b", "c", "2", "0.5", "pi", "1e3"]))
    one, other, third = (random_expression(rng, depth - 1) for _ in range(3))
    kind = rng.integers(5)
    if kind == 0:
        return f"{rng.choice(['abs', 'sqrt', 'exp', 'log'])}({one})"
    if kind == 1:
        return f"{rng.choice(['min', 'max'])}({one}, {other})"
    if kind == 2:
        return f"where({random_expression(rng, depth - 1, True)}, {one}, {other})"
    if kind == 3:
        return f"clip({one}, {other}, {third})"
    return f"({rng.choice(['', '-', '+'])}{one} {rng.choice(['+', '-', '*', '/', '//', '%', '**'])} {other})"


def as_numpy(text: str) -> str:
    """The same with NumPy's operators for masks, and its numbers."""
    text = re.sub(r"(?<![\w.])(\d[\d.e]*)", r"F(\1)", text)
    return re.sub(r"\bnot\b", "~", re.sub(r"\bor\b", "|", re.sub(r"\band\b", "&", text)))


def test_random_expressions_are_numpys() -> None:
    rng = np.random.default_rng(0)
    images = {"a": rng.integers(0, 9, (4, 5), np.uint8), "b": rng.integers(-9, 9, (4, 5), np.int16)}
    images["c"] = rng.normal(0, 3, (4, 5)).astype("f4")
    images["c"][0, :2] = np.nan, np.inf
    as_floats = {name: one.astype(float) for name, one in images.items()}
    for number in range(300):
        text = random_expression(rng, 1 + number % 4, bool(number % 3 == 0))
        with np.errstate(all="ignore"):
            expected = np.broadcast_to(eval(as_numpy(text), dict(NUMPY), as_floats), (4, 5))
        found = np.broadcast_to(evaluate(parse(text), text, images), (4, 5))
        np.testing.assert_array_equal(found, expected, text)
    # A mutant: in the image's own type, which wraps around.
    assert not np.array_equal(images["a"] - np.uint8(9), evaluate(parse("a - 9"), "a - 9", images))


def test_mutant_of_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    import ast

    monkeypatch.setitem(expression._BINARY, ast.FloorDiv, np.true_divide)
    with pytest.raises(AssertionError):
        test_random_expressions_are_numpys()


def test_blocks_types_and_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 60000, (2, 2, 5, 13, 9), np.uint16)
    b = rng.integers(0, 255, (2, 5, 13, 9), np.uint8)
    stored(tmp_path / "a", a, "tczyx", names=("DNA", "actin"))
    stored(tmp_path / "b", b, "tzyx")
    spread = ["--b", str(tmp_path / "b"), "--block", "2,5,4", "--shard", "4,5,8"]
    found = run(tmp_path, "(a - b * 300) / 2", *spread)
    expected = (a.astype(float) - b[:, None] * 300.0) / 2
    np.testing.assert_array_equal(found, expected.astype("f4"))
    about = json.loads((tmp_path / "o.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert [one["label"] for one in about["omero"]["channels"]] == ["DNA", "actin"]
    found = run(tmp_path, "(a - b * 300) / 2", *spread, "--dtype", "uint8", name="u1")
    np.testing.assert_array_equal(found, np.clip(np.rint(expected), 0, 255).astype("u1"))
    found = run(tmp_path, "a > b * 200 and not b == 0", *spread, "--channel", "a=actin", "--time", "1", name="mask")
    np.testing.assert_array_equal(found, (a[1:, 1:] > b[1:, None] * 200.0) & (b[1:, None] != 0))
    assert found.dtype == bool
    # One image twice, with a channel each.
    words = ["--b", str(tmp_path / "a"), "--channel", "a=1", "--channel", "b=DNA", "--region", "1:4,2:9,0:5"]
    found = run(tmp_path, "a - b", *words, "--dtype", "float64", name="both")
    np.testing.assert_array_equal(found, (a[:, 1:].astype(float) - a[:, :1])[..., 1:4, 2:9, 0:5])


def test_division_by_zero_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = np.array([[0, 1, 4], [0, 2, 0]], "u1")
    stored(tmp_path / "a", a, "yx")
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run(tmp_path, "1 / a"), (1 / a.astype(float)).astype("f4"))
    assert "3 of 6 voxels are infinite or no numbers" in capsys.readouterr().out
    assert json.loads((tmp_path / "o.ome.zarr.json").read_text())["results"]["not_finite"] == 3
    run(tmp_path, "where(a == 0, 0, 1 / a)", name="none")
    assert "infinite" not in capsys.readouterr().out


def test_masks_count_as_numbers_where_these_are_meant(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((3, 4)) < 0.5
    stored(tmp_path / "a", mask, "yx")
    np.testing.assert_array_equal(run(tmp_path, "a * 2 - True"), mask * np.float32(2) - 1)
    np.testing.assert_array_equal(run(tmp_path, "not a", "--dtype", "uint8", name="n"), (~mask).astype("u1"))


BAD = {
    "a.shape": "--expression has 'a.shape', which is outside of its grammar; it may have numbers, the images a to h",
    "a[0]": "'a[0]', which is outside",
    "a @ a": "'a @ a', which is outside",
    "a if a > 0 else 1": "which is outside",
    "a & 1": "'a & 1', which is outside",
    "~a": "'~a', which is outside",
    "a in a": "'a in a', which is outside",
    "a + x": "'x', which is outside",
    "a + 'text'": "''text'', which is outside",
    "a + 2j": "'2j', which is outside",
    "__import__('os') + a": "'__import__('os')', which is outside",
    "(lambda: a)()": "'(lambda: a)()', which is outside",
    "[a for a in a]": "which is outside",
    "a := 1": "cannot be read: invalid syntax",
    "abs(a, x=1)": "'abs(a, x=1)', which is outside",
    "abs(*a)": "'*a', which is outside",
    "sqrt(a, a)": "'sqrt(a, a)', and sqrt takes 1 argument.",
    "min(a)": "'min(a)', and min takes two or more arguments.",
    "where(a > 0, a)": "'where(a > 0, a)', and where takes 3 arguments: a mask,",
    "a and a > 0": "'a', which is numbers, where a mask is needed",
    "where(a, 1, 0)": "'a', which is numbers, where a mask is needed",
    "a +": "cannot be read: invalid syntax",
    "": "cannot be read: invalid syntax",
    f"a + 1{'0' * 400}": "a number that is larger than any float",
    "a" + " + a" * 300: "has 1201 characters, and may have 1000 at most",
    "(" * 400 + "a" + ")" * 400: "cannot be read",
    "-" * 900 + "a": "too many parentheses within each other",
    "1 + 1": "does not name the first image, a.",
    "a + c": "names the image c, which is not given; give it with --c.",
}


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=range(len(BAD)))
def test_what_is_outside_of_the_grammar(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path / "a", np.ones((3, 4), "u1"), "yx")
    refused(tmp_path, text, said, capsys)


def refused(folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    assert main(["math", str(folder / "a"), f"--expression={text}", *words, "--output", str(folder / "o")]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last, last
    assert "Traceback" not in last
    assert not (folder / "o").exists()


def test_images_that_do_not_fit_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path / "a", np.ones((3, 4), "u1"), "yx")
    stored(tmp_path / "wide", np.ones((3, 5), "u1"), "yx")
    stored(tmp_path / "fine", np.ones((3, 4), "u1"), "yx", scale=0.5)
    for name in ("wide", "fine"):
        said = "The two images have to have the same shape and scale"
        refused(tmp_path, "a + b", said, capsys, "--b", str(tmp_path / name))
    run(tmp_path, "a + b", "--b", str(tmp_path / "fine"), "--same-voxels")
    refused(
        tmp_path, "a + 1", "does not name the image b; name it, or leave out --b.", capsys, "--b", str(tmp_path / "a")
    )
    refused(tmp_path, "a", "--channel b=0 is of the image b, which is not given.", capsys, "--channel", "b=0")
    stored(tmp_path / "two", np.ones((2, 3, 4), "u1"), "cyx")
    stored(tmp_path / "three", np.ones((3, 3, 4), "u1"), "cyx")
    more = ["--b", str(tmp_path / "two"), "--c", str(tmp_path / "three")]
    refused(tmp_path, "a + b + c", "The image b has 2 channels, and another has 3", capsys, *more)


def test_whole_numbers_that_floats_do_not_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path / "a", np.array([[1, 2**53 + 1]], np.uint64), "yx")
    refused(tmp_path, "a + 1", "The image a holds whole numbers beyond 2**53", capsys)
    with pytest.raises(InputError, match="beyond"):
        evaluate(parse("a"), "a", {"a": np.array([-(2**60)])})


def test_what_is_no_number_is_no_integer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path / "a", np.zeros((3, 4), "u1"), "yx")
    refused(tmp_path, "a / a", "which integers cannot hold; choose a float type", capsys, "--dtype", "uint8")
