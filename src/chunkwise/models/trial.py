"""What a model makes of a small tile of noise: whether it runs at all, and whether two processes get the same bits."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from chunkwise.models.session import Session

__all__ = ["Trial", "of_noise"]

#: Of the noise: its largest value, and statistics that a model may ask for, so that it gets numbers of the usual size.
MOST: Final = 100.0
MEASURED: Final = {"mean": MOST / 2, "std": MOST / 12**0.5}


class Trial(NamedTuple):
    """What is known of a model that ran."""

    maps: tuple[int, ...]
    """How many maps each output has."""
    digest: str
    """Sha256 of the voxels of all of them."""


@lru_cache(maxsize=2)
def of_noise(session: Session, channels: tuple[int, ...], tile: tuple[int, ...], dtype: str) -> Trial:
    """Run the smallest tile that a model takes, of noise that is always the same; once a process.

    Parameters
    ----------
    session : Session
        The model.
    channels : tuple of int
        Of each input.
    tile : tuple of int
        Along each spatial axis; no longer than that.
    dtype : str
        Of the image.

    Raises
    ------
    InputError
        If the model does not run on such an image.
    """
    inputs, rng = session.package.inputs, np.random.default_rng(0)
    least = [max(tensor.sizes[axis].least for tensor in inputs) for axis in session.package.spatial]
    shape = [min(n, longest) for n, longest in zip(least, tile, strict=True)]
    arrays = [(MOST * rng.random((1, count, *shape))).astype(dtype) for count in channels]
    values = {}
    for measure in session.measures:
        one = MEASURED.get(measure.kind, MOST * measure.q)
        of = () if measure.over_channels else (channels[session.input_ids.index(measure.input)],)
        values[measure.key] = np.full(of if measure.dataset else (1, *of), one)
    outputs, found = session.run(arrays, values), hashlib.sha256()
    for output in outputs:
        found.update(np.ascontiguousarray(output).tobytes())
    return Trial(tuple(output.shape[1] for output in outputs), found.hexdigest())
