"""The recipes for packages and containers say what pyproject.toml says; they cannot be built where the tests run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from chunkwise.cli import summaries

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "deploy" / "conda" / "meta.yaml"
DOCKERFILE = ROOT / "deploy" / "container" / "Dockerfile"
DEFINITION = ROOT / "deploy" / "container" / "chunkwise.def"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: The steps that install something, however they are wrapped.
STEP = re.compile(r"(?:apt-get install|python3 -m venv|/opt/venv/bin/\w+).*?(?= &&| \\?$|$)", re.M)


def bare(requirement: str) -> str:
    """A requirement without spaces."""
    return requirement.replace(" ", "")


def test_conda_recipe_agrees_with_the_project() -> None:
    recipe, project = yaml.safe_load(RECIPE.read_text()), PROJECT["project"]
    assert recipe["package"] == {"name": project["name"], "version": project["version"]}
    python = f"python{project['requires-python']}"
    run = {bare(line) for line in recipe["requirements"]["run"]}
    assert run == {python, *map(bare, project["dependencies"])}
    host = {bare(line) for line in recipe["requirements"]["host"]}
    assert host == {python, "pip", *map(bare, PROJECT["build-system"]["requires"])}
    scripts = {f"{name} = {target}" for name, target in project["scripts"].items()}
    assert set(recipe["build"]["entry_points"]) == scripts
    assert (ROOT / recipe["about"]["license_file"]).exists()
    assert recipe["about"]["license"] == project["license"]


def test_wrappers_ask_for_the_package() -> None:
    macros = (ROOT / "tools" / "chunkwise" / "macros.xml").read_text()
    assert f'<token name="@TOOL_VERSION@">{PROJECT["project"]["version"]}</token>' in macros
    assert f'version="@TOOL_VERSION@">{PROJECT["project"]["name"]}</requirement>' in macros
    assert len(list((ROOT / "tools" / "chunkwise").glob("chunkwise_*.xml"))) <= len(summaries())


def test_containers_take_what_there_is_and_agree() -> None:
    docker, apptainer = DOCKERFILE.read_text(), DEFINITION.read_text()
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", docker, re.M) for name in line.split()}
    section = apptainer.split("%files\n")[1].split("\n\n")[0]
    assert copied == {line.split()[0] for line in section.splitlines()}
    assert all((ROOT / name).exists() for name in copied)
    # The build reads these.
    assert {
        "pyproject.toml",
        "CMakeLists.txt",
        "models",
        PROJECT["project"]["readme"],
        *PROJECT["project"]["license-files"],
        "src",
    } <= copied
    base = re.search(r"^FROM (\S+)$", docker, re.M)
    assert base is not None
    assert f"From: {base.group(1)}" in apptainer
    steps = STEP.findall(docker)
    assert len(steps) == 5
    assert steps == STEP.findall(apptainer.split("%post\n")[1].split("\n\n")[0])
    assert f"chunkwise:{PROJECT['project']['version']}" in docker
