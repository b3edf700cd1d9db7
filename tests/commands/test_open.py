"""``chunkwise open``: from a store to a reference, or to one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zarr

from chunkwise.cli import main
from made_stores import write

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the real images in ../shared are not there")


@needs_data
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr", "image"),
        ("omezarr_fractal_cardio/cardio_B03_mip_levels1to4.zarr/labels/nuclei", "labels"),
        ("omezarr_hcs_metadata_only/hcs_example.ome.zarr", "plate"),
        ("omezarr_galaxy_image_analysis/coins.ome.zarr", "bioformats2raw"),
        ("omezarr_galaxy_image_analysis/input10.zarr", "image"),
    ],
)
def test_real_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    assert main(["open", str(DATA / name), "--output", str(tmp_path / "ref.json")]) == 0
    content = json.loads((tmp_path / "ref.json").read_text())
    assert (content["chunkwise_reference"], content["kind"]) == (1, kind)
    assert content["fingerprint"]["level"] == "metadata"
    assert content["store"] == {"path": str((DATA / name).resolve())}
    assert str(DATA.resolve()) in capsys.readouterr().out


def test_fingerprints_notice_what_they_promise(tmp_path: Path) -> None:
    store = write(tmp_path / "i.zarr")
    array = zarr.open_array(store / "0", mode="r+")
    array[...] = 1
    values: dict[str, list[str]] = {"none": [], "stat": [], "full": []}
    for turn in range(2):
        for level, taken in values.items():
            output = tmp_path / f"{level}{turn}.json"
            assert main(["open", str(store), "--output", str(output), "--fingerprint", level]) == 0
            taken.append(json.loads(output.read_text())["fingerprint"]["value"])
        array[0, 0] = 7
    assert values["none"][0] == values["none"][1]
    assert values["stat"][0] != values["stat"][1]
    assert values["full"][0] != values["full"][1]


def test_a_reference_to_a_reference_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "i.zarr")
    monkeypatch.chdir(tmp_path)
    assert main(["open", "i.zarr", "--output", "one.json"]) == 0
    assert main(["open", "one.json", "--output", "two.json"]) == 0
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()


def test_bad_input_gets_one_sentence_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "absent", tmp_path / "empty"):
        assert main(["open", str(place), "--output", str(tmp_path / "ref.json")]) == 2
        said = capsys.readouterr().err
        assert said.startswith("chunkwise open: error: ")
        assert said.count("\n") == 1
        assert "Traceback" not in said
    assert not (tmp_path / "ref.json").exists()


def test_what_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "i.zarr")
    (tmp_path / "ref.json").write_text("mine")
    assert main(["open", str(store), "--output", str(tmp_path / "ref.json")]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "ref.json").read_text() == "mine"


def test_the_site_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "images" / "i.zarr")
    write(tmp_path / "images-secret" / "i.zarr")
    site = tmp_path / "site.toml"
    (tmp_path / "job").mkdir()
    site.write_text(
        f'[roots.images]\npath = "{tmp_path / "images"}"\n[roots.jobs]\npath = "{tmp_path}/job"\naccess = "job"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(site))
    assert main(["open", "images:i.zarr", "--output", str(tmp_path / "job" / "ref.json")]) == 0
    assert json.loads((tmp_path / "job" / "ref.json").read_text())["store"] == {"root": "images", "path": "i.zarr"}
    for place in (tmp_path / "images-secret" / "i.zarr", tmp_path / "images" / ".." / "images-secret" / "i.zarr"):
        assert main(["open", str(place), "--output", str(tmp_path / "job" / "other.json")]) == 3
        assert "none of this site's roots" in capsys.readouterr().err
    assert not (tmp_path / "job" / "other.json").exists()
