"""A microphone on a virtual clock that fails as real ones do: unplugged, stalled, silent, mad, for a random while."""

import random
from collections import Counter

import numpy as np

from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.source import Capture
from asit_edge.errors import AsitEdgeError
from tests.listen.virtual import VirtualClock

RATE = 16_000
BLOCK = 0.25
"""Seconds between the blocks of a device."""


IMPOSSIBLE = "impossible samples"
NO_SAMPLES = (float("nan"), float("inf"), float("-inf"), 1e25, -1e25)
"""What no microphone gives, and drivers do."""


class Device:
    """A microphone with a life of its own; `delivered` counts the seconds of real sound that the ring was given."""

    live = True
    longest_pause = 2.0

    def __init__(self, name: str, rng: random.Random, clock: VirtualClock, calm: float) -> None:
        self.name = name
        self.delivered = self.silent = 0.0
        self.faults: Counter[str] = Counter()
        self.off = False
        self._rng, self._clock, self._calm = rng, clock, calm
        self._capture: DeviceCapture | None = None
        self._next = clock.steady() + rng.uniform(30, 300)
        self.fault, self._until, self._kept = "", 0.0, 0.0
        self._time = clock.steady()
        size = round(BLOCK * RATE)
        noise = np.random.default_rng(rng.randrange(1 << 30)).standard_normal(RATE).astype(np.float32)
        self._quiet, self._loud = (1e-3 * noise)[:size, None], (0.3 * noise)[:size, None]
        self._zero = np.zeros_like(self._quiet)
        self._mad = self._quiet.copy()
        self._mad[:: len(self._mad) // len(NO_SAMPLES), 0] = NO_SAMPLES

    def open(self) -> Capture:
        if self.fault == "unplugged":
            raise AsitEdgeError("no input device")
        self._capture = DeviceCapture()
        self._time = self._clock.steady()
        return self._capture

    def drop(self) -> None:
        """Whoever listened is gone; what was kept for it, too."""
        self._capture, self._kept = None, 0.0

    def sleep(self, seconds: float) -> None:
        """The machine sleeps: nothing is recorded."""
        self._time += seconds
        self._next += seconds
        self._until += seconds if self.fault else 0

    def live_on(self) -> None:
        """Up to now: delivers, or does not."""
        now = self._clock.steady()
        while self._time + BLOCK <= now:
            self._time += BLOCK
            self._change(self._time)
            capture = self._capture
            if capture is None or capture.ended is not None:
                continue
            if self.fault in ("", "digital silence", IMPOSSIBLE):
                self._deliver(capture, 1)
            elif self.fault == "stall that keeps":
                self._kept += BLOCK

    def _deliver(self, capture: "DeviceCapture", blocks: int) -> None:
        for _ in range(blocks):
            if self.fault == "digital silence":
                self.silent += BLOCK
                block = self._zero
            else:
                self.delivered += BLOCK
                loud = int(self._time) % 37 < 3
                block = self._mad if self.fault == IMPOSSIBLE else self._loud if loud else self._quiet
            capture.ring.write(block, self._time)

    def _change(self, now: float) -> None:
        if self.fault and now >= self._until:
            if self.fault == "stall that keeps" and self._capture and self._capture.ended is None:
                self.fault = ""
                self._deliver(self._capture, round(self._kept / BLOCK))
            self.fault, self._kept = "", 0.0
            self._next = now + self._calm * self._rng.uniform(60, 600)
        elif not self.fault and now >= self._next and self._capture and self._capture.ended is None:
            lengths = {
                "unplugged": (0.5, 300),
                "stall that keeps": (0.5, 8),
                "stall that loses": (1.5, 60),
                "digital silence": (45, 300),
                IMPOSSIBLE: (0.1, 30),
            }
            if self.off:  # silence of which a part is muted and a part too short to be noticed cannot be predicted
                del lengths["digital silence"]
            self.fault = self._rng.choice(list(lengths))
            self.faults[self.fault] += 1
            self._until = now + self._rng.uniform(*lengths[self.fault])
            if self.fault == "unplugged":
                self._capture.ended = "unplugged"


class DeviceCapture:
    rate = RATE

    def __init__(self) -> None:
        self.ring = Ring(30 * RATE)
        self.ended: str | None = None

    def stop(self) -> None:
        self.ended = self.ended or ""
