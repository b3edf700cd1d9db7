"""Every case of the official conformance suites as a store, opened by the command: valid is accepted, invalid refused.

What the suites call invalid may be read without ``--strict`` where its meaning is beyond doubt: never without a word.
The suites named ``strict`` ask for what the specification recommends, as ``--strict-all`` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main

SUITES = Path(__file__).parents[3] / "shared" / "data" / "ngff_conformance"
needs_suites = pytest.mark.skipif(not SUITES.exists(), reason="the conformance suites in ../shared are not there")
VERSIONS = ("0.4", "0.5")
IMAGE: dict[str, Any] = {
    "name": "image",
    "type": "nearest",
    "metadata": {},
    "axes": [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"],
    "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}],
}


def _cases() -> Iterator[Any]:
    """Version, kind, whether it is of a strict suite, attributes, whether they are valid."""
    for version in VERSIONS:
        for file in sorted((SUITES / version / "tests").glob("*_suite.json")):
            suite = json.loads(file.read_text())
            for test in suite["tests"]:
                name = test.get("formerly") or test.get("description")
                label = f"{version}-{file.stem}-{name}"
                yield pytest.param(version, *_schema(suite["schema"]["id"]), test["data"], test["valid"], id=label)
        for file in sorted((SUITES / version / "examples").glob("*/[!.]*.json")):
            schema = json.loads((file.parent / ".config.json").read_text())["schema"]
            # The examples carry comments, which JSON does not know.
            content = json.loads(re.sub(r"^(.*?)\s//.*$", r"\1", file.read_text(), flags=re.MULTILINE))
            attributes = content["attributes"] if version == "0.5" else content
            yield pytest.param(
                version, *_schema(schema), attributes, True, id=f"{version}-{file.parent.name}-{file.stem}"
            )


def _schema(name: str) -> tuple[str, bool]:
    stem = Path(name).stem
    return stem.removeprefix("strict_"), stem.startswith("strict_")


def _developed() -> Iterator[Any]:
    for file in sorted((SUITES / "0.6dev" / "tests").rglob("*.json")):
        text = file.read_text()
        try:
            content = json.loads(text)
            attributes = content["attributes"] if file.name == "zarr.json" else content
        except ValueError:
            attributes = text  # one is no JSON at all
        yield pytest.param(attributes, id=str(file.relative_to(SUITES / "0.6dev" / "tests")))


class _Maker:
    """Writes stores by hand: groups and arrays that hold no voxel."""

    def __init__(self, version: str) -> None:
        self.version = version

    def group(self, path: Path, attributes: Any) -> None:
        path.mkdir(parents=True, exist_ok=True)
        if self.version == "0.4":
            (path / ".zgroup").write_text('{"zarr_format": 2}')
            (path / ".zattrs").write_text(json.dumps(attributes))
        else:
            document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            (path / "zarr.json").write_text(json.dumps(document))

    def block(self, content: dict[str, Any]) -> dict[str, Any]:
        return content if self.version == "0.4" else {"ome": {"version": self.version, **content}}

    def array(self, path: Path, names: list[Any]) -> None:
        path.mkdir(parents=True, exist_ok=True)
        shape = [2] * len(names)
        if self.version == "0.4":
            about = {"compressor": None, "filters": None, "order": "C", "fill_value": 0}
            document = {"zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "<u2", **about}
            (path / ".zarray").write_text(json.dumps(document))
            return
        grid = {"name": "regular", "configuration": {"chunk_shape": shape}}
        keys = {"name": "default", "configuration": {"separator": "/"}}
        document = {"shape": shape, "data_type": "uint16", "chunk_grid": grid, "chunk_key_encoding": keys}
        document |= {"fill_value": 0, "codecs": [{"name": "bytes"}], "dimension_names": names}
        (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "array", **document}))

    def image(self, path: Path, attributes: Any) -> None:
        """An image with an array wherever its metadata name one."""
        self.group(path, attributes)
        block = attributes.get("ome", {}) if self.version == "0.5" else attributes
        for entry in block.get("multiscales", []):
            names = [axis.get("name") for axis in entry.get("axes", [])]
            for dataset in entry.get("datasets", []):
                if isinstance(dataset.get("path"), str):
                    self.array(path / dataset["path"], names)

    def whole_image(self, path: Path) -> None:
        own = {"version": "0.4"} if self.version == "0.4" else {}
        self.image(path, self.block({"multiscales": [{**own, **IMAGE}]}))

    def store(self, path: Path, kind: str, attributes: Any) -> None:
        """Everything around the metadata of a case that makes a store of them."""
        block = attributes.get("ome", attributes)
        if kind == "image":
            self.image(path, attributes)
        elif kind == "label":
            own = {"version": "0.4"} if self.version == "0.4" else {}
            block["multiscales"] = [{**own, **IMAGE}]
            self.image(path, attributes)
        elif kind == "plate":
            self.group(path, attributes)
            for well in block.get("plate", {}).get("wells", []):
                if isinstance(well.get("path"), str):
                    self.well(path / well["path"])
        elif kind == "well":
            self.group(path, attributes)
            for field in block["well"]["images"]:
                self.whole_image(path / field["path"])
        elif kind == "bf2raw":
            self.group(path, attributes)
            self.whole_image(path / "0")
        else:
            assert kind == "ome"
            self.group(path, self.block({"bioformats2raw.layout": 3}))
            self.group(path / "OME", attributes)
            for name in block["series"]:
                self.whole_image(path / name)

    def well(self, path: Path) -> None:
        own = {"version": "0.4"} if self.version == "0.4" else {}
        self.group(path, self.block({"well": {**own, "images": [{"path": "0"}]}}))
        self.whole_image(path / "0")


@needs_suites
def test_the_suites_are_found() -> None:
    assert len(list(_cases())) > 100
    assert len(list(_developed())) > 100


@needs_suites
@pytest.mark.parametrize(("version", "kind", "strict", "attributes", "valid"), list(_cases()))
def test_valid_is_accepted_and_invalid_refused(
    version: str,
    kind: str,
    strict: bool,
    attributes: Any,
    valid: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _Maker(version).store(tmp_path / "case.zarr", kind, json.loads(json.dumps(attributes)))
    lenient = main(["open", "case.zarr", "--output", "ref.json"])
    said = capsys.readouterr().out
    held = main(["open", "case.zarr", "--output", "strict.json", "--strict-all" if strict else "--strict"])
    refusal = capsys.readouterr().err
    if valid:
        assert (lenient, held) == (0, 0), refusal
        return
    assert held == 2
    assert "breaks the OME-Zarr" in refusal or "does not follow every recommendation" in refusal or lenient == 2
    assert not Path("strict.json").exists()
    # Read all the same, it is not read in silence.
    assert lenient == 2 or ("warning: " if strict else "deviation: ") in said


@needs_suites
@pytest.mark.parametrize("attributes", list(_developed()))
def test_the_version_under_development_has_a_sentence_of_its_own(
    attributes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _Maker("0.5").group(tmp_path / "case.zarr", attributes)
    expected = "which is still being developed"
    if isinstance(attributes, str):
        (tmp_path / "case.zarr" / "zarr.json").write_text(attributes)
        expected = "zarr.json are damaged"
    elif "ome" not in attributes:
        expected = "have no 'ome' block"  # which says the version
    assert main(["open", "case.zarr", "--output", "ref.json"]) == 2
    assert expected in capsys.readouterr().err
