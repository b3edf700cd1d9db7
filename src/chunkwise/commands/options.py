"""Options that commands share: one wording, one way to read them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from chunkwise.commands.outputs import Output, StoreOutput
from chunkwise.errors import InputError

__all__ = [
    "add_image",
    "add_level",
    "add_region",
    "add_resources",
    "add_same_voxels",
    "add_selection",
    "add_store_output",
    "add_time",
    "parameters_of",
    "parse_sizes",
]


def add_image(parser: argparse.ArgumentParser) -> None:
    """Add the positional IMAGE."""
    parser.add_argument("image", metavar="IMAGE", help="path or URL of an OME-Zarr, or a reference JSON")


def add_level(group: argparse._ArgumentGroup) -> None:
    """Add ``--level`` to a group of options."""
    group.add_argument("--level", default="0", metavar="N", help="resolution: 0 is the full one (default: 0)")


def add_time(group: argparse._ArgumentGroup) -> None:
    """Add ``--time`` to a group of options."""
    group.add_argument(
        "--time", metavar="N|A:B", help="one time point, or those from A up to but without B (default: all)"
    )


def add_region(group: argparse._ArgumentGroup) -> None:
    """Add ``--region`` to a group of options."""
    group.add_argument(
        "--region",
        metavar="z0:z1,y0:y1,x0:x1",
        help="cut first, then work as if the cut were the image; in voxels of the level, ends not included "
        "(for 2-D images: y0:y1,x0:x1)",
    )


def add_same_voxels(group: argparse._ArgumentGroup) -> None:
    """Add ``--same-voxels`` to a group of options."""
    group.add_argument(
        "--same-voxels",
        action="store_true",
        help="the two images show the same voxels, whatever their metadata say of scale, unit and place; their "
        "shapes still have to agree (default: all of that has to agree)",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add what chooses a part of an image."""
    group = parser.add_argument_group("which part of the image")
    add_level(group)
    group.add_argument("--channel", metavar="NAME|N", help="channel, by name or number; needed where there are several")
    add_time(group)
    add_region(group)


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Add what decides how the work is spread; none of it changes the result."""
    group = parser.add_argument_group("how the work is spread (none of it changes the result)")
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="number of worker processes (default: GALAXY_SLOTS, SLURM_CPUS_PER_TASK, or the cores there are)",
    )
    group.add_argument(
        "--memory",
        type=_checked("memory"),
        metavar="BYTES",
        help="memory of each worker, such as 2GiB (default: GALAXY_MEMORY_MB shared among them, else 1GiB)",
    )
    group.add_argument(
        "--block",
        type=parse_sizes,
        metavar="z,y,x",
        help="voxels computed at once (default: whole shards, or what fits the memory)",
    )


def add_store_output(parser: argparse.ArgumentParser, what: str, into_source: bool = True) -> argparse._ArgumentGroup:
    """Add where a new store goes, and how it is laid out; returns the group, for pictures and the like.

    With ``into_source`` it may go into the source's store, as labels do.
    """
    group = parser.add_argument_group("where the result goes")
    where = group.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--output", type=StoreOutput, metavar="OUT.ome.zarr", help=f"the {what} to write; it must not exist yet"
    )
    where.add_argument("--to-workspace", metavar="NAME", help="write into the site's workspace under this name")
    if into_source:
        where.add_argument(
            "--into-source",
            metavar="NAME",
            help="write labels/NAME into the source itself, where the site allows it to be written",
        )
    else:
        parser.set_defaults(into_source=None)
    group.add_argument("--reference", type=Output, metavar="OUT.json", help="write a reference to the result")
    group.add_argument("--crate", type=Output, metavar="CRATE.zip", help="write an RO-Crate that says what was done")
    group.add_argument("--record", type=Output, metavar="RECORD.json", help="write the run record")
    group.add_argument(
        "--run-dir",
        type=Output,
        metavar="DIR",
        help="where plan, journal and scratch files go; an unfinished run goes on from there (default: OUT.run; in the "
        "workspace always beside the results)",
    )
    group.add_argument(
        "--shard",
        type=parse_sizes,
        metavar="z,y,x",
        help="voxels of one file of the result; changes its files, not its voxels (default: from shape and type)",
    )
    group.add_argument(
        "--no-pyramid",
        action="store_true",
        help="write the full resolution only; viewers then load all of it at once (default: smaller levels, too)",
    )
    return group


def parse_sizes(text: str) -> tuple[int, ...]:
    """Read ``z,y,x`` as sizes of 1 or more."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of sizes such as 64,256,256")
    return sizes


def _checked(what: str) -> Callable[[str], Any]:
    def convert(text: str) -> int:
        from chunkwise.cluster.resources import parse_bytes

        try:
            return parse_bytes(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    convert.__name__ = what
    return convert


#: Options that say where files go or how work is spread; they are no parameters of the result.
NOT_PARAMETERS = {
    "command",
    "image",
    "output",
    "to_workspace",
    "reference",
    "crate",
    "record",
    "run_dir",
    "overlay",
}


def parameters_of(args: argparse.Namespace) -> dict[str, Any]:
    """The parameters of a call as typed JSON values, defaults included, for the run record."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(vars(args).items())
        if name not in NOT_PARAMETERS
    }
