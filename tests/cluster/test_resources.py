"""How many workers, how much memory, where: what the site, the job and the kernel say, and who has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunkwise.cluster import resources
from chunkwise.cluster.limits import memory_limit
from chunkwise.cluster.resources import find_resources
from chunkwise.errors import InputError
from chunkwise.site.model import Cluster, Limits, Site

GIB = 2**30


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GALAXY_SLOTS", "GALAXY_MEMORY_MB", "SLURM_CPUS_PER_TASK", "CHUNKWISE_CLUSTER"):
        monkeypatch.delenv(name, raising=False)


def site(limits: Limits = Limits(), **profile: object) -> Site:  # noqa: B008
    cluster = Cluster("c", **({"kind": "slurm"} | profile))  # type: ignore[arg-type]
    return Site(Path("site.toml"), clusters={"c": cluster}, default_cluster="c", limits=limits)


@pytest.mark.parametrize(
    ("voxels", "workers"), [(0, 2), (10**8, 2), (10**9, 2), (3 * 10**9, 3), (3 * 10**9 + 1, 4), (10**15, 6)]
)
def test_workers_follow_the_plan_s_size(voxels: int, workers: int) -> None:
    found = find_resources(voxels=voxels, site=site(workers_min=2, workers_max=6))
    assert (found.workers, found.cluster.name) == (workers, "c")


def test_what_the_job_of_the_driver_has_does_not_size_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_SLOTS", "64")
    monkeypatch.setenv("GALAXY_MEMORY_MB", "1000000")
    found = find_resources(voxels=10**6, site=site(workers_min=2, memory_per_worker=3 * GIB))
    assert (found.workers, found.memory_per_worker) == (2, 3 * GIB)


def test_the_site_s_bounds_hold_whoever_asks_for_more(capsys: pytest.CaptureFixture[str]) -> None:
    bounded = site(workers_max=6, memory_per_worker=3 * GIB)
    assert find_resources(4, GIB, site=bounded).workers == 4
    assert find_resources(4, GIB, site=bounded).memory_per_worker == GIB
    assert capsys.readouterr().err == ""
    found = find_resources(40, 40 * GIB, site=bounded)
    assert (found.workers, found.memory_per_worker) == (6, 3 * GIB)
    assert "note: --workers 40 is more than one run may have; 6 is used." in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["local", "slurm"])
def test_limits_hold_in_every_cluster(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_SLOTS", "8")
    limited = site(Limits(workers=2, memory_per_worker=GIB // 2), kind=kind, workers_min=4)
    for found in (find_resources(site=limited), find_resources(8, 8 * GIB, site=limited)):
        assert (found.workers, found.memory_per_worker) == (2, GIB // 2)


def test_small_runs_stay_here_where_the_site_says_so() -> None:
    assert find_resources(voxels=10, site=site(workers_min=0)).cluster.kind == "local"
    assert find_resources(voxels=10**10, site=site(workers_min=0)).workers == 10


def test_work_of_one_process_stays_here() -> None:
    assert find_resources(voxels=10**12, site=site(), here=True).cluster.kind == "local"


def test_too_few_workers() -> None:
    with pytest.raises(InputError, match="--workers 0 is too few"):
        find_resources(0, site=site())


def test_the_kernel_s_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "memory_limit", lambda: 2 * GIB)
    monkeypatch.setenv("GALAXY_MEMORY_MB", "100000")
    assert find_resources(2).memory_per_worker == (2 * GIB - 2**28) // 2
    assert find_resources(2, 10 * GIB).memory_per_worker == (2 * GIB - 2**28) // 2
    assert find_resources(2, GIB // 4).memory_per_worker == GIB // 4


@pytest.mark.parametrize(
    ("lines", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "5000", "memory.max": "9000"}, 5000),
        ("0::/a/b\n", {"a/b/memory.max": "max"}, None),
        ("5:cpu:/x\n4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "7000"}, 7000),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        # In a container, the path of the host is not to be seen; the top is its own group.
        ("4:memory:/docker/1234\n", {"memory/memory.limit_in_bytes": "6000"}, 6000),
        ("0::/../../elsewhere\n", {"memory.max": "4000"}, 4000),
    ],
)
def test_limits_of_control_groups(tmp_path: Path, lines: str, files: dict[str, str], limit: int | None) -> None:
    (tmp_path / "membership").write_text(lines)
    for name, content in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    assert memory_limit(str(tmp_path / "cgroup"), str(tmp_path / "membership")) == limit
