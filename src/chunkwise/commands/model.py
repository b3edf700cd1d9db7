"""Manage the models that may be run.

For administrators; everybody may list. 'add' validates a bioimage.io package (a folder or a zip file, format 0.4
or 0.5), runs its own test, finds out how far its network looks around each voxel, and copies it into the library of
the site file. 'test' does the same with a model that is there, and changes nothing. 'list' names all models, those
that come with chunkwise included.

  chunkwise model add cells.zip --id cells
  chunkwise model list
  chunkwise model list --loc chunkwise_models.loc
  chunkwise model test cells
  chunkwise model remove cells

No network is used: a package has to be complete.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chunkwise.running.outputs import Output

if TYPE_CHECKING:
    from chunkwise.models.library import Approved
    from chunkwise.site import Site

__all__ = ["add_arguments", "run"]

#: Letters of a model's description that a list of Galaxy has room for.
LONGEST = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="approve a package: validate it, test it, and copy it into the library")
    add.add_argument("package", metavar="PACKAGE", help="its folder or zip file")
    add.add_argument("--id", metavar="ID", help="the name that people give to --model (default: the name of the file)")
    listed = actions.add_parser("list", help="list the models that may be run")
    listed.add_argument("--json", action="store_true", help="print everything known about them as JSON")
    listed.add_argument(
        "--loc", type=Output, metavar="FILE", help="write Galaxy's table of models (chunkwise_models.loc)"
    )
    test = actions.add_parser("test", help="run a model's own test again")
    test.add_argument("model", metavar="ID", help="of the model")
    remove = actions.add_parser("remove", help="remove a model from the library")
    remove.add_argument("model", metavar="ID", help="of the model")
    for action, kind in ((add, Output), (listed, str), (remove, Output)):
        action.add_argument(
            "--library", type=kind, metavar="DIR", help="the library (default: the one in the site file)"
        )


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    from chunkwise.models.library import add_package, find_model, remove_package, test_package
    from chunkwise.site import load_site

    site = load_site()
    code = site is not None and site.models.code
    if args.action == "list":
        return _list(args, site)
    if args.action == "test":
        model = find_model(args.model, site)
        tested = test_package(model.path, code)
        print(f"{model.id}: {tested['status']} ({', '.join(tested['formats'])})")
        _say(model)
        return 0
    library = _library(args, site)
    if args.action == "add":
        from chunkwise.site.keys import MODEL

        model = add_package(args.package, args.id, library, code, site.limits.model if site else MODEL)
        print(f"{model.id} is approved: {model.about['name']}, {model.path}")
        _say(model)
    else:
        remove_package(args.model, library)
        print(f"{args.model} is removed from {library}")
    return 0


def _library(args: argparse.Namespace, site: Site | None) -> str:
    from chunkwise.errors import InputError
    from chunkwise.models.library import library_of

    library = args.library or library_of(site)
    if library is None:
        raise InputError("There is no library: name one in the site file ([models], library), or with --library.")
    return str(library)


def _list(args: argparse.Namespace, site: Site | None) -> int:
    import json
    import os

    from chunkwise.models.library import approved_models
    from chunkwise.storage.writer import put_object

    models = approved_models(site, args.library)
    if args.loc:
        # A table is written again whenever a model comes or goes, so it may be there already.
        place = os.path.abspath(args.loc)
        put_object(os.path.dirname(place), os.path.basename(place), _table(models).encode())
    if args.json:
        print(json.dumps([model.document() for model in models], indent=2, ensure_ascii=False))
        return 0
    for model in models:
        about = model.about
        channels = ", ".join(name for names in about["inputs"].values() for name in names)
        maps = ", ".join(name for names in about["outputs"].values() for name in names)
        licence = about["license"] or "no licence"
        print(f"{model.id}\t{about['name']}\t{about['axes']}\t{channels} -> {maps}\t{licence}")
    return 0


def _table(models: list[Approved]) -> str:
    """The data table of Galaxy: what is written into commands, and what people see."""

    def plain(text: Any) -> str:
        return " ".join(str(text).split())

    def named(groups: dict[str, list[str]]) -> str:
        return plain(", ".join(name for names in groups.values() for name in names))

    def line(about: dict[str, Any]) -> str:
        voxel = " x ".join(f"{edge:g} {unit}" for edge, unit in about.get("voxel", {}).values())
        made_for = f"{about['axes']}, voxels of {voxel}" if voxel else about["axes"]
        # An approval of an older version has no description.
        what = plain(about.get("description") or f"image of {named(about['inputs'])}")
        what = what if len(what) <= LONGEST else what[:LONGEST].rsplit(" ", 1)[0] + " ..."
        return f"{plain(about['name'])} ({made_for}): {what.rstrip('.')}. Maps: {named(about['outputs'])}"

    return "".join(f"{model.id}\t{line(model.about)}\n" for model in models)


def _say(model: Approved) -> None:
    reach = model.reach
    print(f"  sha256 {model.sha256}")
    if reach.unbounded:
        print(f"  looks at the whole image at once ({', '.join(reach.unbounded)}): tiles give nearly its result")
        return
    axes = model.about["axes"]
    looks = ", ".join(f"{a} -{b} to +{c}" for a, b, c in zip(axes, reach.before, reach.after, strict=True))
    print(
        f"  looks {looks} voxels around each voxel, in steps of {'x'.join(map(str, reach.stride))} (according to "
        f"its {model.how})"
    )
