"""Soundscapes: sounds at known places over backgrounds, with strong labels that are true because we put them there.

Each soundscape is drawn from (seed, number) alone: the same command gives the same files, and asking for more leaves
the first ones as they are. `mix_soundscape` is pure; `write_soundscapes` writes the files.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.data.dataset import Dataset
from trainer.data.decode import decode
from trainer.data.mixing import active, coloured_noise, faded, gain, in_room, looped, rms
from trainer.data.recording import Recording, StrongLabel

T = TypeVar("T")


@dataclass(frozen=True)
class SoundscapeConfig:
    """How a soundscape is drawn. Ranges are uniform."""

    rate: int = 16_000
    seconds: float = 30.0
    events: tuple[int, int] = (1, 6)
    """Sounds of the wanted classes, fewest and most."""
    others: tuple[int, int] = (0, 3)
    """Sounds of other classes, which are in no label: what a detector must not answer."""
    quiet: float = 0.2
    """Share of soundscapes without any wanted sound."""
    snr_db: tuple[float, float] = (0.0, 20.0)
    """Level of a sound while it lasts against the background's."""
    background_db: tuple[float, float] = (-55.0, -35.0)
    """RMS of the background against full scale."""
    longest: float = 6.0
    """Longer sounds are cut to this, in seconds, and faded."""
    overlap: bool = True
    """Whether sounds may overlap; those of one class never do."""
    response: float = 0.5
    """Share of soundscapes in a room, where room responses are given."""


@dataclass(frozen=True)
class Sound:
    """A sound to place, trimmed to where it is audible."""

    recording: Recording
    samples: Samples
    labelled: bool = True


@dataclass(frozen=True)
class Soundscape:
    """A soundscape: samples (n,), its strong labels, and what it was mixed from."""

    samples: Samples
    events: list[StrongLabel]
    recipe: dict[str, Any] = field(default_factory=dict)


def mix_soundscape(
    rng: np.random.Generator,
    config: SoundscapeConfig,
    sounds: Sequence[Sound],
    background: Samples,
    response: Samples | None = None,
) -> Soundscape:
    """One soundscape of these sounds, at random places; one that finds no place is left out.

    `background` is (config.seconds * config.rate,) at any level, `response` (m,) the room's answer to an impulse.
    """
    length = round(config.seconds * config.rate)
    level = gain(rng.uniform(*config.background_db))
    mix = background.astype(np.float64) * (level / max(rms(background), 1e-9))
    bed = mix.copy()
    floor = rms(bed)
    placed: list[tuple[int, int, str]] = []
    events: list[StrongLabel] = []
    parts: list[dict[str, Any]] = []
    for sound in sounds:
        snr = float(rng.uniform(*config.snr_db))
        samples = faded(sound.samples, round(config.longest * config.rate), config.rate)
        if response is not None:
            samples = in_room(samples, response)
        begin, end = active(samples, config.rate)
        samples = samples[:end][: length - 1]
        names = sound.recording.labels if sound.labelled else ("",)
        start = _place(rng, length, begin, len(samples), names, placed, config.overlap)
        if start is None:
            continue
        # The background where the sound will be, but never less than a tenth of its mean: gaps are no reference.
        reference = max(rms(bed[start + begin : start + len(samples)]), 0.1 * floor)
        factor = reference * gain(snr) / max(rms(samples[begin:]), 1e-9)
        mix[start : start + len(samples)] += factor * samples
        for name in names:
            placed.append((start + begin, start + len(samples), name))
        onset, offset = (start + begin) / config.rate, (start + len(samples)) / config.rate
        if sound.labelled:
            events += [StrongLabel(round(onset, 3), round(offset, 3), name) for name in names]
        parts.append(
            {
                "path": str(sound.recording.path),
                "labels": list(sound.recording.labels),
                "labelled": sound.labelled,
                "onset": round(onset, 3),
                "offset": round(offset, 3),
                "snr_db": round(snr, 2),
            }
        )
    peak = float(np.abs(mix).max())
    headroom = min(1.0, 0.98 / peak) if peak else 1.0
    events.sort(key=lambda event: (event.onset, event.category))
    recipe = {"background_db": round(20 * np.log10(level * headroom), 2), "sounds": parts}
    return Soundscape((mix * headroom).astype(np.float32), events, recipe)


def _place(
    rng: np.random.Generator,
    length: int,
    begin: int,
    size: int,
    names: Sequence[str],
    placed: Sequence[tuple[int, int, str]],
    overlap: bool,
) -> int | None:
    """Where a sound may start: not over its own class, nor (without `overlap`) over any; None if no place is found."""
    for _ in range(20):
        start = int(rng.integers(0, max(length - size, 1)))
        clashes = [
            name in names or not overlap
            for first, last, name in placed
            if start + begin < last and first < start + size
        ]
        if not any(clashes):
            return start
    return None


def _one_of(rng: np.random.Generator, choice: Sequence[T]) -> T:
    return choice[int(rng.integers(len(choice)))]


def in_part(group: str, part: str, test_share: float) -> bool:
    """Whether a recording belongs to a part: decided by its name alone, so that train and test never meet."""
    draw = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 0x100000000
    return part == "all" or (draw < test_share) == (part == "test")


@dataclass(frozen=True)
class SoundLibrary:
    """Sounds, backgrounds and room responses, read when they are first used."""

    wanted: dict[str, list[Recording]]
    """Labelled sounds by their class."""
    others: list[Recording]
    backgrounds: list[Recording]
    responses: list[Path]
    rate: int
    _cache: dict[Path, Samples] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        return list(self.wanted)

    def soundscape(self, number: int, seed: int, config: SoundscapeConfig) -> Soundscape:
        """The soundscape of that number."""
        rng = np.random.default_rng((seed, number))
        sounds = self._sounds(rng, config)
        length = round(config.seconds * config.rate)
        if self.backgrounds:
            path = _one_of(rng, self.backgrounds).path
            background, name = looped(self._load(path), length, rng, config.rate), str(path)
        else:
            background, name = coloured_noise(length, float(rng.uniform(0.5, 2)), rng), "noise"
        response, room = None, None
        if self.responses and rng.random() < config.response:
            path = _one_of(rng, self.responses)
            response, room = self._load(path), str(path)
        made = mix_soundscape(rng, config, sounds, background, response)
        return Soundscape(made.samples, made.events, {"background": name, "response": room, **made.recipe})

    def _sounds(self, rng: np.random.Generator, config: SoundscapeConfig) -> list[Sound]:
        """Wanted sounds, each class as likely, and others. Silent ones are left out."""
        wanted = 0 if rng.random() < config.quiet else int(rng.integers(config.events[0], config.events[1] + 1))
        chosen: list[tuple[Recording, bool]] = []
        for _ in range(wanted):
            chosen.append((_one_of(rng, self.wanted[_one_of(rng, self.classes)]), True))
        if self.others:
            for _ in range(int(rng.integers(config.others[0], config.others[1] + 1))):
                chosen.append((_one_of(rng, self.others), False))
        sounds = []
        for recording, labelled in chosen:
            samples = self._load(recording.path)
            begin, end = active(samples, self.rate)
            if end > begin:
                sounds.append(Sound(recording, samples[begin:end], labelled))
        return sounds

    def _load(self, path: Path) -> Samples:
        if path not in self._cache:
            if len(self._cache) >= 500:
                self._cache.pop(next(iter(self._cache)))
            self._cache[path] = decode(path, self.rate)
        return self._cache[path]


def write_soundscapes(out: Path, library: SoundLibrary, count: int, seed: int, config: SoundscapeConfig) -> int:
    """Writes `audio/`, `events.tsv` and `durations.tsv` (DCASE's columns) and `recipes.jsonl`; returns the events."""
    (out / "audio").mkdir(parents=True)
    total = 0
    with (
        (out / "events.tsv").open("w", encoding="utf-8") as events,
        (out / "durations.tsv").open("w", encoding="utf-8") as durations,
        (out / "recipes.jsonl").open("w", encoding="utf-8") as recipes,
    ):
        events.write("filename\tonset\toffset\tevent_label\n")
        durations.write("filename\tduration\n")
        recipes.write(json.dumps({"seed": seed, "count": count, "classes": library.classes, **asdict(config)}) + "\n")
        for number in tqdm(range(count), "soundscapes", disable=None):
            name = f"soundscape-{number:05d}.flac"
            made = library.soundscape(number, seed, config)
            soundfile.write(out / "audio" / name, made.samples, config.rate, subtype="PCM_16")
            durations.write(f"{name}\t{len(made.samples) / config.rate:.3f}\n")
            for event in made.events:
                events.write(f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.category}\n")
            recipes.write(json.dumps({"filename": name, **made.recipe}) + "\n")
            total += len(made.events)
    return total


def collect(
    foreground: Sequence[tuple[Path, Dataset]],
    background: Iterable[Recording],
    responses: Iterable[Path],
    labels: Sequence[str],
    part: str,
    test_share: float,
    rate: int,
) -> SoundLibrary:
    """What the soundscapes are made of: of sounds and backgrounds those of one part, of responses all.

    Raises WrongUse where a class has no sound in that part.
    """
    wanted: dict[str, list[Recording]] = {}
    others: list[Recording] = []
    known: set[str] = set()
    for _, dataset in foreground:
        known |= set(dataset.categories)
        for one in dataset.recordings:
            if not in_part(one.origin, part, test_share):
                continue
            hits = [name for name in one.labels if not labels or name in labels]
            if len(one.labels) == 1 and hits:
                wanted.setdefault(hits[0], []).append(one)
            elif not hits:
                others.append(one)
    for name in labels:
        if name not in known:
            raise WrongUse(f"--label {name!r}: not in the foreground{nearest(name, sorted(known))}")
        if name not in wanted:
            raise WrongUse(f"--label {name!r}: none of its recordings is in the part {part!r}")
    if not wanted:
        raise WrongUse(f"{', '.join(str(path) for path, _ in foreground)}: no labelled sounds in the part {part!r}")
    listed = list(background)
    backgrounds = [one for one in listed if not set(one.labels) & set(wanted) and in_part(one.origin, part, test_share)]
    if listed and not backgrounds:
        raise WrongUse("--background: every clip there has a wanted label or is in another part")
    return SoundLibrary(dict(sorted(wanted.items())), others, backgrounds, list(responses), rate)
