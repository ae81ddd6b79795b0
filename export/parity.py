"""torch against ONNX Runtime on real audio, stream by stream, through the device's own pipeline."""

from pathlib import Path

import numpy as np

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle
from export.audio import Audio, samples_for
from export.gate import hear
from export.onnx import TOLERANCE
from trainer.evaluation.scoring import open_model

MOST = 32
"""Recordings that are compared: torch steps through a stream slowly."""


def real_audio_parity(checkpoint: Path, bundle: Bundle, audio: Audio, tolerance: float = TOLERANCE) -> float:
    """The largest difference of a probability between a checkpoint and its bundle.

    Raises AsitEdgeError if it is above `tolerance`.
    """
    model = open_model(checkpoint)
    columns = [[label.name for label in model.labels].index(label.name) for label in bundle.manifest.labels]
    judging = audio.judging[:: max(len(audio.judging) // MOST, 1)]
    recordings = [samples_for(recording, model.spec) for recording in judging]
    expected = hear(model.classifier, model.spec, recordings).all[:, columns]
    difference = float(np.abs(hear(open_classifier(bundle), model.spec, recordings).all - expected).max())
    if not difference <= tolerance:
        raise AsitEdgeError(
            f"{checkpoint}: on real audio the ONNX model does not compute what the checkpoint does (scores differ by "
            f"{difference:.2g}, allowed are {tolerance:g}); no bundle was written"
        )
    return difference
