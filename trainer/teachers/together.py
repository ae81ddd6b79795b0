"""Teachers that hear a scene together: what each says of short windows, laid down in time, and their geometric mean.

EfficientAT's networks and YAMNet err on different sounds (docs/results.md). Of their geometric mean, one that is sure
that a sound is not there outvotes one that half believes in it; students of the arithmetic one told sounds apart worse.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.models.streaming_vit import STEP
from trainer.teachers.assignment import LEAST, Assigned, says
from trainer.teachers.efficientat import RATE
from trainer.teachers.frame_targets import steps_from_windows
from trainer.teachers.live import LiveTeacher
from trainer.teachers.stored_scores import Probabilities
from trainer.teachers.yamnet import YamNet

STEP_SECONDS = STEP / 100


class SceneTeacher:
    """An EfficientAT state dict or YAMNet's TFLite file, which scores scenes at 16 kHz step by step."""

    def __init__(self, file: Path, sample_rate: int) -> None:
        """Raises WrongUse for a rate that the teachers do not hear, or AsitEdgeError for another kind of file."""
        if sample_rate * 2 != RATE:
            raise WrongUse(f"teachers hear scenes at 16 kHz, not {sample_rate} Hz")
        if not file.is_file():
            raise WrongUse(f"{file}: no such teacher")
        self._yamnet = YamNet(file) if file.suffix == ".tflite" else None
        self._network = LiveTeacher(file, None, sample_rate) if self._yamnet is None else None
        self.labels: list[str] = (self._yamnet or self._network).labels  # type: ignore[union-attr]

    @torch.inference_mode()
    def __call__(self, scene: Samples) -> Probabilities:
        """Samples (n,) to probabilities (steps, labels)."""
        steps = round(len(scene) / (STEP_SECONDS * RATE / 2))
        if self._yamnet is not None:
            window, hop = self._yamnet.window, self._yamnet.hop
            scores = self._yamnet.score(_windows(scene, window, hop))
            return steps_from_windows(scores, window / self._yamnet.rate, hop / self._yamnet.rate, steps)
        assert self._network is not None
        return self._network(torch.from_numpy(scene)[None])[0].numpy()


class SceneTeachers:
    """Several teachers as one, over the labels of a student."""

    def __init__(
        self, files: Sequence[Path], labels: Sequence[str], sample_rate: int, assigned: Assigned | None = None
    ) -> None:
        """Raises AsitEdgeError where a label is known to none of them, WrongUse where one is assigned to a teacher that
        does not know it; see `SceneTeacher` too."""
        self._teachers = [SceneTeacher(file, sample_rate) for file in files]
        self._columns = [
            np.array([teacher.labels.index(name) if name in teacher.labels else -1 for name in labels])
            for teacher in self._teachers
        ]
        known = [teacher.labels for teacher in self._teachers]
        self._says = says([file.name for file in files], known, labels, assigned or {})
        if not self._says.any(axis=0).all():
            raise AsitEdgeError(f"no teacher knows {labels[int(np.flatnonzero(~self._says.any(axis=0))[0])]!r}")

    def __call__(self, scene: Samples) -> Probabilities:
        """Samples (n,) to probabilities (steps, labels): of a label the geometric mean of who has a say in it."""
        said = np.zeros(1)
        for teacher, columns, says_it in zip(self._teachers, self._columns, self._says, strict=True):
            scores = np.log(np.maximum(teacher(scene)[:, columns], LEAST))
            said = said + np.where(says_it > 0, scores, 0.0)
        together: Probabilities = np.exp(said / self._says.sum(axis=0)).astype(np.float32)
        return np.where(together <= LEAST * 1.01, np.float32(0), together)


def _windows(scene: Samples, window: int, hop: int) -> Samples:
    """(windows, samples), every `hop` from the beginning; the last one is made up with silence."""
    count = 1 + max(-(-(len(scene) - window) // hop), 0)
    padded = np.zeros(window + (count - 1) * hop, np.float32)
    padded[: len(scene)] = scene
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop].copy()
