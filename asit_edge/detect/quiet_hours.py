"""Quiet hours: which classes are not reported at a time of day. Local time; pure but for the time zone."""

from collections.abc import Sequence
from datetime import datetime

from asit_edge.config.events import QuietHours


def minutes(text: str) -> int:
    """ "22:30" to minutes since midnight."""
    hours, _, rest = text.partition(":")
    return 60 * int(hours) + int(rest)


def holds(entry: QuietHours, epoch: float) -> bool:
    """Whether it is that time of day at `epoch`, seconds since 1970, where this machine is."""
    local = datetime.fromtimestamp(epoch)
    now, begin, end = 60 * local.hour + local.minute, minutes(entry.begin), minutes(entry.end)
    return begin <= now < end if begin < end else now >= begin or now < end


class QuietTimes:
    """The quiet hours of one source."""

    def __init__(self, entries: Sequence[QuietHours], source: str, labels: Sequence[str]) -> None:
        """`labels` are the model's, in its order."""
        self._entries = [entry for entry in entries if entry.sources is None or source in entry.sources]
        self._labels = list(labels)

    def muting(self, epoch: float) -> QuietHours | None:
        """The entry that mutes the whole source now."""
        return next((entry for entry in self._entries if entry.labels is None and holds(entry, epoch)), None)

    def muted_labels(self, epoch: float) -> frozenset[int]:
        """The classes that are not reported now."""
        return frozenset(
            self._labels.index(name)
            for entry in self._entries
            if entry.labels is not None and holds(entry, epoch)
            for name in entry.labels
        )
