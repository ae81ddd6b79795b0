"""A TFLite classifier as ONNX: its file read, its graph translated operator by operator."""

from pathlib import Path
from typing import Any

import onnx

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from export.adopting.graph import Graph, Tensor, Unsupported
from export.adopting.operators import translate

INSTALL = "TFLite models need the package ai-edge-litert (pip install 'asit-edge[yamnet]')"


def read_tflite(file: Path) -> onnx.ModelProto:
    """The model of a TFLite file with one float32 input and one float32 output, both of the shapes it has there.

    Raises WrongUse without the package that reads such files, AsitEdgeError for a file that cannot be translated.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        raise WrongUse(f"{file}: {INSTALL}") from None
    try:
        content = file.read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError("it does not begin as one")
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        if len(model.subgraphs) != 1:
            raise Unsupported("several graphs in one file are")
        told = model.subgraphs[0]
        types = _names(schema.TensorType)
        graph = Graph([Tensor(one, model.buffers[one.buffer].data, types) for one in told.tensors])
        if len(told.inputs) != 1 or len(told.outputs) != 1:
            raise Unsupported(f"{len(told.inputs)} inputs and {len(told.outputs)} outputs, more than one of each, are")
        ends = [int(told.inputs[0]), int(told.outputs[0])]
        for index in ends:
            if graph.tensors[index].type != "FLOAT32":
                raise Unsupported(f"{graph.tensors[index].type} as input or output is")
        kinds = _names(schema.BuiltinOperator)
        for operator in told.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            translate(graph, kinds[max(code.builtinCode, code.deprecatedBuiltinCode)], operator)
        return graph.model(*ends)
    except Unsupported as error:
        raise AsitEdgeError(
            f"{file}: cannot be translated to ONNX ({error} not supported); convert it with a converter of your own "
            "and declare the ONNX file"
        ) from None
    except Exception as error:  # of a damaged file the reader raises what its arithmetic and NumPy do
        raise AsitEdgeError(f"{file}: not a TFLite model that can be read ({one_line(error)})") from None


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
