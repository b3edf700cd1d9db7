"""Reading YAML that anybody may have written."""

from __future__ import annotations

from typing import Any

__all__ = ["check_yaml", "parse_yaml"]

#: Values that a document may stand for. An alias is a few letters and stands for all that its anchor does, also for
#: other aliases, so that a page of text can mean more values than any memory holds.
MOST_VALUES = 100_000


def check_yaml(content: bytes) -> None:
    """Refuse YAML that stands for far more than it says, before it is turned into values.

    Raises
    ------
    ValueError
        If it does, or is no YAML.
    """
    import yaml  # takes long, and few need it

    try:
        if _values(yaml.compose(content, yaml.SafeLoader), {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES} values")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"it is not YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_yaml(content: bytes) -> Any:
    """Read YAML as plain values.

    Raises
    ------
    ValueError
        If it is none, or stands for far more than it says.
    """
    import yaml

    check_yaml(content)
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"it is not YAML{f' (line {mark.line + 1})' if mark else ''}") from None


def _values(node: Any, known: dict[int, int]) -> int:
    """Count the values of a node, those of an alias as often as it stands there."""
    if node is None or isinstance(node.value, str):
        return 1
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # where it holds itself
        parts = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
