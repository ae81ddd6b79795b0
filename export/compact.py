"""Half the file: weights kept as float16 and widened when the model is loaded; everything is computed in float32.

A runtime folds the casts into constants as it opens the file, so nothing but the file changes.
"""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

SMALLEST = 256
"""Tensors with fewer values stay as they are."""


def round_weights(model: nn.Module) -> None:
    """Rounds a network's weights, in place, to what float16 can hold: then `pack` changes nothing."""
    for weight in model.parameters():
        weight.data = weight.data.half().to(weight.dtype)


def pack(model: ModelProto) -> ModelProto:
    """A copy whose float32 weights are stored as float16, each with a cast, wherever float16 holds them exactly."""
    copy = ModelProto()
    copy.CopyFrom(model)
    casts = []
    for tensor in copy.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            continue
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        if np.array_equal(narrow.astype(np.float32), values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}/packed"))
            casts.append(helper.make_node("Cast", [f"{name}/packed"], [name], f"{name}/unpack", to=TensorProto.FLOAT))
    nodes = [*casts, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def unpack(model: ModelProto) -> ModelProto:
    """The model as it was before `pack`; any other model as it is."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = [node for node in model.graph.node if node.op_type == "Cast" and node.input[0] in stored]
    for node in casts:
        tensor = stored[node.input[0]]
        wide = helper.tensor_dtype_to_np_dtype(onnx.helper.get_node_attr_value(node, "to"))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(wide), node.output[0]))
        model.graph.node.remove(node)
    return model
