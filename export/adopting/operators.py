"""TFLite's operators in ONNX's words. TFLite has the channels of its pictures and of its weights last."""

from collections.abc import Callable
from typing import Any

import numpy as np

from export.adopting.graph import Graph, Unsupported

UNARY = {
    "ABS": "Abs",
    "DEQUANTIZE": "Identity",
    "EXP": "Exp",
    "HARD_SWISH": "HardSwish",
    "LOG": "Log",
    "LOGISTIC": "Sigmoid",
    "QUANTIZE": "Identity",
    "RELU": "Relu",
    "RESHAPE": "Identity",
    "SQRT": "Sqrt",
    "SQUEEZE": "Identity",
    "TANH": "Tanh",
}
"""One value in, one out; what is only another shape is done by `Graph.give`."""

BINARY = {"ADD": "Add", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "MUL": "Mul", "POW": "Pow", "SUB": "Sub"}

REDUCTIONS = {"MEAN": "ReduceMean", "REDUCE_MAX": "ReduceMax", "SUM": "ReduceSum"}

ACTIVATIONS: dict[int, tuple[float, float] | None] = {0: None, 1: (0.0, np.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""TFLite's fused activations by number: none, ReLU, ReLU between -1 and 1, ReLU6."""

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
"""Orders of a picture's axes that put its channels first, as ONNX has them, and last again."""


def translate(graph: Graph, kind: str, operator: Any) -> None:
    """Adds an operator to the graph. Raises Unsupported."""
    options = operator.builtinOptions
    inputs = [int(index) for index in operator.inputs]
    if kind in UNARY:
        made = graph.add(UNARY[kind], [graph.name(inputs[0])])
    elif kind in BINARY:
        made = graph.add(BINARY[kind], [graph.name(index) for index in inputs])
    elif kind in REDUCTIONS:
        axes = graph.constant(graph.tensors[inputs[1]].values.astype(np.int64).reshape(-1))
        made = graph.add(REDUCTIONS[kind], [graph.name(inputs[0]), axes])
    elif kind in OTHERS:
        made = OTHERS[kind](graph, inputs, options)
    else:
        raise Unsupported(f"the operator {kind} is")
    if len(operator.outputs) != 1:
        raise Unsupported(f"the operator {kind} with {len(operator.outputs)} outputs is")
    graph.give(int(operator.outputs[0]), _activated(graph, made, options))


def _activated(graph: Graph, value: str, options: Any) -> str:
    limits = ACTIVATIONS.get(number := getattr(options, "fusedActivationFunction", 0), ())
    if limits == ():
        raise Unsupported(f"the fused activation {number} is")
    return graph.add("Clip", [value, *(graph.constant(np.float32(one)) for one in limits)]) if limits else value


def _convolution(graph: Graph, inputs: list[int], options: Any) -> str:
    out, high, wide, deep = graph.tensors[inputs[1]].shape
    weights = graph.weights(inputs[1], (0, 3, 1, 2), (out, deep, high, wide))
    return _convolved(graph, inputs, weights, (high, wide), 1, options)


def _depthwise(graph: Graph, inputs: list[int], options: Any) -> str:
    _, high, wide, out = graph.tensors[inputs[1]].shape
    weights = graph.weights(inputs[1], (3, 0, 1, 2), (out, 1, high, wide))
    groups = graph.tensors[inputs[0]].shape[3]
    return _convolved(graph, inputs, weights, (high, wide), groups, options)


def _convolved(
    graph: Graph, inputs: list[int], weights: str, kernel: tuple[int, int], groups: int, options: Any
) -> str:
    picture = graph.add("Transpose", [graph.name(inputs[0])], perm=TO_FIRST)
    bias = [graph.name(index) for index in inputs[2:3] if index >= 0]
    dilations = [options.dilationHFactor, options.dilationWFactor]
    made = graph.add(
        "Conv",
        [picture, weights, *bias],
        kernel_shape=kernel,
        group=groups,
        dilations=dilations,
        **_strides(options),
    )
    return graph.add("Transpose", [made], perm=TO_LAST)


def _pool(kind: str) -> Callable[[Graph, list[int], Any], str]:
    def pooled(graph: Graph, inputs: list[int], options: Any) -> str:
        picture = graph.add("Transpose", [graph.name(inputs[0])], perm=TO_FIRST)
        kernel = [options.filterHeight, options.filterWidth]
        made = graph.add(kind, [picture], kernel_shape=kernel, **_strides(options))
        return graph.add("Transpose", [made], perm=TO_LAST)

    return pooled


def _strides(options: Any) -> dict[str, Any]:
    return {
        "strides": [options.strideH, options.strideW],
        "auto_pad": {0: "SAME_UPPER", 1: "VALID"}[options.padding],
    }


def _fully_connected(graph: Graph, inputs: list[int], options: Any) -> str:
    out, deep = graph.tensors[inputs[1]].shape
    rows = graph.add("Reshape", [graph.name(inputs[0]), graph.constant(np.array([-1, deep], np.int64))])
    weights = graph.weights(inputs[1], (0, 1), (out, deep))
    bias = [graph.name(index) for index in inputs[2:3] if index >= 0]
    return graph.add("Gemm", [rows, weights, *bias], transB=1)


def _gather(graph: Graph, inputs: list[int], options: Any) -> str:
    if options.batchDims:
        raise Unsupported("GATHER with batch dimensions is")
    return graph.add("Gather", [graph.name(index) for index in inputs], axis=options.axis)


def _pad(graph: Graph, inputs: list[int], options: Any) -> str:
    around = graph.tensors[inputs[1]].values.astype(np.int64)
    return graph.add("Pad", [graph.name(inputs[0]), graph.constant(around.T.reshape(-1))])


def _strided_slice(graph: Graph, inputs: list[int], options: Any) -> str:
    if options.ellipsisMask or options.newAxisMask or options.offset:
        raise Unsupported("STRIDED_SLICE with an ellipsis, a new axis or an offset is")
    starts, ends, steps = (graph.tensors[index].values.astype(np.int64) for index in inputs[1:4])
    if (steps < 0).any():
        raise Unsupported("STRIDED_SLICE backwards is")
    axes = np.arange(len(starts))
    one = (options.shrinkAxisMask >> axes & 1).astype(bool)
    starts = np.where(options.beginMask >> axes & 1, 0, starts)
    last = np.where(starts == -1, np.iinfo(np.int64).max, starts + 1)
    ends = np.where(one, last, np.where(options.endMask >> axes & 1, np.iinfo(np.int64).max, ends))
    return graph.add("Slice", [graph.name(inputs[0]), *map(graph.constant, (starts, ends, axes, steps))])


def _split(graph: Graph, inputs: list[int], options: Any) -> str:
    return graph.add("Identity", [graph.name(inputs[1])])  # into one part: `translate` refuses more


def _transpose(graph: Graph, inputs: list[int], options: Any) -> str:
    order = [int(axis) for axis in graph.tensors[inputs[1]].values]
    return graph.add("Transpose", [graph.name(inputs[0])], perm=order)


def _concatenation(graph: Graph, inputs: list[int], options: Any) -> str:
    return graph.add("Concat", [graph.name(index) for index in inputs], axis=options.axis)


def _softmax(graph: Graph, inputs: list[int], options: Any) -> str:
    if options.beta != 1:
        raise Unsupported(f"SOFTMAX with beta {options.beta} is")
    return graph.add("Softmax", [graph.name(inputs[0])], axis=-1)


def _spectrum(graph: Graph, inputs: list[int], options: Any) -> str:
    """A complex spectrum (rows, bins, 2) of (..., 1, samples)."""
    *_, rows, length = graph.tensors[inputs[0]].shape
    if rows != 1 or graph.tensors[inputs[1]].values.tolist() != [1, length]:
        raise Unsupported("RFFT2D in two dimensions, or of another length than its input, is")
    lines = graph.add("Reshape", [graph.name(inputs[0]), graph.constant(np.array([-1, length, 1], np.int64))])
    return graph.add("DFT", [lines], axis=1, onesided=1)


def _magnitude(graph: Graph, inputs: list[int], options: Any) -> str:
    return graph.add("ReduceL2", [graph.name(inputs[0]), graph.constant(np.array([-1], np.int64))], keepdims=0)


OTHERS: dict[str, Callable[[Graph, list[int], Any], str]] = {
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "COMPLEX_ABS": _magnitude,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gather,
    "MAX_POOL_2D": _pool("MaxPool"),
    "PAD": _pad,
    "RFFT2D": _spectrum,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
}
