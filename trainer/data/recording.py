"""One recording and what is known of it: whose, labelled how, cut from what. Every reader lists them, every task uses
them; nothing here opens a file.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


@dataclass(frozen=True)
class StrongLabel:
    """A class that is active from `onset` to `offset`, in seconds of the recording."""

    onset: float
    offset: float
    category: str


@dataclass(frozen=True)
class TrueEvent:
    """A strong label by the number of its class among those of a data set or a model."""

    onset: float
    offset: float
    label: int


class Role(str, Enum):
    """What a recording is for."""

    SOUND = "sound"
    ROOM_RESPONSE = "room_response"
    """A room's answer to an impulse: something to hear sounds through, not a sound."""


@dataclass(frozen=True)
class Recording:
    """An audio file, or the part of it from `start` that lasts `seconds` (None: to its end)."""

    path: Path
    labels: tuple[str, ...] = ()
    """Its classes, by display name; none where nobody said, or where it is a negative."""
    group: str | None = None
    """What it was cut from: recordings of one group are never split between training and test, because they sound
    alike. None where nobody knows."""
    part: str | None = None
    """The publisher's split: train, validation or test, or the number of a fold."""
    events: tuple[StrongLabel, ...] | None = None
    """None: the labels are of the whole recording."""
    start: float = 0.0
    seconds: float | None = None
    inside: tuple[int, int] | None = None
    """Offset and size, in bytes, of the audio file inside of `path`, a shard; None: the whole file."""
    sketch: bytes = b""
    """What it sounds like (`trainer.evaluation.content`), where a shard's index says it."""
    name: str = ""
    """Where it is within its collection, or its AudioSet id, where stored results and reports name it by that."""
    sharealike: bool = False
    """Whether the licence of weights that learnt from it would have to follow its own."""
    role: Role = Role.SOUND

    @property
    def label(self) -> str:
        """The first label, empty where there is none."""
        return self.labels[0] if self.labels else ""

    @property
    def fold(self) -> int | None:
        """The number of its fold, None where it has none."""
        return int(self.part) if self.part is not None and self.part.isdigit() else None

    @property
    def shown(self) -> str:
        """For people: where it is."""
        return str(self.path) if self.inside is None else f"{self.path} ({self.name})"

    @property
    def origin(self) -> str:
        """Its group; the file itself where nobody knows."""
        return self.group if self.group is not None else str(self.path)
