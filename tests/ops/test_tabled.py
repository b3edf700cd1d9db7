"""Labels and a table of their objects: rules, joins, maps, against pandas and scikit-image; tables that are none."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import skimage.util
import zarr

from chunkwise.cli import main
from chunkwise.operations import find
from chunkwise.operations.label._rules import parse_rules
from chunkwise.running.chains import tabled
from operations.harness import write_image
from operations.reference import reference

Array = np.ndarray[Any, Any]
LARGE = 2**63 + 2**10 + 1


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Array:
    """Objects across blocks, one with a number beyond 63 bits, and one that has no row."""
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((9, 11), np.uint64)
    labels[1:7, 1:3], labels[0:2, 5:9], labels[4:8, 4:10], labels[8, :4] = 3, LARGE, 9, 5
    write_image(tmp_path / "l.ome.zarr", labels, "yx", labels=True)
    rows = [
        "label\tt\tnum_pixels\tmean-DAPI x",
        f"{LARGE}\t0\t8\t-0.5",
        "3\t0\t12\tnan",
        "9\t0\t24\t1e39",
        "4\t0\t1\t2",
    ]
    Path("t.tsv").write_text("\n".join(rows) + "\n")
    return labels


def made(method: str, *words: str, table: str = "t.tsv", output: str = "o.ome.zarr", code: int = 0) -> Array:
    """Run it in blocks of a few voxels."""
    asked = ["label", "l.ome.zarr", "--method", method, "--table", table, *words, "--output", output]
    assert main([*asked, "--block", "3,4", "--shard", "6,8", "--workers", "1", "--record", f"{output}.json"]) == code
    return np.asarray(zarr.open_array(f"{output}/0", mode="r")[...]) if code == 0 else np.zeros(0)


def test_rules(labels: Array) -> None:
    table = pandas.read_csv("t.tsv", sep="\t")
    for number, (rule, same) in enumerate(
        [
            ("num_pixels >= 12", "num_pixels >= 12"),
            ("num_pixels < 12 and mean-DAPI x != 3", "num_pixels < 12"),
            ("mean-DAPI x <= 1e40", "num_pixels != 12"),  # what is not a number meets no rule
            (f"label == {LARGE}", f"label == {LARGE}"),
        ]
    ):
        for renumber, missing in product(([], ["--renumber"]), ("remove", "keep")):
            words, output = ["--rule", rule, "--missing", missing, *renumber], f"{number}{len(renumber)}{missing}"
            found = made("rules", *words, output=f"{output}.ome.zarr")
            values = {"rule": [same], "renumber": bool(renumber), "missing": missing}
            assert np.array_equal(found, reference(find("label", "rules"), labels, values, {"table": table})), rule
            assert found.dtype == labels.dtype
    assert not made("rules", "--rule", "num_pixels > 9", "--rule", "num_pixels < 20").any(where=labels != 3)


def test_objects_without_a_row(labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rule", "num_pixels > 0"]
    assert not made("rules", *words)[labels == 5].any()
    assert "1 object without a row in t.tsv, and so removed: 5 at the time point 0." in capsys.readouterr().err
    assert (made("rules", *words, "--missing", "keep", output="kept.ome.zarr") == labels).all()
    assert "1 object without a row in t.tsv, and so kept: 5 at the time point 0." in capsys.readouterr().err
    made("rules", *words, "--missing", "fail", output="failed.ome.zarr", code=2)
    assert "1 object at the time point 0 without a row in the table, such as 5: measure all" in capsys.readouterr().err
    assert not Path("failed.ome.zarr").exists()
    with Path("t.tsv").open("a") as table:
        table.write("5\t0\t4\t1\n")
    assert (made("rules", *words, "--missing", "fail", output="all.ome.zarr") == labels).all()


def test_a_mutant_that_forgets_a_rule(labels: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ["--rule", "num_pixels >= 10", "--rule", "num_pixels < 20"]
    whole = made("rules", *rules)
    monkeypatch.setattr(tabled, "parse_rules", lambda texts: parse_rules(texts)[:1])
    assert not np.array_equal(made("rules", *rules, output="mutant.ome.zarr"), whole)
    assert (whole[labels == 3] == 3).all()


JOINS = f"label\tparent\n3\t{LARGE}\n{LARGE}\t{LARGE}\n9\t{LARGE + 1}\n4\t7\n"


def test_objects_are_joined_by_a_column(labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    """Two that lie apart become one, though floats cannot tell its number from the third's; one has no row."""
    Path("t.tsv").write_text(JOINS)
    table = pandas.read_csv("t.tsv", sep="\t")
    values = [np.array(table[name], np.uint64) for name in ("label", "parent")]
    found = made("join", "--column", "parent")
    assert np.array_equal(found, skimage.util.map_array(labels, *values))
    assert np.unique(found).tolist() == [0, LARGE, LARGE + 1]
    captured = capsys.readouterr()
    assert "1 object without a row in t.tsv, and so removed: 5 at the time point 0." in captured.err
    assert "2 objects in the result" in captured.out
    kept = made("join", "--column", "parent", "--missing", "keep", output="kept.ome.zarr")
    assert np.array_equal(kept, np.where(labels == 5, 5, found))
    words = {"column": "parent", "missing": "keep"}
    assert np.array_equal(kept, reference(find("label", "join"), labels, words, {"table": table}))
    made("join", "--column", "parent", "--missing", "fail", output="failed.ome.zarr", code=2)
    assert "without a row in the table, such as 5" in capsys.readouterr().err
    table.to_parquet("t.parquet")
    assert np.array_equal(made("join", "--column", "parent", table="t.parquet", output="p.ome.zarr"), found)


def test_mutant_numbers_of_objects_taken_for_measurements(labels: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.tsv").write_text(JOINS)
    whole = made("join", "--column", "parent")
    real = tabled._joined
    monkeypatch.setattr(tabled, "_joined", lambda *given: real(*given).astype(np.float64).astype(np.uint64))
    assert not np.array_equal(made("join", "--column", "parent", output="mutant.ome.zarr"), whole)
    del labels


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1.5", "The column 'parent' of t.tsv has to hold a whole number in every row."),
        ("9007199254740993.0", "The column 'parent' of t.tsv has to hold a whole number in every row."),
        ("", "The column 'parent' of t.tsv has to hold a whole number in every row."),
        (
            "-1",
            "The column 'parent' of t.tsv holds -1, and labels of the type uint64 go from 0 to 18446744073709551615",
        ),
    ],
)
def test_numbers_that_no_object_can_have(
    number: str, said: str, labels: Array, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.tsv").write_text(f"label\tparent\n3\t{number}\n9\t1\n")
    made("join", "--column", "parent", code=2)
    assert said in capsys.readouterr().err
    assert not list(Path().glob("o.ome.zarr*"))
    del labels


def test_a_map_is_that_of_scikit_image_and_objects_without_a_row_are_named(
    labels: Array, capsys: pytest.CaptureFixture[str]
) -> None:
    found = made("map", "--column", "num_pixels")
    said = capsys.readouterr().err
    assert "warning: 1 object without a row in t.tsv, and so not a number: 5 at the time point 0." in said
    record = json.loads(Path("o.ome.zarr.json").read_text())
    assert record["results"]["without_a_row"] == {"count": 1, "first": [{"time": 0, "object": 5}]}
    assert [one["name"] for one in record["inputs"]] == ["image", "table"]
    assert np.isnan(found[labels == 5]).all()
    whole = {"table": pandas.read_csv("t.tsv", sep="\t").drop(index=3)}
    expected = reference(find("label", "map"), labels, {"column": "num_pixels"}, whole)
    assert np.array_equal(np.where(labels == 5, 0, found), expected)
    assert np.isposinf(made("map", "--column", "mean-DAPI x", output="x.ome.zarr")[labels == 9]).all()


@pytest.mark.parametrize(("end", "between"), [("csv", ","), ("parquet", "")])
def test_other_tables_give_the_same(end: str, between: str, labels: Array) -> None:
    table = pandas.read_csv("t.tsv", sep="\t")
    if between:
        table.to_csv("t.csv", sep=between, index=False)
    else:
        table.to_parquet("t.parquet")
    found = made("map", "--column", "num_pixels", table=f"t.{end}", output="other.ome.zarr")
    assert np.array_equal(found, made("map", "--column", "num_pixels"), equal_nan=True)
    del labels


def test_whole_numbers_may_have_a_point(labels: Array) -> None:
    """Pandas writes them so, where one is missing."""
    Path("t.tsv").write_text("label\tparent\n3\t9\n5\t3\n")
    Path("f.csv").write_text("label,parent\n3.0,9\n5.0,3.0\n")
    found = made("join", "--column", "parent", table="f.csv", output="f.ome.zarr")
    assert np.array_equal(found, made("join", "--column", "parent"))
    assert set(np.unique(found)) == {0, 3, 9}
    del labels


BAD = {
    "no column": ("label\ta\n1\t2\n", "t.tsv has no column 'num_pixels'; its columns are label, a."),
    "no label": ("id\tnum_pixels\n1\t2\n", "t.tsv has no column 'label'"),
    "text": ("label\tnum_pixels\n3\tmany\n", "The column 'num_pixels' of t.tsv holds string, and numbers are needed."),
    "halves": ("label\tnum_pixels\n3.5\t1\n", "The column 'label' of t.tsv has to hold a whole number in every row."),
    "twice": ("label\tnum_pixels\n3\t1\n3\t2\n", "t.tsv has two rows for the object 3 at the time point 0"),
    "nothing": ("", "t.tsv has no column 'label'; its columns are none."),
}


@pytest.mark.parametrize("way", BAD)
def test_a_table_that_is_none(way: str, labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    content, said = BAD[way]
    Path("t.tsv").write_text(content)
    made("map", "--column", "num_pixels", code=2)
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list(Path().glob("o.ome.zarr*"))
    del labels


def test_time_points_have_rows_of_their_own(labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(Path("two"), np.stack([labels, labels]), "tyx", labels=True)
    Path("t.tsv").write_text("label\tt\tv\n3\t0\t1\n3\t1\t2\n")
    Path("no_t.tsv").write_text("label\tv\n3\t1\n")
    words = ["label", "two", "--method", "map", "--column", "v", "--workers", "1", "--output", "o", "--table"]
    assert main([*words, "no_t.tsv"]) == 2
    assert "has no column 't'" in capsys.readouterr().err
    assert main([*words, "t.tsv"]) == 0
    found = np.asarray(zarr.open_array("o/0", mode="r")[...])
    assert found[0][labels == 3].max() == 1
    assert found[1][labels == 3].min() == 2


@pytest.mark.parametrize("rule", ["a", "a > b", "a = 1", "1 < a < 2", "__import__('os') > 1 or a < 2", "", "a > nan"])
def test_what_is_no_rule(rule: str, labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    made("rules", "--rule", rule, code=2)
    assert f"--rule '{rule}' is not made of comparisons" in capsys.readouterr().err
    del labels


def test_rules_are_read_as_they_are_written() -> None:
    (one, two) = parse_rules(["a b-0>=-.5e1", "c != 9007199254740993"])
    assert (one.column, one.sign, one.number) == ("a b-0", ">=", -5.0)
    assert two.number == 9007199254740993


def test_what_a_method_takes(labels: Array, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "l.ome.zarr", "--method", "map", "--column", "a", "--output", "o"]) == 2
    assert "The method map needs --table." in capsys.readouterr().err
    assert main(["label", "l.ome.zarr", "--method", "mask", "--table", "t.tsv", "--output", "o"]) == 2
    assert "--table is not an option of the method mask." in capsys.readouterr().err
    del labels
