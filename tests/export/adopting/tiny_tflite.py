"""TFLite files of a few operators, written with the format's own schema."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Value:
    """A tensor: computed, or constant where it has values."""

    shape: tuple[int, ...]
    dtype: str = "FLOAT32"
    values: np.ndarray | None = None
    scale: list[float] | None = None
    zero: list[int] | None = None
    axis: int = 0


@dataclass
class Operator:
    kind: str
    inputs: list[int]
    output: int
    options: dict[str, Any] = field(default_factory=dict)


def constant(values: Any, dtype: str = "FLOAT32") -> Value:
    array = np.asarray(values, {"FLOAT32": np.float32, "INT32": np.int32, "INT8": np.int8}[dtype])
    return Value(array.shape, dtype, array)


OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "GATHER": "GatherOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "CONCATENATION": "ConcatenationOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
}


def write_tflite(file: Path, values: list[Value], operators: list[Operator]) -> Path:
    """The first value is the input, the output of the last operator the output."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, "tiny"
    model.buffers, graph.tensors = [schema.BufferT()], []
    for number, value in enumerate(values):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"t{number}", list(value.shape), 0
        tensor.type = getattr(schema.TensorType, value.dtype)
        if value.values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.values.tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        if value.scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = value.scale
            tensor.quantization.zeroPoint = value.zero or [0] * len(value.scale)
            tensor.quantization.quantizedDimension = value.axis
        graph.tensors.append(tensor)
    model.operatorCodes, graph.operators = [], []
    for one in operators:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, one.kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        if any(values[index].dtype == "INT8" for index in one.inputs):
            code.version = 3
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, one.inputs, [one.output]
        if one.kind in OPTIONS:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[one.kind])
            operator.builtinOptions = getattr(schema, OPTIONS[one.kind] + "T")()
            for key, told in one.options.items():
                setattr(operator.builtinOptions, key, told)
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [operators[-1].output]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(bytes(builder.Output()))
    return file
