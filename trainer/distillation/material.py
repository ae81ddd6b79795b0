"""What a student is distilled from: recordings of one split, their targets in time, how often each is drawn; rooms."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from trainer.data.audioset import audioset_ids
from trainer.data.decode import Pcm, Waveforms, load_waveforms, to_samples
from trainer.data.left_out import collection_of, original, split_left_out
from trainer.data.mixing import block_powers, from_direct_sound
from trainer.data.recording import Recording, Role
from trainer.data.scenes import SceneSampler, StoredTargets, Targets
from trainer.distillation.validation import held_out
from trainer.models.streaming_vit import STEP
from trainer.students.config import DistillConfig
from trainer.teachers.assignment import says
from trainer.teachers.frame_targets import CERTAIN, IMPLIED, audible_steps, steps_from_windows, with_events, with_label
from trainer.teachers.stored_scores import TeacherScores
from trainer.teachers.teacher import teacher_scores

MUCH = 120.0
"""Seconds of a label in a folder beyond which it is drawn no more often."""
UNLABELLED = 1600.0
SHORT, LONG = 5.0, 10.0
"""Seconds of a recording that count, at least and at most: a bang weighs half as much as ten seconds of rain."""
UNFOCUSED = 0.25


class Material(Protocol):
    """Recordings of one split with their targets in time; recording n has time steps starts[n] to starts[n + 1]."""

    @property
    def recordings(self) -> Sequence[Recording]: ...

    @property
    def starts(self) -> npt.NDArray[np.int64]: ...

    @property
    def labels(self) -> int: ...

    def of(self, number: int, pcm: Pcm) -> Targets: ...


@dataclass(frozen=True)
class BuiltMaterial(StoredTargets):
    """Of recordings that are few enough for all of their targets to be in memory."""

    recordings: Sequence[Recording]


class AskedMaterial:
    """Of recordings whose targets are made when they are asked for: those of AudioSet-2M would take 270 GB."""

    def __init__(
        self, recordings: Sequence[Recording], lengths: npt.NDArray[np.int64], targets_of: "TargetsOf"
    ) -> None:
        """`lengths` are the recordings', in samples."""
        self.recordings, self._targets_of = recordings, targets_of
        self.starts = np.concatenate(([0], np.cumsum(targets_of.steps(lengths))))

    @property
    def labels(self) -> int:
        return len(self._targets_of.labels)

    def of(self, number: int, pcm: Pcm) -> Targets:
        return self._targets_of(self.recordings[number], pcm)


class TargetsOf:
    """Targets in time: the mean of the teachers that know a recording and have a say in a label; its own label on top.

    Where a live teacher will hear the scenes, only what is certain: the label, where the stored teachers hear it.
    """

    def __init__(self, teachers: Sequence[TeacherScores], labels: Sequence[str], config: DistillConfig) -> None:
        """Raises WrongUse where a label is assigned to a teacher that is not there."""
        self.labels, self._teachers, self._config = list(labels), teachers, config
        self._rows = [{name: row for row, name in enumerate(teacher.names)} for teacher in teachers]
        known = [teacher.labels for teacher in teachers]
        assigned = {} if config.live else config.assigned
        self._says = says([teacher.source for teacher in teachers], known, labels, assigned)
        self._step = STEP * config.spec.hop

    def steps(self, samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Time steps of so many samples."""
        counted: npt.NDArray[np.int64] = np.maximum(-(-samples // self._step), 1)
        return counted

    def __call__(self, recording: Recording, pcm: Pcm) -> Targets:
        """(time steps, labels)."""
        steps = int(self.steps(np.array(len(pcm))))
        padded = np.zeros(steps * self._step, np.float32)
        padded[: len(pcm)] = to_samples(pcm)
        targets = self._said(recording, steps)
        if recording.events is not None:
            targets = with_events(targets, recording.events, self.labels, self._step / self._config.spec.sample_rate)
        else:
            audible = audible_steps(np.sqrt(block_powers(padded, steps)))
            for label in recording.labels:
                targets = with_label(targets, label, self.labels, audible)
        return np.where(targets > CERTAIN - 1e-3, targets, np.float32(0)) if self._config.live else targets

    def _said(self, recording: Recording, steps: int) -> Targets:
        """What the teachers say; of a label that is assigned to one that did not hear the recording, the others."""
        knowing = [place for place, rows in enumerate(self._rows) if recording.name in rows]
        if not knowing:
            return np.zeros((steps, len(self.labels)), np.float32)
        said = [
            steps_from_windows(
                self._teachers[place].windows(self._rows[place][recording.name], self.labels),
                self._teachers[place].window,
                self._teachers[place].hop,
                steps,
            )
            for place in knowing
        ]
        shares = self._says[knowing]
        shares = np.where(shares.any(axis=0), shares, 1)
        together: Targets = np.einsum("tk,tsk->sk", shares / shares.sum(axis=0), np.stack(said)).astype(np.float32)
        return together


def room_responses(recordings: Sequence[Recording], waveforms: Waveforms, rate: int) -> list[Samples]:
    """The recordings that are room responses, from their direct sound on, at most 0.8 s."""
    return [
        from_direct_sound(to_samples(waveforms[index]))[: int(0.8 * rate)]
        for index, recording in enumerate(recordings)
        if recording.role is Role.ROOM_RESPONSE
    ]


def choose_labels(recordings: Sequence[Recording], teachers: Sequence[TeacherScores], least: int = 5) -> list[str]:
    """AudioSet labels, in AudioSet's order, that a person or a teacher (0.3 or more) finds in that many groups."""
    groups: dict[str, set[str]] = {}
    for recording in recordings:
        for label in recording.labels:
            groups.setdefault(label, set()).add(recording.origin)
    for teacher in teachers:
        rows = {name: row for row, name in enumerate(teacher.names)}
        for recording in recordings:
            row = rows.get(recording.name)
            if row is None:
                continue
            span = slice(teacher.start[row], teacher.start[row + 1])
            for index in np.unique(teacher.index[span][teacher.prob[span] >= 0.3]):
                groups.setdefault(teacher.labels[index], set()).add(recording.origin)
    return [name for name in audioset_ids() if len(groups.get(name, ())) >= least]


def build_targets(
    recordings: Sequence[Recording],
    indices: Sequence[int],
    waveforms: Waveforms,
    teachers: Sequence[TeacherScores],
    labels: Sequence[str],
    config: DistillConfig,
) -> Material:
    """The material of recordings that are `indices` of the waveforms: made now, or, of shards, when it is asked for."""
    targets_of = TargetsOf(teachers, labels, config)
    lengths = waveforms.lengths[np.array(indices, np.int64)]
    if any(one.inside is not None for one in recordings):
        return AskedMaterial(recordings, lengths, targets_of)
    made = [targets_of(one, waveforms[index]) for one, index in zip(recordings, indices, strict=True)]
    starts = np.concatenate(([0], np.cumsum(targets_of.steps(lengths))))
    return BuiltMaterial(np.concatenate(made), starts, recordings)


def sampling_weights(material: Material, focus: Sequence[str] = ()) -> npt.NDArray[np.float64]:
    """Of each recording: what one folder has of a label is drawn by the root of how long it lasts altogether, a
    recording of that by the root of how long it lasts itself. Labels outside `focus`, where one is given, are drawn a
    quarter as often.

    What nobody labelled is drawn as often as `UNLABELLED` s of one label.
    """
    seconds = np.clip(np.diff(material.starts) * 0.16, SHORT, LONG)
    kinds = [(one.label, one.name.rpartition("/")[0] if one.label else "") for one in material.recordings]
    total: defaultdict[tuple[str, str], float] = defaultdict(float)
    share: defaultdict[tuple[str, str], float] = defaultdict(float)
    for kind, long in zip(kinds, seconds, strict=True):
        total[kind] += float(long)
        share[kind] += float(long) ** 0.5

    def drawn(label: str, seconds: float) -> float:
        if not label:
            return UNLABELLED**0.5
        often = min(seconds, MUCH) ** 0.5
        said = {label, *IMPLIED.get(label, ())}
        return often if not focus or said & set(focus) else often * UNFOCUSED

    by_kind = {kind: drawn(kind[0], total[kind]) / share[kind] for kind in total}
    return np.array([by_kind[kind] * long**0.5 for kind, long in zip(kinds, seconds, strict=True)])


@dataclass(frozen=True)
class Heard:
    """Recordings that may be learnt from, their waveforms, what teachers said of them, and which of them are sounds to
    learn from and to choose by (numbers of recordings)."""

    recordings: list[Recording]
    waveforms: Waveforms
    teachers: list[TeacherScores]
    training: list[int]
    validation: list[int]

    def of(self, chosen: Sequence[int]) -> list[Recording]:
        return [self.recordings[index] for index in chosen]

    def sampler(self, material: Material, chosen: Sequence[int], config: DistillConfig) -> SceneSampler:
        """What draws scenes of a material, that of the `chosen` recordings."""
        rate = config.spec.sample_rate
        return SceneSampler(
            self.waveforms,
            chosen,
            sampling_weights(material, config.focus),
            material,
            rate,
            STEP * config.spec.hop,
            config.scenes,
            room_responses(self.recordings, self.waveforms, rate),
        )


def heard(recordings: Sequence[Recording], sources: Sequence[Path], config: DistillConfig, cache: Path) -> Heard:
    """Recordings without those that nothing learns from (`trainer/left_out.txt`, the test fold); their waveforms and
    the scores of the teachers in `sources` are kept in the folder `cache`."""
    rate = config.spec.sample_rate
    kept, _ = split_left_out(recordings, config.test_fold)
    waveforms = load_waveforms(kept, rate, cache / "waveforms")
    teachers = [teacher_scores(source, kept, waveforms, rate, cache / "teachers") for source in sources]
    sounds = [index for index, recording in enumerate(kept) if recording.role is Role.SOUND]
    held = [index for index in sounds if held_out(kept[index], config)]
    training = sorted(set(sounds) - set(held))
    if config.chosen_by:
        held = [index for index in sounds if collection_of(kept[index]) in config.chosen_by]
        # Their recordings may lie in other collections, too.
        known = {original(kept[index]) for index in held}
        training = [index for index in training if original(kept[index]) not in known]
    return Heard(kept, waveforms, teachers, training, held)


def scene_material(
    recordings: Sequence[Recording],
    sources: Sequence[Path],
    config: DistillConfig,
    cache: Path,
    validation: bool = False,
    least: int = 5,
) -> tuple[SceneSampler, list[str], dict[str, int]]:
    """What draws scenes of the recordings that are for learning (with `validation`, of those kept back to choose by),
    the labels of its targets, and how many recordings of each collection there are.

    Labels are those of the training part, and those of `config.focus`; `cache` as in `heard`.
    """
    known = heard(recordings, sources, config, cache)
    chosen = known.validation if validation else known.training
    found = set(choose_labels(known.of(known.training), known.teachers, least)) | set(config.focus)
    labels = [name for name in audioset_ids() if name in found]
    material = build_targets(known.of(chosen), chosen, known.waveforms, known.teachers, labels, config)
    counts = Counter(collection_of(recording) for recording in known.of(chosen))
    return known.sampler(material, chosen, config), labels, dict(sorted(counts.items()))
