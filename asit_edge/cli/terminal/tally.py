"""What one sitting has come to: events by label, how much was heard, what was missed; told as one line at its end."""

from collections import Counter
from collections.abc import Sequence

from asit_edge.audio.samples import Samples
from asit_edge.errors import readable
from asit_edge.messages.event import Event
from asit_edge.messages.report import Status
from asit_edge.observe.observer import Observer

NAMED = 5
"""Labels that are named, the most frequent ones."""


class Tally(Observer):
    """Counts."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        """Events that have begun; what goes on in another for its length counts once."""
        self._taken: dict[str, float] = {}
        self._status: dict[str, Status] = {}

    @property
    def seconds(self) -> float:
        """Heard, of all sources together; of one that has stopped, without what turned out to be digital silence."""
        over = {name: one.heard for name, one in self._status.items() if one.state == "stopped"}
        return sum({**self._taken, **over}.values())

    @property
    def gaps(self) -> int:
        return sum(one.gaps for one in self._status.values())

    @property
    def lost(self) -> float:
        """Seconds, of all sources together."""
        return sum(one.lost for one in self._status.values())

    @property
    def begun(self) -> int:
        """Events."""
        return sum(self.labels.values())

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        self._taken[source] = self._taken.get(source, 0.0) + len(samples) / rate

    def events(self, source: str, events: Sequence[Event]) -> None:
        self.labels.update(one.label for one in events if one.type == "new" and one.continues is None)

    def status(self, status: Status) -> None:
        self._status[status.source] = status

    def summary(self) -> str:
        """One line."""
        missed = f"{self.gaps} gap{'s' if self.gaps > 1 else ''} ({in_words(self.lost)})" if self.gaps else "no gaps"
        count = self.begun
        told = f"heard {in_words(self.seconds)}, {missed}; {count or 'no'} event{'s' if count != 1 else ''}"
        if not count:
            return told
        most = self.labels.most_common(NAMED)
        named = [f"{readable(label)} {number}" for label, number in most]
        rest = count - sum(number for _, number in most)
        return f"{told}: {' · '.join([*named, *([f'others {rest}'] if rest else [])])}"


def in_words(seconds: float) -> str:
    """A duration as one would say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
