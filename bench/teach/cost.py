"""What teaching costs: `python -m bench.teach.cost [BUNDLE]`.

Processor time and memory of `asit-edge teach` with five takes, beside `asit-edge tag` of the same files (which loads
the same model); and of a step with ten taught sounds, beside one without, in turn.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

from asit_edge.audio.samples import Samples
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import find_bundle, load_bundle
from asit_edge.model.classifier import Embedding
from asit_edge.teach.prototype import Prototype
from asit_edge.teach.space import load_axes
from asit_edge.teach.taught import TaughtClassifier
from trainer.data.mixing import coloured_noise
from trainer.distillation.synthesis import doorbell
from trainer.run.command import run

RATE, TAKES, SOUNDS, STEPS = 16_000, 5, 10, 400


def take(number: int) -> Samples:
    """A doorbell in four seconds of faint noise."""
    rng = np.random.default_rng(number)
    bell = doorbell(np.random.default_rng(0), RATE)[: 3 * RATE]
    samples = 1e-3 * coloured_noise(4 * RATE, 1.0, rng)
    samples[8_000 : 8_000 + len(bell)] += np.float32(rng.uniform(0.2, 0.5)) * bell
    return samples


def command(*arguments: object) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and megabytes at most."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "asit_edge", *map(str, arguments)], stdout=subprocess.DEVNULL)
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
