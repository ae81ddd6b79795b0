"""Published models beside ours, under the same code: windows that end with each decision, as a device would run them.

A peer is a `SoundModel`: YAMNet looks at 0.975 s every 0.48 s, EfficientAT at 2 s every 0.32 s. It has no thresholds of
its own, so events start at the defaults. A clip's score is the mean of its decisions, whose first windows begin in the
silence before the clip. On short clips that was better for both than windows that begin with the clip: on the left-out
ones mAP 0.689 and 0.676, not 0.655 and 0.648.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soxr

from asit_edge.audio.samples import Samples
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.labels import Label
from asit_edge.model.frontend import FrontEnd
from trainer.data.audioset import label_for
from trainer.evaluation.detection import Timeline
from trainer.evaluation.scoring import DEFAULT_OFF, DEFAULT_ON, SoundModel, event_settings
from trainer.teachers.efficientat import EfficientAt
from trainer.teachers.teacher import Teacher
from trainer.teachers.yamnet import YamNet

BATCH = 32


class Peer:
    """A window model that decides every `hop` samples at its own rate."""

    def __init__(self, name: str, teacher: Teacher, hop: int, cache: Path | None = None) -> None:
        """In `cache`, a folder of this model alone, scores are kept by what they are of."""
        self.name, self._teacher, self._hop, self._cache = name, teacher, hop, cache
        self.labels: list[Label] = [label_for(label) for label in teacher.labels]
        self.spec = FrontEnd(sample_rate=teacher.rate)
        self.classes = default_classes(len(self.labels), teacher.rate)

    def timeline(self, samples: Samples) -> Timeline:
        """A decision every hop, by the window that ends with it; before the recording there was silence."""
        window, hop = self._teacher.window, self._hop
        count = max(-(-len(samples) // hop), 1)
        heard = np.zeros(window + (count - 1) * hop, np.float32)
        heard[window - hop : window - hop + len(samples)] = samples
        edges = np.minimum(np.arange(count + 1) * hop, max(len(samples), 1))
        return Timeline(edges / self.spec.sample_rate, self._score(heard))

    def clips(self, waveforms: Iterable[Samples]) -> Samples:
        """Scores (clips, labels): the mean of decisions, as ours."""
        return np.stack([self.timeline(samples).scores.mean(axis=0) for samples in waveforms])

    def _score(self, heard: Samples) -> Samples:
        """Every window of these samples, (windows, labels); rounded to float16, as they are kept."""
        file = self._cache and self._cache / f"{hashlib.sha256(heard.tobytes()).hexdigest()[:24]}.npy"
        if file and file.is_file():
            return np.load(file).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(heard, self._teacher.window)[:: self._hop]
        parts = [self._teacher.score(windows[start : start + BATCH].copy()) for start in range(0, len(windows), BATCH)]
        scores = np.concatenate(parts).astype(np.float16)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(".part")
            with aside.open("wb") as out:
                np.save(out, scores)
            aside.replace(file)
        return scores.astype(np.float32)


class MeanOfPeers:
    """The mean of several models' probabilities, of each label over those that have it."""

    def __init__(self, peers: Sequence[SoundModel]) -> None:
        """It decides when the first one does, by what the others decided last; labels are those of all of them."""
        self._peers = peers
        self.name = "mean of " + " and ".join(peer.name for peer in peers)
        self.labels = list({label.name: label for peer in peers for label in peer.labels}.values())
        self.spec = FrontEnd(sample_rate=max(peer.spec.sample_rate for peer in peers))
        self.classes = default_classes(len(self.labels), self.spec.sample_rate)

    def timeline(self, samples: Samples) -> Timeline:
        lines = [peer.timeline(self._for(peer, samples)) for peer in self._peers]
        edges = lines[0].edges
        current = [
            line.scores[np.maximum(np.searchsorted(line.edges[1:], edges[1:] + 1e-6, side="right") - 1, 0)]
            for line in lines
        ]
        return Timeline(edges, self._mean(current))

    def clips(self, waveforms: Iterable[Samples]) -> Samples:
        """Scores (clips, labels): the mean of decisions, as ours."""
        return np.stack([self.timeline(samples).scores.mean(axis=0) for samples in waveforms])

    def _for(self, peer: SoundModel, samples: Samples) -> Samples:
        ours, theirs = self.spec.sample_rate, peer.spec.sample_rate
        return soxr.resample(samples, ours, theirs).astype(np.float32) if ours != theirs else samples

    def _mean(self, scores: Sequence[Samples]) -> Samples:
        places = {label.name: place for place, label in enumerate(self.labels)}
        total = np.zeros((len(scores[0]), len(places)), np.float32)
        count = np.zeros(len(places), np.float32)
        for peer, own in zip(self._peers, scores, strict=True):
            columns = [places[label.name] for label in peer.labels]
            total[:, columns] += own
            count[columns] += 1
        return total / count


def default_classes(count: int, rate: int) -> list[ClassSettings | None]:
    """How events are made of so many labels that have no thresholds of their own."""
    return event_settings([(DEFAULT_ON, DEFAULT_OFF)] * count, rate)


def open_yamnet(file: Path, cache: Path | None = None) -> Peer:
    """Raises WrongUse or AsitEdgeError."""
    return Peer("YAMNet", YamNet(file), YamNet.hop, _folder(cache, file))


def open_efficientat(file: Path, cache: Path | None = None) -> Peer:
    """Raises AsitEdgeError."""
    name = "EfficientAT " + file.stem.removeprefix("efficientat_").partition("_")[0]
    return Peer(name, EfficientAt(file), round(0.32 * EfficientAt.rate), _folder(cache, file))


def _folder(cache: Path | None, file: Path) -> Path | None:
    return cache and cache / f"{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
