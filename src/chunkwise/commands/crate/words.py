"""From a run record back to the words of the command that it is the record of.

The commands' own parsers say which options there are and what they take, so that there is no second list of them. A
record may have been written by anybody: only parameters of a list become words, none becomes an option or a path.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from chunkwise.errors import InputError
from chunkwise.faces.parser import add_arguments

if TYPE_CHECKING:
    from chunkwise.provenance.rerun import Step

__all__ = ["add_action", "check_words", "file_name", "parser_of", "words_of"]

#: Parameters that are noted of a run and are no options of its command.
_NOTED = {("predict", "model_sha256"), ("predict", "into_source"), ("fetch", "into_source"), ("objects", "model")}
#: What commands read.
_INPUTS = ("image", "labels", "truth", "predicted", "parents", "points", "table", *"bcdefgh")
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _Parser(argparse.ArgumentParser):
    """Refuses with an error of ours: what is wrong came from a file, and usage is of no help."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog} does not understand what was recorded: {message}.")


def add_action(actions: Any, name: str, words: str, about: str, act: Callable[..., int]) -> argparse.ArgumentParser:
    """Add an action to those of ``chunkwise crate``: its parser, to which its options are still to be added."""
    shown = argparse.RawDescriptionHelpFormatter
    parser: argparse.ArgumentParser = actions.add_parser(name, help=words, description=about, formatter_class=shown)
    parser.set_defaults(act=act)
    return parser


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command that makes records.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    from chunkwise.provenance.publishing.rules import PARAMETERS

    if command not in PARAMETERS:
        raise InputError(
            f"The command '{command}' cannot be run again from a record; these can: {', '.join(PARAMETERS)}."
        )
    parser = _Parser(prog=f"chunkwise {command}", add_help=False, allow_abbrev=False)
    add_arguments(parser, command)
    return parser


def check_words(steps: Sequence[Step]) -> None:
    """Refuse before anything else what no words of a command could say."""
    for step in steps:
        for source in step.sources.values():
            place = source.resource.location if source.typed else source.place or source.resource.location
            if place.startswith("-") or not place.isprintable():
                raise InputError(f"{step.name} read {place[:60]!r}, which is not a path or URL for a command.")
        foreign = sorted(set(step.sources) - set(_INPUTS))
        if foreign:
            raise InputError(f"{step.name} read '{foreign[0][:40]}', which is not an input of any command.")
        args = parser_of(step.record.command).parse_args(words_of(step, dict.fromkeys(step.sources, "x"), "x")[1:])
        for name in step.sources:
            if getattr(args, name, None) != "x":
                raise InputError(f"{step.name} read '{name[:40]}', which {step.record.command} does not take.")


def words_of(step: Step, inputs: dict[str, str], folder: str) -> list[str]:
    """Return the command, its name first, as a list of words; no shell ever reads it.

    Parameters
    ----------
    step : Step
        The run.
    inputs : dict of str to str
        Path or URL of everything that it reads.
    folder : str
        Where its results go.

    Raises
    ------
    InputError
        If the record has parameters that the command does not, or values that are none for it.
    """
    from chunkwise.provenance.publishing.rules import NAMES, PARAMETERS

    record, positional, words = step.record, [], []
    parameters = {name: value for name, value in record.parameters.items() if (record.command, name) not in _NOTED}
    unknown = sorted(set(parameters) - set(PARAMETERS[record.command]))
    if unknown:
        raise InputError(f"{step.name} has the parameter '{unknown[0][:40]}', which this chunkwise does not know.")
    parameters |= _adjusted(step)
    outputs = {resource.name: resource for resource in record.outputs}
    for action in parser_of(record.command)._actions:
        name, option = action.dest, next(iter(action.option_strings), None)
        if name in inputs:
            if option is None:
                positional.append(inputs[name])
            else:
                words += [option, inputs[name]]
        elif name in outputs and name in NAMES and option is not None:
            words += [option, os.path.join(folder, file_name(outputs[name]))]
        elif name == "record":
            words += ["--record", os.path.join(folder, "record.json")]
        elif name in parameters and option is not None:
            words += _words(action, option, parameters[name])
    return [record.command, *positional, *words]


def _adjusted(step: Step) -> dict[str, Any]:
    """Say recorded values in the words of the options where they are not."""
    from chunkwise.ngff.layout import shard_of

    record = step.record
    found: dict[str, Any] = {}
    channel = record.parameters.get("channel")
    if channel is not None:
        names = channel if isinstance(channel, list) else [channel]
        channels = [_channel(record, str(name)) for name in names]
        found["channel"] = channels if isinstance(channel, list) else channels[0]
        if record.command == "measure" and "image" not in step.sources:
            found["channel"] = None
    shape, shard = (record.plan or {}).get("shape"), record.parameters.get("shard")
    sized = isinstance(shape, list) and shape and all(isinstance(n, int) and n > 0 for n in shape)
    # What is the usual for such an image was not asked for; to ask for it would shape the small levels, too.
    if sized and shape and shard is not None and shard == list(shard_of(tuple(shape))[1]):
        found["shard"] = None
    if record.parameters.get("into_source") is not None:
        found["into_source"] = None
    for source in record.inputs if record.command == "convert" and record.parameters.get("name") is None else ():
        # A file is called by its own name, and may have another one by now.
        if str(source.media_type or "").startswith("image/") and isinstance(source.description.get("name"), str):
            found["name"] = source.description["name"]
    if record.command == "predict":
        found["model"] = step.model or record.parameters.get("model")
        if not found["model"]:
            raise InputError(f"{step.name} does not say which model it ran; give it with --map model=ID.")
        if step.model is None and not _MODEL_ID.fullmatch(str(found["model"])):
            raise InputError(f"{step.name} names its model by a path; give the path with --map model=PATH.")
    return found


def _channel(record: Any, name: str) -> str:
    """Name a channel as the image does, else by its number: tables name theirs in their own way."""
    from chunkwise.provenance.chain import channel_number

    described = [resource.description.get("channels") or [] for resource in record.inputs]
    if any(isinstance(entry, dict) and entry.get("name") == name for entries in described for entry in entries):
        return name
    number = channel_number(record, name)
    return name if number is None else str(number)


def file_name(output: Any) -> str:
    """Return the name that an output gets in a rerun."""
    from chunkwise.provenance.publishing.rules import ENDINGS

    return f"{output.name}{ENDINGS.get(output.media_type, '')}"


def _words(action: argparse.Action, option: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if action.nargs == 0:
        if value is not True:
            raise InputError(f"{option} takes no value, and {str(value)[:40]!r} was recorded for it.")
        return [option]
    if isinstance(action, argparse._AppendAction):
        return [word for item in (value if isinstance(value, list) else [value]) for word in _one(option, item)]
    if action.nargs == "+":
        items = [_text(option, item) for item in (value if isinstance(value, list) else [value])]
        if not items or any(item.startswith("-") for item in items):
            raise InputError(f"The value {str(value)[:40]!r} is not valid for {option}.")
        return [option, *items]
    return _one(option, ",".join(_text(option, item) for item in value) if isinstance(value, list) else value)


def _one(option: str, value: Any) -> list[str]:
    text = _text(option, value)
    # With the sign of equality, it stays a value whatever it begins with.
    return [f"{option}={text}"] if text.startswith("-") or not text else [option, text]


def _text(option: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"The value {str(value)[:40]!r} is not valid for {option}.")
    return value if isinstance(value, str) else repr(value)
