"""What a student makes of recordings that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asit_edge.model.frontend import FrontEnd
from trainer.data.dataset import is_held_out
from trainer.data.decode import FULL_SCALE, WaveformCache
from trainer.data.features import BatchedLogMel
from trainer.data.recording import Recording
from trainer.distillation.pool import ScenePool
from trainer.evaluation.decisions import decision_scores
from trainer.evaluation.metrics import average_precision
from trainer.models.device import device_classifier
from trainer.models.streaming import is_streaming
from trainer.students.config import DistillConfig
from trainer.teachers.frame_targets import heard_lately


def validation_scores(
    student: nn.Module, waveforms: WaveformCache, indices: Sequence[int], spec: FrontEnd
) -> list[npt.NDArray[np.float32]]:
    """Scores of recordings (their first 10 s), each (decisions, labels): those of a device, a stream's all at once."""
    features = BatchedLogMel(spec)
    classifier = None if is_streaming(student) else device_classifier(student, spec)
    silence = student.silent_memory() if is_streaming(student) else []
    scores = []
    for index in indices:
        samples = waveforms[index][: 10 * spec.sample_rate] / np.float32(FULL_SCALE)
        if classifier is not None:
            scores.append(decision_scores(classifier, spec, samples))
            continue
        assert is_streaming(student)
        frames = student.config.frames
        chunks = max(-(-len(samples) // (frames * spec.hop)), 1)
        padded = np.zeros(spec.samples_for(chunks * frames), np.float32)
        padded[: len(samples)] = samples
        with torch.inference_mode():
            logits, _ = student(features(torch.from_numpy(padded)[None]), silence)
            scores.append(logits.frames[0].sigmoid().numpy())
    return scores


SOUNDING = 0.5
"""Targets of a pool from which on a sound counts as there; what is between a tenth of that and it nobody asks."""


def pool_scores(
    student: nn.Module, pool: ScenePool, config: DistillConfig, most: int = 256
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scores and targets (scenes, steps, labels), as the student has learnt them, of a pool's first scenes."""
    assert is_streaming(student)
    spec = config.spec
    features, silence = BatchedLogMel(spec), student.silent_memory()
    scores, targets = [], []
    for number in range(min(len(pool), most)):
        waveform, target = pool.scene(number)
        heard = torch.from_numpy(np.pad(waveform, (0, spec.window - spec.hop)))[None]
        with torch.inference_mode():
            logits, _ = student(features(heard), silence)
            scores.append(logits.frames[0].sigmoid().numpy())
        targets.append(heard_lately(target, config.held))
    return np.stack(scores), np.stack(targets)


def pool_precision(student: nn.Module, pool: ScenePool, config: DistillConfig) -> dict[str, float]:
    """Mean average precision over labels: of the steps of a pool's scenes, and of scenes (their highest step)."""
    scores, targets = pool_scores(student, pool, config)

    def mean(score: npt.NDArray[np.float32], target: npt.NDArray[np.float32]) -> float:
        asked = (target >= SOUNDING) | (target < SOUNDING / 5)
        found = [
            average_precision(score[asked[:, label], label], target[asked[:, label], label] >= SOUNDING)
            for label in range(target.shape[1])
            if (target[:, label] >= SOUNDING).any()
        ]
        return round(float(np.mean(found)), 4)

    flat = (-1, scores.shape[2])
    return {"steps": mean(scores.reshape(flat), targets.reshape(flat)), "scenes": mean(scores.max(1), targets.max(1))}


def mean_rank(
    scores: npt.NDArray[np.float32], recordings: Sequence[Recording], labels: Sequence[str]
) -> dict[str, float]:
    """How often the label that a person gave is the best-scored, or among the best five, each label counting alike."""
    hits: dict[str, list[tuple[bool, bool]]] = {}
    for row, recording in zip(scores, recordings, strict=True):
        if recording.label in labels:
            rank = int((row > row[labels.index(recording.label)]).sum())
            hits.setdefault(recording.label, []).append((rank < 1, rank < 5))
    per_label = np.array([np.mean(values, axis=0) for values in hits.values()])
    return {"top1": float(per_label[:, 0].mean()), "top5": float(per_label[:, 1].mean()), "labels": len(hits)}


def held_out(recording: Recording, config: DistillConfig) -> bool:
    """Whether a recording is for validation; collections with folds have a test fold instead."""
    return recording.fold is None and is_held_out(recording, config.validation)
