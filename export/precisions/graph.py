"""What an ONNX graph says about itself: linear layers, their names in the trained model, states, local errors.

Everything works on named tensors, so that it holds for window models and for streaming ones with any caches.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from export.precisions.compact import unpack

Tensors = Mapping[str, npt.NDArray[np.generic]]

NAME_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where a node tells of the modules that it came from, outermost first."""
WEIGHED = ("MatMul", "Gemm")
MEASURED = ("MatMul", "Gemm", "Conv", "LayerNormalization", "Softmax")
"""What does a layer's work; the rest moves data around, scales it or adds it up."""


def session(model: ModelProto | Path) -> onnxruntime.InferenceSession:
    """ONNX Runtime on one thread of the CPU, quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def constants(model: ModelProto) -> set[str]:
    """Names of the tensors that do not depend on any input."""
    return {tensor.name for tensor in model.graph.initializer}


def linear_layers(model: ModelProto) -> list[NodeProto]:
    """Products with a constant matrix: the linear layers, not the products inside attention."""
    fixed = constants(model)
    return [
        node
        for node in model.graph.node
        if node.op_type in WEIGHED and node.input[0] not in fixed and node.input[1] in fixed
    ]


def layer_names(model: ModelProto) -> dict[str, str]:
    """Output tensor of every measured node to its name in the trained model, such as `blocks.3.mlp.fc1`.

    torch's exporter notes the module that a node comes from. Products and softmax inside attention are named by
    their module and what they are; nodes of other exporters by their own names.
    """
    weighted = {node.output[0] for node in linear_layers(model)}
    names: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type in MEASURED:
            module = _module(node)
            own = node.output[0] in weighted or node.op_type in ("Conv", "LayerNormalization")
            name = module if own or module == node.name else f"{module} {node.op_type}"
            same = sum(known.partition(" (")[0] == name for known in names.values())
            names[node.output[0]] = f"{name} ({same + 1})" if same else name
    return names


def kept_nodes(model: ModelProto, parts: Iterable[str]) -> list[str]:
    """The linear layers whose names in the trained model have one of these parts, by the names of their nodes.

    Raises WrongUse where no layer has a part.
    """
    names = layer_names(model)
    known = {node.name: names[node.output[0]] for node in linear_layers(model)}
    for part in parts:
        if not any(part in name for name in known.values()):
            raise WrongUse(
                f"--keep {part!r}: no linear layer has that in its name; they are {', '.join(known.values())}"
            )
    return [node for node, name in known.items() if any(part in name for part in parts)]


def _module(node: NodeProto) -> str:
    scopes = next((entry.value for entry in node.metadata_props if entry.key == NAME_SCOPES), "")
    modules = re.findall(r"'([^']*)'", scopes)[:-1]
    return re.sub(r"^(classifier\.|model\.|backbone\.)*", "", modules[-1]) if modules and modules[-1] else node.name


def with_outputs(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """A copy whose outputs are these float tensors."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    return copy


def local_errors(reference: ModelProto, variant: ModelProto, feeds: Iterable[Tensors]) -> dict[str, float]:
    """By how much each layer of a variant, given the reference's exact inputs, misses the reference's output.

    Returns name in the trained model to relative L2 error (infinite where the variant overflows). Errors of earlier
    layers do not count: this finds the layer that loses, not the one at the end that shows it. Both models compute in
    float32 (see `export.precisions.fp16.widened`) and call their tensors alike.
    """
    names = layer_names(reference)
    produced = {name for node in variant.graph.node for name in node.output}
    shared = [name for name in names if name in produced]
    exact = session(with_outputs(reference, shared))
    cut = session(_cut(variant, shared))
    wanted = {entry.name for entry in cut.get_inputs()}
    squared_error, squared = np.zeros(len(shared)), np.zeros(len(shared))
    for feed in feeds:
        expected = exact.run(None, dict(feed))
        known = {**feed, **dict(zip(shared, expected, strict=True))}
        actual = cut.run(None, {name: known[name] for name in wanted})
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            with np.errstate(all="ignore"):
                error = float(np.square(other.astype(np.float64) - one).sum())
            squared_error[index] += error if np.isfinite(error) else np.inf
            squared[index] += float(np.square(one.astype(np.float64)).sum())
    errors = np.sqrt(squared_error / np.maximum(squared, 1e-30))
    return {names[name]: float(error) for name, error in zip(shared, errors, strict=True)}


def _cut(model: ModelProto, tensors: list[str]) -> ModelProto:
    """A copy in which these tensors are inputs, and what would have been computed for them are the outputs."""
    copy = with_outputs(model, [f"{name}/local" for name in tensors])
    cut = set(tensors)
    for node in copy.graph.node:
        for index, name in enumerate(node.output):
            if name in cut:
                node.output[index] = f"{name}/local"
    copy.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    del copy.graph.value_info[:]
    return copy


def load(file: Path) -> ModelProto:
    """The model in a file, its weights as they are computed with. Raises AsitEdgeError if it is none."""
    try:
        model = onnx.load(str(file))
    except Exception as error:  # protobuf's errors have no base that is ours to name
        raise AsitEdgeError(f"{file}: is not an ONNX model ({one_line(error)[:200]})") from None
    return unpack(model)
