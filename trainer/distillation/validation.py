"""What a student makes of recordings that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asit_edge.detect.chunker import Decision
from asit_edge.model.frontend import FrontEnd
from trainer.data.clips.targets import heard_lately
from trainer.data.dataset import is_held_out
from trainer.data.decode import FULL_SCALE, Waveforms
from trainer.data.features import BatchedLogMel
from trainer.data.recording import Recording
from trainer.distillation.pool import ScenePool
from trainer.evaluation.decisions import decision_scores, decisions
from trainer.evaluation.metrics import average_precision
from trainer.models.device import device_classifier, stream_of
from trainer.models.streaming import is_streaming
from trainer.models.streaming_vit import STEP
from trainer.students.config import DistillConfig


def validation_scores(
    student: nn.Module, waveforms: Waveforms, indices: Sequence[int], spec: FrontEnd
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
    network: nn.Module, pool: ScenePool, spec: FrontEnd, held: int, most: int = 256
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scores and targets of a pool's first scenes, (scenes, steps, labels) each: the network's labels, the pool's.

    A stream hears a scene at once, any other network as on a device. A sound counts as there in the `held` - 1 steps
    after it, too.
    """
    stream = stream_of(network)
    classifier = None if stream is not None else device_classifier(network, spec)
    features = BatchedLogMel(spec)
    silence = stream.silent_memory() if stream is not None else None
    scores, targets = [], []
    for number in range(min(len(pool), most)):
        waveform, target = pool.scene(number)
        if classifier is not None:
            scores.append(by_steps(decisions(classifier, spec, waveform), len(target), STEP * spec.hop))
        elif stream is not None:
            heard = torch.from_numpy(np.pad(waveform, (0, spec.window - spec.hop)))[None]
            with torch.inference_mode():
                logits, _ = stream(features(heard), silence)
                scores.append(logits.frames[0].sigmoid().numpy())
        targets.append(heard_lately(target, held))
    return np.stack(scores), np.stack(targets)


def by_steps(made: Sequence[Decision], steps: int, length: int) -> npt.NDArray[np.float32]:
    """Scores (steps, labels) of time steps of `length` samples: of the decision that a step's middle belongs to."""
    middles = (np.arange(steps) + 0.5) * length
    places = np.searchsorted([one.start for one in made], middles, side="right") - 1
    return np.stack([one.scores for one in made])[places]


def pool_precision(student: nn.Module, pool: ScenePool, config: DistillConfig) -> dict[str, float]:
    """Mean average precision over labels: of the steps of a pool's scenes, and of scenes (their highest step)."""
    scores, targets = pool_scores(student, pool, config.spec, config.held)

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
