"""What a run computes from what, by which it is known again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """What is computed from what.

    The hash covers the input's fingerprint, the parameters and the grid; neither workers nor the
    place of the output, which do not change the bytes.
    """

    operation: str
    inputs: dict[str, Any]
    parameters: dict[str, Any]
    layout: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """The content of ``plan.json``."""
        return {
            "chunkwise_plan": 1,
            "operation": self.operation,
            "inputs": self.inputs,
            "parameters": self.parameters,
            "layout": self.layout,
        }

    @property
    def hash(self) -> str:
        """Sha256 of the canonical document."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
