"""Four hundred inputs and options broken at random, by a seed: each a result or one sentence, nothing half-written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fuzzing import Fuzzer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CASES = 400


def test_whatever_comes_is_a_result_or_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzzer = Fuzzer(tmp_path)
    outcomes = [fuzzer.run(number) for number in range(CASES)]
    faults = [f"{outcome.fault}: {outcome}" for outcome in outcomes if outcome.fault]
    with capsys.disabled():
        print(f"\n{CASES} cases by exit code: {dict(sorted(Counter(outcome.code for outcome in outcomes).items()))}")
    assert not faults, "\n".join(faults)
