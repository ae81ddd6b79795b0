"""Smaller files: weights kept in 16 or 8 bits and widened when the model is loaded; everything is computed in float32.

16 bits are float16. 8 bits are whole numbers of steps from -127 to 127, a step for each output of a layer, in the form
that runtimes know from quantised models (TensorRT takes whole numbers of 8 bits in no other). They widen them as they
open the file, so nothing but the file changes.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from torch import Tensor, nn

Bits = Literal[16, 8]
Values = npt.NDArray[np.float32]

SMALLEST = 256
"""Tensors with fewer values stay as they are."""
STEPS = 127
MANTISSA = 12
"""Bits of a step's width, so that no product with a whole number up to 127 is rounded in float32."""


def round_weights(model: "nn.Module", bits: Bits = 16) -> None:
    """Rounds a network's weights, in place, to what `pack` can hold: then packing changes nothing.

    With 8 bits that is for the matrices of linear layers and for a first convolution; all else, also the kernels of
    convolutions on convolutions, whose roundings add up, is rounded to float16.
    """
    from torch import nn  # only where there is a network; everything else here reads ONNX

    layers = {
        id(layer.weight)
        for layer in model.modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.in_channels == 1)
    }
    for weight in model.parameters():
        if bits == 8 and id(weight) in layers and weight.numel() >= SMALLEST:
            weight.data = in_steps(weight.data)
        else:
            weight.data = weight.data.half().to(weight.dtype)


def in_steps(weight: "Tensor") -> "Tensor":
    """The nearest whole numbers of steps; the first axis is that of the outputs."""
    import torch

    rows = weight.flatten(1).double().numpy()
    step = width(np.abs(rows).max(axis=1, keepdims=True))
    return torch.from_numpy((np.round(rows / step) * step).astype(np.float32)).view_as(weight)


def width(largest: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The width of a step, at least 1/127 of the largest value, of few bits; 1 where all is zero."""
    mantissa, exponent = np.frexp(largest.astype(np.float64) / STEPS)
    step = np.ldexp(np.ceil(np.ldexp(mantissa, MANTISSA)), exponent - MANTISSA)
    return np.where(step > 0, step, 1.0)


def pack(model: ModelProto) -> ModelProto:
    """A copy whose float32 weights are stored in 8 or 16 bits, and widened by nodes, where that holds them exactly."""
    copy = ModelProto()
    copy.CopyFrom(model)
    widening: list[NodeProto] = []
    for tensor in list(copy.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            continue
        name, found = tensor.name, _steps(values)
        if found is not None:
            numbers, step, axis = found
            tensor.CopyFrom(numpy_helper.from_array(numbers, f"{name}/packed"))
            copy.graph.initializer.append(numpy_helper.from_array(step, f"{name}/step"))
            parts = [f"{name}/packed", f"{name}/step"]
            widening.append(helper.make_node("DequantizeLinear", parts, [name], f"{name}/unpack", axis=axis))
            continue
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        if np.array_equal(narrow.astype(np.float32), values):
            tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}/packed"))
            widening.append(
                helper.make_node("Cast", [f"{name}/packed"], [name], f"{name}/unpack", to=TensorProto.FLOAT)
            )
    nodes = [*widening, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _steps(values: Values) -> tuple[npt.NDArray[np.int8], Values, int] | None:
    """Whole numbers and steps whose product is exactly `values`, and the axis that the steps are for: the first or, of
    a transposed matrix, the last.
    """
    if values.ndim < 2 or not np.isfinite(values).all():
        return None
    for axis in (values.ndim - 1, 0):
        others = tuple(index for index in range(values.ndim) if index != axis)
        step = width(np.abs(values).max(axis=others, keepdims=True))
        numbers = np.round(values / step)
        wide = step.astype(np.float32)
        if np.array_equal(numbers.astype(np.float32) * wide, values):
            return numbers.astype(np.int8), wide.reshape(-1), axis
    return None


def unpack(model: ModelProto) -> ModelProto:
    """The model as it was before `pack`; any other model as it is."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    for name in [name.removesuffix("/packed") for name in stored if name.endswith("/packed")]:
        packed, maker = stored[f"{name}/packed"], makers[name]
        wide = numpy_helper.to_array(packed).astype(np.float32)
        if maker.op_type == "DequantizeLinear":
            step, axis = stored[f"{name}/step"], helper.get_node_attr_value(maker, "axis")
            wide = wide * np.moveaxis(numpy_helper.to_array(step).reshape(-1, *[1] * (wide.ndim - 1)), 0, axis)
            model.graph.initializer.remove(step)
        model.graph.node.remove(maker)
        packed.CopyFrom(numpy_helper.from_array(wide, name))
    return model
