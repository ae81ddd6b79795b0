"""Multiply-adds of a model, counted from its graph: matrix products and convolutions, nothing else."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.precisions.graph import load


def onnx_macs(file: Path) -> int:
    """Of one run with batch 1, from the shapes that ONNX infers."""
    model = load(file)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        out = prod(shapes[node.output[0]]) if node.output[0] in shapes else 0
        if node.op_type in ("MatMul", "Gemm"):
            total += out * shapes[node.input[0]][-1]
        elif node.op_type == "Conv":
            total += out * prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Attention", "Einsum", "ConvTranspose"):
            raise ValueError(f"{file}: {node.op_type} is not counted")
        if node.op_type in ("MatMul", "Gemm", "Conv") and not out:
            raise ValueError(f"{file}: {node.name} has no shape")
    return total


def tflite_macs(interpreter: Any) -> int:
    """Of one run, from the tensors of the interpreter's operators."""
    shapes = {tensor["index"]: np.array(tensor["shape"]) for tensor in interpreter.get_tensor_details()}
    total = 0
    for operator in interpreter._get_ops_details():
        name, inputs, outputs = operator["op_name"], operator["inputs"], operator["outputs"]
        if name == "CONV_2D":
            total += int(shapes[outputs[0]].prod() * shapes[inputs[1]][1:].prod())
        elif name == "DEPTHWISE_CONV_2D":
            total += int(shapes[outputs[0]].prod() * shapes[inputs[1]][1:3].prod())
        elif name in ("FULLY_CONNECTED", "BATCH_MATMUL"):
            total += int(shapes[outputs[0]].prod() * shapes[inputs[0]][-1])
    return total
