"""Threshold by the mean."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic("mean", "Threshold by the mean", "uses the mean of the volume", floats="rtol 1e-6")
