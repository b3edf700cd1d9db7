"""Isodata threshold."""

from __future__ import annotations

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic("isodata", "Isodata threshold", "takes the middle between the means of both sides")
