"""``--preview``: a look at the result in a small region, the same as the result is there, with little read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.color
import skimage.filters
import zarr
from PIL import Image

import chunkwise as cw
import made_stores
from chunkwise.cli import main
from chunkwise.errors import InputError, ResumableError
from chunkwise.report.pictures import contrast, to_gray
from chunkwise.running.chains import local
from made_models import image_store, make_package, noise, predict
from whole_image import reference_segment

MADE = Path(__file__).parents[2] / "test-data"


def cells(shape: tuple[int, ...], seed: int = 1) -> np.ndarray[Any, Any]:
    """Bright spots of some voxels on a dark, noisy ground."""
    rng = np.random.default_rng(seed)
    spots = scipy.ndimage.gaussian_filter((rng.random(shape) > 0.998).astype(float), 3 if len(shape) == 2 else 2)
    return (3000 * spots / spots.max() + rng.integers(0, 400, shape)).astype("uint16")


@pytest.fixture
def volume(tmp_path: Path) -> tuple[Path, np.ndarray[Any, Any]]:
    voxels = cells((40, 150, 170))
    return image_store(tmp_path, voxels, "zyx"), voxels


def boxes(region: str) -> tuple[slice, ...]:
    return tuple(slice(*map(int, part.split(":"))) for part in region.split(","))


#: In the middle of chunks, over their borders, and in the corner of the image.
REGIONS = ("19:22,40:100,50:130", "0:1,0:64,0:64", "39:40,100:150,106:170")


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    ("method", "values", "reference"),
    [
        ("gaussian", {"sigma": 2.5}, lambda image: scipy.ndimage.gaussian_filter(image, 2.5)),
        ("median", {"size": 5}, lambda image: scipy.ndimage.median_filter(image, 5)),
        ("maximum", {"size": 9}, lambda image: scipy.ndimage.maximum_filter(image, 9)),
    ],
)
def test_a_filter_is_that_of_the_whole_image(
    volume: Any, method: str, values: Any, reference: Any, region: str
) -> None:
    store, voxels = volume
    found = cw.filter(str(store), method=method, **values, preview=True, preview_region=region)
    assert found.region == region
    np.testing.assert_array_equal(found.image, voxels[boxes(region)])
    np.testing.assert_array_equal(found.result, reference(voxels)[boxes(region)])


def test_mutant_halo_one_too_small(volume: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store, voxels = volume
    right = local.around

    def wrong(*given: Any) -> Any:
        found = right(*given)
        return replace(found, voxels=tuple(n - 1 for n in found.voxels))

    monkeypatch.setattr(local, "around", wrong)
    found = cw.filter(str(store), method="maximum", size=9, preview=True, preview_region=REGIONS[0])
    assert (found.result != scipy.ndimage.maximum_filter(voxels, 9)[boxes(REGIONS[0])]).any()


def test_colours_channels_and_calculations_are_those_of_the_whole_image(tmp_path: Path, capsys: Any) -> None:
    tissue = np.asarray(zarr.open_array(MADE / "tissue_rgb.ome.zarr" / "0", mode="r")[...])
    store, box = str(MADE / "tissue_rgb.ome.zarr"), np.s_[:, 30:90, 5:70]
    here: dict[str, Any] = {"preview": True, "preview_region": "30:90,5:70"}
    found = cw.channels(store, method="lab", **here)
    expected = skimage.color.rgb2lab(tissue, channel_axis=0)
    np.testing.assert_allclose(found.result, expected[box], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.image, tissue[box])
    drawn = np.asarray(Image.open(io.BytesIO(found.picture)))  # colours as they are; below them lies the scale bar
    seen = drawn[38 : 38 + 8 * 40 : 8, 12 : 12 + 8 * 65 : 8]
    np.testing.assert_array_equal(seen, np.moveaxis(tissue[box], 0, -1)[:40])
    chosen = cw.channels(store, method="choose", channel=["B", "R"], **here)
    np.testing.assert_array_equal(chosen.result, tissue[[2, 0]][box])
    names = "a,b,c,d,e,f"
    merged = cw.channels(store, method="merge", b=store, names=names, **here)
    np.testing.assert_array_equal(merged.result, np.concatenate((tissue, tissue))[box])
    assert "The first 3 of 6 channels are shown." in merged.lines
    words = ["math", store, "--b", store, "--channel", "a=R", "--channel", "b=G", "--expression", "a - b"]
    assert main([*words, "--preview", str(tmp_path / "p.png"), "--preview-region", here["preview_region"]]) == 0
    assert "Preview of calculation: y 30:90, x 5:70 (channel R, level 0" in capsys.readouterr().out
    found = cw.math(store, b=store, channel=["a=R", "b=G"], expression="a - b", region="20:100,:", **here)
    np.testing.assert_array_equal(found.result, tissue[0][box[1:]].astype("f4") - tissue[1][box[1:]])
    assert os.listdir(tmp_path) == ["p.png"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_local_threshold_is_that_of_the_whole_image(volume: Any, region: str) -> None:
    store, voxels = volume
    found = cw.threshold(str(store), method="local", size=11, offset=-20, preview=True, preview_region=region)
    expected = voxels > skimage.filters.threshold_local(voxels, 11, "gaussian", -20)
    np.testing.assert_array_equal(found.result, expected[boxes(region)])


def test_a_threshold_of_the_whole_image(volume: Any) -> None:
    """It is small enough to be read as a whole, so that the threshold is no estimate."""
    store, voxels = volume
    found = cw.threshold(str(store), method="li", preview=True, preview_region=REGIONS[0])
    expected = voxels > skimage.filters.threshold_li(voxels)
    np.testing.assert_array_equal(found.result, expected[boxes(REGIONS[0])])
    assert any("from the whole image, as in the full run" in line for line in found.lines)
    own = voxels[boxes(REGIONS[0])]
    assert ((own > skimage.filters.threshold_li(own)) != found.result).any()  # that of the region would show


def test_objects_are_those_of_the_whole_image(volume: Any) -> None:
    """Voxels of one object stay together, and those of two apart; ids may differ."""
    store, voxels = volume
    region = "10:30,40:100,50:130"
    options = {"sigma": 1.5, "fill_holes": True, "min_size": 30}
    found = cw.segment(str(store), **options, preview=True, preview_region=region).result
    whole = reference_segment(voxels, **options)[boxes(region)]
    pairs = np.unique(np.stack([found.ravel(), whole.ravel()]), axis=1)
    assert len(pairs[0]) == len(set(pairs[0])) == len(set(pairs[1]))
    assert len(pairs[0]) > 5
    np.testing.assert_array_equal(found == 0, whole == 0)


def test_a_model_gives_what_it_gives_of_the_whole_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels = noise((301, 283))
    store = image_store(tmp_path, voxels, "yx")
    plain = [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}]
    package = make_package(tmp_path / "tiny", before=plain)
    (tmp_path / "library").mkdir()
    assert main(["model", "add", str(package), "--id", "tiny", "--library", str(tmp_path / "library")]) == 0
    (tmp_path / "site.toml").write_text(
        f'[roots.all]\npath = "{tmp_path}"\naccess = "write"\n[models]\nlibrary = "{tmp_path}/library"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
        whole = predict(store, "tiny", tmp_path / "maps.ome.zarr")
        picture = tmp_path / "p.png"
        found = cw.predict(str(store), model="tiny", preview=str(picture), preview_region="101:163,87:150")
    np.testing.assert_allclose(found.result, whole[:, 101:163, 87:150], rtol=0, atol=1e-6)
    assert np.ptp(found.result) > 0.1
    assert Image.open(io.BytesIO(picture.read_bytes())).width > 3 * 512  # the image and both maps


def huge(folder: Path, chunk: tuple[int, ...] = (16, 128, 128)) -> tuple[Path, dict[tuple[int, ...], Path]]:
    """16 TiB of 16 bit, of which nothing is there: no chunk, no smaller level; gives where a chunk would lie."""
    shape = (8192, 32768, 32768)
    store = made_stores.write(folder / "huge.ome.zarr", "0.5", "zyx", (8, 8, 8), entry=made_stores.multiscale("zyx", 1))
    array: Any = zarr.create_array(
        store / "0", shape=shape, chunks=chunk, dtype="uint16", dimension_names=list("zyx"), overwrite=True
    )
    middle = tuple(n // 2 // c for n, c in zip(shape, chunk, strict=True))
    near = np.random.default_rng(0).integers(0, 4000, chunk).astype("uint16")
    places = {}
    for dz in range(-2, 2):
        for dy in range(-5, 5):
            for dx in range(-5, 5):
                at = tuple(m + d for m, d in zip(middle, (dz, dy, dx), strict=True))
                array[tuple(slice(a * c, (a + 1) * c) for a, c in zip(at, chunk, strict=True))] = near
                places[dz, dy, dx] = store / "0" / "c" / "/".join(map(str, at))
    return store, places


def test_nothing_is_read_but_the_region_and_what_is_around_it(tmp_path: Path) -> None:
    """Chunks beyond are damaged, which whoever reads one notices."""
    store, places = huge(tmp_path)
    # The middle, 512 wide, is four chunks; sigma 2 looks 8 voxels farther: six chunks, of two layers.
    for (dz, dy, dx), path in places.items():
        if not (-1 <= dz <= 0 and -3 <= dy <= 2 and -3 <= dx <= 2):
            path.write_bytes(b"not a chunk")
    found = cw.filter(str(store), method="gaussian", sigma=2, preview=True)
    assert found.region == "4095:4096,16128:16640,16128:16640"
    assert found.result.shape == (1, 512, 512)
    with pytest.raises(ResumableError, match=r"cannot be read"):  # the mutant: it looks into one chunk more
        cw.filter(str(store), method="gaussian", sigma=40, preview=True)


def test_where_no_level_is_small_enough_the_part_says_it(tmp_path: Path) -> None:
    store, _ = huge(tmp_path)
    found = cw.segment(str(store), sigma=1, preview=True)
    assert any("only this part" in line and "may differ" in line for line in found.lines)


def test_a_coarse_level_says_what_the_whole_image_would(tmp_path: Path) -> None:
    """64 MiB are read at most: of an image of 288 MB the level that is a quarter as large along each axis."""
    size = 12000
    store = made_stores.write(
        tmp_path / "i.ome.zarr", "0.5", "yx", (size, size), entry=made_stores.multiscale("yx", 3), chunk=500
    )
    coarse = cells((size // 4, size // 4))
    level: Any = zarr.open_array(store / "2", mode="r+")
    level[...] = coarse
    found = cw.segment(str(store), sigma=4, preview=True)
    expected = skimage.filters.threshold_otsu(scipy.ndimage.gaussian_filter(coarse, 1))
    (said,) = [line for line in found.lines if line.startswith("Threshold")]
    assert said.startswith(f"Threshold {expected:g}, estimated from the whole image at level 2;")
    assert not found.result.any()  # the full level is empty


def test_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "p.png"
    words = ["filter", str(MADE / "coins_2d.ome.zarr"), "--method", "median", "--size", "9"]
    assert main([*words, "--preview", str(picture), "--preview-region", "60:188,100:228"]) == 0
    assert (
        capsys.readouterr().out == "Preview of median filter: y 60:188, x 100:228 (level 0, voxels of 0.5 x 0.5 µm).\n"
    )
    assert os.listdir(tmp_path) == ["p.png"]
    drawn = np.asarray(Image.open(io.BytesIO(picture.read_bytes())))
    voxels = np.asarray(zarr.open_array(MADE / "coins_2d.ome.zarr" / "0", mode="r")[...])
    image, result = voxels[60:188, 100:228], scipy.ndimage.median_filter(voxels, 9)[60:188, 100:228]
    gap, top = 12, 12 + 20 + 6
    for number, plane in enumerate((image, result)):
        left = gap + number * (512 + gap)
        panel = drawn[top : top + 512 : 4, left : left + 512 : 4]
        expected = to_gray(plane, *contrast(image))
        seen = np.s_[:100] if number == 0 else np.s_[:]  # the scale bar lies below
        np.testing.assert_array_equal(panel[..., 0][seen], expected[seen])
    bar = drawn[top + 512 - 13, gap + 10 : gap + 10 + 200, 0] == 255
    assert bar.sum() == 4 * 10 / 0.5  # 10 micrometers of voxels of half a micrometer, drawn four pixels wide


@pytest.mark.parametrize("family", ["segment", "filter"])
def test_other_channels_and_times(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [family, str(MADE / "cells_tczyx.ome.zarr"), "--channel", "GFP", "--time", "1:2"]
    words += ["--method", "mean"] if family == "filter" else ["--threshold", "300"]
    assert main([*words, "--preview", str(tmp_path / "p.png")]) == 0
    assert "time point 1, channel GFP, level 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "because"),
    [
        (["--preview-region", "0:9,0:9"], "--preview"),
        (["--preview", "p.png", "--preview-region", "0:9"], "--preview-region '0:9' has 1 range,"),
        (["--preview", "p.png", "--preview-region", "0:9,0:999"], "not entirely inside the image"),
        (["--preview", "p.png", "--region", "0:50,0:50", "--preview-region", "0:60,0:9"], "inside --region"),
        (["--preview", "p.png", "--record", "r.json"], "leave out --record"),
        (["--preview", "p.png", "--overlay", "o.png"], "leave out --overlay"),
        (["--preview", "p.png", "--plan"], "leave out --plan"),
        (["--preview", "nowhere/p.png"], "does not exist"),
        (["--preview", "p.png", "--channel", "7"], "no channel '7'"),
        (["--preview", "p.png", "--threshold", "inf"], "inf"),
    ],
)
def test_what_makes_no_sense(
    words: Sequence[str], because: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["segment", str(MADE / "coins_2d.ome.zarr"), *words])
    except SystemExit as stop:
        code = stop.code
    assert code
    said = capsys.readouterr().err
    assert because in said
    assert "Traceback" not in said
    assert os.listdir(tmp_path) == []


def test_a_region_that_is_too_large(tmp_path: Path) -> None:
    store, _ = huge(tmp_path)
    with pytest.raises(InputError, match="at most 2048 voxels"):
        cw.filter(str(store), method="mean", preview=True, preview_region="0:1,0:4000,0:10")
    with pytest.raises(InputError, match=r"a preview reads at most 512\.0 MiB"):
        cw.filter(str(store), method="mean", preview=True, preview_region="0:900,0:2000,0:2000")


def test_nothing_stays_behind_when_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = image_store(tmp_path, cells((100, 100)), "yx")
    (store / "0" / "c" / "0" / "0").write_bytes(b"damaged")
    before = sorted(os.listdir(tmp_path))
    assert main(["filter", str(store), "--method", "mean", "--preview", str(tmp_path / "p.png")]) != 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == before


def test_a_site_names_where_it_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    store = image_store(tmp_path / "in", cells((100, 100)), "yx")
    (tmp_path / "site.toml").write_text(
        f'[roots.in]\npath = "{tmp_path}/in"\n[roots.out]\npath = "{tmp_path}/out"\naccess = "write"\n'
    )
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    words = ["filter", str(store), "--method", "mean", "--preview"]
    assert main([*words, str(tmp_path / "out" / "p.png")]) == 0
    assert main([*words, str(tmp_path / "in" / "p.png")]) == 3
    assert [os.listdir(tmp_path / "out"), os.listdir(tmp_path / "in")] == [["p.png"], ["image.ome.zarr"]]
    with pytest.raises(InputError, match="give its path"):
        cw.filter(str(store), method="mean", preview=True)


def test_the_sitecustomize_of_a_shell_is_not_needed(tmp_path: Path) -> None:
    """The command as people start it; its picture is the only file."""
    words = [sys.executable, "-m", "chunkwise.cli", "threshold", str(MADE / "coins_2d.ome.zarr"), "--method", "otsu"]
    done = subprocess.run([*words, "--preview", "p.png"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "of the region is true" in done.stdout
    assert done.stderr == ""
    assert os.listdir(tmp_path) == ["p.png"]
