"""Whether somebody may have spoken in a stretch of time, by all that a model said of it. Pure.

In doubt it was speech: the score from which on it counts is low, and what the model has not looked at counts as well.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from asit_edge.labels import Label, slug
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores

SPEECH = {
    "/m/09x0r": "Speech",
    "/m/05zppz": "Male speech, man speaking",
    "/m/02zsn": "Female speech, woman speaking",
    "/m/0ytgt": "Child speech, kid speaking",
    "/m/01h8n0": "Conversation",
    "/m/02qldy": "Narration, monologue",
    "/m/0261r1": "Babbling",
    "/m/0brhx": "Speech synthesizer",
    "/m/07p6fty": "Shout",
    "/m/07q4ntr": "Bellow",
    "/m/07sr1lc": "Yell",
    "/t/dd00135": "Children shouting",
    "/m/02rtxlg": "Whispering",
    "/m/07rkbfh": "Chatter",
    "/m/07qfr4h": "Hubbub, speech noise, speech babble",
    "/m/06bxc": "Rapping",
}
"""AudioSet's classes in which there are words, by id."""

NEAR = 5.0
"""Seconds before and behind a clip in which nobody may have spoken either."""

SETTLED = 1.0
"""Seconds for which a model must have listened on, until it is believed that nobody spoke."""

ROUNDING = 0.05
"""Seconds between chunks that are none."""

MOST = 20_000
"""Scores that are remembered, however often a model decides."""

_SLUGS = {slug(name) for name in SPEECH.values()}


def is_speech(label: Label) -> bool:
    """By its AudioSet id, or by its name where it has an id of its own."""
    return label.id in SPEECH or slug(label.name) in _SLUGS


def speech_columns(manifest: Manifest) -> list[int]:
    """The classes of a model in which there are words."""
    return [column for column, label in enumerate(manifest.labels) if is_speech(label)]


def reach(manifest: Manifest) -> float:
    """Seconds that a model has looked at when it gives scores: they end where its scores do."""
    front_end = manifest.front_end
    return manifest.model.frames * front_end.hop / front_end.sample_rate


class _Looked(NamedTuple):
    begin: float
    end: float
    spoken: bool


class SpeechLedger:
    """What a model said of one source in the last seconds; all times are seconds since the epoch."""

    def __init__(self, columns: Sequence[int], threshold: float, reach: float, seconds: float) -> None:
        """`columns` are the classes that are speech, `reach` is what scores cover, `seconds` what is remembered."""
        self._columns, self._threshold, self._reach = list(columns), threshold, reach
        self._seconds = seconds
        self._looked: deque[_Looked] = deque(maxlen=MOST)

    @property
    def until(self) -> float:
        """The end of what has been looked at; minus infinity before anything has."""
        return self._looked[-1].end if self._looked else float("-inf")

    def score(self, end: float, scores: Scores) -> None:
        """Scores (steps, classes) of the audio that ended then."""
        self._looked.append(_Looked(end - self._reach, end, bool((scores[:, self._columns] >= self._threshold).any())))
        while self._looked[0].end < end - self._seconds:
            self._looked.popleft()

    def spoken(self, begin: float, end: float) -> bool:
        """Somebody may have spoken between these, or near."""
        return any(one.spoken and one.begin < end + NEAR and one.end > begin - NEAR for one in self._looked)

    def covered(self, begin: float, end: float) -> bool:
        """All between these has been looked at."""
        reached = begin
        for one in sorted(self._looked):
            if one.begin > reached + ROUNDING:
                break
            reached = max(reached, one.end)
        return reached >= end - ROUNDING
