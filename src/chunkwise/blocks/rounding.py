"""Whether the processes of a run round alike.

NumPy computes exponentials, logarithms and powers by other instructions where a processor has AVX-512, and some results
have another last bit: ``exp(-1/8)``, for one, and with it the weights of a Gaussian. So on nodes of two kinds, blocks
of one image would not fit together to the bit, and a voxel might fall on the other side of a threshold. Where an
operation computes such functions in its blocks, every process leaves a file in the run directory whose name says what
it makes of some numbers; where there is another such file, it goes no further. A model is asked what it makes of a
small tile of noise, in the same way.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache

import numpy as np

from chunkwise.errors import ResumableError
from chunkwise.storage.writer import clear_errors

__all__ = ["check_rounding", "rounding"]

#: In the run directory, as long as the run lasts.
FOLDER = os.path.join("scratch", "rounding")


@cache
def rounding() -> str:
    """Sha256 of what this process makes of some numbers."""
    found = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        numbers = np.linspace(-20, 20, 4001, dtype=dtype)
        above = np.abs(numbers) + dtype(0.01)
        made = np.exp(numbers), np.log(above), np.power(above, dtype(2.4)), np.cbrt(numbers), np.cosh(numbers)
        for values in made:
            found.update(values.tobytes())
    return found.hexdigest()


def check_rounding(
    folder: str, made: str = "", rounds: str = "rounds exponentials, logarithms or powers in another way"
) -> None:
    """Compare how this process rounds with how the others of a run do, before and after it.

    Parameters
    ----------
    folder : str
        The run directory, which all its processes see.
    made : str
        Sha256 of what this process makes of something; without it, of numbers (:func:`rounding`).
    rounds : str
        What is said of a processor that makes something else of it.

    Raises
    ------
    ResumableError
        If another one rounds in another way.
    """
    place = os.path.join(folder, FOLDER)
    mine = os.path.join(place, (made or rounding())[:16])
    first = False
    with clear_errors(mine):
        os.makedirs(place, exist_ok=True)
        others = set(os.listdir(place)) - {os.path.basename(mine)}
        if not others:
            with suppress(FileExistsError), open(mine, "x", encoding="utf-8") as file:
                file.write(platform.node())
                first = True
            others = set(os.listdir(place)) - {os.path.basename(mine)}  # who began at the same time
        if not others:
            return
        node = "another node"
        with suppress(FileNotFoundError), open(os.path.join(place, min(others)), encoding="utf-8") as file:
            node = file.read() or node
        if first:
            os.unlink(mine)  # the run may go on where the others are
    raise ResumableError(
        f"The processor of {platform.node()} {rounds} than that of {node}, where this run began (most often one of "
        "them has AVX-512), so their blocks would differ in last bits; let the run have nodes of one kind "
        "(docs/clusters.md, 'Processors of one kind'), and run the same command again to resume."
    )
