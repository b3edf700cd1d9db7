"""Look after the site's workspace: remove results that nobody needs any more.

For administrators. 'clean' lists the results and the unfinished runs in the workspace of the site file that
are older than its 'keep' and are named by no reference and no run record in the folders given with
--references, such as the folder of Galaxy's datasets. Nothing is removed without --delete. 'folder' prints where
a person's results are.

  chunkwise workspace clean --references /srv/galaxy/database/objects
  chunkwise workspace clean --references /srv/galaxy/database/objects --delete
  chunkwise workspace folder anna@example.org

Links are not followed, and a run in progress is left alone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkwise.site import Site, Workspace

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    clean = actions.add_parser("clean", help="list, or remove, what is old and no longer needed")
    clean.add_argument(
        "--references",
        metavar="FOLDER",
        nargs="+",
        required=True,
        help="where the references and run records in use are, such as Galaxy's datasets",
    )
    clean.add_argument("--delete", action="store_true", help="remove what is listed (default: only list it)")
    clean.add_argument("--json", action="store_true", help="print the list as JSON")
    folder = actions.add_parser("folder", help="print the folder of a person's results")
    folder.add_argument("email", metavar="EMAIL", help="the person's e-mail address in Galaxy")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; the exit code is 1 where something could not be removed."""
    from chunkwise.errors import InputError
    from chunkwise.site import Person, load_site
    from chunkwise.storage.workspace import user_folder

    site = load_site()
    if site is None or site.workspace is None:
        raise InputError("There is no site file with a section [workspace], so there is nothing to clean.")
    if args.action == "folder":
        top = site.roots[site.workspace.root].path
        own = "" if site.workspace.layout == "flat" else f"/{user_folder(Person.of({'CHUNKWISE_USER': args.email}))}"
        print(f"{top}{own}")
        return 0
    return _clean(args, site, site.workspace)


def _clean(args: argparse.Namespace, site: Site, workspace: Workspace) -> int:
    import json
    import os
    import sys
    import time

    from chunkwise.errors import InputError
    from chunkwise.storage.cleaning import Needed, find_items, is_at_work, remove_item

    if workspace.keep is None:
        raise InputError("Cleaning needs the key 'keep' in the section [workspace]: how long results are kept.")
    for folder in args.references:
        if not os.path.isdir(folder):
            raise InputError(f"{folder} is not a folder; give the folders that hold the references in use.")
    roots = {name: root.path for name, root in site.roots.items() if root.path is not None}
    root = roots[workspace.root]
    needed = Needed(args.references, roots)
    before = time.time() - workspace.keep
    rows: list[dict[str, Any]] = []
    try:
        for item in find_items(root, workspace.layout, [path for path in roots.values() if path != root]):
            if item.changed > before or os.path.join(root, item.path) in needed or is_at_work(root, item):
                continue
            days = (time.time() - item.changed) / 86400
            row: dict[str, Any] = {
                "path": item.path,
                "kind": item.kind,
                "bytes": item.size,
                "days": round(days, 1),
                "state": "old",
            }
            if args.delete:
                try:
                    row["state"] = "removed" if remove_item(root, item) else "at work"
                except OSError as error:
                    row |= {"state": "problem", "why": f"{error.filename or item.path}: {error.strerror}"}
            rows.append(row)
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}; clean as the workspace's owner."
        ) from None
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            print(_line(row))
        total = sum(row["bytes"] for row in rows if row["state"] in ("old", "removed")) / 2**30
        print(f"{needed.documents} references and run records read; {len(rows)} old items, {total:.3f} GiB.")
    if not args.delete and rows:
        print("Nothing was removed; --delete removes what is listed.", file=sys.stderr)
    return 1 if any(row["state"] == "problem" for row in rows) else 0


def _line(row: dict[str, Any]) -> str:
    """One line for one item; a name that would disturb the terminal is written in ASCII."""
    place = row["path"] if row["path"].isprintable() else ascii(row["path"])
    why = f"  ({row['why']})" if "why" in row else ""
    return f"{row['state']}  {row['kind']}  {row['bytes'] / 2**30:.3f} GiB  {row['days']:.0f} days  {place}{why}"
