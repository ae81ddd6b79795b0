"""Do torch and ONNX Runtime compute the same? On made windows and streams, and on real audio as a device follows it."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle
from export.audio import Audio, samples_for
from export.precisions.gate import decisions_on
from trainer.evaluation.scoring import open_model
from trainer.models.device import StreamStep

TOLERANCE = 1e-4
"""Largest difference between a probability from torch and the same one from ONNX Runtime."""

MOST = 32
"""Recordings that are compared: torch steps through a stream slowly."""


def windows_parity(model: nn.Module, file: Path, windows: np.ndarray) -> float:
    """The largest difference of scores between torch and ONNX Runtime on windows (n, frames, mels).

    Raises AsitEdgeError if it is above TOLERANCE, alone or in batches.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(windows)).numpy()
    together = session.run(None, {"log_mel": windows})[0]
    alone = np.concatenate([session.run(None, {"log_mel": window[None]})[0] for window in windows])
    return _checked(file, max(np.abs(together - expected).max(), np.abs(alone - expected).max()))


def stream_parity(device: StreamStep, file: Path, log_mel: np.ndarray) -> float:
    """The largest difference of scores between torch over whole streams (n, frames, mels) and ONNX step by step.

    The streams begin after silence. Raises AsitEdgeError if it is above TOLERANCE, alone or in batches.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    frames = device.model.config.frames
    silence = device.model.silent_memory()
    with torch.inference_mode():
        memory = [cache.expand(len(log_mel), *cache.shape[1:]) for cache in silence]
        expected = device(torch.from_numpy(log_mel), *memory)[0].numpy()

    def by_steps(streams: np.ndarray) -> np.ndarray:
        caches = {
            name: np.repeat(cache.numpy(), len(streams), axis=0)
            for name, cache in zip(device.cache_names, silence, strict=True)
        }
        scores = []
        for start in range(0, streams.shape[1], frames):
            step, _, *following = session.run(None, {"log_mel": streams[:, start : start + frames], **caches})
            caches = dict(zip(device.cache_names, following, strict=True))
            scores.append(step)
        return np.concatenate(scores, axis=1)

    alone = np.concatenate([by_steps(stream[None]) for stream in log_mel])
    return _checked(file, max(np.abs(by_steps(log_mel) - expected).max(), np.abs(alone - expected).max()))


def _checked(file: Path, difference: float) -> float:
    if not difference <= TOLERANCE:
        raise AsitEdgeError(
            f"{file}: the ONNX model does not compute what the checkpoint does (scores differ by {difference:.2g}, "
            f"allowed are {TOLERANCE:g}); no bundle was written"
        )
    return float(difference)


def real_audio_parity(checkpoint: Path, bundle: Bundle, audio: Audio, tolerance: float = TOLERANCE) -> float:
    """The largest difference of a probability between a checkpoint and its bundle.

    Raises AsitEdgeError if it is above `tolerance`.
    """
    model = open_model(checkpoint)
    columns = [[label.name for label in model.labels].index(label.name) for label in bundle.manifest.labels]
    judging = audio.judging[:: max(len(audio.judging) // MOST, 1)]
    recordings = [samples_for(recording, model.spec) for recording in judging]
    expected = decisions_on(model.classifier, model.spec, recordings).all[:, columns]
    difference = float(np.abs(decisions_on(open_classifier(bundle), model.spec, recordings).all - expected).max())
    if not difference <= tolerance:
        raise AsitEdgeError(
            f"{checkpoint}: on real audio the ONNX model does not compute what the checkpoint does (scores differ by "
            f"{difference:.2g}, allowed are {tolerance:g}); no bundle was written"
        )
    return difference
