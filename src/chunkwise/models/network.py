"""How far a network looks, read from its ONNX graph.

Every image tensor of the graph is described along each spatial axis by three numbers, in voxels of the
input: its element ``i`` depends on the input from ``i * stride - left`` to ``i * stride + right``. A
convolution widens this interval, a pooling step coarsens it, upsampling refines it again. What comes out is
an upper bound, true for every input; operators that look at the whole image at once are named.

The arithmetic is that of A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural
networks", Distill 2019, doi:10.23915/distill.00021, with fractions for upsampling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, lcm, prod
from typing import Any

__all__ = ["Reach", "UnknownOperatorError", "analyse"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Operators that make of every element something that depends on all others.
GLOBAL = _words(
    """
    GlobalAveragePool GlobalMaxPool GlobalLpPool InstanceNormalization GroupNormalization LayerNormalization
    MeanVarianceNormalization LpNormalization Attention MultiHeadAttention MatMul Gemm Einsum LSTM GRU RNN
    """
)
#: Operators that take each element alone, or the same element of several tensors.
ELEMENTWISE = _words(
    """
    Abs Add And BatchNormalization Cast Ceil Celu Clip Concat Cos Div Dropout Elu Equal Erf Exp Floor Gelu
    Greater GreaterOrEqual HardSigmoid HardSwish Identity IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish
    Mod Mul Neg Not Or Pow PRelu QuickGelu Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt
    Sub Sum Swish Tanh ThresholdedRelu Where Xor
    """
)
#: Operators that take all elements along some axes: harmless along channels.
ALONG_AXES = _words(
    """
    Softmax LogSoftmax ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare
    ReduceLogSumExp ArgMax ArgMin CumSum
    """
)
#: Operators that only rearrange; met beside global ones, where the bound is no promise anyway.
REARRANGING = _words(
    """
    Reshape Transpose Flatten Squeeze Unsqueeze Expand Tile
    """
)


Number = int | Fraction


class UnknownOperatorError(Exception):
    """The graph has something that this module does not know; probes have to tell."""


@dataclass(frozen=True)
class Reach:
    """What a network needs around each voxel of its output; one number a spatial axis."""

    stride: tuple[int, ...]
    """Tiles have to begin at multiples of it."""
    before: tuple[int, ...]
    """Voxels that an output voxel looks back."""
    after: tuple[int, ...]
    """Voxels that it looks ahead."""
    unbounded: tuple[str, ...] = ()
    """Names of operators that look at the whole image; with any, no halo is enough."""
    values_per_voxel: float = 0.0
    """Numbers that are held at once while it runs, at most, for each voxel of the input; 0 where not known."""


@dataclass(frozen=True)
class _View:
    """How a tensor of the graph lies over the input."""

    stride: tuple[Fraction, ...]
    left: tuple[Fraction, ...]
    right: tuple[Fraction, ...]


@dataclass
class _Graph:
    ndim: int
    constants: dict[str, Any]
    shapes: dict[str, tuple[int | None, ...]]
    views: dict[str, _View] = field(default_factory=dict)
    unbounded: list[str] = field(default_factory=list)


def analyse(model: Any, spatial: int, sizes: Mapping[str, Sequence[int]]) -> Reach:
    """Find stride and reach of a network.

    Parameters
    ----------
    model : onnx.ModelProto
        As ``onnx.load`` gives it.
    spatial : int
        Number of spatial axes; they are the last ones of every input.
    sizes : mapping
        A shape that each input may have, all axes.

    Raises
    ------
    UnknownOperatorError
        If the graph holds what cannot be followed, or has outputs of another size than its inputs.
    """
    import onnx

    shapes = _shapes(model, sizes)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    graph = _Graph(spatial, constants, shapes)
    one, none = (Fraction(1),) * spatial, (Fraction(0),) * spatial
    for entry in model.graph.input:
        if entry.name not in constants:
            graph.views[entry.name] = _View(one, none, none)
    has_global = any(node.op_type in GLOBAL for node in model.graph.node)
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = next((a for a in node.attribute if a.name == "value"), None)
            if value is not None:
                constants[node.output[0]] = onnx.numpy_helper.to_array(value.t)
            continue
        seen = [graph.views[name] for name in node.input if name in graph.views]
        if not seen or node.op_type in ("Shape", "Size"):
            continue  # arithmetic on constants and shapes
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        view = _step(graph, node, attributes, seen, has_global)
        for name in node.output:
            graph.views[name] = view
    outputs = [graph.views[entry.name] for entry in model.graph.output if entry.name in graph.views]
    if not outputs or any(view.stride != one for view in outputs):
        raise UnknownOperatorError("its output and its input differ in resolution")
    stride = tuple(
        lcm(*(ceil(view.stride[axis]) for view in graph.views.values() if view.stride[axis] >= 1))
        for axis in range(spatial)
    )
    return Reach(
        stride,
        tuple(max(0, *(ceil(view.left[axis]) for view in outputs)) for axis in range(spatial)),
        tuple(max(0, *(ceil(view.right[axis]) for view in outputs)) for axis in range(spatial)),
        tuple(dict.fromkeys(graph.unbounded)),
        _held_at_once(model, shapes, constants, prod(next(iter(sizes.values()))[-spatial:])),
    )


def _step(graph: _Graph, node: Any, attributes: dict[str, Any], seen: list[_View], has_global: bool) -> _View:
    """The view of a node's outputs."""
    kind, first = node.op_type, seen[0]
    if kind in GLOBAL:
        graph.unbounded.append(kind)
        return first
    if kind in ("Concat", "Split", "Slice", "Gather"):
        return _along_channels(graph, node, attributes, seen)
    if kind in ELEMENTWISE:
        return _join(seen)
    if kind in ALONG_AXES:
        if not _only_channels(graph, node, attributes):
            graph.unbounded.append(kind)
        return first
    if kind in STEPS:
        return STEPS[kind](graph, node, attributes, first)
    if kind in REARRANGING and has_global:
        return first
    raise UnknownOperatorError(f"the operator {kind} is not known")


def _join(seen: list[_View]) -> _View:
    """The view of what is computed from the same element of several tensors."""
    if len({view.stride for view in seen}) > 1:
        raise UnknownOperatorError("tensors of different resolutions meet")
    return _View(
        seen[0].stride,
        tuple(max(column) for column in zip(*(view.left for view in seen), strict=True)),
        tuple(max(column) for column in zip(*(view.right for view in seen), strict=True)),
    )


def _rank(graph: _Graph, name: str) -> int:
    return len(graph.shapes.get(name, ())) or graph.ndim + 2


def _along_channels(graph: _Graph, node: Any, attributes: dict[str, Any], seen: list[_View]) -> _View:
    if node.op_type == "Slice":
        given = [graph.constants.get(name) for name in node.input[1:4]]
        axes = attributes.get("axes") if "axes" in attributes else given[2] if len(given) > 2 else None
        if axes is None:
            raise UnknownOperatorError("a slice is not constant")
        axes = [int(axis) for axis in axes]
    else:
        axes = [int(attributes.get("axis", 0))]
    rank = _rank(graph, node.input[0])
    if any(axis % rank >= rank - graph.ndim for axis in axes):
        raise UnknownOperatorError(f"{node.op_type} cuts or joins along a spatial axis")
    return _join(seen)


def _only_channels(graph: _Graph, node: Any, attributes: dict[str, Any]) -> bool:
    rank = _rank(graph, node.input[0])
    if "axes" in attributes or "axis" in attributes:
        named = attributes.get("axes", attributes.get("axis"))
        axes = [named] if isinstance(named, int) else list(named or ())
    elif len(node.input) > 1 and node.input[1] in graph.constants:
        axes = [int(axis) for axis in graph.constants[node.input[1]].ravel()]
    elif node.op_type in ("Softmax", "LogSoftmax"):
        axes = [-1]
    else:
        return False
    return all(axis % rank < rank - graph.ndim for axis in axes)


def _window(graph: _Graph, attributes: dict[str, Any], kernel: Sequence[int]) -> list[tuple[int, int, int]]:
    """Stride, elements before, and elements after of a sliding window; one triple an axis."""
    n = graph.ndim
    strides = attributes.get("strides", [1] * n)
    dilations = attributes.get("dilations", [1] * n)
    auto = attributes.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    pads = attributes.get("pads", [0] * (2 * n))
    found = []
    for axis in range(n):
        extent = (kernel[axis] - 1) * dilations[axis]
        before = pads[axis]
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max(0, extent + 1 - strides[axis])
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        found.append((strides[axis], before, extent - before))
    return found


def _slide(first: _View, window: Sequence[tuple[Number, Number, Number]]) -> _View:
    """The view of what looks, from each element on, so far before and after it, and keeps every n-th one."""
    return _View(
        tuple(s * w[0] for s, w in zip(first.stride, window, strict=True)),
        tuple(a + w[1] * s for a, w, s in zip(first.left, window, first.stride, strict=True)),
        tuple(a + w[2] * s for a, w, s in zip(first.right, window, first.stride, strict=True)),
    )


def _kernel(graph: _Graph, node: Any, attributes: dict[str, Any]) -> Sequence[int]:
    if "kernel_shape" in attributes:
        return list(attributes["kernel_shape"])
    weight = graph.constants.get(node.input[1])
    if weight is None:
        raise UnknownOperatorError(f"the kernel of a {node.op_type} is not constant")
    return list(weight.shape[2:])


def _convolution(graph: _Graph, node: Any, attributes: dict[str, Any], first: _View) -> _View:
    return _slide(first, _window(graph, attributes, _kernel(graph, node, attributes)))


def _transposed(graph: _Graph, node: Any, attributes: dict[str, Any], first: _View) -> _View:
    kernel, n = _kernel(graph, node, attributes), graph.ndim
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", "NOTSET") or "output_shape" in attributes:
        raise UnknownOperatorError("a transposed convolution adds its own padding")
    strides, dilations = attributes.get("strides", [1] * n), attributes.get("dilations", [1] * n)
    pads = attributes.get("pads", [0] * (2 * n))
    window = zip(kernel, dilations, strides, pads[:n], strict=True)
    # What it looks at is counted in the finer elements that it makes.
    return _slide(
        first, [(Fraction(1, by), Fraction((k - 1) * d - pad, by), Fraction(pad, by)) for k, d, by, pad in window]
    )


def _resize(graph: _Graph, node: Any, attributes: dict[str, Any], first: _View) -> _View:
    n = graph.ndim
    mode = attributes.get("mode", b"nearest")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    scales = next(
        (
            graph.constants[name]
            for name in (node.input[1:2] if node.op_type == "Upsample" else node.input[2:3])
            if name in graph.constants and graph.constants[name].size
        ),
        attributes.get("scales"),
    )
    if scales is not None:
        factors = [Fraction(float(value)).limit_denominator(1024) for value in scales[-n:]]
    else:
        before, after = graph.shapes.get(node.input[0], ()), graph.shapes.get(node.output[0], ())
        if not before or not after or None in before[-n:] or None in after[-n:]:
            raise UnknownOperatorError("an image is resized to a size that the graph does not state")
        factors = [Fraction(int(b or 1), int(a or 1)) for a, b in zip(before[-n:], after[-n:], strict=True)]
    transformation = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if transformation == b"align_corners" and any(factor != 1 for factor in factors):
        raise UnknownOperatorError("an image is resized from corner to corner, which depends on its size")
    if (
        mode == "nearest"
        and _repeats(attributes, transformation)
        and all(factor.denominator == 1 for factor in factors)
    ):
        # Element i is the old element i // factor, which does not lie behind it.
        return _slide(first, [(1 / factor, 1 - 1 / factor, 0) for factor in factors])
    if attributes.get("antialias"):
        raise UnknownOperatorError("an image is made smaller by a special kernel")
    # Element i lies at i / factor of the old ones, or half a pixel beside it: floor and ceiling of that place count,
    # and a neighbour more to each side.
    more = {"nearest": 0, "linear": 0}.get(mode, 1)
    window: list[tuple[Number, Number, Number]] = []
    none = Fraction(0)
    for factor in factors:
        beside, far = (1 / factor - 1) / 2, 0 if factor == 1 else more + 1
        window.append((1 / factor, far + max(none, -beside), far + max(none, beside)))
    return _slide(first, window)


def _repeats(attributes: dict[str, Any], transformation: bytes) -> bool:
    """Whether the nearest element, for whole factors, is the one that the new elements divide."""
    rounding = attributes.get("nearest_mode", b"round_prefer_floor")
    if transformation == b"asymmetric":
        return bool(rounding == b"floor")
    return transformation in (b"half_pixel", b"pytorch_half_pixel") and rounding in (
        b"round_prefer_floor",
        b"round_prefer_ceil",
    )


def _pad(graph: _Graph, node: Any, attributes: dict[str, Any], first: _View) -> _View:
    pads = attributes.get("pads")
    if pads is None and len(node.input) > 1 and node.input[1] in graph.constants:
        pads = graph.constants[node.input[1]].ravel().tolist()
    if pads is None or (len(node.input) > 3 and node.input[3]):
        raise UnknownOperatorError("an image is padded by an amount that the graph does not state")
    begin = pads[: len(pads) // 2][-graph.ndim :]
    return _slide(first, [(1, pad, -pad) for pad in begin])


def _depth_to_space(graph: _Graph, _: Any, attributes: dict[str, Any], first: _View) -> _View:
    return _slide(first, [(Fraction(1, int(attributes["blocksize"])), 1, 0)] * graph.ndim)


def _space_to_depth(graph: _Graph, _: Any, attributes: dict[str, Any], first: _View) -> _View:
    by = int(attributes["blocksize"])
    return _slide(first, [(by, 0, by - 1)] * graph.ndim)


STEPS: dict[str, Callable[[_Graph, Any, dict[str, Any], _View], _View]] = {
    "Conv": _convolution,
    "MaxPool": _convolution,
    "AveragePool": _convolution,
    "LpPool": _convolution,
    "ConvTranspose": _transposed,
    "Resize": _resize,
    "Upsample": _resize,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}


def _shapes(model: Any, sizes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the tensors for inputs of given shapes, as far as they follow from the graph."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for entry in copy.graph.input:
        if entry.name in sizes:
            dims = entry.type.tensor_type.shape.dim
            for dim, size in zip(dims, sizes[entry.name], strict=True):
                dim.dim_value = size
    for entry in copy.graph.output:
        entry.type.tensor_type.ClearField("shape")
    del copy.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(copy, data_prop=True)
    except Exception:  # the library raises several kinds; without shapes less can be told, and nothing wrong
        return {}
    found = {}
    for entry in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        dims = entry.type.tensor_type.shape.dim
        found[entry.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    return found


def _held_at_once(
    model: Any, shapes: dict[str, tuple[int | None, ...]], constants: Mapping[str, Any], voxels: int
) -> float:
    """Numbers that live at the same time, at most, for each voxel of the first input."""
    last = {name: index for index, node in enumerate(model.graph.node) for name in node.input}
    held: dict[str, int] = {}
    most = 0
    for index, node in enumerate(model.graph.node):
        for name in (*node.input, *node.output):
            shape = shapes.get(name)
            if shape and None not in shape and name not in constants:
                held[name] = prod(int(size or 1) for size in shape)
        most = max(most, sum(held.values()))
        held = {name: size for name, size in held.items() if last.get(name, -1) > index}
    return most / max(1, voxels)
