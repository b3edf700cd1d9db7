"""The workspace's own folders: who gets which, what lies in them, and to whom the results belong.

::

    ROOT/NAME                  layout = "flat"
    ROOT/USER/NAME             layout = "user"
    ROOT/USER/JOB/NAME         layout = "user/job"
    ROOT/.runs/USER/RUN/       an unfinished run: the store that grows, its plan, journal and scratch files

Runs are found by their plan and the name of the result, not by their job: when Galaxy runs a job again that was
cancelled or killed, the same inputs and parameters go on where it stopped.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from chunkwise.errors import InputError, PolicyError
from chunkwise.site import Person, Workspace
from chunkwise.storage.lock import is_held
from chunkwise.storage.writer import put_object

__all__ = [
    "GROWING",
    "LOCK",
    "RUNS",
    "Rights",
    "check_name",
    "folder_size",
    "job_folder",
    "make_folders",
    "make_run_folder",
    "reserve",
    "run_size",
    "user_folder",
]

#: Below the workspace's root; no name of a user, a job or a result begins with a dot.
RUNS = ".runs"

#: In the folder of a run: the store that grows, and what a run at work holds locked.
GROWING, LOCK = "store.partial", "store.partial.lock"

#: In the folder of a run: how many bytes its store will take.
_RESERVED = "reserved"

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_JOB = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


def check_name(option: str, name: str) -> None:
    """Refuse a name that could be more than a name.

    Raises
    ------
    InputError
        With the option and what a name may be.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{option} '{name}' may only have letters, digits, '-', '_' and '.', no dot at the front, and at most "
            "200 of them."
        )
    if name.endswith((".partial", ".run", ".lock")):
        raise InputError(f"{option} '{name}' has the ending of an unfinished run's files; choose another name.")


def user_folder(person: Person) -> str:
    """Name the folder of a person: a digest, so that two persons never share one, and that names nobody.

    References and crates hold the paths of results, and are shared and published; an e-mail address is not to be.

    Raises
    ------
    PolicyError
        If the job's environment does not say who it is.
    """
    if person.user is None:
        raise PolicyError(
            "This site keeps results by user, and the job's environment does not say who it runs for; ask your "
            "administrator to set CHUNKWISE_USER."
        )
    digest = hashlib.sha256(person.user.encode("utf-8", "surrogateescape")).hexdigest()
    return f"user-{digest[:20]}"


def job_folder(environment: Mapping[str, str], plan: str) -> str:
    """Name the folder of a job: as ``CHUNKWISE_JOB`` says, else by the day and the plan's hash.

    Raises
    ------
    PolicyError
        If ``CHUNKWISE_JOB`` is no plain name.
    """
    job = environment.get("CHUNKWISE_JOB", "")
    if not job:
        return f"{datetime.now(UTC):%Y%m%d}-{plan[:12]}"
    if not _JOB.fullmatch(job):
        raise PolicyError(
            f"CHUNKWISE_JOB is {job!r}, and may only have letters, digits, '-', '_' and '.'; ask your administrator to "
            "correct it."
        )
    return job


def folder_size(folder: str) -> int:
    """Add up the bytes of all files below a folder; links are not followed, what is gone counts nothing."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size
            except FileNotFoundError:
                continue
    return total


def reserve(folder: str, size: int | None) -> None:
    """Note in the folder of a run how much room its store will take; None: no more than it takes already."""
    path = os.path.join(folder, _RESERVED)
    if size is None:
        with suppress(OSError):
            os.unlink(path)
    else:
        put_object(folder, _RESERVED, str(size).encode())


def run_size(folder: str) -> int:
    """Bytes of an unfinished run, or those that were reserved for it while it is at work, if they are more."""
    size = folder_size(folder)
    if is_held(os.path.join(folder, LOCK)):
        with suppress(OSError, ValueError), open(os.path.join(folder, _RESERVED), "rb") as file:
            size = max(size, int(file.read(20)))
    return size


def make_run_folder(root: str, user: str, plan: str) -> str:
    """Make the folder of a run, which nobody but this account can look into; give its path.

    Raises
    ------
    PolicyError
        If what is there belongs to somebody else, or is a link.
    InputError
        If it cannot be made.
    """
    runs = os.path.join(root, RUNS)
    own = os.path.join(runs, user)
    try:
        if not os.path.lexists(runs):
            os.makedirs(runs, exist_ok=True)
            # Jobs of other accounts have to find it as open as the root is.
            os.chmod(runs, stat.S_IMODE(os.stat(root).st_mode))
        _refuse_link(runs)
        if not os.path.lexists(own):
            os.makedirs(own, mode=0o700, exist_ok=True)
        _refuse_link(own)
        if os.lstat(own).st_uid != os.geteuid():
            raise PolicyError(
                f"{own} belongs to another account than the one that runs this job; ask your administrator."
            )
        os.chmod(own, 0o700)
        folder = os.path.join(own, plan)
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The workspace {root} cannot be written to: {os.strerror(error.errno or 0)}; ask your administrator."
        ) from None
    return folder


def _refuse_link(folder: str) -> None:
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise PolicyError(f"{folder} is not a folder but a link or a file; ask your administrator to remove it.")


@dataclass(frozen=True)
class Rights:
    """To whom results belong, and who may read them."""

    owner: int = -1
    """Number of the account; -1: as it comes."""
    group: int = -1
    umask: int | None = None

    @classmethod
    def of(cls, workspace: Workspace) -> Rights:
        """Look names up, and see now whether they can be given.

        Raises
        ------
        PolicyError
            If a name is unknown, or this account may not give files to it.
        """
        owner = group = -1
        if workspace.owner is not None:
            try:
                owner = pwd.getpwnam(workspace.owner).pw_uid
            except KeyError:
                raise _wrong(
                    f"names the owner '{workspace.owner}', an account that does not exist on this machine"
                ) from None
            if os.geteuid() not in (0, owner):
                raise _wrong(f"gives results to the account '{workspace.owner}', which only root can do")
        if workspace.group is not None:
            try:
                group = grp.getgrnam(workspace.group).gr_gid
            except KeyError:
                raise _wrong(f"names the group '{workspace.group}', which does not exist on this machine") from None
            if os.geteuid() != 0 and group not in {os.getegid(), *os.getgroups()}:
                raise _wrong(f"gives results to the group '{workspace.group}', which this account does not belong to")
        return cls(owner, group, workspace.umask)

    def give(self, store: str) -> None:
        """Give a store that is whole its owner, group and mode, before it gets its name; links stay as they are.

        Raises
        ------
        PolicyError
            If the file system refuses.
        """
        if self == Rights():
            return
        try:
            self._give(store, folder=True, owner=self.owner)
            for top, folders, files in os.walk(store):
                for name in folders:
                    self._give(os.path.join(top, name), folder=True, owner=self.owner)
                for name in files:
                    self._give(os.path.join(top, name), folder=False, owner=self.owner)
        except OSError as error:
            raise _wrong(
                f"asks for an owner, group or mode that the file system refuses ({os.strerror(error.errno or 0)})"
            ) from None

    def make_folder(self, path: str) -> None:
        """Make a folder that results go into; it stays this account's own, so that nobody can put another in its place.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        try:
            os.mkdir(path)
        except FileExistsError:
            return
        self._give(path, folder=True, owner=-1)

    def _give(self, path: str, folder: bool, owner: int) -> None:
        if os.path.islink(path):
            return
        if owner != -1 or self.group != -1:
            os.chown(path, owner, self.group, follow_symlinks=False)
        if self.umask is not None:
            os.chmod(path, (0o777 if folder else 0o666) & ~self.umask)


def make_folders(root: str, inner: str, rights: Rights) -> None:
    """Make the folders of a user and a job below the workspace's root.

    Raises
    ------
    InputError
        If they cannot be made.
    """
    path = root
    try:
        for part in inner.split("/"):
            path = os.path.join(path, part)
            rights.make_folder(path)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {os.strerror(error.errno or 0)}; ask your administrator.") from None


def _wrong(what: str) -> PolicyError:
    return PolicyError(f"The site file {what}; ask your administrator to correct the section [workspace].")
