"""Locations, and the one function that decides whether a location may be opened.

The policy, in full, is in ``docs/site.md``; in short:

* With a site file, a path or URL is opened only below a root that allows the access to the person for whom the
  job runs. Symbolic links and ``..`` are resolved before the comparison, so that they do not get around it. The
  innermost root decides, also where it is closed to that person.
* Without one, a path that a person typed is allowed; a location that was found inside a file
  (a reference, metadata, a crate) only below the working directory; URLs are refused.
"""

from __future__ import annotations

import os
import posixpath
import stat
import sys
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, quote, unquote, unquote_to_bytes, urlsplit

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import DOCUMENT, unreadable
from chunkwise.site import Root, S3Access, Site

__all__ = ["ZIP_NAMES", "Foreign", "Location", "in_archive", "resolve"]

URL_SCHEMES = ("http", "https", "s3")

#: How the name of a store in a zip file ends, in small letters, and how such a file begins.
ZIP_NAMES = (".ozx", ".zip")
ZIP_BEGINS = (b"PK\3\4", b"PK\5\6")


@dataclass(frozen=True)
class Foreign:
    """A file, or files, of another format, read as the OME-Zarr that they would be: see :mod:`chunkwise.formats`."""

    reader: str
    """Module of :mod:`chunkwise.formats` that reads it."""
    path: str
    folder: str
    """Where it lies, and whatever belongs to it; the path itself where that is a folder."""
    media_type: str
    said: tuple[tuple[str, str], ...] = ()
    """What a person said of it because the file does not, by the names of the options."""


@dataclass(frozen=True)
class Location:
    """A place that the policy allowed: an absolute path with links resolved, or a URL.

    Made by :func:`resolve` and by :meth:`child`; never by hand from text that somebody gave.
    """

    address: str
    root: str | None = None
    """Name of the site's root it lies under; None where there is no site."""
    boundary: str | None = None
    """Path or URL that everything below has to stay under; None: no limit."""
    top: str | None = None
    """Path or URL of the root."""
    closed: tuple[str, ...] = ()
    """Paths or URLs below the boundary that are as good as not there: roots of their own that are not for this use."""
    s3: S3Access | None = field(default=None, repr=False)
    """How an s3 address is reached; it travels to workers, and names the place of the keys only."""
    largest: int = field(default=DOCUMENT, repr=False)
    """Bytes of one document below it at most."""
    archive: str | None = None
    """Path or URL of the zip file that it is, or lies in; its address goes on with the names of entries."""
    foreign: Foreign | None = None
    """The file of another format that it is, or lies in."""

    @property
    def is_url(self) -> bool:
        """Whether it is read over the network."""
        return self.address.split("://", 1)[0] in URL_SCHEMES

    def zip_top(self) -> Location:
        """The zip file that it lies in."""
        return self if self.archive is None else replace(self, address=self.archive)

    @property
    def name(self) -> str:
        """The last part, such as ``image.ome.zarr``."""
        return posixpath.basename(self.address.rstrip("/"))

    @property
    def relative(self) -> str:
        """The part below the root, or the whole address where there is no root."""
        if self.root is None or self.top is None:
            return self.address
        return self.address[len(self.top) :].lstrip("/") or "."

    def allows(self, real: str) -> bool:
        """Whether a path or URL, links resolved, is one that the policy allows to whatever lies at this location."""
        within = self.boundary is None or _below(real, self.boundary)
        return within and not any(_below(real, closed) for closed in self.closed)

    def child(self, path: str) -> Location:
        """Go to a path inside this location, as metadata name it.

        Raises
        ------
        InputError
            If it has a zero byte.
        PolicyError
            If ``..`` or a symbolic link leads out of what the policy allows.
        """
        if path in ("", "."):
            return self
        if "\0" in path:
            raise InputError(f"The path {path!r} inside {self.address} has a zero byte, which no path can have.")
        if self.is_url:
            real = _normal_url(f"{self.address}/{quote(path)}")
            if not _below(real, self.address):
                raise self._outside(path)
        else:
            plain = os.path.normpath(os.path.join(self.address, path))
            if os.path.isabs(path) or not _below(plain, self.address):
                raise self._outside(path)
            try:
                real = os.path.realpath(plain)
            except OSError as error:  # a link that was changed while it was followed
                raise unreadable(plain, error) from None
        if not self.allows(real):
            raise PolicyError(
                f"'{path}' inside {self.address} is a symbolic link to a place outside {self.boundary}, or is in "
                "another root, which is not allowed."
            )
        return replace(self, address=real)

    def _outside(self, path: str) -> PolicyError:
        return PolicyError(
            f"{self.address} names '{path}', which is not inside it; a store may name only what it contains: correct "
            "its metadata, or ask whoever wrote it."
        )


def resolve(text: str, site: Site | None, *, write: bool = False, typed: bool = True) -> Location:
    """Decide whether a location may be used, and say where it really is.

    Parameters
    ----------
    text : str
        A path, a ``file://`` or other URL, or ``ROOT:path`` with the name of one of the site's roots.
    site : Site or None
        The administrator's file.
    write : bool
        Whether something is to be written there.
    typed : bool
        True where the location stands on the command line; False where it was found inside a file, or where a user
        of a service such as Galaxy wrote it into a form.

    Raises
    ------
    PolicyError
        If the policy does not allow it.
    InputError
        If it is not a location at all.
    """
    if not text or "\0" in text:
        raise InputError("The location is empty; give a path, a URL or a reference.")
    location = _resolve(text, site, write, typed)
    if not write:
        location = in_archive(location)
    if not location.address.isascii():
        _check_letters(location.address)
    return location


def _check_letters(address: str) -> None:
    """Refuse a name that cannot be written into a file, and tell one that nobody can read from settings that cannot."""
    try:
        os.fsencode(address).decode("utf-8")
    except UnicodeError:
        raise InputError(f"The name {address!r} is not in UTF-8, so no record can contain it; rename it.") from None
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
        raise InputError(
            f"The name {address!r} has letters that this process cannot read, because its language settings (LC_ALL, "
            "LC_CTYPE, LANG) are not for UTF-8; set LC_ALL=C.UTF-8 and run the same command again."
        )


def in_archive(location: Location) -> Location:
    """Say of a location that it is a zip file, or goes on inside one: by what a file begins with; of a URL, by name."""
    if location.is_url:
        scheme, _, rest = location.address.partition("://")
        parts = rest.split("/")
        for count in range(2, len(parts) + 1):
            if parts[count - 1].lower().endswith(ZIP_NAMES):
                return replace(location, archive=f"{scheme}://{'/'.join(parts[:count])}")
        return location
    top = location.address
    while True:
        try:
            if not stat.S_ISREG(os.stat(top).st_mode):
                return location
            handle = os.open(top, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            if top == os.path.dirname(top):
                return location
            top = os.path.dirname(top)
            continue
        except OSError:
            return location
        try:
            is_file = stat.S_ISREG(os.fstat(handle).st_mode)
            is_zip = is_file and (top.lower().endswith(ZIP_NAMES) or os.read(handle, 4) in ZIP_BEGINS)
        finally:
            os.close(handle)
        return replace(location, archive=top) if is_zip else location


def _resolve(text: str, site: Site | None, write: bool, typed: bool) -> Location:
    scheme = text.split("://", 1)[0] if "://" in text else ""
    if scheme:  # before anything else, so that no sentence and no record repeats a password
        parts = _parts(text)
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{text} names another host; give a path on this machine.")
        return _resolve_path(unquote(parts.path), site, write, typed, plain=False)
    if scheme:
        if scheme not in URL_SCHEMES:
            raise InputError(f"{text} begins with '{scheme}://', which chunkwise cannot read; use https, http or s3.")
        return _resolve_url(text, site, write)
    return _resolve_path(text, site, write, typed, plain=True)


def _parts(url: str) -> SplitResult:
    """Take a URL apart, which may say where something lies and no more."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InputError("This is not a URL; correct what stands between '://' and the next '/'.") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise PolicyError(
            "A URL may not carry a user name, a password, a query or a fragment; in a name, write ? as %3F and # as "
            "%23."
        )
    return parts


def _resolve_path(text: str, site: Site | None, write: bool, typed: bool, plain: bool) -> Location:
    if site is None:
        real = os.path.realpath(text)
        here = os.path.realpath(os.getcwd())
        if typed:
            # A link to a file, as Galaxy gives them, says nothing of what else may be read where that lies.
            alone = os.path.islink(text) and os.path.isfile(real)
            return Location(real, None, real if alone else None)
        if not _below(real, here):
            raise PolicyError(
                f"{text} was named inside a file and is outside the working directory {here}; without a site file "
                "only what you type yourself is opened there: give the path on the command line."
            )
        return Location(real, None, here)
    head, _, rest = text.partition(":")
    if plain and rest and "/" not in head:
        if site.names_root(head):
            root = site.roots[head]
            if root.url is not None:
                return _resolve_url(f"{root.url}/{rest}", site, write)
            return _grant(
                text, os.path.realpath(os.path.join(root.path or "", rest.lstrip("/"))), site, write, named=True
            )
        if not typed or not (write or os.path.lexists(text)):
            raise _refusal(text, site, write)  # a name that looks like ROOT:path, and is none
    # Only a plain path on the command line is Galaxy's own: what its users choose comes in every other form.
    return _grant(text, os.path.realpath(text), site, write, named=not (typed and plain))


def _resolve_url(text: str, site: Site | None, write: bool) -> Location:
    if site is None:
        raise PolicyError(f"{text} is a URL, and without a site file URLs are not opened; ask your administrator.")
    _parts(text)
    return _grant(text, _normal_url(text), site, write, named=True)


def _grant(text: str, real: str, site: Site, write: bool, named: bool) -> Location:
    """Find the root that decides on a path or URL in its one form, and ask it.

    ``named``: somebody named it, rather than Galaxy itself.
    """
    around = [top for top in map(_top, site.roots.values()) if _below(real, top)]
    # The innermost root decides: a folder to read inside one to write into stays as it is, and one that is closed
    # to this person stays closed. Where several roots are the same place, one of them is enough.
    inner = max(around, key=len, default=None)
    open_roots = [root for root in site.roots.values() if _top(root) == inner and _usable(root, site, named)]
    if inner is None or not open_roots:
        raise _refusal(text, site, write)
    root = max(open_roots, key=lambda root: root.writable)
    if write and not root.writable:
        raise PolicyError(
            f"{text} is under the root '{root.name}', which may be read but not written; {_where_to_write(site)}."
        )
    # What is found below, by metadata or by a symbolic link, is named by whoever wrote it there.
    inside = {_top(other) for other in site.roots.values() if _top(other) != inner and _below(_top(other), inner)}
    usable = {_top(other) for other in site.roots.values() if _usable(other, site, named=True)}
    boundary = inner if root.named_by_users else real
    closed = tuple(sorted(inside - usable))
    return Location(real, root.name, boundary, inner, closed, root.s3, site.limits.document)


def _usable(root: Root, site: Site, named: bool) -> bool:
    return root.open_to(site.person) and (root.named_by_users or not named)


def _refusal(text: str, site: Site, write: bool) -> PolicyError:
    """Say no in the same words whether a place is closed, is not there, or was never anybody's."""
    roots = ", ".join(sorted(name for name in site.roots if site.names_root(name))) or "none"
    advice = _where_to_write(site) if write else "ask your administrator"
    return PolicyError(f"{text} is under none of this site's roots that are open to you ({roots}); {advice}.")


def _where_to_write(site: Site) -> str:
    writable = sorted(name for name in site.roots if site.names_root(name) and site.roots[name].writable)
    if not writable:
        return "ask your administrator for one that may be written"
    return f"write below {' or '.join(writable)}, or ask your administrator"


def _top(root: Root) -> str:
    return root.path if root.path is not None else _normal_url(root.url or "")


def _normal_url(url: str) -> str:
    """Write a URL in one way only: ``.`` and ``..`` resolved, also percent-encoded; scheme and host in small letters.

    What was decoded is encoded again, so that nothing is decoded twice: ``%252e%252e`` is a name, and must not
    reach the server as ``%2e%2e``, which it would read as ``..``.
    """
    parts = urlsplit(url)
    path = posixpath.normpath(b"/" + unquote_to_bytes(parts.path)).lstrip(b"/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}/{quote(path)}".rstrip("/")


def _below(path: str, top: str) -> bool:
    """Whether a normalised path or URL is ``top`` or lies under it."""
    return path == top or path.startswith(top.rstrip("/") + "/")
