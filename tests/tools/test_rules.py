"""The rules' look at a job of Galaxy: what is a name, how large is the image, does Galaxy keep the store itself."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from chunkwise.operations import families
from chunkwise.running.chains.local import BASE

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "tpv"))
import chunkwise_rules as rules  # noqa: E402


@pytest.mark.parametrize("name", ["anna@example.org", "a.b+c_d-e@x.org", "imaging", "Facility staff", "lab:3"])
def test_names_stay(name: str) -> None:
    assert rules.plain(name) == name


WHAT_IS_NO_NAME = [
    "`id`@example.org",
    "$HOME@example.org",
    "{user.id}@example.org",
    "*@example.org",
    "-rf",
    *['a"b', "a'b", "a;b", "a,b", "a\\b"],
    "a\nb",
    "",
    None,
    "x" * 300,
    "ann\u0430@example.org",
]


@pytest.mark.parametrize("name", WHAT_IS_NO_NAME)
def test_what_is_more_than_a_name_is_left_out(name: str | None) -> None:
    assert rules.plain(name) == ""


def test_person() -> None:
    def named(name: str, deleted: bool = False, kind: str = "admin") -> Any:
        return SimpleNamespace(name=name, deleted=deleted, type=kind)

    groups = [
        SimpleNamespace(group=named(name, deleted)) for name, deleted in (("b", False), ("a", False), ("c", True))
    ]
    roles = [named("staff"), named("private role", kind="private"), named("shared", kind="sharing"), named("x`id`")]
    user = SimpleNamespace(email="anna@example.org", groups=groups, all_roles=lambda: roles)
    assert rules.person(user) == {"user": "anna@example.org", "groups": "a,b", "roles": "staff"}
    assert rules.person(None) == {"user": "", "groups": "", "roles": ""}


def job(*inputs: Any, **parameters: str) -> Any:
    """A job of Galaxy, as far as the rules look at it."""
    return SimpleNamespace(
        input_datasets=[SimpleNamespace(dataset=one) for one in inputs],
        parameters=[SimpleNamespace(name=name, value=value) for name, value in parameters.items()],
    )


def data(extension: str, path: Path | None = None, state: str = "ok", size: int = 0) -> Any:
    """A dataset of Galaxy, as far as the rules look at it."""
    return SimpleNamespace(
        extension=extension,
        get_file_name=lambda: str(path),
        dataset=SimpleNamespace(state=state, get_total_size=lambda: size),
    )


def test_size_is_that_of_the_largest_image(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    file.write_text(json.dumps({"description": {"shape": [1000, 1000, 1000], "dtype": "uint16"}}))
    reference = data("json", file)
    assert rules.gigabytes(job(reference)) == 2
    assert rules.gigabytes(job(reference, data("ome_zarr", size=5 * 10**9))) == 5
    assert rules.gigabytes(job(data("ome.tiff", size=7 * 10**9))) == 7
    # An address says nothing about what lies there.
    assert rules.gigabytes(job(reference, data("ome_zarr", state="deferred"))) is None
    assert rules.gigabytes(job()) is None


STRANGE = [
    "",
    "[]",
    "{",
    '{"description": 3}',
    '{"description": {"shape": "x", "dtype": "uint8"}}',
    '{"description": {"shape": [1e999], "dtype": "uint8"}}',
    "[" * 100_000,
    "\udc80",
]


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_reference_has_no_size(tmp_path: Path, text: str) -> None:
    file = tmp_path / "reference.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert rules.gigabytes(job(data("json", file))) is None


def test_a_forged_reference_does_not_keep_galaxy_busy(tmp_path: Path) -> None:
    """The product of as many and as long numbers as a file may hold takes hours; it is never made."""
    file = tmp_path / "reference.json"
    file.write_text(json.dumps({"description": {"shape": [10**4000] * 3000, "dtype": "uint16"}}))
    size = rules.gigabytes(job(data("json", file)))
    assert size is not None
    assert 1e9 < size < 1e100
    file.write_text(json.dumps({"description": {"shape": [-5, 1000, 1000], "dtype": "uint16"}}))
    assert rules.gigabytes(job(data("json", file))) == 0


def test_stores_that_galaxy_keeps() -> None:
    assert rules.in_galaxy(job(data("zarr")))
    assert rules.in_galaxy(job(data("tiff")))
    assert rules.in_galaxy(job(data("json"), destination='{"where": "dataset", "__current_case__": 0}'))
    assert rules.in_galaxy(job(data("json"), format='"ome_zarr"'))
    assert not rules.in_galaxy(job(data("ome_zarr", state="deferred"), format='"tsv"'))
    assert not rules.in_galaxy(job(data("json"), destination='{"where": "workspace", "to_workspace": "x"}'))


def test_every_class_has_a_manager_and_a_destination() -> None:
    code = (ROOT / "deploy/tpv/chunkwise.yml").read_text()
    classes = {word for word in ("short", "small", "big") if f"'{word}'" in code}
    managers = yaml.safe_load((ROOT / "deploy/pulsar/config/app.yml").read_text().replace("@", ""))["managers"]
    assert classes == set(managers)
    example = ROOT / "deploy/galaxy/example"
    destinations = yaml.safe_load((example / "tpv_destinations.yml").read_text())
    runners = yaml.safe_load((example / "job_conf.yml").read_text())["runners"]
    used = {entry["runner"] for entry in destinations["destinations"].values() if "runner" in entry}
    assert used == set(runners)
    assert {entry.get("manager") for entry in runners.values()} - {None} == classes


@pytest.mark.parametrize(
    ("tool", "chosen"),
    [
        ("chunkwise_crate", "short"),
        ("chunkwise_crate_merge", "short"),
        ("toolshed.example.org/repos/somebody/chunkwise/chunkwise_crate_merge/0.1.0+galaxy0", "short"),
        ("chunkwise_predict", "small"),
        ("chunkwise_segment", "small"),
    ],
)
def test_the_class_of_a_tool(tool: str, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An action of a command is of the command's class."""
    assert rule_of(tool, job(), monkeypatch) == ([chosen], None)


@pytest.mark.parametrize("family", families())
def test_every_operation_has_a_place_whose_memory_its_workers_fit(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new tool needs no line in the rules: blocks are made to fit the memory that a job was given."""
    entry = next(iter(yaml.safe_load((ROOT / "deploy/tpv/chunkwise.yml").read_text())["tools"].values()))
    for asked in (job(data("ome_zarr", size=10**6)), job()):
        needs, memory = rule_of(f"chunkwise_{family}", asked, monkeypatch)
        workers, gigabytes = (2, memory) if memory else (entry["cores"], entry["mem"])
        assert needs[0] in ("short", "small", "big")
        assert gigabytes * 1e9 / workers > 2 * BASE, (
            "what a worker takes before it reads a voxel, and as much for blocks"
        )


def rule_of(tool: str, asked: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], float | None]:
    """What the rule says of a job, run as TPV runs it: what it needs, and memory where that is not the usual."""
    tools = yaml.safe_load((ROOT / "deploy/tpv/chunkwise.yml").read_text())["tools"]
    ((pattern, entry),) = tools.items()
    assert re.fullmatch(pattern, tool)
    needs: list[str] = []
    known = SimpleNamespace(SchedulingTags=lambda require: needs.extend(require))
    for name in ("tpv", "tpv.core", "tpv.core.entities"):
        monkeypatch.setitem(sys.modules, name, known)  # type: ignore[arg-type]
    entity = SimpleNamespace(tpv_tags=SimpleNamespace(combine=lambda tags: tags), context={})
    names = ("chunkwise_local_profile", "chunkwise_gpu_profile", "chunkwise_cluster_profile")
    given = dict.fromkeys(names, "profile") | {"chunkwise_one_node_gigabytes": 4}
    given |= {"tool": SimpleNamespace(id=tool), "job": asked, "user": None, "entity": entity}
    exec(entry["rules"][0]["execute"], given)
    assert entity.context["chunkwise_class"] == needs[0]
    return needs, getattr(entity, "mem", None)
