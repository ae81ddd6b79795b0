"""The ONNX graph that is being made of a TFLite one, and the tensors of that one.

Weights of 8 bits stay stored in 8 bits and are widened once. Where a TFLite model keeps its activations in 8 bits they
are rounded to the same steps, so that the scores are its own; a value at the edge of a step may fall to either side.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.conversion import OPSET

Values = npt.NDArray[Any]

DTYPES: dict[str, npt.DTypeLike] = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT8": np.int8,
    "UINT8": np.uint8,
}
IR_VERSION = 10


class Unsupported(Exception):
    """What in a graph has no translation."""


class Tensor:
    """A tensor of a TFLite graph: its shape, and its values if they are part of the file."""

    def __init__(self, told: Any, buffer: Any, types: dict[int, str]) -> None:
        self.type = types[told.type]
        self.shape = [] if told.shape is None else [int(size) for size in told.shape]
        self.scale, self.zero, self.axis = _quantisation(told.quantization)
        self.stored: Values | None = None
        if buffer is not None and len(buffer):
            if self.type not in DTYPES:
                raise Unsupported(f"constants of type {self.type} are")
            self.stored = np.frombuffer(bytes(buffer), DTYPES[self.type]).reshape(self.shape)

    @property
    def values(self) -> Values:
        """Of a constant: what its numbers stand for."""
        if self.stored is None:
            raise Unsupported("a shape, an axis or weights that are computed are")
        if self.scale is None or self.zero is None:
            return self.stored
        around = [1] * self.stored.ndim
        if self.scale.size > 1:
            around[self.axis] = self.scale.size
        difference = self.stored.astype(np.float32) - self.zero.reshape(around)
        return (difference * self.scale.reshape(around)).astype(np.float32)

    @property
    def steps(self) -> tuple[Values, Values] | None:
        """Scale and zero point of activations that are kept in 8 bits; None of others."""
        if self.scale is None or self.zero is None:
            return None
        if self.type not in ("INT8", "UINT8") or self.scale.size != 1:
            raise Unsupported(f"activations of type {self.type} are")
        return self.scale[0], self.zero[0].astype(DTYPES[self.type])


def _quantisation(told: Any) -> tuple[Values | None, Values | None, int]:
    """Scales, zero points and the axis that they belong to; none of a tensor that is not quantised."""
    if told is None or told.scale is None or not len(told.scale):
        return None, None, 0
    scale = np.asarray(told.scale, np.float32)
    zero = np.zeros(len(scale), np.float32) if told.zeroPoint is None else np.asarray(told.zeroPoint, np.float32)
    return scale, zero, int(told.quantizedDimension)


class Graph:
    """The ONNX graph that is being made of a TFLite one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def name(self, index: int) -> str:
        """Of a tensor of the TFLite graph, in float32 if it is quantised."""
        name, tensor = f"tensor{index}", self.tensors[index]
        if tensor.stored is not None and name not in self._constants:
            values = tensor.values
            self.constant(values.astype(np.float32) if values.dtype == np.float16 else values, name)
        return name

    def constant(self, values: Values, name: str | None = None) -> str:
        name = name or f"constant{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def weights(self, index: int, order: tuple[int, ...], shape: tuple[int, ...]) -> str:
        """Constant weights with their axes in another order and then of another shape; those of 8 bits stay so stored.

        The order must not tear the axis of their scales apart, which comes first.
        """
        tensor = self.tensors[index]
        if tensor.stored is None or tensor.type != "INT8" or tensor.scale is None or tensor.zero is None:
            return self.constant(tensor.values.astype(np.float32).transpose(order).reshape(shape))
        stored = self.constant(tensor.stored.transpose(order).reshape(shape))
        one = tensor.scale.size == 1
        scale = self.constant(tensor.scale[0] if one else tensor.scale)
        zero = self.constant((tensor.zero[0] if one else tensor.zero).astype(np.int8))
        return self.add("DequantizeLinear", [stored, scale, zero], axis=0)

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        output = output or f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def give(self, index: int, value: str) -> None:
        """`value` is that tensor of the TFLite graph, once it has its shape and is rounded to its steps."""
        tensor = self.tensors[index]
        shape = [*tensor.shape, 2] if tensor.type == "COMPLEX64" else tensor.shape
        value = self.add("Reshape", [value, self.constant(np.array(shape, np.int64))])
        if tensor.steps is not None:
            scale, zero = map(self.constant, tensor.steps)
            rounded = self.add("QuantizeLinear", [value, scale, zero])
            value = self.add("DequantizeLinear", [rounded, scale, zero])
        self.add("Identity", [value], self.name(index))

    def model(self, source: int, result: int) -> onnx.ModelProto:
        """With one input and one output."""
        ends = [
            helper.make_tensor_value_info(self.name(index), TensorProto.FLOAT, self.tensors[index].shape)
            for index in (source, result)
        ]
        graph = helper.make_graph(self._nodes, "adopted", ends[:1], ends[1:], list(self._constants.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
