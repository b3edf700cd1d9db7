"""Runs everything in this process, where one worker is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["InlineExecutor"]


class InlineExecutor:
    """One worker: this process."""

    workers = 1

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call, in order."""
        for call in calls:
            yield function(*call)

    def note(self) -> str:
        """Nothing: there is nobody to wait for."""
        return ""
