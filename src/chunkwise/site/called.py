"""What people in Galaxy call places of a server: a dataset by its name in the history, the site's storage as ROOT:path.

The tools write down what they hand over, a line for each input: the parameter, the path, the name of the dataset.
``CHUNKWISE_GALAXY_NAMES`` says in which file. Nothing but sentences depends on it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from chunkwise.errors import ChunkwiseError
from chunkwise.files import read_file
from chunkwise.site.read import load_site

__all__ = ["called", "in_galaxy", "name_of"]

LARGEST = 1 << 20
#: A path of the machine, plain or as a URI, up to its last part; addresses of the web are the user's own words.
_BEGIN = r"(?:\bfile://|(?<![\w:/.]))"
_PATH = re.compile(rf"{_BEGIN}/(?:[^\s/'\"]+/)+(?=[^\s/'\"])")
#: What a job writes lies in its own folder until Galaxy takes it over.
_NEW = re.compile(rf"{_BEGIN}/[^\s'\"]*/outputs/dataset_[0-9a-f-]+_files/[\w.-]*[\w-]")
#: A file of the history, by Galaxy's own name for it.
_FILE = re.compile(r"(?<![\w/])dataset_[0-9a-f-]+\.dat\b")
_SIMPLE = re.compile(r"[\w./:-]+")


def in_galaxy() -> bool:
    """Whether this is a job of one of our tools in Galaxy."""
    return bool(os.environ.get("CHUNKWISE_GALAXY_TOOL_ID"))


def name_of(role: str) -> str | None:
    """What the history calls the dataset of a parameter; None outside of Galaxy, or where nobody said."""
    return next((name for one, _, name in _said() if one == role), None)


def called(sentence: str) -> str:
    """Say places of the server as the user knows them, where this is a job of Galaxy."""
    if not in_galaxy() or not (_PATH.search(sentence) or _FILE.search(sentence)):
        return sentence
    sentence = _NEW.sub("the new dataset", sentence)  # also where the jobs' folder is in a root
    for path, words in _places():
        end = "" if path.endswith("/") else r"(?![\w-]|\.\w)"
        sentence = re.sub(rf"{_BEGIN}{re.escape(path)}{end}", words.replace("\\", r"\\"), sentence)
    files = {os.path.basename(path): _quoted(name) for _, path, name in _said()}
    return _FILE.sub(lambda found: files.get(found.group(), found.group()), _PATH.sub("", sentence))


def _quoted(name: str) -> str:
    return name if _SIMPLE.fullmatch(name) else f"'{name}'"


def _said() -> list[tuple[str, str, str]]:
    """Parameters, paths and names of the datasets of this job."""
    file = os.environ.get("CHUNKWISE_GALAXY_NAMES", "")
    if not in_galaxy() or not os.path.isfile(file):
        return []
    text = read_file(file, largest=LARGEST, what="list of names").decode(errors="replace")
    parts = (line.split("\t") for line in text.splitlines())
    # An address of a file source says more than a person needs; the last part is what was clicked.
    return [(one[0], one[1], re.sub(r"^gxfiles://.*/(?=.)", "", one[2])) for one in parts if len(one) == 3 and one[2]]


def _places() -> list[tuple[str, str]]:
    """Paths and what they are called, the longest first; below a root, what follows it stays."""
    found: dict[str, str] = {}
    with suppress(ChunkwiseError):  # a damaged site file is what the sentence is about
        site = load_site()
        roots = {} if site is None else {name: one for name, one in site.roots.items() if site.names_root(name)}
        found |= {f"{one.path.rstrip('/')}/": f"{name}:" for name, one in roots.items() if one.path is not None}
    for _, path, name in _said():
        found |= dict.fromkeys({os.path.abspath(path), os.path.realpath(path)}, _quoted(name))
    return sorted(found.items(), key=lambda one: -len(one[0]))
