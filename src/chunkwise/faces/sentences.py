"""What a command says, as the page of a Galaxy tool says it: fields for options, no places of the server.

A sentence is written once, for the command line. In a job of Galaxy, which is known by the variable that the tools set,
an option is called by the label of its field, and a place as the user knows it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from threading import Lock
from typing import Final, TextIO

from chunkwise.operations import families, has_methods, load_family, operations_of, options_of
from chunkwise.site.called import called, in_galaxy

__all__ = ["labels_of", "on_page", "speaking", "told"]

#: Labels of options that no declaration has, by the command, or for all.
_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "to_workspace": "Name of the result",
        "preview_region": "Region to preview",
        "block": "Block size",
        "shard": "Shard size",
        "labels": "Labels",
        "image": "Image",
        "format": "Format",
        "dictionary": "Explain the columns",
        "parents": "Parents",
        "summary": "Summarise the image",
        "children": "Count the children",
    },
    "predict": {"block": "Tile size"},
    "math": {"image": "Image a"},
    "open": {"strict": "Refuse metadata that break the OME-Zarr specification", "fingerprint": "Fingerprint"},
    "verify": {"what": "Which data", "dandi": "DANDI checksum", "against": "What it should be"},
    "crate": {
        "from": "RO-Crates and references",
        "runs": "RO-Crates and references",
        "galaxy": "Galaxy's export of the invocation",
        "outside": "Runs outside of the workflow, too",
        "publish": "Fit to publish",
        "profile": "Profile",
        "name": "Title",
        "description": "Description",
        "license": "Licence",
        "author_name": "Author",
        "author_orcid": "ORCID of the author",
        "organization": "Organisation",
        "organization_url": "Web address of the organisation",
        "organism": "Organism",
        "modality": "Modality",
        "specimen": "Specimen",
        "biosample": "Biosample",
        "channel": "Channel and what it shows",
        "image_license": "Licence of the images",
        "about": "File with these details",
        "source_crate": "RO-Crate of the image",
    },
}
_OPTION = re.compile(r"(?:\b(with|by|give|gives) )?(?<![\w-])--([a-z](?:[a-z-]*[a-z])?)(?![a-z])")
_CHOICE = re.compile(r"(?:\b(with|by|give|gives) )?(?<![\w-])--([a-z][a-z-]*) ([\w-]+)")
_TOOL = re.compile(r"'chunkwise (\w+)((?: --[a-z-]+ [^\s']+)*)'")
_BEFORE: Final = {"with": "under ", "by": "under ", "give": "choose ", "gives": "chooses "}
_CHOSEN: Final = {None: "", "with": "with ", "by": "by ", "give": "choose ", "gives": "chooses "}
#: What a person does again: a command in a shell, a tool in the page.
_AGAIN: Final = {
    "run the same command again": "run the tool again",
    "give the same command again": "run the tool again",
    "run this command again": "run the tool again",
    "the same command resumes": "running the tool again resumes",
}
_COMMAND = re.compile("|".join(_AGAIN))


def labels_of(command: str) -> dict[str, str]:
    """What the page calls the options of a command, by their names with underscores."""
    operations = operations_of(command) if command in families() else {}
    declared = options_of(operations)
    roles = {name: role.label for one in operations.values() for name, role in one.takes.items() if role.option}
    own = {name: parameter.label for name, (parameter, _) in declared.items()}
    method = {"method": "Method"} if command in families() else {}
    said = {name: label for name, label in roles.items() if label}
    return {**_LABELS[""], **method, **said, **own, **_LABELS.get(command, {})}


def _choices_of(command: str) -> dict[tuple[str, str], str]:
    """What the page calls the choices of a command, by option and word."""
    if command not in families():
        return {}
    operations = operations_of(command)
    said = {("method", one.name): one.title for one in operations.values()} if has_methods(command) else {}
    for name, (parameter, _) in options_of(operations).items():
        said |= {(name, word): words for word, words in parameter.meanings.items() if words != word}
    return {choice: f"{words[:1].upper()}{words[1:]}" for choice, words in said.items()}


def _tool(found: re.Match[str]) -> str:
    """A command that does something else first, as its tool, and what to choose there."""
    command, options = found.groups()
    if command not in families():
        return found.group()
    labels, choices = labels_of(command), _choices_of(command)
    words = [(option.replace("-", "_"), word) for option, word in re.findall(r"--([a-z-]+) (\S+)", options)]
    said = "; ".join(f"{labels.get(name, name)}: {choices.get((name, word), word)}" for name, word in words)
    return f"'{load_family(command).title}'{f' ({said})' if said else ''}"


def told(command: str, sentence: str) -> str:
    """Say a sentence in the words of the page, where this is a job of Galaxy."""
    if not in_galaxy():
        return sentence
    return _COMMAND.sub(lambda found: _AGAIN[found.group()], called(on_page(command, sentence)))


def on_page(command: str, sentence: str) -> str:
    """Call options, choices and other commands what the page of a command calls them."""
    labels = labels_of(command)

    def field(found: re.Match[str]) -> str:
        before, option = found.group(1), found.group(2)
        label = labels.get(option.replace("-", "_"))
        if label is None:  # no field: the page does not ask for it
            return f"{before + ' ' if before else ''}{option.replace('-', ' ')}"
        return f"{_BEFORE.get(before or '', '')}'{label}'"

    def choice(found: re.Match[str]) -> str:
        before, name = found.group(1), found.group(2).replace("-", "_")
        words = choices.get((name, found.group(3)))
        if words is None or name not in labels:
            return found.group()
        return f"{_CHOSEN[before]}'{words}' under '{labels[name]}'"

    choices = _choices_of(command)
    return _OPTION.sub(field, _CHOICE.sub(choice, _TOOL.sub(_tool, sentence)))


class _Told(io.TextIOBase):
    """A stream that says every line in the words of the page."""

    def __init__(self, to: TextIO, command: str) -> None:
        self._to, self._command, self._rest, self._lock = to, command, "", Lock()

    def write(self, text: str) -> int:
        with self._lock:  # threads print, too
            *lines, self._rest = (self._rest + text).split("\n")
            if lines:
                self._to.write("".join(f"{self._line(line)}\n" for line in lines))
        return len(text)

    def _line(self, line: str) -> str:
        # Where in the code something went wrong is for the administrator.
        return line if line.lstrip().startswith('File "') else told(self._command, line)

    def flush(self) -> None:
        self._to.flush()

    def end(self) -> None:
        """Say what has no end of line yet."""
        rest, self._rest = self._rest, ""
        self._to.write(self._line(rest) if rest else "")
        self._to.flush()


@contextmanager
def speaking(command: str) -> Iterator[None]:
    """Let a command print in the words of the page, where this is a job of Galaxy."""
    if not in_galaxy():
        yield
        return
    streams = _Told(sys.stdout, command), _Told(sys.stderr, command)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(streams[0]))
        stack.enter_context(redirect_stderr(streams[1]))
        for one in streams:
            stack.callback(one.end)
        yield
