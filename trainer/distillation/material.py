"""What a student is distilled from: recordings of one split, their targets in time, how often each is drawn; rooms."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.audio.samples import Samples
from trainer.data.audioset import audioset_ids
from trainer.data.decode import WaveformCache, load_waveforms, to_samples
from trainer.data.left_out import collection_of, split_left_out
from trainer.data.mixing import block_powers, from_direct_sound
from trainer.data.recording import Recording, Role
from trainer.data.scenes import SceneSampler
from trainer.distillation.validation import held_out
from trainer.models.streaming_vit import STEP
from trainer.students.config import DistillConfig
from trainer.teachers.frame_targets import CERTAIN, IMPLIED, audible_steps, steps_from_windows, with_events, with_label
from trainer.teachers.stored_scores import TeacherScores
from trainer.teachers.teacher import teacher_scores

MUCH = 120.0
"""Seconds of a label in a folder beyond which it is drawn no more often."""
UNLABELLED = 1600.0
SHORT, LONG = 5.0, 10.0
"""Seconds of a recording that count, at least and at most: a bang weighs half as much as ten seconds of rain."""
UNFOCUSED = 0.25


@dataclass(frozen=True)
class Material:
    """Recordings of one split with their targets: of recording n, rows starts[n] to starts[n + 1]."""

    recordings: list[Recording]
    indices: list[int]
    targets: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.recordings)


def room_responses(recordings: Sequence[Recording], waveforms: WaveformCache, rate: int) -> list[Samples]:
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
    waveforms: WaveformCache,
    teachers: Sequence[TeacherScores],
    labels: Sequence[str],
    config: DistillConfig,
) -> Material:
    """Targets in time: the mean of the teachers that know a recording, and its own label on top.

    Where a live teacher will hear the scenes, only what is certain: the label, where the stored teachers hear it.
    """
    step = STEP * config.spec.hop
    rows = [{name: row for row, name in enumerate(teacher.names)} for teacher in teachers]
    everything, starts = [], [0]
    for recording, index in zip(recordings, indices, strict=True):
        pcm = waveforms[index]
        steps = max(-(-len(pcm) // step), 1)
        padded = np.zeros(steps * step, np.float32)
        padded[: len(pcm)] = to_samples(pcm)
        said = [
            steps_from_windows(teacher.windows(row[recording.name], labels), teacher.window, teacher.hop, steps)
            for teacher, row in zip(teachers, rows, strict=True)
            if recording.name in row
        ]
        targets = np.mean(said, axis=0) if said else np.zeros((steps, len(labels)), np.float32)
        if recording.events is not None:
            targets = with_events(targets, recording.events, labels, step / config.spec.sample_rate)
        else:
            audible = audible_steps(np.sqrt(block_powers(padded, steps)))
            for label in recording.labels:
                targets = with_label(targets, label, labels, audible)
        everything.append(np.where(targets > CERTAIN - 1e-3, targets, 0) if config.live else targets)
        starts.append(starts[-1] + steps)
    return Material(list(recordings), list(indices), np.concatenate(everything), np.array(starts))


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
    waveforms: WaveformCache
    teachers: list[TeacherScores]
    training: list[int]
    validation: list[int]

    def of(self, chosen: Sequence[int]) -> list[Recording]:
        return [self.recordings[index] for index in chosen]

    def sampler(self, material: Material, config: DistillConfig) -> SceneSampler:
        """What draws scenes of a material."""
        rate = config.spec.sample_rate
        return SceneSampler(
            self.waveforms,
            material.indices,
            sampling_weights(material, config.focus),
            material.targets,
            material.starts,
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
    training = [index for index in sounds if not held_out(kept[index], config)]
    return Heard(kept, waveforms, teachers, training, [index for index in sounds if held_out(kept[index], config)])


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
    return known.sampler(material, config), labels, dict(sorted(counts.items()))
