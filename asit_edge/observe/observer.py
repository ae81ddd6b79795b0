"""What an observer of the listening gets to see; one overrides what it wants to know.

Clips, the page and the metrics are observers. Methods are called in the threads of the listening: they must return at
once, wait for no disk and no network, and leave what they are given unchanged. One that raises is not asked again.
"""

from collections.abc import Sequence

from asit_edge.audio.samples import Samples
from asit_edge.config.root import Config
from asit_edge.messages.event import Event
from asit_edge.messages.report import Adjusted, Gap, Level, Status
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores


class Observer:
    """Sees nothing until its methods say what to do."""

    # In the listening loop's thread.

    def heard(self, source: str, epoch: float, samples: Samples, rate: int) -> None:
        """Mono samples (n,) from -1 to 1 at `rate` Hz; the first was heard at `epoch` (seconds, to the millisecond).

        They follow on from those before, unless `epoch` says otherwise: then audio was missed between, or the times of
        the source have been corrected.
        """

    def scored(self, source: str, epoch: float, scores: Scores) -> None:
        """Probabilities (steps, classes) of the newest chunk, which ended at `epoch`; classes as the manifest has
        them."""

    def decided(self, streams: int, seconds: float) -> None:
        """So many streams' chunks were scored in one batch, which took so long."""

    def level(self, level: Level) -> None:
        """How loud a source was, once a second."""

    def configured(self, config: Config) -> None:
        """It is in force from now on: other settings of events, other sources; `know` follows, then what is new."""

    # In the thread that announces, in order.

    def clip(self, event: Event) -> str | None:
        """What `clip` of an event that ends is to say, before it is committed: where its recording will be, if it is to
        have one."""

    def events(self, source: str, events: Sequence[Event]) -> None:
        """As they were committed, numbered; the broker may not have them yet."""

    def status(self, status: Status) -> None: ...

    def gap(self, gap: Gap) -> None: ...

    def know(self, manifest: Manifest) -> None:
        """Labels have come after those that there were, or are not reported any more."""

    def threshold(self, source: str, label: str, on: float) -> None:
        """From now on events of this label (its display name) begin at that score."""

    def adjusted(self, adjusted: Adjusted) -> None:
        """What differs from now on from the configuration of a source: all of it. The first comes at the start."""
