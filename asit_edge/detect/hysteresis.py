"""The sounds of one class as a state machine: hysteresis, merging, the shortest that counts, the pause after. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassSettings:
    """How one class becomes events. Scores from 0 to 1, durations in samples."""

    on: float
    off: float
    min_duration: int = 0
    merge_gap: int = 0
    cooldown: int = 0
    update_every: int = 0
    """At most one `update` in this many samples, sent while the event lasts; 0 for none."""
    max_duration: int = 0
    """No event lasts longer, unless a single decision does; 0 for no limit."""

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on <= 1:
            raise ValueError(f"thresholds must be 0 < off <= on <= 1, not off {self.off}, on {self.on}")
        if min(self.min_duration, self.merge_gap, self.cooldown, self.update_every, self.max_duration) < 0:
            raise ValueError("durations must not be negative")


class Hysteresis:
    """The sounds of one class: hysteresis, merging, the shortest that counts, the pause after."""

    def __init__(self, label: int, settings: ClassSettings) -> None:
        self.label = label
        self.settings = settings
        self.onset: int | None = None
        self.heard_until = 0
        self.peak = 0.0
        self._counts = False
        self._blocked_until = 0

    def over(self, start: int, end: int, score: float) -> int | None:
        """The offset of a sound that counted and is over: quiet, this audio included, for longer than may be merged."""
        if self.onset is None:
            return None
        resumes = score >= self.settings.on or (self.heard_until == start and score >= self.settings.off)
        quiet_until = start if resumes else end
        return self._end(self.heard_until) if quiet_until - self.heard_until > self.settings.merge_gap else None

    def step(self, start: int, end: int, score: float) -> bool:
        """True if a sound has now lasted long enough to count."""
        active = self.onset is not None and self.heard_until == start
        if score >= self.settings.on or (active and score >= self.settings.off):
            if self.onset is None:
                if start < self._blocked_until:
                    return False
                self.onset, self._counts, self.peak = start, False, 0.0
            self.heard_until = end
            self.peak = max(self.peak, score)
        if self.onset is None or self._counts:
            return False
        self._counts = self.heard_until - self.onset >= max(self.settings.min_duration, 1)
        return self._counts

    def finish(self, position: int) -> int | None:
        """The offset of a sound that counted, because the audio stops at `position`."""
        return None if self.onset is None else self._end(min(self.heard_until, max(position, self.onset)))

    def _end(self, offset: int) -> int | None:
        self.onset = None
        if not self._counts:
            return None
        self._blocked_until = offset + self.settings.cooldown
        return offset
