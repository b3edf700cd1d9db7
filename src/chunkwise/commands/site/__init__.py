"""Test whether the site file keeps its promises, on this machine, with the rights of this account.

For administrators. 'check' tests every root, the workspace, every cluster and the model library, and prints one
line for each promise: ok, problem, or not tested and why. Run it as the account that runs jobs, on the machine
where they run. 'schema' prints the JSON schema of the file for editors, 'keys' its keys as tables.

  chunkwise site check
  chunkwise site schema
"""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="test every promise; the exit code is 1 if one is not kept")
    check.add_argument("--json", action="store_true", help="print what was found as JSON")
    actions.add_parser("schema", help="print the JSON schema of the site file")
    actions.add_parser("keys", help="print every key, in Markdown")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for."""
    import json

    from chunkwise.site.schema import key_tables, site_schema

    if args.action == "schema":
        print(json.dumps(site_schema(), indent=2, ensure_ascii=False))
        return 0
    if args.action == "keys":
        for section, table in key_tables().items():
            print(f"### [{section}]\n\n{table}\n")
        return 0
    return _check(args)


def _check(args: argparse.Namespace) -> int:
    import json
    import os
    from dataclasses import asdict

    from chunkwise.commands.site.promises import PROBLEM, check_site
    from chunkwise.errors import InputError
    from chunkwise.site import DEFAULT_SITE_FILE, load_site

    site = load_site()
    if site is None:
        raise InputError(
            f"There is no site file: {DEFAULT_SITE_FILE} does not exist, and CHUNKWISE_SITE names no other."
        )
    findings = list(check_site(site, os.environ))
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{finding.state:<10}  {finding.what}: {' '.join(finding.says.split())}")
    problems = sum(finding.state == PROBLEM for finding in findings)
    if not args.json:
        print(f"{len(findings)} promises, {problems or 'no'} problem{'' if problems == 1 else 's'}.")
    return 1 if problems else 0
