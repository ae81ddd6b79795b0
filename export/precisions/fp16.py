"""fp16: the precision goes into the graph, so that no builder flag decides about it.

Weights and everything between input and output become float16; inputs and outputs stay float32. LayerNormalization
stays one native operator with float32 inside (`stash_type` 1): decomposed in fp16 it overflows.
"""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from asit_edge.errors import AsitEdgeError

MOVES_ONLY = frozenset(
    (
        *("Abs", "Cast", "Clip", "Concat", "Expand", "Flatten", "Gather", "GatherND", "Identity", "Max", "Min", "Neg"),
        *("Pad", "Relu", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"),
    )
)
"""Operators whose float16 result is exact: what they give was representable before."""


def to_fp16(model: ModelProto) -> ModelProto:
    """A float32 model with its precision lowered to float16; the names of its tensors stay.

    Raises AsitEdgeError if a weight does not fit float16, or the model is not wholly float32.
    """
    inferred = shape_inference.infer_shapes(model)
    floats = _tensors_of(inferred, TensorProto.FLOAT)
    if _tensors_of(inferred, TensorProto.FLOAT16):
        raise AsitEdgeError("the model has float16 tensors already; make fp16 from the float32 model")
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(_narrowed(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == attribute.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(_narrowed(attribute.t))
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    inputs = [entry.name for entry in graph.input if entry.name in floats]
    outputs = [entry.name for entry in graph.output if entry.name in floats]
    for node in graph.node:
        _rename(node, {name: f"{name}/half" for name in (*inputs, *outputs)})
    into = [_cast(name, f"{name}/half", TensorProto.FLOAT16) for name in inputs]
    back = [_cast(f"{name}/half", name, TensorProto.FLOAT) for name in outputs]
    nodes = [*into, *graph.node, *back]
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


def widened(model: ModelProto) -> ModelProto:
    """A model that computes in float32 but rounds to float16 wherever the given one does.

    ONNX Runtime's CPU kernels leave those roundings out where they have no float16 of their own, and with them every
    overflow. This one has them all, so that what is measured is what a GPU that sums in float32 gives.
    """
    halves = _tensors_of(shape_inference.infer_shapes(model), TensorProto.FLOAT16)
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes: list[NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == attribute.TENSOR and attribute.t.data_type == TensorProto.FLOAT16:
                values = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(values, attribute.t.name))
        rounded = [name for name in node.output if name in halves and node.op_type not in MOVES_ONLY]
        if node.op_type == "Cast" and node.output[0] in halves:
            rounded = [node.output[0]]
            node.attribute[0].i = TensorProto.FLOAT
        _rename(node, {name: f"{name}/wide" for name in rounded}, outputs_only=True)
        nodes.append(node)
        for name in rounded:
            nodes.append(_cast(f"{name}/wide", f"{name}/narrow", TensorProto.FLOAT16))
            nodes.append(_cast(f"{name}/narrow", name, TensorProto.FLOAT))
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return copy


def _tensors_of(inferred: ModelProto, kind: int) -> set[str]:
    graph = inferred.graph
    entries = [*graph.input, *graph.output, *graph.value_info]
    names = {entry.name for entry in entries if entry.type.tensor_type.elem_type == kind}
    return names | {tensor.name for tensor in graph.initializer if tensor.data_type == kind}


def _narrowed(tensor: TensorProto) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    limit = float(np.finfo(np.float16).max)
    if np.abs(values).max(initial=0.0) > limit:
        raise AsitEdgeError(
            f"the weights {tensor.name} reach {np.abs(values).max():.3g}, and float16 ends at {limit:.0f}; "
            "the model cannot be had in fp16"
        )
    return numpy_helper.from_array(values.astype(np.float16), tensor.name)


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast {source}", to=kind)


def _rename(node: NodeProto, names: dict[str, str], outputs_only: bool = False) -> None:
    for index, name in enumerate(node.output):
        node.output[index] = names.get(name, name)
    if not outputs_only:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
