"""How good taught sounds are: `python -m bench.teach BUNDLE --data DIR... [--esc50 DIR --fold 5] [--yamnet FILE]`.

For labels of recordings that the bundle's model has not learnt from (collections of `trainer/left_out.txt`, a fold that
was left out), sounds are taught from a few takes as `asit-edge teach` does it, and held against all other clips and
against hours in which they do not sound. Beside it the same with YAMNet's embedding (the layer before its classifier),
under the same rule, with negatives of the same recordings. Takes and the clips to be found never are of one recording.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np
import typer
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.model.classifier import Embedding
from asit_edge.teach.lessons.augment import Staged, variants
from asit_edge.teach.lessons.fitting import fit
from asit_edge.teach.lessons.hearing import parts_of
from asit_edge.teach.lessons.takes import find_sound
from asit_edge.teach.lessons.teaching import VARIANTS
from asit_edge.teach.prototype import likeness
from asit_edge.teach.space import Directions, SoundSpace, load_space
from export.negatives.embedded import Embedded, embed, space_of
from trainer.data.audioset import read_labels
from trainer.data.decode import samples_of
from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import original, split_left_out
from trainer.data.mixing import block_powers, rms
from trainer.data.recording import Recording, Role
from trainer.evaluation.metrics import average_precision
from trainer.evaluation.yardstick.families import related
from trainer.evaluation.yardstick.listening import Listening, ambience, scene_library, scenes_of
from trainer.run.command import run
from trainer.teachers.yamnet import HOP, WINDOW, YamNet

RATE = 16_000
PIECE = 5.0
"""Seconds of the pieces into which longer recordings are cut, at most four of each."""
STRETCH = 10.0
"""Seconds of long sound of which the highest likeness counts once."""
LONG_SEED = 11


class Ear(Protocol):
    """A model's embeddings as directions."""

    name: str
    seconds: float
    """Of a chunk."""
    space: SoundSpace

    def directions(self, samples: Samples) -> Directions: ...


class BundleEar:
    """A bundle that can be taught."""

    def __init__(self, path: Path) -> None:
        bundle = load_bundle(find_bundle(path))
        self.name, self.space, self._spec = bundle.manifest.name, load_space(bundle), bundle.manifest.front_end
        self._model: Embedding = open_classifier(bundle)  # type: ignore[assignment]
        self.seconds = self.space.seconds

    def directions(self, samples: Samples) -> Directions:
        return self.space.axes.place(embed(self._model, self._spec, samples)[0])


class YamNetEar:
    """YAMNet's 1,024 numbers of every 0.975 s, twice a second; negatives of the same recordings."""

    name = "YAMNet"
    seconds = HOP / RATE

    def __init__(self, file: Path, recordings: Sequence[Recording], axes: int, clips: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        YamNet(file)  # says what is wrong with it
        self._net = Interpreter(str(file), num_threads=1, experimental_preserve_all_tensors=True)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._layer = next(
            one["index"] for one in self._net.get_tensor_details() if sorted(one["shape"])[-1:] == [1024]
            and int(np.prod(one["shape"])) == 1024 and "mean" in one["name"].lower()
        )  # fmt: skip
        heard = []
        for one in tqdm(recordings, self.name, file=sys.stderr, mininterval=30):
            samples = samples_of(one, RATE)[: 12 * RATE]
            if len(samples) and rms(samples) > 1e-4:
                found = self.embeddings(samples)
                padded = np.pad(samples, (0, max(len(found) * HOP - len(samples), 0)))[: len(found) * HOP]
                heard.append(Embedded(one, found, np.sqrt(block_powers(padded, len(found)))))
        self.space, _ = space_of(heard, axes, clips, self.seconds)

    def embeddings(self, samples: Samples) -> np.ndarray:
        count = max(-(-(len(samples)) // HOP), 1)
        # A window ends with its chunk, as a device hears it.
        padded = np.concatenate((np.zeros(WINDOW - HOP, np.float32), samples, np.zeros(HOP, np.float32)))
        found = []
        for chunk in range(count):
            self._net.set_tensor(self._input, padded[chunk * HOP : chunk * HOP + WINDOW].astype(np.float32))
            self._net.invoke()
            found.append(self._net.get_tensor(self._layer).reshape(-1).astype(np.float32))
        return np.stack(found)

    def directions(self, samples: Samples) -> Directions:
        return self.space.axes.place(self.embeddings(samples))


@dataclass(frozen=True)
class Spoken:
    """Files of speech, said one after the other."""

    files: list[Path]

    def __len__(self) -> int:
        return 1

    def samples(self, index: int, rate: int) -> Samples:
        return np.concatenate([samples_of(Recording(file), rate) for file in self.files])

    def labels(self, index: int) -> frozenset[str]:
        return frozenset({"Speech"})


def heard_by(ear: Ear, sound: Listening, name: str) -> Iterator[tuple[frozenset[str], Directions]]:
    """Of every piece what is known to be in it, and what an ear makes of it; one at a time, for hours are large."""
    for index in tqdm(range(len(sound)), f"{ear.name}: {name}", file=sys.stderr, mininterval=30):
        yield sound.labels(index), ear.directions(sound.samples(index, RATE))


@dataclass
class Clip:
    """A clip of one label, and what an ear makes of it."""

    label: str
    original: str
    samples: Samples
    stream: Directions
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
        for one in staged:
            directions = ear.directions(one.samples)
            heard.append(parts_of(one, RATE, ear.seconds, directions, np.zeros((len(directions), 1), np.float32)))
        span, before = (np.concatenate([getattr(one, part) for one in heard]) for part in ("span", "before"))
        clip.take = heard[0].stream, span, before
    return clip.take


def draw(clips: Sequence[Clip], label: str, takes: int, rng: np.random.Generator) -> tuple[list[int], list[int]] | None:
    """Numbers of clips to teach from, of as many recordings as there are, and of those to be found; None: too few.

    A third of a label's recordings, one at least, is never taken.
    """
    by_original: defaultdict[str, list[int]] = defaultdict(list)
    for number, clip in enumerate(clips):
        if clip.label == label:
            by_original[clip.original].append(number)
    names = sorted(by_original)
    rng.shuffle(names)
    kept = names[: max(len(names) // 3, 1)]
    queues = [list(rng.permutation(by_original[name])) for name in names if name not in kept]
    chosen: list[int] = []
    while len(chosen) < takes and any(queues):
        for queue in queues:
            if queue and len(chosen) < takes:
                chosen.append(int(queue.pop()))
    taken = {clips[number].original for number in chosen}
    rest = [number for name in names if name not in taken for number in by_original[name]]
    return (chosen, rest) if len(chosen) == takes and len(rest) >= 2 else None


def peaks_of(streams: Sequence[Directions], direction: Directions, size: int) -> np.ndarray:
    """The highest likeness of each stretch of so many chunks."""
    found = []
    for stream in streams:
        line = likeness(stream, direction)
        found += [float(line[first : first + size].max()) for first in range(0, len(line), size)]
    return np.array(found)


def trial(
    ear: Ear, clips: Sequence[Clip], long: dict[str, list[tuple[frozenset[str], Directions]]], label: str,
    drawn: tuple[list[int], list[int]],
) -> dict[str, float]:  # fmt: skip
    """Teaches a label once and measures what came of it."""
    chosen, to_find = drawn
    takes = [as_take(ear, clips[number], number) for number in chosen]
    streams, spans, before = ([take[part] for take in takes] for part in range(3))
    made = fit(spans, streams, before, ear.space, 1.0).prototype
    others = [one for one in clips if not related(one.label, label)]
    found = [float(likeness(clips[number].stream, made.direction).max()) for number in to_find]
    wrong = [float(likeness(one.stream, made.direction).max()) for one in others]
    truth = np.array([True] * len(found) + [False] * len(wrong))
    result = {"ap": average_precision(np.array([*found, *wrong]), truth)}
    size = round(STRETCH / ear.seconds)
    for name, pieces in long.items():
        streams_of = [stream for labels, stream in pieces if not any(related(label, one) for one in labels)]
        hours = sum(map(len, streams_of)) * ear.seconds / 3600
        line = np.sort(peaks_of(streams_of, made.direction, size))[::-1]
        for what, allowed in (("1/h", int(hours)), ("none", 0)):
            threshold = line[allowed] if allowed < len(line) else -1.0
            result[f"{name}: missed at {what}"] = float(np.mean(np.array(found) <= threshold))
        result[f"{name}: hours"] = hours
        result[f"{name}: missed at its own threshold"] = float(np.mean(np.array(found) < made.threshold))
        result[f"{name}: false alarms an hour at its own threshold"] = float((line >= made.threshold).sum() / hours)
    return result


def measure(
    ear: Ear, clips: Sequence[Clip], long: dict[str, list[tuple[frozenset[str], Directions]]], takes: int, draws: int
) -> dict[str, dict[str, float]]:
    """Means of the draws, by label."""
    results = {}
    for label in sorted({clip.label for clip in clips}):
        trials = []
        for number in range(draws):
            drawn = draw(clips, label, takes, np.random.default_rng((number, takes)))
            if drawn is not None:
                trials.append(trial(ear, clips, long, label, drawn))
        if trials:
            results[label] = {key: float(np.mean([one[key] for one in trials])) for key in trials[0]}
    return results


def main(
    bundle: Annotated[Path, typer.Argument(help="Directory or name of a bundle that can be taught.")],
    data: Annotated[list[Path] | None, typer.Option(help="Pools with the left-out collections; repeat.")] = None,
    esc50: Annotated[Path | None, typer.Option(help="A folder in the ESC-50 layout.")] = None,
    fold: Annotated[int, typer.Option(help="Its fold that nobody has learnt from.")] = 5,
    speech: Annotated[Path | None, typer.Option(help="Folder of speech that nobody has learnt from.")] = None,
    yamnet: Annotated[Path | None, typer.Option(help="YAMNet's TFLite file.")] = None,
    takes: Annotated[list[int] | None, typer.Option(min=3, help="Repeat; default 3, 5 and 10.")] = None,
    draws: Annotated[int, typer.Option(min=1)] = 5,
    hours: Annotated[float, typer.Option(min=0.0, help="Of scenes mixed of left-out sounds.")] = 10.0,
    labels: Annotated[Path, typer.Option(help="Labels that scenes are made of.")] = Path("trainer/everyday.txt"),
    out: Annotated[Path | None, typer.Option(help="JSON of all figures.")] = None,
) -> None:
    """Teach left-out sounds from a few takes and measure what came of it."""
    everything = [one for root in data or [] for one in read_recordings(root)]
    kept, left_out = split_left_out(everything, fold)
    ten = [one for one in read_recordings(esc50) if one.fold == fold] if esc50 else []
    sounds = [one for one in [*left_out, *ten] if one.role is Role.SOUND and one.label and not one.sharealike]
    pieces = cut(sounds)
    long_sound: dict[str, list[Listening]] = {"real": [ambience(left_out)]}
    if speech:
        long_sound["real"].append(Spoken(sorted(speech.iterdir())))
    if hours:
        made = scenes_of(scene_library(left_out, read_labels(labels)), round(hours * 120), LONG_SEED)
        long_sound["scenes"] = [made]
    learnt = [one for one in kept if one.role is Role.SOUND and not one.sharealike]
    ears: list[BundleEar | YamNetEar] = [BundleEar(bundle)]
    if yamnet:
        space = ears[0].space
        ears.append(YamNetEar(yamnet, learnt, len(space.axes), len(space.labels)))
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for ear in ears:
        began = time.process_time()
        clips = [Clip(one.label, original(one), samples, ear.directions(samples)) for one, samples in pieces]
        long = {
            name: [piece for part in parts for piece in heard_by(ear, part, name)] for name, parts in long_sound.items()
        }
        for count in takes or [3, 5, 10]:
            found = measure(ear, clips, long, count, draws)
            results.setdefault(ear.name, {})[str(count)] = found
            keys = list(next(iter(found.values())))
            means = {key: float(np.mean([one[key] for one in found.values()])) for key in keys}
            figures = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
            print(f"{ear.name}, {count} takes, {len(found)} labels: {figures}", flush=True)
        print(f"{ear.name}: {time.process_time() - began:.0f} s of CPU", file=sys.stderr)
        if out:
            out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    run("bench.teach", main)
