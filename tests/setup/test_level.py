"""What the level of a source says, and that a source that does not answer is given up."""

import threading
import time

import numpy as np
import pytest

from asit_edge.audio.ring import Ring
from asit_edge.errors import AsitEdgeError
from asit_edge.setup import level
from asit_edge.setup.level import Level, level_of, listen_to

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
SINE = np.sin(2 * np.pi * 440 * TIME).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "verdict", "words"),
    [
        (np.zeros(2 * RATE, np.float32), "silent", "switched off, or muted"),
        (np.full(2 * RATE, 0.25, np.float32), "silent", "every sample is the same"),
        (SINE * np.float32(1e-4), "too quiet", "too quiet (-80 dBFS, peak -80)"),
        (SINE * np.float32(0.1), "good", "good (-20 dBFS, peak -20)"),
        (np.clip(SINE * 4, -1, 1), "clipping", "turn its volume down"),
    ],
)
def test_levels(samples: np.ndarray, verdict: str, words: str) -> None:
    found = level_of(samples, RATE)
    assert found.verdict == verdict
    assert words in found.sentence
    assert found.good == (verdict == "good")


class Recorded:
    """A capture of two channels that has what it has."""

    rate = RATE

    def __init__(self, samples: np.ndarray, ended: str | None) -> None:
        self.ring = Ring(10 * RATE, 2)
        self.samples = samples
        self._ended = ended
        self.stopped = False

    def deliver(self) -> None:
        time.sleep(0.05)
        if not self.stopped:
            self.ring.write(np.stack([self.samples, self.samples], axis=1).astype(np.float32))

    @property
    def ended(self) -> str | None:
        return "" if self.stopped else self._ended

    def stop(self) -> None:
        self.stopped = True


class Box:
    name, live, longest_pause = "box", True, None

    def __init__(self, capture: Recorded | Exception | None) -> None:
        self.capture = capture

    def open(self) -> Recorded:
        if self.capture is None:
            time.sleep(5)
            raise AsitEdgeError("too late")
        if isinstance(self.capture, Exception):
            raise self.capture
        threading.Thread(target=self.capture.deliver).start()
        return self.capture


def test_a_source_is_heard_and_closed_again() -> None:
    capture = Recorded(SINE * 0.1, None)
    assert listen_to(Box(capture)) == Level("good", -20.0, -20.0)
    for _ in range(100):
        if not capture.stopped:
            time.sleep(0.01)
    assert capture.stopped


@pytest.mark.parametrize(
    ("capture", "message"),
    [
        (AsitEdgeError("no input device"), "no input device"),
        (Recorded(SINE[:0], "unplugged"), "unplugged"),
        (Recorded(SINE[:0], None), "box: nothing has come within"),
        (None, "box: nothing has come within"),
    ],
)
def test_what_cannot_be_heard_says_why(
    capture: Recorded | Exception | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(level, "PATIENCE", -1.8)
    with pytest.raises(AsitEdgeError, match=message):
        listen_to(Box(capture))
