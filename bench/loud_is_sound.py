"""A model for which what is loud is a sound: it computes nothing, and can be made slow, on a virtual clock."""

from collections.abc import Sequence

import numpy as np

from asit_edge.model.bundle import BundleLabel, Manifest, WindowModel
from asit_edge.model.frontend import FrontEnd
from tests.listen.virtual import VirtualClock


class LoudIsSound:
    """A classifier for which a chunk is a sound if it is loud, and which can be made slow."""

    chunk, steps, most_skimmed = 20, 1, 3

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.seconds = 0.0

    def open(self) -> list[float]:
        return []

    def skim(self, chunks: np.ndarray, memories: Sequence[list[float]]) -> None: ...

    def step(self, chunks: np.ndarray, memories: Sequence[list[float]]) -> np.ndarray:
        self._clock.advance(self.seconds)
        loud = chunks.mean(axis=(1, 2)) > 0.0
        return np.stack([loud * 0.9, ~loud * 0.1], axis=1)[:, None].astype(np.float32)


def manifest() -> Manifest:
    labels = [BundleLabel(name=name, id=name, on_threshold=0.5, off_threshold=0.3) for name in ("Loud", "Quiet")]
    return Manifest(
        name="loud",
        version="1",
        license="none",
        labels=labels,
        front_end=FrontEnd(mels=8, hop=400, low_hz=200),
        model=WindowModel(frames=80, interval=20),
        files={"model.onnx": ""},
    )
