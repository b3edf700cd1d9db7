"""Make the users of the test Galaxy and write their API keys: ``users.py URL FOLDER``.

The server listens on loopback only and holds sample data only, so the password may stand here.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PASSWORD = "a-password-for-tests"
USERS = ("admin", "analyst", "site", "rest", "mq", "slurm", "patient")
"""``site`` works with a site file on this machine; ``rest``, ``mq`` and ``slurm`` on the cluster, each by its own way
(only_for_tests/tpv_tests.yml); ``patient`` as ``rest``, with workers that wait until a test lets them start; the others
without a site file."""
GROUPS = {"imaging": ("mq",)}
"""Groups that the site file (example/site.toml and only_for_tests/) knows."""


def call(url: str, key: str, path: str, body: dict[str, Any] | None = None, method: str = "GET") -> Any:
    """Speak to Galaxy's API; answers its JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, method=method)
    request.add_header("x-api-key", key)
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def main(url: str, folder: Path) -> None:
    """Make every user that is not there yet."""
    bootstrap = (folder / "secret").read_text()
    for name in USERS:
        file = folder / f"{name}.key"
        if file.exists() and works(url, file.read_text()):
            continue
        email = f"{name}@example.org"
        known = call(url, bootstrap, f"/api/users?f_email={email}")
        user = known[0] if known else None
        if user is None:
            body = {"username": name, "email": email, "password": PASSWORD}
            user = call(url, bootstrap, "/api/users", body, "POST")
        key = call(url, bootstrap, f"/api/users/{user['id']}/api_key", {}, "POST")
        file.touch(mode=0o600)
        file.write_text(str(key))
    make_groups(url, bootstrap)


def make_groups(url: str, key: str) -> None:
    """Make the groups that are not there yet."""
    there = {group["name"] for group in call(url, key, "/api/groups")}
    for name, members in GROUPS.items():
        if name not in there:
            found = [call(url, key, f"/api/users?f_email={member}@example.org")[0]["id"] for member in members]
            call(url, key, "/api/groups", {"name": name, "user_ids": found}, "POST")


def works(url: str, key: str) -> bool:
    """Whether a key that was written earlier still belongs to a user of this database."""
    for _ in range(3):
        try:
            call(url, key, "/api/users/current")
            return True
        except urllib.error.HTTPError:
            return False
        except OSError:
            time.sleep(1)
    return False


main(sys.argv[1], Path(sys.argv[2]))
