"""What teaching costs: `python -m bench.teach.cost [BUNDLE]`.

Processor time and memory of `asit-edge teach` with five takes, beside `asit-edge tag` of the same files (which loads
the same model); of a step with ten taught sounds, beside one without, in turn; and of listening with ten of them:
`asit-edge replay` of some minutes of the bundled recording with and without, in turn, less what a second takes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

import asit_edge
from asit_edge.audio.samples import Samples
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.model.classifier import Embedding
from asit_edge.teach.overlay import read_sound, write_overlay
from asit_edge.teach.prototype import Prototype
from asit_edge.teach.space import load_axes
from asit_edge.teach.taught import TaughtClassifier
from trainer.data.mixing import coloured_noise
from trainer.distillation.synthesis import doorbell
from trainer.run.command import run

RATE, TAKES, SOUNDS, STEPS = 16_000, 5, 10, 400
MINUTES, ROUNDS = 10, 5
DEMO = Path(asit_edge.__file__).parent / "recordings" / "demo.flac"


def take(number: int) -> Samples:
    """A doorbell in four seconds of faint noise."""
    rng = np.random.default_rng(number)
    bell = doorbell(np.random.default_rng(0), RATE)[: 3 * RATE]
    samples = 1e-3 * coloured_noise(4 * RATE, 1.0, rng)
    samples[8_000 : 8_000 + len(bell)] += np.float32(rng.uniform(0.2, 0.5)) * bell
    return samples


def command(*arguments: object, state: Path | None = None) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and megabytes at most; `state` is where taught sounds are kept."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "asit_edge", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **({"XDG_STATE_HOME": str(state)} if state else {})},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"asit-edge {arguments[0]} ended with {status}")
    used = usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, used, usage.ru_maxrss / 1024


def step_seconds(taught: TaughtClassifier, plain: TaughtClassifier, chunk: np.ndarray) -> tuple[float, float]:
    """Median processor time of a step with and without taught sounds, in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    memories = taught.open(), plain.open()
    for _ in range(STEPS):
        for at, model in enumerate((taught, plain)):
            began = time.process_time()
            model.step(chunk, [memories[at]])
            times[at].append(time.process_time() - began)
    return statistics.median(times[0]), statistics.median(times[1])


def ten_of(taught: Path) -> None:
    """Makes ten of the one sound that is in a folder of taught sounds."""
    (file,) = taught.glob("*.yaml")
    sound, arrays = read_sound(file), file.with_suffix(".safetensors").read_bytes()
    for number in range(1, SOUNDS):
        write_overlay(taught, sound.model_copy(update={"name": f"{sound.name} {number}"}), arrays)


def listening_seconds(bundle: Path, minutes: Path, second: Path, states: Sequence[Path]) -> list[float]:
    """Processor time of hearing some minutes, less that of a second, with what is taught in each of `states`."""
    used: list[list[float]] = [[] for _ in states]
    for _ in range(ROUNDS):
        for number, state in enumerate(states):
            long, short = (command("replay", file, "--model", bundle, state=state)[1] for file in (minutes, second))
            used[number].append(long - short)
    return [min(some) for some in used]


def main(bundle: Annotated[Path, typer.Argument()] = Path("asit-warm-tiny")) -> None:
    """Measure what teaching and taught sounds cost."""
    loaded = load_bundle(find_bundle(bundle))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        files = []
        for number in range(TAKES):
            files.append(Path(folder) / f"{number}.wav")
            soundfile.write(files[-1], take(number), RATE)
        for name, arguments in (("tag", files), ("teach", ["A doorbell of mine", *files])):
            seconds, used, memory = command(name, *arguments, "--model", bundle)
            print(f"{name} {TAKES} takes: {seconds:.1f} s, {used:.1f} s of processor time, {memory:.0f} MB")
        ten_of(Path(folder) / "asit-edge" / "taught")
        minutes, second = Path(folder) / "minutes.wav", Path(folder) / "second.wav"
        demo, rate = soundfile.read(DEMO)
        soundfile.write(minutes, np.tile(demo, ceil(MINUTES * 60 * rate / len(demo)))[: MINUTES * 60 * rate], rate)
        soundfile.write(second, demo[:rate], rate)
        plain_seconds, taught_seconds = listening_seconds(bundle, minutes, second, [Path(folder) / "no", Path(folder)])
        share = taught_seconds / plain_seconds - 1
        print(
            f"listening for {MINUTES} min: {plain_seconds:.2f} s of processor time, with {SOUNDS} taught sounds "
            f"{taught_seconds:.2f} s ({share:+.1%})"
        )
    axes = load_axes(loaded)
    model: Embedding = open_classifier(loaded)  # type: ignore[assignment]
    directions = np.random.default_rng(0).standard_normal((SOUNDS, len(axes))).astype(np.float32)
    taught, plain = TaughtClassifier(model), TaughtClassifier(model)
    taught.know([Prototype(one / np.linalg.norm(one), 0.5, 0.05) for one in directions], axes)
    spec = loaded.manifest.front_end
    chunk = np.random.default_rng(0).standard_normal((1, model.chunk, spec.width)).astype(np.float32)
    with_sounds, without = step_seconds(taught, plain, chunk)
    share = with_sounds / without - 1
    print(f"a step: {1e3 * without:.3f} ms, with {SOUNDS} taught sounds {1e3 * with_sounds:.3f} ms ({share:+.1%})")


if __name__ == "__main__":
    run("bench.teach.cost", main)
