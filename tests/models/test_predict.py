"""``chunkwise predict``: the same as bioimageio.core on the whole image, whatever the tiles and workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made_stores
from made_models import ZERO_MEAN, image_store, make_package, noise, percentiles, predict, whole_image

SHARED = Path(__file__).parents[3] / "shared" / "models"
OURS = Path(__file__).parents[2] / "models" / "nuclei"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("models") / "tiny")


#: Shape, what the model would see of it, and tiles: in the middle, at edges, thin, larger than the image.
CASES = [
    ((64, 64), None, "16,16"),
    ((80, 120), None, "32,16"),
    ((48, 200), None, "8,64"),
    ((128, 36), None, "20,20"),
    ((61, 83), (64, 84), "24,32"),
    ((9, 50), (16, 52), "16,16"),
    ((96, 96), None, "512,512"),
]


@pytest.mark.parametrize(("shape", "extended", "block"), CASES)
def test_tiles_make_the_whole_image(tiny: Path, tmp_path: Path, shape: Any, extended: Any, block: str) -> None:
    voxels = noise(shape)
    maps = predict(image_store(tmp_path, voxels, "yx"), tiny, tmp_path / "maps.ome.zarr", "--block", block)
    expected = whole_image(tiny, voxels[None, None], extended)[0]
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps, expected)
    assert np.ptp(expected) > 0.2


def test_two_workers_and_small_shards(tiny: Path, tmp_path: Path) -> None:
    voxels = noise((150, 170))
    store = image_store(tmp_path, voxels, "yx")
    words = ["--block", "16,32", "--shard", "32,64", "--workers", "2"]
    maps = predict(store, tiny, tmp_path / "maps.ome.zarr", *words)
    np.testing.assert_array_equal(maps, whole_image(tiny, voxels[None, None], (152, 172))[0])
    alone = predict(store, tiny, tmp_path / "alone.ome.zarr", *words[:-1], "1")
    np.testing.assert_array_equal(alone, maps)
    assert made_stores.digest(tmp_path / "alone.ome.zarr") == made_stores.digest(tmp_path / "maps.ome.zarr")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "uint32"])
@pytest.mark.parametrize("before", [ZERO_MEAN, percentiles(1, 99.8), percentiles(5, 90, None)])
def test_statistics_are_those_of_the_whole_image(tmp_path: Path, dtype: str, before: Any) -> None:
    model = make_package(tmp_path / "model", before=before)
    voxels = noise((72, 100), dtype)
    maps = predict(image_store(tmp_path, voxels, "yx"), model, tmp_path / "maps.ome.zarr", "--block", "16,16")
    expected = whole_image(model, voxels[None, None])[0]
    # bioimageio.core sums float32 images in float32; everything else is the same to the last bit.
    exact = not (dtype == "float32" and before is ZERO_MEAN)
    np.testing.assert_allclose(maps, expected, rtol=0, atol=0 if exact else 1e-5)


def test_planes_of_a_volume_over_time(tiny: Path, tmp_path: Path) -> None:
    voxels = noise((2, 3, 5, 40, 60))
    store = image_store(tmp_path, voxels, "tczyx")
    maps = predict(
        store, tiny, tmp_path / "maps.ome.zarr", "--channel", "1", "--block", "2,16,16", "--shard", "2,32,32"
    )
    assert maps.shape == (2, 2, 5, 40, 60)
    for time in range(2):
        for z in range(5):
            expected = whole_image(tiny, voxels[time, 1, z][None, None])[0]
            np.testing.assert_array_equal(maps[time, :, z], expected)


def test_a_model_of_volumes_with_two_channels(tmp_path: Path) -> None:
    before = [
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
        {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "z", "y", "x"]}},
        {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
    ]
    model = make_package(tmp_path / "model", ndim=3, inputs=("membrane", "nuclei"), before=before, least=8)
    voxels = noise((3, 20, 32, 40))
    store = image_store(tmp_path, voxels, "czyx")
    words = ["--channel", "2", "--channel", "0", "--block", "4,8,8", "--shard", "8,16,16"]
    maps = predict(store, model, tmp_path / "maps.ome.zarr", *words)
    # Over channels together, mean and deviation are joined from those of each: the last bit may differ.
    np.testing.assert_allclose(maps, whole_image(model, voxels[[2, 0]][None])[0], rtol=0, atol=1e-6)


def test_a_model_of_one_size_only(tmp_path: Path) -> None:
    fixed = make_package(tmp_path / "fixed", fixed=32)
    free = make_package(tmp_path / "free")
    voxels = noise((70, 90))
    maps = predict(image_store(tmp_path, voxels, "yx"), fixed, tmp_path / "maps.ome.zarr")
    # bioimageio.core cannot run it on the whole image; the same weights without the limit tell what it should be.
    np.testing.assert_array_equal(maps, whole_image(free, voxels[None, None])[0])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/models is not here")
def test_a_real_model(tmp_path: Path) -> None:
    import shutil

    import onnx
    import yaml

    package = SHARED / "unet2d_nuclei_broad"
    # It declares one size, which its weights do not need: the copy for the whole image says so.
    free = tmp_path / "free"
    shutil.copytree(package, free)
    for path in (free, *free.iterdir()):
        path.chmod(0o755)
    model = onnx.load(free / "weights.onnx")
    for value in (*model.graph.input, *model.graph.output):
        for axis in (2, 3):
            value.type.tensor_type.shape.dim[axis].dim_param = f"d{axis}"
    onnx.save(model, free / "weights.onnx")
    content = yaml.safe_load((free / "bioimageio.yaml").read_text())
    del content["weights"]["onnx"]["sha256"]
    content["weights"].pop("torchscript")
    (free / "bioimageio.yaml").write_text(yaml.safe_dump(content))
    for number, shape in enumerate([(600, 700), (512, 1030), (130, 900), (512, 512), (904, 560)]):
        voxels = noise(shape, "uint8", number)
        store = image_store(tmp_path, voxels, "yx", f"{number}.ome.zarr")
        maps = predict(store, package, tmp_path / f"maps-{number}.ome.zarr", "--shard", "256,512")
        extended = tuple(max(512, -(-n // 8) * 8) for n in shape)
        expected = whole_image(free, voxels[None, None], extended)[0]
        np.testing.assert_array_equal(maps, expected)
        assert np.ptp(expected) > 0.1


@pytest.mark.skipif(not OURS.is_dir(), reason="models/nuclei is not here")
def test_the_model_that_comes_with_chunkwise(tmp_path: Path) -> None:
    for number, shape in enumerate([(304, 208), (192, 592), (256, 256), (320, 240), (201, 330)]):
        voxels = noise(shape, seed=number)
        store = image_store(tmp_path, voxels, "yx", f"{number}.ome.zarr")
        words = ["--shard", "128,256", "--block", f"{48 + 32 * number},64", "--workers", "2" if number == 0 else "1"]
        maps = predict(store, "nuclei", tmp_path / f"maps-{number}.ome.zarr", *words)
        extended = tuple(max(192, -(-n // 16) * 16) for n in shape)
        np.testing.assert_array_equal(maps, whole_image(OURS, voxels[None, None], extended)[0])


def test_types_of_the_result(tiny: Path, tmp_path: Path) -> None:
    voxels = noise((40, 40))
    store = image_store(tmp_path, voxels, "yx")
    full = predict(store, tiny, tmp_path / "full.ome.zarr")
    half = predict(store, tiny, tmp_path / "half.ome.zarr", "--dtype", "float16")
    small = predict(store, tiny, tmp_path / "small.ome.zarr", "--dtype", "uint8")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, full.astype(np.float16))
    np.testing.assert_array_equal(small, np.rint(full.astype(np.float64) * 255).astype(np.uint8))


def test_the_store_says_what_made_it(tmp_path: Path) -> None:
    objects = {
        "method": "foreground-boundary",
        "channels": {"foreground": 0, "boundary": 1},
        "parameters": {"threshold": 0.4},
    }
    model = make_package(tmp_path / "tiny", extra={"config": {"chunkwise": {"objects": objects}}})
    store = image_store(tmp_path, noise((40, 44)), "yx")
    record = tmp_path / "record.json"
    predict(store, model, tmp_path / "maps.ome.zarr", "--record", str(record), "--crate", str(tmp_path / "crate.zip"))
    said = json.loads((tmp_path / "maps.ome.zarr" / "zarr.json").read_text())["attributes"]
    assert said["chunkwise"]["objects"] == objects
    assert [channel["label"] for channel in said["ome"]["omero"]["channels"]] == ["foreground", "boundary"]
    about = json.loads(record.read_text())["results"]["model"]
    assert about["license"] == "CC0-1.0"
    assert about["cite"] == ["10.5281/zenodo.0000000"]
    assert about["sha256"] == said["chunkwise"]["model"]["sha256"]
    assert about["exact"] is True
    assert (tmp_path / "crate.zip").is_file()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/models is not here")
def test_a_real_model_of_two_inputs_and_outputs_by_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed, which TorchScript weights need")
    import warnings

    package = SHARED / "unet2d_multi_tensor"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bioimageio.core import Sample, Tensor, create_prediction_pipeline
        from bioimageio.spec import load_model_description

        pipeline = create_prediction_pipeline(load_model_description(package))
    for shape in ((192, 256), (128, 128), (320, 160), (160, 416), (256, 256)):
        voxels = noise((2, *shape), "uint8")
        names: Any = ("input0", "input1")
        dims: Any = ["batch", "channel", "y", "x"]
        members = {name: Tensor(voxels[i][None, None], dims=dims) for i, name in enumerate(names)}
        sample = Sample(members=members, stat={}, id=None)
        whole = pipeline.predict_sample_without_blocking(sample, skip_input_padding=True, skip_output_cropping=True)
        expected = np.concatenate([np.asarray(whole.members[name].data)[0] for name in ("output0", "output1")])
        store = image_store(tmp_path, voxels, "cyx", f"{shape}.ome.zarr")
        maps = predict(store, package, tmp_path / f"maps-{shape}.ome.zarr", "--block", "64,64")
        # Its kernels round by shape: 4e-7 was seen.
        np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-5)
