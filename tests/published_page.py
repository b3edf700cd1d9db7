"""docs/published.md: published workflows and cases; ``.venv/bin/python tests/published_page.py`` writes it."""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from chunkwise.cli import main
from published_cases import CASES, METRICS, Array, Case, assertions, cases, distance, image_of
from published_table import TABLE, Ours
from published_workflows import PUBLISHED, Published, differing

__all__ = ["BEGIN", "NONE", "OTHER", "PAGE", "SAME", "Row", "fresh", "page", "row_of", "run", "workflows"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "published.md"
BEGIN, END = "<!-- cases: written by tests/published_page.py -->", "<!-- end of cases -->"
FLOWS, END_OF_FLOWS = "<!-- workflows: written by tests/published_page.py -->", "<!-- end of workflows -->"
SAME = {"equal", "within", "rows equal", "fails, too", "assertions hold"}
OTHER = "another result"
NONE = "no operation"

#: Commands that need no method.
ONE_METHOD = {"convert", "math", "measure", "overlay", "points", "segment"}

#: Of commands that make no OME-Zarr.
ENDINGS = {"measure": "tsv", "spots": "tsv", "overlay": "png"}

#: Their name of a column, and ours.
COLUMNS = {"area": "num_pixels", "mean_intensity": "intensity_mean-0"}


@dataclass(frozen=True)
class Row:
    """What became of a case."""

    case: Case
    ours: Ours
    state: str
    found: str = ""
    """The distance by the authors' criterion."""

    @property
    def line(self) -> str:
        """Of the table."""
        asked = " | ".join(f"`{shown(step)}`" for step in self.ours.steps) if self.ours.words else "–"
        told = self.state + (f" ({self.found})" if self.found else "")
        cells = [self.case.folder, str(self.case.number), self.case.words, asked.replace("|", "then")]
        return f"| {' | '.join([*cells, self.case.criterion, told, self.ours.why])} |"


def shown(step: str) -> str:
    """A command as a reader would type it, without files."""
    return re.sub(r"\s*\{\w+\+?\}", "", step)


def run(case: Case, ours: Ours, folder: Path) -> tuple[int, Path, str]:
    """Run the commands of a line, in this process; exit code, output and messages of the last."""
    files = {key.split("|")[-1]: str(case.path(value)) for key, value in case.params.items()}
    for key in re.findall(r"\{not_(\w+)\}", ours.words):
        files[f"not_{key}"] = str(folder / "not.tif")
        tifffile.imwrite(files[f"not_{key}"], (image_of(Path(files[key])) == 0).astype("uint8"))
    if "{grid}" in ours.words:
        files["grid"] = str(folder / "grid.tif")
        tifffile.imwrite(files["grid"], np.zeros([int(case.params[f"shape{axis}"]) for axis in "yx"], "uint8"))
    before, output, code, text = "", folder / "none", 0, ""
    for number, step in enumerate(ours.steps):
        family, *words = step.split()
        words = [word.format(**files) for word in words]
        if family not in ONE_METHOD:
            words.insert(0, "--method")
        output = folder / f"{number}.{ENDINGS.get(family, 'ome.zarr')}"
        source = [before] if before else []
        with redirect_stderr(StringIO()) as said, redirect_stdout(StringIO()):
            code = main([family, *source, *words, "--output", str(output), "--workers", "1"])
        text = said.getvalue()
        if code:
            break
        before = str(output)
    return code, output, text


def row_of(case: Case, folder: Path) -> Row:
    """Run a case, and compare with what its authors expect.

    Raises
    ------
    AssertionError
        If what is found is not of the kind that the table says.
    """
    ours = TABLE[case.name]
    if not ours.words:
        assert ours.why, case.name
        return Row(case, ours, NONE)
    code, output, said = run(case, ours, folder)
    if case.refused:
        if code == 2:
            assert ours.refused in said, said
        return Row(case, ours, "fails, too" if code == 2 else OTHER)
    assert code == 0, f"{case.name}: {said}"
    if output.suffix == ".tsv":
        return Row(case, ours, "rows equal" if rows_equal(case, output) else OTHER)
    found, axes = result_of(output)
    wrong = assertions(case, found, axes)
    if case.macro not in METRICS and not case.output.get("value"):
        return Row(case, ours, OTHER if wrong else "assertions hold", "; ".join(wrong))
    wanted = case.expected()
    apart = distance(case, found, wanted) if case.macro in METRICS else float(np.count_nonzero(masks(found, wanted)))
    if apart == 0 and not wrong:
        return Row(case, ours, "equal")
    return Row(case, ours, "within" if apart <= case.eps and not wrong else OTHER, f"{apart:.2g}")


def result_of(output: Path) -> tuple[Array, str]:
    """The voxels of an OME-Zarr, or of a picture, and their axes."""
    if output.suffix == ".png":
        return image_of(output), "cyx"
    group: Any = zarr.open_group(output, mode="r")
    axes = "".join(one["name"] for one in group.attrs["ome"]["multiscales"][0]["axes"])
    return np.asarray(group["0"][...]), axes


def masks(found: Array, wanted: Array) -> Array:
    """Where masks differ, whatever their two values are."""
    differ: Array = (found > found.min()) != (wanted > wanted.min())
    return differ


def rows_equal(case: Case, table: Path) -> bool:
    """Whether each expected column is there, with values that match the expected patterns, or are equal."""
    with case.path(case.output["value"]).open() as file:
        wanted = list(csv.DictReader(file, delimiter="\t"))
    with table.open() as file:
        found = list(csv.DictReader(file, delimiter="\t"))
    return len(wanted) == len(found) and all(
        re.fullmatch(pattern, repr(float(mine[COLUMNS.get(column, column)])))
        for theirs, mine in zip(wanted, found, strict=True)
        for column, pattern in theirs.items()
    )


def page(rows: list[Row]) -> str:
    """The table, and its sum."""
    states = Counter(row.state for row in rows)
    same = sum(states[state] for state in SAME)
    able = len(rows) - states[NONE]
    lines = [
        f"**{same} of {len(rows)}** are what their authors expect: {same} of the {able} "
        f"for which there is an operation ({same / able:.0%}).",
        "",
        "| tool | test | parameters | asked here | criterion | result | why |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(row.line for row in rows)])


def workflow_row(published: Published, folder: Path) -> str:
    """Run ours as the steps of its file say, and compare; a line of the table."""
    if not published.there or published.compare is None:
        return f"| {published.of} | {published.name} | – |  | not there |"
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        pairs = published.compare(folder, False)
    ours, wrong = f"[{published.name}](../workflows/{published.name}/README.md)", differing(pairs)
    outputs, state = ", ".join(pairs), f"{OTHER}: {', '.join(wrong)}" if wrong else "equal"
    return f"| {published.of} | {ours} | {published.calls} | {outputs} | {state} |"


def workflows() -> str:
    """The table of published workflows, and its sum."""
    rows = []
    for published in PUBLISHED:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(workflow_row(published, Path(folder)))
    same = sum(row.endswith("| equal |") for row in rows)
    lines = [
        f"**{same} of {len(rows)} workflows** give, in blocks, what the published steps give on the whole image.",
        "",
        "| published | ours | compared with | what is compared | result |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *rows])


def within(text: str, begin: str, new: str, end: str) -> str:
    """The text with what stands between two marks put anew."""
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{new}\n\n{end}{rest.partition(end)[2]}"


def fresh() -> str:
    """The page as it would be written now."""
    rows = []
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row_of(case, Path(folder)))
    return within(within(PAGE.read_text(), FLOWS, workflows(), END_OF_FLOWS), BEGIN, page(rows), END)


if __name__ == "__main__":
    if not CASES.is_dir():
        sys.exit(f"The published cases are not at {CASES}, and the page is written from all of them.")
    PAGE.write_text(fresh())
    print(*re.findall(r"\d+ of \d+(?: workflows)?(?=\*\*)", PAGE.read_text()), sep="\n")
