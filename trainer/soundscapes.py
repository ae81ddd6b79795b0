"""Soundscapes: sounds at known places over backgrounds, with strong labels that are true because we put them there.

`python -m trainer.soundscapes OUT --foreground DATA --background DATA [--response DIR]`. Each soundscape is drawn from
(seed, number) alone: the same command gives the same files, and asking for more leaves the first ones as they are.
`mix_scene` and what it calls is pure; the files are written by `write_soundscapes`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import soundfile
import typer
from tqdm import tqdm

from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.data.crops import coloured_noise
from trainer.data.dataset import Clip, StrongLabel, load_clip
from trainer.data.layouts.detect import read_any
from trainer.data.listing import AUDIO_SUFFIXES
from trainer.run.command import run

Samples = npt.NDArray[np.float32]

ACTIVE_DB = -30.0
"""A sound lasts from its first to its last 20 ms that are louder than this against its loudest."""


@dataclass(frozen=True)
class SceneConfig:
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

    clip: Clip
    samples: Samples
    labelled: bool = True


@dataclass(frozen=True)
class Scene:
    """A soundscape: samples (n,), its strong labels, and what it was mixed from."""

    samples: Samples
    events: list[StrongLabel]
    recipe: dict[str, Any] = field(default_factory=dict)


def active(samples: Samples, rate: int, below_db: float = ACTIVE_DB) -> tuple[int, int]:
    """First and last sample + 1 of what is audible, by blocks of 20 ms; (0, 0) for digital silence."""
    block = rate // 50
    padded = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    power = (padded.astype(np.float64) ** 2).mean(axis=1)
    if not power.size or power.max() <= 1e-12:
        return 0, 0
    loud = np.flatnonzero(power >= power.max() * 10 ** (below_db / 10))
    return int(loud[0]) * block, min(int(loud[-1] + 1) * block, len(samples))


def in_room(samples: Samples, response: Samples) -> Samples:
    """The sound as a room answers it, at the same level; `response` (m,) is used from its direct sound on."""
    direct = response[int(np.abs(response).argmax()) :]
    length = len(samples) + len(direct) - 1
    wet = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(direct, length), length)
    return (wet * (rms(samples) / max(rms(wet[: len(samples)]), 1e-9))).astype(np.float32)


def rms(samples: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0


def mix_scene(
    rng: np.random.Generator,
    config: SceneConfig,
    sounds: Sequence[Sound],
    background: Samples,
    response: Samples | None = None,
) -> Scene:
    """One soundscape of these sounds, at random places; one that finds no place is left out.

    `background` is (config.seconds * config.rate,) at any level, `response` (m,) the room's answer to an impulse.
    """
    length = round(config.seconds * config.rate)
    level = 10 ** (rng.uniform(*config.background_db) / 20)
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
        names = sound.clip.categories if sound.labelled else ("",)
        start = _place(rng, length, begin, len(samples), names, placed, config.overlap)
        if start is None:
            continue
        # The background where the sound will be, but never less than a tenth of its mean: gaps are no reference.
        reference = max(rms(bed[start + begin : start + len(samples)]), 0.1 * floor)
        gain = reference * 10 ** (snr / 20) / max(rms(samples[begin:]), 1e-9)
        mix[start : start + len(samples)] += gain * samples
        for name in names:
            placed.append((start + begin, start + len(samples), name))
        onset, offset = (start + begin) / config.rate, (start + len(samples)) / config.rate
        if sound.labelled:
            events += [StrongLabel(round(onset, 3), round(offset, 3), name) for name in names]
        parts.append(
            {
                "path": str(sound.clip.path),
                "labels": list(sound.clip.categories),
                "labelled": sound.labelled,
                "onset": round(onset, 3),
                "offset": round(offset, 3),
                "snr_db": round(snr, 2),
            }
        )
    peak = float(np.abs(mix).max())
    gain = min(1.0, 0.98 / peak) if peak else 1.0
    events.sort(key=lambda event: (event.onset, event.category))
    recipe = {"background_db": round(20 * np.log10(level * gain), 2), "sounds": parts}
    return Scene((mix * gain).astype(np.float32), events, recipe)


def faded(samples: Samples, longest: int, rate: int) -> Samples:
    """The first `longest` samples; a cut end is faded out over 50 ms."""
    if len(samples) <= longest:
        return samples
    cut = samples[:longest].copy()
    fade = min(rate // 20, longest)
    cut[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut


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


def loop_background(samples: Samples, length: int, rng: np.random.Generator, rate: int) -> Samples:
    """A random part of a background; a shorter one is repeated, cross-faded over up to half a second."""
    if len(samples) >= length:
        start = int(rng.integers(0, len(samples) - length + 1))
        return samples[start : start + length]
    fade = min(rate // 2, len(samples) // 4)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    looped = samples
    while len(looped) < length:
        seam = looped[-fade:] * np.sqrt(1 - ramp) + samples[:fade] * np.sqrt(ramp) if fade else looped[:0]
        looped = np.concatenate((looped[: len(looped) - fade], seam, samples[fade:]))
    return looped[:length].astype(np.float32)


def in_part(group: str, part: str, test_share: float) -> bool:
    """Whether a recording belongs to a part: decided by its name alone, so that train and test never meet."""
    draw = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 0x100000000
    return part == "all" or (draw < test_share) == (part == "test")


class Library:
    """Sounds, backgrounds and room responses, read when they are first used."""

    def __init__(
        self,
        wanted: dict[str, list[Clip]],
        others: list[Clip],
        backgrounds: list[Clip],
        responses: list[Path],
        rate: int,
    ) -> None:
        self.classes = list(wanted)
        self._wanted, self._others, self._backgrounds, self._responses = wanted, others, backgrounds, responses
        self._rate = rate
        self._cache: dict[Path, Samples] = {}

    def scene(self, number: int, seed: int, config: SceneConfig) -> Scene:
        """The soundscape of that number."""
        rng = np.random.default_rng((seed, number))
        sounds = self._sounds(rng, config)
        length = round(config.seconds * config.rate)
        if self._backgrounds:
            clip = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
            background, name = loop_background(self._load(clip.path), length, rng, config.rate), str(clip.path)
        else:
            background, name = coloured_noise(length, float(rng.uniform(0.5, 2)), rng), "noise"
        response, room = None, None
        if self._responses and rng.random() < config.response:
            path = self._responses[int(rng.integers(len(self._responses)))]
            response, room = self._load(path), str(path)
        scene = mix_scene(rng, config, sounds, background, response)
        return Scene(scene.samples, scene.events, {"background": name, "response": room, **scene.recipe})

    def _sounds(self, rng: np.random.Generator, config: SceneConfig) -> list[Sound]:
        """Wanted sounds, each class as likely, and others. Silent ones are left out."""
        wanted = 0 if rng.random() < config.quiet else int(rng.integers(config.events[0], config.events[1] + 1))
        clips: list[tuple[Clip, bool]] = []
        for _ in range(wanted):
            of_class = self._wanted[self.classes[int(rng.integers(len(self.classes)))]]
            clips.append((of_class[int(rng.integers(len(of_class)))], True))
        if self._others:
            for _ in range(int(rng.integers(config.others[0], config.others[1] + 1))):
                clips.append((self._others[int(rng.integers(len(self._others)))], False))
        sounds = []
        for clip, labelled in clips:
            samples = self._load(clip.path)
            begin, end = active(samples, self._rate)
            if end > begin:
                sounds.append(Sound(clip, samples[begin:end], labelled))
        return sounds

    def _load(self, path: Path) -> Samples:
        if path not in self._cache:
            if len(self._cache) >= 500:
                self._cache.pop(next(iter(self._cache)))
            self._cache[path] = load_clip(path, self._rate)
        return self._cache[path]


def write_soundscapes(out: Path, library: Library, count: int, seed: int, config: SceneConfig) -> int:
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
            scene = library.scene(number, seed, config)
            soundfile.write(out / "audio" / name, scene.samples, config.rate, subtype="PCM_16")
            durations.write(f"{name}\t{len(scene.samples) / config.rate:.3f}\n")
            for event in scene.events:
                events.write(f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.category}\n")
            recipes.write(json.dumps({"filename": name, **scene.recipe}) + "\n")
            total += len(scene.events)
    return total


def audio_in(path: Path) -> list[Clip]:
    """A table's clips, or every audio file in a folder, whatever its labels."""
    if path.is_file():
        return read_any(path).clips
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file())
    if not files:
        raise WrongUse(f"{path}: no audio in this folder")
    return [Clip(file, ()) for file in files]


def collect(
    foreground: Sequence[Path],
    background: Sequence[Path],
    response: Sequence[Path],
    labels: Sequence[str],
    part: str,
    test_share: float,
    rate: int,
) -> Library:
    """What the soundscapes are made of. Raises WrongUse where a class has no sound in that part."""
    wanted: dict[str, list[Clip]] = {}
    others: list[Clip] = []
    known: set[str] = set()
    for path in foreground:
        dataset = read_any(path)
        known |= set(dataset.categories)
        for clip, group in zip(dataset.clips, dataset.groups, strict=True):
            if not in_part(group, part, test_share):
                continue
            hits = [name for name in clip.categories if not labels or name in labels]
            if len(clip.categories) == 1 and hits:
                wanted.setdefault(hits[0], []).append(clip)
            elif not hits:
                others.append(clip)
    for name in labels:
        if name not in known:
            raise WrongUse(f"--label {name!r}: not in the foreground{nearest(name, sorted(known))}")
        if name not in wanted:
            raise WrongUse(f"--label {name!r}: none of its recordings is in the part {part!r}")
    if not wanted:
        raise WrongUse(f"{', '.join(map(str, foreground))}: no labelled sounds in the part {part!r}")
    backgrounds = [
        clip
        for path in background
        for clip in audio_in(path)
        if not set(clip.categories) & set(wanted) and in_part(clip.group or str(clip.path), part, test_share)
    ]
    if background and not backgrounds:
        raise WrongUse("--background: every clip there has a wanted label or is in another part")
    responses = [clip.path for path in response for clip in audio_in(path)]
    return Library(dict(sorted(wanted.items())), others, backgrounds, responses, rate)


def main(
    out: Annotated[Path, typer.Argument(help="New folder for audio/, events.tsv, durations.tsv and recipes.jsonl.")],
    foreground: Annotated[list[Path], typer.Option(help="Labelled sounds: a folder, a table or ESC-50. Repeatable.")],
    background: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of audio or a table; clips with a wanted label are left out. Default: noise."),
    ] = None,
    response: Annotated[list[Path] | None, typer.Option(help="Folder of room impulse responses.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Wanted class; repeat for more; the others become unlabelled. Default: all."),
    ] = None,
    count: Annotated[int, typer.Option(min=1)] = 100,
    seconds: Annotated[float, typer.Option(min=1.0)] = SceneConfig.seconds,
    events: Annotated[tuple[int, int], typer.Option(help="Fewest and most wanted sounds.")] = SceneConfig.events,
    others: Annotated[tuple[int, int], typer.Option(help="Fewest and most other sounds.")] = SceneConfig.others,
    quiet: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share without wanted sounds.")] = SceneConfig.quiet,
    snr: Annotated[tuple[float, float], typer.Option(help="Lowest and highest SNR in dB.")] = SceneConfig.snr_db,
    overlap: Annotated[bool, typer.Option(help="Whether sounds of different classes may overlap.")] = True,
    part: Annotated[str, typer.Option(help="all, train or test: parts that share no recording.")] = "all",
    test_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of recordings in test.")] = 0.3,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Mix soundscapes with strong labels in DCASE's tsv format."""
    if out.exists() and any(out.iterdir()):
        raise WrongUse(f"{out}: exists and is not empty; name a new folder")
    if part not in ("all", "train", "test"):
        raise WrongUse(f"--part {part}: must be all, train or test")
    for name, (low, high) in (("--events", events), ("--others", others), ("--snr", snr)):
        if low > high or (name != "--snr" and low < 0):
            raise WrongUse(f"{name} {low} {high}: lowest first, then highest")
    config = SceneConfig(seconds=seconds, events=events, others=others, quiet=quiet, snr_db=snr, overlap=overlap)
    library = collect(foreground, background or [], response or [], label or [], part, test_share, config.rate)
    total = write_soundscapes(out, library, count, seed, config)
    print(f"wrote {out}: {count} soundscapes of {seconds:g} s, {total} events of {len(library.classes)} classes")


if __name__ == "__main__":
    run("trainer.soundscapes", main)
