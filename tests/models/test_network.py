"""The reach of networks: never less than what a touched voxel shows, and not far above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from chunkwise.models.library import examine
from chunkwise.models.network import UnknownOperatorError, analyse
from chunkwise.models.package import Size, read_package
from chunkwise.models.probe import probe
from chunkwise.models.session import Session
from chunkwise.models.tiles import fit_axis, tiles_of
from made_models import make_package

EDGE = 96


def graph(*steps: tuple[str, dict[str, Any]]) -> onnx.ModelProto:
    """A chain of operators on one channel; convolutions get weights of one."""
    nodes, constants, last = [], [], "image"
    for number, (kind, attributes) in enumerate(steps):
        inputs = [last]
        if kind in ("Conv", "ConvTranspose"):
            kernel = attributes["kernel_shape"]
            constants.append(onnx.numpy_helper.from_array(np.ones((1, 1, *kernel), np.float32), f"w{number}"))
            inputs.append(f"w{number}")
        if kind == "Resize":
            attributes = dict(attributes)
            scales = np.array([1, 1, *attributes.pop("scales")], np.float32)
            constants.append(onnx.numpy_helper.from_array(scales, f"s{number}"))
            inputs += ["", f"s{number}"]
        last = "maps" if number == len(steps) - 1 else f"t{number}"
        nodes.append(onnx.helper.make_node(kind, inputs, [last], **attributes))
    ends = [onnx.helper.make_tensor_value_info(n, 1, [1, 1, None, None]) for n in ("image", "maps")]
    made = onnx.helper.make_graph(nodes, "chain", ends[:1], ends[1:], constants)
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def conv(size: int, stride: int = 1, pad: int | None = None, dilation: int = 1) -> tuple[str, dict[str, Any]]:
    before = (size - 1) * dilation // 2 if pad is None else pad
    return "Conv", {
        "kernel_shape": [size] * 2,
        "strides": [stride] * 2,
        "pads": [before, before, (size - 1) * dilation - before, (size - 1) * dilation - before],
        "dilations": [dilation] * 2,
    }


POOL = ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]})
MEAN = ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]})
UP = ("ConvTranspose", {"kernel_shape": [2, 2], "strides": [2, 2]})
WIDE_UP = ("ConvTranspose", {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]})
LINEAR = ("Resize", {"mode": "linear", "scales": [2, 2]})
NEAREST = ("Resize", {"mode": "nearest", "scales": [4, 4]})


def seen(model: onnx.ModelProto) -> tuple[int, int]:
    """How far before and after an output voxel its inputs lie, touching every voxel of a row in turn."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    base = np.random.default_rng(0).normal(size=(1, 1, EDGE, EDGE)).astype(np.float32) + 10
    plain = session.run(None, {"image": base})[0]
    before = after = 0
    for at in range(EDGE // 2 - 8, EDGE // 2 + 8):
        touched = base.copy()
        touched[0, 0, EDGE // 2, at] += 1000
        places = np.flatnonzero((session.run(None, {"image": touched})[0] != plain).any(axis=(0, 1, 2)))
        if not len(places):
            continue  # a voxel that a coarser image leaves out
        before, after = max(before, int(places.max()) - at), max(after, at - int(places.min()))
    return before, after


@pytest.mark.parametrize(
    "steps",
    [
        [conv(3)],
        [conv(5, pad=0)],
        [conv(3, dilation=4)],
        [conv(3), POOL, conv(3), UP],
        [conv(3), MEAN, conv(3), WIDE_UP, conv(3)],
        [POOL, POOL, conv(3), NEAREST],
        [MEAN, conv(5), LINEAR, conv(3)],
        [MEAN, MEAN, ("Resize", {"mode": "linear", "scales": [4, 4]})],
        [MEAN, MEAN, ("Resize", {"mode": "cubic", "scales": [4, 4]})],
        [("Resize", {"mode": "linear", "scales": [0.25, 0.25]}), NEAREST],
        [conv(3, stride=2), conv(3, stride=2), UP, UP],
        [("SpaceToDepth", {"blocksize": 2}), ("DepthToSpace", {"blocksize": 2}), conv(3)],
        [conv(3), ("Pad", {})],
    ][:-1],
)
def test_the_graph_gives_a_bound_that_is_close(steps: Any) -> None:
    model = graph(*steps)
    reach = analyse(model, 2, {"image": (1, 1, EDGE, EDGE)})
    before, after = seen(model)
    stride = reach.stride[1]
    assert before <= reach.before[1] <= before + 2 * stride - 1
    assert after <= reach.after[1] <= after + 2 * stride - 1


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("transformation", ["asymmetric", "half_pixel", "pytorch_half_pixel"])
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_repeated_elements_are_bounded_and_followed_exactly_where_they_divide(
    factor: int, transformation: str, rounding: str
) -> None:
    pool = ("MaxPool", {"kernel_shape": [factor] * 2, "strides": [factor] * 2})
    modes = {"coordinate_transformation_mode": transformation, "nearest_mode": rounding}
    model = graph(pool, ("Resize", {"mode": "nearest", "scales": [factor] * 2, **modes}))
    reach, (before, after) = analyse(model, 2, {"image": (1, 1, EDGE, EDGE)}), seen(model)
    assert (before <= reach.before[1], after <= reach.after[1]) == (True, True)
    if (transformation == "asymmetric") == (rounding == "floor") and rounding != "ceil":
        assert (reach.before[1], reach.after[1]) == (before, after) == (factor - 1, factor - 1)


def test_global_operators_are_named() -> None:
    model = graph(conv(3), ("InstanceNormalization", {}))
    model.graph.node[1].input.extend(["w0", "w0"])
    assert analyse(model, 2, {"image": (1, 1, EDGE, EDGE)}).unbounded == ("InstanceNormalization",)


def test_what_is_not_known_is_not_guessed() -> None:
    with pytest.raises(UnknownOperatorError):
        analyse(graph(conv(3), ("Trilu", {})), 2, {"image": (1, 1, EDGE, EDGE)})
    with pytest.raises(UnknownOperatorError):
        analyse(graph(conv(3), POOL), 2, {"image": (1, 1, EDGE, EDGE)})


def test_probes_lie_between_what_is_seen_and_the_bound(tmp_path: Path) -> None:
    package = read_package(str(make_package(tmp_path / "tiny", fails=True)))
    known = examine(package.path, "tiny", {}).reach
    found = probe(package, Session(package, "onnx", 1).forward)
    assert found.stride == known.stride == (2, 2)
    assert not found.unbounded
    for side in ("before", "after"):
        for probed, bound in zip(getattr(found, side), getattr(known, side), strict=True):
            assert bound - 4 <= probed <= bound + 2


def test_probes_find_a_network_that_looks_everywhere(tmp_path: Path) -> None:
    package = read_package(str(make_package(tmp_path / "tiny", everywhere=True, fails=True)))
    assert examine(package.path, "tiny", {}).reach.unbounded == ("GlobalAveragePool",)
    assert probe(package, Session(package, "onnx", 1).forward).unbounded


@pytest.mark.parametrize("length", [1, 15, 16, 64, 200, 203])
@pytest.mark.parametrize("size", [Size(16, 4), Size(32, 16), Size(64, 0)])
@pytest.mark.parametrize("wanted", [8, 30, 500])
def test_tiles_cover_every_voxel_once(length: int, size: Size, wanted: int) -> None:
    axis = fit_axis(length, size, 8, 11, wanted)
    assert axis.halo == 16
    assert axis.extended >= max(length, size.least)
    assert axis.extended % 8 == axis.tile % 8 == 0
    assert size.step == 0 or (size.fits(axis.tile) and size.fits(axis.extended))
    covered = np.zeros(length, int)
    for tile in tiles_of((axis,), (slice(0, length),)):
        (begin,), (part,) = tile.begin, tile.box
        covered[part] += 1
        assert begin % 8 == 0
        assert 0 <= begin <= axis.extended - axis.tile
        assert begin == 0 or part.start - begin >= 16
        assert begin + axis.tile == axis.extended or begin + axis.tile - part.stop >= 16
    assert (covered == 1).all()
