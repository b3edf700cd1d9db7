"""The example for administrators: each way alone is a whole configuration, and the guide names all there is to fill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "galaxy" / "example"
GUIDE = (ROOT / "docs" / "admin.md").read_text()
FILL = ROOT / "deploy" / "galaxy" / "fill.py"
WAYS = {
    "L": ({"local"}, set()),
    "A": ({"local", "slurm"}, set()),
    "B": ({"local", "pulsar_rest"}, {"PULSAR_URL", "PULSAR_TOKEN", "PULSAR_REST"}),
    "C": ({"local", "pulsar_mq_short", "pulsar_mq_small", "pulsar_mq_big"}, {"QUEUE", "PULSAR_MQ"}),
}
ALWAYS = {"CHUNKWISE", "GALAXY", "IMAGES", "RESULTS", "URL", "ADMIN", "SECRET"}


def only(way: str, name: str | Path) -> str:
    """A file without the other ways, removed by the guide's command."""
    assert 'sed -i "/# way $way/,/# end of way $way/d"' in GUIDE
    scripts = [word for other in WAYS.keys() - {way} for word in ("-e", f"/# way {other}/,/# end of way {other}/d")]
    return subprocess.run(["sed", *scripts, EXAMPLE / name], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("way", WAYS)
def test_one_way_is_a_whole_configuration(way: str) -> None:
    runners, _ = WAYS[way]
    assert set(yaml.safe_load(only(way, "job_conf.yml"))["runners"]) == runners
    places = yaml.safe_load(only(way, "tpv_destinations.yml"))
    assert {place["runner"] for place in places["destinations"].values() if "runner" in place} == runners
    accepted = [place.get("scheduling", {}).get("accept", []) for place in places["destinations"].values()]
    assert {"short", "small", "big"} <= set().union(*accepted)
    site = tomllib.loads(only(way, "site.toml"))
    staging = {"B": {"staging-rest"}, "C": {"staging-mq"}}.get(way, set())
    assert {name for name in site["roots"] if name.startswith("staging")} == staging
    context = places["global"]["context"]
    assert {context[key] for key in context if key.endswith("_profile")} <= set(site["clusters"])


@pytest.mark.parametrize("way", WAYS)
def test_the_words_to_fill_are_those_of_the_guide(way: str) -> None:
    files = [file.relative_to(EXAMPLE) for file in EXAMPLE.rglob("*") if file.is_file()]
    words = {word for file in files for word in re.findall(r"@([A-Z_]+)@", only(way, file))}
    assert words <= ALWAYS | WAYS[way][1]
    assert WAYS[way][1] <= words
    for word in words - {"SECRET"}:
        assert f"export {word}=" in GUIDE or f"`{word}`" in GUIDE
    assert "SECRET=$(" in GUIDE


def test_what_galaxy_is_told_to_read_is_there() -> None:
    settings = yaml.safe_load((EXAMPLE / "galaxy.yml").read_text())["galaxy"]
    named = [Path(str(value)) for value in settings.values() if str(value).startswith("@GALAXY@/config/")]
    assert len(named) >= 6
    for file in named:
        assert (EXAMPLE / file.relative_to("@GALAXY@/config")).exists()
    tables = ET.parse(EXAMPLE / "tool_data_table_conf.xml").getroot()
    lists = {Path(entry.attrib["path"]) for entry in tables.iter("file")}
    assert lists == {file.relative_to(EXAMPLE) for file in (EXAMPLE / "tool-data").iterdir()}
    for file in EXAMPLE.iterdir():
        assert f"`{file.name}" in GUIDE, f"the guide says nothing of {file.name}"


def test_pages_of_all_tools_that_make_some_are_shown() -> None:
    allowed = set((EXAMPLE / "sanitize_allowlist.txt").read_text().split())
    makers = {
        tool.attrib["id"]
        for tool in (ET.parse(file).getroot() for file in (ROOT / "tools" / "chunkwise").glob("chunkwise_*.xml"))
        if any(output.get("format") == "html" for output in tool.iter("data"))
    }
    assert allowed == makers


def fill(folder: Path, **words: str) -> subprocess.CompletedProcess[str]:
    """Run the command that fills in places."""
    plain = {key: value for key, value in os.environ.items() if key not in ALWAYS}
    return subprocess.run([sys.executable, FILL, folder], env=plain | words, capture_output=True, text=True)


def test_filling_in(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("@IMAGES@/x someone@EXAMPLE@IMAGES@ @URL@")
    missing = fill(tmp_path, IMAGES="/data/@URL@")
    assert missing.returncode == 2
    assert f"fill.py: {tmp_path / 'a.txt'} asks for URL, and no such variable is set.\n" in missing.stderr
    assert (tmp_path / "a.txt").read_text().startswith("@IMAGES@")
    assert fill(tmp_path, IMAGES="/data/@URL@", URL="u", EXAMPLE="e").returncode == 0
    assert (tmp_path / "a.txt").read_text() == "/data/@URL@/x someoneeIMAGES@ u"
    assert fill(tmp_path / "nothing").returncode == 2
