"""Whether a listener does what it is there for, and what is wrong if it does not. Pure: time comes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asit_edge.deliver.delivery import Standing
from asit_edge.messages.report import Status

ROUND_SECONDS = 10.0
"""The loop's rounds come every 20 ms; a batch on a slow device may take a second."""

STILL_SECONDS = 30.0
"""After so long without decisions on audio that comes, the model hangs."""

UNANSWERED_SECONDS = 30.0
"""After so long without an answer from the store, its disk hangs."""

WHY = {
    "starting": "is being opened; nothing was heard yet",
    "silent_device": "delivers digital silence: it is switched off, or muted in the system",
    "stalled": "is open, but nothing comes",
    "lost": "is not there, or broke off; it is tried again and again",
    "recovering": "was opened again; nothing was heard yet",
    "failed": "cannot be opened as configured",
    "stopped": "has come to its end",
}
"""What each state means in which nothing is heard, though something should be."""


@dataclass
class Rounds:
    """What is known of the listening loop: times in seconds of the monotonic clock."""

    last: float | None = None
    """The newest round; None before the first."""
    moved: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By source from which audio comes: its progress, and when that has last changed."""

    def beat(self, progress: Mapping[str, int], now: float) -> None:
        """A round was made; `progress` as `ListeningLoop.progress` has it."""
        self.last = now
        before = self.moved
        if before.keys() == progress.keys() and all(before[name][0] == number for name, number in progress.items()):
            return
        self.moved = {
            name: before[name] if name in before and before[name][0] == number else (number, now)
            for name, number in progress.items()
        }


def problems(
    statuses: Mapping[str, Status | None], rounds: Rounds, standing: Standing | None, unanswered: float, now: float
) -> list[str]:
    """All that is wrong, in words for the user; none if every source is listened to, or muted on purpose.

    `standing` is the newest answer of store and sinks, `unanswered` how long they have been asked again since.
    """
    found = []
    for source, status in statuses.items():
        state = status.state if status else "starting"
        if state in WHY:
            detail = f" ({status.detail})" if status and status.detail else ""
            found.append(f"source {source}: {WHY[state]}{detail}")
    if rounds.last is None:
        found.append("listening has not begun yet")
    elif now - rounds.last > ROUND_SECONDS:
        found.append(f"the listening loop has stood still for {now - rounds.last:.0f} s")
    else:
        found += [
            f"source {source}: audio comes, but for {now - since:.0f} s nothing was decided"
            for source, (_, since) in rounds.moved.items()
            if now - since > STILL_SECONDS
        ]
    if unanswered > UNANSWERED_SECONDS:
        found.append(f"the event store has not answered for {unanswered:.0f} s; does its disk hang?")
    elif standing:
        found += [problem for problem in standing.problems.values() if problem]
    return found
