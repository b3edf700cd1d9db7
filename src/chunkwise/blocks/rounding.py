"""Whether the processes of a run round alike.

NumPy computes exponentials, logarithms and powers by other instructions where a processor has AVX-512, and some results
have another last bit: ``exp(-1/8)``, for one, and with it the weights of a Gaussian. So on nodes of two kinds, blocks
of one image would not fit together to the bit, and a voxel might fall on the other side of a threshold. Where an
operation computes such functions in its blocks, every process leaves a file in the run directory whose name says what
it makes of some numbers; where there is another such file, it goes no further.
"""

from __future__ import annotations

import hashlib
import os
import platform
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


def check_rounding(folder: str) -> None:
    """Compare how this process rounds with how the others of a run do, before and after it.

    Parameters
    ----------
    folder : str
        The run directory, which all its processes see.

    Raises
    ------
    ResumableError
        If another one rounds in another way.
    """
    place = os.path.join(folder, FOLDER)
    mine = os.path.join(place, rounding()[:16])
    with clear_errors(mine):
        os.makedirs(place, exist_ok=True)
        try:
            with open(mine, "x", encoding="utf-8") as file:
                file.write(platform.node())
            first = True
        except FileExistsError:
            first = False
        others = sorted(set(os.listdir(place)) - {os.path.basename(mine)})
        if not others:
            return
        with open(os.path.join(place, others[0]), encoding="utf-8") as file:
            node = file.read() or "another node"
        if first:
            os.unlink(mine)  # the run may go on where the others are
    raise ResumableError(
        f"The processor of {platform.node()} rounds exponentials, logarithms or powers in another way than that of "
        f"{node}, where this run began (most often one of them has AVX-512), so their blocks would differ in last "
        "bits; let the run have nodes of one kind (docs/clusters.md, 'Processors of one kind'), and run the same "
        "command again to resume."
    )
