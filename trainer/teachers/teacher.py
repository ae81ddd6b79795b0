"""Teachers: whatever scores windows of sound, by file, and their probabilities over recordings, computed once.

Known are stored probabilities (.npz), YAMNet's TFLite file, EfficientAT state dicts of the MobileNetV3 family, our own
checkpoints (fine-tuned and distilled), model bundles, and any ONNX model with a YAML file of the same name beside it:
`front_end` (keys of `FrontEnd`), `frames` (of its window), `labels` (AudioSet names where they are AudioSet's) and
`output`, probabilities or logits.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soxr
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.model.backends.session import open_session
from asit_edge.model.classifier import Classifier
from asit_edge.model.front_ends import AnyFrontEnd
from asit_edge.model.frontend import FrontEnd, log_mel
from asit_edge.validation import explain
from trainer.data.decode import FULL_SCALE, Waveforms
from trainer.data.recording import Recording
from trainer.evaluation.decisions import decision_scores
from trainer.evaluation.scoring import open_model
from trainer.finetuning.checkpoint import FINETUNED
from trainer.run.cache import computed_once
from trainer.run.checkpoint import FORMAT, read_file
from trainer.students.student import STUDENT
from trainer.teachers.efficientat import EfficientAt
from trainer.teachers.stored_scores import TeacherScores, read_teacher_scores, write_teacher_scores
from trainer.teachers.yamnet import YamNet

SECONDS, HOP_SECONDS = 2.0, 0.5
"""Window and hop at which models that follow streams are asked."""


class Teacher(Protocol):
    """Scores windows of sound. `rate` in Hz, `window` and `hop` in samples; `labels` name its outputs."""

    labels: list[str]

    @property
    def rate(self) -> int: ...

    @property
    def window(self) -> int: ...

    @property
    def hop(self) -> int: ...

    def score(self, waveforms: Samples) -> Samples:
        """(windows, samples) in -1 to 1 to probabilities (windows, labels)."""
        ...


class StreamTeacher:
    """Any `Classifier` of ours as a teacher: a window's score is the highest in a stream that hears just that."""

    def __init__(self, classifier: Classifier, front_end: AnyFrontEnd, labels: list[str]) -> None:
        self.labels, self._classifier, self._front_end = labels, classifier, front_end
        self.rate = front_end.sample_rate
        self.window, self.hop = round(SECONDS * self.rate), round(HOP_SECONDS * self.rate)

    def score(self, waveforms: Samples) -> Samples:
        each = (decision_scores(self._classifier, self._front_end, waveform) for waveform in waveforms)
        return np.stack([scores.max(axis=0) for scores in each])


class Declaration(BaseModel):
    """What stands in the YAML file beside a foreign ONNX model."""

    model_config = ConfigDict(extra="forbid")

    front_end: FrontEnd
    frames: int = Field(gt=0)
    labels: list[str] = Field(min_length=1)
    output: Literal["probabilities", "logits"] = "probabilities"


class OnnxTeacher:
    """A foreign ONNX model: one input (batch, frames, mels), one output (batch, classes)."""

    def __init__(self, file: Path) -> None:
        declared = file.with_suffix(".yaml")
        if not declared.is_file():
            raise WrongUse(f"{file}: needs {declared.name} beside it, with front_end, frames and labels")
        try:
            spec = Declaration.model_validate(yaml.safe_load(declared.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise WrongUse(f"{declared}: {explain(error, Declaration)}") from None
        except (OSError, yaml.YAMLError) as error:
            raise WrongUse(f"{declared}: not readable as YAML ({one_line(error)})") from None
        self._spec, self._session, self._file = spec, open_session(file), file
        self.labels, self.rate = spec.labels, spec.front_end.sample_rate
        self.window = spec.front_end.samples_for(spec.frames)
        self.hop = round(HOP_SECONDS * self.rate)

    def score(self, waveforms: Samples) -> Samples:
        frames = np.stack([log_mel(self._spec.front_end, waveform) for waveform in waveforms])
        try:
            scores = self._session.run(None, {self._session.get_inputs()[0].name: frames})[0]
        except Exception as error:  # ONNX Runtime raises a dozen types without a common base of its own
            raise AsitEdgeError(f"{self._file}: does not take (batch, frames, mels) ({one_line(error)})") from None
        if scores.shape != (len(waveforms), len(self.labels)):
            raise AsitEdgeError(
                f"{self._file}: gives {scores.shape[1:]} scores a window, {len(self.labels)} labels declared"
            )
        probabilities: Samples = 1 / (1 + np.exp(-scores)) if self._spec.output == "logits" else scores
        return probabilities


def open_teacher(source: Path) -> Teacher:
    """By what the file or directory, which must be there, is. Raises WrongUse or AsitEdgeError."""
    if source.suffix == ".tflite":
        return YamNet(source)
    if source.suffix == ".onnx":
        return OnnxTeacher(source)
    if not source.is_dir():
        content = read_file(source)
        if content.get("format") != FORMAT:
            return EfficientAt(source)
        if content.get("kind") not in (STUDENT, FINETUNED):
            raise WrongUse(f"{source}: is a {content.get('kind')!r} checkpoint, which gives no scores")
    model = open_model(source)
    return StreamTeacher(model.classifier, model.spec, [label.name for label in model.labels])


def teacher_scores(
    source: Path, recordings: Sequence[Recording], waveforms: Waveforms, rate: int, cache: Path
) -> TeacherScores:
    """A teacher's probabilities over recordings, from the folder `cache` where they were computed before.

    The key is the teacher's file (its content) and the list of recordings. `rate` is that of the waveforms.
    """
    if source.suffix == ".npz":
        return read_teacher_scores(source)
    if not source.exists():
        raise WrongUse(f"{source}: no such teacher")
    names = [recording.name for recording in recordings]
    file = cache / f"{source.stem}-{_fingerprint(source, names)}.npz"

    def ask() -> None:
        teacher = open_teacher(source)
        windows = [
            score_recording(teacher, waveforms[index] / np.float32(FULL_SCALE), rate) for index in range(len(names))
        ]
        write_teacher_scores(
            file, names, windows, teacher.labels, teacher.window / teacher.rate, teacher.hop / teacher.rate
        )

    computed_once(file, ask)
    return read_teacher_scores(file, source.name)


def score_recording(teacher: Teacher, samples: Samples, rate: int) -> Samples:
    """Windows (n, labels) of a whole recording; the last one is made up with silence."""
    heard = soxr.resample(samples, rate, teacher.rate) if rate != teacher.rate else samples
    count = 1 + max(-(-(len(heard) - teacher.window) // teacher.hop), 0)
    padded = np.zeros(teacher.window + (count - 1) * teacher.hop, np.float32)
    padded[: len(heard)] = heard[: len(padded)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, teacher.window)[:: teacher.hop]
    parts = [teacher.score(np.ascontiguousarray(windows[start : start + 32])) for start in range(0, count, 32)]
    return np.concatenate(parts)


def _fingerprint(source: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(names).encode())
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
