"""What every option of every command names, and a world to try outputs in, for the tests of the policy.

``OPTIONS`` says of every option whether it names something that is read, something that is written, a name below a
place of the site's own, or neither; a test fails for an option that is not in it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import made_stores
from chunkwise.cli import main
from chunkwise.operations import families, operations_of
from made_models import make_package
from verifying import fill

__all__ = [
    "ALONE",
    "NEEDED",
    "OPTIONS",
    "STORES",
    "WORDS",
    "WRITES",
    "call",
    "everything",
    "make_inputs",
    "make_world",
    "output",
    "plain_method",
    "words_of",
]

MADE = Path(__file__).parents[1] / "test-data"

_ABOUT = (
    "--name --description --license --author-name --author-orcid --organization --organization-url --organism "
    "--modality --specimen --biosample --channel --image-license"
)
_SPREAD = "--workers --memory --block --plan"
_REPORTS = "--reference --crate --record --run-dir"
_CUT = "--level --time --region"
_STORE = f"--output {_REPORTS}"
#: Of operations whose result is an image or labels.
_IMAGE = f"{_STORE} --preview"
_LOOK = "--preview-region"

#: Command -> what its options name: places that are read; places that are written; names of results below a place that
#: the site or the image has; and all else.
OPTIONS: dict[str, dict[str, str]] = {
    "open": {
        "reads": "location",
        "writes": "--output --manifest",
        "else": "--user-text --fingerprint --dandi --strict --strict-all",
    },
    "inspect": {"reads": "image", "writes": "--json --html --view --pictures"},
    "segment": {
        "reads": "image",
        "writes": f"{_IMAGE} --overlay --view",
        "names": "--to-workspace --into-source",
        "else": f"{_CUT} {_LOOK} {_SPREAD} --channel --sigma --threshold --foreground --connectivity --fill-holes "
        "--min-size --split --split-min-distance --sizes-in --shard --no-pyramid",
    },
    "predict": {
        "reads": "image --model",
        "writes": _IMAGE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_LOOK} {_SPREAD} --channel --map --dtype --rescale --shard --no-pyramid",
    },
    "objects": {
        "reads": "image",
        "writes": f"{_IMAGE} --overlay --view",
        "names": "--to-workspace --into-source",
        "else": f"{_CUT} {_LOOK} {_SPREAD} --method --channels --threshold --seed-threshold --min-distance "
        "--flow-scale --steps --sink-distance --nms-threshold --max-radius --grid --connectivity --fill-holes "
        "--min-size --shard --no-pyramid",
    },
    "measure": {
        "reads": "--labels --image --parents",
        "writes": f"--output --summary --children --dictionary --report {_REPORTS}",
        "else": f"{_CUT} {_SPREAD} --properties --percentiles --channel --format --same-voxels",
    },
    "compare": {
        "reads": "truth predicted",
        "writes": f"--output --table --html --view --pictures {_REPORTS}",
        "else": f"{_CUT} {_SPREAD} --threshold --share --same-voxels",
    },
    "fetch": {
        "reads": "image",
        "writes": _STORE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_SPREAD} --channel --format --shard",
    },
    "convert": {
        "reads": "image",
        "writes": _STORE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_SPREAD} --channel --format --shard --pattern --series --axes --voxel-size --unit "
        "--name --channel-name --check",
    },
    "overlay": {
        "reads": "image --labels --table",
        "writes": _STORE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_SPREAD} --channel --format --shard --style --mode --width --opacity --color --numbers "
        "--black --white --z --same-voxels --column --colormap --low --high",
    },
    "math": {
        "reads": "image --b --c --d --e --f --g --h",
        "writes": _IMAGE,
        "names": "--to-workspace",
        "else": f"{_CUT} {_LOOK} {_SPREAD} --channel --shard --no-pyramid --expression --dtype --same-voxels",
    },
    "spots": {
        "reads": "image",
        "writes": f"--output {_REPORTS}",
        "else": f"{_CUT} {_SPREAD} --channel --format --method --min-sigma --max-sigma --num-sigma --sigma-ratio "
        "--overlap --sigma --distance --threshold --relative --border",
    },
    "points": {
        "reads": "image --points",
        "writes": _STORE,
        "names": "--to-workspace --into-source",
        "else": f"{_CUT} {_SPREAD} --columns --no-header --radius --outside --shard --no-pyramid",
    },
    "crate build": {
        "reads": "--from --about --source-crate",
        "writes": "--output",
        "else": f"{_ABOUT} --publish --profile",
    },
    "crate validate": {"reads": "crate", "else": "--level --profile"},
    "crate merge": {
        "reads": "--galaxy --runs --about --source-crate",
        "writes": "--output",
        "else": f"{_ABOUT} --outside --publish",
    },
    "crate report": {"reads": "crate", "writes": "--html"},
    "crate rerun": {"reads": "crate --map", "writes": "--output", "else": "--dry-run"},
    "verify": {"reads": "data --against", "writes": "--json", "else": "--what --dandi"},
    "model add": {"reads": "package", "writes": "--library", "else": "--id"},
    "model list": {"reads": "--library", "writes": "--loc", "else": "--json"},
    "model test": {"else": "model"},
    "model remove": {"writes": "--library", "else": "model"},
    "site check": {"else": "--json"},
    "workspace clean": {"reads": "--references", "else": "--delete --json"},
    "workspace folder": {"else": "email"},
}

#: Operations that are made of a kernel all read an image and write a store; a parameter of theirs names no place.


def plain_method(family: str) -> str:
    """A method that has a kernel, and a default for everything."""
    methods = operations_of(family).values()
    return next(one.name for one in methods if one.kernel and not any(p.required for p in one.parameters.values()))


KERNELS = [family for family in families() if next(iter(operations_of(family).values())).equals]
for _family in KERNELS:
    _shown = next(iter(operations_of(_family).values())).previews
    _options = {f"--{name.replace('_', '-')}" for one in operations_of(_family).values() for name in one.options}
    _beside = sorted({f"--{role}" for one in operations_of(_family).values() for role in one.takes if role != "image"})
    OPTIONS[_family] = {
        "reads": " ".join(["image", *_beside]),
        "writes": _IMAGE if _shown else _STORE,
        "names": "--to-workspace",
        "else": f"{' '.join(sorted(_options))} {_LOOK if _shown else ''} {_SPREAD} --method --shard --no-pyramid",
    }

#: What a command is given beside its outputs; words in capitals are of the fixture ``made``.
WORDS = {
    "open": "IMAGE --fingerprint full",
    "inspect": "IMAGE",
    "segment": "IMAGE --workers 1",
    "predict": "IMAGE --model tiny --workers 1",
    "objects": "MAPS --workers 1",
    "measure": "--labels LABELS --parents LABELS --workers 1",
    "compare": "LABELS LABELS --workers 1",
    "fetch": "IMAGE --workers 1",
    "convert": "IMAGE --workers 1",
    "math": "IMAGE --expression a/2 --workers 1",
    "spots": "IMAGE --workers 1",
    "overlay": "IMAGE --labels LABELS --workers 1",
    "points": "IMAGE --points POINTS --workers 1",
    "crate build": "--from RECORD",
    "crate merge": "--galaxy EXPORT",
    "crate report": "CRATE",
    "crate rerun": "CRATE",
    "verify": "CRATE --what outputs",
    "model add": "PACKAGE --id more",
    "model list": "",
    "model remove": "tiny",
}
WORDS |= {family: f"IMAGE --method {plain_method(family)} --workers 1" for family in KERNELS}
#: How outputs are called, where their ending matters or the folder has to be there.
NAMES = {
    "--manifest": "m.tsv.gz",
    "--overlay": "o.png",
    "--table": "t.tsv",
    "--dictionary": "d.tsv",
    "--crate": "c.zip",
}
STORES = ("segment", "predict", "objects", "fetch", "convert", "math", "overlay", "points", *KERNELS)
#: Outputs that a command needs, or that another output needs.
NEEDED = {
    "open": ["--output"],
    "inspect": ["--html"],
    "compare": ["--output", "--html"],
    **{command: ["--output"] for command in (*STORES, "measure", "spots")},
}

#: Outputs in whose place there is no other.
ALONE = ("--preview",)

#: Every output of every command.
WRITES = [(command, option) for command, row in OPTIONS.items() for option in row.get("writes", "").split()]


def make_inputs(folder: Path) -> None:
    """What commands read, made without a site file."""
    image = fill(made_stores.write(folder / "images" / "i.ome.zarr", "0.5", "yx", (48, 48)))
    shutil.copytree(MADE / "discs_maps.ome.zarr", folder / "images" / "maps.ome.zarr")
    shutil.copy(MADE / "one_image.rocrate.zip", folder / "images" / "export.zip")
    (folder / "images" / "p.tsv").write_text("x\ty\n3\t4\n20\t30\n")
    labels, reports = str(folder / "images" / "l.ome.zarr"), folder / "images"
    words = ["segment", str(image), "--output", labels, "--workers", "1"]
    assert main([*words, "--record", str(reports / "r.json"), "--crate", str(reports / "c.zip")]) == 0
    how = {"method": "foreground-boundary", "channels": {"foreground": 0, "boundary": 1}}
    package = make_package(folder / "package", extra={"config": {"chunkwise": {"objects": how}}})
    (folder / "library").mkdir()
    assert main(["model", "add", str(package), "--id", "tiny", "--library", str(folder / "library")]) == 0


def make_world(made: Path, tmp_path: Path) -> None:
    """Roots to read and to write, the folders of a service's jobs, and a place that is none of these, to stand in."""
    for name in ("results/library", "jobs/7/library", "outside/library"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copytree(made / "library", tmp_path / name, dirs_exist_ok=True)
    (tmp_path / "read").mkdir()
    (tmp_path / "results" / "way-out").symlink_to(tmp_path / "outside")
    (tmp_path / "results" / "way-to-read").symlink_to(tmp_path / "read")
    (tmp_path / "results" / "dangling").symlink_to(tmp_path / "outside" / "new")
    (tmp_path / "site.toml").write_text(
        f'[roots.images]\npath = "{made}/images"\n[roots.read]\npath = "{tmp_path}/read"\n'
        f'[roots.results]\npath = "{tmp_path}/results"\naccess = "write"\n'
        f'[roots.jobs]\npath = "{tmp_path}/jobs"\naccess = "job"\n[models]\nlibrary = "{made}/library"\n'
    )


def words_of(made: Path, command: str) -> list[str]:
    places = {
        "IMAGE": "images/i.ome.zarr",
        "LABELS": "images/l.ome.zarr",
        "MAPS": "images/maps.ome.zarr",
        "POINTS": "images/p.tsv",
        "RECORD": "images/r.json",
        "CRATE": "images/c.zip",
        "EXPORT": "images/export.zip",
        "PACKAGE": "package",
    }
    return [*command.split(), *(str(made / places[w]) if w in places else w for w in WORDS[command].split())]


def output(command: str, option: str) -> str:
    """What an output is called in these tests."""
    if option == "--library":
        return "library"
    if option == "--output" and command in STORES:
        return "out.ome.zarr"
    return NAMES.get(option, f"{option.strip('-')}.out")


def call(made: Path, command: str, outputs: dict[str, str]) -> int:
    return main([*words_of(made, command), *(word for pair in outputs.items() for word in pair)])


def everything(folder: Path) -> dict[str, Any]:
    """All that lies below a folder: names, kinds, bytes."""
    return {
        str(path): os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
