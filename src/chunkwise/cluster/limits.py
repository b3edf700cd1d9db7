"""How much memory the kernel lets this process and its children have: the limits of its control groups."""

from __future__ import annotations

from pathlib import Path

__all__ = ["memory_limit"]

#: Version 1 says "no limit" with a number near 2^63.
NO_LIMIT = 2**60


def memory_limit(mounted: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int | None:
    """Find the smallest memory limit of the process' control groups, those above its own included.

    Parameters
    ----------
    mounted : str
        Where control groups are mounted.
    membership : str
        The file that names the groups of the process.

    Returns
    -------
    int or None
        Bytes; None where there is no limit.
    """
    found = []
    try:
        lines = Path(membership).read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = Path(mounted), "memory.max"
        elif "memory" in controllers.split(","):
            top, name = Path(mounted, "memory"), "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be that of the host, and only the top is there to be seen.
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder == top or top in folder.parents:
                try:
                    text = (folder / name).read_text().strip()
                except OSError:
                    continue
                if text.isdecimal() and int(text) < NO_LIMIT:
                    found.append(int(text))
    return min(found, default=None)
