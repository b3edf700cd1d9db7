"""Running a workflow in the real Galaxy and exporting the invocation, for tests and for their data.

``.venv/bin/python tests/galaxy_invocation.py`` makes the exports in test-data anew, from the Galaxy of
'make galaxy'. They are what Galaxy wrote, but for the place of this checkout, which is called /galaxy there.
"""

from __future__ import annotations

import io
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.galaxy.conftest import User

ROOT = Path(__file__).parents[1]
DATA = ROOT / "test-data"
CELLS = "gxfiles://chunkwise_images/cells_tczyx.ome.zarr"
STACK = "gxfiles://chunkwise_images/cells_zyx_v04.ome.zarr"


def invoke(user: User, workflow: str, inputs: dict[str, Any]) -> str:
    """Run one of our workflows to its end, and return the invocation."""
    (file,) = (ROOT / "workflows" / workflow).glob("*.gxwf.yml")
    text = {"class": "GalaxyWorkflow", "yaml_content": file.read_text()}
    made = user.call("POST", "/api/workflows", {"workflow": text})
    # Settings that a workflow does not name are those of the tool, as planemo has it.
    body = {
        "history_id": user.history,
        "inputs_by": "name",
        "inputs": inputs,
        "allow_tool_state_corrections": True,
    }
    invocation = str(user.call("POST", f"/api/workflows/{made['id']}/invocations", body)["id"])
    for _ in range(600):
        state = user.call("GET", f"/api/invocations/{invocation}")["state"]
        jobs = set(user.call("GET", f"/api/invocations/{invocation}/jobs_summary")["states"])
        if state in ("completed", "failed", "cancelled") and not jobs - {"ok", "error", "paused", "skipped", "deleted"}:
            return invocation
        time.sleep(0.5)
    raise AssertionError(f"the invocation stayed {state}, its jobs {jobs}")


def export(user: User, invocation: str, *, files: bool = True) -> bytes:
    """Let Galaxy export an invocation as RO-Crate, as its page does."""
    body = {"model_store_format": "rocrate.zip", "include_files": files}
    store = user.call("POST", f"/api/invocations/{invocation}/prepare_store_download", body)["storage_request_id"]
    for _ in range(600):
        if user.call("GET", f"/api/short_term_storage/{store}/ready"):
            return user.raw("GET", f"/api/short_term_storage/{store}")
        time.sleep(0.5)
    raise AssertionError("Galaxy did not write the export")


def image_inputs(user: User) -> dict[str, Any]:
    """The inputs of the workflow for nuclei, with one image."""
    return {
        "Image": {"src": "hda", "id": user.deferred(CELLS)},
        "Channel of the nuclei": "DAPI",
        "Smallest nucleus": 20,
    }


def list_inputs(user: User) -> dict[str, Any]:
    """Two images as a list: every step is mapped over it. Galaxy itself reads what is deferred in a list, so fetch."""
    elements = []
    for name, uri, channel in (("cells", CELLS, {"selection|channel": "DAPI"}), ("stack", STACK, {})):
        image = f"hda:{user.deferred(uri)}"
        piece = user.run("chunkwise_fetch", {"image": image, "format": "ome_zarr", **channel})["piece"]
        assert piece["state"] == "ok", user.error_of(piece)
        elements.append({"name": name, "src": "hda", "id": piece["id"]})
    body = {
        "history_id": user.history,
        "collection_type": "list",
        "name": "two images",
        "element_identifiers": elements,
    }
    made = user.call("POST", "/api/dataset_collections", body)
    return {"Image": {"src": "hdca", "id": made["id"]}, "Smallest nucleus": 20}


def neutral(content: bytes) -> bytes:
    """Name the checkout /galaxy, also in archives within the archive."""
    if not content.startswith(b"PK\x03\x04"):
        return content.replace(str(ROOT).encode(), b"/galaxy")
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, neutral(old.read(entry)), compress_type=zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def main() -> None:
    """Write both exports."""
    from tests.galaxy.conftest import RUN, User

    user = User(f"http://127.0.0.1:{(RUN / 'port').read_text().strip()}", "analyst")
    for name, inputs in (("one_image", image_inputs), ("two_images", list_inputs)):
        content = neutral(export(user, invoke(user, "nuclei-segmentation", inputs(user))))
        assert str(ROOT).encode() not in content
        (DATA / f"{name}.rocrate.zip").write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
