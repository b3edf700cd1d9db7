"""Say where a ``gxfiles://`` URI lies on disk, as a ``file://`` URI: ``gxfiles_path.py FILE_SOURCES_JSON URI``.

Galaxy hands a deferred dataset over as a URI of one of its file sources. Sources of type posix are folders
that the job can read itself, so that the image needs no copy. The path never leaves the source's folder,
neither by ``..`` nor by a symbolic link. It is written as a URI, so that chunkwise knows it for a place that a
user chose; a plain path is one that Galaxy itself hands over. The file browser of *Upload* gives files and no folders:
there, an image is chosen by the file in it that describes it. Runs without chunkwise: only the standard library.
"""

import json
import os
import sys
from urllib.parse import quote, unquote, urlsplit

DESCRIPTIONS = ("zarr.json", ".zattrs", ".zgroup")
"""The file that says what a store is: what stands for the folder that it lies in."""


def locate(sources: list[dict[str, str]], uri: str) -> str:
    """Return the place of a URI on disk, or end with one sentence."""
    parts = urlsplit(uri)
    source = next((one for one in sources if one.get("id") == parts.netloc), None)
    if source is None:
        sys.exit(f"error: {uri} belongs to no file source that you may use; choose the image again.")
    root = source.get("root")
    if source.get("type") != "posix" or not root:
        sys.exit(f"error: {uri} does not lie on this Galaxy's own storage; import it, or use an https or s3 address.")
    root = os.path.realpath(root)
    folder, file = os.path.split(unquote(parts.path).lstrip("/"))
    path = os.path.realpath(os.path.join(root, folder, "" if file in DESCRIPTIONS else file))
    if not path.startswith(root.rstrip("/") + "/"):
        sys.exit(f"error: {uri} leads out of its file source, which is not allowed.")
    return "file://" + quote(path)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(locate(json.load(file)["file_sources"], sys.argv[2]))
