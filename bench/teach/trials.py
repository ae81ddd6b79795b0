"""Teaching a label from a few takes as `asit-edge teach` does it, and what came of it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.teach.lessons.augment import Staged, variants
from asit_edge.teach.lessons.fitting import fit
from asit_edge.teach.lessons.hearing import parts_of
from asit_edge.teach.lessons.takes import find_sound
from asit_edge.teach.lessons.teaching import VARIANTS
from asit_edge.teach.prototype import likeness
from asit_edge.teach.space import Directions
from bench.teach.ears import RATE, Ear, Piece, Stream
from trainer.data.decode import samples_of
from trainer.data.mixing import rms
from trainer.data.recording import Recording
from trainer.evaluation.families import related
from trainer.evaluation.metrics import average_precision

PIECE = 5.0
"""Seconds of the pieces into which longer recordings are cut, at most four of each."""
STRETCH = 10.0
"""Seconds of long sound of which the highest likeness counts once."""

Figures = dict[str, float]
Long = Mapping[str, Sequence[Piece]]
"""Long sound by what it is."""
Drawn = tuple[list[int], list[int]]
"""Numbers of clips to teach from, and of those to be found."""


@dataclass
class Clip:
    """A clip of one label, and what an ear makes of it."""

    label: str
    original: str
    samples: Samples
    stream: Stream
    take: tuple[Directions, Directions, Directions] | None = None
    """As a take: its stream, the chunks of it and its variants with the sound, and those before it."""


def cut(recordings: Sequence[Recording]) -> list[tuple[Recording, Samples]]:
    """Clips of at most 10 s."""
    found = []
    for one in recordings:
        samples = samples_of(one, RATE)
        if len(samples) <= 10 * RATE:
            found.append((one, samples))
            continue
        count = min(4, len(samples) // round(PIECE * RATE))
        for start in np.linspace(0, len(samples) - round(PIECE * RATE), count):
            found.append((one, samples[int(start) : int(start) + round(PIECE * RATE)]))
    return [(one, samples) for one, samples in found if len(samples) > 0.05 * RATE and rms(samples) > 1e-4]


def as_take(ear: Ear, clip: Clip, number: int) -> tuple[Directions, Directions, Directions]:
    """As `asit-edge teach` hears it; made once."""
    if clip.take is None:
        begin, end = find_sound(clip.samples, RATE)
        staged: list[Staged] = variants(clip.samples[begin:end], RATE, VARIANTS, np.random.default_rng(number))
        heard = []
        for one, stream in zip(staged, ear.hear([one.samples for one in staged]), strict=True):
            directions = stream.directions
            heard.append(parts_of(one, RATE, ear.seconds, directions, np.zeros((len(directions), 1), np.float32)))
        span, before = (np.concatenate([getattr(one, part) for one in heard]) for part in ("span", "before"))
        clip.take = heard[0].stream, span, before
    return clip.take


def draw(clips: Sequence[Clip], label: str, takes: int, number: int) -> Drawn | None:
    """The draw of that number: takes of as many recordings as there are, the rest to be found; None: too few.

    A third of a label's recordings, one at least, is never taken.
    """
    rng = np.random.default_rng((number, takes))
    by_original: defaultdict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        if clip.label == label:
            by_original[clip.original].append(index)
    names = sorted(by_original)
    rng.shuffle(names)
    kept = names[: max(len(names) // 3, 1)]
    queues = [list(rng.permutation(by_original[name])) for name in names if name not in kept]
    chosen: list[int] = []
    while len(chosen) < takes and any(queues):
        for queue in queues:
            if queue and len(chosen) < takes:
                chosen.append(int(queue.pop()))
    taken = {clips[index].original for index in chosen}
    rest = [index for name in names if name not in taken for index in by_original[name]]
    return (chosen, rest) if len(chosen) == takes and len(rest) >= 2 else None


def trial(ear: Ear, clips: Sequence[Clip], long: Long, label: str, drawn: Drawn) -> Figures:
    """Teaches a label once and measures what came of it."""
    takes = [as_take(ear, clips[index], index) for index in drawn[0]]
    streams, spans, before = ([take[part] for take in takes] for part in range(3))
    made = fit(spans, streams, before, ear.space, 1.0).prototype
    return figures(
        lambda stream: likeness(stream.directions, made.direction), made.threshold, clips, long, label, drawn[1], ear
    )


def figures(
    line_of: Callable[[Stream], np.ndarray],
    own: float,
    clips: Sequence[Clip],
    long: Long,
    label: str,
    to_find: Sequence[int],
    ear: Ear,
) -> Figures:
    """What scores (`line_of` a stream, a number a chunk) with their `own` threshold are worth for a label."""
    found = np.array([float(line_of(clips[index].stream).max()) for index in to_find])
    wrong = [float(line_of(one.stream).max()) for one in clips if not related(one.label, label)]
    truth = np.array([True] * len(found) + [False] * len(wrong))
    result = {"ap": average_precision(np.array([*found, *wrong]), truth)}
    size = round(STRETCH / ear.seconds)
    for name, sound in long.items():
        lines = [line_of(one.stream) for one in sound if not any(related(label, said) for said in one.labels)]
        hours = sum(map(len, lines)) * ear.seconds / 3600
        peaks = [line[first : first + size].max() for line in lines for first in range(0, len(line), size)]
        highest = np.sort(np.array(peaks))[::-1]
        for what, allowed in (("1/h", int(hours)), ("none", 0)):
            threshold = highest[allowed] if allowed < len(highest) else -np.inf
            result[f"{name}: missed at {what}"] = float(np.mean(found <= threshold))
        result[f"{name}: hours"] = hours
        result[f"{name}: missed at its own threshold"] = float(np.mean(found < own))
        result[f"{name}: false alarms an hour at its own threshold"] = float((highest >= own).sum() / hours)
    return result


def measure(ear: Ear, clips: Sequence[Clip], long: Long, takes: int, draws: int) -> dict[str, Figures]:
    """Means of the draws, by label."""
    results = {}
    for label in sorted({clip.label for clip in clips}):
        drawn = [one for number in range(draws) if (one := draw(clips, label, takes, number)) is not None]
        if drawn:
            results[label] = mean_of([trial(ear, clips, long, label, one) for one in drawn])
    return results


def mean_of(trials: Sequence[Figures]) -> Figures:
    return {key: float(np.mean([one[key] for one in trials])) for key in trials[0]}
