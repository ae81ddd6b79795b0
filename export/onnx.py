"""From a checkpoint to ONNX (opset 18, which TensorRT 10.3 on JetPack 6 reads), with proof that both agree."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from asit_edge.errors import AsitEdgeError
from trainer.classifier import ClipClassifier, Scores
from trainer.finetune_config import FinetuneConfig
from trainer.scoring import decision_steps

OPSET = 18
TOLERANCE = 1e-4
"""Largest difference between a probability from torch and the same one from ONNX Runtime."""


def export_onnx(model: ClipClassifier, config: FinetuneConfig, file: Path) -> None:
    """Writes the model with its sigmoid: `log_mel` (batch, frames, mels) to `scores` (batch, classes)."""
    example = torch.zeros(2, config.frames, config.spec.mels)
    batch = torch.export.Dim("batch", min=1, max=1024)
    # The exporter chats on stdout and warns about its own internals; neither helps whoever exports a model.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Scores(model, decision_steps(config)).eval(),
            (example,),
            file,
            input_names=["log_mel"],
            output_names=["scores"],
            dynamic_shapes={"log_mel": {0: batch}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def parity(model: ClipClassifier, file: Path, windows: np.ndarray, steps: int = 1) -> float:
    """The largest difference of scores between torch and ONNX Runtime on windows (n, frames, mels).

    Raises AsitEdgeError if it is above TOLERANCE, alone or in batches.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = Scores(model, steps).eval()(torch.from_numpy(windows)).numpy()
    together = session.run(None, {"log_mel": windows})[0]
    alone = np.concatenate([session.run(None, {"log_mel": window[None]})[0] for window in windows])
    difference = float(max(np.abs(together - expected).max(), np.abs(alone - expected).max()))
    if not difference <= TOLERANCE:
        raise AsitEdgeError(
            f"{file}: the ONNX model does not compute what the checkpoint does (scores differ by {difference:.2g}, "
            f"allowed are {TOLERANCE:g}); no bundle was written"
        )
    return difference
