"""Every tool and the workflow by planemo: lint, and their own tests in the running Galaxy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.galaxy

ROOT = Path(__file__).parents[2]
RUN = ROOT / ".galaxy"
TOOLS = sorted((ROOT / "tools").glob("*/chunkwise_*.xml"))
#: Of planemo at once. More gain little: they wait for Galaxy's one web process.
CALLS = 5
WORKFLOWS = sorted((ROOT / "workflows").glob("*/*.gxwf.yml"))


def planemo(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run planemo with the repository's settings."""
    command: list[str | Path] = [
        RUN / "planemo/bin/planemo",
        "--directory",
        RUN / "planemo-home",
        "--config",
        ROOT / ".planemo.yml",
    ]
    return subprocess.run(
        [*command, *words], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2400
    )


def run_tests(url: str, what: Sequence[Path], report: Path) -> list[dict[str, Any]]:
    """Let planemo test tools or workflows; the result of each test."""
    key = (RUN / "admin.key").read_text().strip()
    server: list[str | Path] = ["--engine", "external_galaxy", "--galaxy_url", url]
    keys: list[str | Path] = ["--galaxy_admin_key", key, "--galaxy_user_key", key]
    outputs: list[str | Path] = ["--test_output", report.with_suffix(".html"), "--test_output_json", report]
    done = planemo("test", *server, *keys, "--no_shed_install", *outputs, *what)
    assert report.exists(), done.stdout
    results: list[dict[str, Any]] = json.loads(report.read_text())["tests"]
    return results


def show(config: pytest.Config, results: list[dict[str, Any]]) -> None:
    """Print each result, past pytest's capturing: these minutes should not be silent."""
    lines = [""]
    for result in results:
        data = result["data"]
        seconds = f" in {data['time_seconds']:.1f} s" if data.get("time_seconds") else ""
        lines.append(f"  {result['id']}: {data['status']}{seconds}")
        if data["status"] != "success":
            stderr = (data.get("job") or {}).get("stderr", "")
            lines.append(f"    {data.get('output_problems')} {data.get('execution_problem')}\n    {stderr}")
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(*lines, sep="\n", file=sys.stderr)  # of a process of xdist nothing else is seen


@pytest.fixture(scope="module")
def tool_results(
    galaxy_url: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> list[dict[str, Any]]:
    """The results of all tools, from several calls of planemo side by side: most of a test is waiting."""
    folder = tmp_path_factory.mktemp("tools")
    with ThreadPoolExecutor(CALLS) as pool:
        parts = [
            pool.submit(run_tests, galaxy_url, TOOLS[part::CALLS], folder / f"{part}.json") for part in range(CALLS)
        ]
        results = [result for part in parts for result in part.result()]
    show(pytestconfig, results)
    return results


@pytest.mark.usefixtures("galaxy_url")
def test_lint_tools() -> None:
    done = planemo("lint", "--fail_level", "warn", *TOOLS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: path.stem)
def test_tool(tool: Path, tool_results: list[dict[str, Any]]) -> None:
    own = [result["data"]["status"] for result in tool_results if result["id"].startswith(f"{tool.stem}-")]
    # A tool without a result was not tested; each has a success and an expected failure.
    assert len(own) >= 2
    assert set(own) == {"success"}


@pytest.mark.usefixtures("galaxy_url")
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.parent.name)
def test_lint_workflow(workflow: Path) -> None:
    done = planemo("workflow_lint", "--iwc", "--fail_level", "warn", workflow.parent)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def workflow_results(
    galaxy_url: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> dict[Path, list[dict[str, Any]]]:
    """The results of all workflows, side by side like those of the tools."""
    folder = tmp_path_factory.mktemp("workflows")
    with ThreadPoolExecutor(CALLS) as pool:
        parts = {one: pool.submit(run_tests, galaxy_url, [one], folder / f"{one.stem}.json") for one in WORKFLOWS}
        results = {one: part.result() for one, part in parts.items()}
    show(pytestconfig, [result for part in results.values() for result in part])
    return results


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.parent.name)
def test_workflow(workflow: Path, workflow_results: dict[Path, list[dict[str, Any]]]) -> None:
    told = yaml.safe_load(workflow.with_name(f"{workflow.stem}-tests.yml").read_text())
    states = [result["data"]["status"] for result in workflow_results[workflow]]
    assert states == ["success"] * len(told) != []
