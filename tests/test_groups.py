"""The groups of ``make test``: nobody starts a server beside the group that has it, nor without saying so."""

from __future__ import annotations

import pytest


def test_who_uses_a_server_says_so_and_is_in_its_group(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        users = {"galaxy_url", "cluster", "slurm", "own_slurm", "s3"} & set(getattr(item, "fixturenames", ()))
        group = item.get_closest_marker("xdist_group")
        assert group is not None, item.nodeid
        if users:
            marked = [name for name in ("galaxy", "cluster", "s3") if item.get_closest_marker(name)]
            assert marked, f"{item.nodeid} uses {users}, and 'make test-fast' would start it"
            assert group.args == ("servers",), item.nodeid
