"""From log-mel windows to scores: the `Classifier` protocol and its ONNX Runtime backend."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from asit_edge.bundle import Bundle
from asit_edge.errors import AsitEdgeError, one_line

Scores = npt.NDArray[np.float32]
"""Probabilities, shape (batch, classes), each class for itself."""


class Classifier(Protocol):
    """A window model: scores every window on its own, many sources in one batch."""

    def score(self, windows: npt.NDArray[np.float32]) -> Scores:
        """Log-mel windows (batch, frames, mels) to probabilities (batch, classes)."""
        ...


class OnnxClassifier:
    """ONNX Runtime on the CPU. One thread by default: a small model gains little from more."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Raises AsitEdgeError if the model cannot be loaded or is not the one that the manifest describes."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle.model_file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
            raise AsitEdgeError(f"{bundle.model_file}: ONNX Runtime cannot load it ({one_line(error)})") from None
        self._input = self._session.get_inputs()[0].name
        self._file = bundle.model_file
        spec = bundle.manifest
        self._check(bundle, np.full((1, spec.model.frames, spec.front_end.mels), spec.front_end.silence, np.float32))

    def score(self, windows: npt.NDArray[np.float32]) -> Scores:
        scores: Scores = self._session.run(None, {self._input: windows})[0]
        return scores

    def _check(self, bundle: Bundle, silence: npt.NDArray[np.float32]) -> None:
        try:
            scores = self.score(silence)
        except Exception as error:
            raise AsitEdgeError(
                f"{self._file}: does not take windows of shape {silence.shape[1:]}, as bundle.yaml says "
                f"({one_line(error)})"
            ) from None
        expected = (1, len(bundle.manifest.labels))
        if scores.shape != expected:
            raise AsitEdgeError(
                f"{self._file}: gives scores of shape {scores.shape}, but bundle.yaml lists {expected[1]} labels; "
                "the manifest and the model do not belong together"
            )
        if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
            raise AsitEdgeError(
                f"{self._file}: scores of silence are not probabilities ({scores.min()} to {scores.max()})"
            )
