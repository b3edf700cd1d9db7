"""Inputs broken at random, by a seed, and commands given to them: whatever comes is a result or one sentence.

Every case begins with the same small files: images of both versions, labels, a plate, maps, references, records, a
crate, a manifest, a run that was killed, a model, a site file. One of them is changed, or an option gets a value that
nobody would give, and a command reads it in this process. ``Fuzzer(folder).run(number)`` does one case.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

import made_models
import made_stores
from chunkwise.cli import main
from fuzzing_changes import VALUES, change_bytes, change_json, change_lines, change_zip
from verifying import fill

__all__ = ["Fuzzer", "Outcome"]

#: Seconds that a case may take; most take less than one.
LIMIT = 120
ROOT = Path(__file__).parents[1]
OUTPUTS = ("out.ome.zarr", "out.ome.tif", "out.tsv", "out.json", "out.zip", "out.html", "out.png")


class HangError(BaseException):
    """A case that does not end; nothing that catches errors catches it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    number: int
    what: str
    words: list[str]
    code: int
    said: str
    left: list[str]
    """Final names that are there although the command failed."""

    @property
    def fault(self) -> str | None:
        """What is wrong with it; None where nothing is."""
        if self.code not in (0, 1, 2, 3, 4):
            return f"exit code {self.code}"
        if "Traceback" in self.said or "did not foresee" in self.said:
            return "a traceback"
        if self.code in (2, 3, 4) and "error: " not in self.said:
            return "no sentence"
        return f"left {self.left}" if self.left else None

    def __str__(self) -> str:
        return f"case {self.number}: {self.what}: chunkwise {' '.join(self.words)}: {self.code}: {self.said[-400:]}"


class Fuzzer:
    """Makes the files once, and then case by case.

    Parameters
    ----------
    folder : Path
        Where they may lie; empty.
    model : bool
        Whether models are among them, which take longer.
    """

    def __init__(self, folder: Path, model: bool = True) -> None:
        self._pristine, self._work = folder / "pristine", folder / "work"
        self._work.mkdir()
        with inside(self._work):
            self._make(model)
        shutil.copytree(self._work, self._pristine, symlinks=True)
        self._kinds: list[Callable[[random.Random], tuple[str, list[str]]]] = [
            self._document, self._document, self._labels, self._plate, self._chunk, self._reference, self._record,
            self._crate, self._crate, self._source_crate, self._site, self._manifest, self._run_directory, self._about,
            self._invocation, self._option, self._option, self._option,
        ]  # fmt: skip
        if model:
            self._kinds += [self._package, self._package]

    def run(self, number: int) -> Outcome:
        """Do a case."""
        shutil.rmtree(self._work)
        shutil.copytree(self._pristine, self._work, symlinks=True)
        rng = random.Random(f"chunkwise {number}")
        with inside(self._work):
            what, words = self._kinds[number % len(self._kinds)](rng)
            code, said = call(words)
            left = [name for name in OUTPUTS if code in (2, 3, 4) and os.path.lexists(name)]
            left += [str(path) for path in self._work.rglob("*.part")]
        return Outcome(number, what, words, code, said, left)

    def _make(self, model: bool) -> None:
        fill(made_stores.write(Path("i.ome.zarr"), "0.5", "yx", (64, 64), chunk=32))
        fill(made_stores.write(Path("old.ome.zarr"), "0.4", "czyx", (2, 4, 32, 32), chunk=16))
        plate = {"plate": {"name": "p", "rows": [{"name": "A"}], "columns": [{"name": "1"}],
                           "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}}  # fmt: skip
        top = zarr.open_group("p.ome.zarr", mode="w", zarr_format=3)
        top.attrs.update({"ome": {"version": "0.5", **plate}})
        top.create_group("A").create_group("1").attrs.update(
            {"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}}
        )
        fill(made_stores.write(Path("p.ome.zarr/A/1/0"), "0.5", "yx", (32, 32), chunk=16))
        reports = ["--reference", "l.json", "--crate", "c.zip"]
        done = [
            ["segment", "i.ome.zarr", "--output", "l.ome.zarr", "--shard", "32,32", "--record", "r.json", *reports],
            ["segment", "i.ome.zarr", "--into-source", "nuclei", "--sigma", "0"],
            ["open", "i.ome.zarr", "--output", "i.json", "--fingerprint", "full", "--manifest", "m.tsv.gz"],
        ]
        for words in done:
            assert main([*words, "--workers", "1"] if words[0] == "segment" else words) == 0
        shutil.copytree("l.ome.zarr.run", "killed.ome.zarr.run")
        Path("killed.ome.zarr.run/record.json").unlink()
        shutil.copytree("l.ome.zarr", "killed.ome.zarr.partial")
        Path("site.toml").write_text(
            f'[roots.here]\npath = "{self._work}"\naccess = "write"\n[workspace]\nroot = "here"\nlayout = "flat"\n'
            'quota = "1GiB"\nkeep = "90d"\n[limits]\noutput = "1GiB"\n[cluster]\ndefault = "local"\n'
            '[clusters.local]\nkind = "local"\nworkers = 1\nmemory_per_worker = "1GiB"\n'
        )
        Path("about.yml").write_text("organism: Mus musculus (NCBI:txid10090)\nchannel:\n  DAPI: nuclei\n")
        shutil.copy(ROOT / "test-data" / "one_image.rocrate.zip", "invocation.zip")
        if model:
            made_models.make_package(Path("model"))

    # Each changes a file and gives a command that reads it.

    def _document(self, rng: random.Random) -> tuple[str, list[str]]:
        store = rng.choice(["i.ome.zarr", "old.ome.zarr"])
        names = ["zarr.json", ".zattrs", ".zgroup", ".zarray"]
        found = sorted(path for name in names for path in Path(store).rglob(name) if "labels" not in path.parts)
        return change_json(rng, rng.choice(found)), self._reading(rng, store)

    def _labels(self, rng: random.Random) -> tuple[str, list[str]]:
        store = rng.choice(["l.ome.zarr", "i.ome.zarr/labels/nuclei", "i.ome.zarr/labels"])
        what = change_json(rng, rng.choice(sorted(Path(store).rglob("zarr.json"))))
        labels = store if store != "i.ome.zarr/labels" else "i.ome.zarr/labels/nuclei"
        words = [
            ["measure", "--labels", labels, "--image", "i.ome.zarr", "--output", "out.tsv"],
            ["measure", "--labels", labels, "--output", "out.tsv"],
            ["compare", labels, "l.ome.zarr", "--output", "out.json"],
            ["segment", "i.ome.zarr", "--into-source", "more"],
            ["open", labels, "--output", "out.json"],
        ]
        return what, rng.choice(words)

    def _plate(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_json(rng, rng.choice(sorted(Path("p.ome.zarr").rglob("zarr.json"))))
        store = rng.choice(["p.ome.zarr", "p.ome.zarr", "p.ome.zarr/A/1", "p.ome.zarr/A/1/0"])
        return what, rng.choice([["open", store, "--output", "out.json"], ["inspect", store, "--html", "out.html"]])

    def _chunk(self, rng: random.Random) -> tuple[str, list[str]]:
        store = rng.choice(["i.ome.zarr", "old.ome.zarr", "l.ome.zarr"])
        meta = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
        chunks = sorted(path for path in Path(store).rglob("*") if path.is_file() and path.name not in meta)
        what = change_bytes(rng, rng.choice(chunks))
        if store == "l.ome.zarr":
            return what, ["measure", "--labels", store, "--image", "i.ome.zarr", "--output", "out.tsv"]
        return what, self._reading(rng, store)

    def _reference(self, rng: random.Random) -> tuple[str, list[str]]:
        name = rng.choice(["i.json", "l.json"])
        what = change_json(rng, Path(name))
        words = [
            ["crate", "build", "--from", name, "--output", "out.zip"],
            ["verify", name, "--json", "out.json"],
            ["measure", "--labels", "l.json", "--image", "i.json", "--output", "out.tsv", "--crate", "out.zip"],
        ]
        return what, rng.choice([*words, self._reading(rng, name)])

    def _record(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_json(rng, Path("r.json"))
        words = [
            ["crate", "build", "--from", "r.json", "--output", "out.zip", *rng.choice([[], ["--publish"]])],
            ["crate", "report", "r.json", "--html", "out.html"],
            ["crate", "rerun", "r.json", "--dry-run"],
            ["verify", "r.json", "--json", "out.json"],
        ]
        return what, rng.choice(words)

    def _crate(self, rng: random.Random) -> tuple[str, list[str]]:
        words = [
            ["crate", "build", "--from", "c.zip", "--output", "out.zip"],
            ["crate", "report", "c.zip", "--html", "out.html"],
            ["crate", "rerun", "c.zip", "--dry-run"],
            ["verify", "c.zip", "--json", "out.json"],
            ["verify", "l.ome.zarr", "--against", "c.zip", "--json", "out.json"],
        ]
        return change_zip(rng, Path("c.zip")), rng.choice(words)

    def _source_crate(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_zip(rng, Path("c.zip"))
        return what, ["crate", "build", "--from", "r.json", "--source-crate", "c.zip", "--output", "out.zip"]

    def _invocation(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_zip(rng, Path("invocation.zip"))
        return what, ["crate", "merge", "--galaxy", "invocation.zip", "--runs", "r.json", "--output", "out.zip"]

    def _site(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_lines(rng, Path("site.toml"))
        words = [["site", "check"], ["fetch", "i.ome.zarr", "--to-workspace", "out"], self._reading(rng, "i.ome.zarr")]
        return what, ["CHUNKWISE_SITE=site.toml", *rng.choice(words)]

    def _manifest(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_bytes(rng, Path("m.tsv.gz"))
        return what, ["verify", "i.ome.zarr", "--against", "m.tsv.gz", "--json", "out.json"]

    def _run_directory(self, rng: random.Random) -> tuple[str, list[str]]:
        run = Path("killed.ome.zarr.run")
        files = sorted(path for path in run.rglob("*") if path.is_file())
        path = rng.choice(files)
        what = change_json(rng, path) if path.suffix == ".json" else change_bytes(rng, path)
        words = [
            ["crate", "build", "--from", str(run), "--output", "out.zip"],
            ["segment", "i.ome.zarr", "--output", "killed.ome.zarr", "--shard", "32,32", "--workers", "1"],
        ]
        return what, rng.choice(words)

    def _about(self, rng: random.Random) -> tuple[str, list[str]]:
        what = change_lines(rng, Path("about.yml"))
        return what, ["crate", "build", "--from", "r.json", "--about", "about.yml", "--output", "out.zip"]

    def _package(self, rng: random.Random) -> tuple[str, list[str]]:
        model = f"model-{rng.randrange(10**9)}"  # a process that loaded a package knows it by its path
        os.rename("model", model)
        files = sorted(path for path in Path(model).iterdir() if path.suffix != ".md")
        path = rng.choice([Path(model, "bioimageio.yaml"), *files])
        what = change_lines(rng, path) if path.suffix == ".yaml" else change_bytes(rng, path)
        predict = ["predict", "i.ome.zarr", "--model", model, "--output", "out.ome.zarr", "--workers", "1"]
        os.makedirs("library")
        return what, rng.choice([predict, ["model", "add", model, "--library", "library"]])

    def _option(self, rng: random.Random) -> tuple[str, list[str]]:
        words = rng.choice(
            [
                ["fetch", "i.ome.zarr", "--output", "out.ome.zarr"],
                ["fetch", "old.ome.zarr", "--output", "out.ome.tif"],
                ["segment", "old.ome.zarr", "--output", "out.ome.zarr", "--channel", "0"],
                ["measure", "--labels", "l.ome.zarr", "--image", "i.ome.zarr", "--output", "out.tsv"],
                ["compare", "l.ome.zarr", "l.ome.zarr", "--output", "out.json"],
                ["objects", "old.ome.zarr", "--output", "out.ome.zarr"],
                ["inspect", "i.ome.zarr", "--html", "out.html"],
                ["open", "i.ome.zarr", "--output", "out.json"],
                ["verify", "i.json", "--json", "out.json"],
                ["crate", "build", "--from", "r.json", "--output", "out.zip"],
            ]
        )
        option = rng.choice(options_of(words))
        value = rng.choice(VALUES)
        place = rng.randrange(len(words) + 1)
        if rng.random() < 0.15:
            words = [*words[:place], value, *words[place:]] if place else words
            return f"a value {value[:40]!r} in between", words
        given = [f"{option}={value}"] if rng.random() < 0.5 else [option, value]
        return f"{option} {value[:40]!r}", [*words, *given]

    @staticmethod
    def _reading(rng: random.Random, store: str) -> list[str]:
        words = [
            ["open", store, "--output", "out.json", "--fingerprint", rng.choice(["stat", "sample", "full"])],
            ["inspect", store, "--json", "out.json"],
            ["fetch", store, "--output", "out.ome.zarr", "--workers", "1"],
            ["fetch", store, "--output", "out.ome.tif", "--workers", "1"],
            ["segment", store, "--output", "out.ome.zarr", "--workers", "1", "--channel", "0"],
            ["objects", store, "--output", "out.ome.zarr", "--workers", "1"],
            ["measure", "--labels", "l.ome.zarr", "--image", store, "--output", "out.tsv", "--workers", "1"],
        ]
        return rng.choice(words)


def options_of(words: list[str]) -> list[str]:
    """Name the options of a command that take a value."""
    from chunkwise.cli import build_parser

    parser: Any = build_parser(words[0])
    for word in words[:2]:
        actions = [action for action in parser._actions if isinstance(getattr(action, "choices", None), dict)]
        if actions and word in actions[0].choices:
            parser = actions[0].choices[word]
    return sorted(
        action.option_strings[-1] for action in parser._actions if action.option_strings and action.nargs != 0
    )


def call(words: list[str]) -> tuple[int, str]:
    """Run a command in this process; its exit code, and all that it printed."""
    settings = {"CHUNKWISE_DEBUG": "1"} | dict(word.split("=", 1) for word in words if word.startswith("CHUNKWISE_"))
    words = [word for word in words if not word.startswith("CHUNKWISE_")]
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)

    def stop(*_: object) -> None:
        raise HangError(f"chunkwise {' '.join(words)}")

    before, old = signal.signal(signal.SIGALRM, stop), {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    signal.alarm(LIMIT)
    # Where not even a signal comes through.
    faulthandler.dump_traceback_later(2 * LIMIT, exit=True, file=sys.__stderr__)
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            try:
                code = main(words)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except Exception:  # for this the command has no sentence, or one that fits everything
                traceback.print_exc()
                code = 70
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        for name, value in old.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    return code, printed.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
