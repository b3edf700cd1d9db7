"""The first cases of tests/slow/test_fuzz.py, without models: one or two of each kind of broken input."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzing import Fuzzer, Outcome

CASES = 30


@pytest.mark.filterwarnings("ignore")
def test_whatever_comes_is_a_result_or_one_sentence(tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path, model=False)
    outcomes = [fuzzer.run(number) for number in range(CASES)]
    assert [str(outcome) for outcome in outcomes if outcome.fault] == []
    assert {0, 2} <= {outcome.code for outcome in outcomes}


@pytest.mark.parametrize(
    ("code", "said", "left"),
    [
        (70, "chunkwise open: error: an error that chunkwise did not foresee: KeyError: 'x'", []),
        (1, "Traceback (most recent call last):", []),
        (2, "", []),
        (2, "chunkwise fetch: error: It is broken.", ["out.ome.zarr"]),
    ],
)
def test_mutant_what_is_no_sentence_is_seen(code: int, said: str, left: list[str]) -> None:
    assert Outcome(0, "", [], code, said, left).fault
    assert not Outcome(0, "", [], 2, "chunkwise fetch: error: It is broken.", []).fault
