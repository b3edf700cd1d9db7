"""Commands with chains of their own, and a small world in which each of them has many blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from operations.harness import write_image

__all__ = ["COMMANDS", "made_by", "words_of", "write_world"]

#: By what they are called here; the output is put in.
COMMANDS = {
    "points": "points image --points p.csv --radius 3 --output {}",
    "label join": "label labels --method join --table t.csv --column kind --output {}",
    "label rules": "label labels --method rules --table t.csv --rule kind>1 --output {}",
    "label map": "label labels --method map --table t.csv --column kind --output {}",
    "channels merge": "channels image --method merge --b labels --names a,b --output {}",
    "math": "math image --b labels --expression (a-b)/2 --output {}",
    "overlay": "overlay image --labels labels --output {}",
    "overlay by column": "overlay image --labels labels --table t.csv --column kind --output {}",
    "spots": "spots image --method peaks --output {}.tsv",
    "measure": "measure --labels labels --image image --output {}.tsv",
    "compare": "compare labels labels --output {}.json",
}


def words_of(name: str, output: str) -> list[str]:
    """The command, with many blocks and, where it writes a store, several units."""
    shard = [] if COMMANDS[name].endswith(("tsv", "json")) else ["--shard", "16,16"]
    return [*COMMANDS[name].format(output).split(), "--block", "8,8", *shard]


def write_world(folder: Path) -> None:
    """Write what the commands read: ``image``, ``labels``, ``p.csv`` and ``t.csv``."""
    rng = np.random.default_rng(0)
    write_image(folder / "image", rng.integers(0, 200, (48, 56), np.uint8), "yx")
    write_image(folder / "labels", np.kron(np.arange(42).reshape(6, 7), np.ones((8, 8))).astype(np.uint8), "yx")
    places = [f"{x},{y}" for y, x in rng.integers(0, 48, (20, 2))]
    (folder / "p.csv").write_text("\n".join(["x,y", *places, ""]))
    (folder / "t.csv").write_text("\n".join(["label,kind", *(f"{n},{n % 4 + 1}" for n in range(1, 42)), ""]))


def made_by(name: str, output: Path) -> Path:
    """What the command wrote."""
    return output.with_name(output.name + COMMANDS[name].partition("{}")[2])
