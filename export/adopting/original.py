"""A model as its makers gave it away, run as they would run it, and the same as ONNX."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from export.adopting.declaration import Declaration, WaveformInput
from export.adopting.fitting import Ends, core_of, find_entry, only_input, only_output
from export.adopting.tflite import read_tflite
from export.conversion import export_waveforms
from export.parity import TOLERANCE
from trainer.teachers.efficientat import RATE, EfficientAt

Windows = npt.NDArray[np.float32]
"""Of samples (n, samples), or of log-mel (n, frames, mels)."""

ROUNDED = 0.15
"""What is allowed of a model that rounds within, as those in 8 bits do: a value at the edge of a step may fall to
either side, and its followers with it."""
ROUNDING = {"QuantizeLinear", "DynamicQuantizeLinear"}


@dataclass(frozen=True)
class Original:
    """`score` gives what the original makes of windows, (n, classes), as it is declared: probabilities or logits."""

    model: onnx.ModelProto
    ends: Ends
    score: Callable[[Windows], npt.NDArray[np.float32]]
    runtime: str
    """What runs it, in words."""

    @property
    def rounds(self) -> bool:
        return any(node.op_type in ROUNDING for node in self.model.graph.node)

    @property
    def allowed(self) -> float:
        """Largest difference of a probability that the same model in a bundle may have."""
        return ROUNDED if self.rounds else TOLERANCE


def open_original(told: Declaration, labels: int) -> Original:
    """Raises WrongUse where the file is not what is declared, AsitEdgeError where it cannot be used."""
    kinds = {".onnx": _open_onnx, ".tflite": _open_tflite, ".pt": _open_efficientat}
    opened = kinds.get(told.model.suffix.lower())
    if opened is None:
        raise WrongUse(f"model: {told.model}: must end with one of {', '.join(kinds)}")
    return opened(told, labels)


def find_ends(model: onnx.ModelProto, told: Declaration, labels: int) -> Ends:
    """By what the model makes of silence. Raises WrongUse where that is not what is declared, AsitEdgeError."""
    session = _session(model, told.model)
    ends = find_entry(only_input(model, told), told)
    silence = ends.given(np.zeros(core_of(told), np.float32))
    try:
        found = session.run(None, {ends.source: silence})
    except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
        raise WrongUse(
            f"{told.model}: does not take windows of {list(silence.shape)}, as is declared ({one_line(error)[:300]})"
        ) from None
    outputs = {
        one.name: values.shape
        for one, values in zip(session.get_outputs(), found, strict=True)
        if isinstance(values, np.ndarray) and values.dtype == np.float32
    }
    return ends._replace(result=only_output(told, outputs, labels))


def _open_onnx(told: Declaration, labels: int) -> Original:
    try:
        model = onnx.load(str(told.model))
    except Exception as error:  # protobuf's errors and, where weights lie beside the file, the system's
        raise AsitEdgeError(f"{told.model}: not an ONNX model that can be read ({one_line(error)[:300]})") from None
    ends = find_ends(model, told, labels)
    session = _session(model, told.model)

    def score(windows: Windows) -> npt.NDArray[np.float32]:
        found = [session.run([ends.result], {ends.source: ends.given(one)})[0] for one in windows]
        return np.stack(found).reshape(len(windows), labels)

    return Original(model, ends, score, "ONNX Runtime, window by window")


def _open_tflite(told: Declaration, labels: int) -> Original:
    model = read_tflite(told.model)
    from ai_edge_litert.interpreter import Interpreter  # which is there, as it has been read

    ends = find_ends(model, told, labels)
    try:
        interpreter = Interpreter(str(told.model), num_threads=1)
        interpreter.allocate_tensors()
    except Exception as error:  # of a damaged file ValueError and RuntimeError, of a strange one others
        raise AsitEdgeError(f"{told.model}: TFLite cannot run it ({one_line(error)[:300]})") from None
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def score(windows: Windows) -> npt.NDArray[np.float32]:
        scores = []
        for one in windows:
            interpreter.set_tensor(source, ends.given(one))
            interpreter.invoke()
            scores.append(interpreter.get_tensor(result).reshape(-1).copy())
        return np.stack(scores)

    return Original(model, ends, score, "TFLite")


def _open_efficientat(told: Declaration, labels: int) -> Original:
    import torch

    if not isinstance(told.input, WaveformInput) or told.input.sample_rate != RATE:
        raise WrongUse(
            f"input: EfficientAT's networks take a waveform at {RATE} Hz, from which they make their own log-mel"
        )
    teacher = EfficientAt(told.model)
    network = torch.nn.Sequential(teacher.features, teacher.model)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_waveforms(network, told.input.samples, file)
        model = onnx.load(str(file))

    @torch.inference_mode()
    def score(windows: Windows) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = network(torch.from_numpy(windows)).numpy()
        return scores

    return Original(model, find_ends(model, told, labels), score, "PyTorch")


def _session(model: onnx.ModelProto, file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said in the error
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
        raise AsitEdgeError(f"{file}: ONNX Runtime cannot load it ({one_line(error)[:300]})") from None
