"""The ``chunkwise`` command: finds the sub-command, runs it, and turns errors into one sentence."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from textwrap import wrap
from types import ModuleType

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.operations import families, load_family
from chunkwise.story import in_order

__all__ = ["COMMANDS", "FOR_ADMINISTRATORS", "build_parser", "main"]

#: Name and one-line summary of every command that is no operation; its module is imported only when it is called, so
#: that ``chunkwise --help`` answers at once. Operations say theirs in :mod:`chunkwise.operations`.
COMMANDS: dict[str, str] = {
    "open": "check a store and write a small reference to it",
    "inspect": "describe an image, and show it: a page to browse, a page with pictures, a JSON summary",
    "crate": "build, merge, check, show or run again the RO-Crate that says what was done",
    "verify": "check that stores and tables are still the same, byte for byte",
    "model": "for administrators: approve, list, test and remove bioimage.io models",
    "site": "for administrators: test every promise of the site file",
    "workspace": "for administrators: remove results that nobody needs any more",
}

#: Commands that are no tools of Galaxy: they say or remove what is not their caller's own, so that only whoever has
#: a shell as the workspace's owner is to have them.
FOR_ADMINISTRATORS: frozenset[str] = frozenset({"model", "site", "workspace"})

#: Options that name a place and are no outputs; with an empty value they, as outputs, are a variable of somebody's
#: script that was never set.
PLACES = frozenset(
    {"to_workspace", "into_source", "crate", "labels", "model", "library", "about", "source_crate", "galaxy"}
)

DESCRIPTION = """\
Work on OME-Zarr images in place, block by block, with the same result as on the whole image.

IMAGE is always a path, a URL, or a reference (the small JSON that 'chunkwise open' writes)."""


def load_command(name: str) -> ModuleType:
    """Import the module of a command that is no operation."""
    return importlib.import_module(f"chunkwise.commands.{name}")


def summaries() -> dict[str, str]:
    """Every command with its one line, in the order in which people meet them."""
    known = COMMANDS | {name: load_family(name).summary for name in families()}
    return {name: known[name] for names in in_order(known).values() for name in names}


def _all_commands() -> str:
    """The commands by the parts of the work; argparse knows one list only."""
    known = summaries()
    lines = []
    for part, names in in_order(known).items():
        lines += ["", f"{part}:"]
        for name in names:
            lines += wrap(known[name], 79, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)
    return "\n".join([*lines, "", "'chunkwise COMMAND --help' says what a command does and what each option means."])


def build_parser(name: str | None = None, words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Build the parser; with ``name``, only that command's options are filled in.

    Parameters
    ----------
    name : str, optional
        A key of :data:`COMMANDS`, or a family of operations.
    words : sequence of str
        That were typed: operations of other packages are looked for only where one is named.
    """
    parser = argparse.ArgumentParser(
        prog="chunkwise",
        usage="chunkwise [-h] [--version] COMMAND ..." if name is None else None,
        description=DESCRIPTION,
        epilog=_all_commands() if name is None else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    for command in summaries() if name is None else [name]:
        sub = commands.add_parser(
            command, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=command == name
        )
    if name in COMMANDS:
        module = load_command(name)
        sub.description = module.__doc__
        module.add_arguments(sub)
    elif name is not None:
        from chunkwise.faces.parser import add_arguments, description_of, method_in

        method = method_in(words)
        sub.description = description_of(name, method)
        add_arguments(sub, name, method)
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.command in COMMANDS:
        return int(load_command(args.command).run(args) or 0)
    from chunkwise.faces.parser import run_command

    return run_command(args.command, vars(args))


class _Version(argparse.Action):
    """Ask the installed package only when somebody wants to know."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from chunkwise import __version__

        print(f"chunkwise {__version__}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    known = {*COMMANDS, *families()}
    name = next((word for word in arguments if word in known), None)
    try:
        parser = build_parser(name, arguments)
    except ChunkwiseError as error:
        _complain(str(name), " ".join(str(error).split()))
        return error.exit_code
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help()
        return 0
    from chunkwise.faces.sentences import speaking

    with suppress(AttributeError):  # whatever stands in for it in a test
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    stops: list[KeyboardInterrupt] = []
    try:
        with _stopping_in_order(stops), speaking(args.command):
            _check_values(args)
            _hold_outputs(args)
            code = _run(args)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt as stop:
        return _stopped(args.command, stop)
    except BrokenPipeError:
        # Whoever reads what is printed has had enough, such as 'head'; every file is written by then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except Exception as error:
        behind = _stop_behind(error) or next(iter(stops), None)
        if behind is not None:
            return _stopped(args.command, behind)
        if isinstance(error, ChunkwiseError):
            _complain(args.command, " ".join(str(error).split()))
            return error.exit_code
        if os.environ.get("CHUNKWISE_DEBUG"):
            raise
        outside = _not_ours(error)
        if outside is not None:
            _complain(args.command, outside)
            return 4
        _complain(
            args.command,
            f"an error that chunkwise did not foresee: {type(error).__name__}: {' '.join(str(error).split())} "
            "Set CHUNKWISE_DEBUG=1 to see where, and please report it.",
        )
        return 70


def _stopped(command: str, stop: KeyboardInterrupt) -> int:
    """Say that a signal ended the command; gives the exit code."""
    # Python notes an interruption inside of text that it runs, as a dataclass is made from, and kills itself at its
    # end although it was caught here; other text makes it forget.
    exec("")  # noqa: S102 - nothing is run
    _complain(command, "interrupted; run the same command again to resume where it stopped.")
    return 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT)


def _stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Find the signal that an error comes from: a compiled module that is just being loaded makes another of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _check_values(args: argparse.Namespace) -> None:
    """Refuse values that the shell was to make something of, and did not.

    Raises
    ------
    InputError
        With the value.
    """
    from chunkwise.running.outputs import Output

    for name, value in vars(args).items():
        for word in value if isinstance(value, list) else [value]:
            if not isinstance(word, str | os.PathLike):
                continue
            text = os.fspath(word)
            if not text and (name in PLACES or isinstance(word, Output)):
                raise InputError(
                    f"The value of --{name.replace('_', '-')} is empty; give one, or leave out the option."
                )
            home, slash, _ = text.partition("/")
            if slash and home.startswith("~") and os.path.expanduser(home) != home and not os.path.lexists(home):
                raise InputError(
                    f"{text} begins with '~', which the shell did not replace with your home folder; leave out the "
                    "quotation marks, put a space instead of '=' before it, or write the whole path."
                )


def _not_ours(error: Exception) -> str | None:
    """Say what stopped a command that lies with the machine, such as a file that somebody removed; else None."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; give a smaller --block, or fewer --workers, and run the same command again."
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{os.strerror(error.errno)}. Fix the cause and run the same command again."
    return None


def _hold_outputs(args: argparse.Namespace) -> None:
    """Before anything else: no command writes where the site does not allow it."""
    from chunkwise.running.outputs import hold_outputs, outputs_of
    from chunkwise.site import load_site

    options = vars(args)
    if outputs_of(options):
        hold_outputs(options, load_site())


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def _stopping_in_order(stops: list[KeyboardInterrupt]) -> Iterator[None]:
    """Treat SIGTERM, which Galaxy and Slurm send to a job that is cancelled, like Ctrl-C: workers end, files close.

    ``stops``: where it is noted, because an error may be all that comes of it.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would disturb what the first one began
        stops.append(_Terminated("SIGTERM"))
        raise stops[0]

    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread only
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _complain(command: str, sentence: str) -> None:
    from chunkwise.faces.sentences import told

    # A log is read by more people than whoever typed a password into an address.
    sentence = re.sub(r"(?<=://)[^\s/@]+(?=@)", "...", sentence)
    print(f"chunkwise {command}: error: {told(command, sentence)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
