"""What the demo says on the terminal: one line a step, with its time; colours only where they are wanted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Step", "Terminal"]

#: Column in which the result of a step begins.
INDENT = 12


class Step:
    """A step that is done."""

    def __init__(self, name: str, command: str | None, said: str, seconds: float) -> None:
        self.name, self.command, self.said, self.seconds = name, command, said, seconds


class Terminal:
    """Runs steps and says so.

    Parameters
    ----------
    folder : Path
        Where commands run.
    """

    def __init__(self, folder: Path) -> None:
        self.steps: list[Step] = []
        self._folder = folder
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colored = self._live and not os.environ.get("NO_COLOR")

    def paint(self, text: str, code: str) -> str:
        """Colour a text where colours are wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colored else text

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, flush=True)

    def work(self, name: str, function: Callable[[], str]) -> None:
        """Do something in this process; it returns what came out of it, in one line."""
        self._begin(name)
        begin = time.monotonic()
        said = function()
        self._end(Step(name, None, said, time.monotonic() - begin))

    def command(self, name: str, words: list[str], said: Callable[[str], str]) -> None:
        """Run a chunkwise command, and show how far it is.

        Parameters
        ----------
        name : str
            Of the step.
        words : list of str
            Of the command, without ``chunkwise``.
        said : callable
            Turns the command's standard output into one line.

        Raises
        ------
        SystemExit
            If the command fails; its own sentence is printed.
        """
        self._begin(name)
        begin = time.monotonic()
        environment = {key: value for key, value in os.environ.items() if key != "CHUNKWISE_SITE"}
        call = [str(Path(sys.executable).parent / "chunkwise"), *words]
        with subprocess.Popen(  # noqa: S603 - our own command
            call,
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            complaints = []
            for line in process.stderr:  # progress: a line a pass; the output proper is short, and waits in its pipe
                complaints.append(line.rstrip())
                self._progress(name, line)
            output = process.stdout.read()
        if process.returncode:
            self.say("\n" + "\n".join(complaints[-5:]) + output)
            sys.exit(process.returncode)
        self._end(Step(name, shlex.join(["chunkwise", *words]), said(output), time.monotonic() - begin))

    def _begin(self, name: str) -> None:
        # In a log the line stands unfinished until the step is done; on a terminal it is written anew.
        print(f"  {self.paint(name.ljust(INDENT), '1')}", end="", flush=True)

    def _progress(self, name: str, line: str) -> None:
        if self._live:
            text = " ".join(line.split())[:60]
            print(f"\r\x1b[K  {self.paint(name.ljust(INDENT), '1')}{self.paint(text, '2')}", end="", flush=True)

    def _end(self, step: Step) -> None:
        self.steps.append(step)
        if self._live:
            print(f"\r\x1b[K  {self.paint(step.name.ljust(INDENT), '1')}", end="")
        print(f"{step.said:<72}{self.paint(f'{step.seconds:6.1f} s', '2')}", flush=True)
