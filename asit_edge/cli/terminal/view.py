"""Puts the parts of the live picture together, and takes them apart again, whatever happened meanwhile."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO

from rich.text import Text

from asit_edge.cli.shared.talk import talk_handlers, talk_never_waiting, talking_to
from asit_edge.cli.terminal.divert import diverted
from asit_edge.cli.terminal.event_line import Style, event_line
from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import is_terminal, look_at
from asit_edge.cli.terminal.meter import foot
from asit_edge.cli.terminal.screen import Screen
from asit_edge.cli.terminal.watch import Moment, Thresholds, Watch
from asit_edge.messages.event import Event

log = logging.getLogger(__name__)

LAST_PICTURE = 1.0
"""Seconds that a terminal gets, at the end, for what it has not shown yet."""

Now = Callable[[Moment], float]
"""Seconds since the epoch up to which what goes on has lasted."""


def this_moment(moment: Moment) -> float:
    """Of what is heard as it happens."""
    return time.time()


@contextmanager
def live(
    stream: TextIO,
    title: Callable[[Moment], str],
    style: Style,
    thresholds: Thresholds,
    sources: Sequence[str] = (),
    *,
    now: Now = this_moment,
    dated: bool = True,
    patient: bool = False,
) -> Iterator[Watch]:
    """Lines of events that are over, and under them what goes on; in the end one line of what it has come to.

    `dated`: a line says so when another day has begun. `patient` as for `Screen`.
    """
    days = [day_of(time.time())]

    def ended(event: Event) -> None:
        if dated and (day := day_of(event.onset_epoch)) != days[-1]:
            days.append(day)
            screen.put(lambda width: Text(f"── {day} ──", "bright_black"))
        screen.put(lambda width: event_line(event, width, style))

    watch = Watch(thresholds, ended, sources)

    def painted(width: int, most: int) -> Sequence[Text]:
        moment = watch.moment()
        return foot(moment, title(moment), width, most, style, now(moment))

    screen = Screen(stream.fileno(), Ink(look_at(stream)), painted, patient=patient)
    try:
        with _stopped_in_order(screen), _talk_on(screen, stream):
            yield watch
    finally:
        told = watch.tally.summary() if watch.tally.seconds else ""
        screen.close(LAST_PICTURE, (lambda width: Text(told)) if told else None)
        if screen.dropped:
            log.warning("the terminal was too slow: %d line(s) were not shown", screen.dropped)


@contextmanager
def _stopped_in_order(screen: Screen) -> Iterator[None]:
    """Ctrl+Z leaves the terminal to the shell as the shell likes it; whoever goes on begins a picture anew.

    Where nobody could let it go on, as in a container without a shell, the system lets it not stop.
    """

    def stop(*_: object) -> None:
        with screen.aside():
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, stop)

    before = {
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, stop),
        signal.SIGCONT: signal.signal(signal.SIGCONT, lambda *_: screen.disturbed()),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def day_of(epoch: float) -> str:
    """By this machine's zone, ISO 8601."""
    return datetime.fromtimestamp(epoch).date().isoformat()


@contextmanager
def _talk_on(screen: Screen, stream: TextIO) -> Iterator[None]:
    """The log, and whatever else is written to standard error, above the foot if it is the same terminal; elsewhere it
    goes where it went, and is not waited for."""
    if not _same_terminal(stream):
        with talk_never_waiting():
            yield
        return
    with talking_to([screen] * len(talk_handlers())), diverted(sys.stderr.fileno(), screen.write):
        yield


def _same_terminal(stream: TextIO) -> bool:
    if not is_terminal(sys.stderr):
        return False
    return os.fstat(sys.stderr.fileno()).st_rdev == os.fstat(stream.fileno()).st_rdev
