"""Run something as somebody who reads what root reads, and writes nothing of root's."""

from __future__ import annotations

__all__ = ["AS_NOBODY", "NOBODY"]

NOBODY = 65534
#: To put before a command of root's. Reading everything is kept, as an interpreter may lie below root's home.
AS_NOBODY = [
    *["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"],
    *["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"],
]
