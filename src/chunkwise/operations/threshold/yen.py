"""The threshold of Yen, of a whole volume."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic("yen", "Yen threshold", "maximises the entropic correlation, for bright objects that vary a lot")
