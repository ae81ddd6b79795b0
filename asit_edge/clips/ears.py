"""Who may have spoken near a clip: what the model said of each source, and of the others in its room."""

from collections.abc import Callable, Mapping, Sequence

from asit_edge.clips.speech import NEAR, SETTLED, SpeechLedger, reach, speech_columns
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import Manifest
from asit_edge.model.classifier import Scores


class Ears:
    """Of all sources of a device where no clip may have speech in it."""

    margin = NEAR
    """Seconds behind a clip in which it still matters what is heard."""

    def __init__(
        self,
        ledgers: Mapping[str, SpeechLedger],
        rooms: Sequence[Sequence[str]],
        another: Callable[[], SpeechLedger] | None = None,
    ) -> None:
        """`another` makes the ledger of a source that is new."""
        self._ledgers, self._another = dict(ledgers), another
        self._rooms = {source: next((room for room in rooms if source in room), [source]) for source in ledgers}

    @classmethod
    def open(cls, config: Config, manifest: Manifest, seconds: float) -> "Ears":
        """Remembers so many seconds. Raises WrongUse where the model, or the configuration, leaves speech unheard."""
        columns = speech_columns(manifest)
        if not columns:
            raise WrongUse(
                f"clips.speech: never needs a model that knows speech, and {manifest.name} has no label for it; choose "
                "another model, or set clips.speech to keep"
            )
        if config.events.silence_gate is not None:
            raise WrongUse(
                "clips.speech: never needs a model that is always asked, and below events.silence_gate it is not; set "
                "events.silence_gate to null, or clips.speech to keep"
            )
        threshold, covers = config.clips.speech_score, reach(manifest)

        def another() -> SpeechLedger:
            return SpeechLedger(columns, threshold, covers, seconds)

        return cls({source: another() for source in config.source_names}, config.events.same_room, another)

    def hear_of(self, sources: Sequence[str]) -> None:
        """There are these sources from now on; what was heard of others is kept for clips that are still to come."""
        for source in sources:
            if source not in self._ledgers and self._another:
                self._ledgers[source], self._rooms[source] = self._another(), [source]

    def score(self, source: str, end: float, scores: Scores) -> None:
        """Scores of the audio that ended then, in seconds since the epoch."""
        self._ledgers[source].score(end, scores)

    def settled(self, source: str, until: float) -> bool:
        """All has been looked at that says whether anybody spoke until then, or near."""
        return self._ledgers[source].until >= until + NEAR

    def believed(self, source: str, until: float) -> float:
        """The end of what may be kept of a clip until then: the model has listened on behind it."""
        return min(until, self._ledgers[source].until - SETTLED)

    def spoken(self, source: str, begin: float, until: float) -> bool:
        """Somebody may have spoken between these times, or near, by what has been looked at so far."""
        return any(self._ledgers[one].spoken(begin, until) for one in self._rooms[source])

    def covered(self, source: str, begin: float, until: float) -> bool:
        """All between these times has been looked at."""
        return self._ledgers[source].covered(begin, until)
