"""From an ONNX model as it is to one as a bundle has it: frames (batch, frames, width) in, probabilities out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from asit_edge.errors import WrongUse, one_line
from export.adopting.declaration import Declaration, WaveformInput

PREFIX = "adopted/"


class Ends(NamedTuple):
    """Where a model is entered and left."""

    source: str
    shape: list[int]
    """Of one window as it is given; any number of them where it is `free`."""
    free: bool
    transposed: bool
    """Log-mel is (mels, frames) there."""
    result: str

    def given(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A window (samples,) or (frames, mels) as the model takes it."""
        return (window.T if self.transposed else window).reshape(self.shape)


def core_of(told: Declaration) -> tuple[int, ...]:
    """The shape of a window: (samples,) or (frames, mels)."""
    one = told.input
    return (one.samples,) if isinstance(one, WaveformInput) else (one.frames, one.mels)


def only_output(told: Declaration, outputs: dict[str, tuple[int, ...]], labels: int) -> str:
    """Which of the model's outputs, whose shapes these are for one window, has one number a label. Raises WrongUse."""
    fitting = [name for name, found in outputs.items() if found and np.prod(found) == labels == found[-1]]
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {list(found)}" for name, found in outputs.items())
        problem = (
            "none has one number a label" if not fitting else "several have one number a label; leave one in the file"
        )
        raise WrongUse(f"{told.model}: gives {shapes}, and there are {labels} labels: {problem}")
    return fitting[0]


def only_input(model: onnx.ModelProto, told: Declaration) -> onnx.ValueInfoProto:
    """Raises WrongUse if there are several, or it is not of float32."""
    constants = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs) or "none"
        raise WrongUse(f"{told.model}: must have one input, it has {names}")
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise WrongUse(f"{told.model}: input {inputs[0].name} must be of float32")
    return inputs[0]


def find_entry(source: onnx.ValueInfoProto, told: Declaration) -> Ends:
    """How windows go in; the result is not known yet. Raises WrongUse where they do not."""
    kind = source.type.tensor_type
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim]
    core = core_of(told)
    known = f"{told.model}: input {source.name} takes {[size or '?' for size in sizes]}"
    right = f"input.type {told.input.type} with a window of {' x '.join(map(str, core))}"
    if not kind.HasField("shape") or len(sizes) < len(core):
        raise WrongUse(f"{known}, which does not go with {right}")
    around, own = sizes[: len(sizes) - len(core)], sizes[len(sizes) - len(core) :]
    transposed = len(core) == 2 and not _goes(own, core) and _goes(own, core[::-1])
    if not (_goes(own, core) or transposed) or any(size not in (None, 1) for size in around):
        raise WrongUse(
            f"{known}, which does not go with {right}; declare what the model takes, one window at a time or any number"
        )
    shape = [*([1] * len(around)), *(core[::-1] if transposed else core)]
    return Ends(source.name, shape, around[:1] == [None], transposed, "")


def _goes(sizes: Sequence[int | None], core: Sequence[int]) -> bool:
    return all(size in (None, wanted) for size, wanted in zip(sizes, core, strict=True))


def fit(model: onnx.ModelProto, ends: Ends, told: Declaration, labels: int) -> onnx.ModelProto:
    """Between a bundle's input, named by its type, and `scores`. Raises WrongUse for what ONNX cannot put together."""
    framing = told.framing
    try:
        inner = compose.add_prefix(model, PREFIX)
    except Exception as error:  # of a graph that is none onnx raises what its checks do
        raise WrongUse(f"{told.model}: cannot be put into a bundle ({one_line(error)})") from None
    graph, kind = inner.graph, framing.front_end.type
    batch: str | int = "batch" if ends.free else 1
    several = -1 if ends.free else 1
    before, after = [], []
    given: str = kind
    if ends.transposed:
        before.append(helper.make_node("Transpose", [given], ["turned"], perm=[0, 2, 1]))
        given = "turned"
    before.append(helper.make_node("Reshape", [given, "window_shape"], [PREFIX + ends.source]))
    after.append(helper.make_node("Reshape", [PREFIX + ends.result, "score_shape"], ["flat"]))
    last = "Sigmoid" if told.output == "logits" else "Identity"
    after.append(helper.make_node(last, ["flat"], ["scores"]))
    shapes = {
        "window_shape": [several, *ends.shape[1:]] if ends.free else ends.shape,
        "score_shape": [several, labels],
    }
    constants = [numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()]
    window = [batch, framing.model.frames, framing.front_end.width]
    made = helper.make_graph(
        [*before, *graph.node, *after],
        told.name,
        [helper.make_tensor_value_info(kind, TensorProto.FLOAT, window)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, labels])],
        [*graph.initializer, *constants],
    )
    made.sparse_initializer.extend(graph.sparse_initializer)
    fitted = helper.make_model(made, opset_imports=inner.opset_import, ir_version=inner.ir_version)
    fitted.functions.extend(inner.functions)
    return fitted
