"""What the package imports and what it declares are the same list."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Declared and imported by nothing here, and why.
BEHIND_OTHERS = {
    "cryptography",  # distributed makes the certificates of a run with it, and does not ask for it
    "pydantic",  # a bound on what bioimageio.spec asks for
}


def plain(name: str) -> str:
    """A name as package indexes compare it; of a requirement, what stands before the version."""
    bare = re.match(r"[\w.-]+", name)
    assert bare is not None
    return re.sub(r"[-_.]+", "-", bare[0]).lower()


def imported(source: str) -> set[str]:
    """The modules at the top that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found - sys.stdlib_module_names - {"chunkwise"}


def test_every_import_is_declared_and_every_declared_package_is_imported() -> None:
    installed = packages_distributions()
    modules = {name for file in (ROOT / "src").rglob("*.py") for name in imported(file.read_text())}
    # An extra need not be installed, and is then known by the name of its module.
    packages = {module: {plain(name) for name in installed.get(module, [module])} for module in modules}
    extras = [name for names in PROJECT["optional-dependencies"].values() for name in names]
    declared = {plain(name) for name in (*PROJECT["dependencies"], *extras)}
    assert {module for module, names in packages.items() if not names & declared} == set()
    assert declared - set().union(*packages.values()) == BEHIND_OTHERS


def test_an_import_within_a_function_counts() -> None:
    source = "import os, a.b\nfrom . import c\nif a:\n    from d.e import f\ndef g():\n    import h as i\n"
    assert imported(source) == {"a", "d", "h"}
