"""What becomes of a source, as its supervisor finds out: facts go from a tick to whoever announces them."""

from dataclasses import dataclass
from typing import NamedTuple

from asit_edge.audio.level import Loudness
from asit_edge.detect.tracker import Change
from asit_edge.messages.report import State


@dataclass(frozen=True)
class Changed:
    """Events of the source began, went on or ended."""

    changes: list[Change]


@dataclass(frozen=True)
class Missed:
    """Audio that was not heard: from and to, in epoch seconds, and why."""

    begin: float
    end: float
    cause: str


@dataclass(frozen=True)
class Became:
    """The source is in another state, or in the same one for another reason."""

    state: State
    detail: str


Fact = Changed | Missed | Became | Loudness


class Tick(NamedTuple):
    """What a tick found, in order; `busy` if there may be more to do at once."""

    facts: list[Fact]
    busy: bool
