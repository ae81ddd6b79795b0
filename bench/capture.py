"""What capturing costs: the time that the audio callback takes, and the processor time of listening without a model.

    python bench/capture.py [--device pulse] [--seconds 60]

Needs a microphone. The second figure is of everything but the model: capture, resampling, log-mel, tracker, levels.
"""

import argparse
import io
import logging
import queue
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from asit_edge.assembly import load_model, open_source
from asit_edge.audio.clock import SystemClock
from asit_edge.audio.sources.microphone import MicrophoneCapture
from asit_edge.config.root import Config
from asit_edge.listen.loop import ListeningLoop
from asit_edge.listen.run import IDLE
from asit_edge.messages.event import Event
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.commands import Command


class Nobody:
    """An announcer to whom nothing matters."""

    def __init__(self) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def start(self) -> None: ...

    def stop(self, seconds: float) -> None: ...

    def events(self, source: str, events: list[Event]) -> list[Event]:
        return events

    def status(self, status: object) -> None: ...

    def level(self, level: object) -> None: ...

    def gap(self, gap: object) -> None: ...

    def know(self, manifest: Manifest) -> None: ...

    def threshold(self, source: str, label: str, on: float) -> None: ...

    def adjusted(self, adjusted: object) -> None: ...


class NoModel:
    """Hears nothing, in no time, in the chunks of the model that it stands for."""

    def __init__(self, chunk: int, classes: int) -> None:
        self.chunk, self.steps = chunk, 1
        self._classes = classes

    def open(self) -> None: ...

    def step(self, chunks: np.ndarray, memories: Sequence[None]) -> np.ndarray:
        return np.zeros((len(chunks), 1, self._classes), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=None)
    parser.add_argument("--seconds", type=float, default=60)
    own = parser.parse_args()
    logging.disable(logging.INFO)
    config = Config.model_validate(
        {"device": "bench", "sources": [{"type": "microphone", "device": own.device, "silent_after": 0}]}
    )
    model = load_model(config)
    none = NoModel(model.classifier.chunk, len(model.classes))
    object.__setattr__(model, "classifier", none)
    times: list[int] = []
    callback = MicrophoneCapture._on_audio

    def timed(self: MicrophoneCapture, *arguments: Any) -> None:
        began = time.perf_counter_ns()
        callback(self, *arguments)
        times.append(time.perf_counter_ns() - began)

    MicrophoneCapture._on_audio = timed  # type: ignore[method-assign,assignment]
    source = open_source(config.sources[0], model.manifest.front_end.sample_rate)
    loop = ListeningLoop(config, model, [source], Nobody(), io.StringIO(), SystemClock())
    loop.start()
    settled = time.monotonic() + 3
    while time.monotonic() < settled:
        if not loop.tick():
            time.sleep(IDLE)
    times.clear()
    began, spent = time.monotonic(), time.process_time()
    while time.monotonic() - began < own.seconds:
        if not loop.tick():
            time.sleep(IDLE)
    lasted, spent = time.monotonic() - began, time.process_time() - spent
    loop.stop()
    micros = np.array(times) / 1_000
    print(
        f"callback: {len(micros)} calls, median {np.median(micros):.1f} us, p99.9 {np.quantile(micros, 0.999):.1f} us,"
    )
    print(f"          worst {micros.max():.1f} us; a block every {lasted / len(micros) * 1e3:.1f} ms")
    print(f"listening without a model: {100 * spent / lasted:.2f} % of a core over {lasted:.0f} s")


if __name__ == "__main__":
    main()
