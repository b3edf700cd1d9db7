"""Coordinates, workers and journals; no image operation."""
