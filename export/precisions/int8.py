"""int8: static Q/DQ pairs around the linear layers, symmetric, with ranges calibrated on real audio.

Only products with constant weights are quantised. Residual additions, LayerNormalization, softmax and the products
inside attention stay as they are: quantising those too is what takes a vision transformer's accuracy away. A stream's
embedding is the mean of what its heads are given, so in an int8 model it is the mean of whole numbers of steps.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader

from asit_edge.errors import AsitEdgeError, one_line
from export.precisions.graph import Tensors, linear_layers, load


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    """What the calibrator runs the model on."""

    def __init__(self, inputs: Iterable[Tensors]) -> None:
        self._inputs: Iterator[Tensors] = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        one = next(self._inputs, None)
        return None if one is None else dict(one)


def to_int8(model: Path, inputs: Iterable[Tensors], out: Path, keep: Iterable[str] = ()) -> None:
    """Writes the int8 model, calibrated on `inputs` (name of each input to its array).

    Weights get a scale per output channel, inputs of layers one scale. Scales are float32 with zero points of zero,
    which is what TensorRT takes. `keep` are nodes that stay float32. Raises AsitEdgeError if there is nothing to do.
    """
    kept = set(keep)
    nodes = [node.name for node in linear_layers(load(model)) if node.name not in kept]
    if not nodes:
        raise AsitEdgeError(f"{model}: has no linear layers to quantise")
    options = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,  # TensorRT takes no int32 biases
        "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
        "MatMulConstBOnly": True,
    }
    with tempfile.TemporaryDirectory() as scratch:
        logging.disable(logging.WARNING)  # its advice, to optimise first, costs the layers' names
        try:
            quantize_static(
                str(model),
                str(Path(scratch) / out.name),
                _Inputs(inputs),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                op_types_to_quantize=["MatMul", "Gemm"],
                nodes_to_quantize=nodes,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options=options,
            )
        except Exception as error:  # ONNX Runtime's quantiser raises whatever its parts raise
            raise AsitEdgeError(f"{model}: cannot be quantised ({one_line(error)[:300]})") from None
        finally:
            logging.disable(logging.NOTSET)
        out.write_bytes((Path(scratch) / out.name).read_bytes())
