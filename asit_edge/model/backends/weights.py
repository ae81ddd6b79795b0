"""Weights that are stored in 8 bits, in a network that TensorRT has read: widened, or refused.

In fp32 and fp16 models 8 bits are only how weights are stored (`DequantizeLinear` of constants). TensorRT 10.3 does not
build that in a strongly typed network on compute capability 8.7, the Orins (NVIDIA/TensorRT issue 4832), so it is done
here, before anything is built. An int8 model is computed in 8 bits: there its activations must be quantised as well.
Variables that hold TensorRT's objects are annotated as in `tensorrt`, for the same check.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError
from asit_edge.model.variant import Precision

if TYPE_CHECKING:
    import tensorrt as trt


def settle_weights(module: Any, parsed: Any, onnx: Path, precision: Precision) -> list[npt.NDArray[np.float32]]:
    """Widens stored weights in place, or, for int8, raises AsitEdgeError where only weights are quantised.

    The arrays that are returned must live until the engine is built.
    """
    api = module
    network: trt.INetworkDefinition = parsed
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    makers = {name: layer for layer in layers for name in _outputs(layer)}
    stored = {
        name: layer
        for layer in layers
        if _kind(layer) == api.LayerType.DEQUANTIZE and _made_by(makers, layer, 0) == api.LayerType.CONSTANT
        for name in _outputs(layer)
    }
    if precision == "int8":
        _refuse_weights_only(api, layers, makers, stored, onnx)
        return []
    widened: dict[str, Any] = {}
    kept = []
    for name, layer in stored.items():
        values = _values(api, makers, layer)
        kept.append(values)
        added: trt.IConstantLayer = network.add_constant(values.shape, values)
        widened[name] = added.get_output(0)
    for found in layers:
        user: trt.ILayer = found
        for index in range(user.num_inputs):
            entry = user.get_input(index)
            if entry is not None and entry.name in widened:
                user.set_input(index, widened[entry.name])
    return kept


def _values(module: Any, makers: dict[str, Any], found: Any) -> npt.NDArray[np.float32]:
    """What a DequantizeLinear of constants gives."""
    api = module
    layer: trt.IDequantizeLayer = found
    numbers, step = (_constant(api, makers[layer.get_input(index).name]) for index in (0, 1))
    layer.__class__ = api.IDequantizeLayer  # the bindings hand out the base class
    axis = layer.axis
    if step.size > 1:
        step = step.reshape([-1 if index == axis % numbers.ndim else 1 for index in range(numbers.ndim)])
    return np.ascontiguousarray(numbers.astype(np.float32) * step.astype(np.float32))


def _constant(module: Any, found: Any) -> npt.NDArray[Any]:
    api = module
    layer: trt.IConstantLayer = found
    layer.__class__ = api.IConstantLayer
    return np.array(layer.weights).reshape(tuple(layer.shape))


def _refuse_weights_only(
    module: Any, layers: list[Any], makers: dict[str, Any], stored: dict[str, Any], onnx: Path
) -> None:
    api = module
    for found in layers:
        layer: trt.ILayer = found
        if layer.type not in (api.LayerType.MATRIX_MULTIPLY, api.LayerType.CONVOLUTION):
            continue
        entries = [layer.get_input(index) for index in range(layer.num_inputs)]
        names = [entry.name for entry in entries if entry is not None]
        if any(name in stored for name in names) and _made_by(makers, layer, 0) != api.LayerType.DEQUANTIZE:
            raise AsitEdgeError(
                f"{onnx}: only the weights of {layer.name} are quantised, not what it is given; TensorRT computes in "
                "int8 where both are (explicit Q/DQ): make it with python -m export.variants --precision int8"
            )


def _kind(found: Any) -> Any:
    layer: trt.ILayer = found
    return layer.type


def _made_by(makers: dict[str, Any], found: Any, index: int) -> Any:
    """The kind of the layer that makes that input; None where none does."""
    layer: trt.ILayer = found
    entry = layer.get_input(index)
    return _kind(makers[entry.name]) if entry is not None and entry.name in makers else None


def _outputs(found: Any) -> list[str]:
    layer: trt.ILayer = found
    return [layer.get_output(index).name for index in range(layer.num_outputs)]
